#pragma once

/// Threads for work that blocks: files, name look-ups, whatever a user declares as such.
///
/// Threads are started when a job finds none idle, up to a maximum, and end when they have been
/// idle for a while, so a process that blocks rarely keeps none. A thread that ends joins the one
/// that ended before it: no thread is ever detached, at most one waits to be joined, and joining
/// the last one joins them all.

#include <troupe/base/annotations.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/intrusive_queue.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/engine.hpp>

#include <pthread.h>

#include <cstddef>
#include <cstdint>

namespace troupe::scheduler_internal {

struct BlockingPoolOptions {
    std::size_t threads_max = 64;
    std::size_t jobs_max = 10'000;                  ///< waiting for a thread; more are refused
    Duration idle_time = Duration(10'000'000'000);  ///< a thread idle for longer ends
    const char* name = "troupe-blocking";           ///< of its threads, 15 letters at most
};

class BlockingPool {
public:
    explicit BlockingPool(const BlockingPoolOptions& options) noexcept : options_(options) {}
    /// Stops.
    ~BlockingPool() { stop(); }
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;

    /// Takes the job over and runs it on a thread of the pool.
    ///
    /// Errors:  closed, once stop has begun; mailbox_full, when as many jobs wait as the options
    ///          allow, or when the machine gives us no first thread. The job stays the caller's.
    /// Threads: any. Blocks for no longer than it takes to start a thread.
    /// Order:   jobs begin in the order they were submitted.
    [[nodiscard]] Result<void> submit(Job* job) TROUPE_EXCLUDES(mutex_);

    /// Drops the jobs that have not begun and waits for those that have. Idempotent.
    ///
    /// Threads: any but the pool's own.
    void stop() noexcept TROUPE_EXCLUDES(mutex_);

    BlockingStats stats() const noexcept TROUPE_EXCLUDES(mutex_);

private:
    using JobQueue = IntrusiveQueue<Job, &Job::next>;

    Result<void> admit() TROUPE_REQUIRES(mutex_);
    bool start_thread() noexcept TROUPE_REQUIRES(mutex_);
    static void* thread_main(void* pool) noexcept;
    void run_jobs() noexcept TROUPE_EXCLUDES(mutex_);
    Job* next_job() noexcept TROUPE_REQUIRES(mutex_);

    const BlockingPoolOptions options_;
    mutable Mutex mutex_{LockRank::blocking_pool};
    CondVar work_;  // a job was submitted, or we are stopping
    CondVar thread_ended_;
    JobQueue jobs_ TROUPE_GUARDED_BY(mutex_);
    BlockingStats stats_ TROUPE_GUARDED_BY(mutex_);
    bool stopping_ TROUPE_GUARDED_BY(mutex_) = false;
    bool has_ended_ TROUPE_GUARDED_BY(mutex_) = false;  // whether `ended_` waits to be joined
    pthread_t ended_ TROUPE_GUARDED_BY(mutex_) = {};
};

}  // namespace troupe::scheduler_internal
