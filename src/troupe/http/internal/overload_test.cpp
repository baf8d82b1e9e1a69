#include <troupe/http/internal/overload.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace troupe::http_internal {
namespace {

using namespace std::chrono_literals;
using http::LoadStats;
using http::OverloadOptions;

int refused_of_1000(Overload& overload) {
    int refused = 0;
    for (int i = 0; i < 1000; ++i)
        refused += overload.refuses("/") ? 1 : 0;
    return refused;
}

void judge_after(Overload& overload, std::vector<Duration> waits, std::size_t memory = 0) {
    for (const Duration wait : waits)
        overload.waited(wait);
    overload.judge(memory);
}

TEST(Overload, RefusesNothingUnlessToldTo) {
    Overload overload{OverloadOptions()};
    std::vector<std::unique_ptr<InProgress>> many;
    many.reserve(1000);
    for (int i = 0; i < 1000; ++i)
        many.push_back(std::make_unique<InProgress>(overload));
    judge_after(overload, {10s, 10s}, std::size_t{1} << 40U);
    EXPECT_EQ(refused_of_1000(overload), 0);
}

TEST(Overload, RefusesBeyondTheRequestsInProgressUntilThereAreATenthLess) {
    Overload overload{OverloadOptions().requests_in_progress_max(20).exempt("/healthy")};
    std::vector<std::unique_ptr<InProgress>> some;
    for (int i = 0; i < 20; ++i) {
        EXPECT_FALSE(overload.refuses("/"));
        some.push_back(std::make_unique<InProgress>(overload));
    }
    EXPECT_TRUE(overload.refuses("/"));
    EXPECT_FALSE(overload.refuses("/healthy"));
    EXPECT_TRUE(overload.refuses("/healthy/not"));
    some.pop_back();
    EXPECT_TRUE(overload.refuses("/")) << "19: not yet";
    some.pop_back();
    EXPECT_FALSE(overload.refuses("/"));
    some.push_back(std::make_unique<InProgress>(overload));
    EXPECT_FALSE(overload.refuses("/")) << "19: still";
    LoadStats stats;
    overload.report(stats);
    EXPECT_EQ(stats.in_progress, 19U);
    EXPECT_EQ(stats.shed, 3U);
}

TEST(Overload, ALimitOfOneLetsOneIn) {
    Overload overload{OverloadOptions().requests_in_progress_max(1)};
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(overload.refuses("/"));
        const InProgress one(overload);
        EXPECT_TRUE(overload.refuses("/"));
    }
}

TEST(Overload, RefusesAShareThatGrowsWhileTheWaitIsTooLongAndShrinksAfterwards) {
    Overload overload{OverloadOptions().run_queue_wait_max(20ms)};
    judge_after(overload, {100ms, 19ms, 100ms, 1ms});
    EXPECT_EQ(refused_of_1000(overload), 0) << "a burst that has passed is no overload";
    int before = 0;
    for (int i = 0; i < 5; ++i) {
        judge_after(overload, {21ms, 500ms});
        const int now = refused_of_1000(overload);
        EXPECT_GT(now, before);
        before = now;
    }
    for (int i = 0; i < 50; ++i)
        judge_after(overload, {21ms});
    EXPECT_NEAR(refused_of_1000(overload), 950, 2) << "somebody is let in always";
    judge_after(overload, {15ms});
    EXPECT_NEAR(refused_of_1000(overload), 950, 2) << "neither too long nor short: as it is";
    judge_after(overload, {});
    EXPECT_NEAR(refused_of_1000(overload), 950, 2) << "nothing was measured";
    before = 950;
    for (int i = 0; i < 30 && before > 0; ++i) {
        judge_after(overload, {10ms});
        const int now = refused_of_1000(overload);
        EXPECT_LT(now, before);
        before = now;
    }
    EXPECT_EQ(before, 0);
}

TEST(Overload, RefusesAllWhileMemoryIsShort) {
    Overload overload{OverloadOptions().memory_bytes_max(1000).exempt("/healthy")};
    judge_after(overload, {}, 1000);
    EXPECT_FALSE(overload.refuses("/"));
    judge_after(overload, {}, 1001);
    EXPECT_EQ(refused_of_1000(overload), 1000);
    EXPECT_FALSE(overload.refuses("/healthy"));
    judge_after(overload, {}, 901);
    EXPECT_TRUE(overload.refuses("/"));
    judge_after(overload, {}, 900);
    EXPECT_FALSE(overload.refuses("/"));
}

}  // namespace
}  // namespace troupe::http_internal
