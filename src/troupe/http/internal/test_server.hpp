#pragma once

// For tests: a server on the transport under test.

#include <troupe/actor/system.hpp>
#include <troupe/http/router.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/task.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <utility>

namespace troupe::http_internal {

inline Task<http::Server> serve_on_transport(System system, http::Router router,
                                             http::ServerOptions options = http::ServerOptions()) {
    auto server = co_await http::serve(system, std::move(router),
                                       net_internal::on_transport(std::move(options)));
    EXPECT_TRUE(server.has_value()) << server.error().message();
    co_return *server;
}

/// Stops it, which nothing that is under way is to hold up.
inline Task<void> stop(http::Server server) {
    auto stopped = co_await server.stop(std::chrono::seconds(1));
    EXPECT_TRUE(stopped.has_value()) << stopped.error().message();
}

}  // namespace troupe::http_internal
