// Who is let in and who is turned away, seen from outside, on both engines.

#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_folder.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/internal/test_tls.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/sync.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::Client;
using http_internal::get;
using http_internal::Reply;
using http_internal::stop;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

IpNetworks networks(const std::string& list) {
    const auto parsed = IpNetworks::parse(list);
    EXPECT_TRUE(parsed.has_value()) << list;
    return parsed.value_or(IpNetworks());
}

Router routes() {
    Router router;
    router.get("/who", [](const Request& request) {
        return ok(to_string(request.client_address()) +
                  (request.secure() ? " secure " : " plain ") + std::string(request.host()) +
                  " by " + std::string(request.protocol()));
    });
    router.get("/healthy", [](const Request&) { return ok("yes"); });
    return router;
}

Task<Server> start(System system, ServerOptions options, Router router = routes()) {
    auto server = co_await serve(system, std::move(router), std::move(options));
    EXPECT_TRUE(server.has_value()) << server.error().message();
    co_return *server;
}

Task<Client> call(System system, Endpoint where) {
    auto stream = co_await connect(system.engine(), std::move(where));
    EXPECT_TRUE(stream.has_value()) << stream.error().message();
    co_return Client(stream ? std::move(*stream) : Stream());
}

/// A connection that a proxy makes for somebody.
Task<Client> call_for(System system, std::uint16_t port, std::string address) {
    Client client = co_await call(system, Endpoint("127.0.0.1", port));
    EXPECT_TRUE(co_await client.send("PROXY TCP4 " + address + " 10.0.0.1 4711 80\r\n"));
    co_return client;
}

std::string get_for(const std::string& path, const std::string& address) {
    return "GET " + path + " HTTP/1.1\r\nHost: inside\r\nX-Forwarded-For: " + address + "\r\n\r\n";
}

// ---- where a request comes from -----------------------------------------------------------------

Task<void> over_a_unix_socket(System system, std::string path) {
    Server server = co_await start(system, ServerOptions().unix_socket(path));
    EXPECT_EQ(server.port(), 0);
    Client client = co_await call(system, Endpoint::unix_socket(path));
    EXPECT_EQ((co_await client.ask(get("/who"))).body, " plain test by HTTP/1.1");
    const auto again = co_await serve(system, routes(), ServerOptions().unix_socket(path));
    EXPECT_FALSE(again.has_value()) << "somebody listens there";
    client.close();
    co_await stop(server);
    EXPECT_FALSE(std::filesystem::exists(path));
    Server next = co_await start(system, ServerOptions().unix_socket(path));
    co_await stop(next);
}

TEST(Edge, ServesAtAUnixSocketAndRemovesIt) {
    const http_internal::TestFolder folder;
    const std::string path = folder.path() + "/edge.sock";
    on_both_engines(20, [&](System system) { return over_a_unix_socket(system, path); });
}

Task<void> proxied(System system) {
    Server server = co_await start(
        system, ServerOptions().proxy_protocol(ProxyProtocol(networks("127.0.0.0/8"))));
    Client client = co_await call_for(system, server.port(), "1.2.3.4");
    EXPECT_EQ((co_await client.ask(get("/who"))).body, "1.2.3.4 plain test by HTTP/1.1");
    EXPECT_EQ((co_await client.ask(get_for("/who", "6.6.6.6"))).body,
              "1.2.3.4 plain inside by HTTP/1.1");
    Client rude = co_await call(system, Endpoint("127.0.0.1", server.port()));
    EXPECT_TRUE(co_await rude.send(get("/who")));
    EXPECT_EQ(co_await rude.receive_rest(), "") << "no header, no answer";
    client.close();
    co_await stop(server);
}

TEST(Edge, ThePeerIsWhomTheProxyNames) {
    on_both_engines(50, proxied);
}

Task<void> forwarded(System system) {
    Server server =
        co_await start(system, ServerOptions().trusted_proxies(networks("127.0.0.1, 10.0.0.0/8")));
    Client client = co_await call(system, Endpoint("127.0.0.1", server.port()));
    EXPECT_EQ((co_await client.ask(get_for("/who", "6.6.6.6, 1.2.3.4, 10.0.0.1"))).body,
              "1.2.3.4 plain inside by HTTP/1.1");
    EXPECT_EQ((co_await client.ask(get("/who"))).body, "127.0.0.1 plain test by HTTP/1.1")
        << "each request by itself";
    client.close();
    co_await stop(server);
    server = co_await start(system, ServerOptions().trusted_proxies(networks("10.0.0.0/8")));
    client = co_await call(system, Endpoint("127.0.0.1", server.port()));
    EXPECT_EQ((co_await client.ask(get_for("/who", "1.2.3.4"))).body,
              "127.0.0.1 plain inside by HTTP/1.1");
    client.close();
    co_await stop(server);
}

TEST(Edge, TheClientIsWhomTrustedProxiesName) {
    on_both_engines(20, forwarded);
}

// ---- how many -----------------------------------------------------------------------------------

/// Waits until the server knows of so many connections only.
Task<void> until_open(Server server, std::size_t connections) {
    for (;;) {
        const auto stats = co_await server.stats();
        EXPECT_TRUE(stats.has_value());
        if (!stats || stats->open <= connections) co_return;
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    }
}

Task<void> crowd(System system) {
    Server server = co_await start(system, ServerOptions().connections_per_address_max(2));
    const Endpoint where("127.0.0.1", server.port());
    std::vector<Client> clients;
    for (int i = 0; i < 2; ++i) {
        clients.push_back(co_await call(system, where));
        EXPECT_EQ((co_await clients.back().ask(get("/who"))).status, 200);
    }
    Client third = co_await call(system, where);
    ignore(co_await third.send(get("/who")), "it may be closed by now");
    EXPECT_EQ(co_await third.receive_rest(), "");
    EXPECT_EQ(server.load().crowded_out, 1U);
    clients.pop_back();
    co_await until_open(server, 1);
    Client fourth = co_await call(system, where);
    EXPECT_EQ((co_await fourth.ask(get("/who"))).status, 200);
    clients.clear();
    fourth.close();
    co_await stop(server);
}

TEST(Edge, ClosesConnectionsBeyondThoseOfOneAddress) {
    on_both_engines(50, crowd);
}

Task<void> crowd_behind_a_proxy(System system) {
    Server server =
        co_await start(system, ServerOptions().connections_per_address_max(1).proxy_protocol(
                                   ProxyProtocol(networks("127.0.0.1"))));
    Client first = co_await call_for(system, server.port(), "1.1.1.1");
    EXPECT_EQ((co_await first.ask(get("/who"))).status, 200);
    Client second = co_await call_for(system, server.port(), "1.1.1.1");
    ignore(co_await second.send(get("/who")), "it may be closed by now");
    EXPECT_EQ(co_await second.receive_rest(), "");
    Client other = co_await call_for(system, server.port(), "1.1.1.2");
    EXPECT_EQ((co_await other.ask(get("/who"))).status, 200);
    first.close();
    other.close();
    co_await stop(server);
}

TEST(Edge, CountsThoseBehindAProxyByThemselves) {
    on_both_engines(50, crowd_behind_a_proxy);
}

Task<void> rates(System system) {
    Server server = co_await start(
        system,
        ServerOptions().trusted_proxies(networks("127.0.0.1")).requests_per_second_max(1, 2));
    Client client = co_await call(system, Endpoint("127.0.0.1", server.port()));
    for (const std::string address : {"1.1.1.1", "2001:db8::1", "127.0.0.1"}) {
        EXPECT_EQ((co_await client.ask(get_for("/who", address))).status, 200) << address;
        EXPECT_EQ((co_await client.ask(get_for("/who", address))).status, 200) << address;
        const Reply refused = co_await client.ask(get_for("/who", address));
        EXPECT_EQ(refused.status, 429) << address;
        EXPECT_NE(refused.head.find("\r\nRetry-After: 1\r\n"), std::string::npos);
    }
    EXPECT_EQ((co_await client.ask(get_for("/who", "2001:db8::2"))).status, 429)
        << "of the same /64";
    EXPECT_EQ(server.load().over_rate, 4U);
    ignore(co_await sleep(2s), "nobody cancels");
    EXPECT_EQ((co_await client.ask(get_for("/who", "1.1.1.1"))).status, 200);
    client.close();
    co_await stop(server);
}

TEST(Edge, AnswersEachClientSoManyRequestsASecond) {
    in_virtual_time(30, rates);
}

Task<void> rate_of_all(System system) {
    Server server = co_await start(system, ServerOptions().all_requests_per_second_max(1, 3));
    Client one = co_await call(system, Endpoint("127.0.0.1", server.port()));
    Client other = co_await call(system, Endpoint("127.0.0.1", server.port()));
    EXPECT_EQ((co_await one.ask(get("/who"))).status, 200);
    EXPECT_EQ((co_await other.ask(get("/who"))).status, 200);
    EXPECT_EQ((co_await one.ask(get("/who"))).status, 200);
    const Reply refused = co_await other.ask(get("/who"));
    EXPECT_EQ(refused.status, 503);
    EXPECT_NE(refused.head.find("\r\nRetry-After: 1\r\n"), std::string::npos);
    ignore(co_await sleep(1s), "nobody cancels");
    EXPECT_EQ((co_await other.ask(get("/who"))).status, 200) << "the connection lives on";
    one.close();
    other.close();
    co_await stop(server);
}

TEST(Edge, AnswersSoManyRequestsASecondInAll) {
    in_virtual_time(30, rate_of_all);
}

// ---- too much to do -----------------------------------------------------------------------------

Task<void> overload(System system) {
    const auto gate = std::make_shared<Event>();
    Router router = routes();
    router.get("/wait", [gate](Request) -> Task<Response> {
        ignore(co_await gate->wait(), "the server is not stopped before");
        co_return ok("done");
    });
    Server server = co_await start(
        system,
        ServerOptions().overload(
            OverloadOptions().requests_in_progress_max(3).retry_after(1500ms).exempt("/healthy")),
        std::move(router));
    const Endpoint where("127.0.0.1", server.port());
    std::vector<Client> waiting;
    for (int i = 0; i < 3; ++i) {
        waiting.push_back(co_await call(system, where));
        EXPECT_TRUE(co_await waiting.back().send(get("/wait")));
    }
    while (server.load().in_progress < 3)
        ignore(co_await sleep(1ms), "nobody cancels");
    Client late = co_await call(system, where);
    const Reply refused = co_await late.ask(get("/who"));
    EXPECT_EQ(refused.status, 503);
    EXPECT_NE(refused.head.find("\r\nRetry-After: 2\r\n"), std::string::npos);
    EXPECT_EQ((co_await late.ask(get("/healthy"))).status, 200);
    EXPECT_EQ(server.load().shed, 1U);
    gate->set();
    for (Client& client : waiting)
        EXPECT_EQ((co_await client.receive()).body, "done");
    while (server.load().in_progress > 0)
        ignore(co_await sleep(1ms), "nobody cancels");
    EXPECT_EQ((co_await late.ask(get("/who"))).status, 200);
    waiting.clear();
    late.close();
    co_await stop(server);
}

TEST(Edge, RefusesWhatIsTooMuchAndSaysWhenToComeAgain) {
    on_both_engines(30, overload);
}

Task<void> memory(System system) {
    Server server = co_await start(
        system, ServerOptions().overload(OverloadOptions().memory_bytes_max(1).exempt("/healthy")));
    Client client = co_await call(system, Endpoint("127.0.0.1", server.port()));
    // On the deterministic engine memory is not looked at.
    while (!system.engine().deterministic() && server.load().shedding < 1)
        ignore(co_await sleep(1ms), "nobody cancels");
    const int expected = system.engine().deterministic() ? 200 : 503;
    EXPECT_EQ((co_await client.ask(get("/who"))).status, expected);
    EXPECT_EQ((co_await client.ask(get("/healthy"))).status, 200);
    client.close();
    co_await stop(server);
}

TEST(Edge, LooksAtTheMemoryOfTheProcess) {
    on_both_engines(5, memory);
}

// ---- handshakes ---------------------------------------------------------------------------------

Task<void> handshakes(System system) {
    Server server = co_await start(
        system, ServerOptions().tls(io_internal::test_tls_server()).handshakes_max(3));
    const Endpoint where("127.0.0.1", server.port());
    std::vector<Client> stalled;
    stalled.reserve(3);
    for (int i = 0; i < 3; ++i)
        stalled.push_back(co_await call(system, where));
    ignore(co_await sleep(100ms), "until all are accepted");
    Client early = co_await call(system, where);
    EXPECT_EQ(co_await early.receive_rest(), "") << "those before it have just begun";
    EXPECT_EQ(server.load().handshakes_ended, 1U);
    ignore(co_await sleep(2s), "nobody cancels");
    static const TlsClient trust = io_internal::test_tls_client(TlsClientOptions().resumes(false));
    for (int i = 0; i < 5; ++i) {
        auto stream = co_await connect(system.engine(), where);
        EXPECT_TRUE(stream.has_value());
        Client client(tls_over(std::move(*stream), trust, "localhost"));
        EXPECT_EQ((co_await client.ask(get("/healthy"))).status, 200);
    }
    EXPECT_EQ(server.load().handshakes_ended, 2U) << "one had to go for all of them";
    EXPECT_EQ(co_await stalled.front().receive_rest(), "");
    stalled.clear();
    co_await stop(server);
}

TEST(Edge, EndsTheOldestHandshakeWhenThereAreTooMany) {
    in_virtual_time(20, handshakes);
}

}  // namespace
}  // namespace troupe::http
