#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/scheduler/latch.hpp>

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace troupe {
namespace {

using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::on_threads;
using actor_internal::wait_for_end;
using namespace std::chrono_literals;

// Marks of mail are as coarse as a millisecond, and say too little rather than too much.
constexpr Duration kMarkStep = 2ms;

}  // namespace

template <>
inline constexpr bool kSendable<Latch*> = true;

namespace {

class Clerk : public Actor {
public:
    Task<> wait_at(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    int work() { return 1; }
    void note(int number) { noted_ = number; }
    void block(Latch* go_on) { go_on->wait(); }

private:
    int noted_ = 0;
};
struct Plain {
    int work() { return 2; }
};

/// Of an actor whose turn is about to end: a moment later it can be looked into.
ActorInfo complete_info(OwnedSystem& system, Pid pid) {
    if (system->engine().deterministic()) system.settle();
    for (int i = 0; i < 1'000'000; ++i) {
        ActorInfo info = *system->info(pid);
        if (info.complete) return info;
    }
    ADD_FAILURE() << "it has never let go";
    return {};
}

TEST(Listing, ShowsTypeDepthCapacityAndHandled) {
    on_both_engines([](OwnedSystem& system) {
        EXPECT_TRUE(system->actors().empty());
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>(options().mailbox(bounded(10)));
        auto plain = system->spawn<Plain>();
        EXPECT_EQ(system->block_on(clerk.ask<&Clerk::work>()), 1);
        EXPECT_EQ(system->block_on(plain.ask<&Plain::work>()), 2);
        clerk.tell<&Clerk::wait_at>(gate);
        clerk.tell<&Clerk::work>();
        clerk.tell<&Clerk::work>();
        gate->wait_until_reached(system);
        const ActorInfo info = complete_info(system, clerk.pid());
        EXPECT_TRUE(info.type.ends_with("Clerk")) << info.type;
        EXPECT_EQ(info.pid, clerk.pid());
        EXPECT_EQ(info.state, ActorState::suspended);
        EXPECT_EQ(info.mailbox_depth, 3U) << "the one being handled counts";
        EXPECT_EQ(info.mailbox_capacity, 10U);
        EXPECT_EQ(info.handled, 1U);
        const auto all = system->actors();
        ASSERT_EQ(all.size(), 2U);
        EXPECT_TRUE(std::ranges::is_sorted(all, {}, &ActorInfo::pid));
        gate->open();
        EXPECT_EQ(system->block_on(clerk.ask<&Clerk::work>()), 1);
        EXPECT_EQ(system->block_on(clerk.ask<&Clerk::work>()), 1);
        EXPECT_GE(system->info(clerk.pid())->handled, 5U);
        EXPECT_LE(system->info(clerk.pid())->mailbox_depth, 1U);
    });
}

/// Has relations of every kind.
class Head : public Actor {
public:
    Ref<Clerk> hire() { return spawn<Clerk>(); }
    void join(Ref<Clerk> clerk) { link(clerk); }
    void watch(Ref<Clerk> clerk) { monitor<&Head::ended>(clerk); }
    ActorInfo myself() { return *system().info(Ref<Head>(self(this)).pid()); }
    Task<> ask_slowly(Ref<Clerk> clerk, std::shared_ptr<Gate> gate) {
        ignore(co_await clerk.ask<&Clerk::wait_at>(gate), "a test");
    }
    Task<> ask_in_vain(Ref<Clerk> clerk, Duration patience) {
        const auto answer = co_await clerk.ask<&Clerk::work>().within(patience);
        EXPECT_FALSE(answer.has_value());
    }
    int work() const { return 1; }

private:
    void ended(Down) {}
};

TEST(Listing, ShowsNameParentRelationsAndUptime) {
    on_both_engines([](OwnedSystem& system) {
        auto head = system->spawn<Head>(named("head"));
        auto child = *system->block_on(head.ask<&Head::hire>());
        auto other = system->spawn<Clerk>();
        ASSERT_TRUE(system->block_on(head.ask<&Head::join>(other)).has_value());
        ASSERT_TRUE(system->block_on(head.ask<&Head::watch>(other)).has_value());
        ASSERT_TRUE(system->block_on(head.ask<&Head::watch>(child)).has_value());
        EXPECT_EQ(system->block_on(child.ask<&Clerk::work>()), 1);
        EXPECT_EQ(system->block_on(other.ask<&Clerk::work>()), 1);
        if (system->engine().deterministic()) system.advance(std::chrono::seconds(5));
        const ActorInfo of_head = complete_info(system, head.pid());
        EXPECT_EQ(of_head.state, ActorState::idle);
        EXPECT_EQ(of_head.name, "head");
        EXPECT_EQ(of_head.parent, Pid());
        EXPECT_EQ(of_head.children, 1U);
        EXPECT_EQ(of_head.links, 1U);
        EXPECT_EQ(of_head.monitors, 0U);
        EXPECT_EQ(of_head.watched, 2U);
        EXPECT_GT(of_head.bytes, sizeof(Cell));
        EXPECT_EQ(of_head.incarnation, 1U);
        const ActorInfo of_child = complete_info(system, child.pid());
        EXPECT_EQ(of_child.parent, head.pid());
        EXPECT_EQ(of_child.name, "");
        EXPECT_EQ(of_child.monitors, 1U);
        EXPECT_EQ(of_child.links, 0U);
        const ActorInfo of_other = complete_info(system, other.pid());
        EXPECT_EQ(of_other.links, 1U);
        EXPECT_EQ(of_other.monitors, 1U);
        EXPECT_EQ(of_other.bytes > sizeof(Cell), true);
        if (!system->engine().deterministic()) return;
        EXPECT_GE(of_head.uptime, std::chrono::seconds(5));
        EXPECT_LT(of_head.uptime, std::chrono::milliseconds(5100));
    });
}

TEST(Listing, ShowsAtWhichAwaitASuspendedHandlerSits) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>();
        auto head = system->spawn<Head>();
        head.tell<&Head::ask_slowly>(clerk, gate);
        gate->wait_until_reached(system);
        if (system->engine().deterministic()) system.advance(std::chrono::seconds(2));
        ActorInfo info = complete_info(system, head.pid());
        EXPECT_EQ(info.state, ActorState::suspended);
        EXPECT_TRUE(info.method.ends_with("Head::ask_slowly")) << info.method;
        EXPECT_TRUE(info.awaits.starts_with("ask ")) << info.awaits;
        EXPECT_TRUE(info.awaits.ends_with("Clerk::wait_at")) << info.awaits;
        EXPECT_TRUE(info.where.starts_with("listing_test.cpp:")) << info.where;
        const std::string text = to_string(info);
        EXPECT_NE(text.find("suspended in "), std::string::npos) << text;
        EXPECT_NE(text.find("Head::ask_slowly at listing_test.cpp:"), std::string::npos) << text;
        if (system->engine().deterministic()) {
            EXPECT_EQ(info.waiting, std::chrono::seconds(2));
        }
        info = complete_info(system, clerk.pid());
        EXPECT_EQ(info.awaits, "a test's gate");
        gate->open();
    });
}

// Goal: the age of the oldest message is right without a stamp in any message. Method: mail behind
// a handler that waits, seen by one look and by the next, a virtual while later.
TEST(Listing, ShowsForHowLongMailHasWaitedSinceItWasFirstSeen) {
    on_seeds(20, [](OwnedSystem& system) {
        const auto age = [&](Ref<Clerk> clerk) { return system->info(clerk.pid())->mailbox_age; };
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>();
        clerk.tell<&Clerk::wait_at>(gate);
        system.advance(1h);
        EXPECT_EQ(age(clerk), 0s) << "the one being handled does not wait";
        clerk.tell<&Clerk::work>();
        EXPECT_EQ(age(clerk), 0s);
        system.advance(5s);
        clerk.tell<&Clerk::work>();
        EXPECT_LE(age(clerk), 5s);
        EXPECT_GE(age(clerk), 5s - kMarkStep);
        const std::string text = to_string(*system->info(clerk.pid()));
        EXPECT_NE(text.find("mailbox 3 of 1000, the oldest for 5.0 s"), std::string::npos) << text;
        gate->open();
        system.settle();
        EXPECT_EQ(age(clerk), 0s);
        auto second_gate = std::make_shared<Gate>();
        clerk.tell<&Clerk::wait_at>(second_gate);
        clerk.tell<&Clerk::work>();
        system.settle();
        EXPECT_EQ(age(clerk), 0s) << "the mail of before has gone";
        second_gate->open();
    });
}

TEST(Listing, KnowsTheAgeOfMailThatATurnHasLeftBehind) {
    on_seeds(20, [](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>();
        clerk.tell<&Clerk::wait_at>(gate);
        clerk.tell<&Clerk::work>();
        system.advance(5s);
        const Duration age = system->info(clerk.pid())->mailbox_age;
        EXPECT_LE(age, 5s);
        EXPECT_GE(age, 5s - kMarkStep) << "at the first look";
        gate->open();
    });
}

TEST(Listing, DoesNotCountTheAgeOfMailThatWasShed) {
    on_seeds(20, [](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>();
        clerk.tell<&Clerk::wait_at>(gate);
        auto head = system->spawn<Head>();
        head.tell<&Head::ask_in_vain>(clerk, Duration(1s));
        system.advance(2s);
        // Seen at the latest by the asker, who said in its error what the clerk was at.
        EXPECT_GE(system->info(clerk.pid())->mailbox_age, 1s - kMarkStep);
        auto second_gate = std::make_shared<Gate>();
        clerk.tell<&Clerk::wait_at>(second_gate);
        gate->open();
        system.settle();
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::expired], 1U);
        clerk.tell<&Clerk::work>();
        EXPECT_EQ(system->info(clerk.pid())->mailbox_age, 0s);
        second_gate->open();
    });
}

TEST(Listing, KnowsTheAgeOfMailInAMailboxWithAPolicyExactly) {
    on_seeds(20, [](OwnedSystem& system) {
        const auto age_after = [&](const MailboxOptions& mailbox) {
            auto gate = std::make_shared<Gate>();
            auto clerk = system->spawn<Clerk>(options().mailbox(mailbox));
            clerk.tell<&Clerk::wait_at>(gate);
            system.settle();
            EXPECT_EQ(system->info(clerk.pid())->mailbox_age, 0s);
            clerk.tell<&Clerk::note>(1);
            system.advance(2s);
            clerk.tell<&Clerk::note>(2);
            system.advance(1s);
            const Duration age = system->info(clerk.pid())->mailbox_age;
            gate->open();
            system.settle();
            EXPECT_EQ(system->info(clerk.pid())->mailbox_age, 0s);
            return age;
        };
        EXPECT_EQ(age_after(bounded(10).reject()), 3s);
        EXPECT_EQ(age_after(bounded(1).reject()), 3s) << "the second was refused";
        EXPECT_EQ(age_after(bounded(1).drop_oldest()), 1s) << "the first has lost its place";
        EXPECT_EQ(age_after(bounded(10).conflate<&Clerk::note>()), 3s) << "its place is as old";
    });
}

TEST(Listing, ShowsForHowLongAMethodHasBeenRunning) {
    on_threads(2, [](OwnedSystem& system) {
        for (const bool own_thread : {false, true}) {
            Latch go_on;
            auto clerk =
                own_thread ? system->spawn<Clerk>(options().own_thread()) : system->spawn<Clerk>();
            clerk.tell<&Clerk::block>(&go_on);
            ActorInfo info;
            while (info.running < 20ms) {
                info = *system->info(clerk.pid());
                ::sched_yield();
            }
            EXPECT_EQ(info.state, ActorState::running);
            EXPECT_TRUE(info.method.ends_with("Clerk::block")) << info.method;
            EXPECT_NE(to_string(info).find("Clerk::block, for 0."), std::string::npos);
            go_on.open();
            EXPECT_EQ(system->block_on(clerk.ask<&Clerk::work>()), 1);
            EXPECT_EQ(complete_info(system, clerk.pid()).running, 0s);
            clerk.stop();
            wait_for_end(system, clerk);
        }
    });
}

TEST(Listing, MayBeTakenByAnActorAndShowsItselfAsRunning) {
    on_both_engines([](OwnedSystem& system) {
        auto head = system->spawn<Head>(named("head"));
        const auto info = system->block_on(head.ask<&Head::myself>());
        EXPECT_EQ(info->state, ActorState::running);
        EXPECT_TRUE(info->method.ends_with("Head::myself")) << info->method;
        EXPECT_TRUE(info->complete);
        EXPECT_EQ(info->name, "head");
    });
}

TEST(Listing, NamesAlsoThoseItCannotLookInto) {
    on_seeds(10, [](OwnedSystem& system) {
        auto head = system->spawn<Head>(named("head"));
        head.tell<&Head::work>();  // queued, and nobody runs it now
        const auto info = system->info(head.pid());
        EXPECT_EQ(info->state, ActorState::starting);
        EXPECT_FALSE(info->complete);
        EXPECT_EQ(info->name, "head");
        EXPECT_EQ(system->actors().at(0).name, "head");
    });
}

TEST(Listing, DisturbsNobodyWhoAsksAndAnswersMeanwhile) {
    on_threads(2, [](OwnedSystem& system) {
        std::vector<Ref<Head>> heads;
        std::vector<Ref<Clerk>> clerks;
        for (int i = 0; i < 4; ++i) {
            heads.push_back(system->spawn<Head>());
            clerks.push_back(system->spawn<Clerk>());
        }
        std::atomic<bool> done{false};  // the test writes, the lister reads
        std::thread lister([&] {
            while (!done.load())
                static_cast<void>(system->actors());
        });
        auto open = std::make_shared<Gate>();
        open->open();
        for (int i = 0; i < 2000; ++i) {
            const auto at = static_cast<std::size_t>(i) % heads.size();
            ASSERT_TRUE(
                system->block_on(heads[at].ask<&Head::ask_slowly>(clerks[at], open)).has_value());
        }
        done.store(true);
        lister.join();
    });
}

TEST(Listing, DoesNotKnowWhoHasEnded) {
    on_both_engines([](OwnedSystem& system) {
        auto clerk = system->spawn<Clerk>();
        const Pid pid = clerk.pid();
        EXPECT_TRUE(system->info(pid).has_value());
        clerk.stop();
        wait_for_end(system, clerk);
        EXPECT_TRUE(system->info(pid).error() == Errc::not_found);
        auto next = system->spawn<Clerk>();
        EXPECT_NE(next.pid(), pid);
        EXPECT_TRUE(system->info(pid).error() == Errc::not_found);
        EXPECT_TRUE(system->info(Pid()).error() == Errc::not_found);
        EXPECT_TRUE(system->info(Pid{0, 4'000'000'000, 1}).error() == Errc::not_found);
    });
}

TEST(Listing, MayBeTakenWhileActorsComeAndGo) {
    on_threads(2, [](OwnedSystem& system) {
        std::thread lister([&] {
            for (int i = 0; i < 300; ++i) {
                for (const ActorInfo& info : system->actors())
                    static_cast<void>(system->info(info.pid));
            }
        });
        for (int i = 0; i < 1000; ++i) {
            auto clerk = system->spawn<Clerk>();
            clerk.tell<&Clerk::work>();
            clerk.stop(Stop::drain);
        }
        lister.join();
    });
}

}  // namespace
}  // namespace troupe
