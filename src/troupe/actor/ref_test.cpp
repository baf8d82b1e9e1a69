#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>
#include <vector>

namespace troupe {
namespace {

using actor_internal::on_both_engines;
using actor_internal::on_threads;
using actor_internal::wait_for_end;

class Counter : public Actor {
public:
    void add(int n) { sum_ += n; }
    int sum() const { return sum_; }

private:
    int sum_ = 0;
};

/// What a handler sees of the world, for tells and asks that must come from inside.
Task<Errc> code_of_ask(Ref<Counter> counter) {
    const auto sum = co_await counter.ask<&Counter::sum>();
    if (sum) co_return Errc{};
    for (const Errc code : {Errc::actor_gone, Errc::timed_out, Errc::failed, Errc::call_cycle}) {
        if (sum.error() == code) co_return code;
    }
    co_return Errc::closed;
}
Task<Errc> code_of_send(Ref<Counter> counter) {
    const auto sent = co_await counter.send<&Counter::add>(1);
    if (sent) co_return Errc{};
    co_return sent.error() == Errc::actor_gone ? Errc::actor_gone : Errc::closed;
}

TEST(Ref, OfNobodyRefusesEverything) {
    on_both_engines([](OwnedSystem& system) {
        const Ref<Counter> nobody;
        EXPECT_EQ(nobody.tell<&Counter::add>(1), SendStatus::gone);
        EXPECT_EQ(system->block_on(code_of_ask(nobody)), Errc::actor_gone);
        EXPECT_EQ(system->block_on(code_of_send(nobody)), Errc::actor_gone);
        nobody.stop();
        EXPECT_EQ(nobody, Ref<Counter>());
        EXPECT_EQ(nobody.pid(), Pid());
        EXPECT_EQ(wait_for_end(system, nobody).reason.kind(), ExitReason::Kind::noproc);
    });
}

TEST(Ref, OfAnEndedActorRefusesEverythingForEver) {
    on_both_engines([](OwnedSystem& system) {
        auto counter = system->spawn<Counter>();
        counter.stop();
        wait_for_end(system, counter);
        for (int i = 0; i < 3; ++i) {
            // Others take the slot: the old address still reaches nobody.
            auto other = system->spawn<Counter>();
            EXPECT_EQ(counter.tell<&Counter::add>(1), SendStatus::gone);
            EXPECT_EQ(system->block_on(code_of_ask(counter)), Errc::actor_gone);
            EXPECT_EQ(system->block_on(code_of_send(counter)), Errc::actor_gone);
            counter.stop(Stop::kill);
            EXPECT_EQ(system->block_on(other.ask<&Counter::sum>()), 0);
            EXPECT_NE(counter, other);
        }
    });
}

TEST(Ref, MayOutliveItsSystem) {
    std::vector<Ref<Counter>> old;
    for (int round = 0; round < 3; ++round) {
        on_both_engines(
            [&](OwnedSystem& system) {
                old.push_back(system->spawn<Counter>());
                for (const auto& ref : old)
                    ref.tell<&Counter::add>(1);
                EXPECT_EQ(system->block_on(old.back().ask<&Counter::sum>()), 1);
                for (std::size_t i = 0; i + 1 < old.size(); ++i) {
                    EXPECT_EQ(old[i].tell<&Counter::add>(1), SendStatus::gone);
                }
            },
            5);
        // There is no system at all here.
        for (const auto& ref : old) {
            EXPECT_EQ(ref.tell<&Counter::add>(1), SendStatus::gone);
            ref.stop();
        }
    }
}

TEST(Ref, IsSixteenBytesComparedAndHashedByIdentity) {
    static_assert(sizeof(Ref<Counter>) == 16);
    static_assert(std::is_trivially_copyable_v<Ref<Counter>>);
    on_threads(1, [](OwnedSystem& system) {
        auto one = system->spawn<Counter>();
        auto two = system->spawn<Counter>();
        EXPECT_EQ(one, Ref<Counter>(one));
        EXPECT_NE(one, two);
        const std::unordered_set<Ref<Counter>> set{one, two, one};
        EXPECT_EQ(set.size(), 2U);
        EXPECT_EQ(to_string(one.pid()).front(), '<');
        EXPECT_NE(to_string(one.pid()), to_string(two.pid()));
    });
}

/// Gives its address away while it is being built, and is told at once.
class Early : public Actor {
public:
    explicit Early(std::vector<int>* log) : log_(log) {
        const Ref<Early> me = self(this);
        me.tell<&Early::note>(1);
        me.tell<&Early::note>(2);
        log_->push_back(0);
    }
    void note(int n) { log_->push_back(n); }
    int notes() const { return static_cast<int>(log_->size()); }

private:
    std::vector<int>* log_;
};

TEST(Ref, ToldWhileItIsBuiltRunsAfterwards) {
    on_both_engines([](OwnedSystem& system) {
        std::vector<int> log;
        auto early = system->spawn<Early>(&log);
        early.tell<&Early::note>(3);
        EXPECT_EQ(system->block_on(early.ask<&Early::notes>()), 4);
        EXPECT_EQ(log, (std::vector<int>{0, 1, 2, 3}));
    });
}

TEST(Ref, MessagesOfOneSenderArriveInOrder) {
    class Orderly : public Actor {
    public:
        void take(int n) {
            in_order_ = in_order_ && n == next_;
            ++next_;
        }
        int taken_in_order() const { return in_order_ ? next_ : -1; }

    private:
        int next_ = 0;
        bool in_order_ = true;
    };
    on_both_engines([](OwnedSystem& system) {
        auto orderly = system->spawn<Orderly>();
        for (int i = 0; i < 500; ++i)
            orderly.tell<&Orderly::take>(i);
        EXPECT_EQ(system->block_on(orderly.ask<&Orderly::taken_in_order>()), 500);
    });
}

}  // namespace
}  // namespace troupe
