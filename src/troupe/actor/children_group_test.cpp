#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/supervisor.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::EndWatch;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;

/// Outlives the system.
struct Counts {
    std::atomic<int> built{0};  // the children write, the test reads when they are quiet
    std::atomic<int> gone{0};   // the same
};

class Session : public Actor {
public:
    Session(Counts* counts, std::string user) : counts_(counts), user_(std::move(user)) {
        ++counts_->built;
        if (user_ == "throws") throw std::runtime_error("no session");
    }
    ~Session() override { ++counts_->gone; }
    std::string user() { return user_; }
    void fail() { throw std::runtime_error("broken"); }

private:
    Task<Result<void>> on_start() override {
        if (user_ == "refused") co_return error(Errc::not_found, "unknown user");
        co_return Result<>();
    }
    Task<void> on_stop(const ExitReason&) override {
        if (user_ == "slow") ignore(co_await sleep(3s), "it is over either way");
        if (user_ == "stuck") ignore(co_await sleep(1h), "it is over either way");
    }
    Counts* counts_;
    std::string user_;
};

struct House {
    House(OwnedSystem& the_system, ChildPolicy policy) : system(the_system) {
        auto tree = supervisor("app");
        tree.intensity(100, 1s);
        auto token = tree.dynamic<Session>("sessions", policy);
        Result<SupervisorRef> started = system->block_on(system->start(std::move(tree)));
        EXPECT_TRUE(started);
        running = std::make_unique<SupervisorRef>(*started);
        sessions = running->ref(token);
    }
    ~House() { system.stop(); }
    House(const House&) = delete;
    House& operator=(const House&) = delete;

    Result<Ref<Session>> start(std::string user) {
        return system->block_on(sessions.start(&counts, std::move(user)));
    }
    std::size_t count() { return *system->block_on(sessions.count()); }

    OwnedSystem& system;
    Counts counts;
    std::unique_ptr<SupervisorRef> running;
    Children<Session> sessions;
};

TEST(Children, OfAGroupAreStartedAndStoppedOneByOne) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, permanent());
        const auto ann = house.start("ann");
        const auto bob = house.start("bob");
        ASSERT_TRUE(ann && bob);
        EXPECT_EQ(system->block_on(ann->ask<&Session::user>()), "ann");
        EXPECT_EQ(house.count(), 2U);
        EXPECT_TRUE(system->block_on(house.sessions.stop(*ann)));
        EXPECT_EQ(ann->tell<&Session::fail>(), SendStatus::gone);
        EXPECT_EQ(house.count(), 1U);
        EXPECT_EQ(system->block_on(house.sessions.stop(*ann)).error(), Errc::not_found);
        EXPECT_EQ(system->block_on(bob->ask<&Session::user>()), "bob");
        EXPECT_EQ(system->dead_letters().total(), 1U);
    });
}

TEST(Children, OfAGroupAreStartedAgainAtTheSameAddress) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, permanent());
        const auto ann = house.start("ann");
        ASSERT_TRUE(ann);
        ann->tell<&Session::fail>();
        EXPECT_EQ(system->block_on(ann->ask<&Session::user>()), "ann");
        EXPECT_EQ(house.counts.built, 2);
        EXPECT_EQ(house.count(), 1U);
    });
}

TEST(Children, ThatAreTemporaryAreForgottenWhenTheyEnd) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, temporary());
        for (int i = 0; i < 10; ++i) {
            const auto ann = house.start("ann");
            ASSERT_TRUE(ann);
            EndWatch watch(system, *ann);
            if (i % 2 == 0) {
                ann->tell<&Session::fail>();
            } else {
                ann->stop();
            }
            watch.wait();
            while (house.count() != 0) {
            }
        }
        EXPECT_EQ(house.counts.built, 10);
    });
}

TEST(Children, WhoseFirstStartFailsAreNotTriedAgainAndTheStarterHearsWhy) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, permanent());
        const auto refused = house.start("refused");
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error(), Errc::start_failed);
        EXPECT_EQ(refused.error().text(), "a child of \"app/sessions\": unknown user");
        const auto thrown = house.start("throws");
        ASSERT_FALSE(thrown);
        EXPECT_EQ(thrown.error().text(), "a child of \"app/sessions\": no session");
        EXPECT_EQ(house.count(), 0U);
        EXPECT_EQ(house.counts.built, 2);
    });
}

TEST(Children, AreRefusedWhenThereAreAsManyAsThereMayBe) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, permanent().max_children(2));
        const auto ann = house.start("ann");
        ASSERT_TRUE(ann && house.start("bob"));
        const auto refused = house.start("eve");
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error(), SupervisorErrc::max_children);
        EXPECT_TRUE(system->block_on(house.sessions.stop(*ann)));
        EXPECT_TRUE(house.start("eve"));
    });
}

TEST(Children, OfAGroupAreStoppedAllAtOnceAndTheLateOnesKilled) {
    for (const int count : {100, 2500}) {
        on_seeds(count == 100 ? 20 : 3, [=](OwnedSystem& system) {
            House house(system, permanent());
            for (int i = 0; i < count; ++i)
                ASSERT_TRUE(house.start("slow"));
            const Duration before = system->now();
            EXPECT_TRUE(system->block_on(house.running->stop()));
            EXPECT_EQ(system->now() - before, 3s);
            EXPECT_EQ(house.counts.gone, count);
        });
    }
    on_seeds(20, [](OwnedSystem& system) {
        House house(system, permanent().shutdown(2s));
        for (const char* user : {"slow", "ann", "stuck"})
            ASSERT_TRUE(house.start(user));
        const Duration before = system->now();
        EXPECT_TRUE(system->block_on(house.running->stop()));
        EXPECT_EQ(system->now() - before, 2s);
        EXPECT_EQ(house.counts.gone, 3);
    });
}

TEST(Children, ThatEndByThemselvesWhileTheGroupStopsAreNotWaitedFor) {
    on_both_engines(
        [](OwnedSystem& system) {
            House house(system, permanent());
            std::vector<Ref<Session>> sessions;
            for (int i = 0; i < 1500; ++i)
                sessions.push_back(*house.start("ann"));
            for (std::size_t i = 0; i < sessions.size(); i += 7)
                sessions[i].tell<&Session::fail>();
            EXPECT_TRUE(system->block_on(house.running->stop()));
            EXPECT_EQ(house.counts.built, house.counts.gone);
        },
        5);
}

TEST(Children, OneThatIsStoppedAndDoesNotEndInTimeIsKilled) {
    on_seeds(20, [](OwnedSystem& system) {
        House house(system, permanent().shutdown(2s));
        const auto stuck = house.start("stuck");
        ASSERT_TRUE(stuck);
        const Duration before = system->now();
        EXPECT_TRUE(system->block_on(house.sessions.stop(*stuck)));
        EXPECT_EQ(system->now() - before, 2s);
        EXPECT_EQ(house.count(), 0U);
    });
}

TEST(Children, OneThatWaitsForItsRestartCanBeStopped) {
    on_seeds(50, [](OwnedSystem& system) {
        House house(system, permanent().backoff(1h, 1h));
        const auto ann = house.start("ann");
        ASSERT_TRUE(ann);
        ann->tell<&Session::fail>();
        system.settle();
        EXPECT_EQ(house.count(), 1U);
        EXPECT_TRUE(system->block_on(house.sessions.stop(*ann)));
        EXPECT_EQ(house.count(), 0U);
        system.settle();
        EXPECT_EQ(ann->tell<&Session::fail>(), SendStatus::gone);
    });
}

TEST(Children, OfAGroupThatGivesUpAreGoneAndTheGroupStartsEmpty) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, permanent().intensity(1, 1h));
        const auto ann = house.start("ann");
        const auto bob = house.start("bob");
        ASSERT_TRUE(ann && bob);
        EndWatch watch(system, *bob);
        ann->tell<&Session::fail>();
        EXPECT_EQ(system->block_on(ann->ask<&Session::user>()), "ann");
        ann->tell<&Session::fail>();
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown);
        // The group's address stays: a start waits for the group that comes next.
        EXPECT_TRUE(house.start("eve"));
        EXPECT_EQ(house.count(), 1U);
        EXPECT_EQ(ann->tell<&Session::fail>(), SendStatus::gone);
    });
}

TEST(Children, AStartIsAnsweredWhenTheGroupEnds) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, permanent());
        EXPECT_TRUE(system->block_on(house.running->stop()));
        EXPECT_EQ(house.start("ann").error(), Errc::actor_gone);
        EXPECT_EQ(system->block_on(Children<Session>().start(&house.counts, "ann")).error(),
                  Errc::actor_gone);
    });
}

TEST(Children, AGroupArrivesAtASiblingAsItself) {
    class Door : public Actor {
    public:
        Door(Counts* counts, Children<Session> sessions) : counts_(counts), sessions_(sessions) {}
        Task<Result<std::string>> enter(std::string user) {
            const auto session =
                co_await or_return(co_await sessions_.start(counts_, std::move(user)));
            co_return co_await session.ask<&Session::user>();
        }

    private:
        Counts* counts_;
        Children<Session> sessions_;
    };
    on_both_engines([](OwnedSystem& system) {
        Counts counts;
        auto tree = supervisor("app");
        auto sessions = tree.dynamic<Session>("sessions", temporary());
        auto door = tree.child<Door>("door", &counts, sessions);
        const auto running = system->block_on(system->start(std::move(tree)));
        ASSERT_TRUE(running);
        EXPECT_EQ(system->block_on(running->ref(door).ask<&Door::enter>("ann")), "ann");
        EXPECT_EQ(system->block_on(running->count())->all, 3U);
        system.stop();
    });
}

// ---- shards -------------------------------------------------------------------------------------

TEST(ShardedGroup, StartsItsChildrenInAllShardsAndStopsAnyOfThem) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, permanent().shards(4));
        std::vector<Ref<Session>> sessions;
        for (int i = 0; i < 10; ++i) {
            const auto started = house.start("ann");
            ASSERT_TRUE(started);
            sessions.push_back(*started);
        }
        EXPECT_EQ(house.count(), 10U);
        std::map<std::string, int> in_shard;
        const auto children = system->block_on(house.running->children());
        ASSERT_TRUE(children);
        for (const ChildInfo& child : *children) {
            if (!child.is_supervisor) ++in_shard[child.path.substr(0, child.path.rfind('/'))];
        }
        EXPECT_EQ(in_shard, (std::map<std::string, int>{{"app/sessions/1", 3},
                                                        {"app/sessions/2", 3},
                                                        {"app/sessions/3", 2},
                                                        {"app/sessions/4", 2}}));
        for (const Ref<Session>& session : sessions) {
            EXPECT_TRUE(system->block_on(house.sessions.stop(session)));
            EXPECT_EQ(session.tell<&Session::fail>(), SendStatus::gone);
        }
        EXPECT_EQ(house.count(), 0U);
        const auto stranger = system->block_on(house.sessions.stop(sessions[0]));
        ASSERT_FALSE(stranger);
        EXPECT_EQ(stranger.error(), Errc::not_found);
        EXPECT_EQ(stranger.error().text(),
                  to_string(sessions[0].pid()) + " is no child of \"app/sessions\"");
    });
}

TEST(ShardedGroup, HasOneBoundForAllShardsAndUsesItToTheLast) {
    for (const std::size_t max : {1U, 3U, 7U}) {
        on_both_engines(
            [=](OwnedSystem& system) {
                House house(system, permanent().shards(4).max_children(max));
                std::vector<Ref<Session>> sessions;
                for (std::size_t i = 0; i < max; ++i) {
                    const auto started = house.start("ann");
                    ASSERT_TRUE(started) << started.error().message();
                    sessions.push_back(*started);
                }
                const auto refused = house.start("eve");
                ASSERT_FALSE(refused);
                EXPECT_EQ(refused.error(), SupervisorErrc::max_children);
                EXPECT_EQ(refused.error().text(),
                          "\"app/sessions\" has as many children as it may have");
                EXPECT_TRUE(system->block_on(house.sessions.stop(sessions.back())));
                EXPECT_TRUE(house.start("eve"));
                EXPECT_FALSE(house.start("mallory"));
            },
            20);
    }
}

TEST(ShardedGroup, StopsAllItsChildrenAtOnceWhateverTheirShard) {
    on_seeds(20, [](OwnedSystem& system) {
        House house(system, permanent().shards(4));
        for (int i = 0; i < 100; ++i)
            ASSERT_TRUE(house.start("slow"));
        const Duration before = system->now();
        EXPECT_TRUE(system->block_on(house.running->stop()));
        EXPECT_EQ(system->now() - before, 3s);
        EXPECT_EQ(house.counts.gone, 100);
    });
}

TEST(ShardedGroup, AShardThatGivesUpTakesNoOtherWithIt) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, permanent().shards(2).intensity(0, 1h));
        const auto ann = house.start("ann");
        const auto bob = house.start("bob");
        const auto eve = house.start("eve");  // in one shard with ann
        ASSERT_TRUE(ann && bob && eve);
        EndWatch watch(system, *eve);
        ann->tell<&Session::fail>();
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown);
        EXPECT_EQ(system->block_on(bob->ask<&Session::user>()), "bob");
        // Its shard comes back, empty.
        EXPECT_TRUE(house.start("ann"));
        EXPECT_TRUE(house.start("eve"));
        EXPECT_EQ(house.count(), 3U);
    });
}

TEST(ShardedGroup, IsRefusedWithMinHealthy) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto tree = supervisor("app");
            tree.dynamic<Session>("sessions", permanent().shards(2).min_healthy(1));
            const auto running = system->block_on(system->start(std::move(tree)));
            ASSERT_FALSE(running);
            EXPECT_EQ(running.error().text(),
                      "child \"app/sessions\": a group in shards has no min_healthy: each shard "
                      "knows its own children only");
        },
        5);
}

TEST(Children, AGroupIsReadyWhenEnoughOfThemAreHealthy) {
    on_both_engines([](OwnedSystem& system) {
        House house(system, permanent().min_healthy(2));
        ASSERT_TRUE(house.start("ann"));
        EXPECT_EQ(system->block_on(house.running->readiness())->missing,
                  std::vector<std::string>{"app/sessions: 1 healthy of at least 2"});
        ASSERT_TRUE(house.start("bob"));
        EXPECT_TRUE(system->block_on(house.running->readiness())->ready);
    });
}

}  // namespace
}  // namespace troupe
