#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/hash.hpp>

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

bool applies(const MessageRate& rate, const MailNode* call) noexcept {
    return rate.method == nullptr || rate.method == ops_of(call).id;
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
    mailbox->stats_ = cell.engine().mail_stats().of(*cell.type());
    mailbox->high_streak_ = 0;
    mailbox->failing_ = false;
    mailbox->waiting_by_method_.assign(settings.limits.size(), 0);
    mailbox->next_due_.assign(settings.rates.size(), Duration::zero());
    return *mailbox;
}

std::size_t ManagedMailbox::bytes_of(const MailNode* call) const {
    const MessageOps& ops = ops_of(call);
    return settings_.bytes_max != 0 && ops.bytes != nullptr ? ops.bytes(call) : 0;
}

bool ManagedMailbox::has_room(std::size_t bytes) const {
    const std::size_t count = high_.size() + normal_.size() - system_;
    const bool fits_count = settings_.capacity == 0 || count < settings_.capacity;
    // A message larger than the whole budget goes in alone: else it could never be handled.
    const bool fits_bytes =
        settings_.bytes_max == 0 || count == 0 || bytes_ + bytes <= settings_.bytes_max;
    return fits_count && fits_bytes;
}

/// How many calls of its method wait; null when that is not limited.
std::size_t* ManagedMailbox::counter_of(const MailNode* call) {
    for (std::size_t i = 0; i < settings_.limits.size(); ++i) {
        if (settings_.limits[i].method == ops_of(call).id) return &waiting_by_method_[i];
    }
    return nullptr;
}

bool ManagedMailbox::within_limit(const MailNode* call) {
    const std::size_t* const waiting = counter_of(call);
    return waiting == nullptr ||
           *waiting <
               settings_.limits[static_cast<std::size_t>(waiting - waiting_by_method_.data())]
                   .waiting_max;
}

/// Whether somebody who waits at the door goes before it: one who sends the same, or who only waits
/// for room that all share.
bool ManagedMailbox::others_were_first(const MailNode* call, std::size_t bytes) {
    if (waiting_.empty()) return false;
    if (settings_.limits.empty() || !has_room(bytes)) return true;
    for (MailNode* const message : waiting_) {
        const MailNode* const other = inner(message);
        if (ops_of(other).id == ops_of(call).id || within_limit(other)) return true;
    }
    return false;
}

/// Whether no more have come than may. The next message is due at a time that moves on by a step
/// with each that comes, and may be ahead of the clock by a burst (GCRA).
bool ManagedMailbox::within_rates(const MailNode* call, Duration now) {
    for (std::size_t i = 0; i < settings_.rates.size(); ++i) {
        const MessageRate& rate = settings_.rates[i];
        const Duration ahead = rate.each * static_cast<Duration::rep>(rate.burst - 1);
        if (applies(rate, call) && next_due_[i] - ahead > now) return false;
    }
    return true;
}

/// It has come.
void ManagedMailbox::count_towards_rates(const MailNode* call, Duration now) {
    for (std::size_t i = 0; i < settings_.rates.size(); ++i) {
        const MessageRate& rate = settings_.rates[i];
        if (applies(rate, call)) next_due_[i] = std::max(next_due_[i], now) + rate.each;
    }
}

void ManagedMailbox::put(MailNode* message, std::size_t bytes, bool system, Pid sender) {
    const bool high = contains(settings_.high_priority, ops_of(message).id);
    const ConflatedMethod* const method = conflated(message);
    LaneEntry entry{message, bytes, 0, method != nullptr, system, cell_.engine().coarse_now(),
                    sender};
    if (method != nullptr) entry.key_hash = key_hash(*method, message);
    const std::uint64_t number = (high ? high_ : normal_).push(entry);
    if (entry.conflatable) places_.emplace(entry.key_hash, Place{high, number});
    bytes_ += bytes;
    system_ += system ? 1 : 0;
    if (stats_ != nullptr) stats_->note_depth(high_.size() + normal_.size());
    if (std::size_t* const waiting = counter_of(message)) ++*waiting;
}

MailNode* ManagedMailbox::take(MailLane& lane, std::uint64_t number) {
    const LaneEntry entry = lane.take(number);
    bytes_ -= entry.bytes;
    system_ -= entry.system ? 1 : 0;
    if (std::size_t* const waiting = counter_of(entry.message)) --*waiting;
    if (entry.conflatable) {
        const bool high = &lane == &high_;
        const auto [first, last] = places_.equal_range(entry.key_hash);
        places_.erase(std::find_if(first, last, [&](const auto& place) {
            return place.second.high == high && place.second.number == number;
        }));
    }
    return entry.message;
}

/// How the call is conflated; null when it is not. Each asker wants an answer, so asks never are.
const ConflatedMethod* ManagedMailbox::conflated(const MailNode* call) const {
    if (settings_.conflated.empty() || ops_of(call).asked) return nullptr;
    for (const ConflatedMethod& method : settings_.conflated) {
        if (method.method == ops_of(call).id) return &method;
    }
    return nullptr;
}

std::size_t ManagedMailbox::key_hash(const ConflatedMethod& method, const MailNode* call) const {
    const auto number = static_cast<std::uint64_t>(&method - settings_.conflated.data());
    const std::uint64_t hash = method.key_hash != nullptr ? method.key_hash(call) : 0;
    return static_cast<std::size_t>(hash_combine(number, hash));
}

/// Puts the message in the place of an older call with the same key. False when there is none.
bool ManagedMailbox::conflate(MailNode* message, std::size_t bytes, Pid sender,
                              std::vector<LostMessage>& lost) {
    const ConflatedMethod* const method = conflated(message);
    if (method == nullptr) return false;
    const auto [first, last] = places_.equal_range(key_hash(*method, message));
    for (auto at = first; at != last; ++at) {
        LaneEntry& entry = (at->second.high ? high_ : normal_).at(at->second.number);
        const bool same = entry.message->ops == message->ops &&
                          (method->same_key == nullptr || method->same_key(entry.message, message));
        if (!same) continue;
        bytes_ += bytes - entry.bytes;
        entry.bytes = bytes;
        lost.push_back({std::exchange(entry.message, message), DeadLetterReason::conflated,
                        std::exchange(entry.sender, sender)});
        return true;
    }
    return false;
}

/// Makes room by losing the oldest message of the lowest priority, of this method if it is not
/// null. False when there is none to lose.
bool ManagedMailbox::drop_oldest(const void* method, std::vector<LostMessage>& lost) {
    for (MailLane* const lane : {&normal_, &high_}) {
        const std::uint64_t number = lane->find([&](const LaneEntry& entry) {
            return !entry.system && (method == nullptr || ops_of(entry.message).id == method);
        });
        if (number == MailLane::kNone) continue;
        const Pid sender = lane->at(number).sender;
        lost.push_back({take(*lane, number), DeadLetterReason::overflow, sender});
        return true;
    }
    return false;
}

Admission ManagedMailbox::admit_locked(MailNode* message, Sender sender,
                                       std::vector<LostMessage>& lost) {
    MailNode* const call = inner(message);
    if (sender == Sender::forces) {
        put(message, bytes_of(call), true, Pid());
        return Admission::admitted;
    }
    if (settings_.rates.empty()) return admit_in_time(message, sender, lost);
    const Duration now = cell_.engine().now();
    if (!within_rates(call, now)) return Admission::too_many;
    const Admission admission = admit_in_time(message, sender, lost);
    if (admission == Admission::admitted) count_towards_rates(call, now);
    return admission;
}

/// The same for one that is within its rates.
Admission ManagedMailbox::admit_in_time(MailNode* message, Sender sender,
                                        std::vector<LostMessage>& lost) {
    MailNode* const call = inner(message);
    const std::size_t bytes = bytes_of(call);
    const Pid told_by = sender == Sender::tells ? sending_actor() : Pid();
    if (message == call && conflate(message, bytes, told_by, lost)) return Admission::admitted;
    if (!others_were_first(call, bytes)) {
        if (settings_.overflow == Overflow::drop_oldest) {
            if (!within_limit(call)) drop_oldest(ops_of(call).id, lost);
            while (!has_room(bytes) && drop_oldest(nullptr, lost)) {
            }
        }
        if (has_room(bytes) && within_limit(call)) {
            put(message, bytes, false, told_by);
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
            // One kill is on its way at a time, however many are refused until it is heard.
            return std::exchange(failing_, true) ? Admission::full : Admission::failing;
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
    Relief relief;
    Duration waited{};
    {
        LockGuard lock(mutex_);
        if (high_.empty() && normal_.empty()) {
            // While the doorbell still lies in the mailbox word, it will be heard.
            if (!in_mailbox_) rung_ = false;
            return nullptr;
        }
        const bool high = !high_.empty() && (normal_.empty() || high_streak_ < kHighInARow);
        high_streak_ = high ? high_streak_ + 1 : 0;
        MailLane& lane = high ? high_ : normal_;
        waited = cell_.engine().coarse_now() - lane.front().since;
        message = take(lane, lane.oldest());
        relief = admit_waiting();
    }
    if (stats_ != nullptr) stats_->note_wait(waited);
    report(relief);
    return message;
}

/// Outside the lock: tells those who had to wait, and drops what others have replaced.
void ManagedMailbox::report(const Relief& relief) noexcept {
    for (MailNode* const waiting : relief.admitted)
        WaitingSend::report_room(static_cast<WaitingSend*>(waiting));
    for (const LostMessage& one : relief.lost)
        lose_accepted(&cell_, one.reason, one.message, one.sender);
}

void ManagedMailbox::kill_heard() {
    LockGuard lock(mutex_);
    failing_ = false;
}

MailNode* ManagedMailbox::take_request(const Cell* asker, std::uint32_t await_number) {
    const auto wanted = [&](const MailNode* message) {
        return is_request_of(message, asker, await_number);
    };
    MailNode* message = nullptr;
    Relief relief;
    {
        LockGuard lock(mutex_);
        for (MailLane* const lane : {&high_, &normal_}) {
            const std::uint64_t number =
                lane->find([&](const LaneEntry& entry) { return wanted(entry.message); });
            if (number == MailLane::kNone) continue;
            message = take(*lane, number);
            relief = admit_waiting();
            break;
        }
        const auto at = std::find_if(waiting_.begin(), waiting_.end(), wanted);
        if (message == nullptr && at != waiting_.end()) {
            message = *at;
            waiting_.erase(at);
        }
    }
    report(relief);
    return message;
}

/// Lets those in who wait at the door, first come, first served; one whose method has its limit
/// keeps nobody out but those who send the same.
ManagedMailbox::Relief ManagedMailbox::admit_waiting() {
    Relief relief;
    for (auto at = waiting_.begin(); at != waiting_.end();) {
        MailNode* const first = *at;
        MailNode* const call = inner(first);
        const std::size_t bytes = bytes_of(call);
        const Pid sender = first != call ? sender_of(first) : Pid();
        const bool replaces = conflate(call, bytes, sender, relief.lost);
        if (!replaces && !has_room(bytes)) break;
        if (!replaces && !within_limit(call)) {
            ++at;
            continue;
        }
        at = waiting_.erase(at);
        if (first != call) {
            static_cast<WaitingSend*>(first)->message = nullptr;
            call->generation = generation_;
            relief.admitted.push_back(first);
        }
        if (!replaces) put(call, bytes, false, sender);
    }
    return relief;
}

std::vector<MailNode*> ManagedMailbox::close() {
    std::vector<MailNode*> all;
    LockGuard lock(mutex_);
    generation_ = 0;
    for (MailLane* const lane : {&high_, &normal_}) {
        while (!lane->empty())
            all.push_back(take(*lane, lane->oldest()));
    }
    all.insert(all.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
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

Duration ManagedMailbox::age() const {
    const Duration now = cell_.engine().coarse_now();
    LockGuard lock(mutex_);
    Duration oldest = now;
    for (const MailLane* const lane : {&high_, &normal_}) {
        if (!lane->empty()) oldest = std::min(oldest, lane->front().since);
    }
    return now - oldest;
}

MailboxSettings ManagedMailbox::settings() const {
    LockGuard lock(mutex_);
    return settings_;
}

}  // namespace actor_internal
}  // namespace troupe
