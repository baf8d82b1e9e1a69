/// Runs a server on sockets and prints what no unit test may depend on: what an idle server and an
/// idle connection cost, how soon others are answered and how late a ticker is beside peers that
/// never read or never finish, what a machine without descriptors does to it, and what is left
/// behind after many requests, many connections and many stops.
///
/// Usage: http_soak [connections to hold, as many as the limit on descriptors allows]
///                  [requests with a body, a million]
/// It fails when a request goes unanswered or something is left behind.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/clock.hpp>
#include <troupe/base/internal/test_arguments.hpp>
#include <troupe/base/log.hpp>
#include <troupe/http/internal/test_soak.hpp>
#include <troupe/http/server.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace troupe;
using namespace http_internal;

void limit_files(std::size_t files) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = files;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

http::Router routes() {
    http::Router router;
    router.get("/health", [](const http::Request&) { return http::ok("ok"); });
    router.post("/size", [](const http::Request& request) {
        return http::ok(std::to_string(request.body.size()));
    });
    router.get("/large", [](const http::Request&) {
        return http::stream("text/plain", [](http::BodyWriter out) -> Task<Result<void>> {
            std::string piece(100'000, 'x');
            for (int i = 0; i < 100; ++i)
                co_await or_return(co_await out.write(piece));
            co_return Result<void>();
        });
    });
    router.get("/crash",
               [](const http::Request&) -> http::Response { throw std::runtime_error("planted"); });
    return router;
}

http::Server start(System system) {
    auto server = system.block_on(http::serve(system, routes()));
    if (!server) {
        std::printf("cannot serve: %s\n", server.error().text().c_str());
        std::exit(1);
    }
    return *server;
}

void stop(System system, http::Server server, Duration drain = 1s) {
    expect(system.block_on(server.stop(drain)).has_value(), "the server stops");
}

/// How long /health takes at most and in the median, in milliseconds.
void print_health(const char* beside, std::uint16_t port, std::uint32_t from = 0) {
    std::vector<double> took;
    for (int i = 0; i < 200; ++i) {
        Duration before = monotonic_now();
        Peer peer(port, from);
        expect(peer.ask("/health"), "/health answers");
        took.push_back(static_cast<double>((monotonic_now() - before).count()) / 1e6);
    }
    std::sort(took.begin(), took.end());
    std::printf("  /health %s: median %.2f ms, worst %.2f ms\n", beside, took[took.size() / 2],
                took.back());
}

void no_connections(System system) {
    http::Server server = start(system);
    const Duration before = processor_time();
    std::this_thread::sleep_for(10s);
    const Duration used = processor_time() - before;
    std::printf("no connections: %.3f %% of a processor in 10 s\n",
                static_cast<double>(used.count()) / 1e8);
    expect(used < 100ms, "it waits without spinning");
    stop(system, server);
}

void idle_connections(System system, std::size_t wanted) {
    // Of its 28,000 ports; with most of them taken the kernel looks long for a free one.
    constexpr std::size_t kPerAddress = 10'000;
    constexpr std::uint32_t kOnlookersAddress = 100;
    const std::size_t count = std::min(wanted, file_limit() - open_files() - 100);
    http::Server server = start(system);
    const std::int64_t before = resident_bytes();
    Companion peers([&](int hear, int tell) {
        std::vector<Peer> all;
        bool answered = true;
        for (std::size_t i = 0; i < count; ++i) {
            all.emplace_back(server.port(), static_cast<std::uint32_t>(i / kPerAddress));
            answered = all.back().ask("/health") && answered;
        }
        Companion::send(tell, answered);
        Companion::receive(hear);
        for (Peer& peer : all)
            answered = peer.ask("/health") && answered;
        Companion::send(tell, answered);
        Companion::receive(hear);
    });
    auto each = [&] { return static_cast<std::size_t>(resident_bytes() - before) / count; };
    expect(peers.wait(), "every connection is answered");
    std::printf("idle: %zu connections, %zu bytes each at once\n", count, each());
    std::this_thread::sleep_for(4s);
    print_health("beside them", server.port(), kOnlookersAddress);
    peers.go_on();
    expect(peers.wait(), "every idle connection is answered again");
    std::printf("  %zu bytes each when all have been asked again\n", each());
    peers.go_on();
    stop(system, server);
}

void bad_peers(System system) {
    http::Server server = start(system);
    const Ref<Ticker> ticker = system.spawn<Ticker>();
    std::printf("bad peers: 40 that never read 10 MB, 200 that never finish a request\n");
    print_health("alone", server.port());
    print_ticker(system, ticker, "alone");
    std::vector<Peer> peers;
    for (int i = 0; i < 40; ++i) {
        peers.emplace_back(server.port());
        expect(peers.back().send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n"), "it can be sent");
    }
    for (int i = 0; i < 200; ++i) {
        peers.emplace_back(server.port());
        expect(peers.back().send("GET /health HTTP/1.1\r\nHo"), "it can be sent");
    }
    print_health("beside them", server.port());
    print_ticker(system, ticker, "beside them");
    peers.clear();
    ticker.stop();
    stop(system, server);
}

/// The second half of the requests must not need more memory than the first has left.
void many_bodies(System system, std::size_t requests) {
    http::Server server = start(system);
    const std::string body(10'000, 'x');
    const std::string request =
        "POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n" + body;
    std::vector<Peer> peers;
    peers.reserve(8);
    for (int i = 0; i < 8; ++i)
        peers.emplace_back(server.port());
    std::int64_t middle = 0;
    for (std::size_t i = 0; i < requests; ++i) {
        Peer& peer = peers[i % peers.size()];
        const bool answered = peer.send(request) && peer.receive("200");
        expect(answered, "a body is answered");
        if (!answered) break;
        if (i == requests / 2) middle = resident_bytes();
    }
    const auto grown = resident_bytes() - middle;
    std::printf("bodies of 10,000 bytes: %zu, %+ld bytes during the second half of them\n",
                requests, grown);
    expect(grown < 2'000'000, "memory does not grow");
    peers.clear();
    stop(system, server);
}

void many_connections(System system) {
    constexpr int kConnections = 50'000;
    http::Server server = start(system);
    std::size_t files = 0;
    std::int64_t memory = 0;
    for (int i = 0; i < 2 * kConnections; ++i) {
        if (i == kConnections) {
            files = open_files();
            memory = resident_bytes();
        }
        Peer peer(server.port());
        expect(peer.ask("/health"), "it is answered");
    }
    auto grown = resident_bytes() - memory;
    std::printf("connect, ask, close: %d times after as many; %+ld bytes, %+ld descriptors\n",
                kConnections, grown, static_cast<long>(open_files()) - static_cast<long>(files));
    stop(system, server);
    expect(grown < 4'000'000, "memory does not grow");
}

void crashes(System system) {
    http::Server server = start(system);
    int good_ones = 0;
    Peer keeper(server.port());
    for (int i = 0; i < 1000; ++i) {
        Peer peer(server.port());
        expect(peer.ask("/crash", "500"), "a crash is told");
        for (int k = 0; k < 10; ++k)
            good_ones += keeper.ask("/health") ? 1 : 0;
    }
    std::printf("crashes: 1000, and %d of 10000 good requests answered beside them\n", good_ones);
    expect(good_ones == 10'000, "nobody else is hurt");
    stop(system, server);
}

void no_descriptors(System system) {
    http::Server server = start(system);
    Peer kept(server.port());
    expect(kept.ask("/health"), "it is answered");
    std::vector<Peer> peers;
    limit_files(open_files() + 40);
    while (true) {
        peers.emplace_back(server.port());
        if (!peers.back().is_open()) break;
    }
    peers.pop_back();
    Duration used = processor_time();
    std::this_thread::sleep_for(2s);
    used = processor_time() - used;
    int answered = 0;
    for (int i = 0; i < 100; ++i)
        answered += kept.ask("/health") ? 1 : 0;
    std::printf("no descriptors: %.1f %% of a processor, %d of 100 answered on a kept connection\n",
                static_cast<double>(used.count()) / 2e7, answered);
    expect(answered == 100, "a kept connection is served");
    expect(used < 200ms, "it does not spin");

    // Few enough that there is room for both ends of all, those in the backlog included.
    peers.resize(peers.size() / 4);
    Duration before = monotonic_now();
    Peer late(server.port());
    expect(late.ask("/health"), "it recovers");
    std::printf("  recovers within %.0f ms of their being free\n",
                static_cast<double>((monotonic_now() - before).count()) / 1e6);
    file_limit();
    peers.clear();
    stop(system, server);
}

void many_stops(System system) {
    constexpr int kTimes = 1000;
    std::size_t files = 0;
    std::size_t threads = 0;
    std::int64_t memory = 0;
    for (int i = 0; i < kTimes; ++i) {
        http::Server server = start(system);
        Peer peer(server.port());
        expect(peer.ask("/health"), "it is answered");
        peer.close();
        stop(system, server, 20ms);
        if (i != kTimes / 10) continue;
        files = open_files();
        threads = entries("/proc/self/task");
        memory = resident_bytes();
    }
    std::printf("start and stop: %d times; %+ld descriptors, %+ld threads, %+ld bytes\n", kTimes,
                static_cast<long>(open_files()) - static_cast<long>(files),
                static_cast<long>(entries("/proc/self/task")) - static_cast<long>(threads),
                resident_bytes() - memory);
    expect(open_files() <= files, "no descriptor is left");
    expect(entries("/proc/self/task") <= threads, "no thread is left");
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::size_t connections =
        base_internal::count_argument(argc, argv, 1, "idle connections", 1'000'000);
    const std::size_t requests = base_internal::count_argument(argc, argv, 2, "bodies", 1'000'000);
    OwnedSystem system;
    no_connections(*system);
    bad_peers(*system);
    many_bodies(*system, requests);
    many_connections(*system);
    many_stops(*system);
    no_descriptors(*system);
    crashes(*system);
    idle_connections(*system, connections);
    system.stop();
    return good ? 0 : 1;
}
