#include <troupe/actor/load.hpp>
#include <troupe/route/internal/test_workers.hpp>
#include <troupe/route/pool.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {

using actor_internal::Gate;
using route_internal::Clerk;

// Named: GCC 12 warns of coroutines of a header that are made for a class of an unnamed one.
namespace pool_test {

using Done = std::shared_ptr<std::atomic<int>>;

/// A worker that can be made to fail, and counts what all of its kind have done.
class Hand : public Clerk {
public:
    explicit Hand(std::shared_ptr<std::atomic<int>> done) : Clerk("hand"), done_(std::move(done)) {}
    void fail() { throw std::runtime_error("broken"); }
    void leave() { self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal)); }
    void count() { done_->fetch_add(1); }
    /// Waits at the gate, and then counts.
    Task<> count_behind(std::shared_ptr<Gate> gate) {
        co_await gate->pass();
        count();
    }
    Task<> count_after(Duration pause) {
        ignore(co_await sleep(pause), "it counts in any case");
        count();
    }

private:
    std::shared_ptr<std::atomic<int>> done_;  // shared by all workers of a test
};

/// Its third one does not start.
class Reluctant : public Actor {
public:
    explicit Reluctant(std::shared_ptr<std::atomic<int>> tried) : tried_(std::move(tried)) {}
    void work() {}

private:
    Task<Result<void>> on_start() override {
        if (tried_->fetch_add(1) == 2) co_return error(Errc::not_found, "no tools left");
        co_return Result<void>();
    }
    std::shared_ptr<std::atomic<int>> tried_;  // shared by all workers of a test
};

}  // namespace pool_test

namespace {

using namespace std::chrono_literals;
using actor_internal::EndWatch;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using pool_test::Done;
using pool_test::Hand;
using pool_test::Reluctant;

constexpr std::size_t kSeeds = 20;

Done make_done() {
    return std::make_shared<std::atomic<int>>(0);
}

void start(OwnedSystem& system, const Pool<Hand>& hands) {
    const Result<void> started = system->block_on(hands.start(*system));
    ASSERT_TRUE(started.has_value()) << started.error().text();
}
void stop(OwnedSystem& system, const Pool<Hand>& hands, Stop strength = Stop::stop) {
    const Result<void> stopped = system->block_on(hands.stop(strength));
    ASSERT_TRUE(stopped.has_value()) << stopped.error().text();
}
PoolInfo info_of(OwnedSystem& system, const Pool<Hand>& hands) {
    Result<PoolInfo> info = system->block_on(hands.info());
    EXPECT_TRUE(info.has_value()) << info.error().text();
    return info.value_or(PoolInfo());
}

/// Asks until it is so. On the deterministic engine time passes meanwhile.
template <class Condition>
PoolInfo wait_until(OwnedSystem& system, const Pool<Hand>& hands, Condition condition) {
    PoolInfo info = info_of(system, hands);
    while (!condition(info) && !testing::Test::HasFailure()) {
        if (system->engine().deterministic()) system.advance(1ms);
        info = info_of(system, hands);
    }
    return info;
}

/// Looks so often that a test need not wait, whatever the machine's pace.
PoolOptions quick(std::size_t min, std::size_t max) {
    return pool_options()
        .name("hands")
        .workers(min, max)
        .look_every(1ms)
        .cooldown(2ms)
        .window(1h)
        .grow_above(5ms)
        .shrink_below(1ms)
        .drain(1h);
}

TEST(Pool, StartsItsMinimumAndSpreadsCallsOverIt) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto hands =
                pool<Hand>(pool_options().workers(3, 5).route(Route::round_robin), make_done());
            EXPECT_EQ(hands.tell<&Hand::count>(), SendStatus::gone) << "not started yet";
            start(system, hands);
            for (int i = 0; i < 6; ++i)
                EXPECT_EQ(hands.tell<&Clerk::work>(i), SendStatus::sent);
            const auto workers = hands.router().members();
            ASSERT_EQ(workers.size(), 3U);
            for (const Ref<Hand>& worker : workers)
                EXPECT_EQ(route_internal::done_by(system, worker), 2);
            EXPECT_TRUE(system->block_on(hands.send<&Clerk::work>(1)).has_value());
            const PoolInfo info = info_of(system, hands);
            EXPECT_EQ(info.size, 3U);
            EXPECT_EQ(info.healthy, 3U);
            EXPECT_TRUE(info.ready());
            EXPECT_NE(to_string(info).find("3 of 3 to 5 workers, 3 healthy"), std::string::npos)
                << to_string(info);
            const Result<void> again = system->block_on(hands.start(*system));
            ASSERT_FALSE(again.has_value());
            EXPECT_EQ(again.error(), Errc::already_registered);
            stop(system, hands);
        },
        kSeeds);
}

TEST(Pool, GoesByAnyRoute) {
    on_both_engines(
        [](OwnedSystem& system) {
            for (const Route route : {Route::power_of_two, Route::round_robin, Route::random,
                                      Route::smallest_mailbox, Route::broadcast}) {
                const auto hands = pool<Hand>(pool_options().workers(2).route(route), make_done());
                start(system, hands);
                EXPECT_EQ(hands.tell<&Clerk::work>(1), SendStatus::sent) << name(route);
                stop(system, hands);
            }
            const auto hands =
                pool<Hand>(pool_options().workers(3).route(Route::consistent_hash), make_done());
            start(system, hands);
            for (int i = 0; i < 5; ++i)
                EXPECT_EQ(hands.by("ann").tell<&Clerk::work>(i), SendStatus::sent);
            EXPECT_EQ(route_internal::done_by(system, *hands.by("ann").pick()), 5);
            stop(system, hands);
        },
        5);
}

TEST(Pool, StartsAWorkerAgainThatFailsAtTheSameAddress) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto hands = pool<Hand>(pool_options().workers(2), make_done());
            start(system, hands);
            const auto before = hands.router().members();
            EXPECT_FALSE(system->block_on(before[0].ask<&Hand::fail>()).has_value());
            const PoolInfo info = wait_until(system, hands, [](const PoolInfo& now) {
                return now.restarts == 1 && now.healthy == 2;
            });
            EXPECT_EQ(info.size, 2U);
            EXPECT_EQ(info.ended, 0U);
            EXPECT_EQ(hands.router().members(), before);
            EXPECT_TRUE(system->block_on(before[0].ask<&Clerk::done>()).has_value());
            stop(system, hands);
        },
        kSeeds);
}

TEST(Pool, IsNotReadyWhileTooFewOfItsWorkersAreHealthy) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto hands = pool<Hand>(
                pool_options().name("hands").workers(2).policy(permanent().backoff(1h, 1h)),
                make_done());
            start(system, hands);
            EXPECT_TRUE(system->block_on(hands.readiness())->ready);
            const auto workers = hands.router().members();
            EXPECT_FALSE(system->block_on(workers[1].ask<&Hand::fail>()).has_value());
            while (load_of(workers[1]).up)
                ignore(system->block_on(workers[0].ask<&Clerk::done>()), "a moment passes");
            EXPECT_FALSE(info_of(system, hands).ready());
            const auto readiness = system->block_on(hands.readiness());
            ASSERT_TRUE(readiness.has_value());
            EXPECT_FALSE(readiness->ready);
            ASSERT_EQ(readiness->missing.size(), 1U);
            EXPECT_EQ(readiness->missing[0], "hands/workers: 1 healthy of at least 2");
            for (int i = 0; i < 5; ++i)
                EXPECT_EQ(*hands.router().pick(), workers[0]) << "nobody between two lives";
            stop(system, hands);
        },
        kSeeds);
}

TEST(Pool, ReplacesAWorkerThatHasEndedForGood) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto hands = pool<Hand>(quick(2, 2).policy(temporary()), make_done());
            start(system, hands);
            const auto before = hands.router().members();
            before[1].tell<&Hand::leave>();
            const PoolInfo info = wait_until(system, hands, [](const PoolInfo& now) {
                return now.ended == 1 && now.size == 2 && now.starting == 0;
            });
            EXPECT_EQ(info.grown, 0U) << "it was made up for, not added";
            const auto after = hands.router().members();
            ASSERT_EQ(after.size(), 2U);
            EXPECT_EQ(after[0], before[0]);
            EXPECT_FALSE(after[1] == before[1]);
            stop(system, hands);
        },
        kSeeds);
}

TEST(Pool, WhoseWorkersDoNotStartSaysWhyAndLeavesNobodyBehind) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto reluctant = pool<Reluctant>(pool_options().workers(4), make_done());
            const Result<void> started = system->block_on(reluctant.start(*system));
            ASSERT_FALSE(started.has_value());
            EXPECT_EQ(started.error(), Errc::start_failed);
            EXPECT_NE(started.error().text().find("no tools left"), std::string::npos)
                << started.error().text();
            EXPECT_EQ(reluctant.tell<&Reluctant::work>(), SendStatus::gone);
            EXPECT_TRUE(reluctant.router().members().empty());
        },
        kSeeds);
}

TEST(Pool, GrowsWhileMessagesWaitForLongUpToItsMaximum) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto done = make_done();
            const auto gate = std::make_shared<Gate>();
            const auto hands = pool<Hand>(quick(1, 4), done);
            start(system, hands);
            for (int i = 0; i < 20; ++i)
                ASSERT_EQ(hands.tell<&Hand::count_behind>(gate), SendStatus::sent);
            gate->wait_until_reached(system);
            // Whoever comes into the pool gets some of it, and has mail that waits as well.
            const PoolInfo info = wait_until(system, hands, [&](const PoolInfo& now) {
                if (now.size < 4) {
                    ignore(hands.tell<&Hand::count_behind>(gate), "as many as are taken");
                }
                return now.size == 4;
            });
            EXPECT_EQ(info.grown, 3U);
            gate->open();
            stop(system, hands, Stop::drain);
        },
        kSeeds);
}

TEST(Pool, ShrinksWhenNothingWaitsAndTheLeavingFinishWhatTheyHave) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto done = make_done();
            const auto gate = std::make_shared<Gate>();
            const auto hands = pool<Hand>(quick(1, 3), done);
            start(system, hands);
            int told = 0;
            const auto give = [&] {
                if (hands.tell<&Hand::count_behind>(gate) == SendStatus::sent) ++told;
            };
            for (int i = 0; i < 5; ++i)
                give();
            wait_until(system, hands, [&](const PoolInfo& now) {
                if (now.size < 3) give();
                return now.size == 3;
            });
            gate->open();
            const PoolInfo info = wait_until(system, hands, [](const PoolInfo& now) {
                return now.size == 1 && now.leaving == 0 && now.starting == 0;
            });
            EXPECT_EQ(info.shrunk, info.grown);
            while (done->load() < told && !testing::Test::HasFailure())
                info_of(system, hands);
            EXPECT_EQ(done->load(), told);
            EXPECT_EQ(system->dead_letters().total(), 0U) << "nobody was stopped with mail left";
            stop(system, hands);
        },
        kSeeds);
}

TEST(Pool, AWorkerThatLeavesGetsNoNewCalls) {
    on_seeds(kSeeds, [](OwnedSystem& system) {
        const auto done = make_done();
        const auto hands = pool<Hand>(quick(1, 2).route(Route::round_robin), done);
        start(system, hands);
        for (int i = 0; i < 40; ++i)
            hands.tell<&Hand::count_after>(1ms);
        wait_until(system, hands, [](const PoolInfo& now) { return now.size == 2; });
        const auto both = hands.router().members();
        wait_until(system, hands, [](const PoolInfo& now) { return now.leaving == 1; });
        const auto left = hands.router().members();
        ASSERT_EQ(left.size(), 1U);
        for (int i = 0; i < 10; ++i)
            EXPECT_EQ(*hands.router().pick(), left[0]);
        const Ref<Hand> leaver = both[0] == left[0] ? both[1] : both[0];
        EXPECT_TRUE(load_of(leaver).there) << "calls that had picked it before still find it";
        EXPECT_EQ(leaver.tell<&Hand::count>(), SendStatus::sent);
        wait_until(system, hands, [](const PoolInfo& now) { return now.leaving == 0; });
        EXPECT_FALSE(load_of(leaver).there);
        EXPECT_EQ(done->load(), 41);
        stop(system, hands);
    });
}

TEST(Pool, ALeavingWorkerThatDoesNotFinishIsStoppedWhenItsTimeIsOver) {
    on_seeds(kSeeds, [](OwnedSystem& system) {
        const auto done = make_done();
        const auto gate = std::make_shared<Gate>();
        const auto hands = pool<Hand>(
            quick(1, 2).route(Route::round_robin).drain(3s).policy(permanent().shutdown(1s)), done);
        start(system, hands);
        for (int i = 0; i < 30; ++i)
            hands.tell<&Hand::count_after>(1ms);
        wait_until(system, hands, [](const PoolInfo& now) { return now.size == 2; });
        const auto both = hands.router().members();
        wait_until(system, hands, [](const PoolInfo& now) { return now.leaving == 1; });
        const auto left = hands.router().members();
        const Ref<Hand> leaver = both[0] == left[0] ? both[1] : both[0];
        // A call that had picked it just before keeps it for ever.
        ASSERT_EQ(leaver.tell<&Hand::count_behind>(gate), SendStatus::sent);
        system.advance(3s + 900ms);
        EXPECT_TRUE(load_of(leaver).there) << "the drain's time, and then the policy's patience";
        EXPECT_EQ(info_of(system, hands).leaving, 1U);
        system.advance(200ms);
        EXPECT_EQ(info_of(system, hands).leaving, 0U);
        EXPECT_FALSE(load_of(leaver).there);
        gate->open();
        stop(system, hands);
    });
}

TEST(Pool, StaysAsItIsBetweenTheThresholds) {
    on_seeds(5, [](OwnedSystem& system) {
        const auto done = make_done();
        auto options = quick(1, 4).grow_above(100ms).shrink_below(1ms).look_every(10ms);
        const auto hands = pool<Hand>(options.window(2s).cooldown(100ms), done);
        start(system, hands);
        // Each message waits for the two before it: 40 ms.
        for (int i = 0; i < 100; ++i) {
            hands.tell<&Hand::count_after>(20ms);
            if (i >= 2) system.advance(20ms);
        }
        const PoolInfo info = info_of(system, hands);
        EXPECT_EQ(info.size, 1U);
        EXPECT_EQ(info.grown, 0U);
        EXPECT_GE(info.dwell_p95, 20ms);
        EXPECT_LE(info.dwell_p95, 60ms);
        stop(system, hands);
    });
}

TEST(Pool, RestsWhileNobodyCalls) {
    on_seeds(5, [](OwnedSystem& system) {
        const auto done = make_done();
        const auto hands = pool<Hand>(quick(2, 4), done);
        start(system, hands);
        hands.tell<&Hand::count>();
        system.advance(1s);
        std::uint64_t before = 0;
        for (const ActorInfo& actor : system->actors())
            before += actor.handled;
        system.advance(1h);
        std::uint64_t after = 0;
        for (const ActorInfo& actor : system->actors())
            after += actor.handled;
        EXPECT_EQ(after, before) << "an idle pool makes no wake-ups";
        hands.tell<&Hand::count>();
        system.advance(1s);
        EXPECT_EQ(done->load(), 2);
        stop(system, hands);
    });
}

/// An actor with a pool of its own.
class Boss : public Actor {
public:
    explicit Boss(Done done) : hands_(pool<Hand>(pool_options().workers(2), std::move(done))) {}
    Pool<Hand> hands() const { return hands_; }

private:
    Task<Result<void>> on_start() override { return hands_.start(*this); }
    Pool<Hand> hands_;
};

TEST(Pool, EndsWithItsOwner) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto boss = system->block_on(system->start<Boss>(make_done()));
            ASSERT_TRUE(boss.has_value());
            const auto hands = system->block_on(boss->ask<&Boss::hands>());
            ASSERT_TRUE(hands.has_value());
            const auto workers = hands->router().members();
            ASSERT_EQ(workers.size(), 2U);
            EndWatch one(system, workers[0]);
            EndWatch two(system, workers[1]);
            boss->stop(Stop::kill);
            one.wait();
            two.wait();
            EXPECT_EQ(hands->tell<&Hand::count>(), SendStatus::gone);
        },
        kSeeds);
}

TEST(Pool, StopsAfterTheMailItHasWhenItIsDrained) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto done = make_done();
            const auto hands = pool<Hand>(quick(2, 2), done);
            start(system, hands);
            for (int i = 0; i < 100; ++i)
                ASSERT_EQ(hands.tell<&Hand::count>(), SendStatus::sent);
            stop(system, hands, Stop::drain);
            EXPECT_EQ(done->load(), 100);
            EXPECT_EQ(system->dead_letters().total(), 0U);
            EXPECT_EQ(hands.tell<&Hand::count>(), SendStatus::gone);
            EXPECT_FALSE(system->block_on(hands.info()).has_value());
        },
        kSeeds);
}

TEST(Pool, IsAPartOfATree) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto hands = pool<Hand>(pool_options().name("hands").workers(2), make_done());
            auto tree = supervisor("app");
            tree.child(hands.supervised());
            const auto running = system->block_on(system->start(std::move(tree)));
            ASSERT_TRUE(running.has_value()) << running.error().text();
            EXPECT_EQ(hands.tell<&Hand::count>(), SendStatus::sent);
            const auto children = system->block_on(running->children());
            ASSERT_TRUE(children.has_value());
            const auto listed = [&](std::string_view path) {
                return std::ranges::any_of(
                    *children, [&](const ChildInfo& child) { return child.path == path; });
            };
            EXPECT_TRUE(listed("app/hands/keeper"));
            EXPECT_TRUE(listed("app/hands/workers/1"));
            EXPECT_EQ(info_of(system, hands).size, 2U);
            EXPECT_TRUE(system->block_on(running->stop()).has_value());
            EXPECT_EQ(hands.tell<&Hand::count>(), SendStatus::gone);
        },
        kSeeds);
}

TEST(Pool, BeginsAnewWhenItsWorkersFailTooOftenAndEndsWhenThatDoesNotHelp) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto hands = pool<Hand>(
                pool_options().workers(2).policy(permanent().intensity(0, 1s)), make_done());
            start(system, hands);
            const auto before = hands.router().members();
            EndWatch watch(system, hands.actor());
            before[0].tell<&Hand::fail>();
            while (std::ranges::any_of(before, [](const auto& ref) { return load_of(ref).there; }))
                ignore(system->block_on(hands.info()), "a moment passes");
            // Others have taken their place, behind the same handle.
            while (hands.router().size() < 2)
                ignore(system->block_on(hands.info()), "a moment passes");
            EXPECT_EQ(hands.tell<&Hand::count>(), SendStatus::sent);
            while (load_of(hands.actor()).there) {
                ignore(hands.tell<&Hand::fail>(), "there may be nobody at present");
                ignore(system->block_on(hands.info()), "a moment passes");
            }
            EXPECT_NE(watch.wait().reason.text().find("has given up"), std::string::npos);
            EXPECT_EQ(hands.router().size(), 0U);
            EXPECT_FALSE(system->block_on(hands.readiness()).has_value());
        },
        kSeeds);
}

TEST(Pool, TakesNoMessagesPlaceWhenItLooksIntoAFullMailbox) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto done = make_done();
            const auto gate = std::make_shared<Gate>();
            // What does not fit pushes out what is oldest: a look must not.
            const auto hands =
                pool<Hand>(quick(1, 1), options().mailbox(bounded(3).drop_oldest()), done);
            start(system, hands);
            hands.tell<&Hand::count_behind>(gate);
            gate->wait_until_reached(system);
            for (int i = 0; i < 3; ++i)
                hands.tell<&Hand::count>();
            wait_until(system, hands, [](const PoolInfo& now) { return now.dwell_p95 > 3ms; });
            gate->open();
            stop(system, hands, Stop::drain);
            EXPECT_EQ(done->load(), 4) << "a look may be pushed out by mail, not mail by a look";
        },
        kSeeds);
}

}  // namespace
}  // namespace troupe
