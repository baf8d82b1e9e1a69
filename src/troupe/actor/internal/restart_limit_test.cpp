#include <troupe/actor/internal/restart_limit.hpp>

#include <gtest/gtest.h>

#include <deque>

namespace troupe::actor_internal {
namespace {

using namespace std::chrono_literals;

TEST(RestartLimit, AllowsSoManyWithinTheWindowAndNotOneMore) {
    RestartLimit limit(3, 5s);
    EXPECT_EQ(limit.left(0s), 3U);
    EXPECT_TRUE(limit.allow(0s));
    EXPECT_TRUE(limit.allow(1s));
    EXPECT_EQ(limit.left(1s), 1U);
    EXPECT_TRUE(limit.allow(2s));
    EXPECT_EQ(limit.left(2s), 0U);
    EXPECT_FALSE(limit.allow(5s));
}

TEST(RestartLimit, TheWindowSlides) {
    RestartLimit limit(3, 5s);
    for (const Duration now : {0s, 4s, 5s})
        EXPECT_TRUE(limit.allow(now));
    // The first is older than the window, the second is not.
    EXPECT_TRUE(limit.allow(5001ms));
    EXPECT_FALSE(limit.allow(9s));
    EXPECT_TRUE(limit.allow(9001ms));
}

TEST(RestartLimit, OfZeroAllowsNone) {
    RestartLimit limit(0, 5s);
    EXPECT_EQ(limit.left(1h), 0U);
    EXPECT_FALSE(limit.allow(1h));
}

TEST(RestartLimit, AgreesWithAListOfAllRestarts) {
    // The model keeps every time there was and counts.
    for (std::size_t max = 1; max < 6; ++max) {
        RestartLimit limit(max, 10ms);
        std::deque<Duration> all;
        Duration now{};
        for (unsigned i = 0; i < 1000; ++i) {
            now += Duration(1ms) * ((i * 7 + max) % 6);
            std::size_t within = 0;
            for (const Duration time : all) {
                if (now - time <= 10ms) ++within;
            }
            const bool allowed = within < max;
            ASSERT_EQ(limit.left(now), max - within);
            ASSERT_EQ(limit.allow(now), allowed) << i;
            if (allowed) all.push_back(now);
        }
    }
}

TEST(Backoff, DoublesUpToItsMaximumWithAFifthOfChance) {
    const ChildPolicy::Settings policy = permanent().backoff(100ms, 1s).settings();
    const Duration plain[] = {100ms, 200ms, 400ms, 800ms, 1s, 1s, 1s};
    for (unsigned failures = 1; failures <= 7; ++failures) {
        const Duration middle = plain[failures - 1];
        EXPECT_EQ(backoff_delay(policy, failures, 0), middle * 8 / 10);
        EXPECT_EQ(backoff_delay(policy, failures, 200), middle);
        EXPECT_EQ(backoff_delay(policy, failures, 400), middle * 12 / 10);
        for (std::uint64_t random = 0; random < 2000; ++random) {
            const Duration delay = backoff_delay(policy, failures, random * 0x9E3779B97F4A7C15U);
            EXPECT_GE(delay, middle * 8 / 10);
            EXPECT_LE(delay, middle * 12 / 10);
        }
    }
    EXPECT_EQ(backoff_delay(policy, 4'000'000'000U, 200), 1s);
}

TEST(Backoff, NoneMeansAtOnce) {
    EXPECT_EQ(backoff_delay(permanent().settings(), 5, 17), Duration::zero());
}

TEST(Backoff, OfTheLongestTimeThereIsDoesNotOverflow) {
    const ChildPolicy::Settings policy = permanent().backoff(1h, kForever / 2).settings();
    for (unsigned failures = 1; failures < 100; ++failures)
        EXPECT_GT(backoff_delay(policy, failures, 400), Duration::zero());
}

TEST(Backoff, BeginsAnewAfterALongEnoughLifeOrWhenTheActorSaysSo) {
    const ChildPolicy::Settings by_default = permanent().backoff(1s, 30s).settings();
    EXPECT_FALSE(backoff_resets(by_default, 29s, false));
    EXPECT_TRUE(backoff_resets(by_default, 30s, false));
    EXPECT_TRUE(backoff_resets(by_default, 0s, true));
    const ChildPolicy::Settings separate =
        permanent().backoff(1s, 30s).reset_after(2min).settings();
    EXPECT_FALSE(backoff_resets(separate, 119s, false));
    EXPECT_TRUE(backoff_resets(separate, 2min, false));
}

}  // namespace
}  // namespace troupe::actor_internal
