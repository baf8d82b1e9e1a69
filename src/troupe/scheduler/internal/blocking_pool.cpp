#include <troupe/scheduler/internal/blocking_pool.hpp>

#include <utility>

namespace troupe::scheduler_internal {

Result<void> BlockingPool::submit(Job* job) {
    LockGuard lock(mutex_);
    Result<void> accepted = admit();
    if (!accepted) {
        ++stats_.refused;
        return accepted;
    }
    jobs_.push_back(*job);
    ++stats_.waiting;
    work_.notify_one();
    return {};
}

/// Whether there is room for another job, and perhaps a new thread for it.
Result<void> BlockingPool::admit() {
    if (stopping_) return error(Errc::closed, "the engine is stopping");
    // Idle threads that have been notified still count as idle, and so do the jobs meant for them.
    if (stats_.waiting < stats_.idle) return {};
    if (stats_.threads < options_.threads_max && start_thread()) return {};
    if (stats_.threads == 0) {
        return error(Errc::mailbox_full, "the machine has no thread left for the blocking pool");
    }
    if (stats_.waiting >= options_.jobs_max) {
        return error(Errc::mailbox_full, "too many jobs wait for the blocking pool");
    }
    return {};
}

void BlockingPool::stop() noexcept {
    JobQueue dropped;
    bool join = false;
    pthread_t last{};
    {
        LockGuard lock(mutex_);
        stopping_ = true;
        dropped.append(jobs_);
        stats_.waiting = 0;
        work_.notify_all();
        while (stats_.threads != 0)
            thread_ended_.wait(mutex_);
        join = std::exchange(has_ended_, false);
        last = ended_;
    }
    if (join) pthread_join(last, nullptr);
    while (Job* const job = dropped.pop_front())
        job->drop(job);
}

BlockingStats BlockingPool::stats() const noexcept {
    LockGuard lock(mutex_);
    return stats_;
}

bool BlockingPool::start_thread() noexcept {
    pthread_t thread{};
    if (pthread_create(&thread, nullptr, &thread_main, this) != 0) return false;
    ++stats_.threads;
    return true;
}

void* BlockingPool::thread_main(void* pool) noexcept {
    auto& self = *static_cast<BlockingPool*>(pool);
    pthread_setname_np(pthread_self(), self.options_.name);
    self.run_jobs();
    return nullptr;
}

void BlockingPool::run_jobs() noexcept {
    bool join = false;
    pthread_t before{};
    mutex_.lock();
    while (Job* const job = next_job()) {
        mutex_.unlock();
        job->run(job);
        mutex_.lock();
        ++stats_.done;
    }
    join = std::exchange(has_ended_, true);
    before = std::exchange(ended_, pthread_self());
    --stats_.threads;
    thread_ended_.notify_all();
    mutex_.unlock();
    // `this` may be gone from here on: stop() waits for us in pthread_join only.
    if (join) pthread_join(before, nullptr);
}

Job* BlockingPool::next_job() noexcept {
    bool in_time = true;
    while (jobs_.empty() && !stopping_ && in_time) {
        ++stats_.idle;
        in_time = work_.wait_for(mutex_, options_.idle_time);
        --stats_.idle;
    }
    // A job that came with the last moment of the idle time is still there to be taken.
    Job* const job = jobs_.pop_front();
    if (job != nullptr) --stats_.waiting;
    return job;
}

}  // namespace troupe::scheduler_internal
