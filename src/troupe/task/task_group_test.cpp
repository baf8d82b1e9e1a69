#include <troupe/scheduler/engine.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/for_each.hpp>
#include <troupe/task/internal/test_engines.hpp>
#include <troupe/task/race.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
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
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kSeeds = 50;

enum class ShopErrc { sold_out = 1, closed_today };

Task<Result<int>> after(Duration pause, int value) {
    co_await or_return(co_await sleep(pause));
    co_return value;
}
Task<Result<int>> fails_after(Duration pause, ShopErrc code, std::string text) {
    co_await or_return(co_await sleep(pause));
    co_return error(code, std::move(text));
}
Task<int> at_once(int value) {
    co_return value;
}
Task<int> throws(std::string text) {
    co_await yield();
    throw std::runtime_error(text);
}

// ---- what a group is ----------------------------------------------------------------------------

TEST(TaskGroup, RunsNothingBeforeRunAndNothingIsLeftOfOneThatNeverRuns) {
    on_both_engines([](Engine& engine) {
        bool ran = false;
        block_on(engine, [](bool* flag) -> Task<> {
            auto group = task_group<void>(all_settled());
            group.add(
                [](bool* f) -> Task<> {
                    *f = true;
                    co_return;
                },
                flag);
            co_await yield();
        }(&ran));
        EXPECT_FALSE(ran);
    });
}

TEST(TaskGroup, GivesTheResultsInTheOrderOfAdd) {
    on_both_engines(
        [](Engine& engine) {
            const auto all = block_on(engine, []() -> Task<Result<std::vector<int>>> {
                auto group = task_group<int>(all_successful());
                group.add(after, 300us, 1);
                group.add(after, 100us, 2);
                group.add(at_once, 3);
                co_return co_await group.run();
            }());
            ASSERT_TRUE(all.has_value()) << all.error().message();
            EXPECT_THAT(*all, ElementsAre(1, 2, 3));
        },
        kSeeds);
}

TEST(TaskGroup, KeepsClosuresAndArgumentsUntilTheirChildHasEnded) {
    on_both_engines([](Engine& engine) {
        const auto all = block_on(engine, []() -> Task<Result<std::vector<std::string>>> {
            auto group = task_group<std::string>(all_successful());
            {
                std::string owned(100, 'x');
                group.add(
                    [owned](std::string more) -> Task<std::string> {
                        co_await yield();
                        co_return owned + more;
                    },
                    "y");
                std::string viewed(100, 'v');
                group.add(
                    [](std::string_view view) -> Task<std::string> {
                        co_await yield();
                        co_return std::string(view);
                    },
                    std::string_view(viewed));
                group.add(
                    [](std::unique_ptr<int> moved) -> Task<std::string> {
                        co_await yield();
                        co_return std::to_string(*moved);
                    },
                    std::make_unique<int>(7));
            }
            co_return co_await group.run();
        }());
        ASSERT_TRUE(all.has_value());
        EXPECT_THAT(*all, ElementsAre(std::string(100, 'x') + "y", std::string(100, 'v'), "7"));
    });
}

TEST(TaskGroup, LendsWhatTheFrameOwns) {
    on_both_engines([](Engine& engine) {
        const int sum = block_on(engine, []() -> Task<int> {
            std::atomic<int> total{0};
            auto group = task_group<void>(all_successful());
            for (int i = 1; i <= 10; ++i) {
                group.add(
                    [](Borrow<std::atomic<int>> to, int n) -> Task<> {
                        co_await yield();
                        to->fetch_add(n);
                    },
                    borrow(total), i);
            }
            const Result<void> done = co_await group.run();
            co_return done ? total.load() : -1;
        }());
        EXPECT_EQ(sum, 55);
    });
}

TEST(TaskGroup, OfNobodyEndsAtOnce) {
    on_both_engines([](Engine& engine) {
        block_on(engine, []() -> Task<> {
            auto settled = task_group<int>(all_settled());
            const auto none = co_await settled.run();
            EXPECT_TRUE(none.empty());
            auto first = task_group<int>(first_success());
            const auto nobody = co_await first.run();
            EXPECT_TRUE(!nobody && nobody.error() == Errc::unreachable);
            auto wanted = task_group<int>(quorum(1));
            const auto missed = co_await wanted.run();
            EXPECT_TRUE(!missed && missed.error() == Errc::unreachable);
        }());
    });
}

TEST(TaskGroup, RunsTenThousandChildrenAndLeavesNothing) {
    on_both_engines(
        [](Engine& engine) {
            const int sum = block_on(engine, []() -> Task<int> {
                auto group = task_group<int>(all_successful());
                for (int i = 0; i < 10'000; ++i)
                    group.add(at_once, 1);
                const auto all = co_await group.run();
                int total = 0;
                for (const int one : *all)
                    total += one;
                co_return total;
            }());
            EXPECT_EQ(sum, 10'000);
        },
        1);
}

TEST(TaskGroup, NestsAndEachEndsBeforeTheOneOutside) {
    on_both_engines(
        [](Engine& engine) {
            const auto all = block_on(engine, []() -> Task<Result<std::vector<int>>> {
                auto outer = task_group<int>(all_successful());
                for (int i = 0; i < 3; ++i) {
                    outer.add(
                        [](int base) -> Task<Result<int>> {
                            auto inner = task_group<int>(all_successful());
                            inner.add(after, 20us, base);
                            inner.add(at_once, 1);
                            const auto got = co_await or_return(co_await inner.run());
                            co_return got[0] + got[1];
                        },
                        i * 10);
                }
                co_return co_await outer.run();
            }());
            ASSERT_TRUE(all.has_value());
            EXPECT_THAT(*all, ElementsAre(1, 11, 21));
        },
        kSeeds);
}

TEST(TaskGroup, TakesChildrenFromItsChildrenWhileItRuns) {
    on_both_engines(
        [](Engine& engine) {
            const auto sum = block_on(engine, []() -> Task<std::size_t> {
                auto group = task_group<int>(all_settled());
                auto spread = [&group](auto again, int depth) -> Task<int> {
                    if (depth > 0) {
                        group.add(again, again, depth - 1);
                        group.add(again, again, depth - 1);
                    }
                    co_return depth;
                };
                group.add(spread, spread, 4);
                const auto all = co_await group.run();
                co_return all.size();
            }());
            EXPECT_EQ(sum, 31U);
        },
        kSeeds);
}

// ---- joiners ------------------------------------------------------------------------------------

TEST(AllSuccessful, CancelsTheOthersOnTheFirstFailureAndWaitsForThem) {
    on_both_engines(
        [](Engine& engine) {
            int cleaned_up = 0;
            const auto all = block_on(engine, [](int* ended) -> Task<Result<std::vector<int>>> {
                auto group = task_group<int>(all_successful());
                group.add(fails_after, 10us, ShopErrc::sold_out, "no bread");
                group.add(
                    [](int* e) -> Task<Result<int>> {
                        const auto slept = co_await sleep(24h);
                        EXPECT_TRUE(!slept && slept.error() == Errc::cancelled);
                        ++*e;
                        co_return std::unexpected(slept.error());
                    },
                    ended);
                co_return co_await group.run();
            }(&cleaned_up));
            ASSERT_FALSE(all.has_value());
            EXPECT_TRUE(all.error() == ShopErrc::sold_out) << all.error().message();
            EXPECT_EQ(all.error().text(), "no bread") << "the cancelled one is not what went wrong";
            EXPECT_EQ(cleaned_up, 1);
        },
        kSeeds);
}

TEST(AllSuccessful, NamesEveryFailure) {
    on_seeds(kSeeds, [](Engine& engine) {
        const auto all = block_on(engine, []() -> Task<Result<std::vector<int>>> {
            auto group = task_group<int>(all_successful());
            // Cancelled, each fails in its own way while it cleans up.
            for (const char* text : {"no milk", "no eggs"}) {
                group.add(
                    [](std::string what) -> Task<Result<int>> {
                        ignore(co_await sleep(1h), "a test");
                        co_return error(ShopErrc::closed_today, what);
                    },
                    text);
            }
            group.add(fails_after, 1ms, ShopErrc::sold_out, "no bread");
            co_return co_await group.run();
        }());
        ASSERT_FALSE(all.has_value());
        EXPECT_TRUE(all.error() == ShopErrc::sold_out) << "the first is the one it is about";
        EXPECT_EQ(all.error().text(), "3 of 3 failed: no milk; no eggs; no bread");
    });
}

TEST(AllSuccessful, OfNothingButSuccessGivesAPlainResult) {
    on_both_engines([](Engine& engine) {
        const Result<void> done = block_on(engine, []() -> Task<Result<void>> {
            auto group = task_group<void>(all_successful());
            group.add(at_once, 1);  // whatever it gives
            group.add([]() -> Task<> { co_await yield(); });
            co_return co_await group.run();
        }());
        EXPECT_TRUE(done.has_value());
    });
}

TEST(TaskGroup, MakesWhatAChildThrowsItsFailure) {
    on_both_engines([](Engine& engine) {
        const auto all = block_on(engine, []() -> Task<std::vector<Result<int>>> {
            auto group = task_group<int>(all_settled());
            group.add(throws, "on purpose");
            group.add(at_once, 1);
            co_return co_await group.run();
        }());
        ASSERT_EQ(all.size(), 2U);
        ASSERT_FALSE(all[0].has_value());
        EXPECT_TRUE(all[0].error() == Errc::failed);
        EXPECT_THAT(all[0].error().text(), HasSubstr("on purpose"));
        EXPECT_EQ(*all[1], 1);
    });
}

TEST(FirstSuccess, IsTheFirstValueAndTheOthersAreCancelled) {
    on_seeds(kSeeds, [](Engine& engine) {
        const Duration before = engine.now();
        const auto first = block_on(engine, []() -> Task<Result<int>> {
            auto group = task_group<int>(first_success());
            group.add(fails_after, 1ms, ShopErrc::sold_out, "no");
            group.add(after, 1h, 1);
            group.add(after, 5ms, 2);
            co_return co_await group.run();
        }());
        EXPECT_EQ(first, 2);
        EXPECT_EQ(engine.now() - before, 5ms);
    });
}

TEST(FirstSuccess, SaysHowAllHaveFailed) {
    on_both_engines([](Engine& engine) {
        const auto first = block_on(engine, []() -> Task<Result<int>> {
            auto group = task_group<int>(first_success());
            group.add(fails_after, 10us, ShopErrc::sold_out, "no bread");
            group.add(fails_after, 20us, ShopErrc::sold_out, "no milk");
            co_return co_await group.run();
        }());
        ASSERT_FALSE(first.has_value());
        EXPECT_TRUE(first.error() == Errc::unreachable);
        EXPECT_EQ(first.error().text(), "none succeeded: no bread; no milk");
    });
}

TEST(FirstCompleted, IsWhatEndsFirstWhateverItGives) {
    on_seeds(kSeeds, [](Engine& engine) {
        const auto first = block_on(engine, []() -> Task<Result<int>> {
            auto group = task_group<int>(first_completed());
            group.add(after, 1h, 1);
            group.add(fails_after, 1ms, ShopErrc::sold_out, "no");
            co_return co_await group.run();
        }());
        ASSERT_FALSE(first.has_value());
        EXPECT_TRUE(first.error() == ShopErrc::sold_out);
    });
}

TEST(Quorum, GivesSoManyValuesAndCancelsTheRest) {
    on_seeds(kSeeds, [](Engine& engine) {
        const auto got = block_on(engine, []() -> Task<Result<std::vector<int>>> {
            auto group = task_group<int>(quorum(2));
            group.add(after, 3ms, 1);
            group.add(fails_after, 1ms, ShopErrc::sold_out, "no");
            group.add(after, 2ms, 3);
            group.add(after, 24h, 4);
            co_return co_await group.run();
        }());
        ASSERT_TRUE(got.has_value());
        EXPECT_THAT(*got, ElementsAre(1, 3));
        EXPECT_EQ(engine.now(), 3ms);
    });
}

TEST(Quorum, EndsAsSoonAsItCannotBeReached) {
    on_seeds(kSeeds, [](Engine& engine) {
        const auto got = block_on(engine, []() -> Task<Result<std::vector<int>>> {
            auto group = task_group<int>(quorum(2));
            group.add(after, 24h, 1);
            group.add(fails_after, 1ms, ShopErrc::sold_out, "no bread");
            group.add(fails_after, 2ms, ShopErrc::sold_out, "no milk");
            co_return co_await group.run();
        }());
        ASSERT_FALSE(got.has_value());
        EXPECT_TRUE(got.error() == Errc::unreachable);
        EXPECT_EQ(got.error().text(),
                  "0 of the 2 wanted succeeded: no bread; no milk; 1 cancelled");
        EXPECT_EQ(engine.now(), 2ms);
    });
}

TEST(Until, CancelsTheRestWhenThePredicateHolds) {
    on_seeds(kSeeds, [](Engine& engine) {
        const auto all = block_on(engine, []() -> Task<std::vector<Result<int>>> {
            auto group = task_group<int>(
                until([](const Result<int>& result) { return result && *result > 1; }));
            group.add(after, 1ms, 1);
            group.add(after, 2ms, 2);
            group.add(after, 24h, 3);
            co_return co_await group.run();
        }());
        ASSERT_EQ(all.size(), 3U);
        EXPECT_EQ(all[0], 1);
        EXPECT_EQ(all[1], 2);
        EXPECT_TRUE(!all[2] && all[2].error() == Errc::cancelled);
    });
}

/// A joiner of one's own: the sum, until it is large enough.
class SumUpTo {
public:
    template <class T>
    using Output = T;
    explicit SumUpTo(int goal) : goal_(goal) {}
    template <class T>
    bool enough(const Result<T>& result) {
        sum_ += result ? *result : 0;
        return sum_ >= goal_;
    }
    template <class T>
    Output<T> finish(std::vector<Result<T>>) {
        return sum_;
    }

private:
    int goal_;
    int sum_ = 0;
};

TEST(TaskGroup, TakesAJoinerOfOnesOwn) {
    on_seeds(kSeeds, [](Engine& engine) {
        const int sum = block_on(engine, []() -> Task<int> {
            auto group = task_group<int>(SumUpTo(7));
            for (int i = 1; i < 100; ++i)
                group.add(after, i * 1ms, i);
            co_return co_await group.run();
        }());
        EXPECT_EQ(sum, 10);  // 1 + 2 + 3 + 4
    });
}

// ---- the order of ending ------------------------------------------------------------------------

TEST(RunEach, HandsOverEveryResultAsSoonAsItIsThere) {
    on_seeds(kSeeds, [](Engine& engine) {
        std::vector<std::pair<std::size_t, Duration>> seen;
        const auto all =
            block_on(engine, [](Engine* clock, auto* into) -> Task<Result<std::vector<int>>> {
                auto group = task_group<int>(all_successful());
                group.add(after, 3ms, 1);
                group.add(after, 1ms, 2);
                group.add(after, 2ms, 3);
                auto note = [clock, into](std::size_t index, const Result<int>&) {
                    into->emplace_back(index, clock->now());
                };
                co_return co_await group.run_each(note);
            }(&engine, &seen));
        EXPECT_THAT(*all, ElementsAre(1, 2, 3));
        EXPECT_EQ(seen,
                  (std::vector<std::pair<std::size_t, Duration>>{{1, 1ms}, {2, 2ms}, {0, 3ms}}));
    });
}

TEST(RunEach, HandsOverAllOfManyOnceWhenTheReceiverIsSlow) {
    on_both_engines(
        [](Engine& engine) {
            std::vector<int> times(500, 0);
            block_on(engine, [](std::vector<int>* into) -> Task<> {
                auto group = task_group<int>(all_settled());
                for (int i = 0; i < 500; ++i)
                    group.add(at_once, i);
                auto note = [into](std::size_t index, const Result<int>& result) -> Task<> {
                    co_await yield();
                    EXPECT_EQ(*result, static_cast<int>(index));
                    ++(*into)[index];
                };
                ignore(co_await group.run_each(note), "a test");
            }(&times));
            EXPECT_THAT(times, testing::Each(1));
        },
        10);
}

TEST(RunEach, EndsTheChildrenWhenTheReceiverThrows) {
    on_seeds(kSeeds, [](Engine& engine) {
        auto run = []() -> Task<> {
            auto group = task_group<int>(all_settled());
            group.add(at_once, 1);
            group.add(after, 24h, 2);
            auto fail = [](std::size_t, const Result<int>&) { throw std::runtime_error("no"); };
            ignore(co_await group.run_each(fail), "a test");
        };
        EXPECT_THROW(block_on(engine, run()), std::runtime_error);
        EXPECT_LT(engine.now(), 1h);
    });
}

// ---- ending before the end ----------------------------------------------------------------------

TEST(TaskGroup, CancelsItsChildrenWhenItsTimeIsUp) {
    on_seeds(kSeeds, [](Engine& engine) {
        const auto all = block_on(engine, []() -> Task<Result<std::vector<int>>> {
            auto group = task_group<int>(all_successful());
            group.within(5ms);
            group.add(after, 24h, 1);
            group.add(at_once, 2);
            co_return co_await group.run();
        }());
        ASSERT_FALSE(all.has_value());
        EXPECT_TRUE(all.error() == Errc::timed_out) << all.error().message();
        EXPECT_THAT(all.error().text(), HasSubstr("within 5 ms"));
        EXPECT_EQ(engine.now(), 5ms);
    });
}

TEST(TaskGroup, WaitsForChildrenThatAreSlowToEndWhenCancelled) {
    on_seeds(kSeeds, [](Engine& engine) {
        block_on(engine, []() -> Task<> {
            bool ended = false;
            auto group = task_group<void>(all_settled());
            group.within(5ms);
            group.add(
                [](bool* e) -> Task<> {
                    ignore(co_await sleep(24h), "a test");
                    auto clean_up = []() -> Task<> { ignore(co_await sleep(1s), "a test"); };
                    co_await shield(10s, clean_up);
                    *e = true;
                },
                &ended);
            ignore(co_await group.run(), "a test");
            EXPECT_TRUE(ended);
        }());
        EXPECT_EQ(engine.now(), 1s + 5ms);
    });
}

TEST(TaskGroup, CancelsOneChildAlone) {
    on_seeds(kSeeds, [](Engine& engine) {
        const auto all = block_on(engine, []() -> Task<std::vector<Result<int>>> {
            auto group = task_group<int>(all_settled());
            GroupChild first = group.add(after, 24h, 1);
            group.add(
                [](GroupChild other) -> Task<Result<int>> {
                    co_await or_return(co_await sleep(1ms));
                    other.cancel(Error(Errc::closed, "not wanted"));
                    co_return 2;
                },
                first);
            co_return co_await group.run();
        }());
        ASSERT_FALSE(all[0].has_value());
        EXPECT_TRUE(all[0].error() == Errc::cancelled);
        ASSERT_NE(all[0].error().cause(), nullptr);
        EXPECT_EQ(all[0].error().cause()->text(), "not wanted");
        EXPECT_EQ(all[1], 2);
        EXPECT_EQ(engine.now(), 1ms);
    });
}

TEST(TaskGroup, CancelledBeforeItRunsBeginsNobody) {
    on_both_engines([](Engine& engine) {
        const auto all = block_on(engine, []() -> Task<std::vector<Result<int>>> {
            auto group = task_group<int>(all_settled());
            group.add([]() -> Task<int> {
                ADD_FAILURE() << "it has begun";
                co_return 1;
            });
            group.cancel(Error(Errc::closed, "changed my mind"));
            co_return co_await group.run();
        }());
        ASSERT_FALSE(all[0].has_value());
        EXPECT_EQ(all[0].error().text(), "changed my mind");
    });
}

TEST(TaskGroup, EndsServicesWhenTheOthersHaveEnded) {
    on_both_engines(
        [](Engine& engine) {
            const auto all = block_on(engine, []() -> Task<Result<std::vector<int>>> {
                std::atomic<int> beats{0};
                auto group = task_group<int>(all_successful());
                group.add_service(
                    [](Borrow<std::atomic<int>> count) -> Task<> {
                        for (;;) {
                            const auto slept = co_await sleep(10us);
                            if (!slept) co_return;
                            count->fetch_add(1);
                        }
                    },
                    borrow(beats));
                group.add(after, 200us, 1);
                const auto values = co_await group.run();
                EXPECT_GT(beats.load(), 0);
                co_return values;
            }());
            ASSERT_TRUE(all.has_value()) << all.error().message();
            EXPECT_THAT(*all, ElementsAre(1)) << "a service has no value among the others";
        },
        kSeeds);
}

TEST(TaskGroup, HearsOfAServiceThatFails) {
    on_seeds(kSeeds, [](Engine& engine) {
        const auto all = block_on(engine, []() -> Task<Result<std::vector<int>>> {
            auto group = task_group<int>(all_successful());
            group.add_service(fails_after, 1ms, ShopErrc::closed_today, "the till is broken");
            group.add(after, 24h, 1);
            co_return co_await group.run();
        }());
        ASSERT_FALSE(all.has_value());
        EXPECT_TRUE(all.error() == ShopErrc::closed_today);
        EXPECT_EQ(engine.now(), 1ms);
    });
}

TEST(TaskGroup, AskedToStopLetsItsChildrenEndAndCancelsThemAfterTheGrace) {
    on_seeds(kSeeds, [](Engine& engine) {
        block_on(engine, []() -> Task<> {
            auto group = task_group<int>(all_settled());
            group.add([]() -> Task<int> {
                int rounds = 0;
                while (!stopping()) {
                    ignore(co_await sleep(1ms), "a test");
                    ++rounds;
                }
                co_return rounds;
            });
            group.add(after, 24h, 1);
            group.add([&group]() -> Task<int> {
                ignore(co_await sleep(10ms), "a test");
                group.request_stop(1s);
                co_return 0;
            });
            const auto all = co_await group.run();
            EXPECT_TRUE(all[0].has_value()) << "it has ended by itself";
            EXPECT_TRUE(!all[1] && all[1].error() == Errc::cancelled);
        }());
        EXPECT_EQ(engine.now(), 1s + 10ms);
    });
}

TEST(TaskGroup, IsCancelledWithTheFrameItLivesInThroughAllLevels) {
    on_seeds(kSeeds, [](Engine& engine) {
        int ended = 0;
        block_on(engine, [](int* count) -> Task<> {
            auto outer = task_group<int>(all_settled());
            outer.within(5ms);
            outer.add(
                [](int* c) -> Task<Result<int>> {
                    auto inner = task_group<int>(all_successful());
                    inner.add(
                        [](int* n) -> Task<Result<int>> {
                            const auto slept = co_await sleep(24h);
                            ++*n;
                            if (!slept) co_return std::unexpected(slept.error());
                            co_return 1;
                        },
                        c);
                    const auto got = co_await inner.run();
                    ++*c;
                    EXPECT_TRUE(!got && got.error() == Errc::timed_out) << got.error().message();
                    co_return 1;
                },
                count);
            ignore(co_await outer.run(), "a test");
        }(&ended));
        EXPECT_EQ(ended, 2);
        EXPECT_EQ(engine.now(), 5ms);
    });
}

// ---- races and loops ----------------------------------------------------------------------------

TEST(Race, GivesTheFirstToEndAndAwaitsTheLosers) {
    on_seeds(kSeeds, [](Engine& engine) {
        bool loser_ended = false;
        const auto first = block_on(engine, [](bool* ended) -> Task<Result<int>> {
            auto slow = [ended]() -> Task<Result<int>> {
                const auto slept = co_await sleep(24h);
                *ended = true;
                if (!slept) co_return std::unexpected(slept.error());
                co_return 1;
            };
            auto fast = []() -> Task<Result<int>> { co_return co_await after(1ms, 2); };
            co_return co_await race<int>(slow, fast);
        }(&loser_ended));
        EXPECT_EQ(first, 2);
        EXPECT_TRUE(loser_ended);
        EXPECT_EQ(engine.now(), 1ms);
    });
}

TEST(AnyOf, PassesOverFailures) {
    on_seeds(kSeeds, [](Engine& engine) {
        const auto first = block_on(engine, []() -> Task<Result<int>> {
            auto fails = []() -> Task<Result<int>> { co_return error(ShopErrc::sold_out, "no"); };
            auto works = []() -> Task<Result<int>> { co_return co_await after(1ms, 2); };
            co_return co_await any_of<int>(fails, works);
        }());
        EXPECT_EQ(first, 2);
    });
}

TEST(ForEachConcurrent, CallsForEveryItemForSoManyAtATime) {
    on_both_engines(
        [](Engine& engine) {
            std::atomic<int> now{0};
            std::atomic<int> most{0};
            std::atomic<int> sum{0};
            const auto done = block_on(engine, [](auto* n, auto* m, auto* s) -> Task<Result<void>> {
                std::vector<int> items;
                for (int i = 1; i <= 100; ++i)
                    items.push_back(i);
                auto visit = [n, m, s](int item) -> Task<> {
                    const int at_work = n->fetch_add(1) + 1;
                    int known = m->load();
                    while (known < at_work && !m->compare_exchange_weak(known, at_work)) {
                    }
                    ignore(co_await sleep(10us), "a test");
                    s->fetch_add(item);
                    n->fetch_sub(1);
                };
                co_return co_await for_each_concurrent(std::move(items), 5, visit);
            }(&now, &most, &sum));
            EXPECT_TRUE(done.has_value());
            EXPECT_EQ(sum.load(), 5050);
            EXPECT_LE(most.load(), 5);
        },
        10);
}

TEST(ForEachConcurrent, EndsWithTheFirstFailure) {
    on_seeds(kSeeds, [](Engine& engine) {
        int visited = 0;
        const auto done = block_on(engine, [](int* count) -> Task<Result<void>> {
            auto visit = [count](int item) -> Task<Result<void>> {
                co_await or_return(co_await sleep(1ms));
                ++*count;
                if (item == 3) co_return error(ShopErrc::sold_out, "item 3");
                co_return Result<void>();
            };
            std::vector<int> items{1, 2, 3, 4, 5, 6, 7, 8, 9};
            co_return co_await for_each_concurrent(std::move(items), 1, visit);
        }(&visited));
        ASSERT_FALSE(done.has_value());
        EXPECT_TRUE(done.error() == ShopErrc::sold_out);
        EXPECT_EQ(visited, 3);
    });
}

}  // namespace
}  // namespace troupe
