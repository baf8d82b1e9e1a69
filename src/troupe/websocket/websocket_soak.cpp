/// Runs WebSockets on sockets and prints what no unit test may depend on: what idle ones cost, in
/// memory, processor and threads, plain and over TLS; how long a broadcast takes to a large room,
/// and how soon others are answered beside it; and whether anything is left of a room after many
/// have come and gone at once.
///
/// Usage: websocket_soak [idle sockets, 10,000] [seconds of coming and going, 10]
/// It fails when something is not answered or is left behind.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/clock.hpp>
#include <troupe/base/internal/test_arguments.hpp>
#include <troupe/http/internal/test_soak.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/websocket/internal/test_frames.hpp>
#include <troupe/websocket/room.hpp>
#include <troupe/websocket/socket.hpp>
#include <troupe/websocket/upgrade.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace troupe;
using http_internal::Companion;
using http_internal::entries;
using http_internal::expect;
using http_internal::open_files;
using http_internal::Peer;
using http_internal::print_ticker;
using http_internal::processor_time;
using http_internal::resident_bytes;
using http_internal::Ticker;
using websocket_internal::close_frame;
using websocket_internal::text_frame;
using websocket_internal::upgrade_text;

class Echo final : public websocket::Socket {
    Task<void> on_text(std::string text) override {
        send_text(text);
        return {};
    }
};

class Member final : public websocket::Socket {
public:
    explicit Member(Ref<websocket::Room> room) : room_(room) {}

private:
    Task<void> on_open(const http::Request&) override {
        room_.tell<&websocket::Room::join>(member());
        return {};
    }
    Task<void> on_text(std::string text) override {
        if (text == "crash") throw std::runtime_error("a planted crash");
        if (text == "leave") {
            room_.tell<&websocket::Room::leave>(self(this));
        } else {
            room_.tell<&websocket::Room::broadcast_text>(text);
        }
        return {};
    }

    Ref<websocket::Room> room_;
};

http::Server start(System system, Ref<websocket::Room> room,
                   http::ServerOptions options = http::ServerOptions()) {
    http::Router router;
    router.get("/health", [](const http::Request&) { return http::ok("ok"); });
    router.get("/echo", websocket::to<Echo>());
    router.get("/room", websocket::to<Member>(room));
    auto server = system.block_on(http::serve(system, std::move(router), std::move(options)));
    if (!server) std::exit(1);
    return *server;
}

bool upgrade(Peer& peer, std::string_view path) {
    return peer.send(upgrade_text(path)) && peer.receive("101");
}

std::size_t members(System system, Ref<websocket::Room> room) {
    return system.block_on(room.ask<&websocket::Room::size>()).value_or(0);
}

/// Waits until so many are in the room.
bool comes_to(System system, Ref<websocket::Room> room, std::size_t count) {
    for (int i = 0; i < 3000; ++i) {
        if (members(system, room) == count) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

/// How soon a request is answered: of 500, one after the other, the 99th of a hundred.
void print_health(std::uint16_t port) {
    Peer peer(port, 300);
    std::vector<double> took;
    for (int i = 0; i < 500; ++i) {
        const Duration before = monotonic_now();
        expect(peer.ask("/health"), "a request is answered");
        took.push_back(static_cast<double>((monotonic_now() - before).count()) / 1e6);
    }
    std::sort(took.begin(), took.end());
    std::printf("  /health beside them: 99 %% within %.2f ms, worst %.2f ms\n",
                took[took.size() * 99 / 100], took.back());
}

/// What it costs to have sockets that nobody uses. The peers are another process.
void print_idle(System system, std::uint16_t plain_port, const Companion& peers, std::size_t count,
                const char* kind) {
    const auto ticker = system.spawn<Ticker>();
    std::this_thread::sleep_for(100ms);
    const std::size_t threads = entries("/proc/self/task");
    const std::int64_t before = resident_bytes();
    const auto bytes_each = [&] {
        return static_cast<double>(resident_bytes() - before) / static_cast<double>(count);
    };
    peers.go_on();
    expect(peers.wait(), "all are let in");
    std::this_thread::sleep_for(500ms);
    std::printf("%zu idle %s: %.0f bytes each; threads %zu before, %zu now\n", count, kind,
                bytes_each(), threads, entries("/proc/self/task"));
    expect(entries("/proc/self/task") <= threads, "no thread is made for a socket");
    ignore(system.block_on(ticker.ask<&Ticker::latest>()), "what was late before does not count");
    const Duration used_before = processor_time();
    std::this_thread::sleep_for(5s);
    std::printf("  %.2f %% of a processor in 5 s\n",
                static_cast<double>((processor_time() - used_before).count()) / 5e7);
    print_health(plain_port);
    print_ticker(system, ticker, "beside them");
    peers.go_on();
    expect(peers.wait(), "each answers still");
    std::printf("  once each was used: %.0f bytes each\n", bytes_each());
    peers.go_on();
    ticker.stop();
}

/// They come from several addresses: each has only so many ports.
void idle_sockets(System system, std::uint16_t port, std::size_t count) {
    constexpr std::size_t kOfEachAddress = 20'000;
    const Companion peers([&](int hear, int tell) {
        std::vector<Peer> all;
        all.reserve(count);
        static_cast<void>(Companion::receive(hear));
        bool well = true;
        for (std::size_t i = 0; i < count && well; ++i) {
            all.emplace_back(port, static_cast<std::uint32_t>(i / kOfEachAddress));
            well = all.back().is_open() && upgrade(all.back(), "/echo");
        }
        Companion::send(tell, well);
        static_cast<void>(Companion::receive(hear));
        for (Peer& one : all) {
            well = well && one.send(text_frame("still there"));
            char answer[64];
            well = well && one.receive_some(answer, sizeof answer) > 0;
        }
        Companion::send(tell, well);
        static_cast<void>(Companion::receive(hear));
    });
    print_idle(system, port, peers, count, "sockets");
}

Task<bool> open_over_tls(System system, TlsClient client, std::uint16_t port, std::size_t count,
                         std::vector<Stream>* all) {
    for (std::size_t i = 0; i < count; ++i) {
        auto stream = co_await connect(system.engine(), Endpoint("127.0.0.1", port), client,
                                       "localhost", 60s);
        if (!stream) co_return false;
        const auto asked = co_await stream->write_all(upgrade_text("/echo"));
        char answer[1000];
        const auto got = co_await stream->read_some(answer).within(60s);
        if (!asked || !got || std::string_view(answer, *got).substr(9, 3) != "101") co_return false;
        all->push_back(std::move(*stream));
    }
    co_return true;
}

Task<bool> use_all(std::vector<Stream>* all) {
    for (Stream& stream : *all) {
        const auto sent = co_await stream.write_all(text_frame("still there"));
        char answer[64];
        const auto got = co_await stream.read_some(answer).within(60s);
        if (!sent || !got || *got == 0) co_return false;
    }
    co_return true;
}

/// Peers that speak TLS with whoever the port is of, once it is known. Made before this process has
/// threads: the child runs a system of its own.
Companion tls_peers(const TlsClient& client, const std::atomic<std::uint16_t>& port,
                    std::size_t count) {
    return Companion([&](int hear, int tell) {
        static_cast<void>(Companion::receive(hear));
        ThreadedOptions options;
        options.workers = 1;
        OwnedSystem system(make_threaded_engine(options));
        std::vector<Stream> all;
        all.reserve(count);
        const bool opened = system->block_on(
            open_over_tls(*system, client, port.load(std::memory_order_relaxed), count, &all));
        Companion::send(tell, opened);
        static_cast<void>(Companion::receive(hear));
        Companion::send(tell, opened && system->block_on(use_all(&all)));
        static_cast<void>(Companion::receive(hear));
        all.clear();
        system.stop();
    });
}

/// One room, and a message for all in it.
void large_room(System system, std::uint16_t port, Ref<websocket::Room> room, std::size_t count) {
    constexpr int kMessages = 20;
    constexpr std::size_t kFrameBytes = 4 + 200;
    const Companion peers([&](int hear, int tell) {
        std::vector<Peer> all;
        all.reserve(count);
        static_cast<void>(Companion::receive(hear));
        bool well = true;
        for (std::size_t i = 0; i < count && well; ++i) {
            all.emplace_back(port, 100 + static_cast<std::uint32_t>(i / 20'000));
            well = all.back().is_open() && upgrade(all.back(), "/room");
        }
        Companion::send(tell, well);
        for (int message = 0; message < kMessages && well; ++message) {
            for (Peer& one : all) {
                char frame[kFrameBytes];
                std::size_t got = 0;
                while (well && got < kFrameBytes) {
                    const auto more = one.receive_some(frame + got, kFrameBytes - got);
                    well = more > 0;
                    got += static_cast<std::size_t>(std::max<std::ptrdiff_t>(more, 0));
                }
            }
            Companion::send(tell, well);
        }
        static_cast<void>(Companion::receive(hear));
    });
    peers.go_on();
    expect(peers.wait(), "all are let in");
    expect(comes_to(system, room, count), "all are in the room");
    const auto ticker = system.spawn<Ticker>();
    std::vector<double> told;
    std::vector<double> returned;
    const std::string text(200, 'x');
    for (int message = 0; message < kMessages; ++message) {
        const Duration before = monotonic_now();
        const bool taken =
            system.block_on(room.ask<&websocket::Room::broadcast_text>(text)).has_value();
        returned.push_back(static_cast<double>((monotonic_now() - before).count()) / 1e6);
        expect(taken && peers.wait(), "everybody hears it");
        told.push_back(static_cast<double>((monotonic_now() - before).count()) / 1e6);
    }
    std::sort(told.begin(), told.end());
    std::sort(returned.begin(), returned.end());
    std::printf(
        "a room of %zu: a broadcast is taken in %.2f ms, and the last has heard it after "
        "%.1f ms (medians of %d; worst %.2f and %.1f)\n",
        count, returned[kMessages / 2], told[kMessages / 2], kMessages, returned.back(),
        told.back());
    print_ticker(system, ticker, "beside them");
    ticker.stop();
    peers.go_on();
}

/// Sixteen threads whose peers join, talk, leave, crash and break off, all in one room.
void coming_and_going(System system, std::uint16_t port, Ref<websocket::Room> room,
                      std::chrono::seconds duration) {
    std::atomic<bool> stops{false};        // this thread writes, the others read
    std::atomic<std::uint64_t> visits{0};  // the others count, this thread reads at the end
    std::vector<std::thread> threads;
    threads.reserve(16);
    for (unsigned number = 0; number < 16; ++number) {
        threads.emplace_back([&, number] {
            std::uint64_t random = 88172645463325252ULL + number;
            while (!stops.load(std::memory_order_relaxed)) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                Peer peer(port, 200 + number);
                if (!peer.is_open() || !upgrade(peer, "/room")) continue;
                visits.fetch_add(1, std::memory_order_relaxed);
                static_cast<void>(peer.send(text_frame("hello everybody")));
                switch (random % 5) {
                    case 0:
                        static_cast<void>(peer.send(close_frame(1000)));
                        break;
                    case 1:
                        static_cast<void>(peer.send(text_frame("crash")));
                        break;
                    case 2:
                        static_cast<void>(peer.send(text_frame("leave")));
                        break;
                    case 3:
                        static_cast<void>(peer.send(text_frame("bye").substr(0, 3)));
                        break;
                    default:
                        break;  // gone without a word
                }
            }
        });
    }
    std::this_thread::sleep_for(duration);
    stops.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads)
        thread.join();
    expect(comes_to(system, room, 0), "nobody is left in the room");
    std::printf("coming and going for %lld s: %llu visits, and %zu are left in the room\n",
                static_cast<long long>(duration.count()),
                static_cast<unsigned long long>(visits.load(std::memory_order_relaxed)),
                members(system, room));
}

/// The timers of actors need no threads.
class Patient final : public Actor {
public:
    Patient() { after<&Patient::ring>(1h); }
    void touch() {}

private:
    void ring() {}
};

void many_timers(System system) {
    constexpr std::size_t kTimers = 100'000;
    const std::size_t threads = entries("/proc/self/task");
    std::vector<Ref<Patient>> all;
    all.reserve(kTimers);
    for (std::size_t i = 0; i < kTimers; ++i)
        all.push_back(system.spawn<Patient>());
    expect(system.block_on(all.back().ask<&Patient::touch>()).has_value(), "they are there");
    std::printf("%zu timers: threads %zu before, %zu now\n", kTimers, threads,
                entries("/proc/self/task"));
    expect(entries("/proc/self/task") <= threads, "no thread is made for a timer");
    for (const Ref<Patient>& one : all)
        one.stop();
}

/// A number that a companion sees, too.
std::atomic<std::uint16_t>* shared_number() {
    void* const page =
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) std::abort();
    return ::new (page) std::atomic<std::uint16_t>(0);  // main writes, the companion reads
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::size_t wanted = base_internal::count_argument(argc, argv, 1, "sockets", 10'000);
    const std::chrono::seconds duration(
        base_internal::count_argument(argc, argv, 2, "seconds of coming and going", 10));
    const std::size_t count = std::min(wanted, http_internal::file_limit() - open_files() - 100);
    const auto certificate = TlsCertificate::self_signed();
    expect(certificate.has_value(), "there is a certificate");
    const auto identity = TlsServer::make(TlsServerOptions().certificate(*certificate));
    const auto client = TlsClient::make(TlsClientOptions().authorities(certificate->chain));
    expect(identity.has_value() && client.has_value(), "it can be used");
    auto* const tls_port = shared_number();
    const Companion over_tls = tls_peers(*client, *tls_port, count);

    ThreadedOptions options;
    options.workers = 2;
    OwnedSystem system(make_threaded_engine(options));
    const auto room = system->spawn<websocket::Room>();
    http::Server server = start(*system, room);
    idle_sockets(*system, server.port(), count);
    http::Server tls_server = start(*system, room, http::ServerOptions().tls(*identity));
    tls_port->store(tls_server.port(), std::memory_order_relaxed);
    print_idle(*system, server.port(), over_tls, count, "sockets over TLS");
    expect(system->block_on(tls_server.stop(5s)).has_value(), "the server with TLS stops");
    large_room(*system, server.port(), room, std::min<std::size_t>(count, 10'000));
    expect(comes_to(*system, room, 0), "the room is empty again");
    coming_and_going(*system, server.port(), room, duration);
    many_timers(*system);
    expect(system->block_on(server.stop(1s)).has_value(), "the server stops");
    system.stop();
    return http_internal::good ? 0 : 1;
}
