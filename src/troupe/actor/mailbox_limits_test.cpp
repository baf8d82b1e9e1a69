#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/test_log.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::actor_internal {
namespace {

using namespace std::chrono_literals;

using SharedGate = std::shared_ptr<Gate>;

/// Stands at a gate while its mailbox fills.
class Desk : public Actor {
public:
    explicit Desk(Log log) : log_(std::move(log)) {}
    Task<void> stand(SharedGate gate) { co_await gate->pass(); }
    void letter(int n) { log_->push_back("letter " + std::to_string(n)); }
    void parcel(int n) { log_->push_back("parcel " + std::to_string(n)); }
    std::string all() const {
        std::string text;
        for (const std::string& one : *log_)
            text += (text.empty() ? "" : ", ") + one;
        return text;
    }

private:
    Log log_;
};

/// A desk that stands at a gate, and how it is let go.
struct Busy {
    Busy(OwnedSystem& its_system, MailboxOptions mailbox)
        : system(its_system),
          desk(its_system->spawn<Desk>(options().mailbox(std::move(mailbox)), log)) {
        desk.tell<&Desk::stand>(gate);
        gate->wait_until_reached(its_system);
    }
    std::string what_it_handles() {
        gate->open();
        return system->block_on(desk.ask<&Desk::all>()).value_or("?");
    }

    OwnedSystem& system;
    Log log = make_log();
    SharedGate gate = std::make_shared<Gate>();
    Ref<Desk> desk;
};

TEST(MethodLimit, KeepsRoomForOthersWhenOneKindOfMessageFloods) {
    on_both_engines([](OwnedSystem& system) {
        Busy busy(system, bounded(100).reject().limit<&Desk::parcel>(2));
        EXPECT_EQ(busy.desk.tell<&Desk::parcel>(1), SendStatus::sent);
        EXPECT_EQ(busy.desk.tell<&Desk::parcel>(2), SendStatus::sent);
        EXPECT_EQ(busy.desk.tell<&Desk::parcel>(3), SendStatus::full);
        for (int i = 1; i <= 3; ++i)
            EXPECT_EQ(busy.desk.tell<&Desk::letter>(i), SendStatus::sent);
        EXPECT_EQ(busy.what_it_handles(), "parcel 1, parcel 2, letter 1, letter 2, letter 3");
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::overflow], 1U);
        // Those that were handled make room again.
        EXPECT_EQ(busy.desk.tell<&Desk::parcel>(4), SendStatus::sent);
    });
}

TEST(MethodLimit, DropsTheOldestOfThatMethodAndOfNoOther) {
    on_both_engines([](OwnedSystem& system) {
        Busy busy(system, bounded(100).drop_oldest().limit<&Desk::parcel>(2));
        busy.desk.tell<&Desk::letter>(1);
        for (int i = 1; i <= 4; ++i)
            EXPECT_EQ(busy.desk.tell<&Desk::parcel>(i), SendStatus::sent);
        EXPECT_EQ(busy.what_it_handles(), "letter 1, parcel 3, parcel 4");
    });
}

/// Sends one parcel more than there may be, and then a letter.
class Sender : public Actor {
public:
    explicit Sender(Ref<Desk> desk) : desk_(desk) {}
    Task<std::string> parcels(int count) {
        for (int i = 1; i <= count; ++i) {
            const Result<void> sent = co_await desk_.send<&Desk::parcel>(i);
            if (!sent) co_return sent.error().text();
        }
        co_return "sent";
    }
    SendStatus letter(int n) { return desk_.tell<&Desk::letter>(n); }

private:
    Ref<Desk> desk_;
};

TEST(MethodLimit, MakesItsSendersWaitAndNobodyElse) {
    on_both_engines([](OwnedSystem& system) {
        Busy busy(system, bounded(100).suspend().limit<&Desk::parcel>(2));
        const auto waits = system->spawn<Sender>(busy.desk);
        const auto passes = system->spawn<Sender>(busy.desk);
        waits.tell<&Sender::parcels>(3);
        // Until the third one waits at the door.
        while (system->info(waits.pid())->state != ActorState::suspended) {
            if (system->engine().deterministic()) system->engine().settle();
        }
        EXPECT_EQ(system->block_on(passes.ask<&Sender::letter>(1)), SendStatus::sent);
        const std::string handled = busy.what_it_handles();
        EXPECT_EQ(handled.substr(0, 28), "parcel 1, parcel 2, letter 1");
        EXPECT_EQ(system->block_on(waits.ask<&Sender::parcels>(0)), "sent");
        EXPECT_NE(system->block_on(busy.desk.ask<&Desk::all>())->find("parcel 3"),
                  std::string::npos);
    });
}

TEST(MethodLimit, HoldsTogetherWithThatOfTheWholeMailbox) {
    on_both_engines([](OwnedSystem& system) {
        Busy busy(system, bounded(3).suspend().limit<&Desk::parcel>(2));
        EXPECT_EQ(busy.desk.tell<&Desk::letter>(1), SendStatus::sent);
        EXPECT_EQ(busy.desk.tell<&Desk::letter>(2), SendStatus::sent);
        EXPECT_EQ(busy.desk.tell<&Desk::parcel>(1), SendStatus::sent);
        EXPECT_EQ(busy.desk.tell<&Desk::parcel>(2), SendStatus::full);
        EXPECT_EQ(busy.what_it_handles(), "letter 1, letter 2, parcel 1");
    });
}

TEST(MessageRate, TakesSoManyInATimeAndABurstAtOnce) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        // One each 100 ms, three at once.
        const auto desk = system->spawn<Desk>(
            options().mailbox(bounded(100).rate<&Desk::parcel>(10, 1s, 3)), log);
        const auto sent = [&](int count) {
            int taken = 0;
            for (int i = 0; i < count; ++i)
                taken += desk.tell<&Desk::parcel>(i) == SendStatus::sent ? 1 : 0;
            return taken;
        };
        EXPECT_EQ(sent(10), 3);
        system->engine().run_for(100ms);
        EXPECT_EQ(sent(10), 1);
        system->engine().run_for(250ms);
        EXPECT_EQ(sent(10), 2);
        system->engine().run_for(1h);
        EXPECT_EQ(sent(10), 3);
        // Other methods have no rate.
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(desk.tell<&Desk::letter>(i), SendStatus::sent);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::too_many], 31U);
    });
}

TEST(MessageRate, OfTheWholeMailboxHoldsForAllMethodsTogether) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        const auto desk =
            system->spawn<Desk>(options().mailbox(bounded(100).rate(100, 1s, 4)), log);
        int taken = 0;
        for (int i = 0; i < 4; ++i) {
            taken += desk.tell<&Desk::letter>(i) == SendStatus::sent ? 1 : 0;
            taken += desk.tell<&Desk::parcel>(i) == SendStatus::sent ? 1 : 0;
        }
        EXPECT_EQ(taken, 4);
    });
}

TEST(MessageRate, RefusesAsksAndSendsAtOnceWhateverThePolicyAndSaysWhy) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        const auto desk =
            system->spawn<Desk>(options().mailbox(bounded(100).suspend().rate(1, 1h, 2)), log);
        EXPECT_EQ(system->block_on(desk.ask<&Desk::all>()), "");
        const auto sender = system->spawn<Sender>(desk);
        const Result<std::string> sends = system->block_on(sender.ask<&Sender::parcels>(2));
        ASSERT_TRUE(sends);
        EXPECT_NE(sends->find("rate"), std::string::npos) << *sends;
        const Result<std::string> asks = system->block_on(desk.ask<&Desk::all>());
        ASSERT_FALSE(asks);
        EXPECT_EQ(asks.error(), Errc::mailbox_full);
        EXPECT_NE(asks.error().text().find("more messages come"), std::string::npos)
            << asks.error().text();
    });
}

}  // namespace
}  // namespace troupe::actor_internal
