#include <troupe/actor/internal/log_limit.hpp>

#include <gtest/gtest.h>

namespace troupe::actor_internal {
namespace {

using namespace std::chrono_literals;

TEST(LogLimit, AdmitsSoManyASecondAndCountsTheOthers) {
    LogLimit limit(3);
    std::size_t admitted = 0;
    for (int i = 0; i < 1000; ++i)
        admitted += limit.admit(5s + i * 1us).has_value() ? 1 : 0;
    EXPECT_EQ(admitted, 3U);
    EXPECT_EQ(limit.admit(5s + 999ms), std::nullopt);
    EXPECT_EQ(limit.admit(6s), 998U) << "the first of the next second says what it follows";
    EXPECT_EQ(limit.admit(6s), 0U);
}

TEST(LogLimit, AdmitsAllThatComeSlowly) {
    LogLimit limit(1);
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(limit.admit(i * 1s), 0U);
}

TEST(LogLimit, TellsOfTheRestOnce) {
    LogLimit limit(1);
    for (int i = 0; i < 5; ++i)
        static_cast<void>(limit.admit(0s));
    EXPECT_EQ(limit.take_left_out(), 4U);
    EXPECT_EQ(limit.take_left_out(), 0U);
}

}  // namespace
}  // namespace troupe::actor_internal
