#include <troupe/scheduler/internal/turn_slice.hpp>

#include <gtest/gtest.h>

namespace troupe::scheduler_internal {
namespace {

using namespace std::chrono_literals;

struct Turned {
    unsigned messages = 0;
    unsigned looks = 0;  // at the clock
    Duration took{};
};

/// One turn of an actor that never runs out of mail and takes so long for each.
Turned turn(TurnSlice& slice, Duration each) {
    Turned turned;
    for (unsigned given = slice.first(); given != 0;) {
        turned.messages += given;
        turned.took += each * given;
        ++turned.looks;
        given = slice.more(turned.messages, turned.took);
    }
    return turned;
}

TEST(TurnSlice, IsSixtyFourMessagesWhenTheyAreShort) {
    TurnSlice slice;
    for (int i = 0; i < 10; ++i) {
        const Turned turned = turn(slice, 10ns);
        EXPECT_EQ(turned.messages, TurnSlice::kMessagesMax);
        EXPECT_LE(turned.looks, 2U) << "the clock is read too often";
    }
}

TEST(TurnSlice, EndsAfterItsTimeOnceItHasSeenThatMessagesAreSlow) {
    for (const Duration each : {Duration(5us), Duration(40us), Duration(150us), Duration(1ms)}) {
        TurnSlice slice;
        turn(slice, each);  // learns
        for (int i = 0; i < 3; ++i) {
            const Turned turned = turn(slice, each);
            EXPECT_GE(turned.messages, 1U);
            EXPECT_LT(turned.took, TurnSlice::kTimeMax + each + TurnSlice::kTimeMax / 2)
                << "messages of " << each.count() << " ns";
        }
    }
}

TEST(TurnSlice, LearnsWithinOneTurnThatMessagesAreSlow) {
    TurnSlice slice;
    turn(slice, 10ns);
    EXPECT_LE(turn(slice, 100us).messages, TurnSlice::kInstalmentMax);
    EXPECT_LE(turn(slice, 100us).messages, 2U);
}

TEST(TurnSlice, GivesShortMessagesTheirShareBackInAFewTurns) {
    TurnSlice slice;
    turn(slice, 10ms);
    Turned turned;
    for (int i = 0; i < 3; ++i)
        turned = turn(slice, 10ns);
    EXPECT_EQ(turned.messages, TurnSlice::kMessagesMax);
    EXPECT_LE(turned.looks, 2U);
}

TEST(TurnSlice, GoesOnWithAWholeShareWhereMessagesAreShortAndCarefullyElsewhere) {
    TurnSlice slice;
    turn(slice, 10ns);
    EXPECT_EQ(slice.again(), TurnSlice::kMessagesMax);
    turn(slice, 100us);
    EXPECT_EQ(slice.again(), slice.first());
}

TEST(TurnSlice, RefusesAgainWhenAskedTwice) {
    TurnSlice slice;
    EXPECT_EQ(slice.more(slice.first(), 1s), 0U);
    EXPECT_EQ(slice.more(slice.first(), 1s), 0U);
}

}  // namespace
}  // namespace troupe::scheduler_internal
