#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/reactor.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

namespace troupe {

const MailOps IoWatch::kOps{MailKind::signal, &IoWatch::drop, &IoWatch::arrive};

IoWatch::IoWatch(Reactor& reactor, int fd) noexcept : reactor_(reactor), fd_(fd) {
    ops = &kOps;
}

void IoWatch::free(IoWatch* watch) noexcept {
    watch->~IoWatch();
    free_block(watch, sizeof(IoWatch));
}

void IoWatch::post() noexcept {
    std::uint32_t old = state_.load(std::memory_order_relaxed);
    std::uint32_t desired = 0;
    do {
        desired = old | ((old & kQueued) != 0 ? kAgain : kQueued);
        // seq_cst: either the owner's clearing in leave_mailbox() comes first, and we post anew, or
        // whoever takes it out sees kAgain, and with it the owner and the bits we have set.
    } while (!state_.compare_exchange_weak(old, desired, std::memory_order_seq_cst,
                                           std::memory_order_relaxed));
    if ((old & kQueued) == 0) push_to_owner();
}

void IoWatch::push_to_owner() noexcept {
    do {
        Cell* const owner = owner_.load(std::memory_order_relaxed);
        generation = owner_generation_.load(std::memory_order_relaxed);
        if (owner != nullptr && owner->generation() == generation &&
            push_signal(*owner, this) == PushResult::pushed) {
            return;
        }
        // Nobody to tell: the bits say it to whoever waits next.
    } while (leave_mailbox() == Left::still_queued);
}

/// Stays queued when it was posted meanwhile: its owner may be another one by now.
IoWatch::Left IoWatch::leave_mailbox() noexcept {
    std::uint32_t old = state_.load(std::memory_order_relaxed);
    for (;;) {
        const bool again = (old & (kAgain | kClosed)) == kAgain;
        const std::uint32_t desired = old & ~(again ? kAgain : kQueued | kAgain);
        // seq_cst: pairs with post(), and with close(): exactly one of us frees a closed watch.
        if (!state_.compare_exchange_weak(old, desired, std::memory_order_seq_cst,
                                          std::memory_order_relaxed)) {
            continue;
        }
        if (again) return Left::still_queued;
        if ((old & kClosed) == 0) return Left::left;
        free(this);
        return Left::freed;
    }
}

void IoWatch::drop(MailNode* node, const Error&) noexcept {
    // The stream may belong to another actor by now, and that one may wait already.
    static_cast<IoWatch*>(node)->push_to_owner();
}

bool IoWatch::arrive(MailNode* node, Cell& cell) {
    auto* const watch = static_cast<IoWatch*>(node);
    Awaiting* record = nullptr;
    bool awaited = false;
    bool observed = false;
    for (;;) {
        // acquire: who sees a new owner's number sees the new owner; pairs with wait_for().
        const std::uint32_t number = watch->await_number_.load(std::memory_order_acquire);
        // acquire: who sees that it is observed sees by whom; pairs with observe().
        observed = watch->tell_.load(std::memory_order_acquire) != nullptr;
        if (watch->owner_.load(std::memory_order_relaxed) != &cell) {
            // The stream moved to another actor while this lay in the old one's mailbox. It stays
            // queued on the way, so that a close by the new owner leaves the freeing to us.
            watch->push_to_owner();
            return false;
        }
        record = cell.find_wait(number);
        // Once cancelled it is not tried any more: a stop is told once, and must not be lost.
        awaited = record != nullptr && record->arrived == nullptr && !record->cancelled &&
                  node->generation == cell.generation();
        const Left left = watch->leave_mailbox();
        if (left == Left::freed) return false;
        if (left == Left::left) break;
    }
    // An observed one stays with its cell, which has not closed it by now.
    if (observed) {
        if (!watch->is_ready(watch->wanted_)) return false;
        auto* const tell = watch->tell_.exchange(nullptr, std::memory_order_relaxed);
        return tell(watch->whom_, cell);
    }
    // Only a cell that waits for it can be sure that it still owns it; to others it may be gone.
    if (!awaited || !watch->is_ready(watch->wanted_)) return false;
    if (watch->try_again_ != nullptr && !watch->try_again_(*record)) {
        watch->wait_for(watch->wanted_, cell, record->number, watch->try_again_);
        return false;
    }
    record->arrived = node;
    return record == cell.awaiting_;
}

void IoWatch::belong_to(Cell& cell) noexcept {
    if (owner_.load(std::memory_order_relaxed) != &cell ||
        owner_generation_.load(std::memory_order_relaxed) != cell.generation()) {
        // Under the mutex, so that a poller sees the old owner or the new one, never half of each.
        LockGuard lock(reactor_.mutex_);
        // acq_rel: whoever held it in its mailbox has read its fields by now or will look again;
        // pairs with leave_mailbox().
        const std::uint32_t old = state_.fetch_or(kAgain, std::memory_order_acq_rel);
        if ((old & kQueued) == 0) state_.fetch_and(~kAgain, std::memory_order_relaxed);
        owner_.store(&cell, std::memory_order_relaxed);
        owner_generation_.store(cell.generation(), std::memory_order_relaxed);
    }
}

void IoWatch::observe(std::uint32_t bits, Cell& cell, bool (*tell)(void* whom, Cell& cell),
                      void* whom) noexcept {
    belong_to(cell);
    wanted_ = bits;
    whom_ = whom;
    // release: the owner goes before it; pairs with arrive().
    tell_.store(tell, std::memory_order_release);
    if (is_ready(bits)) post();
}

void IoWatch::wait_for(std::uint32_t bits, Cell& cell, std::uint32_t number,
                       bool (*try_again)(Awaiting&)) noexcept {
    belong_to(cell);
    tell_.store(nullptr, std::memory_order_relaxed);
    wanted_ = bits;
    try_again_ = try_again;
    // release: the owner goes before its number; pairs with arrive().
    await_number_.store(number, std::memory_order_release);
    // A bit set before we became the owner was posted to nobody.
    if (is_ready(bits)) post();
}

void IoWatch::close() noexcept {
    Reactor& reactor = reactor_;
    {
        LockGuard lock(reactor.mutex_);
        Reactor::Slot& slot = reactor.slots_[slot_];
        slot.watch = nullptr;
        ++slot.stamp;
        reactor.free_slots_.push_back(slot_);
    }
    reactor.open_.fetch_sub(1, std::memory_order_relaxed);
    ::close(fd_);  // takes it out of epoll as well: nobody else holds this descriptor
    // seq_cst: pairs with leave_mailbox().
    if ((state_.fetch_or(kClosed, std::memory_order_seq_cst) & kQueued) == 0) free(this);
}

Reactor::Reactor() {
    epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
    wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    TROUPE_ASSERT(epoll_fd_ >= 0 && wake_fd_ >= 0,
                  "no descriptors left for the scheduler: raise the limit (ulimit -n)");
    epoll_event event{};
    event.events =
        EPOLLIN;  // not edge-triggered: seen by a helper, it is still there for the owner
    event.data.u64 = kWakeStamp;
    TROUPE_ASSERT(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) == 0,
                  "the scheduler's wake-up could not be registered with epoll");
}

Reactor::~Reactor() {
    ::close(epoll_fd_);
    ::close(wake_fd_);
}

Result<IoWatch*> Reactor::open(int fd) {
    auto* const watch = ::new (allocate_block(sizeof(IoWatch))) IoWatch(*this, fd);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    {
        LockGuard lock(mutex_);
        if (free_slots_.empty()) {
            free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
            slots_.emplace_back();
        }
        watch->slot_ = free_slots_.back();
        free_slots_.pop_back();
        slots_[watch->slot_].watch = watch;
        watch->slot_stamp_ = slots_[watch->slot_].stamp;
        event.data.u64 = static_cast<std::uint64_t>(watch->slot_stamp_) << 32 | watch->slot_;
    }
    if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
        const int reason = errno;
        {
            LockGuard lock(mutex_);
            slots_[watch->slot_].watch = nullptr;
            ++slots_[watch->slot_].stamp;
            free_slots_.push_back(watch->slot_);
        }
        IoWatch::free(watch);
        return error(Errc::failed,
                     std::string("the descriptor cannot be watched: ") + std::strerror(reason));
    }
    open_.fetch_add(1, std::memory_order_relaxed);
    return watch;
}

namespace {

/// epoll_wait with a limit in nanoseconds.
int wait_for_events(int epoll_fd, epoll_event* events, int events_max, Duration longest) noexcept {
    if (longest <= Duration::zero()) return ::epoll_wait(epoll_fd, events, events_max, 0);
    if (longest == Duration::max()) return ::epoll_wait(epoll_fd, events, events_max, -1);
    static std::atomic<bool> missing{false};  // any poller writes and reads
    if (!missing.load(std::memory_order_relaxed)) {
        timespec limit{};
        limit.tv_sec = static_cast<time_t>(longest.count() / 1'000'000'000);
        limit.tv_nsec = static_cast<long>(longest.count() % 1'000'000'000);
        const int count = ::epoll_pwait2(epoll_fd, events, events_max, &limit, nullptr);
        // Some sandboxes forbid what they do not know.
        if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
        missing.store(true, std::memory_order_relaxed);
    }
    // Kernels before 5.11 know whole milliseconds only: round up, a timer is never early.
    const auto whole = (longest.count() + 999'999) / 1'000'000;
    return ::epoll_wait(epoll_fd, events, events_max,
                        whole > 3'600'000 ? 3'600'000 : static_cast<int>(whole));
}

}  // namespace

struct Reactor::Ready {
    const epoll_event* events;
    int count;
};

bool Reactor::poll(Duration longest) noexcept {
    return poll(longest, [](void*) noexcept {}, nullptr);
}

bool Reactor::poll(Duration longest, void (*awake)(void* whom) noexcept, void* whom) noexcept {
    epoll_event events[kEventsMax];
    const int count = wait_for_events(epoll_fd_, events, kEventsMax, longest);
    awake(whom);
    return handle({events, count}, WakeUps::taken);
}

bool Reactor::poll_for_owner() noexcept {
    epoll_event events[kEventsMax];
    const int count = ::epoll_wait(epoll_fd_, events, kEventsMax, 0);
    return handle({events, count}, WakeUps::left);
}

bool Reactor::handle(const Ready& ready, WakeUps wake_ups) noexcept {
    const auto [events, count] = ready;
    if (count <= 0) return false;
    bool any = false;
    LockGuard lock(mutex_);
    for (int i = 0; i < count; ++i) {
        const std::uint64_t data = events[i].data.u64;
        if (data == kWakeStamp) {
            if (wake_ups == WakeUps::left) continue;
            std::uint64_t ignored = 0;
            static_cast<void>(::read(wake_fd_, &ignored, sizeof ignored));
            any = true;
            continue;
        }
        any = true;
        if (data == kJoinedStamp) continue;
        const auto slot = static_cast<std::uint32_t>(data);
        if (slot >= slots_.size() || slots_[slot].watch == nullptr ||
            slots_[slot].stamp != static_cast<std::uint32_t>(data >> 32)) {
            continue;  // closed after the kernel had reported it
        }
        IoWatch& watch = *slots_[slot].watch;
        std::uint32_t bits = 0;
        if ((events[i].events & (EPOLLIN | EPOLLRDHUP)) != 0) bits |= IoWatch::kReadable;
        if ((events[i].events & EPOLLRDHUP) != 0) bits |= IoWatch::kPeerFinished;
        if ((events[i].events & EPOLLOUT) != 0) bits |= IoWatch::kWritable;
        if ((events[i].events & (EPOLLERR | EPOLLHUP)) != 0) bits |= IoWatch::kHangUp;
        // acq_rel: pairs with take_ready.
        const std::uint32_t before = watch.ready_.fetch_or(bits, std::memory_order_acq_rel);
        if ((bits & ~before) != 0) watch.post();
    }
    return any;
}

void Reactor::join(Reactor& other) noexcept {
    // To join them the kernel walks over all watches of the other one, under a lock it takes for
    // every new watch on the machine: milliseconds when there are ten thousand.
    constexpr std::size_t kWatchesMax = 500;
    if (other.watches() > kWatchesMax) return;
    epoll_event event{};
    // Edge-triggered: the wake-ups of its owner are left there, and would end every wait.
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = kJoinedStamp;
    // Without it, what is ready there is found when the wait has timed out.
    static_cast<void>(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, other.epoll_fd_, &event));
}

void Reactor::leave(Reactor& other) noexcept {
    static_cast<void>(::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, other.epoll_fd_, nullptr));
}

void Reactor::wake() noexcept {
    const std::uint64_t one = 1;
    static_cast<void>(::write(wake_fd_, &one, sizeof one));
}

}  // namespace troupe
