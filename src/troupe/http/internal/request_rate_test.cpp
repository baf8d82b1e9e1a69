#include <troupe/http/internal/request_rate.hpp>

#include <gtest/gtest.h>

namespace troupe::http_internal {
namespace {

using namespace std::chrono_literals;

constexpr RateLimit kTenAfterThree{10, 3};

TEST(RequestRate, LetsABurstPassAndThenTheRate) {
    RequestRate rate(kTenAfterThree);
    Duration now = 5s;
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(rate.take(now), 0s);
    EXPECT_EQ(rate.take(now), 100ms);
    EXPECT_EQ(rate.take(now + 99ms), 1ms) << "to ask too early costs nothing";
    EXPECT_EQ(rate.take(now + 100ms), 0s);
    EXPECT_EQ(rate.take(now + 100ms), 100ms);
    EXPECT_FALSE(rate.is_full(now + 399ms));
    EXPECT_TRUE(rate.is_full(now + 400ms));
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(rate.take(now + 10s), 0s) << "no more than a burst gathers";
    EXPECT_EQ(rate.take(now + 10s), 100ms);
}

}  // namespace
}  // namespace troupe::http_internal
