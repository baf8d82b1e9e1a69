// The client against our own server, on both engines; and, on the deterministic one, against
// servers that do what ours never would.

#include <troupe/actor/actor.hpp>
#include <troupe/http/client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/io/resolve.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/internal/test_transport.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::serve_on_transport;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;
using net_internal::on_transport;

std::string at(std::uint16_t port, std::string_view target) {
    return net_internal::scheme_of("http") + "://127.0.0.1:" + std::to_string(port) +
           std::string(target);
}

// ---- against our own server ---------------------------------------------------------------------

std::string numbered(std::size_t bytes) {
    std::string text(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i)
        text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
    return text;
}

Router routes() {
    Router router;
    router.get("/hello", [](const Request&) { return ok("hello"); });
    router.post("/echo", [](Request request) { return ok(std::move(request.body)); });
    router.get("/large", [](const Request&) { return ok(numbered(300'000)); });
    router.get("/closes", [](const Request&) { return ok("bye").close(); });
    router.get("/slow", [](Request) -> Task<Response> {
        ignore(co_await sleep(10s), "nobody cancels it");
        co_return ok("slow");
    });
    router.get("/moved", [](const Request&) {
        return Response(302).header("Location", "/hello").body("it is there");
    });
    router.get("/loop", [](const Request&) { return Response(302).header("Location", "loop"); });
    return router;
}

Task<Server> start(System system) {
    return serve_on_transport(system, routes());
}

Task<void> stop(Client client, Server server) {
    const auto client_stopped = co_await client.stop();
    EXPECT_TRUE(client_stopped.has_value()) << client_stopped.error().message();
    const auto server_stopped = co_await server.stop();
    EXPECT_TRUE(server_stopped.has_value()) << server_stopped.error().message();
}

Task<void> ordinary_requests(System system) {
    Server server = co_await start(system);
    Client client(system, on_transport<ClientOptions>());
    auto hello = co_await client.get(at(server.port(), "/hello"));
    EXPECT_TRUE(hello.has_value()) << hello.error().message();
    if (!hello) co_return;
    EXPECT_EQ(hello->status, 200);
    EXPECT_EQ(hello->body, "hello");
    EXPECT_EQ(hello->url, at(server.port(), "/hello"));
    EXPECT_TRUE(hello->header("date").has_value());
    const std::string large = numbered(100'000);
    auto echo = co_await client.post(at(server.port(), "/echo"), large);
    EXPECT_TRUE(echo.has_value() && echo->body == large);
    auto none = co_await client.get(at(server.port(), "/none"));
    EXPECT_TRUE(none.has_value() && none->status == 404);
    ClientRequest head("HEAD", at(server.port(), "/large"));
    auto headed = co_await client.send(head);
    EXPECT_TRUE(headed.has_value() && headed->body.empty());
    EXPECT_TRUE(headed && headed->header("Content-Length") == "300000");
    auto again = co_await client.get(at(server.port(), "/hello"));
    EXPECT_TRUE(again.has_value() && again->body == "hello") << "nothing is left of the HEAD";
    const auto stats = co_await client.stats();
    EXPECT_TRUE(stats && stats->opened == 1 && stats->reused == 4) << "one connection did it all";
    co_await stop(client, server);
}

TEST(Client, SendsRequestsOverOneConnection) {
    on_both_engines(100, ordinary_requests);
}

Task<void> closing(System system) {
    Server server = co_await start(system);
    Client client(system, on_transport<ClientOptions>());
    for (int i = 0; i < 3; ++i) {
        auto bye = co_await client.get(at(server.port(), "/closes"));
        EXPECT_TRUE(bye.has_value() && bye->body == "bye");
    }
    const auto stats = co_await client.stats();
    EXPECT_TRUE(stats && stats->opened == 3 && stats->idle == 0);
    co_await stop(client, server);
}

TEST(Client, KeepsNoConnectionThatTheServerCloses) {
    on_both_engines(50, closing);
}

Task<void> pieces(System system) {
    Server server = co_await start(system);
    Client client(system, on_transport<ClientOptions>());
    const std::string large = numbered(300'000);
    ClientRequest request("GET", at(server.port(), "/large"));
    auto response = co_await client.open(request);
    EXPECT_TRUE(response.has_value()) << response.error().message();
    if (!response) co_return;
    EXPECT_EQ(response->status(), 200);
    EXPECT_EQ(response->header("content-length"), "300000");
    std::string body;
    for (;;) {
        auto piece = co_await response->next();
        EXPECT_TRUE(piece.has_value()) << piece.error().message();
        if (!piece || !*piece) break;
        EXPECT_FALSE((*piece)->empty());
        body += **piece;
    }
    EXPECT_TRUE(body == large);
    auto end = co_await response->next();
    EXPECT_TRUE(end.has_value() && !*end) << "the end stays the end";
    const auto stats = co_await client.stats();
    EXPECT_TRUE(stats && stats->leased == 0 && stats->idle == 1) << "it is back before the reader";
    co_await stop(client, server);
}

TEST(Client, GivesABodyPieceByPiece) {
    on_both_engines(50, pieces);
}

Task<void> upload(System system) {
    Server server = co_await start(system);
    Client client(system, on_transport<ClientOptions>());
    ClientRequest request("POST", at(server.port(), "/echo"));
    auto sending = co_await client.upload(request);
    EXPECT_TRUE(sending.has_value()) << sending.error().message();
    if (!sending) co_return;
    for (const char* piece : {"one", "", "two", "three"}) {
        const auto sent = co_await sending->write(piece);
        EXPECT_TRUE(sent.has_value()) << sent.error().message();
    }
    auto response = co_await sending->finish();
    EXPECT_TRUE(response.has_value()) << response.error().message();
    if (!response) co_return;
    std::string body;
    for (;;) {
        auto piece = co_await response->next();
        EXPECT_TRUE(piece.has_value()) << piece.error().message();
        if (!piece || !*piece) break;
        body += **piece;
    }
    EXPECT_EQ(body, "onetwothree");
    co_await stop(client, server);
}

TEST(Client, SendsABodyPieceByPiece) {
    on_both_engines(50, upload);
}

Task<void> redirects(System system) {
    Server server = co_await start(system);
    Client client(system, on_transport<ClientOptions>());
    auto moved = co_await client.get(at(server.port(), "/moved"));
    EXPECT_TRUE(moved && moved->status == 302 && moved->body == "it is there") << "off by default";
    ClientRequest follow("GET", at(server.port(), "/moved"));
    follow.redirects_max(1);
    auto hello = co_await client.send(follow);
    EXPECT_TRUE(hello && hello->status == 200 && hello->body == "hello");
    EXPECT_TRUE(hello && hello->url == at(server.port(), "/hello"));
    ClientRequest round("GET", at(server.port(), "/loop"));
    round.redirects_max(5);
    auto lost = co_await client.send(round);
    EXPECT_TRUE(!lost && lost.error() == ClientErrc::too_many_redirects);
    const auto stats = co_await client.stats();
    EXPECT_TRUE(stats && stats->opened == 1) << "a redirect's body is read, too";
    co_await stop(client, server);
}

TEST(Client, FollowsRedirectsOnlyWhenAskedTo) {
    on_both_engines(50, redirects);
}

// ---- errors -------------------------------------------------------------------------------------

Task<void> clear_errors(System system) {
    Client client(system, on_transport<ClientOptions>());
    auto bad = co_await client.get("127.0.0.1/");
    EXPECT_TRUE(!bad && bad.error() == ClientErrc::bad_url);
    auto nobody = co_await client.get("http://127.0.0.1:1/x");
    EXPECT_TRUE(!nobody && nobody.error() == Errc::unreachable);
    EXPECT_TRUE(!nobody && nobody.error().text().starts_with(
                               "GET http://127.0.0.1:1/x: connecting: connecting to 127.0.0.1:1: "))
        << nobody.error().text();
    EXPECT_TRUE(!nobody && nobody.error().text().ends_with(" ms)"));
    ClientRequest split("GET", "http://127.0.0.1:1/");
    split.header("A", "b\r\nC: d");
    auto refused = co_await client.send(split);
    EXPECT_TRUE(!refused && refused.error() == ClientErrc::bad_request);
    const auto stats = co_await client.stats();
    EXPECT_TRUE(stats && stats->leased == 0);
    EXPECT_TRUE((co_await client.stop()).has_value());
    auto late = co_await client.get("http://127.0.0.1:1/");
    EXPECT_FALSE(late.has_value());
}

TEST(Client, SaysWhatHappenedToWhichRequest) {
    on_both_engines(20, clear_errors);
}

Task<void> names(System system) {
    Server server = co_await start(system);
    Client client(system, on_transport<ClientOptions>());
    set_host_addresses(system.engine(), "shop.test", {"10.0.0.1"});
    auto hello =
        co_await client.get("http://Shop.test:" + std::to_string(server.port()) + "/hello");
    EXPECT_TRUE(hello && hello->body == "hello") << hello.error().message();
    auto unknown = co_await client.get("http://nobody.test/");
    EXPECT_TRUE(!unknown && unknown.error() == Errc::not_found);
    EXPECT_TRUE(!unknown && unknown.error().text().find("'nobody.test'") != std::string::npos);
    co_await stop(client, server);
}

TEST(Client, FindsTheAddressOfAName) {
    in_virtual_time(20, names);
}

// ---- servers that do what ours never would ------------------------------------------------------

constexpr char kClose = '\4';    // at the end of an answer: close behind it
constexpr char kSilence = '\5';  // the whole answer: say nothing, and wait

/// What such a server has seen. On the deterministic engine, so one thread writes and reads it.
struct Seen {
    int connections = 0;
    std::vector<std::string> requests;
};

/// Gives the bytes to be answered to the nth request on the nth connection.
using Script = std::function<std::string(int connection, int request)>;

class RawConnection : public Actor {
public:
    RawConnection(Stream stream, int number, Seen* seen, Script script)
        : stream_(std::move(stream)), number_(number), seen_(seen), script_(std::move(script)) {}

    Task<void> run() {
        std::string pending;
        for (int request = 0;; ++request) {
            std::size_t end = 0;
            while ((end = pending.find("\r\n\r\n")) == std::string::npos) {
                const bool received = co_await more(&pending);
                if (!received) co_return stream_.close();
            }
            seen_->requests.push_back(pending.substr(0, pending.find("\r\n")));
            pending.erase(0, end + 4);
            std::string answer = script_(number_, request);
            const bool closes = answer.ends_with(kClose);
            if (answer.ends_with(kSilence)) {
                for (bool received = true; received;)
                    received = co_await more(&pending);
                co_return stream_.close();
            }
            if (closes) answer.pop_back();
            const auto sent = co_await stream_.write_all(answer);
            if (!sent || closes) co_return stream_.close();
        }
    }

private:
    Task<bool> more(std::string* pending) {
        char buffer[1000];
        const auto got = co_await stream_.read_some(buffer, Interruptible::yes);
        if (!got || *got == 0) co_return false;
        pending->append(buffer, *got);
        co_return true;
    }

    Stream stream_;
    const int number_;
    Seen* seen_;
    Script script_;
};

class RawServer : public Actor {
public:
    RawServer(Listener listener, Seen* seen, Script script)
        : listener_(std::move(listener)), seen_(seen), script_(std::move(script)) {}

    Task<void> run() {
        for (;;) {
            auto stream = co_await listener_.accept();
            if (!stream) co_return;
            const auto connection =
                spawn<RawConnection>(std::move(*stream), seen_->connections++, seen_, script_);
            connection.tell<&RawConnection::run>();
        }
    }

private:
    Listener listener_;
    Seen* seen_;
    Script script_;
};

std::uint16_t serve_raw(System& system, Seen* seen, Script script) {
    auto listener =
        Listener::listen(system.engine(), Endpoint("127.0.0.1", 0), on_transport<ListenOptions>());
    EXPECT_TRUE(listener.has_value());
    const std::uint16_t port = listener->port();
    system.spawn<RawServer>(std::move(*listener), seen, std::move(script)).tell<&RawServer::run>();
    return port;
}

std::string answer(std::string_view body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
}

Result<ClientResponse> get(System& system, const Client& client, std::string url) {
    return system.block_on(client.get(std::move(url)));
}

ClientStats stats_of(System& system, const Client& client) {
    return system.block_on(client.stats()).value_or(ClientStats());
}

TEST(Client, ThrowsAwayTheConnectionOfAHostileResponse) {
    const std::vector<std::pair<std::string, ClientErrc>> hostile = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         ClientErrc::bad_response},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
         ClientErrc::bad_response},
        {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", ClientErrc::bad_response},
        {"SSH-2.0-x\r\n", ClientErrc::bad_response},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", ClientErrc::bad_response},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", ClientErrc::bad_response},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", ClientErrc::response_too_large},
        {"HTTP/1.1 200 OK\r\n\r\n" + std::string(1001, 'x'), ClientErrc::response_too_large},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x'),
         ClientErrc::response_too_large},
        {"HTTP/1.1 200 OK\r\nA: " + std::string(2000, 'x'), ClientErrc::response_too_large},
    };
    in_virtual_time(30, [&](System& system) {
        Seen seen;
        const auto port = serve_raw(system, &seen, [&](int connection, int) {
            const auto number = static_cast<std::size_t>(connection);
            return number < hostile.size() ? hostile[number].first : answer("fine");
        });
        Client client(system,
                      on_transport(ClientOptions().body_bytes_max(1000).head_bytes_max(1000)));
        for (const auto& [bytes, expected] : hostile) {
            const auto response = get(system, client, at(port, "/"));
            ASSERT_FALSE(response.has_value()) << bytes;
            EXPECT_EQ(response.error(), expected) << bytes << response.error().message();
            EXPECT_EQ(stats_of(system, client).idle, 0u) << bytes;
            EXPECT_EQ(stats_of(system, client).leased, 0u) << bytes;
        }
        EXPECT_EQ(get(system, client, at(port, "/"))->body, "fine");
        EXPECT_EQ(seen.connections, static_cast<int>(hostile.size()) + 1);
    });
}

TEST(Client, NeverReusesAConnectionWithBytesNobodyAskedFor) {
    in_virtual_time(100, [](System& system) {
        Seen seen;
        const auto port = serve_raw(system, &seen, [](int connection, int) {
            return answer(std::to_string(connection)) + "HTTP/1.1 200 OK\r\n" + "\r\nsmuggled";
        });
        Client client(system, on_transport<ClientOptions>());
        for (int i = 0; i < 4; ++i) {
            const auto response = get(system, client, at(port, "/"));
            ASSERT_TRUE(response.has_value()) << response.error().message();
            EXPECT_EQ(response->body, std::to_string(i));
            system.engine().run_for(1s);  // whatever is late has come
        }
        EXPECT_EQ(seen.connections, 4);
    });
}

TEST(Client, TriesAGetAgainWhenTheConnectionHadBeenClosedWhileIdle) {
    in_virtual_time(200, [](System& system) {
        Seen seen;
        // The second request on the first connection finds it closed, without an answer.
        const auto port = serve_raw(system, &seen, [](int connection, int request) {
            if (connection == 0 && request == 1) return std::string(1, kClose);
            return answer("fine");
        });
        Client client(system, on_transport<ClientOptions>());
        ASSERT_TRUE(get(system, client, at(port, "/")).has_value());
        const auto second = get(system, client, at(port, "/"));
        ASSERT_TRUE(second.has_value()) << second.error().message();
        EXPECT_EQ(seen.requests.size(), 3u);
        EXPECT_EQ(seen.connections, 2);
    });
}

TEST(Client, DoesNotSendAPostTwice) {
    in_virtual_time(200, [](System& system) {
        Seen seen;
        const auto port = serve_raw(system, &seen, [](int connection, int request) {
            if (connection == 0 && request == 1) return std::string(1, kClose);
            return answer("fine");
        });
        Client client(system, on_transport<ClientOptions>());
        ASSERT_TRUE(get(system, client, at(port, "/")).has_value());
        const auto post = system.block_on(client.post(at(port, "/"), ""));
        ASSERT_FALSE(post.has_value());
        EXPECT_EQ(post.error(), Errc::closed) << post.error().message();
        EXPECT_EQ(seen.requests.size(), 2u);
    });
}

TEST(Client, DoesNotTryAgainOnceTheResponseHasBegun) {
    in_virtual_time(100, [](System& system) {
        Seen seen;
        const auto port = serve_raw(system, &seen, [](int connection, int request) {
            if (connection == 0 && request == 0) return answer("fine");
            return std::string("HTTP/1.1 200 OK\r\nConte") + kClose;
        });
        Client client(system, on_transport(ClientOptions().retries(3)));
        ASSERT_TRUE(get(system, client, at(port, "/")).has_value());
        const auto second = get(system, client, at(port, "/"));
        ASSERT_FALSE(second.has_value());
        EXPECT_EQ(second.error(), Errc::closed) << second.error().message();
        EXPECT_EQ(seen.requests.size(), 2u);
    });
}

TEST(Client, TriesAgainAsOftenAsItMay) {
    in_virtual_time(100, [](System& system) {
        Seen seen;
        const auto port = serve_raw(system, &seen, [](int connection, int) {
            return connection < 3 ? std::string(1, kClose) : answer("fine");
        });
        Client client(system, on_transport<ClientOptions>());
        ClientRequest twice("GET", at(port, "/"));
        twice.retries(2);
        const auto failed = system.block_on(client.send(twice));
        ASSERT_FALSE(failed.has_value());
        EXPECT_EQ(failed.error(), Errc::closed) << failed.error().message();
        EXPECT_EQ(seen.connections, 3);
        EXPECT_TRUE(system.block_on(client.send(twice)).has_value());
    });
}

TEST(Client, GivesUpAtItsDeadlineAndSaysWhatItWasDoing) {
    in_virtual_time(100, [](System& system) {
        Seen seen;
        const auto port =
            serve_raw(system, &seen, [](int, int) { return std::string(1, kSilence); });
        Client client(system, on_transport(ClientOptions().connections_per_origin_max(1)));
        const Duration begun = system.now();
        ClientRequest request("GET", at(port, "/x"));
        request.within(3s);
        const auto response = system.block_on(client.send(request));
        ASSERT_FALSE(response.has_value());
        EXPECT_EQ(response.error(), Errc::timed_out) << response.error().message();
        EXPECT_TRUE(response.error().text().starts_with("GET " + at(port, "/x") +
                                                        ": waiting for the response: "))
            << response.error().text();
        EXPECT_GE(system.now() - begun, 3s);
        EXPECT_LT(system.now() - begun, 3s + 50ms);
        EXPECT_EQ(stats_of(system, client).leased, 0u);
    });
}

/// Asks the web for what it is asked itself.
class Proxy : public Actor {
public:
    explicit Proxy(Client client) : client_(std::move(client)) {}
    Task<Duration> fetch(std::string url) {
        const Duration begun = system().now();
        const auto response = co_await client_.get(url);
        EXPECT_FALSE(response.has_value());
        gave_up_after_ = system().now() - begun;
        co_return gave_up_after_;
    }
    Task<Duration> fetch_after(Duration pause, std::string url) {
        ignore(co_await sleep(pause), "nobody cancels it");
        co_return co_await fetch(std::move(url));
    }
    Duration gave_up_after() const { return gave_up_after_; }

private:
    Client client_;
    Duration gave_up_after_{};
};

TEST(Client, WaitsNoLongerThanWhoeverAskedTheHandlerThatUsesIt) {
    in_virtual_time(20, [](System& system) {
        Seen seen;
        const auto port =
            serve_raw(system, &seen, [](int, int) { return std::string(1, kSilence); });
        auto proxy = system.spawn<Proxy>(Client(system, on_transport<ClientOptions>()));
        const auto in_time = [&](auto ask, Duration least, Duration most) {
            ignore(system.block_on(std::move(ask)), "both give up in the same moment");
            const auto took = system.block_on(proxy.ask<&Proxy::gave_up_after>().within(1h));
            EXPECT_TRUE(took && *took >= least && *took <= most) << took->count();
        };
        in_time(proxy.ask<&Proxy::fetch>(at(port, "/x")).within(2s), 1900ms, 2050ms);
        // Also when the handler has waited for something else before.
        in_time(proxy.ask<&Proxy::fetch_after>(1s, at(port, "/x")).within(3s), 1900ms, 2050ms);
        // Who is only told waits as long as the client's options say.
        proxy.tell<&Proxy::fetch>(at(port, "/x"));
        in_time(proxy.ask<&Proxy::fetch>(at(port, "/x")).within(40s), 0ms, 10'050ms);
    });
}

TEST(Client, ABodyThatStopsComingEndsAtTheDeadline) {
    in_virtual_time(50, [](System& system) {
        Seen seen;
        const auto port = serve_raw(system, &seen, [](int, int) {
            return std::string("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        });
        Client client(system, on_transport(ClientOptions().timeout(2s)));
        const auto response = get(system, client, at(port, "/"));
        ASSERT_FALSE(response.has_value());
        EXPECT_EQ(response.error(), Errc::timed_out) << response.error().message();
    });
}

TEST(Client, ClosesWhatHasLainIdleForTooLong) {
    in_virtual_time(50, [](System& system) {
        Seen seen;
        const auto port = serve_raw(system, &seen, [](int, int) { return answer("fine"); });
        Client client(system, on_transport(ClientOptions().idle_timeout(10s)));
        ASSERT_TRUE(get(system, client, at(port, "/")).has_value());
        EXPECT_EQ(stats_of(system, client).idle, 1u);
        system.engine().run_for(25s);
        EXPECT_EQ(stats_of(system, client).idle, 0u);
        ASSERT_TRUE(get(system, client, at(port, "/")).has_value());
        EXPECT_EQ(seen.connections, 2);
    });
}

TEST(Client, KeepsIdleConnectionsNoLongerThanTheServerPromises) {
    in_virtual_time(50, [](System& system) {
        Seen seen;
        const auto port = serve_raw(system, &seen, [](int connection, int) {
            const std::string seconds = connection == 0 ? "5" : "1";
            return "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=" + seconds +
                   "\r\nContent-Length: 0\r\n\r\n";
        });
        Client client(system, on_transport<ClientOptions>());
        ASSERT_TRUE(get(system, client, at(port, "/")).has_value());
        system.engine().run_for(3s);
        ASSERT_TRUE(get(system, client, at(port, "/")).has_value());
        EXPECT_EQ(seen.connections, 1) << "four seconds are safe";
        system.engine().run_for(5s);
        ASSERT_TRUE(get(system, client, at(port, "/")).has_value());
        EXPECT_EQ(seen.connections, 2);
        EXPECT_EQ(stats_of(system, client).idle, 0u) << "one second is not worth keeping it";
    });
}

TEST(Client, KeepsNoMoreIdleConnectionsThanAllowed) {
    in_virtual_time(20, [](System& system) {
        Seen seen;
        Client client(system, on_transport(ClientOptions().idle_max(2)));
        std::vector<std::uint16_t> ports;
        for (int i = 0; i < 3; ++i) {
            ports.push_back(serve_raw(system, &seen, [](int, int) { return answer("fine"); }));
            ASSERT_TRUE(get(system, client, at(ports.back(), "/")).has_value());
            system.engine().run_for(1s);
        }
        EXPECT_EQ(stats_of(system, client).idle, 2u);
        ASSERT_TRUE(get(system, client, at(ports[2], "/")).has_value());
        EXPECT_EQ(seen.connections, 3) << "the newest were kept";
        ASSERT_TRUE(get(system, client, at(ports[0], "/")).has_value());
        EXPECT_EQ(seen.connections, 4);
    });
}

// ---- cancellation and the end -------------------------------------------------------------------

class Caller : public Actor {
public:
    Caller(Client client, std::string url, std::vector<std::string>* outcomes)
        : client_(std::move(client)), url_(std::move(url)), outcomes_(outcomes) {}
    Task<void> call() {
        auto response = co_await client_.get(url_);
        outcomes_->push_back(response ? response->body : std::string(name_of(response.error())));
    }

private:
    static std::string_view name_of(const Error& error) {
        for (const Errc code : {Errc::cancelled, Errc::closed, Errc::timed_out})
            if (error == code) return name(code);
        return "other";
    }
    Client client_;
    std::string url_;
    std::vector<std::string>* outcomes_;
};

TEST(Client, AKilledCallerLeavesNoConnectionBehind) {
    in_virtual_time(200, [](System& system) {
        Seen seen;
        const auto port =
            serve_raw(system, &seen, [](int, int) { return std::string(1, kSilence); });
        Client client(system, on_transport<ClientOptions>());
        std::vector<std::string> outcomes;
        const auto caller = system.spawn<Caller>(client, at(port, "/"), &outcomes);
        caller.tell<&Caller::call>();
        // Sometimes it is still connecting, sometimes it has sent its request.
        const auto steps = system.engine().choose(40, ChoiceKind::delay, "when to kill");
        system.engine().run_for(std::chrono::microseconds(200) * static_cast<int>(steps));
        caller.stop(Stop::kill);
        system.engine().run_for(1s);
        EXPECT_EQ(stats_of(system, client).leased, 0u);
        EXPECT_EQ(stats_of(system, client).idle, 0u);
        EXPECT_TRUE(outcomes.empty());
    });
}

TEST(Client, AStoppedCallerHearsThatItsRequestWasCancelled) {
    in_virtual_time(100, [](System& system) {
        Seen seen;
        const auto port =
            serve_raw(system, &seen, [](int, int) { return std::string(1, kSilence); });
        Client client(system, on_transport<ClientOptions>());
        std::vector<std::string> outcomes;
        const auto caller = system.spawn<Caller>(client, at(port, "/"), &outcomes);
        caller.tell<&Caller::call>();
        system.engine().run_for(1s);
        caller.stop();
        system.engine().run_for(1s);
        EXPECT_EQ(outcomes, std::vector<std::string>({"cancelled"}));
        EXPECT_EQ(stats_of(system, client).leased, 0u);
    });
}

TEST(Client, StopLetsRequestsUnderWayFinish) {
    in_virtual_time(50, [](System& system) {
        const auto server = system.block_on(start(system));
        Client client(system, on_transport<ClientOptions>());
        std::vector<std::string> outcomes;
        const auto caller = system.spawn<Caller>(client, at(server.port(), "/slow"), &outcomes);
        caller.tell<&Caller::call>();
        system.engine().run_for(1s);
        const auto early = system.block_on(client.stop(2s));
        EXPECT_TRUE(!early && early.error() == Errc::timed_out);
        EXPECT_TRUE(system.block_on(client.stop(20s)).has_value());
        system.engine().settle();
        EXPECT_EQ(outcomes, std::vector<std::string>({"slow"}));
        EXPECT_TRUE(system.block_on(client.stop()).has_value()) << "a second stop does nothing";
    });
}

TEST(Client, ABodyNobodyReadsMakesTheServerWait) {
    in_virtual_time(30, [](System& system) {
        Seen seen;
        std::size_t asked = 0;
        const auto port = serve_raw(system, &seen, [&](int, int) {
            ++asked;
            return "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" +
                   std::string(10'000'000, 'x');
        });
        Client client(system, on_transport<ClientOptions>());
        ClientRequest request("GET", at(port, "/"));
        auto response = system.block_on(client.open(request));
        ASSERT_TRUE(response.has_value()) << response.error().message();
        system.engine().run_for(60s);
        EXPECT_EQ(stats_of(system, client).leased, 1u) << "it is ours until we let go";
        {
            const ResponseStream dropped = std::move(*response);
        }
        system.engine().run_for(1s);
        EXPECT_EQ(stats_of(system, client).leased, 0u);
        EXPECT_EQ(stats_of(system, client).idle, 0u) << "a half-read response is not reused";
    });
}

// ---- a bad network ------------------------------------------------------------------------------

Task<void> many_requests(Client client, std::uint16_t port, int* good, int* broken) {
    for (int i = 0; i < 20; ++i) {
        const std::string body = numbered(static_cast<std::size_t>(i) * 400);
        ClientRequest request("POST", at(port, "/echo"));
        request.body(body);
        auto echo = co_await client.send(request);
        if (echo && echo->status == 200) {
            EXPECT_TRUE(echo->body == body) << "a response is right or there is none";
            ++*good;
        } else {
            // The server may have seen half of a request, and refuse it, before the reset does.
            EXPECT_TRUE(echo || echo.error() == Errc::closed) << echo.error().message();
            ++*broken;
        }
    }
}

TEST(Client, GivesTheRightResponseOrNoneOverABrokenNetwork) {
    int runs = 0;
    int good = 0;
    int broken = 0;
    in_virtual_time(300, [&](System& system) {
        ++runs;
        NetworkConditions conditions;
        conditions.resets_per_thousand = 15;
        set_network_conditions(system.engine(), conditions);
        const auto server = system.block_on(start(system));
        Client client(system, on_transport<ClientOptions>());
        system.block_on(many_requests(client, server.port(), &good, &broken));

        conditions.resets_per_thousand = 0;
        set_network_conditions(system.engine(), conditions);
        const auto hello = get(system, client, at(server.port(), "/hello"));
        EXPECT_TRUE(hello && hello->body == "hello") << "the server has survived";
        EXPECT_EQ(stats_of(system, client).leased, 0u);
        system.block_on(stop(client, server));
    });
    EXPECT_GT(good, runs * 10 / 3);
    EXPECT_GT(broken, runs / 6);
}

Task<void> stubborn_requests(Client client, std::uint16_t port) {
    for (int i = 0; i < 10; ++i) {
        ClientRequest request("GET", at(port, "/hello"));
        request.retries(20).within(120s);
        auto hello = co_await client.send(request);
        const bool cut = !hello && hello.error() == Errc::closed;
        EXPECT_TRUE(cut || (hello && hello->body == "hello")) << hello.error().message();
    }
}

TEST(Client, GetsThereInTheEndWhenItMayTryAgain) {
    in_virtual_time(100, [](System& system) {
        NetworkConditions conditions;
        conditions.resets_per_thousand = 30;
        set_network_conditions(system.engine(), conditions);
        const auto server = system.block_on(start(system));
        Client client(system, on_transport<ClientOptions>());
        system.block_on(stubborn_requests(client, server.port()));
        system.block_on(stop(client, server));
    });
}

// ---- what only threads get wrong ----------------------------------------------------------------

TEST(Client, ManyCallersShareFewConnections) {
    OwnedSystem system(make_threaded_engine({.workers = 3}));
    const auto server = system->block_on(start(*system));
    Client client(*system, on_transport(ClientOptions().connections_per_origin_max(3)));
    constexpr int kCallers = 20;
    std::vector<std::string> outcomes[kCallers];
    std::vector<Ref<Caller>> callers;
    for (auto& mine : outcomes) {
        callers.push_back(system->spawn<Caller>(client, at(server.port(), "/hello"), &mine));
        for (int i = 0; i < 20; ++i)
            callers.back().tell<&Caller::call>();
    }
    for (const auto& caller : callers)
        EXPECT_TRUE(system->block_on(caller.ask<&Caller::call>().within(60s)).has_value());
    for (const auto& mine : outcomes)
        EXPECT_EQ(mine, std::vector<std::string>(21, "hello"));
    const auto stats = stats_of(*system, client);
    EXPECT_LE(stats.opened, 3u);
    EXPECT_EQ(stats.opened + stats.reused, 420u);
    system->block_on(stop(client, server));
    system.stop();
}

}  // namespace
}  // namespace troupe::http
