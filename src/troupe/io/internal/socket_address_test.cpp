#include <troupe/base/error.hpp>
#include <troupe/io/internal/socket_address.hpp>

#include <gtest/gtest.h>

namespace troupe::io_internal {
namespace {

TEST(SocketAddress, RefusesNames) {
    for (const char* host : {"", "example.org", "127.0.0", "127.0.0.1 ", "[::1]", "Localhost"}) {
        const Result<SocketAddress> address = to_address(Endpoint(host, 80));
        EXPECT_EQ(address.error(), Errc::failed) << host;
    }
}

TEST(SocketAddress, ComesBackAsTheSameEndpoint) {
    for (const char* host : {"127.0.0.1", "0.0.0.0", "::1", "::", "2001:db8::7"}) {
        const Endpoint endpoint(host, 4711);
        const Result<SocketAddress> address = to_address(endpoint);
        ASSERT_TRUE(address.has_value()) << host;
        EXPECT_EQ(to_endpoint(*address), endpoint);
    }
}

TEST(SocketAddress, LocalhostIsTheLoopbackOfIpv4) {
    const Result<SocketAddress> address = to_address(Endpoint("localhost", 1));
    ASSERT_TRUE(address.has_value());
    EXPECT_EQ(to_endpoint(*address), Endpoint("127.0.0.1", 1));
}

}  // namespace
}  // namespace troupe::io_internal
