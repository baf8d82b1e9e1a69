#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/scheduler/placement.hpp>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <set>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using scheduler_internal::TestCell;

constexpr Placement kOwnThread{Placement::Kind::own_thread};

std::unique_ptr<Engine> engine_of(std::size_t workers, std::size_t own_threads = 256) {
    ThreadedOptions options;
    options.workers = workers;
    options.spare_workers_max = 0;  // nobody helps the only worker
    options.own_threads_max = own_threads;
    return make_threaded_engine(options);
}

// Goal: such a cell may block, and nobody else waits. Method: a single worker goes on with
// everything while it blocks; all its turns are had by one thread, which is nobody else's.
TEST(OwnThreads, LetACellBlockWithoutHoldingUpAnybody) {
    auto engine = engine_of(1);
    Latch blocked;
    Latch release;
    Latch answered;
    std::set<pid_t> threads;  // no lock: the cell's turns are one at a time
    TestCell other(*engine, [&](TestCell&, int number) {
        if (number == 2) answered.open();
    });
    TestCell own(
        *engine,
        [&](TestCell&, int number) {
            threads.insert(::gettid());
            if (number == 1) {
                blocked.open();
                release.wait();
            }
            other.send(number);
        },
        Cell::kUnbounded, kOwnThread);
    own.send(1);
    blocked.wait();
    std::atomic<pid_t> worker{0};
    Latch heard;
    TestCell polite(*engine, [&](TestCell& self, int number) {
        worker.store(::gettid());
        if (number == 0) {
            self.start_timer(engine->now() + 1ms, 1);
        } else {
            heard.open();
        }
    });
    polite.send(0);
    heard.wait();
    own.send(2);
    release.open();
    answered.wait();
    engine->stop();
    EXPECT_EQ(threads.size(), 1U);
    EXPECT_FALSE(threads.contains(worker.load()));
    EXPECT_FALSE(threads.contains(::gettid()));
}

TEST(OwnThreads, HearOfTimersSignalsAndMailFromAnywhere) {
    auto engine = engine_of(2);
    std::atomic<int> sum{0};
    Latch all;
    TestCell own(
        *engine,
        [&](TestCell& self, int number) {
            EXPECT_EQ(current_engine(), engine.get());
            EXPECT_EQ(current_cell(), &self.cell());
            if (number == 1) self.start_timer(engine->now() + 1ms, 10);
            if (number == 10) self.send(100);  // to itself
            if (sum.fetch_add(number) + number == 1111) all.open();
        },
        Cell::kUnbounded, kOwnThread);
    TestCell worker_cell(*engine, [&](TestCell&, int) { own.send(1000); });
    own.signal(1);
    worker_cell.send(1);
    all.wait();
    engine->stop();
}

TEST(OwnThreads, AreSeenRunningAndForHowLong) {
    auto engine = engine_of(1);
    Latch release;
    Latch ended;
    TestCell own(
        *engine,
        [&](TestCell&, int) {
            release.wait();
            ended.open();
        },
        Cell::kUnbounded, kOwnThread);
    EXPECT_FALSE(engine->running(own.cell()).now);
    own.send(1);
    while (engine->running(own.cell()).lasted < 20ms)
        ::sched_yield();
    EXPECT_TRUE(engine->running(own.cell()).now);
    release.open();
    ended.wait();
    while (engine->running(own.cell()).now)
        ::sched_yield();
    engine->stop();
}

TEST(OwnThreads, EndWithTheirCellAndAreRefusedBeyondTheLimit) {
    auto engine = engine_of(1, 2);
    const auto wait_for = [&](std::size_t count) {
        while (engine->stats().own_threads != count)
            ::sched_yield();
    };
    for (int round = 0; round < 20; ++round) {
        wait_for(0);
        TestCell first(*engine, {}, Cell::kUnbounded, kOwnThread);
        {
            TestCell second(*engine, {}, Cell::kUnbounded, kOwnThread);
            EXPECT_EQ(engine->stats().own_threads, 2U);
            Cell& third = engine->acquire_cell();
            const Result<void> refused = engine->place(third, kOwnThread);
            ASSERT_FALSE(refused);
            EXPECT_EQ(refused.error(), Errc::failed);
            EXPECT_NE(refused.error().text().find("own_threads_max"), std::string::npos);
            engine->release_cell(third);
        }
        wait_for(1);
        first.close();
        std::optional<TestCell> again(std::in_place, *engine, TestCell::OnMail(), Cell::kUnbounded,
                                      kOwnThread);
        again.reset();
        wait_for(1);
    }
    wait_for(0);
    engine->stop();
}

// Goal: stop() waits for a turn that still runs and runs nothing after it.
TEST(OwnThreads, AreJoinedWhenTheEngineStops) {
    for (int round = 0; round < 20; ++round) {
        auto engine = engine_of(1);
        std::atomic<int> running{0};
        std::deque<TestCell> cells;
        for (int i = 0; i < 8; ++i) {
            cells.emplace_back(
                *engine,
                [&](TestCell& self, int) {
                    running.fetch_add(1);
                    self.send(1);
                    running.fetch_sub(1);
                },
                Cell::kUnbounded, kOwnThread);
        }
        for (TestCell& cell : cells)
            cell.send(1);
        while (engine->stats().turns < 8)
            ::sched_yield();
        engine->stop();
        EXPECT_EQ(running.load(), 0);
        EXPECT_EQ(engine->stats().own_threads, 0U);
        EXPECT_EQ(engine->place(cells.front().cell(), kOwnThread).error(), Errc::closed);
    }
}

}  // namespace
}  // namespace troupe
