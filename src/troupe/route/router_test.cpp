#include <troupe/actor/supervisor.hpp>
#include <troupe/route/internal/test_workers.hpp>
#include <troupe/route/router.hpp>

#include <gtest/gtest.h>

#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::EndWatch;
using actor_internal::Gate;
using actor_internal::on_both_engines;
using route_internal::Clerk;
using route_internal::done_by;
using route_internal::spawn_workers;

constexpr std::size_t kSeeds = 30;

class Fragile : public Clerk {
public:
    using Clerk::Clerk;
    void fail() { throw std::runtime_error("broken"); }
};

constexpr Route kAll[] = {Route::power_of_two,     Route::round_robin,     Route::random,
                          Route::smallest_mailbox, Route::consistent_hash, Route::broadcast};

/// Keeps a worker busy: whoever looks finds the mail it is given afterwards waiting.
void keep_busy(OwnedSystem& system, const Ref<Clerk>& worker, const std::shared_ptr<Gate>& gate,
               int mail) {
    ASSERT_EQ(worker.tell<&Clerk::hold>(gate), SendStatus::sent);
    gate->wait_until_reached(system);
    for (int i = 0; i < mail; ++i)
        ASSERT_EQ(worker.tell<&Clerk::work>(i), SendStatus::sent);
}

TEST(Router, SaysNoMemberWhenItIsEmptyWhateverItsRoute) {
    on_both_engines(
        [](OwnedSystem& system) {
            for (const Route route : kAll) {
                Router<Clerk> router(route);
                EXPECT_EQ(router.pick().error(), RouteErrc::no_member) << name(route);
                EXPECT_EQ(router.by("key").pick().error(), RouteErrc::no_member);
                EXPECT_EQ(router.tell<&Clerk::work>(1), SendStatus::gone);
                const auto asked = system->block_on([](Router<Clerk> r) -> Task<Result<int>> {
                    co_return co_await r.ask<&Clerk::done>();
                }(router));
                ASSERT_FALSE(asked.has_value());
                EXPECT_EQ(asked.error(), RouteErrc::no_member);
                EXPECT_NE(asked.error().text().find("has no member"), std::string::npos);
                const auto sent = system->block_on(router.send<&Clerk::work>(1));
                ASSERT_FALSE(sent.has_value());
                EXPECT_EQ(sent.error(), RouteErrc::no_member);
            }
        },
        3);
}

/// Hears of dead letters.
class Undertaker : public Actor {
public:
    void letter(DeadLetter letter) { letters_.push_back(letter); }
    std::vector<DeadLetter> letters() const { return letters_; }

private:
    std::vector<DeadLetter> letters_;
};

TEST(Router, MakesADeadLetterOfWhatItIsToldWhenNobodyIsThere) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto undertaker = system->spawn<Undertaker>();
            system->on_dead_letter<&Undertaker::letter>(undertaker);
            for (const Route route : kAll) {
                const auto workers = spawn_workers(system, 1);
                Router<Clerk> router(route, workers);
                EndWatch watch(system, workers[0]);
                workers[0].stop();
                watch.wait();
                // From a thread of its own: the system of whoever was there hears of it.
                EXPECT_EQ(router.tell<&Clerk::work>(1), SendStatus::gone);
                EXPECT_EQ(router.by("key").tell<&Clerk::work>(1), SendStatus::gone);
            }
            const auto letters = system->block_on(undertaker.ask<&Undertaker::letters>());
            ASSERT_TRUE(letters.has_value());
            ASSERT_EQ(letters->size(), 2 * std::size(kAll));
            for (const DeadLetter& letter : *letters) {
                EXPECT_EQ(letter.reason, DeadLetterReason::unrouted);
                EXPECT_EQ(letter.method, "troupe::route_internal::Clerk::work");
                EXPECT_EQ(letter.target, Pid());
            }
            EXPECT_EQ(system->dead_letters()[DeadLetterReason::unrouted], letters->size());
        },
        kSeeds);
}

TEST(Router, MakesADeadLetterOfWhatAnActorTellsOneThatNobodyWasEverAddedTo) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto told = system->block_on([](Route route) -> Task<SendStatus> {
                co_return Router<Clerk>(route).tell<&Clerk::work>(1);
            }(Route::random));
            EXPECT_EQ(told, SendStatus::gone);
            EXPECT_EQ(system->dead_letters()[DeadLetterReason::unrouted], 1U);
        },
        kSeeds);
}

TEST(Router, RoundRobinGivesEachOneItsTurn) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto workers = spawn_workers(system, 3);
            Router<Clerk> router(Route::round_robin, workers);
            Router<Clerk> copy;
            copy = router;
            for (int i = 0; i < 6; ++i)
                EXPECT_EQ((i % 2 == 0 ? router : copy).tell<&Clerk::work>(i), SendStatus::sent);
            for (const auto& worker : workers)
                EXPECT_EQ(done_by(system, worker), 2);
        },
        kSeeds);
}

TEST(Router, RandomReachesEverybody) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto workers = spawn_workers(system, 3);
            Router<Clerk> router(Route::random, workers);
            for (int i = 0; i < 200; ++i)
                ASSERT_EQ(router.tell<&Clerk::work>(i), SendStatus::sent);
            int sum = 0;
            for (const auto& worker : workers) {
                const int done = done_by(system, worker);
                EXPECT_GT(done, 20) << "a third of 200 is 67";
                sum += done;
            }
            EXPECT_EQ(sum, 200);
        },
        kSeeds);
}

TEST(Router, SmallestMailboxFindsTheOneWithTheLeastMail) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto workers = spawn_workers(system, 4);
            std::shared_ptr<Gate> gates[4];
            for (auto& gate : gates)
                gate = std::make_shared<Gate>();
            const int mail[] = {5, 3, 1, 4};
            for (std::size_t i = 0; i < 4; ++i)
                keep_busy(system, workers[i], gates[i], mail[i]);
            Router<Clerk> router(Route::smallest_mailbox, workers);
            for (int i = 0; i < 2; ++i) {
                const auto picked = router.pick();
                ASSERT_TRUE(picked.has_value());
                EXPECT_EQ(*picked, workers[2]);
                ASSERT_EQ(picked->tell<&Clerk::work>(i), SendStatus::sent);
            }
            for (const auto& gate : gates)
                gate->open();
            EXPECT_EQ(done_by(system, workers[2]), 3);
            EXPECT_EQ(done_by(system, workers[0]), 5);
            EXPECT_EQ(done_by(system, workers[1]), 3);
            EXPECT_EQ(done_by(system, workers[3]), 4);
        },
        kSeeds);
}

TEST(Router, PowerOfTwoNeverPicksTheFullestAndIsTheDefault) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto workers = spawn_workers(system, 3);
            const auto gate = std::make_shared<Gate>();
            keep_busy(system, workers[1], gate, 50);
            Router<Clerk> router;
            for (const auto& worker : workers)
                router.add(worker);
            EXPECT_EQ(router.route(), Route::power_of_two);
            std::set<Pid> picked;
            for (int i = 0; i < 60; ++i) {
                const auto one = router.pick();
                ASSERT_TRUE(one.has_value());
                EXPECT_FALSE(*one == workers[1]);
                picked.insert(one->pid());
            }
            EXPECT_EQ(picked.size(), 2U) << "the others are both picked";
            gate->open();
            EXPECT_EQ(done_by(system, workers[1]), 50);
        },
        kSeeds);
}

TEST(Router, BroadcastTellsEverybody) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto workers = spawn_workers(system, 3);
            Router<Clerk> router(Route::broadcast, workers);
            EXPECT_EQ(router.tell<&Clerk::work>(1), SendStatus::sent);
            EXPECT_TRUE(system->block_on(router.send<&Clerk::work>(2)).has_value());
            for (const auto& worker : workers)
                EXPECT_EQ(done_by(system, worker), 2);
        },
        kSeeds);
}

TEST(Router, ConsistentHashFindsTheSameMemberForAKeyAndMovesOnlyTheKeysOfOneThatEnds) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto workers = spawn_workers(system, 5);
            Router<Clerk> router(Route::consistent_hash, workers);
            EXPECT_EQ(router.pick().error(), RouteErrc::no_key);
            constexpr int kKeys = 500;
            std::vector<Ref<Clerk>> before;
            std::vector<int> share(workers.size());
            for (int key = 0; key < kKeys; ++key) {
                before.push_back(*router.by(key).pick());
                EXPECT_EQ(*router.by(key).pick(), before.back());
                for (std::size_t i = 0; i < workers.size(); ++i)
                    share[i] += before.back() == workers[i] ? 1 : 0;
            }
            for (const int keys : share)
                EXPECT_GT(keys, 50) << "an even share is 100";
            EndWatch watch(system, workers[2]);
            workers[2].stop();
            watch.wait();
            for (int key = 0; key < kKeys; ++key) {
                const Ref<Clerk> now = *router.by(key).pick();
                const Ref<Clerk>& then = before[static_cast<std::size_t>(key)];
                EXPECT_FALSE(now == workers[2]);
                if (!(then == workers[2])) {
                    EXPECT_EQ(now, then) << "only the keys of whoever has left move";
                }
            }
            EXPECT_EQ(router.by("ann").tell<&Clerk::work>(1), SendStatus::sent);
        },
        5);
}

TEST(Router, IsLeftByAMemberThatEndsBeforeAnybodyHearsOfIt) {
    on_both_engines(
        [](OwnedSystem& system) {
            for (const Route route : kAll) {
                const auto fragile = system->spawn<Fragile>("fragile");
                auto workers = spawn_workers(system, 2);
                workers.insert(workers.begin(), fragile);
                Router<Clerk> router(route, workers);
                EndWatch watch(system, fragile);
                fragile.tell<&Fragile::fail>();
                watch.wait();
                EXPECT_EQ(router.members(), (std::vector<Ref<Clerk>>{workers[1], workers[2]}));
                for (int i = 0; i < 10; ++i) {
                    const auto picked = router.by(i).pick();
                    ASSERT_TRUE(picked.has_value());
                    EXPECT_FALSE(*picked == workers[0]);
                    EXPECT_NE(router.by(i).tell<&Clerk::work>(i), SendStatus::gone);
                }
                EXPECT_TRUE(router.remove(workers[1]));
                EXPECT_FALSE(router.remove(workers[1]));
                EXPECT_EQ(router.size(), 1U);
            }
        },
        kSeeds);
}

TEST(Router, KeepsAMemberThatItsSupervisorStartsAgainAndPicksTheOthersMeanwhile) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto tree = supervisor("app");
            const auto policy = permanent().backoff(1h, 1h);
            auto one = tree.child<Fragile>("one", policy, "one");
            auto two = tree.child<Clerk>("two", policy, "two");
            const auto running = system->block_on(system->start(std::move(tree)));
            ASSERT_TRUE(running.has_value());
            const Ref<Fragile> fragile = running->ref(one);
            const Ref<Clerk> away = fragile;
            const Ref<Clerk> here = running->ref(two);
            Router<Clerk> router(Route::round_robin, {away, here});
            const auto failed = system->block_on(fragile.ask<&Fragile::fail>());
            EXPECT_FALSE(failed.has_value());
            while (load_of(away).up)  // the asker hears before the supervisor does
                ignore(system->block_on(here.ask<&Clerk::done>()), "a moment passes");
            EXPECT_EQ(router.size(), 2U);
            for (int i = 0; i < 10; ++i)
                EXPECT_EQ(*router.pick(), here);
            EXPECT_TRUE(router.remove(here));
            EXPECT_EQ(*router.pick(), away) << "when nobody else is there, its mail waits";
            ignore(system->block_on(running->stop()), "the test is over");
        },
        kSeeds);
}

TEST(Router, AsksTheMemberItselfWithoutAHop) {
    on_both_engines(
        [](OwnedSystem& system) {
            Router<Clerk> router(Route::round_robin, spawn_workers(system, 2));
            const auto names = system->block_on([](Router<Clerk> r) -> Task<Result<std::string>> {
                const std::string one = co_await or_return(co_await r.ask<&Clerk::name_of_it>(1));
                const std::string two =
                    co_await or_return(co_await r.ask<&Clerk::name_of_it>(2).within(1h));
                co_return one + ", " + two;
            }(router));
            EXPECT_EQ(names, "worker 0, worker 1");
            const auto by_key = system->block_on([](Router<Clerk> r) -> Task<Result<int>> {
                auto group = task_group<std::string>(all_successful());
                for (int key = 0; key < 4; ++key)
                    group.add(r.by(key).ask<&Clerk::name_of_it>(key));
                const auto all = co_await or_return(co_await group.run());
                co_return static_cast<int>(all.size());
            }(router));
            EXPECT_EQ(by_key, 4) << "a routed ask is a child of a group as any other";
        },
        kSeeds);
}

/// Asks all members for a name, under some joiner.
template <class Joiner>
Task<typename Joiner::template Output<std::string>> ask_all(Router<Clerk> router, Joiner joiner) {
    auto group = task_group<std::string>(joiner);
    int number = 0;
    for (const Ref<Clerk>& member : router.members())
        group.add(member.ask<&Clerk::name_of_it>(number++));
    co_return co_await group.run();
}

TEST(Router, AnswersOfAllOfAnyOrOfEnoughMembersAreAGroupOverTheirAsks) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto workers = spawn_workers(system, 3);
            const Router<Clerk> router(Route::power_of_two, workers);
            const auto all = system->block_on(ask_all(router, all_successful()));
            ASSERT_TRUE(all.has_value());
            EXPECT_EQ(*all, (std::vector<std::string>{"worker 0", "worker 1", "worker 2"}));
            const auto any = system->block_on(ask_all(router, first_success()));
            ASSERT_TRUE(any.has_value());
            EXPECT_TRUE(any->starts_with("worker "));
            const auto enough = system->block_on(ask_all(router, quorum(2)));
            ASSERT_TRUE(enough.has_value());
            EXPECT_EQ(enough->size(), 2U);
            const auto too_few = system->block_on(ask_all(router, quorum(4)));
            ASSERT_FALSE(too_few.has_value());
            EXPECT_EQ(too_few.error(), Errc::unreachable);
        },
        kSeeds);
}

}  // namespace
}  // namespace troupe
