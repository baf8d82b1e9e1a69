#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/internal/blocking_pool.hpp>
#include <troupe/scheduler/latch.hpp>

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <memory>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

/// What the jobs of a test did, in the order they did it.
struct Log {
    Mutex mutex{LockRank::test_outer};
    std::vector<int> run TROUPE_GUARDED_BY(mutex);
    std::vector<int> dropped TROUPE_GUARDED_BY(mutex);

    std::vector<int> all_run() {
        LockGuard lock(mutex);
        return run;
    }
    std::vector<int> all_dropped() {
        LockGuard lock(mutex);
        return dropped;
    }
};

/// Says that it runs, waits for a gate if it has one, and writes its number into the log.
struct NumberJob : Job {
    NumberJob(Log& its_log, int its_number, Latch* its_gate = nullptr)
        : log(its_log), number(its_number), gate(its_gate) {
        run = [](Job* job) noexcept {
            auto& self = *static_cast<NumberJob*>(job);
            self.started.open();
            if (self.gate != nullptr) self.gate->wait();
            {
                LockGuard lock(self.log.mutex);
                self.log.run.push_back(self.number);
            }
            self.ended.open();
        };
        drop = [](Job* job) noexcept {
            auto& self = *static_cast<NumberJob*>(job);
            LockGuard lock(self.log.mutex);
            self.log.dropped.push_back(self.number);
        };
    }

    Log& log;
    int number;
    Latch* gate;
    Latch started;
    Latch ended;
};

BlockingPoolOptions options(std::size_t threads_max, std::size_t jobs_max = 1000) {
    BlockingPoolOptions result;
    result.threads_max = threads_max;
    result.jobs_max = jobs_max;
    return result;
}

TEST(BlockingPool, StartsNoThreadBeforeTheFirstJob) {
    BlockingPool pool(options(4));
    EXPECT_EQ(pool.stats().threads, 0u);
    pool.stop();
    EXPECT_EQ(pool.stats().threads, 0u);
}

TEST(BlockingPool, RefusesJobsOnceStopped) {
    Log log;
    NumberJob job(log, 1);
    BlockingPool pool(options(1));
    pool.stop();
    Result<void> refused = pool.submit(&job);
    ASSERT_FALSE(refused.has_value());
    EXPECT_TRUE(refused.error() == Errc::closed);
    EXPECT_TRUE(log.all_run().empty());
    EXPECT_TRUE(log.all_dropped().empty()) << "a refused job stays the caller's";
}

TEST(BlockingPool, RefusesJobsBeyondItsBound) {
    Log log;
    Latch gate;
    NumberJob busy(log, 0, &gate);
    NumberJob first(log, 1);
    NumberJob second(log, 2);
    NumberJob third(log, 3);
    BlockingPool pool(options(1, 2));
    ASSERT_TRUE(pool.submit(&busy).has_value());
    busy.started.wait();
    ASSERT_TRUE(pool.submit(&first).has_value());
    ASSERT_TRUE(pool.submit(&second).has_value());
    Result<void> refused = pool.submit(&third);
    ASSERT_FALSE(refused.has_value());
    EXPECT_TRUE(refused.error() == Errc::mailbox_full);
    EXPECT_EQ(pool.stats().waiting, 2u);
    EXPECT_EQ(pool.stats().refused, 1u);
    EXPECT_EQ(pool.stats().threads, 1u);
    gate.open();
    second.ended.wait();
    EXPECT_EQ(log.all_run(), (std::vector<int>{0, 1, 2}));
}

// Without room for waiting jobs, a job is taken when a thread is there for it or can be started.
TEST(BlockingPool, TakesAsManyJobsAsItMayHaveThreadsWhenNoneMayWait) {
    Log log;
    Latch gate;
    NumberJob first(log, 1, &gate);
    NumberJob second(log, 2, &gate);
    NumberJob third(log, 3);
    BlockingPool pool(options(2, 0));
    EXPECT_TRUE(pool.submit(&first).has_value());
    EXPECT_TRUE(pool.submit(&second).has_value());
    EXPECT_TRUE(pool.submit(&third).error() == Errc::mailbox_full);
    gate.open();
    pool.stop();
    EXPECT_EQ(log.all_run().size() + log.all_dropped().size(), 2u);
}

TEST(BlockingPool, BeginsJobsInTheirOrder) {
    Log log;
    BlockingPool pool(options(1));
    std::vector<std::unique_ptr<NumberJob>> jobs;
    std::vector<int> expected;
    for (int i = 0; i < 500; ++i) {
        jobs.push_back(std::make_unique<NumberJob>(log, i));
        expected.push_back(i);
        ASSERT_TRUE(pool.submit(jobs.back().get()).has_value());
    }
    jobs.back()->ended.wait();
    EXPECT_EQ(log.all_run(), expected);
}

TEST(BlockingPool, RunsAsManyJobsAtOnceAsItMayHaveThreads) {
    Log log;
    Latch gate;
    BlockingPool pool(options(3));
    std::vector<std::unique_ptr<NumberJob>> jobs;
    for (int i = 0; i < 5; ++i) {
        jobs.push_back(std::make_unique<NumberJob>(log, i, &gate));
        ASSERT_TRUE(pool.submit(jobs.back().get()).has_value());
    }
    for (int i = 0; i < 3; ++i)
        jobs[static_cast<std::size_t>(i)]->started.wait();
    EXPECT_EQ(pool.stats().threads, 3u);
    EXPECT_EQ(pool.stats().waiting, 2u);
    EXPECT_FALSE(jobs[3]->started.is_open());
    gate.open();
    for (auto& job : jobs)
        job->ended.wait();
    EXPECT_EQ(log.all_run().size(), 5u);
}

TEST(BlockingPool, UsesAnIdleThreadBeforeItStartsAnother) {
    Log log;
    BlockingPool pool(options(8));
    for (int i = 0; i < 50; ++i) {
        NumberJob job(log, i);
        ASSERT_TRUE(pool.submit(&job).has_value());
        job.ended.wait();
        while (pool.stats().idle == 0)
            ::sched_yield();
    }
    EXPECT_EQ(pool.stats().threads, 1u);
    EXPECT_EQ(pool.stats().done, 50u);
}

TEST(BlockingPool, EndsThreadsThatAreIdleForLong) {
    Log log;
    BlockingPoolOptions impatient = options(4);
    impatient.idle_time = Duration(1'000'000);
    BlockingPool pool(impatient);
    for (int round = 0; round < 3; ++round) {
        NumberJob first(log, 1);
        NumberJob second(log, 2);
        ASSERT_TRUE(pool.submit(&first).has_value());
        ASSERT_TRUE(pool.submit(&second).has_value());
        first.ended.wait();
        second.ended.wait();
        while (pool.stats().threads != 0)
            ::sched_yield();
    }
    EXPECT_EQ(pool.stats().done, 6u);
}

TEST(BlockingPool, StopWaitsForRunningJobsAndDropsTheOthers) {
    Log log;
    NumberJob waiting(log, 1);
    Latch gate;
    NumberJob running(log, 0, &gate);
    BlockingPool pool(options(1));
    BlockingPool helper(options(1));
    ASSERT_TRUE(pool.submit(&running).has_value());
    running.started.wait();
    ASSERT_TRUE(pool.submit(&waiting).has_value());
    // Opens the gate only when stop() has begun, which the empty queue shows.
    struct Opener : Job {
        BlockingPool* pool = nullptr;
        Latch* gate = nullptr;
    } open_later;
    open_later.pool = &pool;
    open_later.gate = &gate;
    open_later.run = [](Job* job) noexcept {
        auto& self = *static_cast<Opener*>(job);
        while (self.pool->stats().waiting != 0)
            ::sched_yield();
        self.gate->open();
    };
    ASSERT_TRUE(helper.submit(&open_later).has_value());
    pool.stop();
    EXPECT_EQ(log.all_run(), std::vector<int>{0});
    EXPECT_EQ(log.all_dropped(), std::vector<int>{1});
    EXPECT_EQ(pool.stats().threads, 0u);
    pool.stop();
    EXPECT_EQ(log.all_dropped(), std::vector<int>{1});
}

// Goal: every job that is accepted is run or dropped exactly once, whatever ends meanwhile.
// Method: several submitting threads, threads that end at once, and a stop in the middle of it.
TEST(BlockingPool, RunsOrDropsEveryAcceptedJobOnce) {
    struct CountJob : Job {
        std::atomic<int> calls{0};  // the pool's threads write, the test reads after stop()
    };
    struct Submitter : Job {
        BlockingPool* pool = nullptr;
        std::vector<CountJob>* jobs = nullptr;
        std::atomic<int> accepted{0};       // this job writes, the test reads after stop()
        std::atomic<bool> half_way{false};  // this job writes, the test waits for it
    };
    for (int round = 0; round < 20; ++round) {
        BlockingPoolOptions hasty = options(3, 16);
        hasty.idle_time = Duration(1000);
        BlockingPool pool(hasty);
        std::vector<std::vector<CountJob>> jobs;
        for (int i = 0; i < 3; ++i)
            jobs.emplace_back(500);
        std::vector<std::unique_ptr<Submitter>> submitters;
        BlockingPool helpers(options(3));
        for (auto& share : jobs) {
            for (CountJob& job : share) {
                job.run = [](Job* one) noexcept { ++static_cast<CountJob*>(one)->calls; };
                job.drop = job.run;
            }
            submitters.push_back(std::make_unique<Submitter>());
            submitters.back()->pool = &pool;
            submitters.back()->jobs = &share;
            submitters.back()->run = [](Job* job) noexcept {
                auto& self = *static_cast<Submitter*>(job);
                for (std::size_t i = 0; i < self.jobs->size(); ++i) {
                    if (self.pool->submit(&(*self.jobs)[i]).has_value()) ++self.accepted;
                    if (i == self.jobs->size() / 2) self.half_way = true;
                }
            };
            ASSERT_TRUE(helpers.submit(submitters.back().get()).has_value());
        }
        while (!submitters.front()->half_way)
            ::sched_yield();
        pool.stop();
        while (helpers.stats().done != submitters.size())
            ::sched_yield();
        int accepted = 0;
        int called = 0;
        for (auto& submitter : submitters)
            accepted += submitter->accepted;
        for (auto& share : jobs) {
            for (CountJob& job : share) {
                ASSERT_LE(job.calls, 1);
                called += job.calls;
            }
        }
        EXPECT_EQ(called, accepted);
    }
}

}  // namespace
}  // namespace troupe::scheduler_internal
