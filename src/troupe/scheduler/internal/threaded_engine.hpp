#pragma once

/// The engine of real programs: workers that steal, a reactor and a timer wheel per worker, a
/// blocking pool, and a watchdog that looks after workers whose turn does not end.
///
/// What is here is what they share: the cells that came from outside, and the mask that says who
/// sleeps. A worker that has nothing to do says that it sleeps, looks once more, and then waits in
/// its reactor; whoever makes work makes it visible first and then looks for sleepers. One of the
/// two sees the other.

#include <troupe/base/mutex.hpp>
#include <troupe/base/random.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/blocking_pool.hpp>
#include <troupe/scheduler/internal/cell_stack.hpp>
#include <troupe/scheduler/internal/own_threads.hpp>
#include <troupe/scheduler/internal/run_queue.hpp>
#include <troupe/scheduler/internal/starvation.hpp>
#include <troupe/scheduler/internal/watchdog.hpp>
#include <troupe/scheduler/internal/worker.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace troupe::scheduler_internal {

class ThreadedEngine final : public Engine {
public:
    /// The mask of sleepers has no more bits.
    static constexpr std::size_t kWorkersMax = 64;

    explicit ThreadedEngine(const ThreadedOptions& options);
    ~ThreadedEngine() override;

    std::size_t workers() const noexcept override { return regular_; }
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
    bool stopped() const noexcept override;
    EngineStats stats() const noexcept override;
    Result<void> place(Cell& cell, const Placement& placement) override;
    Running running(const Cell& cell) const noexcept override;
    void inject(Cell& cell) noexcept override;
    void schedule_placed(Cell& cell) noexcept override;

    // ---- for workers and the watchdog ----

    Duration clock() const noexcept;
    bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }
    Watchdog& watchdog() noexcept { return watchdog_; }
    Starvation& starvation() noexcept { return starvation_; }

    /// Regular workers and the spare ones that were ever made: the first of workers_max().
    std::size_t workers_made() const noexcept {
        // acquire: sees the worker; pairs with make_spare.
        return made_.load(std::memory_order_acquire);
    }
    std::size_t workers_max() const noexcept { return workers_.size(); }
    Worker& worker_at(std::size_t index) noexcept { return *workers_[index]; }
    /// The spare worker with this number, made when there is none. The watchdog only.
    Worker& make_spare(std::size_t index);
    /// A bit for each regular worker.
    std::uint64_t regular_workers() const noexcept { return regular_mask_; }

    /// Cells as of outsiders, oldest first.
    void inject(const CellChain& cells) noexcept;
    bool anything_injected() const noexcept { return !injected_.empty(); }
    CellChain take_injected() noexcept { return injected_.take_all(); }

    /// A bit for each worker that may be asleep.
    std::uint64_t asleep() const noexcept {
        // seq_cst: whoever publishes work looks here afterwards; pairs with note_asleep.
        return asleep_.load(std::memory_order_seq_cst);
    }
    bool is_asleep(const Worker& worker) const noexcept {
        return (asleep_.load(std::memory_order_relaxed) & worker.bit()) != 0;
    }
    void note_asleep(const Worker& worker) noexcept;
    /// Whether somebody had woken it, and counts on it to see why.
    bool note_awake(const Worker& worker) noexcept;
    bool any_busy_but(const Worker& worker) const noexcept;
    /// Wakes one worker that sleeps, if any does.
    void wake_one_if_asleep() noexcept;

    /// These spare workers, and no others, look for work of others.
    void let_spares_serve(std::uint64_t mask) noexcept {
        serving_.store(mask, std::memory_order_relaxed);
    }
    bool spares_serve() const noexcept { return serving_.load(std::memory_order_relaxed) != 0; }

private:
    Worker* own_worker() const noexcept;
    void wake_one() noexcept;
    bool wake(Worker& worker) noexcept;
    void leave_place(Cell& cell) noexcept override;

    const Duration began_;
    const Duration coarse_lag_;
    std::size_t regular_ = 0;
    std::uint64_t regular_mask_ = 0;
    Starvation starvation_;
    std::vector<std::unique_ptr<Worker>> workers_;  // never resized; spare ones are made on demand
    std::atomic<std::size_t> made_{0};              // the watchdog writes, all read
    BlockingPool pool_;
    OwnThreads own_threads_;
    std::atomic<std::uint32_t> next_reactor_{0};  // any thread
    std::atomic<std::uint32_t> next_shard_{0};    // any thread

    // Written by many threads: each on a line of its own.
    alignas(64) CellStack injected_;
    alignas(64) std::atomic<std::uint64_t> asleep_{0};   // sleepers and their wakers
    alignas(64) std::atomic<std::uint64_t> serving_{0};  // the watchdog writes, wakers read
    std::atomic<bool> stopping_{false};
    bool stopped_ = false;  // stop() only

    mutable Mutex waiters_mutex_{LockRank::engine_waiters};
    std::vector<Latch*> waiters_ TROUPE_GUARDED_BY(waiters_mutex_);  // in run_until
    bool has_ended_ TROUPE_GUARDED_BY(waiters_mutex_) = false;       // nothing opens a latch now

    Mutex random_mutex_{LockRank::engine_random};
    Random outside_random_ TROUPE_GUARDED_BY(random_mutex_);
    Watchdog watchdog_;  // last: it knows how many workers there may be
};

}  // namespace troupe::scheduler_internal
