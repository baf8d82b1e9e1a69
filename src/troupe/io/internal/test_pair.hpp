#pragma once

/// Two ends of one connection, for tests.

#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>

#include <gtest/gtest.h>

#include <utility>

namespace troupe::io_internal {

struct TestPair {
    Stream client;
    Stream server;
};

inline Task<void> accept_into(Listener* listener, Result<Stream>* stream) {
    *stream = co_await listener->accept();
}

inline Task<void> connect_into(Engine* engine, Endpoint endpoint, Result<Stream>* stream,
                               Duration timeout = Duration::max()) {
    *stream = co_await connect(*engine, std::move(endpoint), timeout);
}

inline TestPair make_test_pair(Engine& engine) {
    Result<Listener> listener = Listener::listen(engine, Endpoint("127.0.0.1", 0));
    EXPECT_TRUE(listener.has_value()) << listener.error().message();
    Result<Stream> server;
    Result<Stream> client;
    TestTask accepting(engine, accept_into(&*listener, &server));
    TestTask connecting(engine, connect_into(&engine, listener->local(), &client));
    EXPECT_TRUE(accepting.join() && connecting.join());
    EXPECT_TRUE(server.has_value()) << server.error().message();
    EXPECT_TRUE(client.has_value()) << client.error().message();
    return TestPair{std::move(*client), std::move(*server)};
}

}  // namespace troupe::io_internal
