/// What the others feel when an actor does not let go of its worker: a ticker, an HTTP endpoint and
/// 10,000 polite actors are measured on two workers, first alone, then beside one hog, then beside
/// as many hogs as there are workers.
///
/// Usage: hog_soak [seconds for each of the three, 5]
/// It fails when a message is lost, a tick is early, or a hog is not named in a report.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/counter.hpp>
#include <troupe/base/internal/test_arguments.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/http/server.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace troupe;

constexpr std::size_t kWorkers = 2;
constexpr std::size_t kPoliteActors = 10'000;
constexpr int kMessagesPerBatch = 100;  // each millisecond: 100,000 a second
constexpr Duration kHogTurn = 150ms;

struct Latencies {
    Histogram ticks;
    Histogram messages;
    Histogram requests;
    std::atomic<std::uint64_t> early_ticks{0};      // the ticker writes, main reads
    std::atomic<std::uint64_t> messages_sent{0};    // the generator writes, main reads
    std::atomic<std::uint64_t> requests_failed{0};  // the prober writes, main reads
};

std::uint64_t in_ns(Duration duration) {
    return duration > Duration::zero() ? static_cast<std::uint64_t>(duration.count()) : 0;
}

class Polite : public Actor {
public:
    explicit Polite(Latencies& latencies) : latencies_(latencies) {}
    void take(Duration due) { latencies_.messages.add(in_ns(system().now() - due)); }

private:
    Latencies& latencies_;
};

/// Sends at fixed times, and counts from when a message was due: a generator that is late itself
/// must not make the others look good.
class Generator : public Actor {
public:
    Generator(Latencies& latencies, std::vector<Ref<Polite>> actors)
        : latencies_(latencies), actors_(std::move(actors)) {}

    Task<> run(Duration end) {
        for (Duration due = system().now(); due < end; due += 1ms) {
            const Duration early = due - system().now();
            Result<void> slept;
            if (early > Duration::zero()) slept = co_await sleep(early);
            if (!slept) co_return;
            for (int i = 0; i < kMessagesPerBatch; ++i) {
                const SendStatus status = actors_[next_].tell<&Polite::take>(due);
                if (status == SendStatus::sent) ++sent_;
                next_ = (next_ + 7) % actors_.size();
            }
        }
        latencies_.messages_sent = sent_;
    }

private:
    Latencies& latencies_;
    std::vector<Ref<Polite>> actors_;
    std::size_t next_ = 0;
    std::uint64_t sent_ = 0;
};

class Ticker : public Actor {
public:
    explicit Ticker(Latencies& latencies) : latencies_(latencies) {}
    Task<> run(Duration end) {
        for (;;) {
            const Duration due = system().now() + 10ms;
            if (due > end) co_return;
            const auto slept = co_await sleep(10ms);
            if (!slept) co_return;
            const Duration late = system().now() - due;
            if (late < Duration::zero()) ++latencies_.early_ticks;
            latencies_.ticks.add(in_ns(late));
        }
    }

private:
    Latencies& latencies_;
};

class Hog : public Actor {
public:
    void spin(Duration end) {
        const Duration until = system().now() + kHogTurn;
        while (system().now() < until)
            continue;
        if (until < end) self(this).tell<&Hog::spin>(end);
    }
};

/// One request on a kept connection; false when anything but a 200 comes back.
bool request_health(int fd) {
    static constexpr std::string_view kRequest = "GET /health HTTP/1.1\r\nHost: soak\r\n\r\n";
    if (::send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(kRequest.size())) {
        return false;
    }
    char answer[1024];
    std::size_t got = 0;
    while (got < sizeof answer) {
        const ssize_t more = ::recv(fd, answer + got, sizeof answer - got, 0);
        if (more <= 0) return false;
        got += static_cast<std::size_t>(more);
        const std::string_view so_far(answer, got);
        if (so_far.ends_with("\r\n\r\nok\n")) return so_far.starts_with("HTTP/1.1 200");
    }
    return false;
}

/// A thread of its own, as a client on another machine would be.
void probe(std::uint16_t port, Latencies& latencies, std::chrono::steady_clock::time_point end) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool good = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    while (good && std::chrono::steady_clock::now() < end) {
        const auto began = std::chrono::steady_clock::now();
        good = request_health(fd);
        if (good) latencies.requests.add(in_ns(std::chrono::steady_clock::now() - began));
        std::this_thread::sleep_for(2ms);
    }
    if (!good) ++latencies.requests_failed;
    ::close(fd);
}

void print(const char* what, const Histogram& histogram) {
    const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1000; };
    std::printf("  %-28s %8llu   %9.0f %9.0f %9.0f %9.0f\n", what,
                static_cast<unsigned long long>(histogram.count()), us(histogram.percentile(0.5)),
                us(histogram.percentile(0.99)), us(histogram.percentile(0.999)),
                us(histogram.max()));
}

/// True when nothing was lost, early or refused.
bool measure(std::size_t hogs, Duration length) {
    ThreadedOptions options;
    options.workers = kWorkers;
    OwnedSystem system(make_threaded_engine(options));
    Latencies latencies;

    http::Router router;
    router.get("/health", [](const http::Request&) { return http::ok("ok\n"); });
    auto server = system->block_on(http::serve(*system, std::move(router)));
    if (!server) {
        std::printf("cannot serve: %s\n", server.error().text().c_str());
        return false;
    }
    std::vector<Ref<Polite>> polite;
    polite.reserve(kPoliteActors);
    for (std::size_t i = 0; i < kPoliteActors; ++i)
        polite.push_back(system->spawn<Polite>(latencies));
    auto ticker = system->spawn<Ticker>(latencies);
    auto generator = system->spawn<Generator>(latencies, polite);

    const Duration end = system->now() + length;
    const auto prober_end = std::chrono::steady_clock::now() + length;
    for (std::size_t i = 0; i < hogs; ++i)
        system->spawn<Hog>().tell<&Hog::spin>(end);
    ticker.tell<&Ticker::run>(end);
    generator.tell<&Generator::run>(end);
    std::thread prober(probe, server->port(), std::ref(latencies), prober_end);
    prober.join();
    system.stop(30s);

    std::printf("%zu hog%s of %lld ms turns on %zu workers\n", hogs, hogs == 1 ? "" : "s",
                static_cast<long long>(kHogTurn / 1ms), kWorkers);
    std::printf("  %-28s %8s   %9s %9s %9s %9s\n", "microseconds late", "count", "p50", "p99",
                "p99.9", "max");
    print("ticker, every 10 ms", latencies.ticks);
    print("100,000 messages a second", latencies.messages);
    print("GET /health", latencies.requests);

    const std::uint64_t lost = latencies.messages_sent - latencies.messages.count();
    if (lost != 0) std::printf("  LOST: %llu messages\n", static_cast<unsigned long long>(lost));
    if (latencies.early_ticks != 0) std::printf("  a tick was EARLY\n");
    if (latencies.requests_failed != 0) std::printf("  a request FAILED\n");
    return lost == 0 && latencies.early_ticks == 0 && latencies.requests_failed == 0;
}

}  // namespace

int main(int argc, char** argv) {
    const Duration length = std::chrono::seconds(
        troupe::base_internal::count_argument(argc, argv, 1, "seconds of each part", 5));
    std::atomic<unsigned> reports{0};
    set_log_sink([&](LogLevel, std::string_view line) {
        if (line.find("Hog::spin") != std::string_view::npos && reports++ == 0) {
            std::printf("the first report:\n  %.*s\n", static_cast<int>(line.size()), line.data());
        }
    });
    bool good = true;
    for (const std::size_t hogs : {std::size_t{0}, std::size_t{1}, kWorkers})
        good = measure(hogs, length) && good;
    set_log_sink(nullptr);
    if (reports == 0) {
        std::puts("no report has named Hog::spin");
        good = false;
    }
    std::puts(good ? "hog_soak: good" : "hog_soak: FAILED");
    return good ? 0 : 1;
}
