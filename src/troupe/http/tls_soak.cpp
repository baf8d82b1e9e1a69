/// Runs a server with TLS on sockets and prints what no unit test may depend on: how long the
/// handshakes of a burst take, each of them and all together, how late a ticker is beside them,
/// what resumed ones cost, and how much memory a connection holds.
///
/// Usage: tls_soak [connections, 1000]
/// It fails when a handshake does. Both ends are in this process: the times are of both.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/clock.hpp>
#include <troupe/base/internal/test_arguments.hpp>
#include <troupe/http/internal/test_soak.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/tls.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace troupe;
using namespace http_internal;

/// What all of them have seen.
class Tally final : public Actor {
public:
    struct Sum {
        std::vector<double> took;  // milliseconds
        std::size_t resumed = 0;
        std::size_t failed = 0;
        std::size_t all() const { return took.size() + failed; }
    };

    void arrived(Duration took, bool resumed) {
        sum_.took.push_back(static_cast<double>(took.count()) / 1e6);
        if (resumed) ++sum_.resumed;
    }
    void failed(std::string why) {
        if (++sum_.failed == 1) std::printf("  %s\n", why.c_str());
    }
    std::size_t count() const { return sum_.all(); }
    Sum take() { return std::exchange(sum_, Sum()); }

private:
    Sum sum_;
};

/// One client: connects, and holds its connection until it ends.
class Visitor final : public Actor {
public:
    Visitor(TlsClient client, Ref<Tally> tally) : client_(std::move(client)), tally_(tally) {}

    Task<void> visit(std::uint16_t port) {
        const Result<void> done = co_await try_to(port);
        if (!done) tally_.tell<&Tally::failed>(done.error().message());
    }

private:
    Task<Result<void>> try_to(std::uint16_t port) {
        const Duration before = monotonic_now();
        stream_ = co_await or_return(co_await connect(
            system().engine(), Endpoint("127.0.0.1", port), client_, "localhost", 60s));
        const Duration took = monotonic_now() - before;
        co_await or_return(
            co_await stream_.write_all("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        char answer[1000];
        co_await or_return(co_await stream_.read_some(answer).within(60s));
        tally_.tell<&Tally::arrived>(took, stream_.tls().value_or(TlsInfo()).resumed);
        co_return Result<void>();
    }

    const TlsClient client_;
    const Ref<Tally> tally_;
    Stream stream_;
};

struct Burst {
    TlsClient client;
    std::uint16_t port;
    std::size_t count;
};

void burst(System system, const Burst& wanted, const char* what) {
    const auto tally = system.spawn<Tally>(options().mailbox(unbounded()));
    const auto ticker = system.spawn<Ticker>();
    const std::int64_t memory = resident_bytes();
    const Duration before = monotonic_now();
    const Duration used_before = processor_time();
    std::vector<Ref<Visitor>> visitors;
    for (std::size_t i = 0; i < wanted.count; ++i) {
        visitors.push_back(system.spawn<Visitor>(wanted.client, tally));
        visitors.back().tell<&Visitor::visit>(wanted.port);
    }
    while (system.block_on(tally.ask<&Tally::count>()).value_or(0) < wanted.count)
        std::this_thread::sleep_for(1ms);
    const Duration all = monotonic_now() - before;
    const Duration used = processor_time() - used_before;
    Tally::Sum sum = system.block_on(tally.ask<&Tally::take>()).value_or(Tally::Sum());
    expect(sum.failed == 0 && sum.took.size() == wanted.count, "all handshakes are done");
    if (sum.took.empty()) return;
    std::sort(sum.took.begin(), sum.took.end());
    const auto milliseconds = [](Duration time) { return static_cast<double>(time.count()) / 1e6; };
    std::printf(
        "%zu %s handshakes at once, %zu resumed: all after %.0f ms; median %.0f ms, "
        "99 %% %.0f ms, worst %.0f ms\n",
        sum.took.size(), what, sum.resumed, milliseconds(all), sum.took[sum.took.size() / 2],
        sum.took[sum.took.size() * 99 / 100], sum.took.back());
    std::printf("  of processor %.2f ms each, of memory %.1f KB, both for both ends\n",
                milliseconds(used) / static_cast<double>(sum.took.size()),
                static_cast<double>(resident_bytes() - memory) / 1024 /
                    static_cast<double>(sum.took.size()));
    print_ticker(system, ticker, "beside them");
    ticker.stop();
    for (const Ref<Visitor>& visitor : visitors)
        visitor.stop();
    tally.stop();
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t count = base_internal::count_argument(argc, argv, 1, "connections", 1000);
    OwnedSystem owned;
    const System system = *owned;
    const auto certificate = TlsCertificate::self_signed();
    expect(certificate.has_value(), "there is a certificate");
    const auto identity = TlsServer::make(TlsServerOptions().certificate(*certificate));
    const auto client = TlsClient::make(TlsClientOptions().authorities(certificate->chain));
    expect(identity.has_value() && client.has_value(), "they can be used");
    http::Router router;
    router.get("/health", [](const http::Request&) { return http::ok("ok"); });
    auto server = system.block_on(
        http::serve(system, std::move(router),
                    http::ServerOptions().tls(*identity).connections_max(4 * count)));
    expect(server.has_value(), "the server listens");
    if (!server) return 1;
    burst(system, Burst{*client, server->port(), count}, "first");
    burst(system, Burst{*client, server->port(), count}, "further");
    expect(system.block_on(server->stop(5s)).has_value(), "the server stops");
    owned.stop();
    return good ? 0 : 1;
}
