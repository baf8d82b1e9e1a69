#include <troupe/base/assert.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(AssertDeathTest, SaysWhatWhereAndWhy) {
    int balance = -1;
    EXPECT_DEATH(TROUPE_ASSERT(balance >= 0, "a balance is never negative"),
                 "a balance is never negative.*\n.*balance >= 0.*\n.*assert_test.cpp:[0-9]+");
}

TEST(AssertDeathTest, RunsTheHookBeforeItAborts) {
    auto fail = [] {
        set_assert_hook([]() noexcept { std::fputs("replay: seed 7\n", stderr); });
        TROUPE_ASSERT(1 > 2, "one is more than two");
    };
    EXPECT_DEATH(fail(), "replay: seed 7");
}

TEST(Assert, EvaluatesTheConditionOnceAndGoesOn) {
    int evaluated = 0;
    TROUPE_ASSERT(++evaluated == 1, "counted once");
    EXPECT_EQ(evaluated, 1);
}

TEST(Assert, StandsInABranchWithoutBraces) {
    bool reached = false;
    if (reached)
        TROUPE_ASSERT(true, "never here");
    else
        reached = true;
    EXPECT_TRUE(reached);
}

constexpr int half(int even) {
    TROUPE_ASSERT(even % 2 == 0, "only even numbers have a half");
    return even / 2;
}
static_assert(half(4) == 2);  // an assertion does not keep a function from being constexpr

}  // namespace
}  // namespace troupe
