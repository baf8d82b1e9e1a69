// Goal: nobody works for an asker that has given up. Method: a callee that is busy when the
// deadline passes, in virtual time, where "passed" is exact; and the race of expiry and reply in
// every order.

#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/scheduler/latch.hpp>

#include <gtest/gtest.h>
#include <sched.h>

#include <memory>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Gate;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;

class Clerk : public Actor {
public:
    Task<> hold(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    Task<> nap(Duration time) { ignore(co_await sleep(time), "a test"); }
    int count() { return ++counted_; }
    void note() { ++counted_; }
    int counted() const { return counted_; }
    Reply<int> pass_on(Ref<Clerk> other) { return other.delegate<&Clerk::count>(); }

private:
    int counted_ = 0;
};

class SlowStarter : public Clerk {
public:
    explicit SlowStarter(Latch* go_on) : go_on_(go_on) {}

protected:
    Task<Result<void>> on_start() override {
        go_on_->wait();
        co_return Result<void>();
    }

private:
    Latch* go_on_;
};

class Caller : public Actor {
public:
    Task<> call(Ref<Clerk> clerk, Duration patience, std::shared_ptr<std::vector<Errc>> heard) {
        const auto answer = co_await clerk.ask<&Clerk::count>().within(patience);
        heard->push_back(answer ? Errc() : static_cast<Errc>(answer.error().value()));
    }
    Task<> call_through(Ref<Clerk> clerk, Ref<Clerk> other, Duration patience) {
        ignore(co_await clerk.ask<&Clerk::pass_on>(other).within(patience), "a test");
    }
};

TEST(Expired, RequestsAreNotHandledButCounted) {
    for (const bool managed : {false, true}) {
        on_seeds(50, [=](OwnedSystem& system) {
            auto mailbox = bounded(100);
            if (managed) mailbox.high_priority<&Clerk::note>();
            auto clerk = system->spawn<Clerk>(options().mailbox(mailbox));
            const auto heard = std::make_shared<std::vector<Errc>>();
            clerk.tell<&Clerk::nap>(1s);
            system.settle();
            for (const Duration patience : {Duration(999ms), Duration(1s), Duration(1001ms)})
                system->spawn<Caller>().tell<&Caller::call>(clerk, patience, heard);
            clerk.tell<&Clerk::note>();  // nobody waits for it: it cannot be late
            system.advance(2s);
            // The one of one second may be in time, if the nap's end comes first.
            const int counted = *system->block_on(clerk.ask<&Clerk::counted>());
            const std::uint64_t expired = system->dead_letters()[DeadLetterReason::expired];
            EXPECT_EQ(counted + static_cast<int>(expired), 4);
            EXPECT_GE(expired, 1U);
            EXPECT_LE(expired, 2U);
            EXPECT_EQ(heard->size(), 3U);
        });
    }
}

TEST(Expired, RequestsAreShedByABusyActorOnThreads) {
    actor_internal::on_threads(2, [](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto clerk = system->spawn<Clerk>();
        clerk.tell<&Clerk::hold>(gate);
        gate->wait_until_reached(system);
        clerk.tell<&Clerk::note>();
        for (int i = 0; i < 10; ++i) {
            const auto answer = system->block_on(clerk.ask<&Clerk::count>().within(1ms));
            ASSERT_FALSE(answer.has_value());
            EXPECT_TRUE(answer.error() == Errc::timed_out);
        }
        // The coarse clock may be some milliseconds behind.
        EXPECT_FALSE(system->block_on(clerk.ask<&Clerk::counted>().within(20ms)).has_value());
        gate->open();
        EXPECT_EQ(system->block_on(clerk.ask<&Clerk::counted>()), 1);
        EXPECT_GE(system->dead_letters()[DeadLetterReason::expired], 10U);
    });
}

// Goal: also a request that lies alone in the mailbox has waited, where its actor had no thread to
// run on. Method: an actor whose start blocks its own thread until nobody waits any more.
TEST(Expired, RequestsThatLieAloneAreShedByAnActorOnItsOwnThread) {
    actor_internal::on_threads(2, [](OwnedSystem& system) {
        Latch go_on;
        auto clerk = system->spawn<SlowStarter>(options().own_thread(), &go_on);
        const auto answer = system->block_on(clerk.ask<&Clerk::count>().within(1ms));
        ASSERT_FALSE(answer.has_value());
        EXPECT_TRUE(answer.error() == Errc::timed_out);
        const Duration now = system->now();
        while (system->engine().coarse_now() <= now)
            ::sched_yield();
        go_on.open();
        EXPECT_EQ(system->block_on(clerk.ask<&Clerk::counted>()), 0);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::expired], 1U);
    });
}

TEST(Expired, RequestsKeepTheirDeadlineWhenTheyAreDelegated) {
    on_seeds(20, [](OwnedSystem& system) {
        auto front = system->spawn<Clerk>();
        auto back = system->spawn<Clerk>();
        back.tell<&Clerk::nap>(2s);
        system->spawn<Caller>().tell<&Caller::call_through>(front, back, 1s);
        system.advance(3s);
        EXPECT_EQ(system->block_on(back.ask<&Clerk::counted>()), 0);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::expired], 1U);
    });
}

TEST(ExpiredEverySchedule, AnAskerHearsOnceWhetherTheReplyOrTheDeadlineComesFirst) {
    bool replied = false;
    bool timed_out = false;
    const auto seen = on_all_schedules(20'000, [&](OwnedSystem& system) {
        auto clerk = system->spawn<Clerk>();
        const auto heard = std::make_shared<std::vector<Errc>>();
        clerk.tell<&Clerk::nap>(1s);
        system->spawn<Caller>().tell<&Caller::call>(clerk, 1s, heard);
        system.advance(2s);
        ASSERT_EQ(heard->size(), 1U);
        const int counted = *system->block_on(clerk.ask<&Clerk::counted>());
        if (heard->front() == Errc()) {
            replied = true;
            EXPECT_EQ(counted, 1);
        } else {
            timed_out = true;
            EXPECT_EQ(heard->front(), Errc::timed_out);
        }
        EXPECT_EQ(counted + static_cast<int>(system->dead_letters().total()), 1);
    });
    EXPECT_TRUE(seen.exhaustive);
    EXPECT_TRUE(timed_out);
    // At the very deadline nobody starts to work any more.
    EXPECT_FALSE(replied);
}

}  // namespace
}  // namespace troupe
