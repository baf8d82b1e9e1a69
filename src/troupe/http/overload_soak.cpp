/// Prints what shedding does, on sockets: 64 clients, each of which asks again at once, want more
/// of a server than its workers can do. Once the server takes all, and once it refuses what makes
/// everybody wait for a worker for more than 20 ms. A client that is refused waits for 20 ms.
///
/// Usage: overload_soak [seconds, 3]
/// It fails when nothing is served or refused, or the check of its health is ever refused.
/// The clients are a process of their own on the same machine: they take processor time from it.

#include <troupe/actor/system.hpp>
#include <troupe/http/internal/test_soak.hpp>
#include <troupe/http/server.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace troupe;
using namespace http_internal;

constexpr int kClients = 64;
constexpr Duration kWork = 2ms;

/// What one client has seen.
struct Seen {
    std::vector<double> served;  // milliseconds
    int refused = 0;
};

double percentile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

Duration processor_time_of_thread() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Asks until told to stop.
void ask(std::uint16_t port, const char* path, Duration pause, const std::atomic<bool>& stop,
         Seen& seen) {
    Peer peer(port);
    while (!stop.load() && peer.is_open()) {
        const auto before = std::chrono::steady_clock::now();
        char buffer[1024];
        peer.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n");
        const std::ptrdiff_t got = peer.receive_some(buffer, sizeof buffer);
        if (got <= 12) return;
        const std::chrono::duration<double, std::milli> took =
            std::chrono::steady_clock::now() - before;
        const bool served = std::string_view(buffer, 12).substr(9) == "200";
        if (served) seen.served.push_back(took.count());
        if (!served) ++seen.refused;
        std::this_thread::sleep_for(served ? pause : 20ms);
    }
}

/// The clients, in a process of their own.
bool clients(std::uint16_t port, int seconds, bool sheds) {
    std::vector<Seen> seen(kClients + 1);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    threads.reserve(seen.size());
    for (int i = 0; i < kClients; ++i) {
        threads.emplace_back(
            [&, i] { ask(port, "/work", 0ms, stop, seen[static_cast<std::size_t>(i)]); });
    }
    threads.emplace_back([&] { ask(port, "/healthy", 10ms, stop, seen.back()); });
    std::this_thread::sleep_for(std::chrono::seconds(seconds));
    stop.store(true);
    for (std::thread& thread : threads)
        thread.join();
    const Seen health = seen.back();
    seen.pop_back();
    Seen all;
    for (const Seen& one : seen) {
        all.served.insert(all.served.end(), one.served.begin(), one.served.end());
        all.refused += one.refused;
    }
    std::printf(
        "  %s: %5.0f served a second, %5.0f refused; served in %6.1f ms (median), %6.1f ms "
        "(99 of 100); health in %6.1f ms (median), %d refused\n",
        sheds ? "sheds    " : "takes all", static_cast<double>(all.served.size()) / seconds,
        static_cast<double>(all.refused) / seconds, percentile(all.served, 0.5),
        percentile(all.served, 0.99), percentile(health.served, 0.5), health.refused);
    std::fflush(stdout);
    return !all.served.empty() && (all.refused > 0) == sheds && health.refused == 0;
}

Task<Result<http::Server>> start(System system, bool sheds) {
    http::Router router;
    router.get("/work", [](const http::Request&) {
        const Duration until = processor_time_of_thread() + kWork;
        while (processor_time_of_thread() < until) {
        }
        return http::ok("done");
    });
    router.get("/healthy", [](const http::Request&) { return http::ok("yes"); });
    http::ServerOptions options;
    if (sheds) {
        options.overload(http::OverloadOptions().run_queue_wait_max(20ms).exempt("/healthy"));
    }
    return http::serve(system, std::move(router), options);
}

void run(int seconds, bool sheds) {
    // Turns that last do not bring in spare workers here, or on a machine that is busy otherwise
    // the line would be the machine's and not ours.
    ThreadedOptions threads;
    threads.stall_after = 10s;
    OwnedSystem system(make_threaded_engine(threads));
    Result<http::Server> server = system->block_on(start(*system, sheds));
    expect(server.has_value(), "the server listens");
    if (!server) return;
    std::fflush(stdout);  // or the clients say it again
    {
        const Companion peers(
            [&](int, int back) { Companion::send(back, clients(server->port(), seconds, sheds)); });
        expect(peers.wait(), "some are served, and who is refused is who should be");
    }
    const http::LoadStats load = server->load();
    std::printf("    at the end the wait for a worker was %.1f ms, and %.0f%% were refused\n",
                static_cast<double>(load.run_queue_wait.count()) / 1e6, load.shedding * 100);
    ignore(system->block_on(server->stop(1s)), "nobody is connected");
    system.stop();
}

}  // namespace

int main(int argc, char** argv) {
    const int seconds = argc > 1 ? std::atoi(argv[1]) : 3;
    std::printf("overload_soak: %d clients, requests of %lld ms of processor each\n", kClients,
                static_cast<long long>(kWork / 1ms));
    run(seconds, false);
    run(seconds, true);
    return good ? 0 : 1;
}
