#include <troupe/base/clock.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

using namespace std::chrono_literals;

TEST(Clock, NeverGoesBack) {
    Duration before = monotonic_now();
    for (int i = 0; i < 1000; ++i) {
        Duration now = monotonic_now();
        ASSERT_GE(now, before);
        before = now;
    }
}

TEST(Clock, KnowsThatThisIsNot1970) {
    EXPECT_GT(wall_now(), 24h * 365 * 50);
}

}  // namespace
}  // namespace troupe
