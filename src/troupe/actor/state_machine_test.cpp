#include <troupe/actor/internal/test_log.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/state_machine.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Log;
using actor_internal::make_log;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;

using Texts = std::vector<std::string>;

// ---- the program of the guide -------------------------------------------------------------------

enum class DoorState : std::uint8_t { closed, open };
class Door : public StateMachine<DoorState> {
public:
    Door() : StateMachine(DoorState::closed) {}
    void open() {
        if (state() == DoorState::open) return;
        become(DoorState::open);
        state_timeout<&Door::close>(5s);
    }
    Reply<std::string> enter(std::string who) {
        if (state() == DoorState::closed) return postpone<&Door::enter>(std::move(who));
        return who + " is in";
    }
    bool is_open() const { return state() == DoorState::open; }

private:
    void close() { become(DoorState::closed); }
};
class Visitor : public Actor {
public:
    Task<std::string> visit(Ref<Door> door) {
        const auto entered = co_await door.ask<&Door::enter>("ann");
        co_return entered ? *entered : "turned away";
    }
};

TEST(StateMachine, EnterWaitsForTheDoorAndTheDoorClosesItself) {
    on_seeds(100, [](OwnedSystem& system) {
        auto door = system->spawn<Door>();
        class Opener : public Actor {
        public:
            Task<> open(Ref<Door> door) {
                ignore(co_await sleep(1s), "a test");
                door.tell<&Door::open>();
            }
        };
        system->spawn<Opener>().tell<&Opener::open>(door);
        EXPECT_EQ(system->block_on(system->spawn<Visitor>().ask<&Visitor::visit>(door)),
                  "ann is in");
        system.advance(4s);
        EXPECT_EQ(system->block_on(door.ask<&Door::is_open>()), true);
        system.advance(2s);
        EXPECT_EQ(system->block_on(door.ask<&Door::is_open>()), false);
    });
}

// ---- each of the six ----------------------------------------------------------------------------

enum class State : std::uint8_t { one, two, three };

/// Notes all that happens to it.
class Machine : public StateMachine<State> {
public:
    explicit Machine(Log log, std::size_t postponed_max = kMailboxDefault)
        : StateMachine(State::one, postponed_max), log_(std::move(log)) {}

    void go(State next) {
        note("go");
        become(next);
    }
    void there_and_back() {
        become(State::two);
        become(State::one);
    }
    void only_in_two(int number) {
        if (state() != State::two) return postpone<&Machine::only_in_two>(number);
        note("two hears " + std::to_string(number));
    }
    void only_in_three(int number) {
        if (state() != State::three) return postpone<&Machine::only_in_three>(number);
        note("three hears " + std::to_string(number));
    }
    void plain(int number) { note("plain " + std::to_string(number)); }
    void set_state_timeout(Duration delay) { state_timeout<&Machine::state_timed_out>(delay); }
    void set_event_timeout(Duration delay) { event_timeout<&Machine::event_timed_out>(delay); }
    void set_named_timeout(Duration delay) { after<&Machine::named>(TimerKey("named"), delay); }
    void events(State next) {
        next_event<&Machine::event>("a");
        become(next);
        next_event<&Machine::event>("b");
    }
    int count() const { return 0; }

private:
    void entered(const State& before) override {
        note("entered " + std::to_string(static_cast<int>(state())) + " from " +
             std::to_string(static_cast<int>(before)));
    }
    void state_timed_out() { note("state timeout"); }
    void event_timed_out() { note("event timeout"); }
    void named() { note("named timeout"); }
    void event(std::string text) {
        note("event " + text);
        if (text == "a") {
            next_event<&Machine::event>("a1");
            next_event<&Machine::event>("a2");
        }
    }
    void note(std::string text) { log_->push_back(std::move(text)); }
    Log log_;
};

TEST(StateMachine, HandlesWhatWasPostponedAfterTheNextChangeInItsOldOrderBeforeNewerMail) {
    for (const bool managed : {false, true}) {
        on_both_engines([&](OwnedSystem& system) {
            const Log log = make_log();
            const MailboxOptions mailbox = managed ? bounded(100).reject() : bounded(100);
            auto machine = system->spawn<Machine>(options().mailbox(mailbox), log);
            machine.tell<&Machine::only_in_three>(1);
            machine.tell<&Machine::only_in_two>(2);
            machine.tell<&Machine::only_in_two>(3);
            machine.tell<&Machine::go>(State::two);
            machine.tell<&Machine::plain>(4);
            machine.tell<&Machine::go>(State::three);
            machine.tell<&Machine::plain>(5);
            ASSERT_TRUE(system->block_on(machine.ask<&Machine::count>()).has_value());
            EXPECT_EQ(*log, (Texts{"entered 0 from 0", "go", "entered 1 from 0", "two hears 2",
                                   "two hears 3", "plain 4", "go", "entered 2 from 1",
                                   "three hears 1", "plain 5"}));
        });
    }
}

TEST(StateMachine, DoesNotChangeByBecomingWhatItIs) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        auto machine = system->spawn<Machine>(log);
        machine.tell<&Machine::only_in_two>(1);
        machine.tell<&Machine::set_state_timeout>(5ms);
        machine.tell<&Machine::go>(State::one);
        system.advance(10ms);
        EXPECT_EQ(*log, (Texts{"entered 0 from 0", "go", "state timeout"}));
        // Two changes in one handler are two changes.
        log->clear();
        machine.tell<&Machine::there_and_back>();
        system.settle();
        EXPECT_EQ(*log, (Texts{"entered 1 from 0", "entered 0 from 1"}));
    });
}

TEST(StateMachine, CancelsItsStateTimeoutByAChangeOnly) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        auto machine = system->spawn<Machine>(log);
        machine.tell<&Machine::set_state_timeout>(5ms);
        machine.tell<&Machine::set_state_timeout>(10ms);  // in place of the first
        machine.tell<&Machine::plain>(1);
        system.advance(7ms);
        EXPECT_EQ(log->back(), "plain 1");
        system.advance(4ms);
        EXPECT_EQ(log->back(), "state timeout");
        machine.tell<&Machine::set_state_timeout>(10ms);
        machine.tell<&Machine::go>(State::two);
        system.advance(1s);
        EXPECT_EQ(log->back(), "entered 1 from 0");
    });
}

TEST(StateMachine, CancelsItsEventTimeoutByAnyMessage) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        auto machine = system->spawn<Machine>(log);
        machine.tell<&Machine::set_event_timeout>(10ms);
        system.advance(11ms);
        EXPECT_EQ(log->back(), "event timeout");
        machine.tell<&Machine::set_event_timeout>(10ms);
        system.advance(5ms);
        machine.tell<&Machine::plain>(1);
        system.advance(1s);
        EXPECT_EQ(log->back(), "plain 1");
        // A timeout of another kind is a message too; and one more in the old one's place counts
        // from then.
        machine.tell<&Machine::set_named_timeout>(5ms);
        machine.tell<&Machine::set_event_timeout>(10ms);
        system.advance(1s);
        EXPECT_EQ(log->back(), "named timeout");
        machine.tell<&Machine::set_event_timeout>(10ms);
        machine.tell<&Machine::set_event_timeout>(20ms);
        system.advance(15ms);
        EXPECT_EQ(log->back(), "named timeout");
        system.advance(6ms);
        EXPECT_EQ(log->back(), "event timeout");
    });
}

TEST(StateMachine, SetsAnEventTimeoutWhileItStartsForTheFirstMessageToCancel) {
    class Impatient : public StateMachine<State> {
    public:
        explicit Impatient(Log log) : StateMachine(State::one), log_(std::move(log)) {}
        void message() {}

    private:
        void entered(const State&) override { event_timeout<&Impatient::timed_out>(10ms); }
        void timed_out() { log_->emplace_back("timed out"); }
        Log log_;
    };
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        auto one = system->spawn<Impatient>(log);
        system.settle();
        one.tell<&Impatient::message>();
        system.advance(1s);
        EXPECT_TRUE(log->empty());
        system->spawn<Impatient>(log);
        system.advance(1s);
        EXPECT_EQ(*log, (Texts{"timed out"}));
    });
}

TEST(StateMachine, HandlesEventsOfItsOwnFirstThenWhatWasPostponedThenTheMail) {
    for (const bool managed : {false, true}) {
        on_both_engines([&](OwnedSystem& system) {
            const Log log = make_log();
            const MailboxOptions mailbox = managed ? bounded(100).reject() : bounded(100);
            auto machine = system->spawn<Machine>(options().mailbox(mailbox), log);
            machine.tell<&Machine::only_in_two>(1);
            machine.tell<&Machine::only_in_two>(2);
            machine.tell<&Machine::events>(State::two);
            machine.tell<&Machine::plain>(3);
            ASSERT_TRUE(system->block_on(machine.ask<&Machine::count>()).has_value());
            EXPECT_EQ(*log,
                      (Texts{"entered 0 from 0", "entered 1 from 0", "event a", "event a1",
                             "event a2", "event b", "two hears 1", "two hears 2", "plain 3"}));
        });
    }
}

TEST(StateMachine, PostponesNoMoreThanItsBound) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        auto machine = system->spawn<Machine>(log, 2U);
        for (int i = 0; i < 3; ++i)
            machine.tell<&Machine::only_in_two>(i);
        machine.tell<&Machine::go>(State::two);
        system.settle();
        EXPECT_EQ(log->back(), "two hears 1");
        EXPECT_EQ(system->dead_letters().total(), 1U);
    });
}

}  // namespace
}  // namespace troupe
