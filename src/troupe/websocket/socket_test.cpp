// Sockets seen from outside: peers that speak raw bytes, on sockets and on the deterministic
// engine's network, which cuts and delays them.

#include <troupe/actor/actor.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/websocket/internal/deflate.hpp>
#include <troupe/websocket/internal/socket_core.hpp>
#include <troupe/websocket/internal/test_peer.hpp>
#include <troupe/websocket/socket.hpp>
#include <troupe/websocket/upgrade.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
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

/// Sends back what it gets, and does what some texts say.
class Echo final : public Socket {
public:
    explicit Echo(Ref<Log> log) : log_(log) {}

    void say(std::string text) { send_text(text); }

private:
    Task<void> on_open(const http::Request& request) override {
        note("open " + request.path);
        return {};
    }
    Task<void> on_text(std::string text) override {
        if (text == "crash") throw std::runtime_error("a planted crash");
        if (text == "crash later") return crash_later();
        if (text.starts_with("close ")) {
            close(static_cast<unsigned>(std::stoi(text.substr(6))), "as you like");
            return {};
        }
        if (text == "sleep") return sleep_for_a_while();
        if (text.starts_with("later ")) return answer_later(std::move(text));
        if (text == "large") return send_large();
        send_text(text);
        return {};
    }
    Task<void> on_binary(std::string bytes) override {
        send_binary(bytes);
        return {};
    }
    Task<void> on_drain() override {
        note("drained");
        return {};
    }
    Task<void> on_close(unsigned code, std::string_view reason) override {
        note("close " + std::to_string(code) + " " + std::string(reason));
        return {};
    }

    Task<void> crash_later() {
        ignore(co_await sleep(1ms), "it crashes either way");
        throw std::runtime_error("a planted crash");
    }
    Task<void> sleep_for_a_while() {
        send_text("good night");
        ignore(co_await sleep(5s), "then it goes on sooner");
        send_text("good morning");
    }
    Task<void> answer_later(std::string text) {
        ignore(co_await sleep(1ms), "then it answers sooner");
        send_text(text);
    }
    Task<void> send_large() {
        send_binary(std::string(3 * 1024 * 1024, 'x'));
        return {};
    }

    void note(std::string line) { log_.tell<&Log::note>(std::move(line)); }

    Ref<Log> log_;
};

struct Site {
    http::Server server;
    Ref<Log> log;
    std::uint16_t port() const { return server.port(); }
};

Task<Site> start(System system, Options options = Options()) {
    Ref<Log> log = system.spawn<Log>();
    http::Router router;
    router.get("/hello", [](const http::Request&) { return http::ok("hello"); });
    router.get("/echo", to<Echo>(std::move(options), log));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    co_return Site{*server, log};
}

/// Waits until nobody is connected, and gives what the hooks have noted.
Task<std::string> emptied(Site site) {
    for (int i = 0; i < 100'000; ++i) {
        Result<net::ServeStats> open = co_await site.server.stats();
        if (open && open->open == 0) break;
        Result<void> slept = co_await sleep(1ms);
        if (!slept) break;
    }
    Result<std::string> text = co_await site.log.ask<&Log::text>();
    co_return text.value_or("no log");
}

Task<void> stop(Site site) {
    Result<void> stopped = co_await site.server.stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

// ---- the upgrade --------------------------------------------------------------------------------

Task<void> both_kinds(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::open(system, site.port());
    EXPECT_EQ(co_await peer.ask(text_frame("hello")), "text hello");
    EXPECT_EQ(co_await peer.ask(binary_frame("hello")), "binary hello");
    EXPECT_EQ(co_await peer.ask(text_frame("")), "text ");
    EXPECT_EQ(co_await peer.ask(ping_frame("are you there")), "pong are you there");
    EXPECT_EQ(co_await peer.ask(close_frame(1000, "bye")), "close 1000 ");
    EXPECT_EQ(co_await peer.receive(), "end");
    EXPECT_EQ(co_await emptied(site), "open /echo\nclose 1000 bye\n");
    co_await stop(site);
}

TEST(Socket, KeepsTextTextAndBinaryBinary) {
    on_both_engines(200, both_kinds);
}

Task<void> one_segment(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::connect(system, site.port());
    const bool sent =
        co_await peer.send("GET /hello HTTP/1.1\r\nHost: test\r\n\r\n" + upgrade_text("/echo") +
                           text_frame("first") + text_frame("second").substr(0, 5));
    EXPECT_TRUE(sent);
    const std::string hello = co_await peer.receive_head();
    EXPECT_TRUE(hello.starts_with("HTTP/1.1 200 OK\r\n")) << hello;
    std::string rest = co_await peer.receive_head();
    EXPECT_EQ(rest,
              "helloHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    EXPECT_EQ(co_await peer.receive(), "text first");
    EXPECT_EQ(co_await peer.ask(text_frame("second").substr(5)), "text second");
    peer.stream().close();
    EXPECT_TRUE((co_await emptied(site)).starts_with("open /echo\nclose 1006 "));
    co_await stop(site);
}

TEST(Socket, GetsWhatWasSentBehindTheRequestForIt) {
    on_both_engines(200, one_segment);
}

Task<void> refusals(System system) {
    Site site = co_await start(system);
    struct Case {
        const char* request;
        const char* status;
    };
    const Case cases[] = {
        {"GET /echo HTTP/1.1\r\nHost: t\r\n\r\n", "426"},
        {"GET /echo HTTP/1.1\r\nHost: t\r\nUpgrade: notwebsocket\r\nConnection: Upgrade\r\n\r\n",
         "400"},
        {"GET /echo HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         "426"},
        {"GET /echo HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
         "400"},
        {"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\nUpgrade: websocket\r\n"
         "Connection: Upgrade\r\n\r\n",
         "405"},
        {"GET /none HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
         "404"},
        {"GET /hello HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
         "200"},
    };
    for (const Case& one : cases) {
        Peer peer = co_await Peer::connect(system, site.port());
        const bool sent = co_await peer.send(one.request);
        EXPECT_TRUE(sent);
        const std::string head = co_await peer.receive_head();
        EXPECT_EQ(head.substr(9, 3), one.status) << one.request;
        if (std::string_view(one.status) == "426") {
            EXPECT_NE(head.find("\r\nSec-WebSocket-Version: 13\r\n"), std::string::npos) << head;
        }
    }
    EXPECT_EQ(co_await emptied(site), "") << "no actor was made";
    co_await stop(site);
}

TEST(Socket, IsRefusedInWordsOfHttp) {
    on_both_engines(30, refusals);
}

/// Lets nobody talk who is not on its list.
class Doorkeeper final : public Socket {
    Task<void> on_open(const http::Request& request) override {
        if (request.query != "ann") close(1008, "you are not on the list");
        return {};
    }
    Task<void> on_text(std::string text) override {
        send_text(text);
        return {};
    }
};

Task<void> turned_away(System system) {
    http::Router router;
    router.use([](http::Request request, http::Next next) -> Task<http::Response> {
        if (!request.header("Authorization")) co_return http::text(401, "Who are you?");
        co_return co_await next(std::move(request));
    });
    router.get("/door", to<Doorkeeper>());
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    Peer nobody = co_await Peer::connect(system, server->port());
    const bool sent = co_await nobody.send(upgrade_text("/door?ann"));
    EXPECT_TRUE(sent);
    const std::string head = co_await nobody.receive_head();
    EXPECT_TRUE(head.starts_with("HTTP/1.1 401 ")) << head;
    const std::string known = "Authorization: Basic YW5u\r\n";
    Peer bob = co_await Peer::open(system, server->port(), "/door?bob", known);
    EXPECT_EQ(co_await bob.receive(), "close 1008 you are not on the list");
    EXPECT_EQ(co_await bob.ask(close_frame(1008)), "end");
    Peer ann = co_await Peer::open(system, server->port(), "/door?ann", known);
    EXPECT_EQ(co_await ann.ask(text_frame("let me in")), "text let me in");
    Result<void> stopped = co_await server->stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Socket, IsRefusedBeforeTheUpgradeOrBehindIt) {
    on_both_engines(50, turned_away);
}

// ---- what a peer may send -----------------------------------------------------------------------

Task<void> unmasked(System system) {
    Site site = co_await start(system);
    for (const unsigned first : {0x81U, 0x82U, 0x88U, 0x89U}) {
        Peer peer = co_await Peer::open(system, site.port());
        const bool sent = co_await peer.send(server_frame(first, first == 0x88 ? "\x03\xE8" : "x"));
        EXPECT_TRUE(sent);
        EXPECT_EQ(co_await peer.receive_rest(), "close 1002 a client's frame is not masked\nend\n");
    }
    co_await stop(site);
}

TEST(Socket, EndsWith1002WhenAFrameIsNotMasked) {
    on_both_engines(50, unmasked);
}

Task<void> byte_by_byte(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::open(system, site.port());
    const std::string frames =
        text_frame("slowly") + raw_frame(0x02, "in ") + ping_frame("!") + raw_frame(0x80, "parts");
    for (const char byte : frames) {
        const bool sent = co_await peer.send(std::string(1, byte));
        EXPECT_TRUE(sent);
        Result<void> slept = co_await sleep(150ms);
        EXPECT_TRUE(slept.has_value());
    }
    EXPECT_EQ(co_await peer.receive(), "text slowly");
    EXPECT_EQ(co_await peer.receive(), "pong !");
    EXPECT_EQ(co_await peer.receive(), "binary in parts");
    co_await stop(site);
}

TEST(Socket, WaitsForEveryByteOfASlowPeer) {
    in_virtual_time(30, byte_by_byte);
}

Task<void> any_sizes(System system) {
    Options options;
    options.send_buffer(64 * 1024 * 1024);
    Site site = co_await start(system, options);
    Peer peer = co_await Peer::open(system, site.port());
    for (const std::size_t size :
         {0U, 1U, 125U, 126U, 127U, 65'535U, 65'536U, 65'537U, 200'000U, 1'048'576U, 1'048'577U}) {
        std::string payload(size, '\0');
        for (std::size_t i = 0; i < size; ++i)
            payload[i] = static_cast<char>(i * 131 >> 3);
        const std::string echoed = co_await peer.ask(binary_frame(payload));
        EXPECT_TRUE(echoed == "binary " + payload) << size;
    }
    co_await stop(site);
}

TEST(Socket, CarriesMessagesOfEverySize) {
    on_both_engines(5, any_sizes);
}

Task<void> fragments(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::open(system, site.port());
    for (int message = 0; message < 20; ++message) {
        const std::string text = "κόσμε, and so on, in message " + std::to_string(message);
        std::string frames;
        std::string pongs;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t part = 1 + system.engine().random() % 7;
            const bool last = at + part >= text.size();
            frames +=
                raw_frame((at == 0 ? 0x01U : 0x00U) | (last ? 0x80U : 0U), text.substr(at, part));
            at += part;
            if (last || system.engine().random() % 3 != 0) continue;
            frames += ping_frame(std::to_string(at));
            pongs += "pong " + std::to_string(at) + "\n";
        }
        const bool sent = co_await peer.send(frames);
        EXPECT_TRUE(sent);
        std::string seen;
        while (!seen.starts_with("text")) {
            seen = co_await peer.receive();
            if (seen.starts_with("pong ")) pongs.erase(0, pongs.find('\n') + 1);
            if (seen == "end" || seen == "reset") break;
        }
        EXPECT_EQ(seen, "text " + text);
        EXPECT_EQ(pongs, "") << "all of them were answered, and before the message";
    }
    co_await stop(site);
}

TEST(Socket, PutsRandomFragmentsTogetherAndAnswersPingsBetween) {
    on_both_engines(50, fragments);
}

Task<void> too_large(System system) {
    Options options;
    options.message_bytes_max(1000);
    Site site = co_await start(system, options);
    Peer peer = co_await Peer::open(system, site.port());
    RawFrame huge;
    huge.length_bytes = 8;
    huge.announced = (std::uint64_t{1} << 63) - 1;
    const bool sent = co_await peer.send(huge.bytes());
    EXPECT_TRUE(sent);
    EXPECT_EQ(co_await peer.receive_rest(), "close 1009 the message is too large\nend\n");
    EXPECT_EQ(co_await emptied(site), "open /echo\nclose 1009 the message is too large\n");
    co_await stop(site);
}

TEST(Socket, RefusesAMessageByWhatItsHeadClaims) {
    on_both_engines(50, too_large);
}

// What looks like something of ours is data all the same.
Task<void> reserved_values(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::open(system, site.port());
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}, std::uint64_t{1} << 63,
          std::uint64_t{0xFFFFFFFF}, std::uint64_t{0x88}, std::uint64_t{0x8900}}) {
        std::string bytes(8, '\0');
        for (int i = 0; i < 8; ++i)
            bytes[static_cast<std::size_t>(i)] = static_cast<char>(value >> (8 * i));
        EXPECT_EQ(co_await peer.ask(binary_frame(bytes + "rest")), "binary " + bytes + "rest");
    }
    for (char value = 0; value < 32; ++value) {
        const std::string text = std::string(1, value) + std::string(7, '\0') + "rest";
        EXPECT_EQ(co_await peer.ask(text_frame(text)), "text " + text);
    }
    for (int i = 0; i < 200; ++i) {
        std::string bytes;
        for (std::size_t size = system.engine().random() % 40; size > 0; --size)
            bytes.push_back(static_cast<char>(system.engine().random()));
        EXPECT_EQ(co_await peer.ask(binary_frame(bytes)), "binary " + bytes);
    }
    co_await stop(site);
}

TEST(Socket, TakesNoPayloadForASignal) {
    on_both_engines(10, reserved_values);
}

// ---- the end ------------------------------------------------------------------------------------

Task<void> close_codes(System system) {
    Site site = co_await start(system);
    struct Case {
        std::string frame;
        std::string answer;
        std::string told;
    };
    std::vector<Case> cases;
    for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U,
                                1012U, 1013U, 1014U, 3000U, 4999U}) {
        const std::string number = std::to_string(code);
        cases.push_back({close_frame(code, "why " + number), "close " + number + " ",
                         "close " + number + " why " + number});
    }
    cases.push_back({raw_frame(0x88, ""), "close 1005 ", "close 1005 "});
    for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 2999U, 5000U}) {
        const std::string failed = "close 1002 a close code that nobody may send";
        cases.push_back({close_frame(code), failed, failed});
    }
    cases.push_back(
        {raw_frame(0x88, "x"), "close 1002 half a close code", "close 1002 half a close code"});
    cases.push_back({close_frame(1000, "\xFF"), "close 1007 the reason of a close is not UTF-8",
                     "close 1007 the reason of a close is not UTF-8"});
    std::string expected;
    for (const Case& one : cases) {
        Peer peer = co_await Peer::open(system, site.port());
        // What comes behind a close is not looked at.
        const bool sent = co_await peer.send(one.frame + text_frame("ignored"));
        EXPECT_TRUE(sent);
        EXPECT_EQ(co_await peer.receive_rest(), one.answer + "\nend\n");
        peer.stream().close();
        expected += "open /echo\n" + one.told + "\n";
        EXPECT_EQ(co_await emptied(site), expected);
    }
    co_await stop(site);
}

TEST(Socket, AnswersACloseAndTellsItOnce) {
    on_both_engines(5, close_codes);
}

Task<void> closed_here(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::open(system, site.port());
    const bool sent = co_await peer.send(text_frame("before") + text_frame("close 4000"));
    EXPECT_TRUE(sent);
    EXPECT_EQ(co_await peer.receive(), "text before");
    EXPECT_EQ(co_await peer.receive(), "close 4000 as you like");
    EXPECT_EQ(co_await peer.ask(close_frame(4000)), "end");
    EXPECT_EQ(co_await emptied(site), "open /echo\nclose 4000 \n");
    co_await stop(site);
}

TEST(Socket, ClosesBehindWhatWasSentBefore) {
    on_both_engines(100, closed_here);
}

Task<void> unsendable_codes(System system) {
    Site site = co_await start(system);
    for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 2999U, 5000U, 65'536U}) {
        Peer peer = co_await Peer::open(system, site.port());
        EXPECT_EQ(co_await peer.ask(text_frame("close " + std::to_string(code))), "close 1005 ")
            << "a close without any code: " << code;
        EXPECT_EQ(co_await peer.ask(close_frame(1000)), "end");
    }
    co_await stop(site);
}

TEST(Socket, NeverSendsACodeThatNobodyMay) {
    on_both_engines(20, unsendable_codes);
}

Task<void> close_right_behind(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::open(system, site.port());
    const bool sent = co_await peer.send(text_frame("at once") + text_frame("later 1") +
                                         text_frame("later 2") + close_frame(1000, "bye"));
    EXPECT_TRUE(sent);
    EXPECT_EQ(co_await peer.receive_rest(),
              "text at once\ntext later 1\ntext later 2\nclose 1000 \nend\n");
    EXPECT_EQ(co_await emptied(site), "open /echo\nclose 1000 bye\n");

    // A handler that ends the connection itself answers with its own code.
    Peer other = co_await Peer::open(system, site.port());
    const bool asked = co_await other.send(text_frame("close 4001") + close_frame(1000));
    EXPECT_TRUE(asked);
    EXPECT_EQ(co_await other.receive_rest(), "close 4001 as you like\nend\n");
    co_await stop(site);
}

TEST(Socket, AnswersWhatCameBeforeACloseAndThenTheClose) {
    on_both_engines(100, close_right_behind);
}

Task<void> close_behind_a_long_wait(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::open(system, site.port());
    const bool sent = co_await peer.send(text_frame("sleep") + close_frame(1000, "bye"));
    EXPECT_TRUE(sent);
    EXPECT_EQ(co_await peer.receive(), "text good night");
    const Duration before = system.now();
    EXPECT_EQ(co_await peer.receive_rest(), "close 1000 \nend\n");
    EXPECT_LE(system.now() - before, 2s + 20ms) << "the handler sleeps for five seconds";
    EXPECT_EQ(co_await emptied(site), "open /echo\nclose 1000 bye\n");
    co_await stop(site);
}

TEST(Socket, DoesNotLetAPeerThatClosesWaitForASlowHandler) {
    in_virtual_time(50, close_behind_a_long_wait);
}

Task<void> silent_at_the_end(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::open(system, site.port());
    EXPECT_EQ(co_await peer.ask(text_frame("close 1000")), "close 1000 as you like");
    const Duration before = system.now();
    EXPECT_EQ(co_await peer.receive(), "end");
    EXPECT_LE(system.now() - before, 2s + 10ms);
    EXPECT_EQ(co_await emptied(site),
              "open /echo\nclose 1006 the peer did not agree to the end in time\n");
    co_await stop(site);
}

TEST(Socket, DoesNotWaitForeverForThePeersClose) {
    in_virtual_time(100, silent_at_the_end);
}

Task<void> crashes(System system) {
    Site site = co_await start(system);
    const std::uint64_t before = system.crashes();
    for (const char* how : {"crash", "crash later"}) {
        Peer peer = co_await Peer::open(system, site.port());
        const bool sent = co_await peer.send(text_frame("a") + text_frame(how) + text_frame("b"));
        EXPECT_TRUE(sent);
        EXPECT_EQ(co_await peer.receive(), "text a");
        EXPECT_EQ(co_await peer.receive(), "close 1011 the server failed to handle this");
        EXPECT_EQ(co_await peer.receive(), "end");
    }
    EXPECT_EQ(co_await emptied(site),
              "open /echo\nclose 1011 the server failed to handle this\n"
              "open /echo\nclose 1011 the server failed to handle this\n");
    EXPECT_EQ(system.crashes(), before + 2) << "as failed, with what was thrown";
    co_await stop(site);
}

TEST(Socket, SaysThatAHookHasThrown) {
    on_both_engines(50, crashes);
}

Task<void> server_stops(System system) {
    Site site = co_await start(system);
    Peer peer = co_await Peer::open(system, site.port());
    EXPECT_EQ(co_await peer.ask(text_frame("hello")), "text hello");
    Peer silent = co_await Peer::open(system, site.port());
    Result<void> stopped = co_await site.server.stop(5s);
    EXPECT_TRUE(stopped.has_value());
    EXPECT_EQ(co_await peer.receive_rest(), "close 1001 the server is going away\nend\n");
    const Result<std::string> told = co_await site.log.ask<&Log::text>();
    EXPECT_EQ(told.value_or(""),
              "open /echo\nopen /echo\n"
              "close 1006 the peer did not agree to the end in time\n"
              "close 1006 the peer did not agree to the end in time\n");
}

TEST(Socket, SaysGoodbyeWhenTheServerStops) {
    in_virtual_time(50, server_stops);
}

/// A peer that does anything, on a network that loses connections.
Task<void> visitor(System system, std::uint16_t port, std::uint64_t random) {
    Result<Stream> stream =
        co_await net_internal::connect_on_transport(system.engine(), Endpoint("127.0.0.1", port));
    if (!stream) co_return;
    Peer peer(std::move(*stream));
    const bool asked = co_await peer.send(upgrade_text("/echo"));
    if (!asked) co_return;
    const std::string head = co_await peer.receive_head();
    if (!head.starts_with("HTTP/1.1 101 ")) co_return;
    const char* const texts[] = {"a", "crash", "close 1000", "crash later", "b", "c", "large"};
    for (int i = 0; i < 5; ++i) {
        const bool sent = co_await peer.send(text_frame(texts[(random >> (3 * i)) % 7]));
        if (!sent) co_return;
    }
    if (random % 3 == 0) co_return;
    std::string last = random % 2 == 0 ? close_frame(1000) : raw_frame(0x83, "");
    const bool sent = co_await peer.send(std::move(last));
    if (sent) static_cast<void>(co_await peer.receive_rest());
}

class Visits final : public Actor {
public:
    Task<void> visit(std::uint16_t port, std::uint64_t random) {
        co_await visitor(system(), port, random);
    }
};

Task<void> any_end(System system) {
    NetworkConditions conditions;
    conditions.resets_per_thousand = 30;
    set_network_conditions(system.engine(), conditions);
    Site site = co_await start(system);
    std::vector<Ref<Visits>> visits;
    for (int i = 0; i < 10; ++i) {
        visits.push_back(system.spawn<Visits>());
        visits.back().tell<&Visits::visit>(site.port(), system.engine().random());
    }
    for (const Ref<Visits>& one : visits) {
        // Once this is answered the visit is over.
        Result<void> over = co_await one.ask<&Visits::visit>(0, 0).within(10min);
        EXPECT_TRUE(over.has_value());
        one.stop();
    }
    Result<void> slept = co_await sleep(60s);
    EXPECT_TRUE(slept.has_value());
    const std::string told = co_await emptied(site);
    std::size_t opened = 0;
    std::size_t closed = 0;
    for (std::size_t at = 0; at < told.size(); at = told.find('\n', at) + 1) {
        if (told.compare(at, 5, "open ") == 0) ++opened;
        if (told.compare(at, 6, "close ") == 0) ++closed;
    }
    EXPECT_EQ(opened, closed) << told;
    Result<net::ServeStats> open = co_await site.server.stats();
    EXPECT_TRUE(open && open->open == 0);
    co_await stop(site);
}

TEST(Socket, TellsItsEndExactlyOnceHoweverItComes) {
    in_virtual_time(200, any_end);
}

// ---- time ---------------------------------------------------------------------------------------

Options short_times() {
    Options options;
    options.ping_interval(200ms).pong_timeout(100ms);
    return options;
}

Task<void> ghosts(System system) {
    Site site = co_await start(system, short_times());
    std::vector<Peer> peers;
    for (int i = 0; i < 20; ++i)
        peers.push_back(co_await Peer::open(system, site.port()));
    Result<net::ServeStats> open = co_await site.server.stats();
    EXPECT_EQ(open.value_or(net::ServeStats()).open, 20U);
    const Duration before = system.now();
    static_cast<void>(co_await emptied(site));
    EXPECT_LE(system.now() - before, 320ms);
    const Result<std::string> told = co_await site.log.ask<&Log::text>();
    EXPECT_NE(told.value_or("").find("close 1006 the peer did not answer a ping\n"),
              std::string::npos);
    co_await stop(site);
}

TEST(Socket, FindsPeersThatAreGone) {
    in_virtual_time(20, ghosts);
}

Task<void> lives_by_pongs(System system) {
    Site site = co_await start(system, short_times());
    Peer peer = co_await Peer::open(system, site.port());
    for (int i = 0; i < 20; ++i) {
        const std::string ping = co_await peer.receive();
        EXPECT_TRUE(ping.starts_with("ping ")) << ping;
        const bool sent = co_await peer.send(raw_frame(0x8A, ping.substr(5)));
        EXPECT_TRUE(sent);
    }
    EXPECT_GE(system.now(), 19 * 200ms);
    co_await stop(site);
}

TEST(Socket, KeepsAPeerThatAnswersPings) {
    in_virtual_time(20, lives_by_pongs);
}

/// Says whether its connection has given back what only messages need.
class Resting final : public Socket {
public:
    explicit Resting(Ref<Log> log) : log_(log) {}

private:
    Task<void> on_text(std::string text) override {
        send_text(text);
        after<&Resting::look>(TimerKey("at once"), 1ms);
        after<&Resting::look>(TimerKey("soon"), 350ms);
        after<&Resting::look>(TimerKey("later"), 700ms);
        return {};
    }
    void look() {
        log_.tell<&Log::note>(SocketCore::of(*this).wire.at_rest() ? "rests" : "in use");
    }

    Ref<Log> log_;
};

/// A peer that speaks twice, and between only answers pings; compressed, when it offers so.
Task<std::string> speaks_twice(System system, std::string offer) {
    Ref<Log> log = system.spawn<Log>();
    http::Router router;
    router.get("/rest", to<Resting>(short_times(), log));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    Peer peer = co_await Peer::open(system, server->port(), "/rest", offer);
    Deflater deflater(9, offer.find("client_no") != std::string::npos);
    for (int i = 0; i < 2; ++i) {
        const std::string text = "the second time this refers to the first: " + std::to_string(i);
        std::string small = text;
        if (!offer.empty()) {
            small.clear();
            deflater.compress(text, small);
        }
        EXPECT_EQ(co_await peer.ask(raw_frame(offer.empty() ? 0x81 : 0xC1, small)), "text " + text);
        for (int pings = 0; pings < 4; ++pings) {
            const std::string ping = co_await peer.receive();
            EXPECT_TRUE(ping.starts_with("ping ")) << ping;
            const bool sent = co_await peer.send(raw_frame(0x8A, ping.substr(5)));
            EXPECT_TRUE(sent);
        }
    }
    Result<void> stopped = co_await server->stop(20ms);
    EXPECT_TRUE(stopped.has_value());
    Result<std::string> told = co_await log.ask<&Log::text>();
    co_return told.value_or("no log");
}

Task<void> gives_back(System system) {
    const std::string_view deflate = "Sec-WebSocket-Extensions: permessage-deflate";
    const std::string once = "in use\nin use\nrests\n";
    EXPECT_EQ(co_await speaks_twice(system, ""), once + once);
    EXPECT_EQ(
        co_await speaks_twice(system, std::string(deflate) + "; client_no_context_takeover\r\n"),
        once + once);
    const std::string kept = "in use\nin use\nin use\n";
    EXPECT_EQ(co_await speaks_twice(system, std::string(deflate) + "\r\n"), kept + kept)
        << "the peer may refer to what it has sent";
}

TEST(Socket, GivesBackWhatOnlyMessagesNeedWhenItIsSilent) {
    in_virtual_time(20, gives_back);
}

Task<void> wrong_pongs(System system) {
    Site site = co_await start(system, short_times());
    Peer peer = co_await Peer::open(system, site.port());
    const std::string ping = co_await peer.receive();
    EXPECT_TRUE(ping.starts_with("ping "));
    const Duration before = system.now();
    for (int i = 0; i < 6; ++i) {
        const bool sent = co_await peer.send(raw_frame(0x8A, "not what you asked"));
        static_cast<void>(sent);  // later ones find nobody
        Result<void> slept = co_await sleep(30ms);
        EXPECT_TRUE(slept.has_value());
    }
    EXPECT_LE(system.now() - before, 200ms);
    EXPECT_EQ(co_await emptied(site), "open /echo\nclose 1006 the peer did not answer a ping\n");
    co_await stop(site);
}

TEST(Socket, CountsOnlyPongsThatAnswerItsPing) {
    in_virtual_time(50, wrong_pongs);
}

Task<void> pings_meanwhile(System system) {
    Site site = co_await start(system, short_times());
    // Somebody who sends a large message slowly cannot answer within it.
    Peer slow = co_await Peer::open(system, site.port());
    const std::string frame = binary_frame(std::string(3000, 'x'));
    int pings = 0;
    std::string seen;
    for (std::size_t at = 0; at < frame.size(); at += 50) {
        const bool sent = co_await slow.send(frame.substr(at, 50));
        EXPECT_TRUE(sent);
        Result<void> slept = co_await sleep(50ms);  // a kilobyte a second
        EXPECT_TRUE(slept.has_value());
    }
    do {
        seen = co_await slow.receive();
        if (seen.starts_with("ping ")) ++pings;
    } while (seen.starts_with("ping "));
    EXPECT_TRUE(seen.starts_with("binary xxx"));
    EXPECT_GE(pings, 14) << "three seconds, five a second";

    // Somebody whose handler is busy for five seconds.
    Peer busy = co_await Peer::open(system, site.port());
    const bool asked = co_await busy.send(text_frame("sleep"));
    EXPECT_TRUE(asked);
    EXPECT_EQ(co_await busy.receive(), "text good night") << "it leaves before the handler waits";
    pings = 0;
    for (;;) {
        seen = co_await busy.receive();
        if (seen == "text good morning") break;
        if (!seen.starts_with("ping ")) continue;
        ++pings;
        const bool sent =
            co_await busy.send(raw_frame(0x8A, seen.substr(5)) + ping_frame("and you?"));
        EXPECT_TRUE(sent);
        if (pings > 20) continue;  // the handler may end before the answer comes
        EXPECT_EQ(co_await busy.receive(), "pong and you?");
    }
    EXPECT_GE(pings, 23);
    co_await stop(site);
}

TEST(Socket, PingsAndAnswersWhateverElseGoesOn) {
    in_virtual_time(20, pings_meanwhile);
}

Task<void> too_slow(System system) {
    Options options;
    options.ping_interval(1s).pong_timeout(5s).bytes_per_second_min(100);
    Site site = co_await start(system, options);
    Peer peer = co_await Peer::open(system, site.port());
    const std::string frame = binary_frame(std::string(3000, 'x'));
    for (std::size_t at = 0; at < 30; ++at) {
        const bool sent = co_await peer.send(frame.substr(at, 1));
        if (!sent) break;
        Result<void> slept = co_await sleep(100ms);
        EXPECT_TRUE(slept.has_value());
    }
    EXPECT_EQ(co_await emptied(site), "open /echo\nclose 1008 the message comes too slowly\n");
    co_await stop(site);
}

TEST(Socket, DoesNotWaitForAMessageThatDrips) {
    in_virtual_time(20, too_slow);
}

// ---- peers that do not listen -------------------------------------------------------------------

/// Sends a hundred messages of ten kilobytes when it is told to.
class Flood final : public Socket {
public:
    explicit Flood(Ref<Log> log) : log_(log) {}

private:
    Task<void> on_text(std::string) override {
        int sent = 0;
        int dropped = 0;
        std::size_t most = 0;
        for (int i = 0; i < 100; ++i) {
            const Sent status = send_binary(std::to_string(i) + std::string(10'000, 'x'));
            sent += status == Sent::yes ? 1 : 0;
            dropped += status == Sent::dropped ? 1 : 0;
            most = std::max(most, buffered());
        }
        log_.tell<&Log::note>(
            "sent " + std::to_string(sent) + ", dropped " + std::to_string(dropped) + ", lost " +
            std::to_string(messages_dropped()) + (most <= 200'000 ? "" : ", and too much waits"));
        return {};
    }
    Task<void> on_drain() override {
        log_.tell<&Log::note>("drained");
        return {};
    }
    Task<void> on_close(unsigned code, std::string_view) override {
        log_.tell<&Log::note>("close " + std::to_string(code));
        return {};
    }

    Ref<Log> log_;
};

Task<Site> start_flood(System system, Overflow overflow) {
    NetworkConditions conditions;
    conditions.buffer_bytes = 4096;
    conditions.splits = false;
    set_network_conditions(system.engine(), conditions);
    Options options;
    options.send_buffer(200'000, overflow).write_timeout(3s);
    Ref<Log> log = system.spawn<Log>();
    http::Router router;
    router.get("/flood", to<Flood>(std::move(options), log));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    co_return Site{*server, log};
}

Task<std::string> received_by(Peer* peer) {
    std::string numbers;
    for (;;) {
        const std::string what = co_await peer->receive_message();
        if (!what.starts_with("binary ")) co_return numbers + what;
        numbers += what.substr(7, what.find('x') - 7) + " ";
        if (numbers.ends_with("99 ")) co_return numbers;
    }
}

Task<void> overflow_close(System system) {
    Site site = co_await start_flood(system, Overflow::close);
    Peer peer = co_await Peer::open(system, site.port(), "/flood");
    const bool sent = co_await peer.send(text_frame("go"));
    EXPECT_TRUE(sent);
    const std::string all = co_await received_by(&peer);
    EXPECT_TRUE(all.ends_with("close 1013 too much waits to be sent")) << all;
    EXPECT_EQ(co_await emptied(site), "sent 19, dropped 0, lost 0\nclose 1013\n");
    co_await stop(site);
}

TEST(SlowPeer, IsClosedByDefault) {
    in_virtual_time(20, overflow_close);
}

Task<void> overflow_newest(System system) {
    Site site = co_await start_flood(system, Overflow::drop_newest);
    Peer peer = co_await Peer::open(system, site.port(), "/flood");
    const bool sent = co_await peer.send(text_frame("go"));
    EXPECT_TRUE(sent);
    std::string numbers;
    for (int i = 0; i < 19; ++i) {
        const std::string what = co_await peer.receive_message();
        numbers += what.substr(7, what.find('x') - 7) + " ";
    }
    EXPECT_EQ(numbers, "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 ");
    Result<void> slept = co_await sleep(100ms);
    EXPECT_TRUE(slept.has_value());
    const Result<std::string> told = co_await site.log.ask<&Log::text>();
    EXPECT_EQ(told.value_or(""), "sent 19, dropped 81, lost 81\ndrained\n");
    co_await stop(site);
}

TEST(SlowPeer, LosesTheNewestByPolicyAndIsToldOfRoom) {
    in_virtual_time(20, overflow_newest);
}

Task<void> overflow_oldest(System system) {
    Site site = co_await start_flood(system, Overflow::drop_oldest);
    Peer peer = co_await Peer::open(system, site.port(), "/flood");
    const bool sent = co_await peer.send(text_frame("go"));
    EXPECT_TRUE(sent);
    const std::string all = co_await received_by(&peer);
    EXPECT_TRUE(all.ends_with(" 96 97 98 99 ")) << all;
    EXPECT_EQ(all.find(" 50 "), std::string::npos) << all;
    Result<void> slept = co_await sleep(100ms);
    EXPECT_TRUE(slept.has_value());
    const Result<std::string> told = co_await site.log.ask<&Log::text>();
    EXPECT_EQ(told.value_or(""), "sent 100, dropped 0, lost 81\ndrained\n");
    co_await stop(site);
}

TEST(SlowPeer, LosesTheOldestByPolicy) {
    in_virtual_time(20, overflow_oldest);
}

Task<void> never_reads(System system) {
    Site site = co_await start_flood(system, Overflow::drop_newest);
    Peer peer = co_await Peer::open(system, site.port(), "/flood");
    const bool sent = co_await peer.send(text_frame("go"));
    EXPECT_TRUE(sent);
    Result<void> slept = co_await sleep(3500ms);
    EXPECT_TRUE(slept.has_value());
    EXPECT_EQ(co_await emptied(site), "sent 19, dropped 81, lost 81\nclose 1006\n");
    co_await stop(site);
}

TEST(SlowPeer, IsGivenUpWhenItTakesNothingAtAll) {
    in_virtual_time(20, never_reads);
}

Task<void> pings_between(System system) {
    NetworkConditions conditions;
    conditions.bytes_per_second = 10'000'000;  // it takes 0.3 s, however the network cuts it
    set_network_conditions(system.engine(), conditions);
    Options options;
    options.send_buffer(8 * 1024 * 1024);
    options.ping_interval(50ms).pong_timeout(10s);
    Site site = co_await start(system, options);
    Peer peer = co_await Peer::open(system, site.port());
    const bool sent = co_await peer.send(text_frame("large"));
    EXPECT_TRUE(sent);
    const std::string first = co_await peer.receive();
    EXPECT_TRUE(first.starts_with("ping ")) << "between the fragments";
    const std::string large = co_await peer.receive_message();
    EXPECT_EQ(large.size(), 3U * 1024 * 1024 + 7);
    co_await stop(site);
}

TEST(SlowPeer, GetsPingsBetweenTheFragmentsOfALargeMessage) {
    in_virtual_time(3, pings_between);
}

// ---- what a server may send ---------------------------------------------------------------------

class Sender final : public Socket {
public:
    explicit Sender(Ref<Log> log) : log_(log) {}

private:
    Task<void> on_open(const http::Request&) override {
        note(send_text("\xED\xA0\x80"));
        note(send_text("cut off \xCE"));
        note(ping(std::string(126, 'x')));
        note(send_binary("\xED\xA0\x80"));
        note(send_text("fine"));
        close(1000, std::string(122, 'r') + "€");
        note(send_text("too late"));
        return {};
    }
    void note(Sent status) { log_.tell<&Log::note>(std::to_string(static_cast<int>(status))); }

    Ref<Log> log_;
};

Task<void> wrong_sends(System system) {
    Ref<Log> log = system.spawn<Log>();
    http::Router router;
    router.get("/send", to<Sender>(log));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    Peer peer = co_await Peer::open(system, server->port(), "/send");
    EXPECT_EQ(co_await peer.receive(), "binary \xED\xA0\x80");
    EXPECT_EQ(co_await peer.receive(), "text fine");
    EXPECT_EQ(co_await peer.receive(), "close 1000 " + std::string(122, 'r'));
    const Result<std::string> told = co_await log.ask<&Log::text>();
    EXPECT_EQ(told.value_or(""), "3\n3\n4\n0\n0\n2\n");
    Result<void> stopped = co_await server->stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Socket, RefusesToSendWhatNobodyMay) {
    on_both_engines(20, wrong_sends);
}

// ---- compression --------------------------------------------------------------------------------

Task<void> compressed(System system) {
    for (const char* offer :
         {"permessage-deflate", "permessage-deflate; client_no_context_takeover",
          "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
          "permessage-deflate; client_max_window_bits=10; client_no_context_takeover"}) {
        Options options;
        options.deflate_bytes_min(1);
        Site site = co_await start(system, options);
        const std::string lines = "Sec-WebSocket-Extensions: " + std::string(offer) + "\r\n";
        Peer peer = co_await Peer::open(system, site.port(), "/echo", lines);
        const bool forgets = lines.find("client_no_context") != std::string::npos;
        Deflater deflater(9, forgets);
        for (int i = 0; i < 10; ++i) {
            const std::string text = "what is said again and again gets small: number " +
                                     std::to_string(i) + std::string(i * 100, 'y');
            std::string small;
            deflater.compress(text, small);
            EXPECT_EQ(co_await peer.ask(raw_frame(0xC1, small)), "text " + text) << offer;
        }
        EXPECT_EQ(co_await peer.ask(text_frame("as it is")), "text as it is");
        co_await stop(site);
    }
}

TEST(Socket, SpeaksCompressedInEveryWayThatIsAgreedOn) {
    on_both_engines(10, compressed);
}

// ---- an actor like any other --------------------------------------------------------------------

/// Has mail, a monitor and a timer beside its connection.
class Busy final : public Socket {
public:
    explicit Busy(Ref<Log> log) : log_(log) {}
    void shout(std::string text) { send_text(text); }

private:
    Task<void> on_open(const http::Request&) override {
        watched_ = system().spawn<Log>();
        monitor<&Busy::down>(watched_);
        after<&Busy::ring>(1ms);
        return {};
    }
    Task<void> on_text(std::string text) override { return slow_echo(std::move(text)); }
    Task<void> slow_echo(std::string text) {
        Result<std::string> none = co_await watched_.ask<&Log::text>();
        send_text(text + (none ? "" : " without"));
    }
    void down(Down) { send_text("down"); }
    void ring() {
        send_text("ring");
        watched_.stop();
    }

    Ref<Log> log_;
    Ref<Log> watched_;
};

Task<void> other_mail(System system) {
    Ref<Log> log = system.spawn<Log>();
    http::Router router;
    router.get("/busy", to<Busy>(log));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    Peer peer = co_await Peer::open(system, server->port(), "/busy");
    EXPECT_EQ(co_await peer.receive(), "text ring");
    EXPECT_EQ(co_await peer.receive(), "text down") << "news of an end, and no message of the peer";
    const bool sent = co_await peer.send(text_frame("1") + text_frame("2") + text_frame("3"));
    EXPECT_TRUE(sent);
    EXPECT_EQ(co_await peer.receive(), "text 1 without");
    EXPECT_EQ(co_await peer.receive(), "text 2 without");
    EXPECT_EQ(co_await peer.receive(), "text 3 without");
    Result<void> stopped = co_await server->stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Socket, HandlesMailTimersAndNewsBesideItsConnection) {
    on_both_engines(50, other_mail);
}

}  // namespace
}  // namespace troupe::websocket
