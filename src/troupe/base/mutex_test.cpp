#include <troupe/base/mutex.hpp>

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;

struct Shared {
    Mutex mutex{LockRank::test_outer};
    CondVar changed;
    int value TROUPE_GUARDED_BY(mutex) = 0;
};

TEST(Mutex, LetsOneThreadInAtATime) {
    Shared shared;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&shared] {
            for (int i = 0; i < 1000; ++i) {
                LockGuard lock(shared.mutex);
                ++shared.value;
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    LockGuard lock(shared.mutex);
    EXPECT_EQ(shared.value, 4000);
}

// True when the mutex was free; gives it back at once.
bool is_free(Mutex& mutex) {
    if (!mutex.try_lock()) return false;
    mutex.unlock();
    return true;
}

TEST(Mutex, CanBeTriedWhileSomebodyElseHoldsIt) {
    Mutex mutex{LockRank::test_outer};
    bool seen_free = true;
    {
        LockGuard lock(mutex);
        std::thread([&] { seen_free = is_free(mutex); }).join();
    }
    EXPECT_FALSE(seen_free);
    EXPECT_TRUE(is_free(mutex));
}

TEST(Mutex, MayBeUnlockedInAnyOrder) {
    Mutex outer{LockRank::test_outer};
    Mutex inner{LockRank::test_inner};
    outer.lock();
    inner.lock();
    outer.unlock();
    inner.unlock();
    outer.lock();
    outer.unlock();
}

TEST(CondVar, WakesTheWaiter) {
    Shared shared;
    std::thread other([&shared] {
        LockGuard lock(shared.mutex);
        shared.value = 1;
        shared.changed.notify_one();
        while (shared.value != 2)
            shared.changed.wait(shared.mutex);
        shared.value = 3;
        shared.changed.notify_all();
    });
    {
        LockGuard lock(shared.mutex);
        while (shared.value != 1)
            shared.changed.wait(shared.mutex);
        shared.value = 2;
        shared.changed.notify_all();
        while (shared.value != 3)
            shared.changed.wait_for(shared.mutex, Duration::max());
    }
    other.join();
}

TEST(CondVar, SaysWhenTheTimeHasPassed) {
    Shared shared;
    LockGuard lock(shared.mutex);
    while (shared.changed.wait_for(shared.mutex, 1ms)) {
    }
    while (shared.changed.wait_for(shared.mutex, -5s)) {
    }
}

// Locks outside the analysis, which would refuse at compile time what these tests want to see.
void lock_both(Mutex& first, Mutex& second) TROUPE_NO_THREAD_SAFETY_ANALYSIS {
    first.lock();
    second.lock();
}
[[maybe_unused]] void unlock_unheld(Mutex& mutex) TROUPE_NO_THREAD_SAFETY_ANALYSIS {
    mutex.unlock();
}

TEST(MutexDeathTest, ChecksTheOrderOfRanksInDebugBuilds) {
    Mutex outer{LockRank::test_outer};
    Mutex inner{LockRank::test_inner};
    Mutex twin{LockRank::test_inner};
#if defined(NDEBUG)
    // The library does not look; that it works is all there is to see.
    lock_both(inner, outer);
    static_cast<void>(twin);
#else
    EXPECT_DEATH(lock_both(inner, outer), "locking test_outer .* while holding test_inner");
    EXPECT_DEATH(lock_both(inner, twin), "taken in rising order");
    EXPECT_DEATH(lock_both(inner, inner), "taken in rising order");
    EXPECT_DEATH(unlock_unheld(inner), "unlocked by the thread that holds it");
#endif
}

}  // namespace
}  // namespace troupe
