#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/simulated_engine.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using scheduler_internal::TestCell;

class SimulatedEngineTest : public testing::Test {
protected:
    RandomChooser chooser{1};
    std::unique_ptr<SimulatedEngine> engine = make_simulated_engine(chooser);
};

TEST_F(SimulatedEngineTest, CountsItsSteps) {
    TestCell cell(*engine);
    for (int i = 0; i < 5; ++i)
        cell.send(i);
    EXPECT_EQ(engine->steps(), 0U);
    EXPECT_TRUE(engine->step());
    EXPECT_EQ(engine->steps(), 1U);
    engine->settle();
    EXPECT_EQ(engine->steps(), 5U);
    EXPECT_FALSE(engine->step()) << "there is nothing left to do";
}

TEST_F(SimulatedEngineTest, TakesNoMoreStepsThanItMay) {
    TestCell cell(*engine, [](TestCell& self, int number) { self.send(number); });
    cell.send(1);
    engine->set_steps_max(1000);
    EXPECT_FALSE(engine->exhausted());
    EXPECT_FALSE(engine->run_until_idle(Duration::max()));
    EXPECT_TRUE(engine->exhausted());
    EXPECT_EQ(engine->steps(), 1000U);
}

TEST_F(SimulatedEngineTest, JumpsFromTimerToTimer) {
    std::vector<int> seen;
    TestCell cell(*engine, [&](TestCell&, int number) { seen.push_back(number); });
    cell.start_timer(1s, 1);
    cell.start_timer(3s, 3);
    EXPECT_EQ(engine->next_timer(), Duration(1s));
    EXPECT_TRUE(engine->advance_to_next());
    EXPECT_EQ(engine->now(), Duration(1s));
    EXPECT_EQ(seen, (std::vector<int>{1}));
    EXPECT_TRUE(engine->advance_to_next());
    EXPECT_EQ(engine->now(), Duration(3s));
    EXPECT_EQ(seen, (std::vector<int>{1, 3}));
    EXPECT_FALSE(engine->advance_to_next());
}

TEST_F(SimulatedEngineTest, RunsUntilIdleOrUntilTheTimeIsUp) {
    TestCell cell(*engine,
                  [](TestCell& self, int) { self.start_timer(self.engine().now() + 1s, 1); });
    cell.send(1);
    EXPECT_FALSE(engine->run_until_idle(10s)) << "a timer that ticks for ever";
    EXPECT_EQ(engine->now(), Duration(10s));
    TestCell quiet(*engine);
    quiet.send(1);
    engine->settle();
    EXPECT_FALSE(engine->runnable());
}

TEST_F(SimulatedEngineTest, RunsUntilAConditionHolds) {
    int handled = 0;
    TestCell cell(*engine, [&](TestCell& self, int) {
        ++handled;
        self.start_timer(self.engine().now() + 1s, 1);
    });
    cell.send(1);
    EXPECT_TRUE(engine->run_until([&] { return handled == 4; }, Duration::max()));
    EXPECT_EQ(engine->now(), Duration(3s));
    EXPECT_FALSE(engine->run_until([&] { return handled == 40; }, 5s));
    EXPECT_EQ(engine->now(), Duration(5s));
}

/// Always takes the last alternative, and keeps what it saw.
class LookingChooser final : public Chooser {
public:
    LookingChooser() : Chooser(true) {}
    std::uint64_t choose(std::uint64_t, ChoiceKind, const char*) override { return 0; }
    std::size_t choose_step(std::span<const Alternative> steps) override {
        seen.emplace_back(steps.begin(), steps.end());
        return steps.size() - 1;
    }
    std::vector<std::vector<Alternative>> seen;
};

TEST(SimulatedEngine, ShowsTheChooserWhoCanGoOn) {
    LookingChooser chooser;
    const auto engine = make_simulated_engine(chooser);
    std::vector<int> order;
    const auto note = [&](TestCell&, int number) { order.push_back(number); };
    TestCell first(*engine, note);
    TestCell second(*engine, note);
    first.send(1);
    second.send(2);
    second.start_timer(Duration::zero(), 3);
    engine->settle();
    const Alternative one{StepKind::turn, 1};
    const Alternative two{StepKind::turn, 2};
    const Alternative clock{StepKind::timer, 0};
    ASSERT_EQ(chooser.seen.size(), 3U);
    EXPECT_EQ(chooser.seen[0], (std::vector<Alternative>{one, two, clock}));
    EXPECT_EQ(chooser.seen[1], (std::vector<Alternative>{one, two}));
    EXPECT_EQ(chooser.seen[2], (std::vector<Alternative>{one})) << "also where there is no choice";
    EXPECT_EQ(order, (std::vector<int>{3, 2, 1}));
}

/// Writes down what it is told.
class Journal final : public EngineObserver {
public:
    void step_begins(const EngineStep& step) override {
        lines.push_back("step " + std::to_string(step.number) + " of " +
                        std::to_string(step.subject));
    }
    void step_ends(std::uint64_t) override { lines.push_back("end"); }
    void woke(std::uint32_t subject) override {
        lines.push_back("woke " + std::to_string(subject));
    }
    void sent(std::uint32_t to, const MailNode*, bool urgent) override {
        lines.push_back((urgent ? "signal to " : "mail to ") + std::to_string(to));
    }
    void handling(const std::string_view& method, const MailNode*) override {
        lines.push_back("handling " + std::string(method));
    }
    void touched(const void*) override { lines.push_back("touched"); }
    std::vector<std::string> lines;
};

TEST_F(SimulatedEngineTest, TellsItsObserverWhatAStepDoes) {
    Journal journal;
    TestCell target(*engine);
    TestCell sender(*engine, [&](TestCell& self, int number) {
        if (number == 1) target.signal(7);
        self.engine().note_touched(this);
    });
    sender.send(1);
    engine->observe(&journal);
    engine->settle();
    sender.send(2);
    engine->observe(nullptr);
    engine->settle();
    EXPECT_EQ(journal.lines, (std::vector<std::string>{"step 1 of 1", "signal to 2", "woke 2",
                                                       "touched", "end", "step 2 of 2", "end"}));
}

/// Whoever looks on changes nothing: the hashes are those of a run nobody looks at.
TEST(SimulatedEngine, IsNotChangedByBeingObserved) {
    const auto run = [](bool observed) {
        RandomChooser chooser(7);
        Journal journal;
        const auto engine = make_simulated_engine(chooser);
        if (observed) engine->observe(&journal);
        TestCell third(*engine);
        TestCell second(*engine, [&](TestCell&, int number) { third.send(number); });
        TestCell first(*engine, [&](TestCell&, int number) {
            third.signal(number);
            second.send(number);
        });
        for (int i = 0; i < 20; ++i)
            first.send(i);
        engine->settle();
        engine->observe(nullptr);
        return engine->event_hash();
    };
    EXPECT_EQ(run(true), run(false));
}

TEST(SimulatedEngineDeathTest, StopsInTheDebuggerAtAStep) {
    EXPECT_EXIT(
        {
            RandomChooser chooser(1);
            const auto engine = make_simulated_engine(chooser);
            TestCell cell(*engine);
            for (int i = 0; i < 5; ++i)
                cell.send(i);
            engine->break_at(3);
            engine->settle();
        },
        testing::KilledBySignal(SIGTRAP), "");
}

}  // namespace
}  // namespace troupe
