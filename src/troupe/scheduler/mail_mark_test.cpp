#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/mail_mark.hpp>

#include <gtest/gtest.h>

#include <memory>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using scheduler_internal::TestCell;

// Marks are as coarse as a millisecond, and say too little rather than too much.
constexpr Duration kStep = 2ms;

class MailMark : public testing::Test {
protected:
    /// As a slot's new owner does.
    MailMark() {
        cell().handled_.store(0, std::memory_order_relaxed);
        forget_mail_mark(cell());
    }
    void pass(Duration time) { engine_->run_for(time); }
    void handle(std::uint32_t messages) {
        cell().handled_.store(cell().handled() + messages, std::memory_order_relaxed);
    }
    Cell& cell() { return owner_->cell(); }
    void expect_age(Duration age, std::uint32_t in_hand = 0) {
        EXPECT_LE(marked_mail_age(cell(), in_hand), age);
        EXPECT_GE(marked_mail_age(cell(), in_hand), age - kStep);
    }

    RandomChooser chooser_{1};
    std::unique_ptr<Engine> engine_ = make_deterministic_engine(chooser_);
    std::unique_ptr<TestCell> owner_ = std::make_unique<TestCell>(*engine_);
};

TEST_F(MailMark, KnowsNothingOfMailThatNobodyHasMarked) {
    pass(1s);
    EXPECT_EQ(marked_mail_age(cell(), 0), 0s);
    mark_mail(cell(), 0);
    pass(1s);
    EXPECT_EQ(marked_mail_age(cell(), 0), 0s) << "there was nothing to mark";
}

TEST_F(MailMark, StandsUntilTheLastOfTheMarkedMessagesIsHandled) {
    pass(1h);
    mark_mail(cell(), 3);
    EXPECT_EQ(marked_mail_age(cell(), 0), 0s);
    pass(5s);
    expect_age(5s);
    handle(2);
    pass(1s);
    expect_age(6s);
    handle(1);
    EXPECT_EQ(marked_mail_age(cell(), 0), 0s);
}

TEST_F(MailMark, IsNotMovedWhileItStands) {
    mark_mail(cell(), 2);
    pass(5s);
    mark_mail(cell(), 900);
    expect_age(5s);
    handle(2);
    mark_mail(cell(), 898);
    pass(1s);
    expect_age(1s);
}

TEST_F(MailMark, DoesNotTellOfTheMessageInHand) {
    mark_mail(cell(), 2);
    pass(5s);
    expect_age(5s, 1);
    handle(1);
    EXPECT_EQ(marked_mail_age(cell(), 1), 0s) << "the one that is left is being handled";
    expect_age(5s, 0);
}

TEST_F(MailMark, IsForgottenWithWhatLeavesUnhandled) {
    mark_mail(cell(), 2);
    pass(5s);
    forget_mail_mark(cell());
    EXPECT_EQ(marked_mail_age(cell(), 0), 0s);
    forget_mail_mark(TestCell(*engine_).cell());
}

TEST_F(MailMark, IsRightAcrossTheWrapOfTheCount) {
    handle(0xFFFF'FFFE);
    mark_mail(cell(), 5);
    pass(5s);
    handle(4);
    expect_age(5s);
    handle(1);
    EXPECT_EQ(marked_mail_age(cell(), 0), 0s);
}

TEST_F(MailMark, NeverSaysTooMuch) {
    for (int i = 1; i < 200; ++i) {
        pass(Duration(i * 7'919));
        mark_mail(cell(), 1);
        const Duration marked = engine_->now();
        pass(Duration(i * 104'729));
        EXPECT_LE(marked_mail_age(cell(), 0), engine_->now() - marked);
        handle(1);
    }
}

}  // namespace
}  // namespace troupe
