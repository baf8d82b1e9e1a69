#include <troupe/scheduler/engine.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/channel.hpp>
#include <troupe/task/generator.hpp>
#include <troupe/task/internal/test_engines.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/sync.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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

constexpr std::size_t kSeeds = 50;

// ---- awaits that need not wait
// -------------------------------------------------------------------

/// Awaits what is always there until somebody else has had a turn, and says how often.
template <class Await>
int awaits_until_another_runs(Engine& engine, Await await) {
    int awaits = 0;
    block_on(engine, [](int* count, Await* once) -> Task<> {
        bool another_ran = false;
        auto group = task_group<void>(all_settled());
        auto busy = [](const bool* over, int* counted, Await* step) -> Task<> {
            for (; !*over && *counted < 100'000; ++*counted)
                co_await (*step)();
        };
        auto other = [](bool* over) -> Task<> {
            co_await yield();
            *over = true;
        };
        group.add(busy, &another_ran, count, once);
        group.add(other, &another_ran);
        ignore(co_await group.run(), "a test");
    }(&awaits, &await));
    return awaits;
}

TEST(AwaitBudget, WhatIsAlwaysReadyLetsTheOthersGoAfterAWhile) {
    // One worker, which is fair; a schedule of the simulator need not be.
    const std::unique_ptr<Engine> one_worker = make_threaded_engine({.workers = 1});
    Engine& engine = *one_worker;
    Event event;
    event.set();
    const auto wait = [&event]() -> Task<> { ignore(co_await event.wait(), "a test"); };
    EXPECT_LE(awaits_until_another_runs(engine, wait), 1000);
    Semaphore semaphore(1);
    const auto acquire = [&semaphore]() -> Task<> {
        const auto permit = co_await semaphore.acquire();
        EXPECT_TRUE(permit.has_value());
    };
    EXPECT_LE(awaits_until_another_runs(engine, acquire), 1000);
    auto [sender, receiver] = channel<int>(4);
    const auto pass_on = [&s = sender, &r = receiver]() -> Task<> {
        EXPECT_TRUE(co_await s.send(1));
        EXPECT_TRUE(co_await r.receive());
    };
    EXPECT_LE(awaits_until_another_runs(engine, pass_on), 1000);
}

// ---- semaphore and mutex ------------------------------------------------------------------------

Task<> visit(Borrow<Semaphore> slots, Borrow<std::atomic<int>> inside, int most) {
    const auto permit = co_await slots->acquire();
    EXPECT_TRUE(permit.has_value());
    EXPECT_LE(inside->fetch_add(1) + 1, most);
    co_await yield();
    inside->fetch_sub(1);
}

TEST(Semaphore, LetsInSoManyAtATime) {
    on_both_engines(
        [](Engine& engine) {
            block_on(engine, []() -> Task<> {
                Semaphore slots(3);
                std::atomic<int> inside{0};
                auto group = task_group<void>(all_settled());
                for (int i = 0; i < 50; ++i)
                    group.add(visit, borrow(slots), borrow(inside), 3);
                ignore(co_await group.run(), "a test");
                EXPECT_EQ(slots.available(), 3U);
            }());
        },
        kSeeds);
}

TEST(Semaphore, ServesInTheOrderOfComingAndPassesNobodyBy) {
    on_seeds(kSeeds, [](Engine& engine) {
        std::vector<int> order;
        block_on(engine, [](std::vector<int>* into) -> Task<> {
            Semaphore slots(2);
            auto held = co_await slots.acquire(2);
            auto group = task_group<void>(all_settled());
            // The second wants both, so the third, who would be content with one, waits behind it.
            const std::vector<std::uint64_t> wanted{1, 2, 1};
            for (int i = 0; i < 3; ++i) {
                group.add(
                    [](Borrow<Semaphore> s, int number, std::uint64_t count, auto* to) -> Task<> {
                        ignore(co_await sleep(number * 1ms), "in this order");
                        const auto permit = co_await s->acquire(count);
                        to->push_back(number);
                        ignore(co_await sleep(1s), "a test");
                    },
                    borrow(slots), i, wanted[static_cast<std::size_t>(i)], into);
            }
            group.add(
                [](Permit* permit) -> Task<> {
                    ignore(co_await sleep(10ms), "a test");
                    permit->release();
                },
                &*held);
            ignore(co_await group.run(), "a test");
        }(&order));
        EXPECT_THAT(order, ElementsAre(0, 1, 2));
        EXPECT_EQ(engine.now(), 3s + 10ms);
    });
}

TEST(Semaphore, IsLeftByWhoeverIsCancelledAndNothingIsLost) {
    on_seeds(kSeeds, [](Engine& engine) {
        block_on(engine, []() -> Task<> {
            Semaphore slots(1);
            auto held = co_await slots.acquire();
            auto want = [&slots]() -> Task<Result<int>> {
                const auto permit = co_await slots.acquire();
                if (!permit) co_return std::unexpected(permit.error());
                co_return 1;
            };
            const auto late = co_await within(1ms, want);
            EXPECT_TRUE(!late && late.error() == Errc::timed_out);
            held->release();
            const auto now = co_await within(1ms, want);
            EXPECT_EQ(now, 1);
            EXPECT_EQ(slots.available(), 1U);
            const auto too_many = co_await slots.acquire(2);
            EXPECT_TRUE(!too_many && too_many.error() == Errc::unreachable);
        }());
    });
}

TEST(Semaphore, GivesNothingToThoseWhoAreCancelledInTheSameInstant) {
    on_both_engines(
        [](Engine& engine) {
            block_on(engine, []() -> Task<> {
                Semaphore slots(2);
                for (int round = 0; round < 20; ++round) {
                    auto group = task_group<int>(quorum(3));
                    for (int i = 0; i < 10; ++i) {
                        group.add(
                            [](Borrow<Semaphore> s) -> Task<Result<int>> {
                                const auto permit = co_await s->acquire();
                                if (!permit) co_return std::unexpected(permit.error());
                                co_await yield();
                                co_return 1;
                            },
                            borrow(slots));
                    }
                    const auto three = co_await group.run();
                    EXPECT_TRUE(three.has_value());
                    EXPECT_EQ(slots.available(), 2U);
                }
            }());
        },
        kSeeds);
}

TEST(TaskMutex, IsHeldOverWaits) {
    on_both_engines(
        [](Engine& engine) {
            const int count = block_on(engine, []() -> Task<int> {
                TaskMutex mutex;
                int unguarded = 0;
                auto group = task_group<void>(all_settled());
                for (int i = 0; i < 20; ++i) {
                    group.add(
                        [](Borrow<TaskMutex> m, Borrow<int> n) -> Task<> {
                            const auto held = co_await m->lock();
                            EXPECT_TRUE(held.has_value());
                            const int before = *n;
                            co_await yield();
                            *n = before + 1;
                        },
                        borrow(mutex), borrow(unguarded));
                }
                ignore(co_await group.run(), "a test");
                co_return unguarded;
            }());
            EXPECT_EQ(count, 20);
        },
        kSeeds);
}

// ---- event, barrier, once -----------------------------------------------------------------------

TEST(Event, LetsEverybodyThroughOnceItIsSet) {
    on_both_engines(
        [](Engine& engine) {
            block_on(engine, []() -> Task<> {
                Event ready;
                std::atomic<int> through{0};
                auto group = task_group<void>(all_successful());
                for (int i = 0; i < 10; ++i) {
                    group.add(
                        [](Borrow<Event> e, Borrow<std::atomic<int>> n) -> Task<Result<void>> {
                            co_await or_return(co_await e->wait());
                            n->fetch_add(1);
                            co_return Result<void>();
                        },
                        borrow(ready), borrow(through));
                }
                group.add(
                    [](Borrow<Event> e) -> Task<> {
                        co_await yield();
                        e->set();
                    },
                    borrow(ready));
                EXPECT_TRUE((co_await group.run()).has_value());
                EXPECT_EQ(through.load(), 10);
                EXPECT_TRUE((co_await ready.wait()).has_value());
                ready.reset();
                auto wait = [&ready]() -> Task<Result<void>> { co_return co_await ready.wait(); };
                const auto late = co_await within(10us, wait);
                EXPECT_TRUE(!late && late.error() == Errc::timed_out);
            }());
        },
        kSeeds);
}

TEST(Barrier, LetsAllThroughTogetherAgainAndAgain) {
    on_both_engines(
        [](Engine& engine) {
            block_on(engine, []() -> Task<> {
                Barrier barrier(4);
                std::atomic<int> arrived{0};
                auto group = task_group<void>(all_successful());
                for (int i = 0; i < 4; ++i) {
                    group.add(
                        [](Borrow<Barrier> b, Borrow<std::atomic<int>> n) -> Task<Result<void>> {
                            for (int round = 1; round <= 5; ++round) {
                                n->fetch_add(1);
                                co_await or_return(co_await b->arrive_and_wait());
                                EXPECT_GE(n->load(), round * 4);
                            }
                            co_return Result<void>();
                        },
                        borrow(barrier), borrow(arrived));
                }
                EXPECT_TRUE((co_await group.run()).has_value());
            }());
        },
        kSeeds);
}

TEST(Barrier, DoesNotCountWhoeverIsCancelled) {
    on_seeds(kSeeds, [](Engine& engine) {
        block_on(engine, []() -> Task<> {
            Barrier barrier(2);
            auto arrive = [&barrier]() -> Task<Result<void>> {
                co_return co_await barrier.arrive_and_wait();
            };
            const auto alone = co_await within(1ms, arrive);
            EXPECT_TRUE(!alone && alone.error() == Errc::timed_out);
            const auto still_alone = co_await within(1ms, arrive);
            EXPECT_TRUE(!still_alone && still_alone.error() == Errc::timed_out);
        }());
    });
}

using Count = Borrow<std::atomic<int>>;

/// Opens the shop, which fails the first time.
Task<Result<void>> open_once(Borrow<Once> once, Count done, Count tried) {
    auto open = [done, tried]() -> Task<Result<void>> {
        co_await yield();
        if (tried->fetch_add(1) == 0) co_return error(Errc::failed, "not yet");
        done->fetch_add(1);
        co_return Result<void>();
    };
    co_return co_await once->run(open);
}

TEST(Once, IsDoneOnceAndTheOthersWaitForIt) {
    on_both_engines(
        [](Engine& engine) {
            block_on(engine, []() -> Task<> {
                Once once;
                std::atomic<int> times{0};
                std::atomic<int> tries{0};
                auto group = task_group<void>(all_settled());
                for (int i = 0; i < 10; ++i)
                    group.add(open_once, borrow(once), borrow(times), borrow(tries));
                const auto all = co_await group.run();
                EXPECT_EQ(std::ranges::count_if(all, [](const auto& r) { return !r; }), 1);
                EXPECT_EQ(times.load(), 1);
                EXPECT_EQ(tries.load(), 2);
            }());
        },
        kSeeds);
}

// ---- channel ------------------------------------------------------------------------------------

Task<> produce(int n, Sender<int> out) {
    for (int i = 1; i <= n; ++i) {
        const auto sent = co_await out.send(i);
        if (!sent) co_return;
    }
}
Task<> square(Receiver<int> in, Sender<int> out) {
    while (auto n = co_await in.next()) {
        const auto sent = co_await out.send(*n * *n);
        if (!sent) co_return;
    }
}

TEST(Channel, JoinsStagesInOrder) {
    on_both_engines(
        [](Engine& engine) {
            const int sum = block_on(engine, []() -> Task<int> {
                int total = 0;
                auto [numbers_out, numbers] = channel<int>(4);
                auto [squares_out, squares] = channel<int>(1);
                auto group = task_group<void>(all_successful());
                group.add(produce, 100, std::move(numbers_out));
                group.add(square, std::move(numbers), std::move(squares_out));
                group.add(
                    [](Receiver<int> in, Borrow<int> to) -> Task<> {
                        int expected = 1;
                        while (auto n = co_await in.next()) {
                            EXPECT_EQ(*n, expected * expected);
                            ++expected;
                            *to += *n;
                        }
                    },
                    std::move(squares), borrow(total));
                EXPECT_TRUE((co_await group.run()).has_value());
                co_return total;
            }());
            EXPECT_EQ(sum, 338'350);
        },
        kSeeds);
}

TEST(Channel, HoldsNoMoreThanItsCapacity) {
    on_seeds(kSeeds, [](Engine& engine) {
        block_on(engine, []() -> Task<> {
            auto [out, in] = channel<int>(2);
            EXPECT_TRUE((co_await out.send(1)).has_value());
            EXPECT_TRUE((co_await out.send(2)).has_value());
            auto third = [&out]() -> Task<Result<void>> { co_return co_await out.send(3); };
            const auto full = co_await within(1ms, third);
            EXPECT_TRUE(!full && full.error() == Errc::timed_out);
            EXPECT_EQ(co_await in.next(), 1);
            EXPECT_TRUE((co_await out.send(4)).has_value());
            EXPECT_EQ(co_await in.next(), 2);
            EXPECT_EQ(co_await in.next(), 4) << "what was cancelled was not sent";
        }());
    });
}

TEST(Channel, TellsEachHalfWhenTheOtherIsGone) {
    on_both_engines([](Engine& engine) {
        block_on(engine, []() -> Task<> {
            auto [out, in] = channel<std::unique_ptr<int>>(2);
            EXPECT_TRUE((co_await out.send(std::make_unique<int>(7))).has_value());
            out.close();
            const auto last = co_await in.next();
            EXPECT_EQ(**last, 7);
            const auto none = co_await in.next();
            EXPECT_FALSE(none.has_value());
            const auto why = co_await in.receive();
            EXPECT_TRUE(!why && why.error() == Errc::closed);

            auto [lonely, nobody] = channel<int>(1);
            nobody.close();
            const auto lost = co_await lonely.send(1);
            EXPECT_TRUE(!lost && lost.error() == Errc::closed);
        }());
    });
}

TEST(Channel, WakesASenderWhoseReceiverGoes) {
    on_both_engines(
        [](Engine& engine) {
            block_on(engine, []() -> Task<> {
                auto [out, in] = channel<int>(1);
                auto group = task_group<void>(all_settled());
                group.add(produce, 1'000'000, std::move(out));
                group.add(
                    [](Receiver<int> from) -> Task<> {
                        for (int i = 0; i < 10; ++i)
                            ignore(co_await from.next(), "a test");
                    },
                    std::move(in));
                ignore(co_await group.run(), "it ends");
            }());
        },
        kSeeds);
}

// ---- generator ----------------------------------------------------------------------------------

AsyncGenerator<int> count_to(int n, bool waits) {
    for (int i = 1; i <= n; ++i) {
        if (waits) ignore(co_await sleep(1us), "a test");
        co_yield i;
    }
}
AsyncGenerator<std::string> fails_after_one() {
    co_yield "one";
    co_await yield();
    throw std::runtime_error("on purpose");
}

TEST(AsyncGenerator, GivesValuesAndMayWaitInBetween) {
    on_both_engines([](Engine& engine) {
        for (const bool waits : {false, true}) {
            const int sum = block_on(engine, [](bool w) -> Task<int> {
                int total = 0;
                auto numbers = count_to(100, w);
                while (auto n = co_await numbers.next())
                    total += *n;
                EXPECT_FALSE((co_await numbers.next()).has_value());
                co_return total;
            }(waits));
            EXPECT_EQ(sum, 5050);
        }
    });
}

TEST(AsyncGenerator, ThrowsToWhoeverAsksForTheNext) {
    on_both_engines([](Engine& engine) {
        block_on(engine, []() -> Task<> {
            auto texts = fails_after_one();
            EXPECT_EQ(co_await texts.next(), "one");
            bool thrown = false;
            try {
                ignore(co_await texts.next(), "a test");
            } catch (const std::runtime_error&) {
                thrown = true;
            }
            EXPECT_TRUE(thrown);
            EXPECT_FALSE((co_await texts.next()).has_value());
        }());
    });
}

TEST(AsyncGenerator, EndsWhereItStandsWhenItIsDropped) {
    on_both_engines([](Engine& engine) {
        block_on(engine, []() -> Task<> {
            auto numbers = count_to(100, true);
            EXPECT_EQ(co_await numbers.next(), 1);
        }());
    });
}

}  // namespace
}  // namespace troupe
