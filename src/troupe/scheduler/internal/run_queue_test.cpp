#include <troupe/scheduler/internal/run_queue.hpp>
#include <troupe/scheduler/latch.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

using Numbers = std::vector<int>;

constexpr std::uint32_t kFair = 200;

/// Cells without an engine: a run queue only links and stamps them. Every test runs with both ways
/// of keeping owner and thieves apart.
class RunQueueTest : public testing::TestWithParam<BiasedLocks> {
protected:
    static constexpr int kCells = 1000;

    RunQueueTest() { use_biased_locks_for_test(GetParam()); }
    ~RunQueueTest() override { use_biased_locks_for_test(BiasedLocks::by_membarrier); }

    Cell& cell(int number) { return cells[static_cast<std::size_t>(number)]; }
    void make_fresh(int number) {
        cell(number).state_.store(CellState::starting, std::memory_order_relaxed);
    }
    int number_of(const Cell& one) const { return static_cast<int>(&one - cells.get()); }

    void push_next(int number, std::uint32_t now_us = 0) { queue.push_next(cell(number), now_us); }
    void push_back(int number, std::uint32_t now_us = 0) { queue.push_back(cell(number), now_us); }
    int pop() {
        Cell* const one = queue.pop();
        return one != nullptr ? number_of(*one) : -1;
    }
    Numbers pop_all() {
        Numbers numbers;
        for (int number = pop(); number != -1; number = pop())
            numbers.push_back(number);
        return numbers;
    }
    Numbers steal() {
        const CellChain chain = queue.steal_half();
        Numbers numbers;
        for (const Cell* one = chain.first; one != nullptr; one = one->next_runnable_)
            numbers.push_back(number_of(*one));
        EXPECT_EQ(numbers.size(), chain.count);
        return numbers;
    }

    std::unique_ptr<Cell[]> cells = std::make_unique<Cell[]>(kCells);
    RunQueue queue;
};

TEST_P(RunQueueTest, HasNothingWhenEmpty) {
    EXPECT_EQ(queue.pop(), nullptr);
    EXPECT_EQ(queue.size(), 0U);
    EXPECT_EQ(queue.age_us(1000, kFair), 0U);
    EXPECT_TRUE(steal().empty());
    queue.push_back(CellChain(), 0);
    EXPECT_EQ(queue.size(), 0U);
}

TEST_P(RunQueueTest, RunsTheYoungestFirstAndTheDisplacedDeepBeforeWide) {
    push_next(1);
    push_next(2);
    push_next(3);
    EXPECT_EQ(queue.size(), 3U);
    EXPECT_EQ(pop_all(), (Numbers{3, 2, 1}));
    EXPECT_EQ(queue.size(), 0U);
}

TEST_P(RunQueueTest, RunsThoseThatYieldedLastAndInTheirOrder) {
    push_back(1);
    push_next(2);
    push_back(3);
    push_next(4);
    EXPECT_EQ(pop_all(), (Numbers{4, 2, 1, 3}));
}

TEST_P(RunQueueTest, KeepsTheOrderOfAChain) {
    push_back(1);
    CellChain chain;
    for (int number : {2, 3, 4})
        chain.append(cell(number));
    queue.push_back(chain, 7);
    push_back(5);
    EXPECT_EQ(queue.size(), 5U);
    EXPECT_EQ(cell(3).queued_at_us_, 7U);
    EXPECT_EQ(pop_all(), (Numbers{1, 2, 3, 4, 5}));
}

TEST_P(RunQueueTest, UnlinksWhatItHandsOut) {
    push_back(1);
    push_back(2);
    push_next(3);
    push_next(4);
    while (Cell* const one = queue.pop())
        EXPECT_EQ(one->next_runnable_, nullptr);
}

TEST_P(RunQueueTest, RunsHighPriorityFirstAndLowWhenNobodyElseWaits) {
    cell(7).set_priority(Priority::high);
    cell(8).set_priority(Priority::high);
    cell(9).set_priority(Priority::low);
    push_next(9);
    push_back(1);
    push_next(2);
    push_back(7);
    push_next(8);
    EXPECT_EQ(queue.size(), 5U);
    EXPECT_EQ(pop_all(), (Numbers{7, 8, 2, 1, 9}));
    EXPECT_EQ(queue.size(), 0U);
}

TEST_P(RunQueueTest, LetsHighPriorityGoFirstAsLongAsNobodyHasWaitedForLong) {
    push_back(1);
    Numbers expected;
    for (int number = 100; number < 120; ++number) {
        cell(number).set_priority(Priority::high);
        push_back(number);
        expected.push_back(number);
    }
    expected.push_back(1);
    queue.age_us(RunQueue::kNormalAgesAfterUs, kFair);
    EXPECT_EQ(pop_all(), expected);
}

TEST_P(RunQueueTest, LetsOneThatHasWaitedForLongGoAfterEightOfHighPriority) {
    for (int number = 100; number < 120; ++number) {
        cell(number).set_priority(Priority::high);
        push_back(number);
    }
    push_back(1);
    push_back(2);
    Numbers expected;
    for (int number = 100; number < 108; ++number)
        expected.push_back(number);
    expected.push_back(1);
    for (int number = 108; number < 116; ++number)
        expected.push_back(number);
    expected.push_back(2);
    for (int number = 116; number < 120; ++number)
        expected.push_back(number);
    queue.age_us(RunQueue::kNormalAgesAfterUs + 1, kFair);
    EXPECT_EQ(pop_all(), expected);
}

// Goal: whoever has low priority gets on although others never stop. Method: a normal one that
// queues again after each turn, and a clock.
TEST_P(RunQueueTest, LetsLowPriorityGoOnceItHasWaitedForLong) {
    cell(9).set_priority(Priority::low);
    push_back(9, 0);
    push_back(1, 0);
    std::uint32_t now_us = 0;
    int turns = 0;
    for (int number = pop(); number != 9; number = pop()) {
        ASSERT_EQ(number, 1);
        now_us += 1'000;
        ++turns;
        push_back(1, now_us);
        queue.age_us(now_us, kFair);
    }
    // Then it stands behind the one that had queued before.
    EXPECT_EQ(turns, static_cast<int>(RunQueue::kLowAgesAfterUs / 1'000) + 2);
}

TEST_P(RunQueueTest, SaysHowLongTheOldestOfAnyPriorityHasWaited) {
    cell(9).set_priority(Priority::low);
    push_back(9, 100);
    push_back(1, 150);
    EXPECT_EQ(queue.age_us(300, kFair), 200U);
}

TEST_P(RunQueueTest, GivesThievesTheUrgentFirst) {
    cell(7).set_priority(Priority::high);
    cell(9).set_priority(Priority::low);
    for (const int number : {9, 1, 7, 2})
        push_back(number);
    EXPECT_EQ(steal(), (Numbers{7, 1}));
    EXPECT_EQ(pop_all(), (Numbers{2, 9}));
}

// Goal: two cells that send to each other do not keep a third one waiting for ever. Method: the
// slot is filled anew after each turn, as a reply does.
TEST_P(RunQueueTest, LetsOthersRunAfterAStreakOfTheSlot) {
    push_back(1);
    push_next(2);
    unsigned turns = 0;
    for (int number = pop(); number != 1; number = pop()) {
        ASSERT_LE(++turns, RunQueue::kSlotStreakMax);
        push_next(number == 2 ? 3 : 2);
    }
    EXPECT_EQ(turns, RunQueue::kSlotStreakMax);
    // The cell that had the slot has not been lost: it stands behind the others now.
    EXPECT_EQ(pop_all().size(), 1U);
}

TEST_P(RunQueueTest, GivesAFreshStreakToTheSlotOnceAnotherHasRun) {
    push_back(1);
    push_back(4);
    push_next(2);
    unsigned turns_before_1 = 0;
    while (pop() != 1) {
        push_next(2);
        ASSERT_LE(++turns_before_1, RunQueue::kSlotStreakMax);
    }
    push_next(3);
    EXPECT_EQ(pop(), 3);
}

TEST_P(RunQueueTest, DoesNotLimitTheStreakOfACellThatIsAlone) {
    push_next(1);
    for (unsigned turn = 0; turn < 3 * RunQueue::kSlotStreakMax; ++turn) {
        ASSERT_EQ(pop(), 1);
        push_next(1);
    }
}

TEST_P(RunQueueTest, TellsTheAgeOfTheOldest) {
    push_next(1, 100);
    EXPECT_EQ(queue.age_us(150, kFair), 50U);  // in the slot
    push_next(2, 120);                         // displaces 1, which lies on the pile since then
    EXPECT_EQ(queue.age_us(150, kFair), 30U);
    push_back(3, 90);
    EXPECT_EQ(queue.age_us(150, kFair), 60U);
}

TEST_P(RunQueueTest, TellsTheAgeAcrossTheWrapOfItsClock) {
    push_back(1, 0xFFFF'FFF0U);
    EXPECT_EQ(queue.age_us(0x10, kFair), 0x20U);
}

// Goal: whatever lies at the bottom of the pile runs once it is too old, however many come on top.
TEST_P(RunQueueTest, RunsTheOldestFirstOnceItIsTooOld) {
    for (int number = 1; number <= 5; ++number)
        push_next(number, 0);
    EXPECT_GT(queue.age_us(kFair + 1, kFair), kFair);
    push_next(6, kFair + 1);
    EXPECT_EQ(pop(), 1);  // once for each look at the age
    EXPECT_EQ(pop(), 6);
    // 5 was displaced by 6; what was on the pile at the look is a queue now, oldest first.
    EXPECT_EQ(pop_all(), (Numbers{5, 2, 3, 4}));
}

// Goal: slow cells that queue again and again do not keep out the one they have woken. Method: two
// of them always look too old, as turns of more than 200 us make them.
TEST_P(RunQueueTest, RunsTheSlotFirstOnceNobodyIsOlder) {
    push_back(1, 1000);
    push_back(2, 1500);
    std::uint32_t now = 2000;
    push_next(3, now);  // by the turn that has begun at 2000
    Numbers order;
    for (int turn = 0; turn < 4; ++turn) {
        EXPECT_GT(queue.age_us(now += 500, kFair), kFair);
        order.push_back(pop());
        if (order.back() != 3) push_back(order.back(), now);
    }
    EXPECT_EQ(order, (Numbers{1, 2, 3, 1}));
}

// Goal: a cell in the slot that is as old as the one that queues behind its own turn goes first.
TEST_P(RunQueueTest, RunsTheSlotBeforeTheOneThatHasFilledIt) {
    push_next(1, 1000);
    push_back(2, 1000);
    EXPECT_EQ(queue.age_us(1500, kFair), 500U);
    EXPECT_EQ(pop_all(), (Numbers{1, 2}));
}

TEST_P(RunQueueTest, KeepsThePileWhileNothingIsTooOld) {
    for (int number = 1; number <= 3; ++number)
        push_next(number, 0);
    EXPECT_LE(queue.age_us(kFair, kFair), kFair);
    EXPECT_EQ(pop_all(), (Numbers{3, 2, 1}));
}

TEST_P(RunQueueTest, BeginsTheLatestOfThoseWithoutATurnFirst) {
    for (int number = 1; number <= 5; ++number) {
        make_fresh(number);
        push_next(number, 0);
    }
    push_next(6, 0);
    push_next(7, 1);
    queue.age_us(kFair + 2, kFair);
    push_back(8, kFair + 2);
    EXPECT_EQ(pop(), 6) << "it has had a turn, and has waited for long";
    EXPECT_EQ(pop_all(), (Numbers{7, 5, 4, 3, 2, 1, 8}));
}

TEST_P(RunQueueTest, LetsOneWithoutATurnJoinTheQueueNowAndThen) {
    for (int number = 1; number <= 8; ++number) {
        make_fresh(number);
        push_next(number, 0);
    }
    std::uint32_t now_us = RunQueue::kFreshAgesAfterUs;
    queue.age_us(now_us, kFair);
    EXPECT_EQ(pop(), 8);
    for (const int oldest : {1, 2, 3}) {
        queue.age_us(now_us + 1, kFair);
        for (const int number : {20, 21, 22}) {
            make_fresh(number);
            push_next(number, now_us + 1);
        }
        queue.age_us(now_us + 2, kFair);
        EXPECT_EQ(pop(), oldest);
        EXPECT_EQ((Numbers{pop(), pop(), pop()}), (Numbers{22, 21, 20}));
        now_us += RunQueue::kFreshJoinsEveryUs;
    }
    EXPECT_EQ(pop_all(), (Numbers{4, 5, 6, 7}));
}

TEST_P(RunQueueTest, GivesThoseWithoutATurnAwayOldestFirst) {
    for (int number = 1; number <= 6; ++number) {
        make_fresh(number);
        push_next(number, 0);
    }
    EXPECT_EQ(steal(), (Numbers{1, 2, 3}));
    EXPECT_EQ(queue.size(), 3U);
    EXPECT_EQ(pop_all(), (Numbers{6, 4, 5}));
}

TEST_P(RunQueueTest, TellsTheAgeOfThoseWithoutATurn) {
    make_fresh(1);
    push_next(1, 10);
    push_next(2, 20);
    EXPECT_EQ(queue.age_us(100, kFair), 80U);
    EXPECT_EQ(queue.age_us(RunQueue::kFreshAgesAfterUs + 21, kFair),
              RunQueue::kFreshAgesAfterUs + 11);
}

TEST_P(RunQueueTest, RemembersThatItRanEmpty) {
    EXPECT_FALSE(queue.take_was_empty());
    push_next(1);
    push_next(2);
    pop();
    EXPECT_FALSE(queue.take_was_empty());
    pop();
    EXPECT_TRUE(queue.take_was_empty());
    EXPECT_FALSE(queue.take_was_empty());
}

TEST_P(RunQueueTest, GivesThievesTheOlderHalf) {
    push_back(1);
    push_back(2);
    for (int number : {3, 4, 5})
        push_next(number);
    EXPECT_EQ(steal(), (Numbers{1, 2, 3}));
    EXPECT_EQ(queue.size(), 2U);
    EXPECT_EQ(pop_all(), (Numbers{5, 4}));
}

TEST_P(RunQueueTest, GivesThievesTheSlotLastOfAll) {
    push_next(1);
    push_next(2);
    EXPECT_EQ(steal(), Numbers{1});
    EXPECT_EQ(steal(), Numbers{2});
    EXPECT_TRUE(steal().empty());
    EXPECT_EQ(queue.pop(), nullptr);
}

TEST_P(RunQueueTest, GoesOnAfterATheft) {
    for (int number = 1; number <= 4; ++number)
        push_next(number, 0);
    steal();
    push_next(5, 10);
    push_back(6, 10);
    EXPECT_EQ(queue.size(), 4U);
    EXPECT_EQ(pop_all(), (Numbers{5, 4, 3, 6}));
}

TEST_P(RunQueueTest, RefusesASecondThiefWhileOneIsAtIt) {
    BiasedLock lock;
    ASSERT_TRUE(lock.thief_try_lock());
    EXPECT_FALSE(lock.thief_try_lock());
    lock.thief_unlock();
    ASSERT_TRUE(lock.thief_try_lock());
    lock.thief_unlock();
    lock.owner_lock();
    lock.owner_unlock();
}

// Goal: owner and thieves are never inside together. Method: what the lock protects is no atomic,
// so the thread sanitizer sees it as well as the sum.
TEST_P(RunQueueTest, LetsNoThiefInWithTheOwner) {
    constexpr int kOwnerRounds = 20'000;
    BiasedLock lock;
    std::int64_t entries = 0;
    std::atomic<bool> done{false};
    std::atomic<std::int64_t> thefts{0};
    std::vector<std::thread> thieves;
    for (int i = 0; i < 2; ++i) {
        thieves.emplace_back([&] {
            while (!done.load(std::memory_order_relaxed)) {
                if (!lock.thief_try_lock()) continue;
                ++entries;
                lock.thief_unlock();
                thefts.fetch_add(1, std::memory_order_relaxed);
            }
        });
    }
    for (int round = 0; round < kOwnerRounds; ++round) {
        lock.owner_lock();
        ++entries;
        lock.owner_unlock();
    }
    done.store(true, std::memory_order_relaxed);
    for (std::thread& thief : thieves)
        thief.join();
    EXPECT_EQ(entries, kOwnerRounds + thefts.load());
}

// Goal: every cell is taken exactly once, whoever takes it, and none is lost. Method: an owner that
// pushes in all ways and pops now and then, two thieves that steal all the time and hand back what
// they stole, until every cell has made many rounds.
TEST_P(RunQueueTest, LosesNoCellAmongOwnerAndThieves) {
    constexpr int kRounds = 20;
    constexpr int kThieves = 2;
    std::vector<int> taken(kCells, 0);  // written by whoever holds the cell, and by nobody else
    std::atomic<int> holes{0};          // cells that thieves hold
    std::atomic<Cell*> returned{nullptr};
    std::atomic<bool> done{false};
    const auto note = [&](Cell& one) { ++taken[static_cast<std::size_t>(number_of(one))]; };
    std::vector<std::thread> thieves;
    for (int i = 0; i < kThieves; ++i) {
        thieves.emplace_back([&] {
            while (!done.load(std::memory_order_relaxed)) {
                const CellChain chain = queue.steal_half();
                for (Cell* one = chain.first; one != nullptr;) {
                    Cell* const next = one->next_runnable_;
                    note(*one);
                    Cell* top = returned.load(std::memory_order_relaxed);
                    do {
                        one->next_runnable_ = top;
                        // release: hands the cell and its count to the owner.
                    } while (!returned.compare_exchange_weak(top, one, std::memory_order_release,
                                                             std::memory_order_relaxed));
                    one = next;
                }
                holes.fetch_add(static_cast<int>(chain.count), std::memory_order_relaxed);
                std::this_thread::yield();  // or the owner hardly ever gets in
            }
        });
    }
    std::uint32_t now = 0;
    const auto push = [&](Cell& one) {
        if (++now % 3 != 0) {
            queue.push_next(one, now);
        } else {
            queue.push_back(one, now);
        }
    };
    for (int number = 0; number < kCells; ++number) {
        if (number % 4 == 0) make_fresh(number);
        push(cell(number));
    }
    std::int64_t popped = 0;
    while (popped < std::int64_t{kRounds} * kCells) {
        // acquire: takes the cells over from the thieves.
        for (Cell* one = returned.exchange(nullptr, std::memory_order_acquire); one != nullptr;) {
            Cell* const next = one->next_runnable_;
            push(*one);
            one = next;
        }
        for (int i = 0; i < 10; ++i) {
            Cell* const one = queue.pop();
            if (one == nullptr) break;
            note(*one);
            ++popped;
            push(*one);
        }
        if (now % 64 == 0) queue.age_us(now, kFair);
    }
    done.store(true, std::memory_order_relaxed);
    for (std::thread& thief : thieves)
        thief.join();
    std::vector<bool> seen(kCells, false);
    int found = 0;
    const auto find = [&](const Cell& one) {
        EXPECT_FALSE(seen[static_cast<std::size_t>(number_of(one))]);
        seen[static_cast<std::size_t>(number_of(one))] = true;
        ++found;
    };
    for (Cell* one = returned.load(); one != nullptr; one = one->next_runnable_)
        find(*one);
    EXPECT_EQ(queue.size(), static_cast<std::size_t>(kCells - found));
    while (Cell* const one = queue.pop())
        find(*one);
    EXPECT_EQ(found, kCells);
    std::int64_t turns = 0;
    for (int count : taken)
        turns += count;
    EXPECT_EQ(turns, popped + holes.load());
}

INSTANTIATE_TEST_SUITE_P(, RunQueueTest,
                         testing::Values(BiasedLocks::by_membarrier,
                                         BiasedLocks::by_ordered_stores),
                         [](const testing::TestParamInfo<BiasedLocks>& kind) {
                             return kind.param == BiasedLocks::by_membarrier
                                        ? std::string("ByMembarrier")
                                        : std::string("ByOrderedStores");
                         });

}  // namespace
}  // namespace troupe::scheduler_internal
