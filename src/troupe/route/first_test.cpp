#include <troupe/route/first.hpp>
#include <troupe/route/internal/test_workers.hpp>
#include <troupe/route/router.hpp>
#include <troupe/task/race.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::EndWatch;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using route_internal::Clerk;
using route_internal::done_by;
using route_internal::spawn_workers;

constexpr std::size_t kSeeds = 30;

/// Waits as long as it is told, so that one is always slower than another.
class Pacer : public Actor {
public:
    Pacer(std::string name, Duration pace) : name_(std::move(name)), pace_(pace) {}
    Task<Result<std::string>> ask_it(int) {
        ++begun_;
        const Result<void> slept = co_await sleep(pace_);
        if (!slept) {
            ++cancelled_;
            co_return std::unexpected(slept.error());
        }
        co_return name_;
    }
    Task<Result<std::string>> refuse(int) {
        ++begun_;
        co_await or_return(co_await sleep(pace_));
        co_return error(Errc::not_found, name_ + " does not know");
    }
    int begun() const { return begun_; }
    int cancelled() const { return cancelled_; }

private:
    std::string name_;
    Duration pace_;
    int begun_ = 0;
    int cancelled_ = 0;
};

constexpr Duration kNever = 1h;

int asked(OwnedSystem& system, const Ref<Pacer>& pacer) {
    return system->block_on(pacer.ask<&Pacer::begun>()).value_or(-1);
}
int cancelled_in(OwnedSystem& system, const Ref<Pacer>& pacer) {
    return system->block_on(pacer.ask<&Pacer::cancelled>()).value_or(-1);
}

TEST(AskFirst, GivesTheFirstSuccessAndCancelsTheLosersHandlers) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto quick = system->spawn<Pacer>("quick", Duration::zero());
            const auto slow = system->spawn<Pacer>("slow", kNever);
            const auto slower = system->spawn<Pacer>("slower", kNever);
            const std::vector<Ref<Pacer>> all{slow, quick, slower};
            EXPECT_EQ(system->block_on(ask_first<&Pacer::ask_it>(all, 1)), "quick");
            for (const auto& loser : {slow, slower}) {
                // It answers again at once: what it did for nobody has been given up.
                EXPECT_EQ(asked(system, loser), cancelled_in(system, loser));
            }
            EXPECT_EQ(cancelled_in(system, quick), 0);
        },
        kSeeds);
}

TEST(AskFirst, SaysHowAllHaveFailedAndNoMemberOfNobody) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto one = system->spawn<Pacer>("one", Duration::zero());
            const auto two = system->spawn<Pacer>("two", 1ns);
            const auto failed =
                system->block_on(ask_first<&Pacer::refuse>(std::vector{one, two}, 1));
            ASSERT_FALSE(failed.has_value());
            EXPECT_EQ(failed.error(), Errc::unreachable);
            EXPECT_NE(failed.error().text().find("one does not know"), std::string::npos);
            EXPECT_NE(failed.error().text().find("two does not know"), std::string::npos);
            const auto nobody =
                system->block_on(ask_first<&Pacer::ask_it>(std::vector<Ref<Pacer>>(), 1));
            ASSERT_FALSE(nobody.has_value());
            EXPECT_EQ(nobody.error(), RouteErrc::no_member);
        },
        kSeeds);
}

TEST(AskFirst, DoesWithoutAMemberThatDies) {
    on_both_engines(
        [](OwnedSystem& system) {
            Router<Clerk> router(Route::power_of_two, spawn_workers(system, 2));
            const auto workers = router.members();
            EndWatch watch(system, workers[0]);
            workers[0].stop(Stop::kill);
            EXPECT_EQ(system->block_on(router.ask_first<&Clerk::name_of_it>(1)).has_value(), true);
            watch.wait();
            EXPECT_EQ(system->block_on(router.ask_first<&Clerk::name_of_it>(1)), "worker 1");
        },
        kSeeds);
}

TEST(Hedge, AsksNobodyElseWhileTheFirstIsInTime) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto first = system->spawn<Pacer>("first", Duration::zero());
            const auto second = system->spawn<Pacer>("second", Duration::zero());
            EXPECT_EQ(
                system->block_on(hedge<&Pacer::ask_it>(kNever, std::vector{first, second}, 1)),
                "first");
            EXPECT_EQ(asked(system, second), 0);
        },
        kSeeds);
}

TEST(Hedge, AsksAnotherAfterTheDelayAndCancelsTheLoser) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto slow = system->spawn<Pacer>("slow", kNever);
            const auto quick = system->spawn<Pacer>("quick", Duration::zero());
            EXPECT_EQ(system->block_on(hedge<&Pacer::ask_it>(1ms, std::vector{slow, quick}, 1)),
                      "quick");
            EXPECT_EQ(asked(system, slow), cancelled_in(system, slow));
            EXPECT_EQ(asked(system, quick), 1);
        },
        kSeeds);
}

TEST(Hedge, WaitsExactlyTheDelayBeforeItAsksAgain) {
    on_seeds(kSeeds, [](OwnedSystem& system) {
        const auto slow = system->spawn<Pacer>("slow", 100ms);
        const auto slower = system->spawn<Pacer>("slower", 100ms);
        const auto third = system->spawn<Pacer>("third", 5ms);
        const Duration before = system->now();
        EXPECT_EQ(
            system->block_on(hedge<&Pacer::ask_it>(20ms, std::vector{slow, slower, third}, 1)),
            "third");
        EXPECT_EQ(system->now() - before, 45ms) << "two delays, and the third's own time";
    });
}

TEST(Hedge, AsksTheNextAtOnceWhenOneFails) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto workers = spawn_workers(system, 3);
            for (const auto& worker : {workers[0], workers[1]}) {
                EndWatch watch(system, worker);
                worker.stop(Stop::kill);
                watch.wait();
            }
            // Nobody waits for the delay: it is an hour, and an ask's own deadline 5 s.
            EXPECT_EQ(system->block_on(hedge<&Clerk::name_of_it>(kNever, workers, 1)), "worker 2");
            EXPECT_EQ(done_by(system, workers[2]), 1);
        },
        kSeeds);
}

TEST(Hedge, FailsWhenAllHaveAndNamesThem) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto one = system->spawn<Pacer>("one", Duration::zero());
            const auto two = system->spawn<Pacer>("two", Duration::zero());
            const auto failed =
                system->block_on(hedge<&Pacer::refuse>(kNever, std::vector{one, two}, 1));
            ASSERT_FALSE(failed.has_value());
            EXPECT_EQ(failed.error(), Errc::unreachable);
            EXPECT_NE(failed.error().text().find("two does not know"), std::string::npos);
            EXPECT_EQ(asked(system, one), 1);
            EXPECT_EQ(asked(system, two), 1);
        },
        kSeeds);
}

TEST(Hedge, ThroughARouterAsksDifferentMembers) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto slow = system->spawn<Pacer>("slow", kNever);
            const auto quick = system->spawn<Pacer>("quick", Duration::zero());
            Router<Pacer> router(Route::round_robin, {slow, quick});
            EXPECT_EQ(system->block_on(router.hedge<&Pacer::ask_it>(1ms, 2, 1)), "quick");
            const auto nobody = system->block_on(Router<Pacer>().hedge<&Pacer::ask_it>(1ms, 2, 1));
            ASSERT_FALSE(nobody.has_value());
            EXPECT_EQ(nobody.error(), RouteErrc::no_member);
        },
        kSeeds);
}

/// The hedge loses a race against a sleep of 50 ms.
Task<Result<std::string>> hedge_for_a_while(std::vector<Ref<Pacer>> pacers) {
    auto ask_both = [pacers]() -> Task<Result<std::string>> {
        return hedge<&Pacer::ask_it>(10ms, pacers, 1);
    };
    auto lose_patience = []() -> Task<Result<std::string>> {
        co_await or_return(co_await sleep(50ms));
        co_return std::string("enough");
    };
    co_return co_await race<std::string>(std::move(ask_both), std::move(lose_patience));
}

TEST(Hedge, EndsWithWhoeverWantedItAndCancelsAllItHasAsked) {
    on_seeds(kSeeds, [](OwnedSystem& system) {
        const auto one = system->spawn<Pacer>("one", 4s);
        const auto two = system->spawn<Pacer>("two", 4s);
        EXPECT_EQ(system->block_on(hedge_for_a_while({one, two})), "enough");
        EXPECT_EQ(system->now(), 50ms);
        for (const auto& pacer : {one, two}) {
            EXPECT_EQ(asked(system, pacer), 1);
            EXPECT_EQ(cancelled_in(system, pacer), 1);
        }
    });
}

}  // namespace
}  // namespace troupe
