// That these are looked at in every run is what bench/planted shows with patches to supervisors and
// mailboxes; here each is told of what it must not let pass.

#include <troupe/actor/message.hpp>
#include <troupe/sim/internal/invariants.hpp>
#include <troupe/sim/sim.hpp>
#include <troupe/sim/trace.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace troupe::sim_internal {
namespace {

using testing::HasSubstr;

/// What the invariants say of what `happens`, or nothing.
std::string said_of(const std::function<void(Invariants& invariants)>& happens) {
    sim::FirstChooser first;
    Sim sim(first);
    Invariants invariants(sim, nullptr);
    happens(invariants);
    return sim.failure() != nullptr ? sim.failure()->text : "";
}

const actor_internal::MessageOps kTold{{}, "A::told", nullptr, nullptr, nullptr, nullptr};

struct Message : MailNode {
    Message() { ops = &kTold; }
};

EngineStep turn_of(std::uint32_t subject) {
    EngineStep step;
    step.subject = subject;
    return step;
}

TEST(Invariants, HoldMessagesOfOneActorToAnotherToTheirOrder) {
    Message one;
    Message two;
    const auto two_before_one = [&](Invariants& invariants, std::uint32_t sender_of_two) {
        invariants.step_begins(turn_of(1));
        invariants.sent(9, &one, false);
        invariants.step_begins(turn_of(sender_of_two));
        invariants.sent(9, &two, false);
        invariants.step_begins(turn_of(9));
        invariants.handling(kTold.method, &two);
        invariants.handling(kTold.method, &one);
    };
    EXPECT_THAT(said_of([&](Invariants& all) { two_before_one(all, 1); }),
                HasSubstr("out of order: A::told"));
    EXPECT_EQ(said_of([&](Invariants& all) { two_before_one(all, 2); }), "")
        << "of two senders either may be first";
}

TEST(Invariants, LetWhatHasItsOwnOrderPass) {
    Message one;
    Message two;
    EXPECT_EQ(said_of([&](Invariants& all) {
                  all.step_begins(turn_of(1));
                  all.sent(9, &one, true);
                  all.sent(9, &two, false);
                  all.step_begins(turn_of(9));
                  all.handling(kTold.method, &two);
                  all.handling(kTold.method, &one);
                  all.handling(kTold.method, &two);  // put off, and handled again
              }),
              "");
}

void restart(std::uint64_t supervisor, Duration at) {
    tell_of_restart({supervisor, at, 2, std::chrono::seconds(10)});
}

TEST(Invariants, HoldSupervisorsToTheirIntensity) {
    using std::chrono::seconds;
    EXPECT_EQ(said_of([](Invariants&) {
                  restart(1, seconds(1));
                  restart(1, seconds(2));
                  restart(2, seconds(3));
                  restart(1, seconds(12));
              }),
              "");
    EXPECT_THAT(said_of([](Invariants&) {
                    restart(1, seconds(1));
                    restart(1, seconds(2));
                    restart(1, seconds(3));
                }),
                HasSubstr("more often than it may: 3 times within 10 s, and 2 are allowed"));
}

}  // namespace
}  // namespace troupe::sim_internal
