#pragma once

// The project's only lock. It knows its rank, and the library's debug build (no NDEBUG) checks on
// every lock that a thread takes ranks in rising order only, so that two threads can never wait for
// each other. Clang checks at compile time that guarded members are touched under their mutex.
//
// It wraps pthread's mutex rather than std::mutex: <mutex> and <condition_variable> would add
// 15,000 lines to every file that includes us. A Mutex can be a constinit global and has no
// destructor to run, so it is usable before main begins and after it has ended.

#include <troupe/base/annotations.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/lock_rank.hpp>

#include <pthread.h>

namespace troupe {

class TROUPE_CAPABILITY("mutex") Mutex {
public:
    explicit constexpr Mutex(LockRank rank) noexcept : rank_(rank) {}
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    /// Waits until the mutex is ours.
    ///
    /// Threads: any; blocks the thread. Locking it twice, or out of rank order, is a mistake of
    /// ours
    ///          and stops the process in debug builds.
    void lock() noexcept TROUPE_ACQUIRE();

    /// Takes the mutex if it is free. May be tried in any order of ranks, since it never waits.
    [[nodiscard]] bool try_lock() noexcept TROUPE_TRY_ACQUIRE(true);

    void unlock() noexcept TROUPE_RELEASE();

    LockRank rank() const noexcept { return rank_; }

private:
    friend class CondVar;

    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    LockRank rank_;
};

/// Holds a mutex for as long as it lives.
class TROUPE_SCOPED_CAPABILITY LockGuard {
public:
    explicit LockGuard(Mutex& mutex) noexcept TROUPE_ACQUIRE(mutex) : mutex_(mutex) {
        mutex_.lock();
    }
    ~LockGuard() TROUPE_RELEASE() { mutex_.unlock(); }
    LockGuard(const LockGuard&) = delete;
    LockGuard& operator=(const LockGuard&) = delete;

private:
    Mutex& mutex_;
};

/// Lets threads wait for a change of what a mutex guards. Waits can end without a reason: loop.
class CondVar {
public:
    constexpr CondVar() noexcept = default;
    CondVar(const CondVar&) = delete;
    CondVar& operator=(const CondVar&) = delete;

    /// Gives the mutex back while waiting and holds it again on return.
    void wait(Mutex& mutex) noexcept TROUPE_REQUIRES(mutex);

    /// The same, for this long at most. False: the time has passed.
    ///
    /// Units: the machine's monotonic clock.
    bool wait_for(Mutex& mutex, Duration longest) noexcept TROUPE_REQUIRES(mutex);

    void notify_one() noexcept;
    void notify_all() noexcept;

private:
    pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

}  // namespace troupe
