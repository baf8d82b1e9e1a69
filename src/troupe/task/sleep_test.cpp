#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/internal/test_engines.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using task_internal::on_both_engines;
using task_internal::on_seeds;

// ---- sleep --------------------------------------------------------------------------------------

Task<Duration> slept(Engine* engine, Duration duration) {
    const Duration before = engine->now();
    const auto woken = co_await sleep(duration);
    EXPECT_TRUE(woken.has_value());
    co_return engine->now() - before;
}

TEST(Sleep, LastsExactlyAsLongAsSaidInVirtualTime) {
    on_seeds(5, [](Engine& engine) {
        for (const Duration duration : {Duration(1), Duration(1s), Duration(24h)}) {
            EXPECT_EQ(block_on(engine, slept(&engine, duration)), duration);
        }
    });
}

TEST(Sleep, IsNeverShorterThanSaid) {
    on_both_engines([](Engine& engine) {
        for (const Duration duration : {Duration(1us), Duration(300us), Duration(2ms)}) {
            EXPECT_GE(block_on(engine, slept(&engine, duration)), duration);
        }
    });
}

TEST(Sleep, OfNoOrNegativeDurationWaitsForNothing) {
    on_seeds(5, [](Engine& engine) {
        EXPECT_EQ(block_on(engine, slept(&engine, 0s)), 0s);
        EXPECT_EQ(block_on(engine, slept(&engine, -5s)), 0s);
        EXPECT_EQ(block_on(engine, slept(&engine, Duration::min())), 0s);
    });
    on_both_engines([](Engine& engine) { block_on(engine, slept(&engine, Duration::min())); });
}

Task<Duration> both_in_one_statement(Engine* engine) {
    const Duration before = engine->now();
    const bool both = (co_await sleep(1ms)).has_value() && (co_await sleep(2ms)).has_value();
    EXPECT_TRUE(both);
    co_return engine->now() - before;
}

TEST(Sleep, TwoInOneStatementAreTwo) {
    on_seeds(5, [](Engine& engine) {
        EXPECT_EQ(block_on(engine, both_in_one_statement(&engine)), 3ms);
    });
}

// ---- offload ------------------------------------------------------------------------------------

Task<int> offloaded_number(int n) {
    auto job = [n] { return n * 2; };
    const auto doubled = co_await offload(job);
    co_return doubled ? *doubled : -1;
}

TEST(Offload, GivesWhatTheFunctionReturns) {
    on_both_engines([](Engine& engine) { EXPECT_EQ(block_on(engine, offloaded_number(21)), 42); });
}

Task<std::string> offloaded_of_all_kinds() {
    std::string out;
    auto nothing = [&out] { out += "ran;"; };
    const auto done = co_await offload(nothing);
    out += done ? "done;" : "refused;";
    auto move_only = [] { return std::make_unique<std::string>("owned;"); };
    auto made = co_await offload(move_only);
    out += made ? **made : "refused;";
    auto failing = []() -> int { throw std::runtime_error("disk on fire"); };
    try {
        const auto never = co_await offload(failing);
        out += never ? "never" : "refused";
    } catch (const std::runtime_error& error) {
        out += error.what();
    }
    co_return out;
}

TEST(Offload, CarriesNothingMoveOnlyValuesAndExceptions) {
    on_both_engines([](Engine& engine) {
        EXPECT_EQ(block_on(engine, offloaded_of_all_kinds()), "ran;done;owned;disk on fire");
    });
}

Task<std::string> offload_refused() {
    auto job = [] { return 1; };
    const auto refused = co_await offload(job);
    co_return refused ? "accepted" : refused.error().message();
}

/// Keeps a thread of the blocking pool.
struct BusyJob : Job {
    BusyJob() {
        run = [](Job* job) noexcept {
            auto* const self = static_cast<BusyJob*>(job);
            self->began.open();
            self->release.wait();
        };
    }
    Latch began;
    Latch release;
};

TEST(Offload, IsRefusedWhenNoMoreJobsMayWait) {
    const std::uint64_t live = block_pool_stats().live_blocks;
    {
        BusyJob busy;
        const auto engine =
            make_threaded_engine({.workers = 1, .blocking_threads_max = 1, .blocking_jobs_max = 0});
        ASSERT_TRUE(engine->offload(&busy));
        busy.began.wait();
        EXPECT_NE(block_on(*engine, offload_refused()).find("mailbox_full"), std::string::npos);
        // Refused before it left: the coroutine goes on at once and can wait for other things.
        EXPECT_GE(block_on(*engine, slept(engine.get(), 1us)), 1us);
        busy.release.open();
    }
    EXPECT_EQ(block_pool_stats().live_blocks, live);
}

Task<> never_awaited() {
    auto job = [text = std::string("long enough to be allocated on the heap")] { return text; };
    auto call = offload(job);
    static_cast<void>(call);
    co_return;
}

TEST(Offload, NeverAwaitedRunsNothingAndLeavesNothing) {
    on_both_engines([](Engine& engine) { block_on(engine, never_awaited()); });
}

Task<int> many_offloads(int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i)
        sum += co_await offloaded_number(i);
    co_return sum;
}

TEST(Offload, ManyInARowLeaveNothing) {
    on_both_engines([](Engine& engine) { EXPECT_EQ(block_on(engine, many_offloads(200)), 39'800); },
                    3);
}

}  // namespace
}  // namespace troupe
