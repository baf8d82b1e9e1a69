#pragma once

/// One worker of the threaded engine: a thread with a run queue, a timer wheel and a reactor.
///
/// When to wake another worker and when to steal decides everything
/// (docs/design/0004-run-queue.md): work that is spread over two cores slows down, so it waits
/// longer, so it would be spread more. The rule that does not feed itself is CoDel's: only when the
/// *least* age of the oldest waiting cell over an interval of 100 us stays above 20 us is the queue
/// a standing one; then one sleeper is woken and takes half, at most once per interval.
///
/// A turn that does not end cannot measure anything. That is the watchdog's business: a worker that
/// wakes up sees to it that the watchdog watches before its first turn (watchdog.hpp).
///
/// A spare worker is one that the watchdog has started because all others are stuck. It serves
/// while they are, and leaves later; it keeps no sockets and no timers of its own.

#include <troupe/base/intrusive_queue.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/random.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/cell_stack.hpp>
#include <troupe/scheduler/internal/context.hpp>
#include <troupe/scheduler/internal/run_queue.hpp>
#include <troupe/scheduler/internal/stack_capture.hpp>
#include <troupe/scheduler/internal/timer_wheel.hpp>
#include <troupe/scheduler/internal/turn_slice.hpp>
#include <troupe/scheduler/reactor.hpp>

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace troupe::scheduler_internal {

class ThreadedEngine;

class alignas(64) Worker : public WorkerContext {
public:
    Worker(ThreadedEngine& engine, std::uint32_t index, bool spare, std::uint64_t seed);

    // ---- whoever started it ----
    /// False when the machine has no thread left.
    [[nodiscard]] bool start() noexcept;
    void join() noexcept;
    /// Asks a spare worker to hand over what it has and to end.
    void ask_to_leave() noexcept;
    /// Whether a spare worker has ended, so that join does not wait.
    bool has_left() const noexcept {
        // acquire: sees all that it did; pairs with the end of run.
        return left_.load(std::memory_order_acquire);
    }
    /// Drops the timers that are left. After join.
    void drop_timers() noexcept;

    // ---- any thread ----
    void start_timer(TimerNode* timer);
    bool cancel_timer(TimerNode* timer) noexcept;
    /// When its next timer may be due; max() when it has none.
    Duration next_timer() const noexcept {
        return Duration(next_timer_.load(std::memory_order_relaxed));
    }
    /// Posts the timers due by then.
    void fire_timers(Duration due_by) noexcept;
    Reactor& reactor() noexcept { return reactor_; }
    RunQueue& queue() noexcept { return queue_; }
    StackCapture& stack() noexcept { return stack_; }
    /// Makes the thread note where it stands. Whoever started it.
    void ask_where() noexcept { stack_.ask(thread_); }
    /// Queues a runnable cell that is placed here. Threads: any; the caller wakes the worker.
    void receive(Cell& placed) noexcept;
    /// The cells that came here for their place's sake and may run elsewhere.
    CellChain take_near() noexcept { return near_inbox_.take_all(); }
    bool has_mail() const noexcept { return !pinned_inbox_.empty() || !near_inbox_.empty(); }
    std::uint32_t index() const noexcept { return index_; }
    std::uint64_t bit() const noexcept { return std::uint64_t{1} << index_; }
    /// The heartbeat: grows with every turn.
    std::uint64_t turns() const noexcept { return turns_.load(std::memory_order_relaxed); }
    /// The same of its messages: another number for each, and for the time between two turns.
    std::uint64_t step() const noexcept {
        // acquire: pairs with run_one.
        const Cell* const runs = cell.load(std::memory_order_acquire);
        return turns() << 32 | (runs != nullptr ? runs->handled() + 1 : 0);
    }
    /// The watchdog has first seen this step at `since`. The watchdog only.
    void note_step(std::uint64_t step, Duration since) noexcept;
    /// For how long the step it is at has lasted, as far as the watchdog has seen.
    Duration step_lasts(Duration at) const noexcept;
    /// How long the thread has had a core, and whether it wants one now. Running threads only.
    Duration core_time() const noexcept;
    bool wants_core() const noexcept;
    void count_wake() noexcept { wakes_.fetch_add(1, std::memory_order_relaxed); }
    void add_stats(EngineStats& stats) const noexcept;

    // ---- its own thread ----
    std::uint64_t random() noexcept { return random_.next(); }
    /// Queues a cell that became runnable during our own turn.
    void run_next(Cell& runnable) noexcept { queue_.push_next(runnable, now_us_); }
    /// Queues a cell that is placed here and became runnable during our own turn.
    void keep(Cell& placed) noexcept;

private:
    static unsigned give_more_messages(RunningTurn& self, unsigned given) noexcept;
    static bool others_should_run(RunningTurn& self) noexcept;

    static void* thread_main(void* worker) noexcept;
    void run();
    Cell* next_cell() noexcept;
    bool has_work() const noexcept { return queue_.size() != 0 || !pinned_.empty(); }
    bool runs_alone() const noexcept;
    void take_inbox() noexcept;
    void run_one(Cell& cell) noexcept;
    void note_starved(const Cell& waited) noexcept;
    void keep_pinned(Cell& placed) noexcept;
    bool find_more() noexcept;
    void look_around() noexcept;
    void read_clock() noexcept;
    bool may_take() const noexcept;
    bool outsiders_wait() const noexcept;
    bool take_injected() noexcept;
    bool find_work() noexcept;
    bool steal_from_standing() noexcept;
    bool take_from(Worker& victim) noexcept;
    void spin_then_park() noexcept;
    Duration time_to_sleep() noexcept;
    bool ends() const noexcept;
    void hand_over() noexcept;

    ThreadedEngine& threads_;
    const std::uint32_t index_;
    const bool spare_;
    const std::uint32_t starving_us_;
    RunQueue queue_;
    // What may run nowhere else: here thieves do not come. In turn with the queue.
    IntrusiveQueue<Cell, &Cell::next_runnable_> pinned_;
    bool pinned_is_next_ = false;
    CellStack pinned_inbox_;  // any thread
    CellStack near_inbox_;    // any thread
    Random random_;
    TurnSlice slice_;
    std::uint32_t now_us_ = 0;
    unsigned sends_ = 0;              // of the turn that asked last
    std::uint64_t sending_turn_ = 0;  // which that was
    unsigned turns_to_look_ = 1;
    unsigned turns_per_look_ = 1;
    unsigned looks_ = 0;
    Duration last_poll_{};
    bool unwatched_ = true;  // perhaps nobody looks whether our turns end
    std::uint32_t interval_began_us_ = 0;
    std::uint32_t least_age_us_ = 0;  // of this interval so far

    // Written by this worker for each turn, read by those who may help it.
    std::atomic<std::uint64_t> turns_{0};
    std::atomic<std::uint64_t> steals_{0};
    std::atomic<std::uint64_t> parks_{0};
    std::atomic<int> thread_id_{0};  // the kernel's
    std::atomic<bool> left_{false};  // the watchdog reads

    // Written by others as well, and so apart from the above. Standing: the last interval ended
    // with a queue worth sharing.
    alignas(64) std::atomic<bool> standing_{false};
    std::atomic<bool> leaving_{false};     // the watchdog writes
    std::atomic<std::uint64_t> wakes_{0};  // wakers write
    // The step the watchdog saw last, and when it first did; the watchdog writes, lookers read.
    static constexpr std::uint64_t kNoStep = ~std::uint64_t{0};
    std::atomic<std::uint64_t> seen_step_{kNoStep};
    std::atomic<Duration::rep> seen_since_{0};

    alignas(64) Mutex timer_mutex_{LockRank::timers};
    TimerWheel wheel_ TROUPE_GUARDED_BY(timer_mutex_);
    std::atomic<Duration::rep> next_timer_{Duration::max().count()};  // writers hold timer_mutex_

    StackCapture stack_;
    Reactor reactor_;
    pthread_t thread_{};
    bool started_ = false;
};

}  // namespace troupe::scheduler_internal
