#include <troupe/base/assert.hpp>
#include <troupe/base/clock.hpp>
#include <troupe/base/mutex.hpp>

#include <cerrno>
#include <cstdio>
#include <ctime>

namespace troupe {
namespace {

#if defined(NDEBUG)

void check_order(const Mutex&) noexcept {}
void note_locked(const Mutex&) noexcept {}
void note_unlocked(const Mutex&) noexcept {}

#else

// What this thread holds, in the order it was taken. A plain array: no memory is allocated and no
// destructor runs, so mutexes work while a thread ends.
struct Held {
    static constexpr int kMax = 16;  // ranks rise, so depth is bounded by taste, not by data
    const Mutex* mutexes[kMax];
    int count;
};
constinit thread_local Held t_held{};

void check_order(const Mutex& mutex) noexcept {
    for (int i = 0; i < t_held.count; ++i) {
        const Mutex& held = *t_held.mutexes[i];
        if (held.rank() < mutex.rank()) continue;
        std::fprintf(stderr, "troupe: locking %s (rank %d) while holding %s (rank %d)\n",
                     name(mutex.rank()), static_cast<int>(mutex.rank()), name(held.rank()),
                     static_cast<int>(held.rank()));
        TROUPE_ASSERT(held.rank() < mutex.rank(), "mutexes are taken in rising order: LOCKS.md");
    }
}

void note_locked(const Mutex& mutex) noexcept {
    TROUPE_ASSERT(t_held.count < Held::kMax, "a thread holds no more than 16 mutexes");
    t_held.mutexes[t_held.count++] = &mutex;
}

void note_unlocked(const Mutex& mutex) noexcept {
    for (int i = t_held.count - 1; i >= 0; --i) {
        if (t_held.mutexes[i] != &mutex) continue;
        for (--t_held.count; i < t_held.count; ++i)
            t_held.mutexes[i] = t_held.mutexes[i + 1];
        return;
    }
    TROUPE_ASSERT(false, "a mutex is unlocked by the thread that holds it");
}

#endif

}  // namespace

// The analysis takes pthread's calls for no locking at all, hence the exemptions below.

void Mutex::lock() noexcept TROUPE_NO_THREAD_SAFETY_ANALYSIS {
    check_order(*this);
    int failed = pthread_mutex_lock(&mutex_);
    TROUPE_ASSERT(failed == 0, "a mutex can be locked");
    note_locked(*this);
}

bool Mutex::try_lock() noexcept TROUPE_NO_THREAD_SAFETY_ANALYSIS {
    if (pthread_mutex_trylock(&mutex_) != 0) return false;
    note_locked(*this);
    return true;
}

void Mutex::unlock() noexcept TROUPE_NO_THREAD_SAFETY_ANALYSIS {
    note_unlocked(*this);
    int failed = pthread_mutex_unlock(&mutex_);
    TROUPE_ASSERT(failed == 0, "a mutex can be unlocked");
}

void CondVar::wait(Mutex& mutex) noexcept {
    note_unlocked(mutex);
    int failed = pthread_cond_wait(&condition_, &mutex.mutex_);
    TROUPE_ASSERT(failed == 0, "a condition can be waited for");
    note_locked(mutex);
}

bool CondVar::wait_for(Mutex& mutex, Duration longest) noexcept {
    constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
    if (longest < Duration::zero()) longest = Duration::zero();
    Duration now = monotonic_now();
    // "For ever", said as a huge duration, must not overflow into the past.
    Duration until = longest < Duration::max() - now ? now + longest : Duration::max();
    timespec deadline{};
    deadline.tv_sec = static_cast<time_t>(until.count() / kNanosecondsPerSecond);
    deadline.tv_nsec = static_cast<long>(until.count() % kNanosecondsPerSecond);
    note_unlocked(mutex);
    int failed = pthread_cond_clockwait(&condition_, &mutex.mutex_, CLOCK_MONOTONIC, &deadline);
    TROUPE_ASSERT(failed == 0 || failed == ETIMEDOUT, "a condition can be waited for");
    note_locked(mutex);
    return failed == 0;
}

void CondVar::notify_one() noexcept {
    pthread_cond_signal(&condition_);
}
void CondVar::notify_all() noexcept {
    pthread_cond_broadcast(&condition_);
}

}  // namespace troupe
