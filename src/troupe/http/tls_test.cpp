// What is special about HTTP over TLS. That everything else is as without it is seen by the other
// tests, which run a second time over TLS.

#include <troupe/http/client.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/internal/test_tls.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::stop;
using io_internal::test_tls_client;
using io_internal::test_tls_server;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;
using Raw = http_internal::Client;

Task<Server> start(System system, TlsServer tls) {
    Router router;
    router.get("/hello", [](const Request&) { return ok("hello"); });
    auto server = co_await serve(system, std::move(router), ServerOptions().tls(std::move(tls)));
    EXPECT_TRUE(server.has_value()) << server.error().message();
    co_return *server;
}

std::string at(std::uint16_t port) {
    return "https://127.0.0.1:" + std::to_string(port) + "/hello";
}

/// 200 clients that say hello and then nothing, and some that are served meanwhile.
Task<void> stalled_handshakes(System system) {
    Server server =
        co_await start(system, test_tls_server(TlsServerOptions().handshake_timeout(5s)));
    const std::string hello = io_internal::test_client_hello(system.engine());
    std::vector<Raw> stalled;
    for (int i = 0; i < 200; ++i) {
        auto stream =
            co_await troupe::connect(system.engine(), Endpoint("127.0.0.1", server.port()));
        EXPECT_TRUE(stream.has_value());
        stalled.emplace_back(std::move(*stream));
        const bool said = co_await stalled.back().send(hello);
        EXPECT_TRUE(said);
    }
    const Client client(system, ClientOptions().tls(test_tls_client()));
    for (int i = 0; i < 10; ++i) {
        const Duration before = system.now();
        const auto reply = co_await client.get(at(server.port()));
        EXPECT_TRUE(reply.has_value() && reply->body == "hello");
        if (system.engine().deterministic()) {
            EXPECT_LT(system.now() - before, 50ms);
        }
    }
    const auto crowded = co_await server.stats();
    if (system.engine().deterministic()) {
        EXPECT_EQ(crowded.value_or(net::ServeStats()).open, 201U);
    }
    for (Raw& one : stalled) {
        const std::string answer = co_await one.receive_rest();
        EXPECT_NE(answer, "") << "the server's half of the handshake";
    }
    auto left = co_await server.stats();
    while (left && left->open > 1) {
        ignore(co_await sleep(1ms), "a test that nobody cancels");
        left = co_await server.stats();
    }
    ignore(co_await client.stop(), "it is idle");
    co_await stop(server);
}

TEST(HttpsServer, LetsNobodyWaitForHandshakesThatStallAndEndsThem) {
    in_virtual_time(5, stalled_handshakes);
}

Task<void> errors(System system) {
    Server server = co_await start(system, test_tls_server());
    const Client mistrusts(system,
                           ClientOptions().tls(test_tls_client(TlsClientOptions().authorities(
                               io_internal::test_certificate_of_stranger().chain))));
    const auto refused = co_await mistrusts.get(at(server.port()));
    EXPECT_FALSE(refused.has_value());
    if (!refused) {
        EXPECT_EQ(refused.error(), Errc::failed);
        EXPECT_TRUE(refused.error().cause() && *refused.error().cause() == TlsErrc::untrusted);
        EXPECT_NE(refused.error().text().find("unable to get local issuer"), std::string::npos)
            << refused.error().text();
    }
    const Client client(system, ClientOptions().tls(test_tls_client()));
    const auto plain =
        co_await client.get("http://127.0.0.1:" + std::to_string(server.port()) + "/hello");
    EXPECT_FALSE(plain.has_value()) << "the port speaks TLS only";
    const auto fine = co_await client.get(at(server.port()));
    EXPECT_TRUE(fine.has_value() && fine->body == "hello");
    ignore(co_await client.stop(), "it is idle");
    ignore(co_await mistrusts.stop(), "it is idle");
    co_await stop(server);
}

TEST(HttpsClient, SaysWhyItDoesNotTrustAServer) {
    on_both_engines(30, errors);
}

}  // namespace
}  // namespace troupe::http
