#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/internal/starvation.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

using namespace std::chrono_literals;

class Listener final : public StallListener {
public:
    explicit Listener(std::vector<StarvationReport>& reports) : reports_(reports) {}
    void stalled(const StallReport&) noexcept override {}
    void starved(const StarvationReport& report) noexcept override { reports_.push_back(report); }

private:
    std::vector<StarvationReport>& reports_;
};

/// Reports take the way of blocking jobs, which the deterministic engine runs when it is told to.
class StarvationTest : public testing::Test {
protected:
    StarvationTest() {
        set_log_sink([](LogLevel, std::string_view) {});
        engine->on_stall(std::make_unique<Listener>(reports));
    }
    ~StarvationTest() override {
        engine->release_cell(cell);
        set_log_sink({});
    }
    void note(Duration waited, Duration now) {
        starvation.note(cell, waited, now, 1, 7);
        engine->settle();
    }

    RandomChooser chooser{1};
    std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    std::vector<StarvationReport> reports;
    Starvation starvation{*engine, 100ms, 1s};
    Cell& cell = engine->acquire_cell();
};

TEST_F(StarvationTest, ReportsWhoWaitedForHowLongAndBeforeHowMany) {
    note(250ms, 5s);
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(reports[0].slot, cell.slot());
    EXPECT_EQ(reports[0].generation, cell.generation());
    EXPECT_EQ(reports[0].waited, 250ms);
    EXPECT_EQ(reports[0].worker, 1U);
    EXPECT_EQ(reports[0].behind, 7U);
    EXPECT_FALSE(reports[0].critical);
    EXPECT_EQ(reports[0].unreported, 0U);
}

TEST_F(StarvationTest, CountsAllAndReportsOneInTenSeconds) {
    for (int i = 0; i < 5; ++i)
        note(200ms, 20s + i * 1s);
    EXPECT_EQ(reports.size(), 1U);
    note(300ms, 31s);
    ASSERT_EQ(reports.size(), 2U);
    EXPECT_EQ(reports[1].unreported, 4U);
    EngineStats stats;
    starvation.add_stats(stats);
    EXPECT_EQ(stats.starved, 6U);
    EXPECT_EQ(stats.longest_wait, 300ms);
}

TEST_F(StarvationTest, ReportsACriticalOneThoughAMildOneWasJustReported) {
    note(200ms, 20s);
    note(2s, 21s);
    note(3s, 22s);
    ASSERT_EQ(reports.size(), 2U);
    EXPECT_TRUE(reports[1].critical);
}

}  // namespace
}  // namespace troupe::scheduler_internal
