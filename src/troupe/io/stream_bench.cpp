// Round trips of 100 bytes over the loopback, against the system calls alone: what the engine adds
// is the difference. Each round trip needs two sends and two receives; ours also polls.

#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/scheduler/engine.hpp>

#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <string_view>
#include <utility>

namespace troupe {
namespace {

using io_internal::TestTask;

constexpr std::size_t kBytes = 100;
constexpr int kRoundTripsPerIteration = 1000;

Task<void> echo(Stream stream) {
    char buffer[4096];
    for (;;) {
        const auto got = co_await stream.read_some(buffer);
        if (!got || *got == 0) co_return;
        const auto sent = co_await stream.write_all(std::string_view(buffer, *got));
        if (!sent) co_return;
    }
}

Task<void> go_round(Stream* stream, int times, bool* failed) {
    char buffer[4096] = {};
    for (int i = 0; i < times; ++i) {
        const auto sent = co_await stream->write_all(std::string_view(buffer, kBytes));
        const auto got = co_await stream->read_some(buffer);
        if (!sent || !got || *got != kBytes) *failed = true;
    }
}

Task<void> accept_into(Listener* listener, Stream* stream) {
    auto accepted = co_await listener->accept();
    if (accepted) *stream = std::move(*accepted);
}

Task<void> connect_into(Engine* engine, Endpoint endpoint, Stream* stream) {
    auto connected = co_await connect(*engine, std::move(endpoint));
    if (connected) *stream = std::move(*connected);
}

void round_trips(benchmark::State& state) {
    ThreadedOptions options;
    options.workers = static_cast<std::size_t>(state.range(0));
    const auto connections = static_cast<std::size_t>(state.range(1));
    const auto engine = make_threaded_engine(options);
    bool failed = false;
    std::deque<Stream> clients(connections);
    std::deque<TestTask> servers;
    {
        auto listener = Listener::listen(*engine, Endpoint("127.0.0.1", 0));
        if (!listener) return state.SkipWithError(listener.error().message().c_str());
        for (Stream& client : clients) {
            Stream server;
            TestTask accepting(*engine, accept_into(&*listener, &server));
            TestTask connecting(*engine, connect_into(engine.get(), listener->local(), &client));
            accepting.join();
            connecting.join();
            servers.emplace_back(*engine, echo(std::move(server)));
        }
    }
    const int each = kRoundTripsPerIteration / static_cast<int>(connections);
    for (auto _ : state) {
        std::deque<TestTask> running;
        for (Stream& client : clients)
            running.emplace_back(*engine, go_round(&client, each, &failed));
        for (TestTask& task : running)
            task.join();
    }
    for (Stream& client : clients)
        client.close();
    for (TestTask& server : servers)
        server.join();
    engine->stop();
    if (failed) state.SkipWithError("a round trip went wrong");
    state.SetItemsProcessed(state.iterations() * each * static_cast<int>(connections));
}
BENCHMARK(round_trips)
    ->ArgNames({"workers", "connections"})
    ->Args({1, 1})
    ->Args({1, 50})
    ->Args({2, 50})
    ->UseRealTime();

/// The same with nothing around it: both ends in one thread, always ready.
void round_trips_of_bare_system_calls(benchmark::State& state) {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    const int client = ::socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    bool good = ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                ::listen(listener, 1) == 0 &&
                ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes) == 0 &&
                ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const int server = ::accept(listener, nullptr, nullptr);
    for (const int fd : {client, server})
        good = good && ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
    char buffer[4096] = {};
    constexpr auto kSent = static_cast<ssize_t>(kBytes);
    for (auto _ : state) {
        for (int i = 0; i < kRoundTripsPerIteration; ++i) {
            good = good && ::send(client, buffer, kBytes, MSG_NOSIGNAL) == kSent &&
                   ::recv(server, buffer, sizeof buffer, 0) == kSent &&
                   ::send(server, buffer, kBytes, MSG_NOSIGNAL) == kSent &&
                   ::recv(client, buffer, sizeof buffer, 0) == kSent;
        }
    }
    for (const int fd : {client, server, listener})
        ::close(fd);
    if (!good) state.SkipWithError("a round trip went wrong");
    state.SetItemsProcessed(state.iterations() * kRoundTripsPerIteration);
}
BENCHMARK(round_trips_of_bare_system_calls)->UseRealTime();

}  // namespace
}  // namespace troupe
