// Servers seen from outside: clients that speak raw bytes, on sockets and on the deterministic
// engine's network, which cuts and delays them.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/internal/test_transport.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

// A sanitizer brings an allocator of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TROUPE_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#define TROUPE_COUNTS_ALLOCATIONS \
    (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define TROUPE_COUNTS_ALLOCATIONS 1
#endif

#if TROUPE_COUNTS_ALLOCATIONS

namespace {

// Counts what this program allocates from the global allocator.
std::atomic<std::uint64_t> allocations = 0;

}  // namespace

void* operator new(std::size_t bytes) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* block = std::malloc(bytes)) return block;
    std::abort();
}

void operator delete(void* block) noexcept {
    std::free(block);
}

void operator delete(void* block, std::size_t) noexcept {
    std::free(block);
}

#endif

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::Client;
using http_internal::get;
using http_internal::post;
using http_internal::Reply;
using http_internal::serve_on_transport;
using http_internal::stop;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

struct Breakage {};  // no std::exception

Router routes() {
    Router router;
    router.get("/hello", [](const Request&) { return ok("hello"); });
    router.post("/echo", [](Request request) { return ok(std::move(request.body)); });
    router.get("/slow/:ms", [](Request request) -> Task<Response> {
        int milliseconds = std::stoi(std::string(request.parameter("ms")));
        auto slept = co_await sleep(std::chrono::milliseconds(milliseconds));
        co_return ok(slept ? request.path : "disturbed");
    });
    router.get("/large", [](const Request&) { return ok(std::string(3'000'000, 'x')); });
    router.get("/closes", [](const Request&) { return ok("bye").close(); });
    router.get("/crash/plain",
               [](const Request&) -> Response { throw std::runtime_error("a planted crash"); });
    router.get("/crash/odd", [](const Request&) -> Response { throw Breakage(); });
    router.get("/crash/later", [](Request) -> Task<Response> {
        ignore(co_await sleep(1ms), "it crashes either way");
        throw std::runtime_error("a planted crash");
    });
    return router;
}

Task<Server> start(System system, ServerOptions options = ServerOptions()) {
    return serve_on_transport(system, routes(), std::move(options));
}

// ---- what is answered ---------------------------------------------------------------------------

Task<void> keep_alive(System system) {
    Server server = co_await start(system);
    Client client = co_await Client::connect(system, server.port());
    Reply hello = co_await client.ask(get("/hello"));
    EXPECT_EQ(hello.status, 200);
    EXPECT_EQ(hello.body, "hello");
    EXPECT_NE(hello.head.find("\r\nDate: "), std::string::npos);
    EXPECT_EQ(hello.head.find("Connection:"), std::string::npos);
    EXPECT_EQ((co_await client.ask(post("/echo", "abc"))).body, "abc");
    EXPECT_EQ((co_await client.ask(get("/slow/3"))).body, "/slow/3");
    EXPECT_EQ((co_await client.ask(get("/none"))).status, 404);
    Reply wrong = co_await client.ask(post("/hello", ""));
    EXPECT_EQ(wrong.status, 405);
    EXPECT_NE(wrong.head.find("\r\nAllow: GET, HEAD, OPTIONS\r\n"), std::string::npos);
    EXPECT_EQ((co_await client.ask(get("/hello"))).status, 200) << "a 404 or 405 ends nothing";
    co_await stop(server);
    EXPECT_TRUE(co_await client.ended());
}

TEST(Server, AnswersOneRequestAfterTheOther) {
    on_both_engines(200, keep_alive);
}

Task<void> pipelined(System system) {
    Server server = co_await start(system);
    Client client = co_await Client::connect(system, server.port());
    std::string all;
    for (int i = 0; i < 5; ++i) {
        all += get("/slow/" + std::to_string(5 - i)) + get("/hello") + post("/echo", "abc");
    }
    EXPECT_TRUE(co_await client.send(all));
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ((co_await client.receive()).body, "/slow/" + std::to_string(5 - i));
        EXPECT_EQ((co_await client.receive()).body, "hello");
        EXPECT_EQ((co_await client.receive()).body, "abc");
    }
    co_await stop(server);
}

TEST(Server, AnswersPipelinedRequestsInTheirOrder) {
    on_both_engines(100, pipelined);
}

Task<void> slow_behind_fast(System system) {
    Server server = co_await start(system);
    Client client = co_await Client::connect(system, server.port());
    Duration before = system.now();
    EXPECT_TRUE(co_await client.send(get("/hello") + get("/slow/3000") + get("/hello")));
    EXPECT_EQ((co_await client.receive()).body, "hello");
    EXPECT_LT(system.now() - before, 2s) << "it need not wait for the slow one behind it";
    EXPECT_EQ((co_await client.receive()).body, "/slow/3000");
    EXPECT_EQ((co_await client.receive()).body, "hello");
    co_await stop(server);
}

TEST(Server, HoldsNoResponseBackForASlowRequestBehindIt) {
    in_virtual_time(50, slow_behind_fast);
}

Task<void> large_bodies(System system) {
    Server server = co_await start(system);
    Client client = co_await Client::connect(system, server.port());
    std::string body(700'000, 'b');
    body += "end";
    EXPECT_EQ((co_await client.ask(post("/echo", body))).body, body);
    EXPECT_EQ((co_await client.ask(get("/large"))).body.size(), 3'000'000U);

    std::string chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 100; ++i)
        chunked += "3e8\r\n" + std::string(1000, 'c') + "\r\n";
    EXPECT_EQ((co_await client.ask(chunked + "0\r\n\r\n")).body, std::string(100'000, 'c'));
    co_await stop(server);
}

TEST(Server, CarriesLargeBodies) {
    on_both_engines(5, large_bodies);
}

Task<void> lets_go(System system) {
    Server server = co_await start(system);
    Client first = co_await Client::connect(system, server.port());
    Reply reply = co_await first.ask("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(reply.body, "hello");
    EXPECT_NE(reply.head.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_TRUE(co_await first.ended());

    Client old = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await old.ask("GET /hello HTTP/1.0\r\n\r\n")).body, "hello");
    EXPECT_TRUE(co_await old.ended());

    Client kept = co_await Client::connect(system, server.port());
    reply = co_await kept.ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(reply.head.find("\r\nConnection: keep-alive\r\n"), std::string::npos);
    EXPECT_EQ((co_await kept.ask(get("/closes"))).body, "bye");
    EXPECT_TRUE(co_await kept.ended());
    kept.close();  // or the server would listen to it for a second
    co_await stop(server);
}

TEST(Server, ClosesWhenEitherSideSaysSo) {
    on_both_engines(50, lets_go);
}

Task<void> head_and_continue(System system) {
    Server server = co_await start(system);
    Client client = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n" + get("/hello")));
    Reply head = co_await client.receive(true);
    EXPECT_NE(head.head.find("\r\nContent-Length: 5\r\n"), std::string::npos);
    EXPECT_EQ((co_await client.receive()).body, "hello");

    EXPECT_TRUE(co_await client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
    EXPECT_EQ((co_await client.receive(true)).status, 100);
    EXPECT_EQ((co_await client.ask("abc")).body, "abc");

    // Asked for again, it comes again; and not at all when the body is here already.
    EXPECT_TRUE(co_await client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
    EXPECT_EQ((co_await client.receive(true)).status, 100);
    EXPECT_EQ((co_await client.ask("def")).body, "def");
    co_await stop(server);
}

TEST(Server, AnswersHeadAndExpectContinue) {
    on_both_engines(50, head_and_continue);
}

// ---- what is refused ----------------------------------------------------------------------------

struct Refusal {
    int status;
    std::string bytes;
};

Task<void> refusals(System system) {
    ServerOptions options;
    options.body_bytes_max(1000).head_bytes_max(2000).target_bytes_max(500);
    Server server = co_await start(system, options);
    std::vector<Refusal> all = {
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "nonsense\r\n\r\n"},
        {413, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"},
        {414, get("/" + std::string(500, 'a'))},
        {417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n"},
        {431, "GET / HTTP/1.1\r\nHost: a\r\nA: " + std::string(2000, 'a') + "\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
    };
    for (const Refusal& refusal : all) {
        Client client = co_await Client::connect(system, server.port());
        // What came before is answered all the same.
        EXPECT_TRUE(co_await client.send(get("/hello") + refusal.bytes));
        EXPECT_EQ((co_await client.receive()).body, "hello");
        Reply reply = co_await client.receive();
        EXPECT_EQ(reply.status, refusal.status) << refusal.bytes;
        EXPECT_TRUE(reply.body.ends_with(".")) << "a sentence: " << reply.body;
        EXPECT_NE(reply.head.find("\r\nConnection: close\r\n"), std::string::npos);
        EXPECT_TRUE(co_await client.ended()) << refusal.bytes;
    }
    co_await stop(server);
}

TEST(Server, SaysWhyItRefuses) {
    on_both_engines(30, refusals);
}

// Goal: a peer that is still sending reads why it was refused, rather than a reset.
Task<void> refusal_in_the_middle(System system) {
    Server server = co_await start(system);
    Client client = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"));
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(co_await client.send(std::string(10'000, 'x')));
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    }
    EXPECT_EQ((co_await client.receive()).status, 413);
    EXPECT_TRUE(co_await client.ended());
    client.close();
    co_await stop(server);
}

TEST(Server, TellsAPeerThatIsStillSending) {
    on_both_engines(30, refusal_in_the_middle);
}

// ---- crashes ------------------------------------------------------------------------------------

/// Counts those who have finished.
class Tally : public Actor {
public:
    void add(int good) { good_ += good, ++finished_; }
    int good() const { return good_; }
    int finished() const { return finished_; }

private:
    int good_ = 0;
    int finished_ = 0;
};

/// Stops a server and says when that is done.
class Stopper : public Actor {
public:
    Task<void> stop_server(Server server, Ref<Tally> tally) {
        auto stopped = co_await server.stop(4s);
        tally.tell<&Tally::add>(stopped ? 1 : 0);
    }
};

/// A client as an actor, so that many are under way at once.
class Visitor : public Actor {
public:
    Task<void> visit(std::uint16_t port, std::string path, int times, Ref<Tally> tally) {
        int good = 0;
        Client client = co_await Client::connect(system(), port);
        for (int i = 0; i < times; ++i) {
            Reply reply = co_await client.ask(get(path));
            good += reply.status == 200 ? 1 : 0;
        }
        tally.tell<&Tally::add>(good);
    }
};

Task<void> crashes(System system) {
    Server server = co_await start(system);
    auto tally = system.spawn<Tally>();
    Client bystander = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await bystander.ask(get("/hello"))).status, 200);

    constexpr int kVisitors = 8;
    std::vector<Ref<Visitor>> visitors;
    for (int i = 0; i < kVisitors; ++i) {
        visitors.push_back(system.spawn<Visitor>());
        std::string path = i % 2 == 0 ? "/hello" : "/slow/1";
        visitors.back().tell<&Visitor::visit>(server.port(), path, 10, tally);
    }
    std::vector<std::string> crashing = {"/crash/plain", "/crash/odd", "/crash/later"};
    for (const std::string& path : crashing) {
        Client client = co_await Client::connect(system, server.port());
        EXPECT_TRUE(co_await client.send(get("/hello") + get(path) + get("/hello")));
        EXPECT_EQ((co_await client.receive()).status, 200);
        Reply reply = co_await client.receive();
        EXPECT_EQ(reply.status, 500) << path;
        EXPECT_NE(reply.head.find("\r\nConnection: close\r\n"), std::string::npos);
        EXPECT_TRUE(co_await client.ended()) << "what came behind is not answered";
    }
    for (;;) {
        auto finished = co_await tally.ask<&Tally::finished>();
        if (finished && *finished == kVisitors) break;
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    }
    EXPECT_EQ(*co_await tally.ask<&Tally::good>(), kVisitors * 10);
    EXPECT_EQ((co_await bystander.ask(get("/hello"))).status, 200);
    for (auto visitor : visitors)
        visitor.stop();
    co_await stop(server);
}

TEST(Server, ACrashingHandlerHurtsNobodyElse) {
    on_both_engines(40, crashes);
}

// ---- peers that misbehave -----------------------------------------------------------------------

Task<void> slow_peers(System system) {
    ServerOptions options;
    options.request_timeout(50ms).idle_timeout(120ms);
    Server server = co_await start(system, options);

    Client silent = co_await Client::connect(system, server.port());
    Client stuck = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await stuck.send("GET /hello HTT"));
    Reply late = co_await stuck.receive();
    EXPECT_EQ(late.status, 408);
    EXPECT_TRUE(co_await stuck.ended());
    EXPECT_TRUE(co_await silent.ended()) << "an idle connection is closed without a word";

    // Each byte in time, the whole too late.
    Client dripping = co_await Client::connect(system, server.port());
    std::string request = get("/hello");
    for (char byte : request) {
        bool sent = co_await dripping.send(std::string(1, byte));
        if (!sent) break;
        ignore(co_await sleep(5ms), "a test that nobody cancels");
    }
    EXPECT_EQ((co_await dripping.receive()).status, 408);
    co_await stop(server);
}

TEST(Server, GivesUpPeersThatTakeTooLong) {
    in_virtual_time(100, slow_peers);
}

Task<void> long_idle(System system) {
    Server server = co_await start(system, ServerOptions().idle_timeout(10s));
    Client client = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await client.ask(get("/hello"))).status, 200);
    // Longer than a silent connection keeps its buffer.
    ignore(co_await sleep(2500ms), "a test that nobody cancels");
    EXPECT_EQ((co_await client.ask(post("/echo", std::string(5000, 'x')))).body.size(), 5000U);
    co_await stop(server);
}

TEST(Server, AnswersAfterALongSilence) {
    in_virtual_time(100, long_idle);
}

Task<void> vanishing_peers(System system) {
    Server server = co_await start(system);
    std::vector<std::string> beginnings = {
        "",
        "GET /he",
        get("/slow/3"),
        get("/large"),
        "POST /echo HTTP/1.1\r\nHost: a\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc"};
    for (const std::string& beginning : beginnings) {
        Client client = co_await Client::connect(system, server.port());
        EXPECT_TRUE(co_await client.send(beginning));
        client.close();
    }
    for (;;) {
        auto stats = co_await server.stats();
        EXPECT_TRUE(stats.has_value());
        if (!stats || stats->open == 0) break;
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    }
    Client client = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await client.ask(get("/hello"))).status, 200);
    co_await stop(server);
}

TEST(Server, EndsTheConnectionsOfPeersThatVanish) {
    on_both_engines(50, vanishing_peers);
}

Task<void> crowd(System system) {
    Server server = co_await start(system, ServerOptions().connections_max(2));
    Client first = co_await Client::connect(system, server.port());
    Client second = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await first.ask(get("/hello"))).status, 200);
    EXPECT_EQ((co_await second.ask(get("/hello"))).status, 200);

    Client third = co_await Client::connect(system, server.port());  // as far as the kernel goes
    EXPECT_TRUE(co_await third.send(get("/hello")));
    ignore(co_await sleep(20ms), "a test that nobody cancels");
    EXPECT_EQ((co_await server.stats())->open, 2U);
    first.close();
    EXPECT_EQ((co_await third.receive()).status, 200);
    co_await stop(server);
}

TEST(Server, KeepsToItsLimitOfConnections) {
    on_both_engines(50, crowd);
}

// ---- beginning and end --------------------------------------------------------------------------

Task<void> occupied(System system) {
    Server server = co_await start(system);
    EXPECT_NE(server.port(), 0);
    auto second = co_await serve(system, routes(),
                                 net_internal::on_transport(ServerOptions().port(server.port())));
    EXPECT_TRUE(!second && second.error() == Errc::already_registered);
    auto nowhere = co_await serve(system, routes(), ServerOptions().host("no address"));
    EXPECT_FALSE(nowhere.has_value());
    co_await stop(server);

    auto again = co_await serve(system, routes(),
                                net_internal::on_transport(ServerOptions().port(server.port())));
    EXPECT_TRUE(again.has_value()) << "the port is free again";
    if (again) co_await stop(*again);
}

TEST(Server, SaysWhenItCannotListen) {
    on_both_engines(30, occupied);
}

Task<void> drained(System system) {
    Server server = co_await start(system);
    Client idle = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await idle.ask(get("/hello"))).status, 200);
    std::vector<Client> busy;
    for (int i = 0; i < 5; ++i) {
        busy.push_back(co_await Client::connect(system, server.port()));
        EXPECT_TRUE(co_await busy.back().send(get("/slow/1000")));
    }
    ignore(co_await sleep(20ms), "the requests arrive");
    auto stopped = co_await server.stop(10s);
    EXPECT_TRUE(stopped.has_value());
    EXPECT_TRUE(co_await idle.ended());
    for (Client& client : busy) {
        Reply reply = co_await client.receive();
        EXPECT_EQ(reply.body, "/slow/1000") << "what is under way is finished, and not disturbed";
        EXPECT_NE(reply.head.find("\r\nConnection: close\r\n"), std::string::npos);
        EXPECT_TRUE(co_await client.ended());
    }
    auto late = co_await troupe::connect(system.engine(), Endpoint("127.0.0.1", server.port()));
    EXPECT_FALSE(late.has_value());
    EXPECT_TRUE((co_await server.stop(2s)).has_value()) << "twice does nothing";
    EXPECT_TRUE((co_await server.stats()).error() == Errc::actor_gone);
}

TEST(Server, FinishesWhatIsUnderWayBeforeItStops) {
    on_both_engines(50, drained);
}

Task<void> cut_short(System system) {
    Server server = co_await start(system);
    Client client = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await client.send(get("/slow/60000")));
    ignore(co_await sleep(20ms), "the request arrives");
    Duration before = system.now();
    auto stopped = co_await server.stop(100ms);
    EXPECT_TRUE(stopped.has_value());
    EXPECT_LT(system.now() - before, 5s);
    EXPECT_EQ((co_await client.receive()).status, 0) << "closed without an answer";
}

TEST(Server, EndsHandlersThatOutliveTheDrain) {
    on_both_engines(30, cut_short);
}

Task<void> abandoned(System system) {
    Server server = co_await start(system);
    Client idle = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await idle.ask(get("/hello"))).status, 200);
    Client busy = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await busy.send(get("/slow/10")));
}

TEST(Server, EndsWithItsSystem) {
    on_both_engines(50, abandoned);
}

Task<void> restarted(System system) {
    for (int i = 0; i < 20; ++i) {
        Server server = co_await start(system);
        Client client = co_await Client::connect(system, server.port());
        EXPECT_EQ((co_await client.ask(get("/hello"))).status, 200);
        co_await stop(server);
        EXPECT_TRUE(co_await client.ended());
    }
    EXPECT_LE(system.actors().size(), 1U) << "nothing is left of them";
}

TEST(Server, StartsAndStopsAgainAndAgain) {
    on_both_engines(10, restarted);
}

Task<void> thousand_times(System system) {
    for (int i = 0; i < 1000; ++i) {
        Server server = co_await start(system);
        Client client = co_await Client::connect(system, server.port());
        EXPECT_EQ((co_await client.ask(get("/hello"))).status, 200);
        client.close();
        co_await stop(server);
    }
    EXPECT_LE(system.actors().size(), 1U) << "nothing is left of them";
}

TEST(Server, LeavesNothingBehindAfterAThousandStops) {
    std::uint64_t before = block_pool_stats().live_bytes;
    in_virtual_time(2, thousand_times);
    EXPECT_LE(block_pool_stats().live_bytes, before + 100'000);
}

// Goal: no request is lost to a stop. Method: the server begins to stop while requests are on their
// way on connections that are idle as far as it knows.
Task<void> late_requests(System system) {
    Server server = co_await start(system);
    constexpr int kClients = 20;
    std::vector<Client> clients;
    for (int i = 0; i < kClients; ++i) {
        clients.push_back(co_await Client::connect(system, server.port()));
        EXPECT_EQ((co_await clients.back().ask(get("/hello"))).status, 200);
    }
    auto tally = system.spawn<Tally>();
    auto stopper = system.spawn<Stopper>();
    stopper.tell<&Stopper::stop_server>(server, tally);
    ignore(co_await sleep(1ms), "a test that nobody cancels");
    for (Client& client : clients)
        EXPECT_TRUE(co_await client.send(get("/slow/20")));
    for (Client& client : clients) {
        Reply reply = co_await client.receive();
        EXPECT_EQ(reply.body, "/slow/20");
        EXPECT_NE(reply.head.find("\r\nConnection: close\r\n"), std::string::npos);
        EXPECT_TRUE(co_await client.ended());
    }
    for (int finished = 0; finished == 0;) {
        ignore(co_await sleep(1ms), "a test that nobody cancels");
        finished = *co_await tally.ask<&Tally::finished>();
    }
}

TEST(Server, AnswersRequestsThatWereOnTheirWayWhenItBeganToStop) {
    in_virtual_time(100, late_requests);
}

Task<void> hundred_in_flight(System system) {
    Server server = co_await start(system);
    std::vector<Client> clients;
    for (int i = 0; i < 100; ++i) {
        clients.push_back(co_await Client::connect(system, server.port()));
        EXPECT_TRUE(co_await clients.back().send(get("/slow/500")));
    }
    ignore(co_await sleep(50ms), "the requests arrive");
    Duration before = system.now();
    EXPECT_TRUE((co_await server.stop(2s)).has_value());
    EXPECT_LT(system.now() - before, 1500ms);
    for (Client& client : clients)
        EXPECT_EQ((co_await client.receive()).body, "/slow/500");
}

TEST(Server, DrainsAHundredRequestsAndReturnsSoonAfterTheLast) {
    in_virtual_time(10, hundred_in_flight);
}

/// A program that serves until it is asked to end, while requests are under way. Its exit code says
/// how many of them were answered.
Task<int> serve_until_asked_to_end(System& system) {
    Server server = co_await start(system);
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(co_await Client::connect(system, server.port()));
        const bool asked = co_await clients.back().send(get("/slow/50"));
        EXPECT_TRUE(asked);
    }
    for (std::uint64_t accepted = 0; accepted < clients.size();) {
        ignore(co_await sleep(1ms), "until all are there");
        const auto stats = co_await server.stats();
        accepted = stats ? stats->accepted : clients.size();
    }
    ::kill(::getpid(), SIGTERM);
    co_await system.stop_requested();
    co_await stop(server);
    int answered = 0;
    for (Client& client : clients) {
        const Reply reply = co_await client.receive();
        answered += reply.body == "/slow/50" ? 1 : 0;
    }
    co_return answered;
}

TEST(ServerDeathTest, AnswersWhatIsUnderWayWhenItsProcessIsAskedToEnd) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(std::exit(run(0, nullptr, serve_until_asked_to_end)), testing::ExitedWithCode(20),
                "");
}

/// Serves from within an actor.
class Host : public Actor {
public:
    Task<int> host() {
        Server server = co_await start(system());
        Server second = co_await start(system());
        int good = 0;
        for (std::uint16_t port : {server.port(), second.port()}) {
            Client client = co_await Client::connect(system(), port);
            Reply reply = co_await client.ask(get("/hello"));
            good += reply.status == 200 ? 1 : 0;
            client.close();
        }
        EXPECT_NE(server.port(), second.port());
        co_await stop(server);
        co_await stop(second);
        co_return good;
    }
};

Task<void> hosted(System system) {
    auto first = system.spawn<Host>();
    auto second = system.spawn<Host>();
    auto both = co_await first.ask<&Host::host>();
    auto more = co_await second.ask<&Host::host>();
    EXPECT_TRUE(both && *both == 2);
    EXPECT_TRUE(more && *more == 2);
}

TEST(Server, RunsBesideOthersAndFromWithinActors) {
    on_both_engines(30, hosted);
}

TEST(Server, IsServedFromSeveralThreadsAtOnce) {
    OwnedSystem system;
    std::atomic<int> good = 0;  // by the threads, read behind their join
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&system, &good] {
            good += system->block_on(system->spawn<Host>().ask<&Host::host>()).value_or(0);
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(good, 8);
    system.stop();
}

// ---- what it costs ------------------------------------------------------------------------------

/// The same requests again and again, before and after which somebody may count.
class Repeater : public Actor {
public:
    Task<void> connect(std::uint16_t port) {
        client_.emplace(co_await Client::connect(system(), port));
    }
    Task<int> repeat(std::string request, int times) {
        int good = 0;
        for (int i = 0; i < times; ++i) {
            auto sent = co_await client_->stream().write_all(request);
            char buffer[4096];
            auto got = co_await client_->stream().read_some(buffer);
            good +=
                sent && got && std::string_view(buffer, *got).starts_with("HTTP/1.1 200") ? 1 : 0;
        }
        co_return good;
    }

private:
    std::optional<Client> client_;
};

#if TROUPE_COUNTS_ALLOCATIONS
TEST(Server, AllocatesNothingForARequestInSteadyState) {
    OwnedSystem system;
    Server server = system->block_on(start(*system));
    auto repeater = system->spawn<Repeater>();
    ASSERT_TRUE(system->block_on(repeater.ask<&Repeater::connect>(server.port())).has_value());
    for (const std::string& request : {get("/hello"), get("/hello") + get("/hello"),
                                       post("/echo", std::string(1000, 'x')), get("/slow/0")}) {
        constexpr int kTimes = 500;
        ASSERT_EQ(system->block_on(repeater.ask<&Repeater::repeat>(request, kTimes)), kTimes);
        std::uint64_t before = allocations.load(std::memory_order_relaxed);
        std::uint64_t reserved = block_pool_stats().reserved_bytes;
        ASSERT_EQ(system->block_on(repeater.ask<&Repeater::repeat>(request, kTimes)), kTimes);
        // Starting to measure costs some itself: the message, the reply, the waiting thread.
        EXPECT_LT(allocations.load(std::memory_order_relaxed) - before, 50U) << request;
        // A worker that gets its first request of the kind only now takes its share of the pool.
        constexpr std::uint64_t kShare = 256 * 1024;
        EXPECT_LE(block_pool_stats().reserved_bytes - reserved, kShare) << request;
    }
    system->block_on(stop(server));
    system.stop();
}
#endif

}  // namespace
}  // namespace troupe::http
