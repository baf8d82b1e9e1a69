#include <troupe/io/endpoint.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Endpoint, IsWrittenAsInUrls) {
    EXPECT_EQ(to_string(Endpoint("127.0.0.1", 8080)), "127.0.0.1:8080");
    EXPECT_EQ(to_string(Endpoint("localhost", 0)), "localhost:0");
    EXPECT_EQ(to_string(Endpoint("::1", 80)), "[::1]:80");
}

}  // namespace
}  // namespace troupe
