#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/explore.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

constexpr Duration kSecond{1'000'000'000};

/// Answers from a list, then always the first alternative; keeps the questions.
class ScriptedChooser final : public Chooser {
public:
    struct Question {
        std::uint64_t n;
        ChoiceKind kind;
        bool operator==(const Question&) const = default;
    };

    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char*) override {
        questions.push_back({n, kind});
        if (answers.empty()) return 0;
        const std::uint64_t answer = answers.front();
        answers.pop_front();
        return answer;
    }

    std::deque<std::uint64_t> answers;
    std::vector<Question> questions;
};

using Numbers = std::vector<int>;

/// A cell that writes what it receives into a list.
TestCell::OnMail into(Numbers& list) {
    return [&list](TestCell&, int number) { list.push_back(number); };
}

/// A job that writes its number into a list when it runs, and its negative when it is dropped.
struct NumberJob : Job {
    NumberJob(Numbers& its_list, int its_number) : list(its_list), number(its_number) {
        run = [](Job* job) noexcept {
            auto& self = *static_cast<NumberJob*>(job);
            self.list.push_back(self.number);
            EXPECT_EQ(current_cell(), nullptr);
            EXPECT_EQ(current_engine(), nullptr);
        };
        drop = [](Job* job) noexcept {
            auto& self = *static_cast<NumberJob*>(job);
            self.list.push_back(-self.number);
        };
    }
    Numbers& list;
    int number;
};

class DeterministicEngineTest : public testing::Test {
protected:
    ScriptedChooser chooser;
    std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
};

TEST_F(DeterministicEngineTest, HandlesMailInTheOrderItWasSent) {
    Numbers seen;
    TestCell cell(*engine, into(seen));
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(cell.send(i), PushResult::pushed);
    EXPECT_TRUE(seen.empty()) << "nothing runs before the engine is driven";
    engine->settle();
    EXPECT_EQ(seen, (Numbers{0, 1, 2, 3, 4}));
    EXPECT_EQ(engine->stats().turns, 5u);
}

TEST_F(DeterministicEngineTest, AsksForNoChoiceWhereThereIsNone) {
    Numbers seen;
    TestCell cell(*engine, into(seen));
    for (int i = 0; i < 5; ++i)
        cell.send(i);
    cell.start_timer(kSecond, 5);
    engine->run_for(kSecond * 2);
    EXPECT_EQ(seen.size(), 6u);
    EXPECT_EQ(engine->choose(1, ChoiceKind::fault, "test"), 0u);
    EXPECT_TRUE(chooser.questions.empty());
}

TEST_F(DeterministicEngineTest, LetsTheChooserPickTheNextCell) {
    Numbers seen;
    TestCell first(*engine, into(seen));
    TestCell second(*engine, into(seen));
    TestCell third(*engine, into(seen));
    first.send(1);
    second.send(2);
    third.send(3);
    chooser.answers = {1, 1};
    engine->settle();
    EXPECT_EQ(seen, (Numbers{2, 3, 1}));
    const std::vector<ScriptedChooser::Question> expected = {{3, ChoiceKind::next_runnable},
                                                             {2, ChoiceKind::next_runnable}};
    EXPECT_EQ(chooser.questions, expected);
}

TEST_F(DeterministicEngineTest, IsFairWhenTheFirstAlternativeIsTaken) {
    Numbers seen;
    TestCell first(*engine, into(seen));
    TestCell second(*engine, into(seen));
    for (int i = 0; i < 3; ++i) {
        first.send(1);
        second.send(2);
    }
    engine->settle();
    EXPECT_EQ(seen, (Numbers{1, 2, 1, 2, 1, 2}));
}

// Enough for several blocks of the ready list, and answers that reach into each.
TEST_F(DeterministicEngineTest, PicksTheRightOneAmongManyRunnableCells) {
    constexpr int kCells = 700;
    Numbers seen;
    Numbers waiting;
    std::vector<std::unique_ptr<TestCell>> cells;
    for (int i = 0; i < kCells; ++i) {
        cells.push_back(std::make_unique<TestCell>(*engine, into(seen)));
        cells.back()->send(i);
        waiting.push_back(i);
    }
    Numbers expected;
    for (std::uint64_t step = 0; waiting.size() > 1; ++step) {
        const std::uint64_t answer = step * 263 % waiting.size();
        chooser.answers.push_back(answer);
        const auto place = waiting.begin() + static_cast<std::ptrdiff_t>(answer);
        expected.push_back(*place);
        waiting.erase(place);
    }
    expected.push_back(waiting.front());
    engine->settle();
    EXPECT_EQ(seen, expected);
}

TEST_F(DeterministicEngineTest, KnowsTheCellWhoseTurnItIs) {
    Cell* seen = nullptr;
    Engine* seen_engine = nullptr;
    TestCell cell(*engine, [&](TestCell&, int) {
        seen = current_cell();
        seen_engine = current_engine();
    });
    cell.send(1);
    EXPECT_EQ(current_cell(), nullptr);
    engine->settle();
    EXPECT_EQ(seen, &cell.cell());
    EXPECT_EQ(seen_engine, engine.get());
    EXPECT_EQ(current_cell(), nullptr);
    EXPECT_EQ(current_engine(), nullptr);
}

TEST_F(DeterministicEngineTest, CanDriveAnotherEngineInATurn) {
    Numbers seen;
    RandomChooser inner_chooser(1);
    TestCell outer(*engine, [&](TestCell& self, int) {
        auto inner = make_deterministic_engine(inner_chooser);
        TestCell cell(*inner, [&](TestCell& inner_self, int number) {
            EXPECT_EQ(current_cell(), &inner_self.cell());
            seen.push_back(number);
        });
        cell.send(7);
        inner->settle();
        EXPECT_EQ(current_cell(), &self.cell());
        EXPECT_EQ(current_engine(), engine.get());
    });
    outer.send(1);
    engine->settle();
    EXPECT_EQ(seen, Numbers{7});
}

// ---- time ---------------------------------------------------------------------------------------

TEST_F(DeterministicEngineTest, JumpsToTheNextDeadlineOnlyWhenNothingCanRun) {
    std::vector<Duration> times;
    TestCell cell(*engine, [&](TestCell& self, int number) {
        times.push_back(self.engine().now());
        if (number > 0) self.send(number - 1);
    });
    cell.start_timer(kSecond * 3600, 0);
    cell.send(2);
    Latch never;
    EXPECT_FALSE(engine->run_until(never));
    EXPECT_EQ(times,
              (std::vector<Duration>{Duration(0), Duration(0), Duration(0), kSecond * 3600}));
}

TEST_F(DeterministicEngineTest, FiresTimersInOrderOfTheirDeadlines) {
    Numbers seen;
    TestCell cell(*engine, into(seen));
    cell.start_timer(kSecond * 3, 3);
    cell.start_timer(kSecond * 1, 1);
    cell.start_timer(kSecond * 2, 2);
    engine->run_for(kSecond * 10);
    EXPECT_EQ(seen, (Numbers{1, 2, 3}));
    EXPECT_EQ(engine->now(), kSecond * 10);
}

TEST_F(DeterministicEngineTest, LetsTheChooserBreakTies) {
    Numbers seen;
    TestCell cell(*engine, into(seen));
    for (int i = 0; i < 3; ++i)
        cell.start_timer(kSecond, i);
    // The last of three; then, with the cell ready beside a due timer, the other two at once.
    chooser.answers = {2, 1, 1, 1};
    engine->run_for(kSecond);
    EXPECT_EQ(seen, (Numbers{2, 1, 0}));
    EXPECT_EQ(chooser.questions.front(), (ScriptedChooser::Question{3, ChoiceKind::timer_tie}));
}

TEST_F(DeterministicEngineTest, LetsADueTimerCompeteWithRunnableCells) {
    Numbers seen;
    TestCell busy(*engine, into(seen));
    TestCell sleeper(*engine, into(seen));
    busy.send(1);
    sleeper.start_timer(Duration(0), 2);
    chooser.answers = {1, 1};  // the timer before the cell, then its target before the cell
    engine->settle();
    EXPECT_EQ(seen, (Numbers{2, 1}));
}

TEST_F(DeterministicEngineTest, RunsForAsLongAsItIsAskedAndNoLonger) {
    Numbers seen;
    TestCell cell(*engine, into(seen));
    cell.start_timer(kSecond, 1);
    cell.start_timer(kSecond + Duration(1), 2);
    engine->run_for(kSecond - Duration(1));
    EXPECT_TRUE(seen.empty());
    EXPECT_EQ(engine->now(), kSecond - Duration(1));
    engine->run_for(Duration(1));
    EXPECT_EQ(seen, Numbers{1});
    engine->settle();
    EXPECT_EQ(seen, Numbers{1}) << "settling moves no time";
    engine->run_for(Duration::max());
    EXPECT_EQ(seen, (Numbers{1, 2}));
    EXPECT_EQ(engine->now(), Duration::max());
}

TEST_F(DeterministicEngineTest, ForgetsACancelledTimer) {
    Numbers seen;
    TestCell cell(*engine, into(seen));
    TimerNode* const early = cell.start_timer(kSecond, 1);
    TimerNode* const middle = cell.start_timer(kSecond, 2);
    cell.start_timer(kSecond, 3);
    TimerNode* const alone = cell.start_timer(kSecond * 2, 4);
    EXPECT_TRUE(cell.cancel(middle));
    EXPECT_TRUE(cell.cancel(early));
    EXPECT_TRUE(cell.cancel(alone));
    engine->run_for(kSecond * 5);
    EXPECT_EQ(seen, Numbers{3});
}

TEST_F(DeterministicEngineTest, RefusesToCancelATimerThatHasFired) {
    Numbers seen;
    TimerNode* second = nullptr;
    bool cancelled = true;
    TestCell cell(*engine, [&](TestCell& self, int number) {
        seen.push_back(number);
        if (number == 1) cancelled = self.cancel(second);
    });
    cell.start_timer(kSecond, 1);
    second = cell.start_timer(kSecond, 2);
    chooser.answers = {0, 1};  // the first fires, and the second before the cell has run
    engine->run_for(kSecond);
    EXPECT_FALSE(cancelled);
    EXPECT_EQ(seen, (Numbers{1, 2}));
}

TEST_F(DeterministicEngineTest, DropsATimerWhoseCellHasAnotherOwner) {
    Numbers old_owner;
    Numbers new_owner;
    auto cell = std::make_unique<TestCell>(*engine, into(old_owner));
    Cell* const slot = &cell->cell();
    cell->start_timer(kSecond, 1);
    cell.reset();
    TestCell next(*engine, into(new_owner));
    ASSERT_EQ(&next.cell(), slot);
    engine->run_for(kSecond * 2);
    EXPECT_TRUE(old_owner.empty());
    EXPECT_TRUE(new_owner.empty());
}

TEST_F(DeterministicEngineTest, ShowsAFixedWallClockThatMovesWithVirtualTime) {
    const Duration start = engine->wall_now();
    EXPECT_EQ(start / kSecond, 1'735'689'600) << "2025-01-01T00:00:00Z";
    engine->run_for(kSecond * 60);
    EXPECT_EQ(engine->wall_now(), start + kSecond * 60);
    EXPECT_EQ(engine->coarse_now(), engine->now());
}

// ---- driving and stopping -----------------------------------------------------------------------

TEST_F(DeterministicEngineTest, RunsUntilTheLatchIsOpenAndNotOn) {
    Latch latch;
    Numbers seen;
    TestCell cell(*engine, [&](TestCell&, int number) {
        seen.push_back(number);
        if (number == 2) latch.open();
    });
    for (int i = 1; i <= 4; ++i)
        cell.send(i);
    EXPECT_TRUE(engine->run_until(latch));
    EXPECT_EQ(seen, (Numbers{1, 2}));
}

TEST_F(DeterministicEngineTest, SaysWhenALatchCanNeverOpen) {
    Latch latch;
    EXPECT_FALSE(engine->run_until(latch));
}

TEST_F(DeterministicEngineTest, RunsJobsAsStepsOfTheirOwn) {
    Numbers seen;
    TestCell cell(*engine, into(seen));
    NumberJob job(seen, 10);
    cell.send(1);
    ASSERT_TRUE(engine->offload(&job).has_value());
    cell.send(2);
    EXPECT_TRUE(seen.empty());
    chooser.answers = {1};
    engine->settle();
    EXPECT_EQ(seen, (Numbers{10, 1, 2}));
}

TEST_F(DeterministicEngineTest, RefusesMoreJobsThanTheThreadedEngineWould) {
    Numbers seen;
    NumberJob job(seen, 1);
    std::vector<NumberJob> jobs(ThreadedOptions().blocking_jobs_max, job);
    for (NumberJob& each : jobs)
        ASSERT_TRUE(engine->offload(&each).has_value());
    const Result<void> refused = engine->offload(&job);
    ASSERT_FALSE(refused.has_value());
    EXPECT_TRUE(refused.error() == Errc::mailbox_full);
    engine->settle();
    EXPECT_EQ(seen.size(), jobs.size());
    EXPECT_TRUE(engine->offload(&job).has_value()) << "there is room again";
    engine->settle();
    EXPECT_EQ(seen.size(), jobs.size() + 1);
}

TEST_F(DeterministicEngineTest, StopDropsWhatHasNotRun) {
    struct Service : EngineService {
        explicit Service(Engine&) {}
        ~Service() override {
            if (ended != nullptr) *ended = true;
        }
        bool* ended = nullptr;
    };
    bool service_ended = false;
    Numbers seen;
    TestCell cell(*engine, into(seen));
    NumberJob job(seen, 5);
    NumberJob late(seen, 6);
    engine->service<Service>().ended = &service_ended;
    cell.send(1);
    cell.start_timer(kSecond, 2);  // the leak checker sees whether it is dropped
    ASSERT_TRUE(engine->offload(&job).has_value());

    engine->stop();
    EXPECT_EQ(seen, Numbers{-5});
    EXPECT_TRUE(service_ended);
    engine->stop();
    const Result<void> refused = engine->offload(&late);
    ASSERT_FALSE(refused.has_value());
    EXPECT_TRUE(refused.error() == Errc::closed);
    cell.start_timer(kSecond, 3);
    cell.send(2);
    engine->settle();
    EXPECT_EQ(seen, Numbers{-5}) << "nothing runs on a stopped engine";
}

TEST_F(DeterministicEngineTest, DrawsAllRandomNumbersFromOneChoice) {
    chooser.answers = {12345};
    const std::uint64_t first = engine->random();
    const std::uint64_t second = engine->random();
    EXPECT_NE(first, second);
    EXPECT_EQ(chooser.questions, (std::vector<ScriptedChooser::Question>{
                                     {std::uint64_t{1} << 32, ChoiceKind::random_draw}}));
    ScriptedChooser again;
    again.answers = {12345};
    EXPECT_EQ(make_deterministic_engine(again)->random(), first);
}

TEST(DeterministicEngineDeathTest, RefusesASecondThread) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    RandomChooser chooser(1);
    auto engine = make_deterministic_engine(chooser);
    engine->settle();
    EXPECT_DEATH(std::thread([&] { engine->settle(); }).join(), "used by one thread only");
}

TEST(DeterministicEngineDeathTest, RefusesToBeDrivenByItsOwnCells) {
    RandomChooser chooser(1);
    auto engine = make_deterministic_engine(chooser);
    TestCell cell(*engine, [](TestCell& self, int) { self.engine().settle(); });
    cell.send(1);
    EXPECT_DEATH(engine->settle(), "use co_await instead");
}

// ---- the event hash, and exploring --------------------------------------------------------------

/// Some cells that send to each other, with timers and random draws. Returns what they saw.
Numbers play(Engine& engine) {
    Numbers seen;
    std::vector<std::unique_ptr<TestCell>> cells;
    for (int i = 0; i < 4; ++i) {
        cells.push_back(std::make_unique<TestCell>(engine, [&, i](TestCell& self, int number) {
            seen.push_back(number * 10 + i);
            if (number <= 0) return;
            const std::size_t next = self.engine().random() % cells.size();
            cells[next]->send(number - 1);
            self.start_timer(self.engine().now() + kSecond * (number % 2), -number);
        }));
    }
    for (auto& cell : cells)
        cell->send(5);
    engine.run_for(kSecond * 100);
    engine.stop();
    return seen;
}

TEST(DeterministicEngine, RepeatsARunForItsSeed) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        RandomChooser chooser(seed);
        auto engine = make_deterministic_engine(chooser);
        const Numbers seen = play(*engine);
        RandomChooser same_chooser(seed);
        auto same_engine = make_deterministic_engine(same_chooser);
        EXPECT_EQ(play(*same_engine), seen) << replay_hint(seed);
        EXPECT_EQ(same_engine->event_hash(), engine->event_hash()) << replay_hint(seed);
    }
}

TEST(DeterministicEngine, TellsRunsOfDifferentSeedsApart) {
    const Exploration exploration =
        explore_seeds(1, 300, [](Engine& engine, std::uint64_t) { play(engine); });
    EXPECT_EQ(exploration.distinct, exploration.runs);
}

TEST(DeterministicEngine, HashesWhatTheLayersAboveNote) {
    ScriptedChooser chooser;
    auto one = make_deterministic_engine(chooser);
    auto other = make_deterministic_engine(chooser);
    EXPECT_EQ(one->event_hash(), other->event_hash());
    one->note_event(1);
    EXPECT_NE(one->event_hash(), other->event_hash());
    other->note_event(2);
    EXPECT_NE(one->event_hash(), other->event_hash());
}

// Earlier engines leave slots behind in any order and with any generation, and some slots are used
// up for ever; a run must not depend on them.
TEST(DeterministicEngine, RepeatsARunWhateverEnginesCameBefore) {
    auto crowd = [] {
        RandomChooser chooser(3);
        auto engine = make_deterministic_engine(chooser);
        std::vector<std::unique_ptr<TestCell>> cells;
        for (int i = 0; i < 1200; ++i)
            cells.push_back(std::make_unique<TestCell>(*engine));
        for (auto& cell : cells)
            cell->send(1);
        engine->settle();
        for (std::size_t i = 0; i < cells.size(); i += 3) {
            cells[i]->start_timer(kSecond, 1);
            cells[i].reset();
            cells[i] = std::make_unique<TestCell>(*engine);
            cells[i]->send(1);
        }
        engine->run_for(kSecond);
        return engine->event_hash();
    };
    const std::uint64_t expected = crowd();
    for (int round = 0; round < 3; ++round) {
        RandomChooser chooser(1);
        auto bystander = make_deterministic_engine(chooser);
        TestCell occupied(*bystander);
        {
            TestCell used_up(*bystander);
            used_up.cell().generation_.store(~std::uint32_t{0}, std::memory_order_relaxed);
        }
        EXPECT_EQ(crowd(), expected);
    }
}

enum Message : int { kCheck, kRegister, kPut, kEmpty, kItem, kStart };

/// A store whose consumer first looks and then registers for a wake-up. Between the two the
/// producer may put an item in; a store that does not look again on registering loses it.
/// Returns whether the consumer got the item.
bool consumer_gets_item(Engine& engine, bool looks_again) {
    Latch done;
    bool item = false;
    bool registered = false;
    TestCell* consumer = nullptr;
    TestCell store(engine, [&](TestCell&, int message) {
        if (message == kCheck) consumer->send(item ? kItem : kEmpty);
        if (message == kRegister) {
            registered = true;
            if (item && looks_again) consumer->send(kItem);
        }
        if (message == kPut) {
            item = true;
            if (registered) consumer->send(kItem);
        }
    });
    TestCell taker(engine, [&](TestCell&, int message) {
        if (message == kStart) store.send(kCheck);
        if (message == kEmpty) store.send(kRegister);
        if (message == kItem) done.open();
    });
    TestCell producer(engine, [&](TestCell&, int) { store.send(kPut); });
    consumer = &taker;
    taker.send(kStart);
    producer.send(kStart);
    const bool got = engine.run_until(done);
    engine.stop();
    return got;
}

TEST(DeterministicEngine, FindsALostWakeUpAmongAllSchedules) {
    std::size_t lost = 0;
    const Exploration broken = explore_depth_first(10'000, 100, [&](Engine& engine) {
        if (!consumer_gets_item(engine, false)) ++lost;
    });
    EXPECT_TRUE(broken.exhaustive);
    EXPECT_GT(lost, 0u);
    EXPECT_LT(lost, broken.runs);

    const Exploration right = explore_depth_first(
        10'000, 100, [&](Engine& engine) { EXPECT_TRUE(consumer_gets_item(engine, true)); });
    EXPECT_TRUE(right.exhaustive);
    EXPECT_GT(right.runs, 3u);
    EXPECT_EQ(right.distinct, right.runs) << "every leaf is another schedule";
}

}  // namespace
}  // namespace troupe::scheduler_internal
