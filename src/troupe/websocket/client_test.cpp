// Clients beside a server of our own, on both engines, and what they do when it is not there.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/http/client_errc.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/websocket/client.hpp>
#include <troupe/websocket/internal/dialer.hpp>
#include <troupe/websocket/internal/test_peer.hpp>
#include <troupe/websocket/upgrade.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::websocket {
namespace {

using namespace std::chrono_literals;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;
using namespace websocket_internal;

class EchoServer final : public Socket {
private:
    Task<void> on_text(std::string text) override {
        if (text == "end") {
            close(4000, "as you like");
        } else {
            send_text(text);
        }
        return {};
    }
    Task<void> on_binary(std::string bytes) override {
        send_binary(bytes);
        return {};
    }
};

Task<http::Server> serve_echo(System system, std::uint16_t port = 0) {
    http::Router router;
    Options options;
    options.protocols({"chat"}).deflate_bytes_min(1);
    router.get("/echo", to<EchoServer>(std::move(options)));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport(http::ServerOptions().port(port)));
    EXPECT_TRUE(server.has_value()) << (server ? "" : server.error().message());
    co_return *server;
}

std::string url_of(std::uint16_t port, std::string_view path = "/echo") {
    return net_internal::scheme_of("ws") + "://127.0.0.1:" + std::to_string(port) +
           std::string(path);
}

/// Notes what happens to it.
class Visitor final : public Client {
public:
    Visitor(Ref<Log> log, std::string url, ClientOptions options = ClientOptions())
        : Client(std::move(url), std::move(options)), log_(log) {}

    void say(std::string text) {
        const Sent sent = send_text(text);
        if (sent != Sent::yes) note("not sent: " + text);
    }
    void say_bytes(std::string bytes) { send_binary(bytes); }
    void leave() { close(1000, "bye"); }
    bool is_connected() const { return connected(); }

private:
    Task<void> on_connected() override {
        note("connected " + std::string(protocol()));
        return {};
    }
    Task<void> on_text(std::string text) override {
        if (text == "crash") throw std::runtime_error("a planted crash");
        note(text);
        return {};
    }
    Task<void> on_binary(std::string bytes) override {
        note("binary of " + std::to_string(bytes.size()));
        return {};
    }
    Task<void> on_close(unsigned code, std::string_view reason) override {
        note("close " + std::to_string(code) + " " + std::string(reason));
        return {};
    }
    void on_retry(const Error& why, Duration delay) override {
        log_.tell<&Log::note>("retry " + why.text());
        delays_.push_back(delay);
    }
    void note(std::string line) { log_.tell<&Log::note>(std::move(line)); }

    Ref<Log> log_;

public:
    std::vector<Duration> delays() const { return delays_; }

private:
    std::vector<Duration> delays_;
};

ClientOptions quick() {
    ClientOptions options = net_internal::on_transport<ClientOptions>();
    options.backoff(1ms, 20ms);
    return options;
}

/// Waits until so many lines are noted, and gives them all.
Task<std::string> noted(Ref<Log> log, std::size_t lines) {
    for (int i = 0; i < 100'000; ++i) {
        const auto all = co_await log.ask<&Log::lines>();
        if (!all || all->size() >= lines) break;
        Result<void> slept = co_await sleep(1ms);
        if (!slept) break;
    }
    Result<std::string> text = co_await log.ask<&Log::text>();
    co_return text.value_or("no log");
}

Task<bool> has_ended(Ref<Visitor> visitor) {
    for (int i = 0; i < 10'000; ++i) {
        const Result<bool> there = co_await visitor.ask<&Visitor::is_connected>();
        if (!there) co_return true;
        Result<void> slept = co_await sleep(1ms);
        if (!slept) break;
    }
    co_return false;
}

Task<void> stop(http::Server server) {
    Result<void> stopped = co_await server.stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

Task<void> talks(System system) {
    http::Server server = co_await serve_echo(system);
    Ref<Log> log = system.spawn<Log>();
    ClientOptions options = quick();
    options.socket(Options().protocols({"else", "chat"}).deflate_bytes_min(1));
    Ref<Visitor> visitor = system.spawn<Visitor>(log, url_of(server.port()), options);
    // Before there is a connection: it waits for it.
    visitor.tell<&Visitor::say>("early");
    EXPECT_EQ(co_await noted(log, 2), "connected chat\nearly\n");
    visitor.tell<&Visitor::say>(std::string(70'000, 'x'));
    visitor.tell<&Visitor::say_bytes>(std::string(100, '\0'));
    const std::string all = co_await noted(log, 4);
    EXPECT_TRUE(all.ends_with("x\nbinary of 100\n")) << all.size();
    visitor.tell<&Visitor::leave>();
    const std::string end = co_await noted(log, 5);
    EXPECT_TRUE(end.ends_with("\nclose 1000 \n")) << end.substr(end.size() - 40);
    const bool ends = co_await has_ended(visitor);
    EXPECT_TRUE(ends) << "behind its connection, and makes no other";
    co_await stop(server);
}

TEST(Client, TalksWithAServerAndEndsWhenItCloses) {
    on_both_engines(50, talks);
}

Task<void> comes_back(System system) {
    http::Server server = co_await serve_echo(system);
    Ref<Log> log = system.spawn<Log>();
    Ref<Visitor> visitor = system.spawn<Visitor>(log, url_of(server.port()), quick());
    visitor.tell<&Visitor::say>("end");
    const std::string first = co_await noted(log, 4);
    EXPECT_EQ(first, "connected \nclose 4000 as you like\nretry the connection has ended: " +
                         url_of(server.port()) + "\nconnected \n");
    visitor.tell<&Visitor::say>("end");
    // Wherever it is now: what is said is heard once there is a connection again.
    std::string all = co_await noted(log, 6);
    visitor.tell<&Visitor::say>("still here");
    all = co_await noted(log, 8);
    EXPECT_TRUE(all.ends_with("connected \nstill here\n")) << all;
    visitor.stop();
    co_await stop(server);
}

TEST(Client, ComesBackWhenItsConnectionHasEnded) {
    on_both_engines(50, comes_back);
}

Task<void> restarted_server(System system) {
    http::Server server = co_await serve_echo(system);
    const std::uint16_t port = server.port();
    Ref<Log> log = system.spawn<Log>();
    ClientOptions options = net_internal::on_transport<ClientOptions>();
    options.backoff(100ms, 1s);
    Ref<Visitor> visitor = system.spawn<Visitor>(log, url_of(port), options);
    EXPECT_EQ(co_await noted(log, 1), "connected \n");
    co_await stop(server);
    Result<void> slept = co_await sleep(10s);
    EXPECT_TRUE(slept.has_value());
    visitor.tell<&Visitor::say>("meanwhile 1");
    visitor.tell<&Visitor::say>("meanwhile 2");
    http::Server next = co_await serve_echo(system, port);
    slept = co_await sleep(10s);
    EXPECT_TRUE(slept.has_value());
    const Result<std::string> all = co_await log.ask<&Log::text>();
    EXPECT_TRUE(all.value_or("").ends_with("\nconnected \nmeanwhile 1\nmeanwhile 2\n"))
        << all.value_or("");
    const auto delays = co_await visitor.ask<&Visitor::delays>();
    const std::size_t attempts = delays ? delays->size() : 0;
    EXPECT_GE(attempts, 10U);
    EXPECT_LE(attempts, 30U);
    Duration longest = 100ms;
    std::set<Duration> different;
    for (std::size_t i = 0; i < attempts; ++i) {
        EXPECT_GE((*delays)[i], longest / 2) << i;
        EXPECT_LE((*delays)[i], longest) << i;
        different.insert((*delays)[i]);
        longest = std::min<Duration>(longest * 2, 1s);
    }
    EXPECT_GE(different.size(), attempts - 1) << "by chance, so that not all come at once";
    visitor.stop();
    co_await stop(next);
}

TEST(Client, WaitsLongerAfterEachFailureAndSendsWhatWaited) {
    in_virtual_time(20, restarted_server);
}

Task<void> refused(System system) {
    http::Server server = co_await serve_echo(system);
    Ref<Log> log = system.spawn<Log>();
    Ref<Visitor> visitor = system.spawn<Visitor>(log, url_of(server.port(), "/nothing"), quick());
    const std::string all = co_await noted(log, 2);
    EXPECT_TRUE(
        all.starts_with("retry the server has refused: 404 Not Found\n"
                        "retry the server has refused: 404 Not Found\n"))
        << all;
    visitor.tell<&Visitor::leave>();
    const bool ends = co_await has_ended(visitor);
    EXPECT_TRUE(ends) << "it may leave without having come";
    co_await stop(server);
}

TEST(Client, TriesAgainWhenItIsRefused) {
    on_both_engines(20, refused);
}

Task<void> silent_server(System system) {
    Result<Listener> listener = Listener::listen(system.engine(), Endpoint("127.0.0.1", 0),
                                                 net_internal::on_transport<ListenOptions>());
    EXPECT_TRUE(listener.has_value());
    Ref<Log> log = system.spawn<Log>();
    ClientOptions options = net_internal::on_transport<ClientOptions>();
    options.connect_timeout(3s).backoff(1s, 1s);
    const std::string url = url_of(listener->port());
    Ref<Visitor> visitor = system.spawn<Visitor>(log, url, options);
    Result<void> slept = co_await sleep(8s);
    EXPECT_TRUE(slept.has_value());
    const Result<std::string> all = co_await log.ask<&Log::text>();
    const std::string line = "retry there is no connection yet: " + url + "\n";
    EXPECT_EQ(all.value_or(""), line + line);
    visitor.stop();
    slept = co_await sleep(1s);
    EXPECT_TRUE(slept.has_value());
}

TEST(Client, DoesNotWaitForeverForAServerThatIsSilent) {
    in_virtual_time(20, silent_server);
}

Task<void> crashes(System system) {
    http::Server server = co_await serve_echo(system);
    Ref<Log> log = system.spawn<Log>();
    Supervisor tree = supervisor("clients");
    tree.intensity(10, 5s);
    const auto child = tree.child<Visitor>("visitor", log, url_of(server.port()), quick());
    Result<SupervisorRef> running = co_await system.start(std::move(tree));
    EXPECT_TRUE(running.has_value());
    Ref<Visitor> visitor = running->ref(child);
    visitor.tell<&Visitor::say>("crash");
    EXPECT_EQ(co_await noted(log, 3),
              "connected \nclose 1011 the client failed to handle this\nconnected \n");
    visitor.tell<&Visitor::say>("here again");
    EXPECT_TRUE((co_await noted(log, 4)).ends_with("here again\n"));
    Result<void> stopped = co_await running->stop();
    EXPECT_TRUE(stopped.has_value());
    EXPECT_TRUE((co_await noted(log, 5)).ends_with("close 1001 \n"))
        << "it says goodbye when it is stopped";
    co_await stop(server);
}

TEST(Client, IsStartedAgainByItsSupervisorWhenAHookHasThrown) {
    on_both_engines(30, crashes);
}

Task<void> bad_addresses(System system) {
    Ref<Log> log = system.spawn<Log>();
    for (const char* url : {"", "http://127.0.0.1/", "wss://", "ws://", "ws://a b/"}) {
        Result<Ref<Visitor>> started = co_await system.start<Visitor>(log, std::string(url));
        EXPECT_FALSE(started.has_value()) << url;
    }
}

TEST(Client, DoesNotStartWithAnAddressThatIsNone) {
    on_both_engines(5, bad_addresses);
}

// ---- what a server answers ----------------------------------------------------------------------

TEST(Answer, IsJudgedStrictly) {
    const std::string accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    const std::string head =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, "
        "Upgrade\r\n";
    Options options;
    options.protocols({"chat"});
    const auto judged = [&](const std::string& answer) {
        const Result<Agreement> agreement = judge_answer(answer + "\r\n", kTestKey, options);
        if (!agreement) return agreement.error().text();
        std::string said = "yes ";
        said += agreement->protocol;
        return agreement->deflate.on ? said + " small" : said;
    };
    EXPECT_EQ(judged(head + accept), "yes ");
    EXPECT_EQ(judged(head + accept + "Sec-WebSocket-Protocol: chat\r\n"), "yes chat");
    EXPECT_EQ(judged(head + accept + "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
              "yes  small");
    const std::string not_asked = "the server has chosen a";
    EXPECT_TRUE(judged(head + accept + "Sec-WebSocket-Protocol: else\r\n").starts_with(not_asked));
    EXPECT_TRUE(
        judged(head + accept + "Sec-WebSocket-Extensions: more\r\n").starts_with(not_asked));
    const std::string wrong = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n";
    const std::string not_read = "the server has not read this request";
    EXPECT_TRUE(judged(head).starts_with(not_read));
    EXPECT_TRUE(judged(head + wrong).starts_with(not_read));
    EXPECT_TRUE(judged(head + accept + accept).starts_with(not_read)) << "twice";
    EXPECT_EQ(judged("HTTP/1.1 101 \r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" + accept),
              "the server switches to another protocol");
    EXPECT_EQ(judged("HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: close\r\n" + accept),
              "the server switches to another protocol");
    EXPECT_EQ(judged("HTTP/1.1 503 Busy\r\n"), "the server has refused: 503 Busy");
    EXPECT_EQ(judged("HTTP/1.1 1011 x\r\n" + accept), "the server has refused: 1011 x");
    EXPECT_EQ(judged("HTTP/1.0 101 x\r\n" + accept), "the server does not answer in HTTP/1.1");
    EXPECT_EQ(judged("SSH-2.0\r\n"), "the server does not answer in HTTP/1.1");
    EXPECT_EQ(judged(head + " folded\r\n" + accept), "the server's answer has a line that is none");
    EXPECT_EQ(judged(head + "nothing\r\n" + accept), "the server's answer has a line that is none");
}

TEST(Client, RefusesHeaderLinesThatWouldBreakItsRequest) {
    in_virtual_time(1, [](System system) -> Task<void> {
        Ref<Log> log = system.spawn<Log>();
        ClientOptions options = quick();
        options.header("X-One", "1\r\nX-Two: 2");
        Ref<Visitor> visitor = system.spawn<Visitor>(log, url_of(9), options);
        EXPECT_TRUE((co_await noted(log, 1))
                        .starts_with("retry this cannot be sent as a header line: X-One\n"));
        visitor.stop();
    });
}

}  // namespace
}  // namespace troupe::websocket
