#include <troupe/http/internal/addresses.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace troupe::http_internal {
namespace {

using namespace std::chrono_literals;

constexpr RateLimit kTenAfterThree{10, 3};

IpAddress ip(const std::string& text) {
    return IpAddress::parse(text).value_or(IpAddress());
}

TEST(Addresses, GiveTheConnectionsOfAnAddressOneBucket) {
    Addresses addresses(kTenAfterThree, 0);
    const auto first = addresses.of(ip("1.1.1.1"), 1s);
    EXPECT_EQ(addresses.of(ip("1.1.1.1"), 1s), first);
    EXPECT_NE(addresses.of(ip("1.1.1.2"), 1s), first);
    EXPECT_EQ(addresses.of(ip("2001:db8::1"), 1s), addresses.of(ip("2001:db8::2"), 1s));
    EXPECT_NE(addresses.of(ip("2001:db8::1"), 1s), addresses.of(ip("2001:db8:0:1::1"), 1s));
    EXPECT_EQ(addresses.of(IpAddress(), 1s), nullptr) << "over a Unix socket";
}

TEST(Addresses, RememberWhoHungUpUntilTheBucketIsFullAgain) {
    Addresses addresses(kTenAfterThree, 0, 2);
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(addresses.of(ip("1.0.0.1"), 1s)->rate->take(1s), 0s);
    EXPECT_EQ(addresses.of(ip("1.0.0.1"), 1s)->rate->take(1s), 100ms);
    const auto kept = addresses.of(ip("1.0.0.2"), 1s);
    addresses.of(ip("1.0.0.3"), 2s);  // no room: the first is forgotten, the second is connected
    EXPECT_EQ(addresses.of(ip("1.0.0.1"), 2s)->rate->take(2s), 0s) << "one of a crowd";
    EXPECT_EQ(addresses.of(ip("1.0.0.2"), 2s), kept);
}

TEST(Addresses, HoldABoundedNumberOfThem) {
    Addresses addresses(kTenAfterThree, 3, 100);
    std::vector<std::shared_ptr<Place>> places;
    for (int i = 0; i < 1000; ++i) {
        places.push_back(addresses.enter(
            ip("1.1." + std::to_string(i / 250) + "." + std::to_string(i % 250)), 1s));
        EXPECT_NE(places.back(), nullptr) << "a crowd is not one address";
    }
    EXPECT_EQ(addresses.size(), 100U);
    EXPECT_EQ(places[998]->address(), places[999]->address()) << "those beyond share a bucket";
    places.clear();
    const auto late = addresses.of(ip("1.2.0.0"), 100s);
    EXPECT_NE(late, addresses.of(ip("1.2.0.1"), 100s)) << "there is room again";
}

TEST(Addresses, GiveNoMorePlacesThanTheLimitUntilOneIsFree) {
    Addresses addresses(std::nullopt, 2);
    auto first = addresses.enter(ip("1.1.1.1"), 1s);
    const auto second = addresses.enter(ip("1.1.1.1"), 1s);
    EXPECT_NE(first, nullptr);
    EXPECT_NE(second, nullptr);
    EXPECT_EQ(addresses.enter(ip("1.1.1.1"), 1s), nullptr);
    EXPECT_NE(addresses.enter(ip("1.1.1.2"), 1s), nullptr) << "another address";
    const auto shared = first;
    first.reset();
    EXPECT_EQ(addresses.enter(ip("1.1.1.1"), 1s), nullptr) << "somebody else holds it still";
}

TEST(Addresses, FreeAPlaceWithTheLastWhoHoldsIt) {
    Addresses addresses(std::nullopt, 1);
    auto place = addresses.enter(ip("::1"), 1s);
    EXPECT_EQ(addresses.enter(ip("::2"), 1s), nullptr) << "of the same /64";
    place.reset();
    EXPECT_NE(addresses.enter(ip("::2"), 1s), nullptr);
    for (int i = 0; i < 10; ++i)
        EXPECT_NE(addresses.enter(IpAddress(), 1s), nullptr) << "nothing to count by";
}

}  // namespace
}  // namespace troupe::http_internal
