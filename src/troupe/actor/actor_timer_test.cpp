#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/base/random.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Gate;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::wait_for_end;

using Seen = std::shared_ptr<std::vector<std::string>>;
Seen make_seen() {
    return std::make_shared<std::vector<std::string>>();
}

/// Notes what its timers bring, and answers those who wait for a number of notes.
class Clock : public Actor {
public:
    explicit Clock(Seen seen) : seen_(std::move(seen)) {}

    void set_after(Duration delay, std::string text) { timer_ = after<&Clock::note>(delay, text); }
    void set_owning(std::unique_ptr<int> number) { after<&Clock::take>(1ms, std::move(number)); }
    void set_keyed(std::string key, Duration delay, std::string text) {
        after<&Clock::note>(TimerKey(key), delay, text);
    }
    void set_every(Duration period) { timer_ = every<&Clock::tick>(period); }
    void set_every_keyed(std::string key, Duration period) {
        every<&Clock::tick>(TimerKey(key), period);
    }
    void set_after_each(Duration delay, Duration work) {
        timer_ = after_each<&Clock::work>(delay, work);
    }
    void set_every_with_work(Duration period, Duration work) {
        timer_ = every<&Clock::work>(period, work);
    }
    void set_idle(Duration quiet) { timer_ = on_idle<&Clock::idle>(quiet); }
    void cancel() { timer_.cancel(); }
    void cancel_key(std::string key) { cancel_timer(TimerKey(key)); }
    void forget() { timer_ = Timer(); }
    void set_and_cancel_in_tick(Duration period) { timer_ = every<&Clock::last_tick>(period); }

    void message() {}
    Task<> hold(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
    Task<> hold_for(Duration time) { ignore(co_await sleep(time), "a test"); }
    std::size_t count() const { return seen_->size(); }
    Reply<std::size_t> when(std::size_t count) {
        if (seen_->size() >= count) return seen_->size();
        awaited_ = count;
        return later(waiting_);
    }

private:
    void note(std::string text) {
        seen_->push_back(std::move(text));
        if (seen_->size() >= awaited_) waiting_.send(seen_->size());
    }
    void take(std::unique_ptr<int> number) { note(std::to_string(*number)); }
    std::string time() const { return std::to_string(system().now() / 1ms); }
    void tick() { note(time()); }
    void idle() { note("idle at " + time()); }
    void last_tick() {
        note("last");
        timer_.cancel();
    }
    Task<> work(Duration work) {
        note(time());
        ignore(co_await sleep(work), "a test");
    }

    Seen seen_;
    Timer timer_;
    std::size_t awaited_ = 1000;
    ReplyTo<std::size_t> waiting_;
};

using Texts = std::vector<std::string>;

TEST(Timer, BringsItsMessageOnceAndNeverEarly) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto clock = system->spawn<Clock>(seen);
        const Duration before = system->now();
        clock.tell<&Clock::set_after>(5ms, "five");
        EXPECT_EQ(system->block_on(clock.ask<&Clock::when>(1).within(1min)), 1U);
        EXPECT_GE(system->now() - before, 5ms);
        clock.tell<&Clock::set_owning>(std::make_unique<int>(7));
        EXPECT_EQ(system->block_on(clock.ask<&Clock::when>(2).within(1min)), 2U);
        EXPECT_EQ(*seen, (Texts{"five", "7"}));
    });
}

TEST(Timer, ThatIsCancelledBringsNothing) {
    on_seeds(100, [](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto clock = system->spawn<Clock>(seen);
        clock.tell<&Clock::set_after>(10ms, "never");
        clock.tell<&Clock::cancel>();
        system.advance(1s);
        EXPECT_TRUE(seen->empty());
        // Cancelling what has ended changes nothing, whoever has the place now.
        clock.tell<&Clock::set_after>(10ms, "first");
        system.advance(20ms);
        clock.tell<&Clock::set_keyed>("other", 10ms, "second");
        clock.tell<&Clock::cancel>();
        system.advance(1s);
        EXPECT_EQ(*seen, (Texts{"first", "second"}));
    });
}

TEST(Timer, ThatIsCancelledBringsNothingEvenWhenItsTickWaitsInTheMailbox) {
    const std::vector<MailboxOptions> mailboxes = {bounded(10), bounded(10).drop_oldest()};
    for (const auto& mailbox : mailboxes) {
        on_seeds(100, [&](OwnedSystem& system) {
            const Seen seen = make_seen();
            auto gate = std::make_shared<Gate>();
            auto clock = system->spawn<Clock>(options().mailbox(mailbox), seen);
            clock.tell<&Clock::set_every>(10ms);
            clock.tell<&Clock::hold>(gate);
            clock.tell<&Clock::cancel>();
            system.advance(35ms);
            gate->open();
            system.advance(1s);
            // With the plain mailbox the tick waits behind the cancelling. A managed mailbox is
            // taken message by message, so there the tick is first and is allowed.
            EXPECT_EQ(seen->size(), mailbox.managed() ? 1U : 0U);
        });
    }
}

TEST(Timer, UnderAKeyReplacesTheOneBeforeAndItsTickThatWaits) {
    on_seeds(100, [](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto gate = std::make_shared<Gate>();
        auto clock = system->spawn<Clock>(seen);
        clock.tell<&Clock::set_keyed>("a", 10ms, "old a");
        clock.tell<&Clock::set_keyed>("b", 10ms, "b");
        clock.tell<&Clock::hold>(gate);
        clock.tell<&Clock::set_keyed>("a", 10ms, "new a");
        system.advance(20ms);
        gate->open();
        system.advance(1s);
        EXPECT_EQ(*seen, (Texts{"b", "new a"}));

        clock.tell<&Clock::set_every_keyed>("c", 10ms);
        clock.tell<&Clock::set_keyed>("c", 10ms, "c");
        clock.tell<&Clock::set_keyed>("d", 10ms, "never");
        clock.tell<&Clock::cancel_key>("d");
        clock.tell<&Clock::cancel_key>("nobody's");
        system.advance(1s);
        EXPECT_EQ(*seen, (Texts{"b", "new a", "c"}));
    });
}

TEST(Timer, AtAFixedRateTicksOnTheBeat) {
    on_seeds(100, [](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto clock = system->spawn<Clock>(seen);
        clock.tell<&Clock::set_every>(10ms);
        clock.tell<&Clock::forget>();  // the handle's end cancels nothing
        system.advance(35ms);
        EXPECT_EQ(*seen, (Texts{"10", "20", "30"}));
    });
}

TEST(Timer, AtAFixedRateLeavesOutTheTimesThatPassWhileItsActorIsBusy) {
    on_seeds(100, [](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto clock = system->spawn<Clock>(seen);
        clock.tell<&Clock::set_every_with_work>(10ms, 25ms);
        system.advance(100ms);
        EXPECT_EQ(*seen, (Texts{"10", "40", "70", "100"}));
    });
}

TEST(Timer, WithAFixedDelayWaitsFromTheEndOfItsHandler) {
    on_seeds(100, [](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto clock = system->spawn<Clock>(seen);
        clock.tell<&Clock::set_after_each>(10ms, 25ms);
        system.advance(100ms);
        EXPECT_EQ(*seen, (Texts{"10", "45", "80"}));
        clock.tell<&Clock::cancel>();
        system.advance(1s);
        EXPECT_EQ(seen->size(), 3U);
    });
}

TEST(Timer, OfAnIdleActorIsPutOffByMessagesAndByNothingElse) {
    on_seeds(100, [](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto clock = system->spawn<Clock>(seen);
        clock.tell<&Clock::set_idle>(10ms);
        system.advance(7ms);
        clock.tell<&Clock::message>();
        system.advance(7ms);
        EXPECT_TRUE(seen->empty());
        system.advance(4ms);
        EXPECT_EQ(*seen, (Texts{"idle at 17"}));
        // Its own ticks do not count: it fires again after another quiet period.
        system.advance(10ms);
        EXPECT_EQ(*seen, (Texts{"idle at 17", "idle at 27"}));
        clock.tell<&Clock::cancel>();
        clock.tell<&Clock::set_every>(4ms);
        clock.tell<&Clock::set_idle>(10ms);
        seen->clear();
        system.advance(11ms);
        EXPECT_EQ(seen->size(), 3U);  // two ticks of `every`, and idle all the same
        EXPECT_EQ(seen->back().substr(0, 4), "idle");
    });
}

TEST(Timer, IsCancelledByItsOwnTick) {
    on_seeds(50, [](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto clock = system->spawn<Clock>(seen);
        clock.tell<&Clock::set_and_cancel_in_tick>(10ms);
        system.advance(1s);
        EXPECT_EQ(*seen, (Texts{"last"}));
    });
}

TEST(Timer, TakesNoRoomInTheMailbox) {
    on_seeds(50, [](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto gate = std::make_shared<Gate>();
        auto clock = system->spawn<Clock>(options().mailbox(bounded(2)), seen);
        for (int i = 0; i < 5; ++i)
            clock.tell<&Clock::set_keyed>("key " + std::to_string(i), 10ms, "tick"),
                system.settle();
        clock.tell<&Clock::hold>(gate);
        system.settle();
        clock.tell<&Clock::message>();
        system.advance(20ms);
        EXPECT_EQ(clock.tell<&Clock::message>(), SendStatus::full);
        gate->open();
        system.settle();
        EXPECT_EQ(seen->size(), 5U);
        // Room for two again, not for seven.
        auto again = std::make_shared<Gate>();
        clock.tell<&Clock::hold>(again);
        system.settle();
        EXPECT_EQ(clock.tell<&Clock::message>(), SendStatus::sent);
        EXPECT_EQ(clock.tell<&Clock::message>(), SendStatus::full);
        again->open();
        system.settle();
    });
}

TEST(Timer, EndsWithItsActorAndIsNoDeadLetter) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        on_seeds(50, [&](OwnedSystem& system) {
            const Seen seen = make_seen();
            auto gate = std::make_shared<Gate>();
            auto clock = system->spawn<Clock>(seen);
            clock.tell<&Clock::set_every>(10ms);
            clock.tell<&Clock::set_after_each>(10ms, 3ms);
            clock.tell<&Clock::set_idle>(10ms);
            clock.tell<&Clock::set_keyed>("far", 1h, "never");
            system.advance(15ms);
            seen->clear();
            clock.tell<&Clock::hold>(gate);
            system.advance(15ms);  // ticks wait in the mailbox now
            clock.stop(strength);
            if (strength != Stop::kill) gate->open();
            system.settle();
            const std::size_t heard = seen->size();
            system.advance(2h);
            EXPECT_EQ(seen->size(), heard);
            EXPECT_TRUE(system->actors().empty());
            // The handler that was killed in the middle is one; a tick is none.
            EXPECT_EQ(system->dead_letters().total(), strength == Stop::kill ? 1U : 0U);
        });
    }
}

TEST(Timer, IsSetAndCancelledInAConstructor) {
    class Heartbeat : public Actor {
    public:
        explicit Heartbeat(bool fails) {
            tick_ = every<&Heartbeat::beat>(10ms);
            after<&Heartbeat::quit>(55ms, std::string("enough"));
            after<&Heartbeat::never>(1ms).cancel();
            if (fails) throw std::runtime_error("cannot be built");
        }
        int beats() const { return beats_; }

    private:
        void beat() { ++beats_; }
        void never() { beats_ += 100; }
        void quit(std::string) { tick_.cancel(); }
        Timer tick_;
        int beats_ = 0;
    };
    on_seeds(50, [](OwnedSystem& system) {
        auto heart = system->spawn<Heartbeat>(false);
        system->spawn<Heartbeat>(true);
        system.advance(1s);
        EXPECT_EQ(system->block_on(heart.ask<&Heartbeat::beats>()), 5);
    });
}

/// Cannot be copied as often as one would like.
struct Fragile {
    explicit Fragile(int left) : copies_left(left) {}
    Fragile(const Fragile& other) : copies_left(other.copies_left - 1) {
        if (copies_left < 0) throw std::runtime_error("worn out");
    }
    Fragile(Fragile&&) noexcept = default;
    int copies_left;
};

TEST(Timer, WhoseArgumentCannotBeCopiedFailsItsActor) {
    class Sender : public Actor {
    public:
        void begin() { every<&Sender::take>(1ms, Fragile(0)); }
        void take(Fragile) {}
    };
    on_seeds(20, [](OwnedSystem& system) {
        auto sender = system->spawn<Sender>();
        actor_internal::EndWatch watch(system, sender);
        sender.tell<&Sender::begin>();
        const Down down = watch.wait();
        EXPECT_EQ(down.reason.kind(), ExitReason::Kind::failed);
        EXPECT_EQ(down.reason.text(), "worn out");
    });
}

TEST(Timer, OfAnyDelayIsHarmless) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Seen seen = make_seen();
            auto clock = system->spawn<Clock>(seen);
            clock.tell<&Clock::set_after>(Duration::max(), "never");
            clock.tell<&Clock::set_keyed>("ever", Duration::max() - 1ns, "never");
            clock.tell<&Clock::set_keyed>("past", Duration::min(), "at once");
            EXPECT_EQ(system->block_on(clock.ask<&Clock::when>(1).within(1min)), 1U);
            EXPECT_EQ(seen->front(), "at once");
            clock.tell<&Clock::set_every>(-1s);
            ASSERT_TRUE(system->block_on(clock.ask<&Clock::when>(3).within(1min)).has_value());
            clock.stop(Stop::kill);
            wait_for_end(system, clock);
        },
        10);
}

TEST(Timer, LetsTheMailHaveItsTurnHoweverOftenItTicks) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto clock =
                system->spawn<Clock>(options().mailbox(bounded(100).reject()), make_seen());
            clock.tell<&Clock::set_every>(1ns);
            for (int i = 0; i < 50; ++i) {
                ASSERT_TRUE(system->block_on(clock.ask<&Clock::count>().within(1min)).has_value());
            }
        },
        10);
}

TEST(TimerEverySchedule, ACancelledTickIsNeverDelivered) {
    class Canceller : public Actor {
    public:
        explicit Canceller(std::shared_ptr<int> state) : state_(std::move(state)) {
            timer_ = after<&Canceller::tick>(1ms);
        }
        void cancel() {
            timer_.cancel();
            if (*state_ == 0) *state_ = 1;
        }

    private:
        void tick() {
            EXPECT_EQ(*state_, 0) << "a tick was delivered after it was cancelled";
            *state_ = 2;
        }
        std::shared_ptr<int> state_;
        Timer timer_;
    };
    class Other : public Actor {
    public:
        Task<> wait_and_cancel(Ref<Canceller> canceller) {
            ignore(co_await sleep(1ms), "a test");
            canceller.tell<&Canceller::cancel>();
        }
    };
    bool cancelled = false;
    bool ticked = false;
    const auto explored = on_all_schedules(20'000, [&](OwnedSystem& system) {
        const auto state = std::make_shared<int>(0);
        auto canceller = system->spawn<Canceller>(state);
        system->spawn<Other>().tell<&Other::wait_and_cancel>(canceller);
        system.advance(2ms);
        cancelled = cancelled || *state == 1;
        ticked = ticked || *state == 2;
    });
    EXPECT_TRUE(explored.exhaustive);
    EXPECT_TRUE(cancelled);
    EXPECT_TRUE(ticked);
}

// ---- on threads as well -------------------------------------------------------------------------

/// Sets, replaces and cancels timers of every kind at random, as fast as it can, and knows at each
/// tick whether it may come.
class Fickle : public Actor {
public:
    Fickle(std::uint64_t seed, int steps, std::atomic<int>* wrong)
        : random_(seed), left_(steps), wrong_(wrong) {}

    void step() {
        const Duration soon{static_cast<std::int64_t>(random_.below(100'000))};
        const TimerKey key("key");
        switch (random_.below(6)) {
            case 0:
                after<&Fickle::tick>(key, soon, ++armed_);
                break;
            case 1:
                every<&Fickle::tick>(key, soon, ++armed_);
                break;
            case 2:
                after_each<&Fickle::tick>(key, soon, ++armed_);
                break;
            case 3:
                cancel_timer(key);
                ++armed_;  // what was set before is not heard of again
                break;
            case 4:
                timer_.cancel();
                timer_ = after<&Fickle::other_tick>(soon, ++other_armed_);
                break;
            default:
                timer_.cancel();
                ++other_armed_;
                break;
        }
        if (--left_ > 0) {
            self(this).tell<&Fickle::step>();
        } else {
            cancel_timer(key);
            timer_.cancel();
            armed_ = other_armed_ = -1;
            after<&Fickle::finish>(1ms);  // behind any tick that might still come
        }
    }
    Reply<int> done() {
        if (finished_) return ticks_;
        return later(waiting_);
    }

private:
    void tick(int number) { note(number == armed_); }
    void other_tick(int number) { note(number == other_armed_); }
    void note(bool right) {
        ++ticks_;
        if (!right) ++*wrong_;
    }
    void finish() {
        finished_ = true;
        waiting_.send(ticks_);
    }

    Random random_;
    int left_;
    std::atomic<int>* wrong_;  // all of them add, the test reads when they are done
    int armed_ = 0;
    int other_armed_ = 0;
    int ticks_ = 0;
    bool finished_ = false;
    Timer timer_;
    ReplyTo<int> waiting_;
};

TEST(Timer, ThatWasCancelledOrReplacedIsNotHeardOfHoweverManyThereAre) {
    on_both_engines(
        [](OwnedSystem& system) {
            std::atomic<int> wrong{0};
            std::vector<Ref<Fickle>> all;
            const int steps = system->engine().deterministic() ? 100 : 2'000;
            for (std::uint64_t seed = 1; seed <= 8; ++seed) {
                all.push_back(system->spawn<Fickle>(seed, steps, &wrong));
                all.back().tell<&Fickle::step>();
            }
            for (const Ref<Fickle>& one : all)
                EXPECT_TRUE(system->block_on(one.ask<&Fickle::done>().within(1min)).has_value());
            EXPECT_EQ(wrong, 0);
            system.stop();
        },
        50);
}

TEST(Timer, OfEachKindTicksUntilItIsCancelled) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto count_to = [&](Ref<Clock> clock, std::size_t count) {
                EXPECT_TRUE(
                    system->block_on(clock.ask<&Clock::when>(count).within(1min)).has_value());
                EXPECT_TRUE(system->block_on(clock.ask<&Clock::cancel>()).has_value());
                const std::size_t ticks = *system->block_on(clock.ask<&Clock::count>());
                EXPECT_TRUE(system->block_on(clock.ask<&Clock::hold_for>(2ms)).has_value());
                EXPECT_EQ(*system->block_on(clock.ask<&Clock::count>()), ticks);
            };
            const auto rate = system->spawn<Clock>(make_seen());
            rate.tell<&Clock::set_every>(Duration(100us));
            count_to(rate, 20);
            const auto delay = system->spawn<Clock>(make_seen());
            delay.tell<&Clock::set_after_each>(Duration(100us), Duration(0));
            count_to(delay, 20);
            const auto idle = system->spawn<Clock>(make_seen());
            idle.tell<&Clock::set_idle>(Duration(100us));
            count_to(idle, 20);
        },
        20);
}

}  // namespace
}  // namespace troupe
