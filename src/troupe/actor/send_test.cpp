#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace troupe {
namespace {

using actor_internal::EndNews;
using actor_internal::EndWatcher;
using actor_internal::Gate;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::wait_for_end;

struct Item {
    int sender = 0;
    int number = 0;
    friend bool operator==(const Item&, const Item&) = default;
};

class Store : public Actor {
public:
    void put(int sender, int number) { items_.push_back({sender, number}); }
    Task<> wait_at(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    std::vector<Item> items() const { return items_; }

private:
    std::vector<Item> items_;
};

/// Sends numbers one after the other and keeps what it hears.
class Sender : public Actor {
public:
    Task<int> send_to(Ref<Store> store, int sender, int count) {
        int sent = 0;
        for (int i = 0; i < count; ++i) {
            const auto result = co_await store.send<&Store::put>(sender, i);
            if (result) {
                ++sent;
            } else {
                EXPECT_TRUE(result.error() == Errc::actor_gone) << result.error().message();
            }
        }
        co_return sent;
    }
    Task<> send_and_report(Ref<Store> store, int sender, int count, std::shared_ptr<int> sent) {
        *sent = co_await send_to(store, sender, count);
    }
    int done() const { return 1; }
};

bool each_in_order(const std::vector<Item>& items, int senders) {
    std::vector<int> next(static_cast<std::size_t>(senders));
    return std::ranges::all_of(items, [&](const Item& item) {
        return item.number == next[static_cast<std::size_t>(item.sender)]++;
    });
}

TEST(Send, GivesEverythingToASmallMailboxInOrder) {
    on_both_engines([](OwnedSystem& system) {
        auto store = system->spawn<Store>(options().mailbox(bounded(2)));
        std::vector<Ref<Sender>> senders;
        for (int i = 0; i < 3; ++i) {
            senders.push_back(system->spawn<Sender>());
            senders.back().tell<&Sender::send_and_report>(store, i, 20, std::make_shared<int>(0));
        }
        for (const auto& sender : senders)
            EXPECT_EQ(system->block_on(sender.ask<&Sender::done>()), 1);
        const auto items = system->block_on(store.ask<&Store::items>());
        ASSERT_TRUE(items.has_value());
        EXPECT_EQ(items->size(), 60U);
        EXPECT_TRUE(each_in_order(*items, 3));
        EXPECT_EQ(system->dead_letters().total(), 0U);
    });
}

TEST(Tell, IsRefusedByAFullMailboxAndCounted) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto store = system->spawn<Store>(options().mailbox(bounded(3)));
        store.tell<&Store::wait_at>(gate);
        gate->wait_until_reached(system);
        // The message being handled takes its room until it has been handled.
        EXPECT_EQ(store.tell<&Store::put>(0, 0), SendStatus::sent);
        EXPECT_EQ(store.tell<&Store::put>(0, 1), SendStatus::sent);
        EXPECT_EQ(store.tell<&Store::put>(0, 2), SendStatus::full);
        EXPECT_EQ(store.tell<&Store::put>(0, 3), SendStatus::full);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::overflow], 2U);
        gate->open();
        EXPECT_EQ(system->block_on(store.ask<&Store::items>())->size(), 2U);
        EXPECT_EQ(store.tell<&Store::put>(0, 4), SendStatus::sent);
    });
}

TEST(Tell, ToAnUnboundedMailboxIsNeverRefused) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto gate = std::make_shared<Gate>();
            auto store = system->spawn<Store>(options().mailbox(unbounded()));
            store.tell<&Store::wait_at>(gate);
            gate->wait_until_reached(system);
            // Beyond what the mailbox can count.
            for (int i = 0; i < 70'000; ++i)
                ASSERT_EQ(store.tell<&Store::put>(0, i), SendStatus::sent);
            gate->open();
            const auto items = system->block_on(store.ask<&Store::items>());
            EXPECT_EQ(items->size(), 70'000U);
            EXPECT_TRUE(each_in_order(*items, 1));
            EXPECT_EQ(system->info(store.pid())->mailbox_depth, 0U);
        },
        1);
}

/// The store holds one message and waits at the gate; senders wait for room.
struct Crowd {
    std::shared_ptr<Gate> gate = std::make_shared<Gate>();
    Ref<Store> store;
    std::vector<Ref<Sender>> senders;
    std::vector<std::shared_ptr<int>> sent;

    void gather(OwnedSystem& system, int count) {
        store = system->spawn<Store>(options().mailbox(bounded(1)));
        store.tell<&Store::wait_at>(gate);
        gate->wait_until_reached(system);
        for (int i = 0; i < count; ++i) {
            senders.push_back(system->spawn<Sender>());
            sent.push_back(std::make_shared<int>(-1));
            senders.back().tell<&Sender::send_and_report>(store, i, 1, sent.back());
            // Each takes its place in the queue before the next one comes.
            while (system->info(store.pid())->mailbox_depth < static_cast<std::size_t>(i) + 2) {
                system->block_on([]() -> Task<> { co_await yield(); }());
            }
        }
    }
    void wait_for_senders(OwnedSystem& system) {
        for (const auto& sender : senders)
            EXPECT_EQ(system->block_on(sender.ask<&Sender::done>()), 1);
    }
};

TEST(Send, WaitersAreServedFirstComeFirstServed) {
    on_both_engines([](OwnedSystem& system) {
        Crowd crowd;
        crowd.gather(system, 5);
        crowd.gate->open();
        crowd.wait_for_senders(system);
        EXPECT_EQ(*system->block_on(crowd.store.ask<&Store::items>()),
                  (std::vector<Item>{{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}}));
        for (const auto& sent : crowd.sent)
            EXPECT_EQ(*sent, 1);
    });
}

TEST(Send, WaitersHearWhenTheReceiverEnds) {
    for (const Stop strength : {Stop::stop, Stop::kill}) {
        on_both_engines([=](OwnedSystem& system) {
            Crowd crowd;
            crowd.gather(system, 4);
            crowd.store.stop(strength);
            if (strength == Stop::stop) crowd.gate->open();
            crowd.wait_for_senders(system);
            for (const auto& sent : crowd.sent)
                EXPECT_EQ(*sent, 0);
            EXPECT_GE(system->dead_letters()[DeadLetterReason::stopped], 4U);
        });
    }
}

TEST(Send, ADrainedReceiverTakesTheWaitersFirst) {
    on_both_engines([](OwnedSystem& system) {
        Crowd crowd;
        crowd.gather(system, 4);
        crowd.store.stop(Stop::drain);
        crowd.gate->open();
        crowd.wait_for_senders(system);
        for (const auto& sent : crowd.sent)
            EXPECT_EQ(*sent, 1);
        EXPECT_EQ(wait_for_end(system, crowd.store).reason.kind() == ExitReason::Kind::failed,
                  false);
        EXPECT_EQ(system->dead_letters().total(), 0U);
    });
}

TEST(Send, AKilledWaiterLeavesTheOthersTheirPlaces) {
    on_both_engines([](OwnedSystem& system) {
        Crowd crowd;
        crowd.gather(system, 3);
        actor_internal::EndWatch watch(system, crowd.senders[1]);
        crowd.senders[1].stop(Stop::kill);
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::killed);
        crowd.gate->open();
        EXPECT_EQ(system->block_on(crowd.senders[0].ask<&Sender::done>()), 1);
        EXPECT_EQ(system->block_on(crowd.senders[2].ask<&Sender::done>()), 1);
        // The message of the killed one was under way already: it is not taken back.
        EXPECT_EQ(*system->block_on(crowd.store.ask<&Store::items>()),
                  (std::vector<Item>{{0, 0}, {1, 0}, {2, 0}}));
        EXPECT_EQ(*crowd.sent[1], -1);
    });
}

/// Fills its own mailbox and then sends to itself.
class Hoarder : public Actor {
public:
    Task<Result<int>> overfill() {
        const Ref<Hoarder> me = self(this);
        while (me.tell<&Hoarder::nothing>() == SendStatus::sent)
            continue;
        co_await or_return(co_await me.send<&Hoarder::nothing>());
        co_return 1;
    }
    void nothing() {}
};

TEST(Send, ToOnesOwnFullMailboxIsACallCycle) {
    on_both_engines([](OwnedSystem& system) {
        auto hoarder = system->spawn<Hoarder>(options().mailbox(bounded(3)));
        const auto result = system->block_on(hoarder.ask<&Hoarder::overfill>());
        ASSERT_FALSE(result.has_value());
        EXPECT_TRUE(result.error() == Errc::call_cycle) << result.error().message();
    });
}

// ---- every schedule -----------------------------------------------------------------------------

TEST(SendEverySchedule, TwoSendersKeepTheirOrder) {
    const auto seen = on_all_schedules(20'000, [](OwnedSystem& system) {
        auto store = system->spawn<Store>(options().mailbox(bounded(1)));
        const auto sent = std::make_shared<int>(0);
        auto ann = system->spawn<Sender>();
        auto bob = system->spawn<Sender>();
        ann.tell<&Sender::send_and_report>(store, 0, 2, sent);
        bob.tell<&Sender::send_and_report>(store, 1, 2, sent);
        system.settle();
        const auto items = system->block_on(store.ask<&Store::items>());
        EXPECT_EQ(items->size(), 4U);
        EXPECT_TRUE(each_in_order(*items, 2));
    });
    EXPECT_TRUE(seen.exhaustive);
    EXPECT_GT(seen.distinct, 40U);
}

/// Stops another actor when it is told to, so that a stop is a step like any other.
class Stopper : public Actor {
public:
    void stop(Ref<Store> store, Stop strength) { store.stop(strength); }
    void kill(Ref<Sender> sender) { sender.stop(Stop::kill); }
};

TEST(SendEverySchedule, AWaiterHearsWheneverTheReceiverDies) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        const auto seen = on_all_schedules(20'000, [=](OwnedSystem& system) {
            auto store = system->spawn<Store>(options().mailbox(bounded(1)));
            const auto sent = std::make_shared<int>(-1);
            auto ann = system->spawn<Sender>();
            ann.tell<&Sender::send_and_report>(store, 0, 3, sent);
            system->spawn<Stopper>().tell<&Stopper::stop>(store, strength);
            system.settle();
            // Ann has heard of each: what she was told is accepted was handled, or is a dead letter
            // because the store ended before its turn came.
            EXPECT_EQ(system->block_on(ann.ask<&Sender::done>()), 1);
            EXPECT_GE(*sent, 0);
            EXPECT_GE(system->dead_letters().total(), 3U - static_cast<unsigned>(*sent));
            EXPECT_LE(system->dead_letters().total(), 3U);
        });
        EXPECT_TRUE(seen.exhaustive);
        EXPECT_GT(seen.distinct, 10U);
    }
}

// Goal: who waits for room and is killed, at whatever moment, takes nobody's place along. Method:
// of two who send two messages each to a mailbox of one, the first is killed.
TEST(SendEverySchedule, AWaiterThatIsKilledLeavesTheOtherItsPlaces) {
    bool killed_before_it_sent = false;
    bool killed_after_it_sent = false;
    const auto seen = on_all_schedules(100'000, [&](OwnedSystem& system) {
        auto store = system->spawn<Store>(options().mailbox(bounded(1)));
        const auto sent_by_ann = std::make_shared<int>(-1);
        const auto sent_by_bob = std::make_shared<int>(-1);
        auto ann = system->spawn<Sender>();
        auto bob = system->spawn<Sender>();
        ann.tell<&Sender::send_and_report>(store, 0, 2, sent_by_ann);
        bob.tell<&Sender::send_and_report>(store, 1, 1, sent_by_bob);
        system->spawn<Stopper>().tell<&Stopper::kill>(ann);
        system.settle();
        EXPECT_EQ(*sent_by_bob, 1);
        const auto items = *system->block_on(store.ask<&Store::items>());
        EXPECT_TRUE(each_in_order(items, 2));
        std::size_t of_bob = 0;
        for (const Item& item : items)
            of_bob += item.sender == 1 ? 1 : 0;
        EXPECT_EQ(of_bob, 1U);
        killed_before_it_sent = killed_before_it_sent || items.size() == 1;
        killed_after_it_sent = killed_after_it_sent || *sent_by_ann == 2;
    });
    EXPECT_TRUE(seen.exhaustive);
    EXPECT_TRUE(killed_before_it_sent);
    EXPECT_TRUE(killed_after_it_sent);
}

// Goal: a receiver that is killed while two wait for room tells both, at whatever moment.
TEST(SendEverySchedule, AKillWhileTwoWaitIsHeardByBoth) {
    bool both_waited = false;
    const auto seen = on_all_schedules(100'000, [&](OwnedSystem& system) {
        auto store = system->spawn<Store>(options().mailbox(bounded(1)));
        const auto sent_by_ann = std::make_shared<int>(-1);
        const auto sent_by_bob = std::make_shared<int>(-1);
        auto ann = system->spawn<Sender>();
        auto bob = system->spawn<Sender>();
        ann.tell<&Sender::send_and_report>(store, 0, 1, sent_by_ann);
        bob.tell<&Sender::send_and_report>(store, 1, 1, sent_by_bob);
        store.tell<&Store::put>(2, 0);
        system->spawn<Stopper>().tell<&Stopper::stop>(store, Stop::kill);
        system.settle();
        EXPECT_GE(*sent_by_ann, 0) << "she has heard";
        EXPECT_GE(*sent_by_bob, 0) << "he has heard";
        both_waited = both_waited || *sent_by_ann + *sent_by_bob == 0;
    });
    EXPECT_TRUE(seen.exhaustive);
    EXPECT_TRUE(both_waited);
}

}  // namespace
}  // namespace troupe
