#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using actor_internal::EndWatch;
using actor_internal::Gate;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::wait_for_end;

using Seen = std::shared_ptr<std::vector<std::string>>;
Seen make_seen() {
    return std::make_shared<std::vector<std::string>>();
}

/// Links to whom it is told, and dies with them.
class Partner : public Actor {
public:
    void join(Ref<Partner> other) { link(other); }
    void leave(Ref<Partner> other) { unlink(other); }
    void fail() { throw std::runtime_error("broken"); }
    void end(ExitReason reason) { self(this).stop(Stop::stop, std::move(reason)); }
    Task<> hold(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    int alive() const { return 1; }
};

/// The same, but only hears of their ends.
class Trapper : public Actor {
public:
    explicit Trapper(Seen seen) : seen_(std::move(seen)) { trap_exits<&Trapper::on_exit>(); }
    void join(Ref<Partner> other) { link(other); }
    void join_trapper(Ref<Trapper> other) { link(other); }
    void leave(Ref<Partner> other) { unlink(other); }
    void note(std::string text) { seen_->push_back(std::move(text)); }
    Task<> hold(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    std::size_t count() const { return seen_->size(); }

private:
    void on_exit(Exit exit) { seen_->push_back(exit.reason.text()); }
    Seen seen_;
};

ExitReason reason_of(ExitReason::Kind kind) {
    return ExitReason(kind);
}

/// Both halves of the link lie where they belong once both have answered.
void join(OwnedSystem& system, Ref<Partner> one, Ref<Partner> other) {
    ASSERT_TRUE(system->block_on(one.ask<&Partner::join>(other)).has_value());
    ASSERT_EQ(system->block_on(other.ask<&Partner::alive>()), 1);
}

TEST(Link, EndsThePeerForTheSameReasonWhicheverEndsFirst) {
    on_both_engines([](OwnedSystem& system) {
        for (const bool maker_ends : {true, false}) {
            auto one = system->spawn<Partner>();
            auto two = system->spawn<Partner>();
            join(system, one, two);
            EndWatch watch(system, maker_ends ? two : one);
            (maker_ends ? one : two).tell<&Partner::fail>();
            EXPECT_EQ(watch.wait().reason, ExitReason(ExitReason::Kind::failed, "broken"));
        }
    });
}

TEST(Link, OnlyANormalEndIsHarmless) {
    on_both_engines([](OwnedSystem& system) {
        using Kind = ExitReason::Kind;
        for (const Kind kind : {Kind::normal, Kind::shutdown, Kind::shutdown_with, Kind::failed,
                                Kind::killed, Kind::noproc, Kind::timeout, Kind::node_down}) {
            auto one = system->spawn<Partner>();
            auto two = system->spawn<Partner>();
            join(system, one, two);
            if (kind == Kind::normal) {
                one.tell<&Partner::end>(reason_of(kind));
                wait_for_end(system, one);
                EXPECT_EQ(system->block_on(two.ask<&Partner::alive>()), 1);
                two.stop();
            } else {
                EndWatch watch(system, two);
                one.tell<&Partner::end>(reason_of(kind));
                EXPECT_EQ(watch.wait().reason.kind(), kind);
            }
        }
    });
}

TEST(Link, EndsAPeerThatWaitsAndSkipsItsStopHook) {
    class Waiter : public Partner {
    public:
        explicit Waiter(std::shared_ptr<bool> stopped) : stopped_(std::move(stopped)) {}

    private:
        Task<void> on_stop(const ExitReason&) override {
            *stopped_ = true;
            return {};
        }
        std::shared_ptr<bool> stopped_;
    };
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto stopped = std::make_shared<bool>(false);
        auto one = system->spawn<Partner>();
        auto two = system->spawn<Waiter>(stopped);
        join(system, one, two);
        two.tell<&Partner::hold>(gate);
        gate->wait_until_reached(system);
        EndWatch watch(system, two);
        one.stop();
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown);
        EXPECT_FALSE(*stopped);
        EXPECT_EQ(gate->waiting(), 0U) << "the handler is gone from where it waited";
    });
}

TEST(Link, PassesAlongAChain) {
    on_both_engines([](OwnedSystem& system) {
        std::vector<Ref<Partner>> chain;
        for (int i = 0; i < 20; ++i)
            chain.push_back(system->spawn<Partner>());
        for (std::size_t i = 0; i + 1 < chain.size(); ++i)
            join(system, chain[i], chain[i + 1]);
        EndWatch watch(system, chain.back());
        chain.front().tell<&Partner::fail>();
        EXPECT_EQ(watch.wait().reason, ExitReason(ExitReason::Kind::failed, "broken"));
    });
}

TEST(Link, IsOnePerPairHoweverOftenItIsMade) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto trapper = system->spawn<Trapper>(seen);
        auto partner = system->spawn<Partner>();
        for (int i = 0; i < 3; ++i)
            ASSERT_TRUE(system->block_on(trapper.ask<&Trapper::join>(partner)).has_value());
        ASSERT_EQ(system->block_on(partner.ask<&Partner::alive>()), 1);
        partner.stop();
        wait_for_end(system, partner);
        EXPECT_EQ(system->block_on(trapper.ask<&Trapper::count>()), 1U);
        EXPECT_EQ(*seen, std::vector<std::string>{"shutdown"});
    });
}

TEST(Link, ToAnEndedActorIsNoproc) {
    on_both_engines([](OwnedSystem& system) {
        auto ended = system->spawn<Partner>();
        ended.stop(Stop::kill);
        wait_for_end(system, ended);
        for (const auto& nobody : {ended, Ref<Partner>()}) {
            auto partner = system->spawn<Partner>();
            EndWatch watch(system, partner);
            partner.tell<&Partner::join>(nobody);
            EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::noproc);
        }
        const Seen seen = make_seen();
        auto trapper = system->spawn<Trapper>(seen);
        ASSERT_TRUE(system->block_on(trapper.ask<&Trapper::join>(ended)).has_value());
        ASSERT_TRUE(system->block_on(trapper.ask<&Trapper::join>(Ref<Partner>())).has_value());
        EXPECT_EQ(system->block_on(trapper.ask<&Trapper::count>()), 2U);
        EXPECT_EQ(*seen, (std::vector<std::string>{"noproc", "noproc"}));
    });
}

TEST(Link, ToAnOldAddressIsNoprocAlsoWhenTheSlotHasANewOwner) {
    on_both_engines([](OwnedSystem& system) {
        auto old = system->spawn<Partner>();
        old.stop(Stop::kill);
        wait_for_end(system, old);
        std::vector<Ref<Partner>> tenants;
        for (int i = 0; i < 4; ++i)
            tenants.push_back(system->spawn<Partner>());
        auto partner = system->spawn<Partner>();
        EndWatch watch(system, partner);
        partner.tell<&Partner::join>(old);
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::noproc);
        for (const auto& tenant : tenants)
            EXPECT_EQ(system->block_on(tenant.ask<&Partner::alive>()), 1);
    });
}

TEST(Link, ToOneselfHarmsNobody) {
    class Narcissus : public Actor {
    public:
        void look() { link(Ref<Narcissus>(self(this))); }
        int alive() const { return 1; }
    };
    on_both_engines([](OwnedSystem& system) {
        auto narcissus = system->spawn<Narcissus>();
        narcissus.tell<&Narcissus::look>();
        EXPECT_EQ(system->block_on(narcissus.ask<&Narcissus::alive>()), 1);
        narcissus.stop();
        wait_for_end(system, narcissus);
    });
}

TEST(Link, EndsWithUnlinkOnBothSides) {
    on_both_engines([](OwnedSystem& system) {
        for (const bool maker_leaves : {true, false}) {
            auto one = system->spawn<Partner>();
            auto two = system->spawn<Partner>();
            join(system, one, two);
            auto& leaver = maker_leaves ? one : two;
            auto& left = maker_leaves ? two : one;
            ASSERT_TRUE(system->block_on(leaver.ask<&Partner::leave>(left)).has_value());
            leaver.tell<&Partner::fail>();
            wait_for_end(system, leaver);
            EXPECT_EQ(system->block_on(left.ask<&Partner::alive>()), 1);
            left.stop();
        }
    });
}

TEST(Link, UnlinkOfWhoIsNotLinkedDoesNothing) {
    on_both_engines([](OwnedSystem& system) {
        auto one = system->spawn<Partner>();
        auto two = system->spawn<Partner>();
        ASSERT_TRUE(system->block_on(one.ask<&Partner::leave>(two)).has_value());
        ASSERT_TRUE(system->block_on(one.ask<&Partner::leave>(Ref<Partner>())).has_value());
        EXPECT_EQ(system->block_on(one.ask<&Partner::alive>()), 1);
    });
}

TEST(Link, MadeAgainAfterUnlinkHolds) {
    on_both_engines([](OwnedSystem& system) {
        auto one = system->spawn<Partner>();
        auto two = system->spawn<Partner>();
        for (int i = 0; i < 3; ++i) {
            join(system, one, two);
            ASSERT_TRUE(system->block_on(one.ask<&Partner::leave>(two)).has_value());
        }
        join(system, two, one);
        EndWatch watch(system, two);
        one.tell<&Partner::fail>();
        EXPECT_EQ(watch.wait().reason.text(), "broken");
    });
}

TEST(Link, LeavesNothingBehindOnceItIsNoMore) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto room = system->spawn<Trapper>(make_seen());
            ASSERT_EQ(system->block_on(room.ask<&Trapper::count>()), 0U);
            const auto live = [&] {
                EXPECT_TRUE(system->block_on(room.ask<&Trapper::count>()).has_value());
                return block_pool_stats().live_blocks;
            };
            const auto come_and_go = [&](int times) {
                for (int i = 0; i < times; ++i) {
                    auto guest = system->spawn<Partner>();
                    ASSERT_TRUE(system->block_on(room.ask<&Trapper::join>(guest)).has_value());
                    if (i % 2 == 0) {
                        ASSERT_TRUE(system->block_on(room.ask<&Trapper::leave>(guest)).has_value());
                    }
                    guest.stop();
                    wait_for_end(system, guest);
                }
            };
            come_and_go(4);
            const auto before = live();
            come_and_go(100);
            EXPECT_LE(live(), before + 20);
        },
        10);
}

TEST(TrapExits, HearsEveryReasonAndLivesOn) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto trapper = system->spawn<Trapper>(seen);
        const auto end = [&](auto ask_to_end) {
            auto partner = system->spawn<Partner>();
            ASSERT_TRUE(system->block_on(trapper.ask<&Trapper::join>(partner)).has_value());
            ASSERT_EQ(system->block_on(partner.ask<&Partner::alive>()), 1);
            ask_to_end(partner);
            wait_for_end(system, partner);
            ASSERT_TRUE(system->block_on(trapper.ask<&Trapper::count>()).has_value());
        };
        end([](Ref<Partner> one) { one.tell<&Partner::end>(reason_of(ExitReason::Kind::normal)); });
        end([](Ref<Partner> one) { one.stop(); });
        end([](Ref<Partner> one) { one.tell<&Partner::fail>(); });
        end([](Ref<Partner> one) { one.stop(Stop::kill); });
        EXPECT_EQ(*seen, (std::vector<std::string>{"normal", "shutdown", "broken", "killed"}));
    });
}

TEST(TrapExits, DoesNotTrapAKill) {
    on_both_engines([](OwnedSystem& system) {
        auto trapper = system->spawn<Trapper>(make_seen());
        EndWatch watch(system, trapper);
        trapper.stop(Stop::kill);
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::killed);
    });
}

TEST(TrapExits, NewsOvertakesTheMailThatWaitsAndIsNeverRefused) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto gate = std::make_shared<Gate>();
        auto partner = system->spawn<Partner>();
        auto trapper = system->spawn<Trapper>(options().mailbox(bounded(2)), seen);
        ASSERT_TRUE(system->block_on(trapper.ask<&Trapper::join>(partner)).has_value());
        trapper.tell<&Trapper::hold>(gate);
        gate->wait_until_reached(system);
        while (trapper.tell<&Trapper::note>("mail") == SendStatus::sent) {
        }
        partner.stop();
        wait_for_end(system, partner);
        gate->open();
        ASSERT_TRUE(system->block_on(trapper.ask<&Trapper::count>()).has_value());
        EXPECT_EQ(seen->front(), "shutdown");
    });
}

TEST(TrapExits, AnUnlinkTakesBackAnExitThatHasArrived) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto gate = std::make_shared<Gate>();
        auto partner = system->spawn<Partner>();
        // Unlinks in the very handler before which the exit has arrived.
        class Leaver : public Trapper {
        public:
            using Trapper::Trapper;
            Task<> leave_later(Ref<Partner> other, std::shared_ptr<Gate> until) {
                co_await until->pass();
                unlink(other);
            }
        };
        auto leaver = system->spawn<Leaver>(seen);
        ASSERT_TRUE(system->block_on(leaver.ask<&Trapper::join>(partner)).has_value());
        leaver.tell<&Leaver::leave_later>(partner, gate);
        gate->wait_until_reached(system);
        partner.stop();
        wait_for_end(system, partner);
        gate->open();
        EXPECT_EQ(system->block_on(leaver.ask<&Trapper::count>()), 0U);
        EXPECT_EQ(system->block_on(leaver.ask<&Trapper::count>()), 0U);
    });
}

TEST(TrapExits, TwoWhoTrapHearOfEachOtherOnce) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto one = system->spawn<Trapper>(seen);
        auto two = system->spawn<Trapper>(make_seen());
        // At the same time: for a moment there are two links.
        one.tell<&Trapper::join_trapper>(two);
        two.tell<&Trapper::join_trapper>(one);
        ASSERT_TRUE(system->block_on(one.ask<&Trapper::count>()).has_value());
        ASSERT_TRUE(system->block_on(two.ask<&Trapper::count>()).has_value());
        two.stop();
        wait_for_end(system, two);
        ASSERT_TRUE(system->block_on(one.ask<&Trapper::count>()).has_value());
        EXPECT_EQ(*seen, std::vector<std::string>{"shutdown"});
    });
}

// ---- spawned and bound in one step --------------------------------------------------------------

/// Ends in its first turn, or before that.
class Fleeting : public Actor {
public:
    enum class How : std::uint8_t { throws_at_once, fails_to_start, stops, stays };
    explicit Fleeting(How how) : how_(how) {
        if (how == How::throws_at_once) throw std::runtime_error("stillborn");
    }

private:
    Task<Result<void>> on_start() override {
        if (how_ == How::fails_to_start) co_return error(Errc::failed, "no database");
        if (how_ == How::stops) self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::timeout));
        co_return Result<void>();
    }
    How how_;
};
using How = Fleeting::How;

class Boss : public Actor {
public:
    explicit Boss(Seen seen) : seen_(std::move(seen)) {}
    void hire_linked(How how) { spawn_linked<Fleeting>(how); }
    void hire_trapping(How how) {
        trap_exits<&Boss::on_exit>();
        last_ = spawn_linked<Fleeting>(options().mailbox(bounded(1)), how);
    }
    void hire_monitored(How how) {
        auto [worker, watch] = spawn_monitored<Fleeting, &Boss::on_down>(how);
        last_ = worker;
        watch_ = watch;
    }
    void forget() { watch_.cancel(); }
    Ref<Fleeting> last() const { return last_; }
    std::size_t count() const { return seen_->size(); }

private:
    void on_exit(Exit exit) { seen_->push_back(exit.reason.text()); }
    void on_down(Down down) {
        EXPECT_EQ(down.pid, last_.pid());
        seen_->push_back(down.reason.text());
    }
    Seen seen_;
    Ref<Fleeting> last_;
    Monitor watch_;
};

TEST(SpawnLinked, EndsTheParentWithTheChildsReasonHoweverEarlyItEnds) {
    on_both_engines([](OwnedSystem& system) {
        using Expected = std::pair<How, std::string>;
        for (const auto& [how, text] :
             {Expected(How::throws_at_once, "stillborn"),
              Expected(How::fails_to_start, "no database"), Expected(How::stops, "timeout")}) {
            auto boss = system->spawn<Boss>(make_seen());
            EndWatch watch(system, boss);
            boss.tell<&Boss::hire_linked>(how);
            EXPECT_EQ(watch.wait().reason.text(), text);
        }
    });
}

TEST(SpawnLinked, IsHeardByATrappingParentNeverAsNoproc) {
    on_both_engines([](OwnedSystem& system) {
        for (const How how : {How::throws_at_once, How::fails_to_start, How::stops}) {
            const Seen seen = make_seen();
            auto boss = system->spawn<Boss>(seen);
            ASSERT_TRUE(system->block_on(boss.ask<&Boss::hire_trapping>(how)).has_value());
            wait_for_end(system, *system->block_on(boss.ask<&Boss::last>()));
            ASSERT_TRUE(system->block_on(boss.ask<&Boss::count>()).has_value());
            ASSERT_EQ(seen->size(), 1U);
            EXPECT_NE(seen->front(), "noproc");
        }
    });
}

TEST(SpawnMonitored, HearsTheReasonHoweverEarlyTheChildEnds) {
    on_both_engines([](OwnedSystem& system) {
        for (const How how : {How::throws_at_once, How::fails_to_start, How::stops}) {
            const Seen seen = make_seen();
            auto boss = system->spawn<Boss>(seen);
            ASSERT_TRUE(system->block_on(boss.ask<&Boss::hire_monitored>(how)).has_value());
            wait_for_end(system, *system->block_on(boss.ask<&Boss::last>()));
            ASSERT_TRUE(system->block_on(boss.ask<&Boss::count>()).has_value());
            ASSERT_EQ(seen->size(), 1U);
            EXPECT_NE(seen->front(), "noproc");
        }
    });
}

TEST(SpawnMonitored, CanBeCancelled) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto boss = system->spawn<Boss>(seen);
        ASSERT_TRUE(system->block_on(boss.ask<&Boss::hire_monitored>(How::stays)).has_value());
        auto child = *system->block_on(boss.ask<&Boss::last>());
        ASSERT_TRUE(system->block_on(boss.ask<&Boss::forget>()).has_value());
        child.stop();
        wait_for_end(system, child);
        EXPECT_EQ(system->block_on(boss.ask<&Boss::count>()), 0U);
    });
}

TEST(SpawnBound, OnceTheSystemStopsIsNoproc) {
    class Late : public Actor {
    public:
        explicit Late(Seen seen) : seen_(std::move(seen)) { trap_exits<&Late::on_exit>(); }

    private:
        Task<void> on_stop(const ExitReason&) override {
            static_cast<void>(spawn_linked<Fleeting>(How::stays));
            static_cast<void>(spawn_monitored<Fleeting, &Late::on_down>(How::stays));
            seen_->push_back("refused");
            co_return;
        }
        void on_exit(Exit) {}
        void on_down(Down) {}
        Seen seen_;
    };
    const Seen seen = make_seen();
    std::size_t runs = 0;
    on_both_engines(
        [&](OwnedSystem& system) {
            ++runs;
            auto late = system->spawn<Late>(seen);
            EXPECT_TRUE(system->info(late.pid()).has_value());
        },
        2);
    // Every run has taken its system down by now, and nothing was left.
    EXPECT_EQ(seen->size(), runs);
}

// ---- every order --------------------------------------------------------------------------------

class Director : public Actor {
public:
    void stop(Ref<Partner> one, Stop strength) { one.stop(strength); }
    void stop_trapper(Ref<Trapper> one) { one.stop(Stop::kill); }
};

TEST(LinkEverySchedule, HearsExactlyOnceWheneverThePeerEnds) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        bool reason_seen = false;
        bool noproc_seen = false;
        const auto explored = on_all_schedules(20'000, [&](OwnedSystem& system) {
            const Seen seen = make_seen();
            auto partner = system->spawn<Partner>();
            system->spawn<Trapper>(seen).tell<&Trapper::join>(partner);
            system->spawn<Director>().tell<&Director::stop>(partner, strength);
            system.settle();
            ASSERT_EQ(seen->size(), 1U);
            (seen->front() == "noproc" ? noproc_seen : reason_seen) = true;
        });
        EXPECT_TRUE(explored.exhaustive);
        EXPECT_TRUE(reason_seen);
        EXPECT_TRUE(noproc_seen);
    }
}

TEST(LinkEverySchedule, LinkUnlinkAndEndLeaveBothWithTheSameView) {
    bool heard_some = false;
    bool heard_none = false;
    const auto explored = on_all_schedules(60'000, [&](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto partner = system->spawn<Partner>();
        auto trapper = system->spawn<Trapper>(seen);
        trapper.tell<&Trapper::join>(partner);
        trapper.tell<&Trapper::leave>(partner);
        partner.stop();
        system.settle();
        EXPECT_LE(seen->size(), 1U);
        (seen->empty() ? heard_none : heard_some) = true;
    });
    EXPECT_TRUE(explored.exhaustive);
    EXPECT_TRUE(heard_some);
    EXPECT_TRUE(heard_none);
}

TEST(LinkEverySchedule, CrossingLinksAndAnUnlinkAreLinkedForBothOrForNone) {
    bool linked = false;
    bool unlinked = false;
    const auto explored = on_all_schedules(60'000, [&](OwnedSystem& system) {
        auto one = system->spawn<Partner>();
        auto two = system->spawn<Partner>();
        one.tell<&Partner::join>(two);
        two.tell<&Partner::join>(one);
        one.tell<&Partner::leave>(two);
        system.settle();
        // Each would end the other, or neither would: end one of them and look.
        const bool first_ends =
            system->engine().choose(2, ChoiceKind::random_draw, "who ends") == 0;
        (first_ends ? one : two).stop(Stop::kill);
        system.settle();
        const bool other_lives =
            (first_ends ? two : one).tell<&Partner::alive>() == SendStatus::sent;
        (other_lives ? unlinked : linked) = true;
        system.settle();
    });
    EXPECT_TRUE(explored.exhaustive);
    EXPECT_TRUE(linked);
    EXPECT_TRUE(unlinked);
}

TEST(LinkEverySchedule, AKillOfEitherWhileTheyLinkEndsBoth) {
    const auto explored = on_all_schedules(60'000, [&](OwnedSystem& system) {
        auto one = system->spawn<Partner>();
        auto two = system->spawn<Partner>();
        one.tell<&Partner::join>(two);
        two.tell<&Partner::join>(one);
        system->spawn<Director>().tell<&Director::stop>(one, Stop::kill);
        system.settle();
        // Either they were linked when it was killed, or `two` has met nobody: noproc.
        EXPECT_EQ(one.tell<&Partner::alive>(), SendStatus::gone);
        EXPECT_EQ(two.tell<&Partner::alive>(), SendStatus::gone);
    });
    EXPECT_TRUE(explored.exhaustive);
}

}  // namespace
}  // namespace troupe
