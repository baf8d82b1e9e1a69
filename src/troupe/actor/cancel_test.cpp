#include <troupe/actor/all.hpp>
#include <troupe/actor/internal/test_log.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/scheduler/simulated_engine.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::BodyChooser;
using actor_internal::check_no_blocks_left;
using actor_internal::Log;
using actor_internal::make_log;
using actor_internal::Mark;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::QuietLog;
using actor_internal::run_and_check;
using testing::ElementsAre;
using testing::HasSubstr;

class Store : public Actor {
public:
    explicit Store(Log log) : log_(std::move(log)) {}

    Task<Result<int>> find(int key, Duration pause) {
        log_->push_back("begun");
        const auto slept = co_await sleep(pause);
        log_->push_back(slept ? "found" : std::string(name(Errc::cancelled)));
        if (!slept) {
            why_ = slept.error().message();
            co_return std::unexpected(slept.error());
        }
        co_return key;
    }
    std::string why() { return why_; }
    int ready() { return 1; }

private:
    Log log_;
    std::string why_;
};

class Front : public Actor {
public:
    explicit Front(std::vector<Ref<Store>> stores) : stores_(std::move(stores)) {}

    Task<Result<int>> ask_within(Duration longest, Duration pause) {
        auto find = [](Ref<Store> store, Duration p) -> Task<Result<int>> {
            co_return co_await store.ask<&Store::find>(7, p).within(24h);
        };
        co_return co_await within(longest, find, stores_[0], pause);
    }
    Task<Result<int>> ask_shortly(Duration longest, Duration pause) {
        co_return co_await stores_[0].ask<&Store::find>(7, pause).within(longest);
    }

    /// Groups in groups, asks, sleeps and a shielded clean-up.
    Task<Result<int>> search() {
        auto group = task_group<int>(all_successful());
        for (const Ref<Store> store : stores_)
            group.add(store.ask<&Store::find>(1, 2ms));
        group.add(
            [](Ref<Store> store) -> Task<Result<int>> {
                auto inner = task_group<int>(all_settled());
                inner.within(3ms);
                inner.add([]() -> Task<Result<int>> {
                    const auto slept = co_await sleep(1h);
                    auto clean_up = []() -> Task<> { ignore(co_await sleep(1ms), "cleaning up"); };
                    co_await shield(1s, clean_up);
                    if (!slept) co_return std::unexpected(slept.error());
                    co_return 1;
                });
                inner.add(store.ask<&Store::find>(2, 1ms));
                const auto all = co_await inner.run();
                co_return static_cast<int>(all.size());
            },
            stores_[0]);
        const auto all = co_await or_return(co_await group.run());
        co_return static_cast<int>(all.size());
    }
    int ready() { return 1; }

private:
    std::vector<Ref<Store>> stores_;
};

class Client : public Actor {
public:
    Task<> ask(Ref<Front> front) {
        ignore(co_await front.ask<&Front::search>().within(1h), "a test");
    }
};

// ---- asks ---------------------------------------------------------------------------------------

TEST(Cancellation, GoesAlongWithAnAskToTheHandlerThatIsAtIt) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto store = system->spawn<Store>(log);
        auto front = system->spawn<Front>(std::vector{store});
        const auto late =
            system->block_on(front.ask<&Front::ask_within>(Duration(1ms), Duration(1h)).within(2h));
        ASSERT_FALSE(late.has_value());
        EXPECT_TRUE(late.error() == Errc::timed_out) << late.error().message();
        // The store hears of it in its own time, and is as good as before.
        EXPECT_EQ(system->block_on(store.ask<&Store::ready>().within(1h)), 1);
        EXPECT_THAT(*log, ElementsAre("begun", "cancelled"));
        EXPECT_THAT(*system->block_on(store.ask<&Store::why>()), HasSubstr("whoever asked"));
    });
}

TEST(Cancellation, OfAGroupWhoseTimeIsUpGoesAlongWithTheAsksOfItsChildren) {
    on_seeds(50, [](OwnedSystem& system) {
        const Log log = make_log();
        auto store = system->spawn<Store>(log);
        auto run = [](Ref<Store> s) -> Task<Result<std::vector<int>>> {
            auto group = task_group<int>(all_successful());
            group.within(1ms);
            group.add(s.ask<&Store::find>(7, Duration(1h)));
            co_return co_await group.run();
        };
        const auto late = system->block_on(run(store));
        EXPECT_TRUE(!late && late.error() == Errc::timed_out) << late.error().message();
        EXPECT_EQ(system->block_on(store.ask<&Store::ready>()), 1);
        EXPECT_THAT(*log, ElementsAre("begun", "cancelled"));
        EXPECT_EQ(system->now(), 1ms);
    });
}

TEST(Cancellation, OfAnAskThatWaitsInAMailboxMeansThatItIsNeverBegun) {
    for (const bool managed : {false, true}) {
        on_seeds(20, [=](OwnedSystem& system) {
            const Log log = make_log();
            auto how = options();
            if (managed) how.mailbox(bounded(10).high_priority<&Store::why>());
            auto store = system->spawn<Store>(how, log);
            auto front = system->spawn<Front>(std::vector{store});
            store.tell<&Store::find>(1, Duration(10ms));
            system.settle();
            const auto late = system->block_on(
                front.ask<&Front::ask_within>(Duration(1ms), Duration(1ms)).within(2h));
            EXPECT_TRUE(!late && late.error() == Errc::timed_out);
            EXPECT_EQ(system->block_on(store.ask<&Store::ready>()), 1);
            EXPECT_THAT(*log, ElementsAre("begun", "found")) << "only what was told";
            EXPECT_EQ(system->dead_letters()[DeadLetterReason::expired], 1U);
        });
    }
}

TEST(Cancellation, IsNotWhatAHandlerHearsWhoseAnswerIsLate) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        auto store = system->spawn<Store>(log);
        auto front = system->spawn<Front>(std::vector{store});
        const auto late =
            system->block_on(front.ask<&Front::ask_shortly>(Duration(1ms), Duration(5ms)));
        EXPECT_TRUE(!late && late.error() == Errc::timed_out);
        EXPECT_EQ(system->block_on(store.ask<&Store::ready>()), 1);
        EXPECT_THAT(*log, ElementsAre("begun", "found")) << "it finishes what it has begun";
    });
}

TEST(Deadline, OfWhoeverAsksBoundsTheAsksOfTheHandler) {
    on_seeds(20, [](OwnedSystem& system) {
        auto store = system->spawn<Store>(make_log());
        auto front = system->spawn<Front>(std::vector{store});
        auto impatient = [](System s, Ref<Front> f) -> Task<Duration> {
            const auto late =
                co_await f.ask<&Front::ask_shortly>(Duration(24h), Duration(24h)).within(5ms);
            EXPECT_TRUE(!late && late.error() == Errc::timed_out);
            const auto ready = co_await f.ask<&Front::ready>().within(1h);
            EXPECT_EQ(ready, 1);
            co_return s.now();
        };
        EXPECT_EQ(system->block_on(impatient(*system, front)), 5ms)
            << "the handler's own ask has ended as well, so the actor is free";
    });
}

TEST(All, AsksAtOnceAndGivesEachAnswer) {
    on_both_engines([](OwnedSystem& system) {
        auto one = system->spawn<Store>(make_log());
        auto two = system->spawn<Store>(make_log());
        auto both = [](Ref<Store> a, Ref<Store> b) -> Task<> {
            auto [found, ready] =
                co_await all(a.ask<&Store::find>(5, Duration(1us)), b.ask<&Store::ready>());
            EXPECT_EQ(found, 5);
            EXPECT_EQ(ready, 1);
            auto [gone, again] =
                co_await all(Ref<Store>().ask<&Store::ready>(), b.ask<&Store::ready>());
            EXPECT_TRUE(!gone && gone.error() == Errc::actor_gone);
            EXPECT_EQ(again, 1);
        };
        system->block_on(both(one, two));
    });
}

// ---- groups in actors ---------------------------------------------------------------------------

class Foreman : public Actor {
public:
    explicit Foreman(Log log, bool in_start = false) : log_(std::move(log)), in_start_(in_start) {}

    Task<Result<void>> on_start() override {
        if (in_start_) co_await build();
        co_return Result<void>();
    }
    Task<> build() {
        const Mark frame(log_, "frame");
        auto group = task_group<void>(all_settled());
        group.add(
            [](Log log) -> Task<> {
                const Mark child(log, "child");
                const auto slept = co_await sleep(24h);
                log->push_back(slept ? "slept" : "cancelled");
            },
            log_);
        ignore(co_await group.run(), "a test");
        log_->push_back("run has ended");
    }
    int ready() { return 1; }

private:
    Log log_;
    bool in_start_;
};

TEST(TaskGroupInAnActor, EndsBeforeTheFrameWhenTheActorIsKilled) {
    for (const bool in_start : {false, true}) {
        on_both_engines(
            [=](OwnedSystem& system) {
                const Log log = make_log();
                auto foreman = system->spawn<Foreman>(log, in_start);
                foreman.tell<&Foreman::build>();
                while (system->tasks().empty() || !system->tasks()[0].complete) {
                    if (system->engine().deterministic()) system.settle();
                }
                foreman.stop(Stop::kill);
                actor_internal::wait_for_end(system, foreman);
                EXPECT_THAT(*log, ElementsAre("~child", "~frame")) << "neither was resumed";
                EXPECT_TRUE(system->tasks().empty());
            },
            20);
    }
}

TEST(TaskGroupInAnActor, IsCancelledByAStop) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        auto foreman = system->spawn<Foreman>(log);
        foreman.tell<&Foreman::build>();
        system.settle();
        foreman.stop();
        system.settle();
        EXPECT_THAT(*log, ElementsAre("cancelled", "~child", "run has ended", "~frame"));
        EXPECT_TRUE(system->actors().empty());
    });
}

TEST(TaskGroupInAnActor, KeepsTheActorFromOtherMessagesMeanwhile) {
    on_seeds(20, [](OwnedSystem& system) {
        auto foreman = system->spawn<Foreman>(make_log());
        foreman.tell<&Foreman::build>();
        EXPECT_EQ(system->block_on(foreman.ask<&Foreman::ready>().within(48h)), 1);
        EXPECT_EQ(system->now(), 24h);
    });
}

TEST(Tasks, AreListedWithWhereTheyWaitAndForWhom) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto foreman = system->spawn<Foreman>(make_log());
            foreman.tell<&Foreman::build>();
            std::vector<TaskInfo> tasks;
            std::vector<std::string> trace;
            do {
                if (system->engine().deterministic()) system.settle();
                tasks = system->tasks();
                if (!tasks.empty()) trace = system->backtrace(tasks[0].pid);
            } while (tasks.empty() || !tasks[0].complete || trace.size() < 2);
            ASSERT_EQ(tasks.size(), 1U);
            EXPECT_EQ(tasks[0].state, ActorState::suspended);
            EXPECT_EQ(tasks[0].awaits, "sleep");
            EXPECT_THAT(tasks[0].where, HasSubstr("cancel_test.cpp:"));
            EXPECT_EQ(tasks[0].owner, foreman.pid());
            EXPECT_THAT(trace[0], HasSubstr("waits in sleep at cancel_test.cpp:"));
            EXPECT_THAT(trace[1], HasSubstr("Foreman::build"));
            EXPECT_THAT(trace[1], HasSubstr("waits in group at cancel_test.cpp:"));
            foreman.stop();
        },
        5);
}

TEST(Backtrace, GoesThroughAsksToWhoeverWaitsAtTheTop) {
    on_seeds(5, [](OwnedSystem& system) {
        auto store = system->spawn<Store>(make_log());
        auto front = system->spawn<Front>(std::vector{store});
        auto client = system->spawn<Client>();
        client.tell<&Client::ask>(front);
        system.settle();
        const auto trace = system->backtrace(store.pid());
        // The child of the group, or of the group within it, has asked first.
        ASSERT_GE(trace.size(), 4U);
        EXPECT_THAT(trace[0], HasSubstr("Store::find"));
        EXPECT_THAT(trace[1], HasSubstr("waits in ask"));
        EXPECT_THAT(trace[trace.size() - 2], HasSubstr("Front::search"));
        EXPECT_THAT(trace[trace.size() - 1], HasSubstr("Client::ask"));
        client.stop(Stop::kill);
    });
}

// ---- at every step ------------------------------------------------------------------------------

/// Runs the nested example for so many steps and then ends somebody. False when it had come to its
/// end before.
bool end_after(std::uint64_t steps, std::uint64_t seed, bool the_client) {
    SCOPED_TRACE("after step " + std::to_string(steps) + " of seed " + std::to_string(seed));
    const std::uint64_t live_before = block_pool_stats().live_blocks;
    bool interrupted = true;
    RandomChooser chooser(seed);
    auto engine = make_simulated_engine(chooser);
    SimulatedEngine& simulated = *engine;
    run_and_check(std::move(engine), [&](OwnedSystem& system) {
        const Log log = make_log();
        auto one = system->spawn<Store>(log);
        auto two = system->spawn<Store>(log);
        auto front = system->spawn<Front>(std::vector{one, two});
        auto client = system->spawn<Client>();
        client.tell<&Client::ask>(front);
        for (std::uint64_t i = 0; i < steps && interrupted; ++i)
            interrupted = simulated.step();
        if (the_client) {
            client.stop(Stop::kill);
        } else {
            front.stop(Stop::kill);
        }
        // Whatever was under way ends in a moment; a shield takes a second at most.
        system.advance(2s);
        EXPECT_TRUE(system->tasks().empty());
        if (the_client) {
            EXPECT_EQ(system->block_on(front.ask<&Front::ready>()), 1);
        }
        EXPECT_EQ(system->block_on(one.ask<&Store::ready>()), 1);
        EXPECT_EQ(system->block_on(two.ask<&Store::ready>()), 1);
    });
    check_no_blocks_left(live_before);
    return interrupted;
}

TEST(Cancellation, AtEveryStepOfANestedExampleLeavesNothingBehind) {
    const QuietLog quiet;
    std::size_t runs = 0;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        for (const bool the_client : {true, false}) {
            for (std::uint64_t steps = 1; !HasFailure(); ++steps, ++runs) {
                if (!end_after(steps, seed, the_client)) break;
            }
        }
    }
    EXPECT_GT(runs, 400U);
    std::printf("ended at %zu steps\n", runs);
}

}  // namespace
}  // namespace troupe
