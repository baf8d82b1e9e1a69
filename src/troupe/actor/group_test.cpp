#include <troupe/actor/group.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/properties.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::EndWatch;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::on_threads;

struct Listener {
    virtual ~Listener() = default;
    virtual void hear(std::string line) = 0;
};

class Member : public Actor, public Listener {
public:
    Member() = default;
    explicit Member(bool fails) {
        group().join(self(this));
        if (fails) throw std::runtime_error("cannot be built");
    }
    void join() { group().join(self(this)); }
    bool leave() { return group().leave(self(this)); }
    void fail() { throw std::runtime_error("broken"); }
    void hear(std::string line) override { heard_.push_back(std::move(line)); }
    std::vector<std::string> heard() const { return heard_; }

    void add(std::string key, int value) { properties().add(self(this), key, value); }
    bool remove(std::string key) { return properties().remove(self(this), key); }

    Group<Listener> group() const { return {system(), "room"}; }
    Properties<Listener, int> properties() const { return {system(), "topics"}; }

private:
    std::vector<std::string> heard_;
};

TEST(Group, HasThoseWhoJoinedInTheirOrderAndAsOftenAsTheyDid) {
    on_both_engines([](OwnedSystem& system) {
        const Group<Listener> group(*system, "room");
        EXPECT_TRUE(group.members().empty());
        auto ann = system->spawn<Member>();
        auto bob = system->spawn<Member>();
        for (const auto& who : {ann, bob, ann})
            ASSERT_TRUE(system->block_on(who.ask<&Member::join>()).has_value());
        const Ref<Listener> a = ann;
        const Ref<Listener> b = bob;
        EXPECT_EQ(group.members(), (std::vector<Ref<Listener>>{a, b, a}));
        EXPECT_EQ(group.tell_all<&Listener::hear>("hello"), 3U);
        EXPECT_EQ(system->block_on(ann.ask<&Member::heard>()),
                  (std::vector<std::string>{"hello", "hello"}));
        EXPECT_EQ(system->block_on(bob.ask<&Member::heard>()), (std::vector<std::string>{"hello"}));
        // It leaves as often as it has joined.
        EXPECT_EQ(system->block_on(ann.ask<&Member::leave>()), true);
        EXPECT_EQ(group.members(), (std::vector<Ref<Listener>>{a, b}));
        EXPECT_EQ(system->block_on(ann.ask<&Member::leave>()), true);
        EXPECT_EQ(system->block_on(ann.ask<&Member::leave>()), false);
        EXPECT_EQ(group.members(), (std::vector<Ref<Listener>>{b}));
    });
}

TEST(Group, OfAnotherTypeOrNameIsAnotherGroup) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto ann = system->spawn<Member>();
            ASSERT_TRUE(system->block_on(ann.ask<&Member::join>()).has_value());
            EXPECT_EQ(Group<Listener>(*system, "room").members().size(), 1U);
            EXPECT_TRUE(Group<Listener>(*system, "roo").members().empty());
            EXPECT_TRUE(Group<Member>(*system, "room").members().empty());
        },
        5);
}

TEST(Group, IsLeftByWhoeverEndsBeforeAnybodyHears) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        on_both_engines(
            [&](OwnedSystem& system) {
                const Group<Listener> group(*system, "room");
                auto ann = system->spawn<Member>();
                ASSERT_TRUE(system->block_on(ann.ask<&Member::join>()).has_value());
                ASSERT_TRUE(system->block_on(ann.ask<&Member::join>()).has_value());
                EndWatch watch(system, ann);
                ann.stop(strength);
                watch.wait();
                EXPECT_TRUE(group.members().empty());
            },
            30);
    }
    on_both_engines(
        [](OwnedSystem& system) {
            auto fails = system->spawn<Member>(true);
            EXPECT_TRUE(Group<Listener>(*system, "room").members().empty());
            auto stays = system->spawn<Member>(false);
            EXPECT_EQ(Group<Listener>(*system, "room").members().size(), 1U);
            EndWatch watch(system, stays);
            stays.tell<&Member::fail>();
            watch.wait();
            EXPECT_TRUE(Group<Listener>(*system, "room").members().empty());
            EXPECT_EQ(fails.tell<&Member::join>(), SendStatus::gone);
        },
        10);
}

/// Keeps a list of the members by what it is told, and notes when the end of one comes too early.
class Router : public Actor {
public:
    std::size_t begin() {
        members_ = group().watch<&Router::changed>(self(this));
        for (const auto& member : members_)
            monitor<&Router::down>(member);
        return members_.size();
    }
    bool end() { return group().unwatch(self(this)); }
    Task<> hold(std::shared_ptr<actor_internal::Gate> gate) { co_await gate->pass(); }
    std::vector<Ref<Listener>> members() const { return members_; }
    int too_early() const { return too_early_; }

private:
    Group<Listener> group() const { return {system(), "room"}; }
    void changed(GroupChange<Listener> change) {
        if (change.joined) {
            members_.push_back(change.member);
            monitor<&Router::down>(change.member);
        } else {
            const auto at = std::find(members_.begin(), members_.end(), change.member);
            if (at != members_.end()) members_.erase(at);
        }
    }
    void down(Down down) {
        for (const auto& member : group().members())
            too_early_ += member.pid() == down.pid ? 1 : 0;
    }
    std::vector<Ref<Listener>> members_;
    int too_early_ = 0;
};

TEST(Group, TellsWatchersOfEachChangeAfterWhatTheyWereGiven) {
    on_seeds(100, [](OwnedSystem& system) {
        auto router = system->spawn<Router>(options().mailbox(bounded(1)));
        auto gate = std::make_shared<actor_internal::Gate>();
        std::vector<Ref<Member>> members;
        for (int i = 0; i < 10; ++i) {
            members.push_back(system->spawn<Member>());
            members.back().tell<&Member::join>();
        }
        router.tell<&Router::begin>();
        for (const auto& member : members)
            member.tell<&Member::join>();
        system.settle();
        EXPECT_EQ(system->block_on(router.ask<&Router::members>())->size(), 20U);
        // However full its mailbox is, it hears of all.
        router.tell<&Router::hold>(gate);
        system.settle();
        for (int i = 0; i < 5; ++i)
            members[static_cast<std::size_t>(i)].stop(Stop::kill);
        system.settle();
        gate->open();
        system.settle();
        EXPECT_EQ(system->block_on(router.ask<&Router::members>()),
                  Group<Listener>(*system, "room").members());
        EXPECT_EQ(system->block_on(router.ask<&Router::too_early>()), 0);
        EXPECT_EQ(system->block_on(router.ask<&Router::end>()), true);
        EXPECT_EQ(system->block_on(router.ask<&Router::end>()), false);
        members[9].stop();
        system.settle();
        EXPECT_EQ(system->block_on(router.ask<&Router::members>())->size(), 10U);
    });
}

TEST(GroupEverySchedule, AWatchersPictureIsTheGroup) {
    const auto explored = on_all_schedules(30'000, [](OwnedSystem& system) {
        auto router = system->spawn<Router>();
        auto ann = system->spawn<Member>();
        ann.tell<&Member::join>();
        router.tell<&Router::begin>();
        ann.stop();
        system->spawn<Member>().tell<&Member::join>();
        system.settle();
        EXPECT_EQ(system->block_on(router.ask<&Router::members>()),
                  Group<Listener>(*system, "room").members());
        EXPECT_EQ(system->block_on(router.ask<&Router::too_early>()), 0);
    });
    EXPECT_GT(explored.distinct, 5U);
}

TEST(Properties, AreFoundByKeyWithTheirValuesAndGoWithTheirActor) {
    on_both_engines([](OwnedSystem& system) {
        const Properties<Listener, int> topics(*system, "topics");
        auto ann = system->spawn<Member>();
        auto bob = system->spawn<Member>();
        ASSERT_TRUE(system->block_on(ann.ask<&Member::add>("news", 1)).has_value());
        ASSERT_TRUE(system->block_on(bob.ask<&Member::add>("news", 2)).has_value());
        ASSERT_TRUE(system->block_on(ann.ask<&Member::add>("news", 3)).has_value());
        ASSERT_TRUE(system->block_on(bob.ask<&Member::add>("sport", 4)).has_value());
        const auto values = [&](std::string_view key) {
            std::vector<int> found;
            topics.dispatch(key, [&](Ref<Listener>, const int& value) { found.push_back(value); });
            return found;
        };
        EXPECT_EQ(values("news"), (std::vector<int>{1, 2, 3}));
        EXPECT_EQ(values("sport"), (std::vector<int>{4}));
        EXPECT_TRUE(values("weather").empty());
        EXPECT_EQ(topics.tell_all<&Listener::hear>("news", "line"), 3U);
        EXPECT_EQ(system->block_on(ann.ask<&Member::remove>("news")), true);
        EXPECT_EQ(system->block_on(ann.ask<&Member::remove>("sport")), false);
        EXPECT_EQ(values("news"), (std::vector<int>{1, 2}));
        EndWatch watch(system, bob);
        bob.stop();
        watch.wait();
        EXPECT_EQ(values("news"), (std::vector<int>{1}));
        EXPECT_TRUE(values("sport").empty());
        EXPECT_TRUE(Group<Listener>(*system, "topics").members().empty());
    });
}

TEST(GroupThreads, ManyComeAndGoUnderTheEyesOfOthers) {
    class Churn : public Actor, public Listener {
    public:
        Task<> churn(int rounds) {
            const Group<Listener> group(system(), "room");
            for (int i = 0; i < rounds; ++i) {
                group.join(self(this));
                group.tell_all<&Listener::hear>("hello");
                if (i % 7 == 0) co_await yield();
                group.leave(self(this));
            }
        }
        void hear(std::string) override {}
        bool done() const { return true; }
    };
    on_threads(3, [](OwnedSystem& system) {
        auto router = system->spawn<Router>();
        router.tell<&Router::begin>();
        std::vector<Ref<Churn>> all;
        for (int i = 0; i < 4; ++i) {
            all.push_back(system->spawn<Churn>());
            all.back().tell<&Churn::churn>(500);
        }
        for (const auto& churn : all)
            EXPECT_EQ(system->block_on(churn.ask<&Churn::done>().within(2min)), true);
        EXPECT_TRUE(system->block_on(router.ask<&Router::members>().within(2min))->empty());
    });
}

}  // namespace
}  // namespace troupe
