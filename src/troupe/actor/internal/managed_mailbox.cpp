#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/base/error.hpp>

#include <algorithm>
#include <utility>

namespace troupe {

const char* name(Overflow policy) noexcept {
    switch (policy) {
        case Overflow::suspend:
            return "suspend";
        case Overflow::reject:
            return "reject";
        case Overflow::drop_newest:
            return "drop_newest";
        case Overflow::drop_oldest:
            return "drop_oldest";
        case Overflow::fail_actor:
            return "fail_actor";
        case Overflow::redirect:
            return "redirect";
    }
    return "unknown";
}

namespace actor_internal {

namespace {

// So many messages of high priority before a waiting one of normal priority has its turn.
constexpr unsigned kHighInARow = 8;

bool contains(const std::vector<const void*>& methods, const void* method) noexcept {
    return std::find(methods.begin(), methods.end(), method) != methods.end();
}

/// The call inside a message that may be wrapped in a waiting send.
MailNode* inner(MailNode* message) noexcept {
    return message->ops == &WaitingSend::kOps ? static_cast<WaitingSend*>(message)->message
                                              : message;
}

}  // namespace

const MailOps Doorbell::kOps{MailKind::signal,
                             [](MailNode* node, const Error&) noexcept {
                                 static_cast<Doorbell*>(node)->mailbox->doorbell_dropped();
                             },
                             [](MailNode* node, Cell&) {
                                 static_cast<Doorbell*>(node)->mailbox->doorbell_heard();
                                 return false;  // the turn looks into the queue by itself
                             }};

std::size_t mailbox_depth(const Cell& cell) {
    if (cell.capacity_.load(std::memory_order_relaxed) != Cell::kManaged) {
        return Cell::count_of(cell.word());
    }
    // Attached before the capacity says so; but we look without any order between the two.
    const ManagedMailbox* const mailbox = ManagedMailbox::find(cell);
    return mailbox != nullptr ? mailbox->depth() : 0;
}

ManagedMailbox& ManagedMailbox::open(Cell& cell, const MailboxSettings& settings) {
    ManagedMailbox* mailbox = find(cell);
    if (mailbox == nullptr) {
        mailbox = new ManagedMailbox(cell);
        mailbox->doorbell_.ops = &Doorbell::kOps;
        mailbox->doorbell_.mailbox = mailbox;
        cell.attach(mailbox);
    }
    LockGuard lock(mailbox->mutex_);
    mailbox->generation_ = cell.generation();
    mailbox->settings_ = settings;
    mailbox->high_streak_ = 0;
    return *mailbox;
}

bool ManagedMailbox::has_room(std::size_t bytes) const {
    const std::size_t count = high_.size() + normal_.size();
    const bool fits_count = settings_.capacity == 0 || count < settings_.capacity;
    // A message larger than the whole budget goes in alone: else it could never be handled.
    const bool fits_bytes =
        settings_.bytes_max == 0 || count == 0 || bytes_ + bytes <= settings_.bytes_max;
    return fits_count && fits_bytes;
}

void ManagedMailbox::put(MailNode* message, std::size_t bytes) {
    const bool high = contains(settings_.high_priority, ops_of(message).id);
    (high ? high_ : normal_).push_back({message, bytes});
    bytes_ += bytes;
}

/// Puts the message in the place of an older call of the same method. False when there is none.
bool ManagedMailbox::conflate(MailNode* message, std::size_t bytes,
                              std::vector<LostMessage>& lost) {
    const void* const method = ops_of(message).id;
    if (!contains(settings_.conflated, method)) return false;
    for (auto* lane : {&high_, &normal_}) {
        for (Entry& entry : *lane) {
            if (ops_of(entry.message).id != method || entry.message->ops != message->ops) continue;
            bytes_ += bytes - entry.bytes;
            lost.push_back({std::exchange(entry.message, message), DeadLetterReason::conflated});
            entry.bytes = bytes;
            return true;
        }
    }
    return false;
}

void ManagedMailbox::drop_oldest(std::vector<LostMessage>& lost) {
    auto& lane = normal_.empty() ? high_ : normal_;
    lost.push_back({take(lane), DeadLetterReason::overflow});
}

MailNode* ManagedMailbox::take(std::deque<Entry>& lane) {
    const Entry entry = lane.front();
    lane.pop_front();
    bytes_ -= entry.bytes;
    return entry.message;
}

Admission ManagedMailbox::admit_locked(MailNode* message, Sender sender,
                                       std::vector<LostMessage>& lost) {
    MailNode* const call = inner(message);
    const MessageOps& ops = ops_of(call);
    const std::size_t bytes =
        settings_.bytes_max != 0 && ops.bytes != nullptr ? ops.bytes(call) : 0;
    if (sender == Sender::forces) {
        put(message, bytes);
        return Admission::admitted;
    }
    const bool conflatable = sender != Sender::asks && message == call;
    if (conflatable && conflate(message, bytes, lost)) return Admission::admitted;
    // Those who wait at the door were here first.
    if (waiting_.empty()) {
        while (!has_room(bytes) && settings_.overflow == Overflow::drop_oldest)
            drop_oldest(lost);
        if (has_room(bytes)) {
            put(message, bytes);
            return Admission::admitted;
        }
    }
    switch (settings_.overflow) {
        case Overflow::redirect:
            return Admission::redirected;
        case Overflow::suspend:
            if (sender == Sender::tells) return Admission::full;
            waiting_.push_back(message);
            return Admission::admitted;
        case Overflow::drop_newest:
            return Admission::dropped;
        case Overflow::fail_actor:
            return Admission::failing;
        case Overflow::reject:
        case Overflow::drop_oldest:
            break;
    }
    return Admission::full;
}

Admission ManagedMailbox::admit(std::uint32_t generation, MailNode* message, Sender sender,
                                std::vector<LostMessage>& lost) {
    bool ring = false;
    Admission admission = Admission::gone;
    {
        LockGuard lock(mutex_);
        if (generation_ != generation) return Admission::gone;
        message->generation = generation;
        admission = admit_locked(message, sender, lost);
        ring = admission == Admission::admitted && !rung_;
        if (ring) rung_ = in_mailbox_ = true;
    }
    // Outside the lock: pushing may drop it, when the cell has closed meanwhile.
    if (ring) post_signal(cell_, generation, &doorbell_);
    return admission;
}

MailNode* ManagedMailbox::pop() {
    MailNode* message = nullptr;
    std::vector<MailNode*> admitted;
    {
        LockGuard lock(mutex_);
        if (high_.empty() && normal_.empty()) {
            // While the doorbell still lies in the mailbox word, it will be heard.
            if (!in_mailbox_) rung_ = false;
            return nullptr;
        }
        const bool high = !high_.empty() && (normal_.empty() || high_streak_ < kHighInARow);
        high_streak_ = high ? high_streak_ + 1 : 0;
        message = take(high ? high_ : normal_);
        admit_waiting(admitted);
    }
    for (MailNode* waiting : admitted) {
        WaitingSend::report_room(static_cast<WaitingSend*>(waiting));
    }
    return message;
}

/// Lets those in who wait at the door, first come, first served.
void ManagedMailbox::admit_waiting(std::vector<MailNode*>& admitted) {
    while (!waiting_.empty()) {
        MailNode* const first = waiting_.front();
        MailNode* const call = inner(first);
        const std::size_t bytes = settings_.bytes_max != 0 ? ops_of(call).bytes(call) : 0;
        if (!has_room(bytes)) return;
        waiting_.pop_front();
        if (first != call) {
            static_cast<WaitingSend*>(first)->message = nullptr;
            call->generation = generation_;
            admitted.push_back(first);
        }
        put(call, bytes);
    }
}

std::vector<MailNode*> ManagedMailbox::close() {
    std::vector<MailNode*> all;
    LockGuard lock(mutex_);
    generation_ = 0;
    for (auto* lane : {&high_, &normal_}) {
        for (const Entry& entry : *lane)
            all.push_back(entry.message);
        lane->clear();
    }
    all.insert(all.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
    bytes_ = 0;
    rung_ = in_mailbox_;
    return all;
}

void ManagedMailbox::doorbell_heard() noexcept {
    LockGuard lock(mutex_);
    in_mailbox_ = false;
    if (high_.empty() && normal_.empty()) rung_ = false;
}

/// The bell was rung for an owner that has ended. The next one may already have mail whose sender
/// believed that the bell was on its way.
void ManagedMailbox::doorbell_dropped() noexcept {
    std::uint32_t generation = 0;
    {
        LockGuard lock(mutex_);
        in_mailbox_ = false;
        rung_ = !(high_.empty() && normal_.empty());
        if (rung_ && generation_ != 0) {
            generation = generation_;
            in_mailbox_ = true;
        }
    }
    if (generation != 0) post_signal(cell_, generation, &doorbell_);
}

std::size_t ManagedMailbox::depth() const {
    LockGuard lock(mutex_);
    return high_.size() + normal_.size() + waiting_.size();
}

MailboxSettings ManagedMailbox::settings() const {
    LockGuard lock(mutex_);
    return settings_;
}

}  // namespace actor_internal
}  // namespace troupe
