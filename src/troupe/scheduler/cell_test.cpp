#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>

#include <gtest/gtest.h>

#include <coroutine>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace troupe {
namespace {

using scheduler_internal::NumberMail;
using scheduler_internal::TestCell;
using Numbers = std::vector<int>;

Numbers numbers_of(MailNode* node) {
    Numbers numbers;
    for (; node != nullptr; node = node->next) {
        numbers.push_back(static_cast<NumberMail*>(node)->number);
    }
    return numbers;
}

Numbers pop_all(Cell& cell) {
    Numbers numbers;
    while (MailNode* const node = cell.pop_batch()) {
        EXPECT_EQ(node->next, nullptr);
        numbers.push_back(static_cast<NumberMail*>(node)->number);
        delete static_cast<NumberMail*>(node);
    }
    return numbers;
}

void free_all(MailNode* node) {
    while (node != nullptr) {
        MailNode* const next = node->next;
        delete static_cast<NumberMail*>(node);
        node = next;
    }
}

/// The tests play the turn themselves: the engine is there to be scheduled on, and never driven.
class CellTest : public testing::Test {
protected:
    static constexpr std::uint16_t kCapacity = 4;

    CellTest() { cell.open_mailbox(0); }  // as in a turn: in no queue, not idle

    bool idle() const { return (cell.word() & Cell::kIdle) != 0; }
    bool blocked() const { return (cell.word() & Cell::kBlocked) != 0; }
    std::uint64_t count() const { return Cell::count_of(cell.word()); }

    /// How many times the cell has been put into the run queue.
    std::size_t scheduled() {
        const std::size_t before = owner.turns();
        engine->settle();
        return owner.turns() - before;
    }

    MailNode* push_in_place(int number) {
        EXPECT_EQ(owner.send(number), PushResult::pushed);
        return Cell::node_of(cell.word());
    }

    RandomChooser chooser{1};
    std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    Numbers received;
    TestCell owner{*engine, [this](TestCell&, int number) { received.push_back(number); },
                   kCapacity};
    Cell& cell = owner.cell();
};

// ---- refusing -----------------------------------------------------------------------------------

TEST_F(CellTest, RefusesMessagesBeyondItsBound) {
    for (int i = 0; i < kCapacity; ++i)
        EXPECT_EQ(owner.send(i), PushResult::pushed);
    EXPECT_EQ(owner.send(99), PushResult::full);
    EXPECT_EQ(count(), kCapacity);
    EXPECT_EQ(cell.take_mail(nullptr, 0), nullptr);
    EXPECT_EQ(owner.send(99), PushResult::full) << "taken out is not handled";
    cell.release(1);
    EXPECT_EQ(owner.send(4), PushResult::pushed);
    EXPECT_EQ(owner.send(99), PushResult::full);
}

TEST_F(CellTest, TakesMailPastItsBoundWhenAskedTo) {
    for (int i = 0; i < kCapacity; ++i)
        owner.send(i);
    EXPECT_EQ(push_past_bound(cell, TestCell::make_message(4)), PushResult::pushed);
    EXPECT_EQ(count(), kCapacity + 1u);
    cell.release(1);
    EXPECT_EQ(owner.send(99), PushResult::full) << "what came past the bound counts";
    static_cast<void>(cell.take_mail(nullptr, 0));
    EXPECT_EQ(pop_all(cell), (Numbers{0, 1, 2, 3, 4}));
}

TEST_F(CellTest, NeverBoundsSignals) {
    for (int i = 0; i < kCapacity; ++i)
        owner.send(i);
    for (int i = 10; i < 30; ++i)
        owner.signal(i);
    EXPECT_EQ(count(), kCapacity) << "signals do not count";
    MailNode* const signals = cell.take_mail(nullptr, 0);
    EXPECT_EQ(numbers_of(signals).size(), 20u);
    free_all(signals);
}

TEST_F(CellTest, RefusesEverythingOnceClosed) {
    owner.close();
    EXPECT_EQ(owner.send(1), PushResult::gone);
    NumberMail* const past = TestCell::make_message(2);
    EXPECT_EQ(push_past_bound(cell, past), PushResult::gone);
    delete past;
    NumberMail* const signal = TestCell::make_signal(3);
    EXPECT_EQ(push_signal(cell, signal), PushResult::gone);
    delete signal;
    owner.signal(4);  // dropped: the leak checker would tell
    EXPECT_EQ(scheduled(), 0u);
}

TEST_F(CellTest, DropsASignalForAnEarlierOwner) {
    cell.open_mailbox(Cell::kIdle);
    post_signal(cell, cell.generation() - 1, TestCell::make_signal(1));
    EXPECT_TRUE(idle());
    EXPECT_EQ(scheduled(), 0u);
    EXPECT_TRUE(received.empty());
}

TEST_F(CellTest, HasNoBoundWhenItsCapacityIsZero) {
    Numbers seen;
    TestCell unbounded(*engine, [&](TestCell&, int number) { seen.push_back(number); });
    const int many = static_cast<int>(Cell::kCountMax) + 10;
    for (int i = 0; i < many; ++i)
        ASSERT_EQ(unbounded.send(i), PushResult::pushed);
    EXPECT_EQ(Cell::count_of(unbounded.cell().word()), Cell::kCountMax);
    engine->settle();
    ASSERT_EQ(seen.size(), static_cast<std::size_t>(many));
    for (int i = 0; i < many; ++i)
        ASSERT_EQ(seen[static_cast<std::size_t>(i)], i);
    EXPECT_EQ(Cell::count_of(unbounded.cell().word()), 0u) << "the count is right again when idle";
}

// ---- order --------------------------------------------------------------------------------------

TEST_F(CellTest, KeepsTheOrderOfMessagesOverSeveralBatches) {
    owner.send(1);
    owner.send(2);
    EXPECT_EQ(cell.take_mail(nullptr, 0), nullptr);
    owner.send(3);
    EXPECT_EQ(cell.take_mail(nullptr, 0), nullptr);
    MailNode* const first = cell.pop_batch();
    EXPECT_EQ(static_cast<NumberMail*>(first)->number, 1);
    delete static_cast<NumberMail*>(first);
    owner.send(4);
    EXPECT_EQ(cell.take_mail(nullptr, 1), nullptr);
    EXPECT_EQ(pop_all(cell), (Numbers{2, 3, 4}));
    EXPECT_EQ(cell.take_mail(nullptr, 3), nullptr);
    EXPECT_EQ(count(), 0u);
    EXPECT_EQ(cell.pop_batch(), nullptr);
}

TEST_F(CellTest, HandsOutSignalsBeforeOlderMessages) {
    owner.send(1);
    owner.signal(10);
    owner.send(2);
    owner.signal(11);
    EXPECT_TRUE(cell.urgent());
    MailNode* const signals = cell.take_mail(nullptr, 0);
    EXPECT_FALSE(cell.urgent());
    EXPECT_EQ(numbers_of(signals), (Numbers{10, 11}));
    free_all(signals);
    EXPECT_EQ(pop_all(cell), (Numbers{1, 2}));
}

// ---- a message handled where it lies ------------------------------------------------------------

TEST_F(CellTest, GoesIdleOverAMessageHandledInPlace) {
    MailNode* const message = push_in_place(1);
    EXPECT_FALSE(cell.try_idle(nullptr)) << "there is mail";
    EXPECT_TRUE(cell.try_idle(message));
    EXPECT_TRUE(idle());
    EXPECT_EQ(count(), 0u);
    delete static_cast<NumberMail*>(message);
}

TEST_F(CellTest, LeavesOutTheMessageHandledInPlace) {
    MailNode* const message = push_in_place(1);
    owner.send(2);
    owner.signal(10);
    EXPECT_FALSE(cell.try_idle(message)) << "others came meanwhile";
    MailNode* const signals = cell.take_mail(message, 1);
    delete static_cast<NumberMail*>(message);
    EXPECT_EQ(numbers_of(signals), Numbers{10});
    free_all(signals);
    EXPECT_EQ(pop_all(cell), Numbers{2});
    EXPECT_EQ(count(), 1u);
}

TEST_F(CellTest, ClosesOverAMessageHandledInPlace) {
    MailNode* const message = push_in_place(1);
    owner.send(2);
    MailNode* const left = cell.close_mailbox(message);
    EXPECT_EQ(numbers_of(left), Numbers{2});
    free_all(left);
    delete static_cast<NumberMail*>(message);
}

// ---- letting go, and waking ---------------------------------------------------------------------

TEST_F(CellTest, IsScheduledOnceByTheFirstOfManyMessages) {
    ASSERT_TRUE(cell.try_idle(nullptr));
    owner.send(1);
    EXPECT_FALSE(idle());
    owner.send(2);
    owner.signal(3);
    engine->settle();
    EXPECT_EQ(received, (Numbers{3, 1, 2}));
    EXPECT_EQ(owner.turns(), 2u) << "one message a turn: it stood in the queue once at a time";
    EXPECT_TRUE(idle());
}

TEST_F(CellTest, StaysIdleNoLongerThanUntilASignal) {
    ASSERT_TRUE(cell.try_idle(nullptr));
    owner.signal(1);
    EXPECT_FALSE(idle());
    EXPECT_EQ(scheduled(), 1u);
    EXPECT_EQ(received, Numbers{1});
}

TEST_F(CellTest, IsNotWokenByMessagesWhileItIsBlocked) {
    ASSERT_TRUE(cell.try_block(nullptr, 0));
    EXPECT_TRUE(blocked());
    owner.send(1);
    owner.send(2);
    EXPECT_TRUE(blocked());
    EXPECT_EQ(scheduled(), 0u);
    owner.signal(10);
    EXPECT_FALSE(blocked());
    engine->settle();
    EXPECT_EQ(received, (Numbers{10, 1, 2}));
}

TEST_F(CellTest, BlocksOverWaitingMessagesButNotOverASignal) {
    owner.send(1);
    owner.signal(10);
    EXPECT_FALSE(cell.try_block(nullptr, 0));
    free_all(cell.take_mail(nullptr, 0));
    owner.send(2);
    EXPECT_TRUE(cell.try_block(nullptr, 1)) << "messages can wait";
    EXPECT_TRUE(blocked());
    EXPECT_EQ(count(), 1u) << "one of two was given back";
    EXPECT_EQ(pop_all(cell), Numbers{1});
}

TEST_F(CellTest, BlocksOverTheMessageInPlaceOnlyWhenNothingLiesOnIt) {
    MailNode* const message = push_in_place(1);
    owner.send(2);
    EXPECT_FALSE(cell.try_block(message, 0)) << "the newer one links to it";
    EXPECT_EQ(cell.take_mail(message, 0), nullptr);
    EXPECT_TRUE(cell.try_block(nullptr, 0));
    delete static_cast<NumberMail*>(message);
    EXPECT_EQ(pop_all(cell), Numbers{2});

    cell.open_mailbox(0);
    MailNode* const alone = push_in_place(3);
    EXPECT_TRUE(cell.try_block(alone, 1));
    EXPECT_EQ(Cell::node_of(cell.word()), nullptr) << "it belongs to its handler now";
    EXPECT_EQ(count(), 0u);
    delete static_cast<NumberMail*>(alone);
}

TEST_F(CellTest, DoesNotGoIdleOverASignal) {
    owner.signal(1);
    EXPECT_FALSE(cell.try_idle(nullptr));
    EXPECT_FALSE(cell.try_idle(Cell::node_of(cell.word())));
}

TEST_F(CellTest, ReturnsAllMailInOrderWhenClosed) {
    owner.send(1);
    owner.send(2);
    static_cast<void>(cell.take_mail(nullptr, 0));
    owner.send(3);
    owner.signal(10);
    owner.send(4);
    MailNode* const left = cell.close_mailbox(nullptr);
    EXPECT_EQ(numbers_of(left), (Numbers{1, 2, 3, 10, 4}));
    EXPECT_EQ(cell.batch_, nullptr);
    free_all(left);
}

// ---- awaiting -----------------------------------------------------------------------------------

TEST_F(CellTest, AcceptsOnlyTheAnswerItWaitsFor) {
    Awaiting record;
    record.leaf = std::noop_coroutine();
    record.number = 7;
    cell.awaiting_ = &record;
    auto answer = [&](std::uint32_t tag) {
        NumberMail* const mail = TestCell::make_signal(1);
        mail->tag = tag;
        mail->generation = cell.generation();
        return mail;
    };
    EXPECT_FALSE(arrive_as_answer(answer(6), cell)) << "of an earlier await";
    EXPECT_EQ(record.arrived, nullptr);

    NumberMail* const right = answer(7);
    EXPECT_TRUE(arrive_as_answer(right, cell));
    EXPECT_EQ(record.arrived, right);
    EXPECT_FALSE(arrive_as_answer(answer(7), cell)) << "it has one";
    EXPECT_EQ(record.arrived, right);
    cell.awaiting_ = nullptr;
    EXPECT_FALSE(arrive_as_answer(answer(7), cell)) << "nobody waits";
    delete right;
}

/// A cell whose coroutine waits in its await number 7.
class AnsweredCellTest : public CellTest {
protected:
    AnsweredCellTest() {
        record.leaf = std::noop_coroutine();
        record.number = 7;
        cell.awaiting_ = &record;
    }
    ~AnsweredCellTest() override { cell.awaiting_ = nullptr; }

    /// Each node is a signal of its own when it is dropped or goes through the mailbox.
    NumberMail* answer(std::uint32_t tag) {
        NumberMail* const mail = TestCell::make_signal(1);
        mail->tag = tag;
        return mail;
    }

    Awaiting record;
};

TEST_F(AnsweredCellTest, HasItsAnswerWithoutMailWhenItIsBlocked) {
    owner.send(1);
    ASSERT_TRUE(cell.try_block(nullptr, 0));
    const std::uint64_t before = cell.word();
    NumberMail* const right = answer(7);
    post_answer(cell, cell.generation(), right);
    EXPECT_EQ(record.arrived, right);
    EXPECT_EQ(cell.word(), before & ~Cell::kBlocked) << "the mail lies as it lay";
    EXPECT_EQ(scheduled(), 1u);
    delete right;
}

TEST_F(AnsweredCellTest, HasItsAnswerInTheMailboxWhenItIsNotBlockedYet) {
    post_answer(cell, cell.generation(), answer(7));
    EXPECT_EQ(record.arrived, nullptr) << "its turn may be at the record";
    EXPECT_FALSE(cell.try_block(nullptr, 0));
    MailNode* const signal = cell.take_mail(nullptr, 0);
    EXPECT_EQ(numbers_of(signal), Numbers{1});
    free_all(signal);
}

TEST_F(AnsweredCellTest, LooksAgainWhenAnAnswerOfAnAwaitThatIsOverHasTakenItsFlag) {
    ASSERT_TRUE(cell.try_block(nullptr, 0));
    post_answer(cell, cell.generation(), answer(6));
    EXPECT_EQ(record.arrived, nullptr);
    EXPECT_EQ(scheduled(), 1u) << "nobody else could wake it";

    cell.open_mailbox(Cell::kBlocked);
    NumberMail* const right = answer(7);
    post_answer(cell, cell.generation(), right);
    EXPECT_EQ(scheduled(), 1u);
    cell.open_mailbox(Cell::kBlocked);
    post_answer(cell, cell.generation(), answer(7));
    EXPECT_EQ(record.arrived, right) << "it has one";
    delete right;
}

TEST_F(AnsweredCellTest, IsNotWokenByTheAnswerOfAnEarlierOwner) {
    ASSERT_TRUE(cell.try_block(nullptr, 0));
    post_answer(cell, cell.generation() + 1, answer(7));
    EXPECT_EQ(record.arrived, nullptr);
    EXPECT_TRUE(blocked());
    EXPECT_EQ(scheduled(), 0u);
}

TEST_F(AnsweredCellTest, FindsTheWaitOfAnotherOfItsHandlers) {
    Awaiting latest;
    latest.number = 8;
    latest.outer = &record;
    cell.awaiting_ = &latest;
    ASSERT_TRUE(cell.try_block(nullptr, 0));
    NumberMail* const right = answer(7);
    post_answer(cell, cell.generation(), right);
    EXPECT_EQ(record.arrived, right);
    EXPECT_EQ(latest.arrived, nullptr);
    delete right;
}

// Goal: no message is lost, handled twice or out of its sender's order, and one worker at a time
// runs the cell. Method: threads that are no workers send to cells that pass on to each other; the
// thread sanitizer sees a turn that does not happen after the one before it.
TEST(Cell, HandlesEveryMessageOnceInOrderOnThreads) {
    constexpr int kSenders = 3;
    constexpr int kMessages = 20'000;
    ThreadedOptions options;
    options.workers = 2;
    auto engine = make_threaded_engine(options);
    Latch done;
    int handled = 0;  // touched in turns of `sink` only, and after them
    bool in_order = true;
    Numbers last(kSenders, -1);
    TestCell sink(*engine, [&](TestCell&, int number) {
        const int sender = number % kSenders;
        const int sequence = number / kSenders;
        int& before = last[static_cast<std::size_t>(sender)];
        in_order = in_order && sequence == before + 1;
        before = sequence;
        if (++handled == kSenders * kMessages) done.open();
    });
    TestCell relay(
        *engine, [&](TestCell&, int number) { EXPECT_EQ(sink.send(number), PushResult::pushed); });
    std::vector<std::thread> senders;
    for (int sender = 0; sender < kSenders; ++sender) {
        senders.emplace_back([&, sender] {
            for (int i = 0; i < kMessages; ++i)
                relay.send(i * kSenders + sender);
        });
    }
    for (std::thread& sender : senders)
        sender.join();
    EXPECT_TRUE(engine->run_until(done));
    engine->stop();
    EXPECT_EQ(handled, kSenders * kMessages);
    EXPECT_TRUE(in_order);
}

// Goal: a cell that goes idle after each message, and its waker on another thread, never miss each
// other, and what one turn wrote the next one sees. Method: two cells on two workers, each woken by
// the other and by an outsider.
TEST(Cell, HandsItsStateFromTurnToTurnOnThreads) {
    constexpr int kRounds = 20'000;
    ThreadedOptions options;
    options.workers = 2;
    auto engine = make_threaded_engine(options);
    Latch done;
    Latch all_pokes;
    int pokes = 0;
    int rounds = 0;
    TestCell* other = nullptr;
    TestCell ping(*engine, [&](TestCell&, int number) {
        if (number < 0) {
            if (++pokes == kRounds) all_pokes.open();
            return;
        }
        ++rounds;
        if (number == 0) {
            done.open();
        } else {
            other->send(number - 1);
        }
    });
    TestCell pong(*engine, [&](TestCell&, int number) { ping.send(number); });
    other = &pong;
    ping.send(kRounds);
    for (int i = 0; i < kRounds; ++i)
        ping.send(-1);
    EXPECT_TRUE(engine->run_until(done));
    EXPECT_TRUE(engine->run_until(all_pokes));
    engine->stop();
    EXPECT_EQ(rounds, kRounds + 1);
    EXPECT_EQ(pokes, kRounds);
}

}  // namespace
}  // namespace troupe
