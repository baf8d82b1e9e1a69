#include <troupe/scheduler/engine.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/internal/test_engines.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/within.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using task_internal::on_both_engines;
using task_internal::on_seeds;
using testing::HasSubstr;

Task<Result<int>> slow(Duration pause) {
    co_await or_return(co_await sleep(pause));
    co_return 1;
}

TEST(Within, GivesTheValueOfWhatEndsInTime) {
    on_both_engines([](Engine& engine) {
        EXPECT_EQ(block_on(engine, within(1h, slow, 1us)), 1);
        auto plain = []() -> Task<std::string> { co_return "plain"; };
        EXPECT_EQ(block_on(engine, within(1h, plain)), "plain");
        auto nothing = []() -> Task<> { co_await yield(); };
        EXPECT_TRUE(block_on(engine, within(1h, nothing)).has_value());
    });
}

TEST(Within, CancelsWhatIsNotDoneInTime) {
    on_seeds(5, [](Engine& engine) {
        const auto late = block_on(engine, within(5ms, slow, 24h));
        ASSERT_FALSE(late.has_value());
        EXPECT_TRUE(late.error() == Errc::timed_out) << late.error().message();
        EXPECT_THAT(late.error().text(), HasSubstr("5 ms"));
        EXPECT_EQ(engine.now(), 5ms);
        auto nothing = []() -> Task<> { ignore(co_await sleep(24h), "a test"); };
        const auto cut = block_on(engine, within(5ms, nothing));
        EXPECT_TRUE(!cut && cut.error() == Errc::timed_out);
    });
}

TEST(Within, SaysThatItWasLateWhateverTheFunctionFailsWithThen) {
    on_seeds(5, [](Engine& engine) {
        auto fails = []() -> Task<Result<int>> {
            ignore(co_await sleep(24h), "cut short");
            co_return error(Errc::unreachable, "nobody answered");
        };
        const auto late = block_on(engine, within(5ms, fails));
        ASSERT_FALSE(late.has_value());
        EXPECT_TRUE(late.error() == Errc::timed_out);
        ASSERT_NE(late.error().cause(), nullptr);
        EXPECT_EQ(late.error().cause()->text(), "nobody answered");
    });
}

TEST(Within, OfSeveralOneInTheOtherTheSoonerCounts) {
    on_seeds(5, [](Engine& engine) {
        auto inner = []() -> Task<Result<int>> {
            const auto late = co_await within(1h, slow, 24h);
            EXPECT_TRUE(!late && late.error() == Errc::cancelled) << late.error().message();
            co_return 2;
        };
        // The one outside has ended the wait; what it is told in time, it gives.
        EXPECT_EQ(block_on(engine, within(10ms, inner)), 2);
        EXPECT_EQ(engine.now(), 10ms);
        auto outer = []() -> Task<Result<int>> {
            const auto late = co_await within(1ms, slow, 24h);
            EXPECT_TRUE(!late && late.error() == Errc::timed_out);
            co_return co_await slow(1ms);  // this one is not cancelled
        };
        EXPECT_EQ(block_on(engine, within(1h, outer)), 1);
        EXPECT_EQ(engine.now(), 12ms);
    });
}

TEST(Cancellation, HoldsForEveryWaitUntilTheScopeEnds) {
    on_seeds(5, [](Engine& engine) {
        auto stubborn = []() -> Task<int> {
            int ended = 0;
            for (int i = 0; i < 10; ++i) {
                const auto slept = co_await sleep(24h);
                if (!slept && slept.error() == Errc::cancelled) ++ended;
                EXPECT_TRUE(cancelled());
            }
            co_return ended;
        };
        auto run = [stubborn]() -> Task<> {
            const auto ended = co_await within(1ms, stubborn);
            EXPECT_EQ(ended, 10);
            EXPECT_FALSE(cancelled()) << "outside of the scope it is over";
            const auto slept = co_await sleep(1ms);
            EXPECT_TRUE(slept.has_value());
        };
        block_on(engine, run());
        EXPECT_EQ(engine.now(), 2ms);
    });
}

TEST(Cancellation, IsNoExceptionAndCannotBeCaught) {
    on_seeds(5, [](Engine& engine) {
        auto catches = []() -> Task<Result<int>> {
            try {
                co_await or_return(co_await sleep(24h));
            } catch (...) {
                ADD_FAILURE() << "caught";
            }
            co_return 1;
        };
        const auto late = block_on(engine, within(1ms, catches));
        EXPECT_TRUE(!late && late.error() == Errc::timed_out);
    });
}

TEST(Cancellation, SaysWhatWaitedWhereAndWhy) {
    on_seeds(5, [](Engine& engine) {
        auto waits = []() -> Task<Result<int>> {
            for (int i = 0; i < 2; ++i) {  // during the wait, and before it
                const auto slept = co_await sleep(24h);
                EXPECT_THAT(slept.error().text(), HasSubstr("sleep was cancelled"));
                EXPECT_THAT(slept.error().message(), HasSubstr("within_test.cpp"));
                EXPECT_NE(slept.error().cause(), nullptr);
                EXPECT_TRUE(*slept.error().cause() == Errc::timed_out);
            }
            co_return 1;
        };
        ignore(block_on(engine, within(1ms, waits)), "a test");
    });
}

TEST(Cancellation, OfOneWhoGoesOnWaitingLetsTheOthersRun) {
    on_both_engines([](Engine& engine) {
        auto spins = []() -> Task<int> {
            int rounds = 0;
            for (; rounds < 1000; ++rounds)
                ignore(co_await sleep(24h), "it does not look");
            co_return rounds;
        };
        EXPECT_EQ(block_on(engine, within(1us, spins)), 1000);
    });
}

TEST(Shield, KeepsACancellationOutUntilItsGraceIsOver) {
    on_seeds(5, [](Engine& engine) {
        auto cleans_up = []() -> Task<Result<int>> { co_return co_await slow(3s); };
        auto run = [cleans_up]() -> Task<Result<int>> {
            ignore(co_await sleep(24h), "cut short");
            co_return co_await shield(10s, cleans_up);
        };
        EXPECT_EQ(block_on(engine, within(1s, run)), 1);
        EXPECT_EQ(engine.now(), 4s);
        auto too_long = []() -> Task<Result<int>> { co_return co_await slow(24h); };
        auto never_ends = [too_long]() -> Task<Result<int>> {
            co_return co_await shield(10s, too_long);
        };
        const auto late = block_on(engine, within(1s, never_ends));
        EXPECT_TRUE(!late && late.error() == Errc::timed_out);
        EXPECT_EQ(engine.now(), 15s) << "the grace counts from the cancellation";
    });
}

TEST(Shield, HasDeadlinesOfItsOwnInside) {
    on_seeds(5, [](Engine& engine) {
        auto inside = []() -> Task<Result<int>> { co_return co_await within(1ms, slow, 24h); };
        auto run = [inside]() -> Task<Result<int>> { co_return co_await shield(1h, inside); };
        const auto late = block_on(engine, run());
        EXPECT_TRUE(!late && late.error() == Errc::timed_out);
        EXPECT_EQ(engine.now(), 1ms);
    });
}

TEST(Checkpoint, SaysWhetherItIsCancelledAndLetsOthersGo) {
    on_both_engines([](Engine& engine) {
        auto computes = []() -> Task<Result<int>> {
            for (;;)
                co_await or_return(co_await checkpoint());
        };
        auto waits_first = [computes]() -> Task<Result<int>> {
            ignore(co_await sleep(24h), "cut short");
            co_return co_await computes();
        };
        const auto late = block_on(engine, within(1ms, waits_first));
        EXPECT_TRUE(!late && late.error() == Errc::timed_out);
        auto counts = []() -> Task<Result<int>> {
            int rounds = 0;
            for (; rounds < 1000; ++rounds)
                co_await or_return(co_await checkpoint());
            co_return rounds;
        };
        EXPECT_EQ(block_on(engine, counts()), 1000);
    });
}

TEST(Within, LeavesItsScopeWhenTheFunctionThrows) {
    on_both_engines([](Engine& engine) {
        auto fails = []() -> Task<Result<int>> {
            co_await yield();
            throw std::runtime_error("on purpose");
        };
        auto run = [fails]() -> Task<> {
            bool caught = false;
            try {
                ignore(co_await within(1h, fails), "a test");
            } catch (const std::runtime_error&) {
                caught = true;
            }
            EXPECT_TRUE(caught);
            const auto slept = co_await sleep(1us);
            EXPECT_TRUE(slept.has_value());
        };
        block_on(engine, run());
    });
}

}  // namespace
}  // namespace troupe
