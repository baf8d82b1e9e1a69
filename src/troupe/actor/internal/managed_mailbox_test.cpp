#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/supervisor.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::QuietLog;
using actor_internal::wait_for_end;

/// Notes what it is told. Held at a gate, it lets its mailbox fill.
class Clerk : public Actor {
public:
    Task<> hold(Gate* gate) { co_await gate->pass(); }
    void note(int n) { notes_.push_back(n); }
    void urgent(int n) { notes_.push_back(n); }
    void price(std::string item, int cents) {
        notes_.push_back(cents);
        last_ = std::move(item);
    }
    int ask_note(int n) {
        notes_.push_back(n);
        return n;
    }
    std::vector<int> notes() const { return notes_; }

private:
    std::vector<int> notes_;
    std::string last_;
};

}  // namespace

template <>
inline constexpr bool kSendable<actor_internal::Gate*> = true;

namespace {

/// A clerk whose handler stands at the gate, so that whatever is sent to it now waits.
Ref<Clerk> held_clerk(OwnedSystem& system, Gate& gate, const SpawnOptions& how) {
    auto clerk = system->spawn<Clerk>(how);
    clerk.tell<&Clerk::hold>(&gate);
    gate.wait_until_reached(system);
    return clerk;
}

std::vector<int> open_and_read(OwnedSystem& system, Gate& gate, Ref<Clerk> clerk) {
    gate.open();
    return *system->block_on(clerk.ask<&Clerk::notes>());
}

TEST(Mailbox, ThatDropsTheOldestIsBoundedWhileItsHandlerIsSuspended) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk = held_clerk(system, gate, options().mailbox(bounded(3).drop_oldest()));
        for (int n = 1; n <= 1000; ++n) {
            ASSERT_EQ(clerk.tell<&Clerk::note>(n), SendStatus::sent);
        }
        EXPECT_EQ(system->info(clerk.pid())->mailbox_depth, 3U);
        EXPECT_EQ(system->info(clerk.pid())->mailbox_capacity, 3U);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::overflow], 997U);
        gate.open();
        // The question takes the place of one more.
        const auto notes = *system->block_on(clerk.ask<&Clerk::notes>());
        ASSERT_GE(notes.size(), 2U);
        EXPECT_EQ(notes.back(), 1000);
        EXPECT_EQ(notes[notes.size() - 2], 999);
    });
}

TEST(Mailbox, ThatDropsTheNewestKeepsWhatItHas) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk = held_clerk(system, gate, options().mailbox(bounded(2).drop_newest()));
        EXPECT_EQ(clerk.tell<&Clerk::note>(1), SendStatus::sent);
        EXPECT_EQ(clerk.tell<&Clerk::note>(2), SendStatus::sent);
        EXPECT_EQ(clerk.tell<&Clerk::note>(3), SendStatus::full);
        EXPECT_TRUE(system->block_on(clerk.ask<&Clerk::ask_note>(4)).error() == Errc::mailbox_full);
        auto send = [](Ref<Clerk> to) -> Task<Result<void>> {
            co_return co_await to.send<&Clerk::note>(5);
        };
        EXPECT_TRUE(system->block_on(send(clerk)).has_value());  // lost, and the sender goes on
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::overflow], 3U);
        gate.open();
        std::vector<int> notes;
        while (notes.size() < 2) {
            if (auto read = system->block_on(clerk.ask<&Clerk::notes>())) notes = *read;
        }
        EXPECT_EQ(notes, (std::vector<int>{1, 2}));
    });
}

TEST(Mailbox, ThatRejectsRefusesTellSendAndAskAtOnce) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk = held_clerk(system, gate, options().mailbox(bounded(1).reject()));
        EXPECT_EQ(clerk.tell<&Clerk::note>(1), SendStatus::sent);
        EXPECT_EQ(clerk.tell<&Clerk::note>(2), SendStatus::full);
        EXPECT_TRUE(system->block_on(clerk.ask<&Clerk::ask_note>(3)).error() == Errc::mailbox_full);
        auto send = [](Ref<Clerk> to) -> Task<Result<void>> {
            co_return co_await to.send<&Clerk::note>(4);
        };
        EXPECT_TRUE(system->block_on(send(clerk)).error() == Errc::mailbox_full);
        gate.open();
    });
}

TEST(Mailbox, ThatFailsItsActorEndsIt) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk = held_clerk(system, gate, options().mailbox(bounded(1).fail_actor()));
        actor_internal::EndWatch watch(system, clerk);
        clerk.tell<&Clerk::note>(1);
        EXPECT_EQ(clerk.tell<&Clerk::note>(2), SendStatus::full);
        const Down down = watch.wait();
        EXPECT_EQ(down.reason.kind(), ExitReason::Kind::failed);
        EXPECT_EQ(down.reason.text(), "its mailbox has overflowed");
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::overflow], 1U);
        // What waited, and the handler that was abandoned.
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 2U);
    });
}

TEST(Mailbox, ThatRedirectsSendsWhatDoesNotFitToTheOther) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto spare = system->spawn<Clerk>();
        auto clerk = held_clerk(system, gate, options().mailbox(bounded(1).redirect(spare)));
        EXPECT_EQ(clerk.tell<&Clerk::note>(1), SendStatus::sent);
        EXPECT_EQ(clerk.tell<&Clerk::note>(2), SendStatus::sent);
        EXPECT_EQ(system->block_on(clerk.ask<&Clerk::ask_note>(3)), 3);
        EXPECT_EQ(*system->block_on(spare.ask<&Clerk::notes>()), (std::vector<int>{2, 3}));
        gate.open();
    });
}

TEST(Mailbox, HandlesHighPriorityFirstButLetsNobodyStarve) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk = held_clerk(system, gate,
                                options().mailbox(bounded(100).high_priority<&Clerk::urgent>()));
        for (int n = 1; n <= 3; ++n)
            clerk.tell<&Clerk::note>(n);
        for (int n = 101; n <= 120; ++n)
            clerk.tell<&Clerk::urgent>(n);
        const auto notes = open_and_read(system, gate, clerk);
        ASSERT_EQ(notes.size(), 23U);
        EXPECT_EQ(notes.front(), 101);
        EXPECT_EQ(notes[8], 1);  // after eight in a row
        EXPECT_EQ(notes[17], 2);
    });
}

TEST(Mailbox, ThatConflatesKeepsTheNewestCallInThePlaceOfTheOldest) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk =
            held_clerk(system, gate, options().mailbox(bounded(10).conflate<&Clerk::price>()));
        clerk.tell<&Clerk::price>("pear", 10);
        clerk.tell<&Clerk::note>(1);
        for (int cents = 11; cents <= 50; ++cents)
            clerk.tell<&Clerk::price>("pear", cents);
        EXPECT_EQ(open_and_read(system, gate, clerk), (std::vector<int>{50, 1}));
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::conflated], 40U);
    });
}

/// Sends as many notes as it is told, waiting for room each time.
class Sender : public Actor {
public:
    Task<> run(Ref<Clerk> to, int first, int count) {
        for (int n = first; n < first + count; ++n) {
            const auto sent = co_await to.send<&Clerk::note>(n);
            if (!sent) co_return;
        }
    }
    int done() const { return 0; }
};

const auto by_item = [](const std::string& item, int) -> const std::string& { return item; };

TEST(Mailbox, ThatConflatesByKeyKeepsTheNewestOfEachInThePlaceOfItsOldest) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk = held_clerk(system, gate,
                                options().mailbox(bounded(10).conflate<&Clerk::price>(by_item)));
        clerk.tell<&Clerk::price>("pear", 10);
        clerk.tell<&Clerk::note>(1);
        clerk.tell<&Clerk::price>("plum", 20);
        clerk.tell<&Clerk::price>("pear", 11);
        clerk.tell<&Clerk::note>(2);
        clerk.tell<&Clerk::price>("plum", 21);
        clerk.tell<&Clerk::price>("fig", 30);
        EXPECT_EQ(open_and_read(system, gate, clerk), (std::vector<int>{11, 1, 21, 2, 30}));
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::conflated], 2U);
        // What was handled is forgotten: the next one waits at the end.
        clerk.tell<&Clerk::note>(3);
        clerk.tell<&Clerk::price>("pear", 12);
        EXPECT_EQ(*system->block_on(clerk.ask<&Clerk::notes>()),
                  (std::vector<int>{11, 1, 21, 2, 30, 3, 12}));
    });
}

TEST(Mailbox, ThatConflatesByKeyHoldsOneOfEachOfManyKeys) {
    on_both_engines(
        [](OwnedSystem& system) {
            Gate gate;
            auto clerk = held_clerk(
                system, gate,
                options().mailbox(bounded(1000).drop_oldest().conflate<&Clerk::price>(by_item)));
            for (int round = 0; round < 20; ++round) {
                for (int item = 0; item < 500; ++item)
                    clerk.tell<&Clerk::price>(std::to_string(item), item * 100 + round);
            }
            EXPECT_EQ(system->info(clerk.pid())->mailbox_depth, 500U);
            const auto notes = open_and_read(system, gate, clerk);
            ASSERT_EQ(notes.size(), 500U);
            for (int item = 0; item < 500; ++item)
                EXPECT_EQ(notes[static_cast<std::size_t>(item)], item * 100 + 19);
        },
        5);
}

TEST(Mailbox, ThatConflatesLetsNoAskAndNoWaitingSenderGoWithoutAnAnswer) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk = held_clerk(system, gate,
                                options().mailbox(bounded(2).conflate<&Clerk::price>(by_item)));
        auto seller = [](Ref<Clerk> to) -> Task<int> {
            int sent = 0;
            for (int i = 0; i < 5; ++i) {
                const auto result = co_await to.send<&Clerk::price>(std::to_string(i % 3), i);
                sent += result ? 1 : 0;
            }
            const auto asked = co_await to.ask<&Clerk::price>("0", 100);
            co_return asked ? sent : -1;
        };
        auto opener = [](Gate* at) -> Task<> {
            co_await yield();
            at->open();
        };
        system->spawn<Sender>().tell<&Sender::run>(clerk, 0, 3);
        system->block_on(opener(&gate));
        EXPECT_EQ(system->block_on(seller(clerk)), 5);
    });
}

TEST(Mailbox, OfAnyKindIsDrained) {
    for (const bool drops : {false, true}) {
        on_both_engines([=](OwnedSystem& system) {
            Gate gate;
            auto mailbox = bounded(3);
            if (drops) mailbox.drop_oldest();
            auto clerk = held_clerk(system, gate,
                                    options().mailbox(mailbox.high_priority<&Clerk::urgent>()));
            actor_internal::EndWatch watch(system, clerk);
            clerk.tell<&Clerk::note>(1);
            clerk.stop(Stop::drain);
            // However many come after it, and drop each other: the drain is not dropped.
            for (int n = 2; n <= 10; ++n)
                clerk.tell<&Clerk::note>(n);
            gate.open();
            EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown);
        });
    }
}

/// Blocks the worker's thread, as a handler should not.
class Wedged : public Actor {
public:
    void hold(Latch* entered, Latch* leave) {
        entered->open();
        leave->wait();
    }
    void note(int n) { last_ = n; }
    int last() const { return last_; }

private:
    int last_ = 0;
};

}  // namespace

template <>
inline constexpr bool kSendable<Latch*> = true;

namespace {

TEST(Mailbox, ThatDropsTheOldestIsBoundedWhileItsHandlerIsWedged) {
    actor_internal::on_threads(2, [](OwnedSystem& system) {
        Latch entered;
        Latch leave;
        auto wedged = system->spawn<Wedged>(options().mailbox(bounded(3).drop_oldest()));
        wedged.tell<&Wedged::hold>(&entered, &leave);
        entered.wait();
        const std::uint64_t blocks = block_pool_stats().live_blocks;
        for (int n = 1; n <= 10'000; ++n)
            ASSERT_EQ(wedged.tell<&Wedged::note>(n), SendStatus::sent);
        EXPECT_EQ(system->info(wedged.pid())->mailbox_depth, 3U);
        EXPECT_LE(block_pool_stats().live_blocks, blocks + 20);
        leave.open();
        EXPECT_EQ(system->block_on(wedged.ask<&Wedged::last>()), 10'000);
    });
}

TEST(Mailbox, ThatFailsItsActorTellsItOnceHoweverMuchIsRefusedMeanwhile) {
    actor_internal::on_threads(2, [](OwnedSystem& system) {
        const QuietLog quiet;
        Latch entered;
        Latch leave;
        auto wedged = system->spawn<Wedged>(options().mailbox(bounded(3).fail_actor()));
        wedged.tell<&Wedged::hold>(&entered, &leave);
        entered.wait();
        const std::uint64_t blocks = block_pool_stats().live_blocks;
        for (int n = 1; n <= 10'000; ++n)
            wedged.tell<&Wedged::note>(n);
        EXPECT_LE(block_pool_stats().live_blocks, blocks + 20);
        leave.open();
        wait_for_end(system, wedged);
    });
}

TEST(Mailbox, ThatFailsItsActorDoesSoInEachOfItsLives) {
    on_both_engines([](OwnedSystem& system) {
        const QuietLog quiet;
        auto tree = supervisor("office");
        tree.intensity(100, std::chrono::hours(1));
        auto token =
            tree.child<Clerk>("clerk", permanent(), options().mailbox(bounded(1).fail_actor()));
        auto office = *system->block_on(system->start(std::move(tree)));
        const Ref<Clerk> clerk = office.ref(token);
        const auto let_run = [&] {
            if (system->engine().deterministic()) system.settle();
        };
        std::uint32_t last = 0;
        for (int lives = 1; lives <= 3; ++lives) {
            Gate gate;
            // What has survived the last life may still fill the mailbox, and costs one more.
            while (clerk.tell<&Clerk::hold>(&gate) != SendStatus::sent)
                let_run();
            gate.wait_until_reached(system);
            const std::uint32_t life = system->info(clerk.pid())->incarnation;
            EXPECT_GT(life, std::exchange(last, life));
            while (clerk.tell<&Clerk::note>(1) == SendStatus::sent) {
            }
            while (system->info(clerk.pid())->incarnation == life)
                let_run();
        }
    });
}

TEST(Mailbox, OfEveryPolicyHoldsNoMoreOfAFloodThanItsBound) {
    const QuietLog quiet;
    const std::vector<MailboxOptions> mailboxes = {
        bounded(50),
        bounded(50).reject(),
        bounded(50).drop_newest(),
        bounded(50).drop_oldest(),
        bounded(50).high_priority<&Clerk::urgent>(),
        bounded(50).conflate<&Clerk::note>(),
        bounded(50).conflate<&Clerk::price>(by_item),
        bounded(1000).bytes(50 * sizeof(int)).reject(),
    };
    for (const MailboxOptions& mailbox : mailboxes) {
        on_both_engines(
            [&](OwnedSystem& system) {
                Gate gate;
                auto clerk = held_clerk(system, gate, options().mailbox(mailbox));
                const std::uint64_t before = block_pool_stats().live_blocks;
                for (int n = 0; n < 5'000; ++n)
                    clerk.tell<&Clerk::note>(n);
                EXPECT_LE(block_pool_stats().live_blocks, before + 60);
                EXPECT_LE(system->info(clerk.pid())->mailbox_depth, 50U);
                gate.open();
            },
            3);
    }
}

TEST(MailboxDeathTest, RefusesABoundThatIsNone) {
    EXPECT_DEATH(static_cast<void>(bounded(60'001)), "unbounded");
    EXPECT_DEATH(static_cast<void>(bounded(0)), "1 to 60000");
}

TEST(Mailbox, WithAByteBudgetCountsWhatTheArgumentsHold) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk =
            held_clerk(system, gate, options().mailbox(bounded(1000).bytes(5000).reject()));
        const std::string item(2000, 'x');
        EXPECT_EQ(clerk.tell<&Clerk::price>(item, 1), SendStatus::sent);
        EXPECT_EQ(clerk.tell<&Clerk::price>(item, 2), SendStatus::sent);
        EXPECT_EQ(clerk.tell<&Clerk::price>(item, 3), SendStatus::full);
        EXPECT_EQ(clerk.tell<&Clerk::note>(4), SendStatus::sent);
        EXPECT_EQ(open_and_read(system, gate, clerk), (std::vector<int>{1, 2, 4}));
    });
}

TEST(Mailbox, WithPrioritiesStillLetsSendersWaitInOrder) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk =
            held_clerk(system, gate, options().mailbox(bounded(2).high_priority<&Clerk::urgent>()));
        auto ann = system->spawn<Sender>();
        auto bob = system->spawn<Sender>();
        ann.tell<&Sender::run>(clerk, 0, 50);
        bob.tell<&Sender::run>(clerk, 1000, 50);
        gate.open();
        ASSERT_TRUE(system->block_on(ann.ask<&Sender::done>()).has_value());
        ASSERT_TRUE(system->block_on(bob.ask<&Sender::done>()).has_value());
        const auto notes = *system->block_on(clerk.ask<&Clerk::notes>());
        ASSERT_EQ(notes.size(), 100U);
        int next_of_ann = 0;
        int next_of_bob = 1000;
        for (const int n : notes)
            EXPECT_EQ(n, n < 1000 ? next_of_ann++ : next_of_bob++);
        EXPECT_EQ(system->dead_letters().total(), 0U);
    });
}

TEST(Mailbox, ThatEndsWithSendersAtItsDoorTellsThem) {
    on_both_engines([](OwnedSystem& system) {
        Gate gate;
        auto clerk =
            held_clerk(system, gate, options().mailbox(bounded(1).high_priority<&Clerk::urgent>()));
        auto ann = system->spawn<Sender>();
        ann.tell<&Sender::run>(clerk, 0, 5);
        clerk.stop(Stop::kill);
        wait_for_end(system, clerk);
        EXPECT_TRUE(system->block_on(ann.ask<&Sender::done>()).has_value());
        // The next owner of the slot may have a mailbox of another kind.
        Gate next_gate;
        auto next = held_clerk(system, next_gate, options().mailbox(bounded(1).drop_oldest()));
        EXPECT_EQ(clerk.tell<&Clerk::note>(1), SendStatus::gone);
        next.stop(Stop::kill);
        wait_for_end(system, next);
    });
}

}  // namespace
}  // namespace troupe
