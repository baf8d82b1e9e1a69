#pragma once

/// The engine of real programs: workers that steal, a reactor and a timer wheel per worker, and a
/// blocking pool.
///
/// When to wake another worker and when to steal decides everything
/// (docs/design/0004-run-queue.md): work that is spread over two cores slows down, so it waits
/// longer, so it would be spread more. The rule that does not feed itself is CoDel's: only when the
/// *least* age of the oldest waiting cell over an interval of 100 us stays above 20 us is the queue
/// a standing one; then one sleeper is woken and takes half, at most once per interval. And because
/// a turn that does not end cannot measure anything, one sleeping worker, the sentinel, looks every
/// millisecond, as long as anybody is busy, whether a turn is stuck, and takes its cells, timers
/// and sockets over. Where no worker sleeps, each looks after the others now and then.
///
/// The post of the sentinel is one word, and this must stay true: while a worker runs turns and
/// another sleeps, the post is held by a sleeper, or somebody awake will yet see to it. A worker
/// that wakes up sees to it before its first turn; one that goes to sleep takes the post if anybody
/// is busy; one that is given the post while it wakes up passes it on
/// (internal/sentinel_test.cpp walks all interleavings).

#include <troupe/base/mutex.hpp>
#include <troupe/base/random.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/blocking_pool.hpp>
#include <troupe/scheduler/internal/context.hpp>
#include <troupe/scheduler/internal/run_queue.hpp>
#include <troupe/scheduler/internal/timer_wheel.hpp>
#include <troupe/scheduler/reactor.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace troupe::scheduler_internal {

class ThreadedEngine;

class alignas(64) Worker : public WorkerContext {
public:
    Worker(ThreadedEngine& engine, std::uint32_t index, std::uint64_t seed);

    void run();  // the thread's body

    // ---- any thread ----
    void start_timer(TimerNode* timer);
    bool cancel_timer(TimerNode* timer) noexcept;
    Reactor& reactor() noexcept { return reactor_; }
    std::uint64_t random() noexcept { return random_.next(); }  // its own thread only

    RunQueue& queue() noexcept { return queue_; }
    void add_stats(EngineStats& stats) const noexcept;

private:
    friend class ThreadedEngine;

    static void schedule_here(WorkerContext& self, Cell& cell) noexcept;
    static bool has_sent_enough(WorkerContext& self) noexcept;

    void run_one(Cell& cell) noexcept;
    void look_around() noexcept;
    void read_clock() noexcept;
    void fire_timers(Worker& owner) noexcept;
    bool take_injected() noexcept;
    bool find_work() noexcept;
    bool steal_from_standing() noexcept;
    bool rescue_from_stuck() noexcept;
    bool take_from(Worker& victim) noexcept;
    void spin_then_park() noexcept;
    Duration time_to_sleep() noexcept;
    bool holds_post() noexcept;

    ThreadedEngine& threads_;
    const std::uint32_t index_;
    RunQueue queue_;
    Random random_;
    std::uint32_t now_us_ = 0;
    unsigned sends_ = 0;  // of the running turn
    unsigned turns_to_look_ = 1;
    unsigned turns_per_look_ = 1;
    Duration last_poll_{};
    Duration last_rescue_{};
    bool unwatched_ = true;  // perhaps nobody looks yet whether our turns end
    std::uint32_t interval_began_us_ = 0;
    std::uint32_t least_age_us_ = 0;  // of this interval so far

    // Written by this worker, read by those who may help it.
    std::atomic<bool> standing_{false};    // the last interval ended with a standing queue
    std::atomic<std::uint64_t> turns_{0};  // the heartbeat: grows with every turn
    std::atomic<std::uint64_t> steals_{0};
    std::atomic<std::uint64_t> parks_{0};
    std::atomic<std::uint64_t> wakes_{0};

    Mutex timer_mutex_{LockRank::timers};
    TimerWheel wheel_ TROUPE_GUARDED_BY(timer_mutex_);
    std::atomic<Duration::rep> next_timer_{Duration::max().count()};  // writers hold timer_mutex_

    std::vector<std::uint64_t> seen_turns_;  // of the others, at the sentinel's last look
    Reactor reactor_;
    std::thread thread_;
};

class ThreadedEngine final : public Engine {
public:
    explicit ThreadedEngine(const ThreadedOptions& options);
    ~ThreadedEngine() override;

    std::size_t workers() const noexcept override { return workers_.size(); }
    Duration now() const noexcept override;
    Duration coarse_now() const noexcept override;
    Duration coarse_lag() const noexcept override { return coarse_lag_; }
    Duration wall_now() const noexcept override;
    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) override;
    std::uint64_t random() override;
    void start_timer(TimerNode* timer) override;
    bool cancel_timer(TimerNode* timer) noexcept override;
    Result<void> offload(Job* job) override;
    Reactor* reactor() noexcept override;
    bool run_until(Latch& latch) override;
    void run_for(Duration duration) override;
    void settle() override;
    void stop() override;
    EngineStats stats() const noexcept override;
    void inject(Cell& cell) noexcept override;

private:
    friend class Worker;

    Duration clock() const noexcept;
    // Values of sentinel_: nobody, or one more than the number of the worker that holds the post.
    static constexpr std::uint32_t kNoSentinel = 0;

    void wake_one() noexcept;
    void appoint_sentinel() noexcept;
    bool any_busy_but(std::uint32_t index) const noexcept;

    const Duration began_;
    const Duration coarse_lag_;
    std::vector<std::unique_ptr<Worker>> workers_;
    BlockingPool pool_;
    std::atomic<std::uint32_t> next_reactor_{0};

    // Written by many threads: each on a line of its own.
    alignas(64) std::atomic<Cell*> injected_{nullptr};  // a stack, taken whole
    alignas(64) std::atomic<std::uint64_t> asleep_{0};  // a bit per worker that may be asleep
    alignas(64) std::atomic<std::uint32_t> sentinel_{kNoSentinel};  // who looks every millisecond
    std::atomic<bool> stopping_{false};
    bool stopped_ = false;  // stop() only

    Mutex random_mutex_{LockRank::engine_random};
    Random outside_random_ TROUPE_GUARDED_BY(random_mutex_);
};

}  // namespace troupe::scheduler_internal
