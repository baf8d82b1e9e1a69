#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/scheduler/timer.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using scheduler_internal::NumberMail;
using scheduler_internal::TestCell;

/// A cell that asks and waits, in virtual time. Each number sent to it is a deadline in
/// milliseconds of an await that it begins; what is answered and what times out is written down.
class DeadlineTest : public testing::Test {
protected:
    struct Ended {
        Duration at;
        bool timed_out;
        bool operator==(const Ended&) const = default;
    };

    void on_mail(TestCell& self, int number) {
        if (number == TestCell::kAwaitEnded) {
            ended.push_back({engine->now(), self.awaiting().timed_out});
            return;
        }
        self.begin();
        if (number != 0) arm_deadline(self.cell(), number * 1ms);
    }

    void ask(int deadline_ms) {
        cell.send(deadline_ms);
        engine->settle();
    }
    /// Ends the present await as a reply does.
    void answer() {
        cell.cell().awaiting_->arrived = nullptr;
        NumberMail* const reply = new NumberMail;
        reply->ops = &kReplyOps;
        reply->tag = cell.cell().await_number_;
        post_signal(cell.cell(), cell.cell().generation(), reply);
        engine->settle();
    }
    TimerNode* timer() { return cell.deadline().timer; }

    static void drop_reply(MailNode* node, const Error&) noexcept {
        delete static_cast<NumberMail*>(node);
    }
    static bool reply_arrived(MailNode* node, Cell& cell) {
        const bool awaited = arrive_as_answer(node, cell);
        if (awaited) delete static_cast<NumberMail*>(node);
        return awaited;
    }
    static constexpr MailOps kReplyOps{MailKind::signal, &drop_reply, &reply_arrived};

    RandomChooser chooser{1};
    std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    std::vector<Ended> ended;
    TestCell cell{*engine, [this](TestCell& self, int number) { on_mail(self, number); }};
};

TEST_F(DeadlineTest, EndsAnAwaitAtItsDeadline) {
    ask(5);
    engine->run_for(4ms);
    EXPECT_TRUE(ended.empty());
    engine->run_for(1ms);
    EXPECT_EQ(ended, (std::vector<Ended>{{5ms, true}}));
    EXPECT_EQ(timer(), nullptr);
}

TEST_F(DeadlineTest, DoesNotDisturbAnAwaitThatWasAnswered) {
    ask(5);
    answer();
    engine->run_for(10ms);
    EXPECT_EQ(ended, (std::vector<Ended>{{0ms, false}}));
    EXPECT_EQ(timer(), nullptr);  // it fired for nobody and is gone
}

TEST_F(DeadlineTest, ServesManyAsksWithOneTimer) {
    ask(5);
    const TimerNode* const first = timer();
    for (int deadline = 6; deadline < 20; ++deadline) {
        answer();
        ask(deadline);
        EXPECT_EQ(timer(), first);
        EXPECT_EQ(timer()->deadline, 5ms);  // still where it was: nobody touched the clock
    }
    engine->run_for(18ms);
    EXPECT_EQ(ended.size(), 14U);
    EXPECT_EQ(timer(), first);
    EXPECT_EQ(timer()->deadline, 19ms);
    engine->run_for(1ms);
    EXPECT_EQ(ended.back(), (Ended{19ms, true}));
}

TEST_F(DeadlineTest, FiresEarlierForAShorterDeadline) {
    ask(50);
    const TimerNode* const first = timer();
    answer();
    ask(5);
    EXPECT_EQ(timer(), first);
    EXPECT_EQ(timer()->deadline, 5ms);
    engine->run_for(5ms);
    EXPECT_EQ(ended.back(), (Ended{5ms, true}));
}

TEST_F(DeadlineTest, LeavesAnAwaitWithoutDeadlineAlone) {
    ask(5);
    answer();
    ask(0);
    engine->run_for(100ms);
    EXPECT_EQ(ended.size(), 1U);
    EXPECT_EQ(timer(), nullptr);
    ask(200);
    EXPECT_NE(timer(), nullptr);
    engine->run_for(100ms);
    EXPECT_EQ(ended.back(), (Ended{200ms, true}));
}

TEST_F(DeadlineTest, EndsAtOnceWhenTheDeadlineHasPassed) {
    engine->run_for(10ms);
    ask(5);
    engine->settle();
    EXPECT_EQ(ended, (std::vector<Ended>{{10ms, true}}));
}

TEST_F(DeadlineTest, TakesTheTimerOffTheClock) {
    ask(5);
    disarm_deadline(cell.deadline());
    EXPECT_EQ(timer(), nullptr);
    disarm_deadline(cell.deadline());  // nothing to do
    engine->run_for(10ms);
    EXPECT_TRUE(ended.empty());
}

// What has fired lies in the mailbox and goes with it; the next owner of the slot hears nothing.
TEST_F(DeadlineTest, LeavesATimerThatHasFiredToTheMailbox) {
    RandomChooser other_chooser(1);
    auto other = make_deterministic_engine(other_chooser);
    {
        TestCell short_lived(*other, [](TestCell& self, int number) {
            ASSERT_NE(number, TestCell::kAwaitEnded);
            self.begin();
            arm_deadline(self.cell(), 0ms);
            self.close();  // the address sanitizer sees whether the timer was freed, and once
            self.cell().open_mailbox(Cell::kIdle);
        });
        short_lived.send(1);
        other->settle();
    }
    other->stop();
}

// Goal: the timer of a cell that moves between workers is found again wherever it hangs. Method: a
// cell with many awaits, some of which end by deadline and some by the answer of another cell, on
// more workers than cores.
TEST(Deadline, FollowsItsCellFromWorkerToWorker) {
    constexpr int kCells = 4;
    constexpr int kAwaits = 400;
    ThreadedOptions options;
    options.workers = 4;
    auto engine = make_threaded_engine(options);
    std::vector<std::unique_ptr<TestCell>> cells;
    std::vector<int> timed_out(kCells, 0);
    std::vector<int> left(kCells, kAwaits);
    std::vector<std::unique_ptr<Latch>> done;
    for (std::size_t i = 0; i < kCells; ++i) {
        done.push_back(std::make_unique<Latch>());
        cells.push_back(std::make_unique<TestCell>(*engine, [&, i](TestCell& self, int number) {
            if (number == TestCell::kAwaitEnded) {
                EXPECT_GE(engine->now(), self.awaiting().deadline);
                ++timed_out[i];
            }
            if (self.cell().awaiting_ != nullptr) return;
            if (left[i]-- == 0) {
                disarm_deadline(self.deadline());
                done[i]->open();
                return;
            }
            if (left[i] < 0) return;
            self.begin();
            arm_deadline(self.cell(), engine->now() + (left[i] % 7) * 100us);
            cells[(i + 1) % kCells]->send(0);
        }));
    }
    for (auto& cell : cells)
        cell->send(0);
    for (auto& latch : done)
        engine->run_until(*latch);
    engine->stop();
    for (int count : timed_out)
        EXPECT_EQ(count, kAwaits);
}

}  // namespace
}  // namespace troupe
