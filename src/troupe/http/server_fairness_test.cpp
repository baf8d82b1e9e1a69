// What some peers do, or what breaks beneath them, must not be felt by the others: peers that
// stall, handlers that block or crash, too many requests, no descriptors, connections that are
// reset.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// Deeper than any stack. Each call looks at the frame of its caller, so that none can be left out.
std::size_t descend(std::size_t depth, const std::array<char, 1024>& above) {
    std::array<char, 1024> frame;
    frame.fill(static_cast<char>(above[depth % above.size()] + 1));
    if (depth == 0) return 0;
    return descend(depth - 1, frame) + static_cast<unsigned char>(frame[depth % frame.size()]);
}

Router routes() {
    Router router;
    router.get("/hello", [](const Request&) { return ok("hello"); });
    router.post("/echo", [](Request request) { return ok(std::move(request.body)); });
    router.post("/size",
                [](const Request& request) { return ok(std::to_string(request.body.size())); });
    router.get("/endless", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            std::string piece(10'000, 'x');
            for (int i = 0; i < 1000; ++i)
                co_await or_return(co_await out.write(piece));
            co_return Result<void>();
        });
    });
    router.get("/crash",
               [](const Request&) -> Response { throw std::runtime_error("a planted crash"); });
    router.get("/abyss", [](const Request&) {
        return ok(std::to_string(descend(std::size_t{1} << 40U, {})));
    });
    return router;
}

Task<Server> start(System system, ServerOptions options = ServerOptions()) {
    return serve_on_transport(system, routes(), std::move(options));
}

/// Waits until so many connections are open.
Task<void> until_open(Server server, std::size_t count) {
    for (;;) {
        auto stats = co_await server.stats();
        EXPECT_TRUE(stats.has_value());
        if (!stats || stats->open == count) co_return;
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    }
}

// ---- peers that stall ---------------------------------------------------------------------------

/// Knows the longest time between two of its ticks.
class Ticker : public Actor {
public:
    static constexpr Duration kEach = 10ms;

    Ticker() { every<&Ticker::tick>(kEach); }
    Duration longest() const { return longest_; }

private:
    void tick() {
        const Duration now = system().now();
        if (last_ != Duration::zero()) longest_ = std::max(longest_, now - last_);
        last_ = now;
    }

    Duration last_{};
    Duration longest_{};
};

Task<void> stalling_peers(System system) {
    Server server = co_await start(system);
    const Ref<Ticker> ticker = system.spawn<Ticker>();
    std::vector<Client> stalled;
    for (int i = 0; i < 40; ++i) {
        stalled.push_back(co_await Client::connect(system, server.port()));
        const bool asked = co_await stalled.back().send(get("/endless"));
        EXPECT_TRUE(asked);
    }
    for (int i = 0; i < 200; ++i) {
        stalled.push_back(co_await Client::connect(system, server.port()));
        const bool begun = co_await stalled.back().send(get("/hello").substr(0, 1 + i % 30));
        EXPECT_TRUE(begun);
    }
    for (int i = 0; i < 50; ++i) {
        const Duration before = system.now();
        Client client = co_await Client::connect(system, server.port());
        const Reply reply = co_await client.ask(get("/hello"));
        EXPECT_EQ(reply.status, 200);
        EXPECT_LT(system.now() - before, 50ms);
    }
    const auto longest = co_await ticker.ask<&Ticker::longest>();
    EXPECT_TRUE(longest && *longest <= Ticker::kEach + 20ms);
    ticker.stop();
    stalled.clear();
    co_await stop(server);
}

TEST(ServerFairness, PeersThatStallDelayNobodyElse) {
    in_virtual_time(5, stalling_peers);
}

// Goal: work that blocks a thread, declared as such, holds up only those who asked for it. Method:
// it ends only when the others have been answered, on as few workers as there can be.
TEST(ServerFairness, HandlersThatBlockInTheBlockingPoolDelayNobodyElse) {
    actor_internal::on_threads(1, [](OwnedSystem& owned) {
        Latch others_answered;
        Router router = routes();
        router.get("/blocks", [&others_answered](Request) -> Task<Response> {
            auto block = [&others_answered] { others_answered.wait(); };
            const auto waited = co_await offload(block);
            co_return ok(waited ? "waited" : "refused");
        });
        auto body = [](System system, Router all, Latch* answered) -> Task<void> {
            auto server =
                co_await serve(system, std::move(all), net_internal::on_transport<ServerOptions>());
            EXPECT_TRUE(server.has_value());
            std::vector<Client> blocked;
            for (int i = 0; i < 8; ++i) {
                blocked.push_back(co_await Client::connect(system, server->port()));
                const bool asked = co_await blocked.back().send(get("/blocks"));
                EXPECT_TRUE(asked);
            }
            Client client = co_await Client::connect(system, server->port());
            for (int i = 0; i < 100; ++i) {
                const Reply reply = co_await client.ask(get("/hello"));
                EXPECT_EQ(reply.status, 200);
            }
            answered->open();
            for (Client& one : blocked) {
                const Reply reply = co_await one.receive();
                EXPECT_EQ(reply.body, "waited");
            }
            co_await stop(*server);
        };
        owned->block_on(body(*owned, std::move(router), &others_answered));
    });
}

// ---- handlers that fail -------------------------------------------------------------------------

Task<void> thousand_crashes(System system) {
    Server server = co_await start(system);
    Client keeper = co_await Client::connect(system, server.port());
    for (int i = 0; i < 1000; ++i) {
        Client client = co_await Client::connect(system, server.port());
        const Reply crash = co_await client.ask(get("/crash"));
        EXPECT_EQ(crash.status, 500);
        for (int k = 0; k < 10; ++k) {
            const Reply good = co_await keeper.ask(get("/hello"));
            EXPECT_EQ(good.status, 200);
            if (good.status != 200) co_return;
        }
    }
    co_await until_open(server, 1);
    const auto stats = co_await server.stats();
    EXPECT_TRUE(stats && stats->failed == 1000);
    EXPECT_TRUE(stats && stats->accepted == 1001) << "none is started again";
    co_await stop(server);
}

TEST(ServerFairness, AThousandCrashesAreCountedAndHurtNoneOfTenThousandRequests) {
    in_virtual_time(1, thousand_crashes);
}

// There is no way back from the guard page: what is promised is that it is met, at once, rather
// than another thread's memory.
TEST(ServerFairnessDeathTest, AStackThatOverflowsEndsTheProcess) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    auto fall = [](System system) -> Task<void> {
        Server server = co_await start(system);
        Client client = co_await Client::connect(system, server.port());
        const Reply reply = co_await client.ask(get("/abyss"));
        EXPECT_EQ(reply.status, 200);
    };
    EXPECT_DEATH(
        {
            OwnedSystem system;
            system->block_on(fall(*system));
        },
        "");
}

// ---- too many requests --------------------------------------------------------------------------

Task<void> hasty_peers(System system) {
    Server server = co_await start(system, ServerOptions().requests_per_second_max(10, 5));
    Client first = co_await Client::connect(system, server.port());
    std::string all;
    for (int i = 0; i < 8; ++i)
        all += get("/hello");
    const bool sent = co_await first.send(all);
    EXPECT_TRUE(sent);
    for (int i = 0; i < 8; ++i) {
        const Reply reply = co_await first.receive();
        EXPECT_EQ(reply.status, i < 5 ? 200 : 429) << i;
        const bool says_when = reply.head.find("\r\nRetry-After: 1\r\n") != std::string::npos;
        EXPECT_EQ(says_when, i >= 5);
    }

    Client second = co_await Client::connect(system, server.port());
    const Reply refused = co_await second.ask(post("/echo", "a body nobody reads"));
    EXPECT_EQ(refused.status, 429) << "a new connection is no new address";
    const bool ended = co_await second.ended();
    EXPECT_TRUE(ended) << "what comes of the body is no request";
    second.close();

    ignore(co_await sleep(150ms), "a test that nobody cancels");
    const Reply later = co_await first.ask(get("/hello"));
    EXPECT_EQ(later.status, 200);
    const Reply again = co_await first.ask(get("/hello"));
    EXPECT_EQ(again.status, 429);
    co_await stop(server);
}

TEST(ServerFairness, AnswersNoMoreRequestsOfAnAddressThanItMay) {
    in_virtual_time(50, hasty_peers);
}

// ---- a bad network ------------------------------------------------------------------------------

Task<void> patient_clients(System system, std::uint16_t port) {
    for (int i = 0; i < 30; ++i) {
        Client client = co_await Client::connect(system, port);
        const Reply reply = co_await client.ask(get("/hello"));
        EXPECT_EQ(reply.status, 200);
    }
}

TEST(ServerFairness, WaitsForDescriptorsAndServesThoseItHas) {
    in_virtual_time(50, [](System& system) {
        const Server server = system.block_on(start(system));
        NetworkConditions conditions;
        conditions.failed_accepts_per_thousand = 400;
        set_network_conditions(system.engine(), conditions);
        system.block_on(patient_clients(system, server.port()));
        system.block_on(stop(server));
    });
}

/// Talks over a connection until that is reset. Adds what was answered, which is right or missing.
Task<void> talk(System system, std::uint16_t port, int* good, int* broken) {
    auto stream =
        co_await net_internal::connect_on_transport(system.engine(), Endpoint("127.0.0.1", port));
    if (!stream) co_return;
    Client client(std::move(*stream));
    for (int i = 0; i < 10; ++i) {
        const std::string body(static_cast<std::size_t>(i) * 300, static_cast<char>('a' + i));
        ignore(co_await client.send(post("/echo", body) + get("/hello")), "the answers will tell");
        for (const std::string& expected : {body, std::string("hello")}) {
            const Reply reply = co_await client.receive();
            if (reply.status != 200) {
                ++*broken;
                co_return;
            }
            EXPECT_EQ(reply.body, expected) << "an answer is right or there is none";
            ++*good;
        }
    }
}

TEST(ServerFairness, AnswersRightOrNotAtAllOverABrokenNetworkAndLosesNoConnection) {
    int runs = 0;
    int good = 0;
    int broken = 0;
    in_virtual_time(200, [&](System& system) {
        ++runs;
        const Server server = system.block_on(start(system));
        NetworkConditions conditions;
        conditions.resets_per_thousand = 25;
        set_network_conditions(system.engine(), conditions);
        for (int i = 0; i < 6; ++i)
            system.block_on(talk(system, server.port(), &good, &broken));

        conditions.resets_per_thousand = 0;
        set_network_conditions(system.engine(), conditions);
        system.block_on(until_open(server, 0));
        const int before = good;
        system.block_on(talk(system, server.port(), &good, &broken));
        EXPECT_EQ(good - before, 20) << "the server has survived";
        system.block_on(stop(server));
    });
    EXPECT_GT(good, runs * 5);
    EXPECT_GT(broken, runs / 2);
}

// ---- what many requests leave behind ------------------------------------------------------------

Task<void> many_uploads(System system) {
    Server server = co_await start(system);
    Client client = co_await Client::connect(system, server.port());
    const std::string upload = post("/size", std::string(10'000, 'x'));
    std::uint64_t reserved = 0;
    for (int i = 0; i < 2000; ++i) {
        const Reply reply = co_await client.ask(upload);
        EXPECT_EQ(reply.body, "10000");
        if (i == 100) reserved = block_pool_stats().reserved_bytes;
    }
    EXPECT_EQ(block_pool_stats().reserved_bytes, reserved);
    co_await stop(server);
}

TEST(ServerFairness, HoldsNothingOfTheRequestsItHasAnswered) {
    in_virtual_time(2, many_uploads);
}

/// The pieces in which the answers to sixteen requests at once arrive.
Task<std::vector<std::size_t>> answers_to_sixteen(System system, std::uint16_t port) {
    std::string all;
    for (int i = 0; i < 16; ++i)
        all += get("/hello");
    Client client = co_await Client::connect(system, port);
    const bool sent = co_await client.send(all);
    EXPECT_TRUE(sent);
    std::vector<std::size_t> pieces;
    std::size_t answers = 0;
    while (answers < 16) {
        char buffer[10'000];
        const auto got = co_await client.stream().read_some(buffer);
        if (!got || *got == 0) break;
        const std::string_view piece(buffer, *got);
        pieces.push_back(0);
        for (std::size_t at = piece.find("HTTP/1.1 200"); at != std::string_view::npos;
             at = piece.find("HTTP/1.1 200", at + 1))
            ++pieces.back();
        answers += pieces.back();
    }
    co_return pieces;
}

TEST(ServerFairness, AnswersPipelinedRequestsInOneWrite) {
    in_virtual_time(20, [](System& system) {
        NetworkConditions conditions;
        conditions.splits = false;
        set_network_conditions(system.engine(), conditions);
        const Server server = system.block_on(start(system));
        const auto pieces = system.block_on(answers_to_sixteen(system, server.port()));
        EXPECT_EQ(pieces, std::vector<std::size_t>{16});
        system.block_on(stop(server));
    });
}

}  // namespace
}  // namespace troupe::http
