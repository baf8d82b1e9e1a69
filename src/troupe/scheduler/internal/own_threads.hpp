#pragma once

/// Threads that run one cell each: for actors that block, or that a library ties to one thread.
///
/// A thread begins when its cell is placed and ends when the cell does. It comes from a pool like
/// that of blocking work, so it is joined, counted and refused there.

#include <troupe/base/annotations.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/blocking_pool.hpp>
#include <troupe/scheduler/internal/context.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace troupe::scheduler_internal {

class OwnThreads {
public:
    OwnThreads(Engine& engine, std::size_t threads_max);
    /// Stops.
    ~OwnThreads() { stop(); }
    OwnThreads(const OwnThreads&) = delete;
    OwnThreads& operator=(const OwnThreads&) = delete;

    /// Starts a thread for a new cell. Errors: closed, when the engine is stopping; failed, when
    /// there are as many as there may be. Threads: any.
    Result<void> start(Cell& cell) TROUPE_EXCLUDES(mutex_);

    /// The cell is runnable. Threads: any.
    void schedule(Cell& cell) noexcept TROUPE_EXCLUDES(mutex_);

    /// The cell has ended. Threads: any.
    void end(Cell& cell) noexcept TROUPE_EXCLUDES(mutex_);

    /// Ends all of them, each after the turn it runs. Idempotent.
    void stop() noexcept TROUPE_EXCLUDES(mutex_);

    /// Whether its thread is running the cell, and what it is at. Threads: any.
    Engine::Running running(const Cell& cell) const noexcept TROUPE_EXCLUDES(mutex_);

    std::size_t count() const noexcept TROUPE_EXCLUDES(mutex_);
    std::uint64_t turns() const noexcept { return turns_.load(std::memory_order_relaxed); }

private:
    class OwnThread;

    OwnThread* find(const Cell& cell) const noexcept TROUPE_REQUIRES(mutex_);
    void run(OwnThread& thread) noexcept;
    void remove(OwnThread& thread) noexcept TROUPE_EXCLUDES(mutex_);
    bool wait_for_turn(OwnThread& thread) noexcept TROUPE_EXCLUDES(mutex_);

    Engine& engine_;
    mutable Mutex mutex_{LockRank::own_threads};
    const std::size_t threads_max_;
    std::unordered_map<const Cell*, OwnThread*> threads_
        TROUPE_GUARDED_BY(mutex_);                     // of the living
    std::size_t count_ TROUPE_GUARDED_BY(mutex_) = 0;  // also those whose cell has just ended
    bool stopping_ TROUPE_GUARDED_BY(mutex_) = false;
    std::atomic<std::uint64_t> turns_{0};  // the threads write, stats reads
    BlockingPool pool_;
};

}  // namespace troupe::scheduler_internal
