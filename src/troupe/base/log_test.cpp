#include <troupe/base/assert.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/unique_function.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr Duration kLong = 60s;  // never passes unless something is broken

// Stands still until a test moves it, so that the second of the burst limit does not end by itself.
constinit std::atomic<std::int64_t> g_now{0};  // tests write, the log reads
Duration test_clock() noexcept {
    return Duration(g_now.load(std::memory_order_relaxed));
}

// Shared by the test and the sink, which may still hold it for a moment after the test.
struct Lines {
    Mutex mutex{LockRank::log_queue};
    CondVar changed;
    std::vector<std::string> all TROUPE_GUARDED_BY(mutex);
    bool blocked TROUPE_GUARDED_BY(mutex) = false;
    bool entered TROUPE_GUARDED_BY(mutex) = false;

    void take(std::string_view line) {
        LockGuard lock(mutex);
        entered = true;
        changed.notify_all();
        while (blocked)
            changed.wait(mutex);
        all.emplace_back(line);
        changed.notify_all();
    }
};

class LogTest : public testing::Test {
public:
    LogTest() {
        // Each test has seconds of its own, also when the tests are repeated in one process.
        static std::int64_t hours = 0;
        g_now = Duration(++hours * 1h).count();
        set_log_clock(&test_clock);
        set_log_sink([lines = lines_](LogLevel, std::string_view line) { lines->take(line); });
        before_ = log_stats();
    }
    ~LogTest() override {
        release();
        set_log_sink(nullptr);
        set_log_clock(nullptr);
        set_log_format(LogFormat::text);
        set_log_level(LogLevel::info);
    }

protected:
    // Has the writer hang in the sink, with one line in its hands.
    void block_writer() {
        {
            LockGuard lock(lines_->mutex);
            lines_->blocked = true;
        }
        log_info("the line that blocks");
        LockGuard lock(lines_->mutex);
        while (!lines_->entered)
            lines_->changed.wait(lines_->mutex);
    }
    void release() {
        LockGuard lock(lines_->mutex);
        lines_->blocked = false;
        lines_->changed.notify_all();
    }
    std::vector<std::string> lines() {
        EXPECT_TRUE(log_flush(kLong));
        LockGuard lock(lines_->mutex);
        return lines_->all;
    }
    std::uint64_t overloads() {
        return log_stats().dropped_by_overload - before_.dropped_by_overload;
    }
    std::uint64_t bursts() { return log_stats().dropped_by_burst - before_.dropped_by_burst; }

    std::shared_ptr<Lines> lines_ = std::make_shared<Lines>();  // the test and the sink
    LogStats before_;
};

TEST_F(LogTest, WritesMessageAndFieldsOnALine) {
    g_now = Duration(1500ms).count();
    log_info("connection accepted", {{"peer", "::1"}, {"open", 3}});
    log_warn("slow");
    EXPECT_THAT(
        lines(),
        ElementsAre("1970-01-01T00:00:01.500000Z info    connection accepted peer=::1 open=3",
                    MatchesRegex("1970-01-01T00:00:01.500000Z warning slow "
                                 "\\(base/log_test.cpp:[0-9]+\\)")));
}

TEST_F(LogTest, WritesJsonWhenAsked) {
    g_now = 0;
    set_log_format(LogFormat::json);
    log_error("gone", {{"peer", "::1"}});
    EXPECT_THAT(lines(),
                ElementsAre(MatchesRegex(
                    R"(\{"time":"1970-01-01T00:00:00.000000Z","level":"error",)"
                    R"("message":"gone","peer":"::1","at":"base/log_test.cpp:[0-9]+"\})")));
}

TEST_F(LogTest, LeavesOutWhatIsBelowTheLevel) {
    log_debug("not yet");
    EXPECT_FALSE(log_enabled(LogLevel::debug));
    set_log_level(LogLevel::debug);
    EXPECT_TRUE(log_enabled(LogLevel::debug));
    log_debug("now");
    set_log_level(LogLevel::error);
    log_warn("not any more");
    EXPECT_THAT(lines(), ElementsAre(EndsWith("debug   now")));
}

TEST_F(LogTest, KeepsTheOrderOfAThread) {
    for (int i = 0; i < 150; ++i)
        log_info("line", {{"i", i}});
    auto all = lines();
    ASSERT_EQ(all.size(), 150u);
    for (int i = 0; i < 150; ++i)
        EXPECT_THAT(all[i], EndsWith(" i=" + std::to_string(i)));
}

TEST_F(LogTest, TakesLinesFromManyThreads) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([] {
            for (int i = 0; i < 40; ++i)
                log_warn("line");
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(lines().size(), 160u);
    EXPECT_EQ(log_stats().written - before_.written, 160u);
}

TEST_F(LogTest, DropsChatterFirstWhenTheSinkHangs) {
    block_writer();
    for (int i = 0; i < 250; ++i)
        log_info("chatter");
    EXPECT_EQ(overloads(), 50u);
    log_warn("this is important");
    EXPECT_EQ(overloads(), 50u);
    release();
    auto all = lines();
    ASSERT_EQ(all.size(), 203u);  // the one that blocked, 200, the warning, and the report
    EXPECT_THAT(all[201], HasSubstr("this is important"));
    EXPECT_THAT(all[202], HasSubstr("log lines were left out by_overload=50 by_burst=0"));
}

TEST_F(LogTest, ThrowsTheBacklogAwayWhenEvenWarningsPileUp) {
    block_writer();
    for (int i = 0; i < 500; ++i)
        log_warn("one half");
    for (int i = 0; i < 500; ++i)
        log_warn("the other half");
    EXPECT_EQ(overloads(), 0u);
    log_error("the newest");
    EXPECT_EQ(overloads(), 1000u);
    release();
    auto all = lines();
    ASSERT_EQ(all.size(), 3u);
    EXPECT_THAT(all[1], HasSubstr("the newest"));
    EXPECT_THAT(all[2], HasSubstr("by_overload=1000"));
    EXPECT_EQ(log_stats().written - before_.written, 2u);
}

TEST_F(LogTest, LimitsOnePlaceToABurstASecond) {
    auto burst = [] {
        for (int i = 0; i < 600; ++i) {
            log_warn("again");  // a warning, so that only the burst limit can stop it
            if (i % 100 == 0) log_flush(kLong);
        }
    };
    burst();
    EXPECT_EQ(bursts(), 100u);
    log_info("another place is not concerned");
    EXPECT_EQ(bursts(), 100u);
    g_now += Duration(1s).count();
    burst();
    EXPECT_EQ(bursts(), 200u);
    auto all = lines();
    std::size_t reports = 0;
    for (const std::string& line : all)
        reports += line.find("left out") != std::string::npos;
    EXPECT_EQ(all.size() - reports, 1001u);
    EXPECT_GE(reports, 1u);
}

TEST_F(LogTest, ReportsASuppressedBurstWithoutBeingAsked) {
    for (int i = 0; i < 501; ++i) {
        log_warn("again");
        if (i % 100 == 0) log_flush(kLong);
    }
    // No flush: the writer wakes up by itself.
    LockGuard lock(lines_->mutex);
    while (lines_->all.empty() || lines_->all.back().find("by_burst=1") == std::string::npos) {
        lines_->changed.wait(lines_->mutex);
    }
}

TEST_F(LogTest, GivesUpAFlushAtItsDeadline) {
    block_writer();
    EXPECT_FALSE(log_flush(1ms));
    release();
    EXPECT_TRUE(log_flush(kLong));
}

TEST_F(LogTest, LetsTheSinkLog) {
    auto lines = lines_;
    set_log_sink([lines](LogLevel level, std::string_view line) {
        if (level == LogLevel::error) log_info("from the sink");
        lines->take(line);
    });
    log_error("outer");
    EXPECT_TRUE(log_flush(kLong));
    EXPECT_THAT(this->lines(), ElementsAre(HasSubstr("outer"), HasSubstr("from the sink")));
}

TEST(LogDeathTest, BringsOutItsLastLinesBeforeAnAssertionAborts) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";  // the writer must run in the child
    auto fail = [] {
        log_info("the last line");
        TROUPE_ASSERT(1 > 2, "one is more than two");
    };
    EXPECT_DEATH(fail(), "the last line");
}

struct LogsWhenDestroyed {
    ~LogsWhenDestroyed() { log_info("logged by a static's destructor"); }
};

TEST(LogDeathTest, BringsOutItsLastLinesAtExitAndGoesOnAfterwards) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    auto leave = [] {
        static LogsWhenDestroyed late;  // destroyed after the log's own goodbye
        for (int i = 0; i < 5; ++i)
            log_info("line", {{"i", i}});
        std::exit(3);
    };
    EXPECT_EXIT(leave(), testing::ExitedWithCode(3), "i=4\n.*logged by a static's destructor");
}

TEST(LogDeathTest, LeavesTheProcessEvenWhenTheSinkHangs) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    auto leave = [] {
        auto lines = std::make_shared<Lines>();
        set_log_sink([lines](LogLevel, std::string_view line) { lines->take(line); });
        {
            LockGuard lock(lines->mutex);
            lines->blocked = true;
        }
        for (int i = 0; i < 300; ++i)
            log_info("line");
        std::exit(4);
    };
    EXPECT_EXIT(leave(), testing::ExitedWithCode(4), "");
}

}  // namespace
}  // namespace troupe
