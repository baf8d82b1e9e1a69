#pragma once

/// The reactor turns readiness of sockets into signals. One per worker, on epoll.
///
/// A watch is edge-triggered and stays registered for its whole life, so waiting costs no system
/// call. Its ready bits are set by whoever polls, cleared by the owner before it tries to read or
/// write; the owner waits only for a bit that is not set. Any worker may poll any reactor: what
/// comes out of epoll is handled under the reactor's mutex, and closing takes the same mutex, so no
/// late event ever meets a closed watch.

#include <troupe/base/annotations.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/cell.hpp>

#include <atomic>
#include <cstdint>
#include <vector>

namespace troupe {

class Reactor;

/// One watched descriptor. Made by `Reactor::open`, ended by `close`; used in its owner's turns.
class IoWatch : public MailNode {
public:
    static constexpr std::uint32_t kReadable = 1;
    static constexpr std::uint32_t kWritable = 2;
    static constexpr std::uint32_t kHangUp = 4;  ///< error or both directions closed
    /// The peer has finished sending; comes with kReadable and stays set. Its end and the last
    /// bytes before it may be one edge: a reader who sees this must read on until the end.
    static constexpr std::uint32_t kPeerFinished = 8;

    int fd() const noexcept { return fd_; }

    /// Takes note that the owner is about to read (or write) and returns whether it is worth it.
    /// Threads: the owner's turn.
    bool take_ready(std::uint32_t bits) noexcept {
        // acq_rel: what the poller saw before it set the bit is seen here; pairs with the dispatch.
        return (ready_.fetch_and(~(bits & ~kHangUp), std::memory_order_acq_rel) &
                (bits | kHangUp)) != 0;
    }
    bool is_ready(std::uint32_t bits) const noexcept {
        // acquire: as in take_ready.
        return (ready_.load(std::memory_order_acquire) & (bits | kHangUp)) != 0;
    }

    /// Makes the cell, which waits in the await with this number, hear of the next of these bits:
    /// the coroutine goes on with `arrived` pointing to this watch, which it does not own. A bit
    /// may have been set for what was read long ago: `try_again`, where given, is called in the
    /// cell's turn with the awaiting record, and answers whether the wait is over.
    /// Threads: the turn of the cell that waits, one cell at a time.
    void wait_for(std::uint32_t bits, Cell& cell, std::uint32_t number,
                  bool (*try_again)(Awaiting&)) noexcept;
    /// The same for the await that has just begun.
    void wait_for(std::uint32_t bits, Cell& cell, bool (*try_again)(Awaiting&) = nullptr) noexcept {
        wait_for(bits, cell, cell.await_number_, try_again);
    }

    /// The same without an await: the next of these bits is told to `tell(whom, cell)`, once, in a
    /// turn of the cell; its answer says whether the coroutine that waits there can go on. From now
    /// on the watch stays with this cell until it is closed.
    void observe(std::uint32_t bits, Cell& cell, bool (*tell)(void* whom, Cell& cell),
                 void* whom) noexcept;

    /// Stops watching; the descriptor is closed with it. The watch is gone after the call.
    void close() noexcept;

private:
    friend class Reactor;
    IoWatch(Reactor& reactor, int fd) noexcept;
    static void drop(MailNode* node, const Error& why) noexcept;
    static bool arrive(MailNode* node, Cell& cell);
    static void free(IoWatch* watch) noexcept;
    void post() noexcept;
    void push_to_owner() noexcept;
    void belong_to(Cell& cell) noexcept;

    enum class Left : std::uint8_t { still_queued, left, freed };
    Left leave_mailbox() noexcept;

    static constexpr std::uint32_t kQueued = 1;  // it lies in a mailbox
    static constexpr std::uint32_t kClosed = 2;  // whoever takes it out of the mailbox frees it
    static constexpr std::uint32_t kAgain = 4;   // posted while queued: perhaps for a new owner

    Reactor& reactor_;
    std::atomic<Cell*> owner_{nullptr};               // wait_for writes, pollers read
    std::atomic<std::uint32_t> owner_generation_{0};  // as owner_
    std::atomic<std::uint32_t> await_number_{0};      // wait_for writes, arrive reads
    std::atomic<std::uint32_t> ready_{0};             // pollers set, the owner clears
    std::atomic<std::uint32_t> state_{0};             // pollers and owners: the flags above
    std::uint32_t wanted_ = 0;                        // as try_again_, for the cell that waits only
    bool (*try_again_)(Awaiting&) = nullptr;
    // Who is told in place of an await: observe writes, arrive reads.
    std::atomic<bool (*)(void*, Cell&)> tell_{nullptr};
    void* whom_ = nullptr;  // as tell_
    int fd_;
    std::uint32_t slot_ = 0;        // in the reactor's table
    std::uint32_t slot_stamp_ = 0;  // tells an event for an earlier watch in the slot

    static const MailOps kOps;
};

class Reactor {
public:
    Reactor();
    ~Reactor();
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    /// Watches a non-blocking descriptor from now on and owns it. Errors: failed, with the reason;
    /// the descriptor stays the caller's then. Threads: any.
    Result<IoWatch*> open(int fd);

    /// Handles what is ready, waiting up to `longest` for something. True when anything was.
    /// Threads: the worker whose reactor this is.
    bool poll(Duration longest) noexcept;
    /// The same; between the wait and what comes of it `awake` is called: what is woken then is
    /// woken now, and not at the time at which the thread fell asleep.
    bool poll(Duration longest, void (*awake)(void* whom) noexcept, void* whom) noexcept;

    /// The same without waiting, in place of a worker that is stuck in a turn. A wake-up is left
    /// for that worker: it may be on its way to sleep by now.
    /// Threads: any.
    bool poll_for_owner() noexcept;

    /// Ends a wait in poll, now or the next one. Threads: any.
    void wake() noexcept;

    /// A wait in our poll ends when something becomes ready in the other reactor, until `leave`:
    /// how one thread stands in for another that is stuck. Threads: whoever polls this reactor.
    void join(Reactor& other) noexcept;
    void leave(Reactor& other) noexcept;

    /// How many descriptors are watched.
    std::size_t watches() const noexcept { return open_.load(std::memory_order_relaxed); }

private:
    friend class IoWatch;
    static constexpr std::uint64_t kWakeStamp = ~std::uint64_t{0};
    static constexpr std::uint64_t kJoinedStamp = kWakeStamp - 1;
    static constexpr int kEventsMax = 256;  // of one poll: bounds the time under the mutex

    enum class WakeUps : std::uint8_t { taken, left };
    struct Ready;  // what one look at epoll has brought
    bool handle(const Ready& ready, WakeUps wake_ups) noexcept;

    struct Slot {
        IoWatch* watch = nullptr;
        std::uint32_t stamp = 0;
    };

    int epoll_fd_ = -1;
    int wake_fd_ = -1;
    Mutex mutex_{LockRank::reactor};
    std::vector<Slot> slots_ TROUPE_GUARDED_BY(mutex_);
    std::vector<std::uint32_t> free_slots_ TROUPE_GUARDED_BY(mutex_);
    std::atomic<std::size_t> open_{0};  // open and close write, pollers read
};

}  // namespace troupe
