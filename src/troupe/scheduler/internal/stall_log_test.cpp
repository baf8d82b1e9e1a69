#include <troupe/scheduler/internal/stall_log.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace troupe::scheduler_internal {
namespace {

using namespace std::chrono_literals;

const int kAccount = 0;
const int kDeposit = 0;
const int kWithdraw = 0;

TEST(StallLog, ReportsAKindOncePerPeriodAndCountsTheRest) {
    StallLog log;
    const StallLog::Kind kind{&kAccount, &kDeposit};
    EXPECT_TRUE(log.note(kind, 10ms, 0s).report);
    for (int i = 1; i <= 5; ++i)
        EXPECT_FALSE(log.note(kind, 10ms, i * 1s).report);
    const StallLog::Verdict later = log.note(kind, 10ms, StallLog::kPeriod);
    EXPECT_TRUE(later.report);
    EXPECT_EQ(later.unreported, 5U);
    EXPECT_EQ(log.note(kind, 10ms, StallLog::kPeriod * 2).unreported, 0U);
}

TEST(StallLog, TellsKindsApartByClassAndMethod) {
    StallLog log;
    EXPECT_TRUE(log.note({&kAccount, &kDeposit}, 10ms, 0s).report);
    EXPECT_TRUE(log.note({&kAccount, &kWithdraw}, 10ms, 0s).report);
    EXPECT_TRUE(log.note({&kDeposit, &kDeposit}, 10ms, 0s).report);
    EXPECT_FALSE(log.note({&kAccount, &kWithdraw}, 10ms, 0s).report);
}

TEST(StallLog, ReportsAgainWhatLastsTenTimesLonger) {
    StallLog log;
    const StallLog::Kind kind{&kAccount, &kDeposit};
    EXPECT_TRUE(log.note(kind, 10ms, 0s).report);
    EXPECT_FALSE(log.note(kind, 99ms, 1s).report);
    EXPECT_TRUE(log.note(kind, 100ms, 1s).report);
    EXPECT_FALSE(log.note(kind, 10ms, 2s).report);
    EXPECT_TRUE(log.note(kind, 1s, 2s).report);
}

// Goal: however many kinds there are, the table stays as it is and forgets the quiet ones.
TEST(StallLog, ForgetsTheKindThatIsQuietForLongest) {
    StallLog log;
    std::vector<char> methods(StallLog::kKindsMax + 1);
    for (std::size_t i = 0; i < methods.size(); ++i) {
        EXPECT_TRUE(log.note({&kAccount, &methods[i]}, 10ms, Duration(i)).report);
    }
    EXPECT_FALSE(log.note({&kAccount, &methods[1]}, 10ms, 1s).report);
    EXPECT_TRUE(log.note({&kAccount, &methods[0]}, 10ms, 1s).report) << "it was forgotten";
}

}  // namespace
}  // namespace troupe::scheduler_internal
