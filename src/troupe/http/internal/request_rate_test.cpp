#include <troupe/http/internal/request_rate.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

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

TEST(RequestRates, GivesTheConnectionsOfAnAddressOneBucket) {
    RequestRates rates(kTenAfterThree);
    const auto first = rates.of("a", 1s);
    EXPECT_EQ(rates.of("a", 1s), first);
    EXPECT_NE(rates.of("b", 1s), first);
}

TEST(RequestRates, RemembersWhoHungUpUntilTheBucketIsFullAgain) {
    RequestRates rates(kTenAfterThree, 2);
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(rates.of("a", 1s)->take(1s), 0s);
    EXPECT_EQ(rates.of("a", 1s)->take(1s), 100ms);
    const auto kept = rates.of("b", 1s);
    rates.of("c", 2s);  // there is no room: "a" is forgotten, and "b" is still connected
    EXPECT_EQ(rates.addresses(), 2u);
    EXPECT_EQ(rates.of("b", 2s), kept);
}

TEST(RequestRates, HoldsNoMoreAddressesThanItMay) {
    RequestRates rates(kTenAfterThree, 100);
    std::vector<std::shared_ptr<RequestRate>> connected;
    for (int i = 0; i < 1000; ++i)
        connected.push_back(rates.of(std::to_string(i), 1s));
    EXPECT_EQ(rates.addresses(), 100u);
    EXPECT_NE(connected[98], connected[99]);
    EXPECT_EQ(connected[100], connected[999]) << "those beyond the bound share a bucket";
    connected.clear();
    for (int i = 0; i < 1000; ++i)
        rates.of(std::to_string(i), 2s);
    EXPECT_LE(rates.addresses(), 100u);
}

}  // namespace
}  // namespace troupe::http_internal
