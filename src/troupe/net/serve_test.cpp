#include <troupe/actor/actor.hpp>
#include <troupe/actor/ended.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/io/framed.hpp>
#include <troupe/io/lines.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/serve.hpp>
#include <troupe/scheduler/cell_hold.hpp>
#include <troupe/task/joiners.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::net {
namespace {

using namespace std::chrono_literals;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

/// Answers lines until it is stopped. Some of them it does not survive.
class Session : public Actor {
public:
    Session(Stream stream, std::string greeting)
        : lines_(std::move(stream), codec::Lines(100)), greeting_(std::move(greeting)) {
        self(this).tell<&Session::talk>();
    }

    Task<void> talk() {
        ignore(co_await lines_.send(greeting_), "it comes up again in the next one");
        for (;;) {
            const auto line = co_await lines_.next();
            if (!line || !*line) break;
            if (**line == "crash") throw std::runtime_error("a planted crash");
            if (**line == "deaf")
                ignore(co_await lines_.next(Duration::max(), Interruptible::no),
                       "it hears no stop");
            const auto sent = co_await lines_.send("you said " + **line);
            if (!sent) break;
        }
        self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
    }

private:
    Framed<codec::Lines> lines_;
    std::string greeting_;
};

using Peer = Framed<codec::Lines>;

Task<Server> start(System system, ServeOptions options = ServeOptions()) {
    auto server =
        co_await serve<Session>(system, Endpoint("127.0.0.1", 0), options, std::string("hello"));
    EXPECT_TRUE(server.has_value()) << server.error().message();
    co_return *server;
}

Task<Peer> connect_peer(System system, std::uint16_t port) {
    auto stream = co_await connect(system.engine(), Endpoint("127.0.0.1", port));
    EXPECT_TRUE(stream.has_value()) << stream.error().message();
    co_return Peer(stream ? std::move(*stream) : Stream(), codec::Lines(100));
}

/// The next line, or what came in its place.
Task<std::string> hear(Peer* peer) {
    auto line = co_await peer->next();
    if (!line) co_return "error";
    co_return line->value_or("end");
}

Task<std::string> ask(Peer* peer, std::string line) {
    ignore(co_await peer->send(std::move(line)), "the answer will tell");
    co_return co_await hear(peer);
}

Task<std::size_t> open_connections(Server server) {
    const auto stats = co_await server.stats();
    co_return stats ? stats->open : 0;
}

Task<void> several_sessions(System system) {
    Server server = co_await start(system);
    Peer first = co_await connect_peer(system, server.port());
    Peer second = co_await connect_peer(system, server.port());
    EXPECT_EQ(co_await hear(&first), "hello");
    EXPECT_EQ(co_await hear(&second), "hello");
    EXPECT_EQ(co_await ask(&first, "one"), "you said one");
    EXPECT_EQ(co_await ask(&second, "two"), "you said two");
    EXPECT_EQ(co_await open_connections(server), 2u);
    EXPECT_TRUE((co_await server.stop()).has_value());
    EXPECT_EQ(co_await hear(&first), "end");
    EXPECT_EQ(co_await hear(&second), "end");
    EXPECT_FALSE((co_await server.stats()).has_value());
    EXPECT_TRUE((co_await server.stop()).has_value()) << "a second stop does nothing";
}

TEST(Serve, EveryConnectionIsAnActor) {
    on_both_engines(100, several_sessions);
}

Task<void> crash(System system) {
    Server server = co_await start(system);
    Peer good = co_await connect_peer(system, server.port());
    Peer bad = co_await connect_peer(system, server.port());
    EXPECT_EQ(co_await hear(&good), "hello");
    EXPECT_EQ(co_await hear(&bad), "hello");
    const std::string answer = co_await ask(&bad, "crash");
    EXPECT_TRUE(answer == "end" || answer == "error") << answer;
    EXPECT_EQ(co_await ask(&good, "still here"), "you said still here");
    for (auto open = co_await open_connections(server); open != 1;) {
        ignore(co_await sleep(1ms), "nobody cancels it");
        open = co_await open_connections(server);
    }
    const auto stats = co_await server.stats();
    EXPECT_TRUE(stats && stats->failed == 1 && stats->accepted == 2) << "it was not restarted";
    EXPECT_TRUE((co_await server.stop()).has_value());
}

TEST(Serve, AFailureConcernsItsConnectionOnly) {
    set_log_sink([](LogLevel, std::string_view) {});  // of the crashes, under every seed
    on_both_engines(50, crash);
    set_log_sink({});
}

Task<void> full(System system) {
    Server server = co_await start(system, ServeOptions().connections_max(1));
    Peer first = co_await connect_peer(system, server.port());
    EXPECT_EQ(co_await hear(&first), "hello");
    Peer second = co_await connect_peer(system, server.port());
    const auto nothing = co_await second.next(100ms);
    EXPECT_TRUE(!nothing && nothing.error() == Errc::timed_out) << "it waits in the backlog";
    EXPECT_EQ(co_await open_connections(server), 1u);
    first.stream().close();
    EXPECT_EQ(co_await hear(&second), "hello");
    EXPECT_TRUE((co_await server.stop()).has_value());
}

TEST(Serve, AcceptsNobodyWhileItIsFull) {
    on_both_engines(50, full);
}

/// Reads until it is stopped.
class Listening : public Actor {
public:
    explicit Listening(Stream stream) : stream_(std::move(stream)) {
        self(this).tell<&Listening::listen>();
    }
    Task<void> listen() {
        for (;;) {
            char buffer[1000];
            const auto got = co_await stream_.read_some(buffer, Interruptible::yes);
            if (!got) co_return;
        }
    }

private:
    Stream stream_;
};

struct Ends {
    Stream near;
    Stream far;
};

Task<Ends> make_ends(System system) {
    Result<Listener> listener = Listener::listen(system.engine(), Endpoint("127.0.0.1", 0));
    EXPECT_TRUE(listener.has_value()) << listener.error().message();
    Result<Stream> near =
        co_await connect(system.engine(), Endpoint("127.0.0.1", listener->port()));
    Result<Stream> far = co_await listener->accept();
    EXPECT_TRUE(near.has_value() && far.has_value());
    Ends ends{std::move(*near), std::move(*far)};
    co_return ends;
}

constexpr Duration kLatency = 20us;  // in memory

/// A stop comes while there is something to read, in any order: what is read next hears of it.
Task<void> stop_while_bytes_come(System system, std::size_t bytes) {
    Ends ends = co_await make_ends(system);
    const auto actor = system.spawn<Listening>(std::move(ends.far));
    auto say = [](Stream* stream, std::size_t count) -> Task<Result<void>> {
        ignore(co_await sleep(1ms), "nobody cancels it");
        const std::string text(count, 'x');
        ignore(co_await stream->write_all(text), "the other may have ended");
        co_return Result<void>();
    };
    auto stop_it = [](Ref<Listening> the_actor) -> Task<Result<void>> {
        ignore(co_await sleep(1ms + kLatency), "nobody cancels it");
        the_actor.stop();
        auto its_end = [](Ref<Listening> who) -> Task<Result<ExitReason>> {
            co_return co_await ended(who);
        };
        const Result<ExitReason> ending = co_await within(10s, its_end, the_actor);
        EXPECT_TRUE(ending.has_value()) << "it has not heard of the stop";
        the_actor.stop(Stop::kill);
        co_return Result<void>();
    };
    auto both = task_group<void>(all_successful());
    both.add(say, &ends.near, bytes);
    both.add(stop_it, actor);
    const auto done = co_await both.run();
    EXPECT_TRUE(done.has_value());
}

TEST(Serve, AReaderHearsOfAStopWhateverElseComes) {
    for (const std::size_t bytes : {1UL, 3000UL, 200'000UL}) {
        SCOPED_TRACE(bytes);
        on_both_engines(100, [&](System& system) {
            NetworkConditions conditions;
            conditions.latency_min = conditions.latency_max = kLatency;
            if (system.engine().deterministic())
                set_network_conditions(system.engine(), conditions);
            system.block_on(stop_while_bytes_come(system, bytes));
        });
    }
}

/// Reads while it handles other messages.
class Overlapping : public Actor {
public:
    explicit Overlapping(Stream stream) : stream_(std::move(stream)) {}
    Task<std::string> read() {
        char buffer[16];
        const Result<std::size_t> got = co_await stream_.read_some(buffer);
        co_return std::string(buffer, got.value_or(0));
    }
    int one() const { return 1; }

private:
    Stream stream_;
};

TEST(Serve, AnActorWhoseHandlersOverlapReadsFromAStream) {
    on_both_engines(50, [](System& system) {
        auto body = [](System the_system) -> Task<void> {
            Ends ends = co_await make_ends(the_system);
            const auto actor =
                the_system.spawn<Overlapping>(options().interleaving(), std::move(ends.far));
            auto talk = [](Stream* stream, Ref<Overlapping> the_actor) -> Task<Result<void>> {
                ignore(co_await sleep(10ms), "nobody cancels it");
                const Result<int> one = co_await the_actor.ask<&Overlapping::one>();
                EXPECT_EQ(one.value_or(0), 1);
                co_return co_await stream->write_all("b");
            };
            auto ask = [](Ref<Overlapping> the_actor) -> Task<Result<void>> {
                const Result<std::string> got = co_await the_actor.ask<&Overlapping::read>();
                EXPECT_EQ(got.value_or("nothing"), "b");
                co_return Result<void>();
            };
            auto both = task_group<void>(all_successful());
            both.add(talk, &ends.near, actor);
            both.add(ask, actor);
            const auto done = co_await both.run();
            EXPECT_TRUE(done.has_value());
        };
        system.block_on(body(system));
    });
}

TEST(Serve, KillsWhoDoesNotStopInTime) {
    in_virtual_time(50, [](System& system) {
        const Server server = system.block_on(start(system));
        Peer peer = system.block_on(connect_peer(system, server.port()));
        EXPECT_EQ(system.block_on(hear(&peer)), "hello");
        ASSERT_TRUE(system.block_on(peer.send("deaf")).has_value());
        system.engine().run_for(1s);
        const Duration begun = system.now();
        EXPECT_TRUE(system.block_on(server.stop(2s)).has_value());
        EXPECT_GE(system.now() - begun, 2s);
        EXPECT_LT(system.now() - begun, 2100ms);
        EXPECT_NE(system.block_on(hear(&peer)), "hello");
    });
}

TEST(Serve, GoesOnAcceptingWhenThereWereNoDescriptors) {
    in_virtual_time(100, [](System& system) {
        NetworkConditions conditions;
        conditions.failed_accepts_per_thousand = 700;
        set_network_conditions(system.engine(), conditions);
        const Server server = system.block_on(start(system));
        for (int i = 0; i < 5; ++i) {
            Peer peer = system.block_on(connect_peer(system, server.port()));
            EXPECT_EQ(system.block_on(hear(&peer)), "hello");
        }
        EXPECT_TRUE(system.block_on(server.stop()).has_value());
    });
}

/// The machine has no time for the gatekeeper, for longer than anybody asks by default.
TEST(Serve, GoesOnAcceptingWhenItWasHeldUp) {
    in_virtual_time(20, [](System& system) {
        const Server server = system.block_on(start(system));
        Cell* gatekeeper = nullptr;
        for (const ActorInfo& actor : system.actors()) {
            if (actor.type.find("Gatekeeper") == std::string::npos) continue;
            gatekeeper = system.engine().find_cell(actor.pid.slot);
        }
        ASSERT_NE(gatekeeper, nullptr);
        std::optional<CellHold> held(std::in_place, *gatekeeper);
        Peer first = system.block_on(connect_peer(system, server.port()));
        system.engine().run_for(1min);
        held.reset();
        EXPECT_EQ(system.block_on(hear(&first)), "hello");
        Peer second = system.block_on(connect_peer(system, server.port()));
        const auto greeting = system.block_on(second.next(10s));
        EXPECT_TRUE(greeting && *greeting == "hello") << "nobody is accepted any more";
        EXPECT_TRUE(system.block_on(server.stop()).has_value());
    });
}

TEST(Serve, SaysWhyItCannotListen) {
    on_both_engines(5, [](System& system) {
        const Server server = system.block_on(start(system));
        const auto second =
            system.block_on(serve<Session>(system, server.local(), ServeOptions(), std::string()));
        ASSERT_FALSE(second.has_value());
        EXPECT_EQ(second.error(), Errc::already_registered);
        EXPECT_TRUE(system.block_on(server.stop()).has_value());
    });
}

Task<void> again_and_again(System system) {
    for (int i = 0; i < 20; ++i) {
        Server server = co_await start(system);
        Peer peer = co_await connect_peer(system, server.port());
        EXPECT_EQ(co_await hear(&peer), "hello");
        EXPECT_TRUE((co_await server.stop()).has_value());
    }
}

TEST(Serve, StartsAndStopsAgainAndAgain) {
    on_both_engines(10, [](System& system) {
        system.block_on(again_and_again(system));
        EXPECT_LE(system.actors().size(), 1u) << "nothing is left but perhaps who is just ending";
    });
}

Task<void> stopped_with_the_system(System system, std::optional<Peer>* peer) {
    Server server = co_await start(system);
    peer->emplace(co_await connect_peer(system, server.port()));
    EXPECT_EQ(co_await hear(&**peer), "hello");
}

TEST(Serve, EndsWithTheSystem) {
    OwnedSystem system(make_threaded_engine({.workers = 2}));
    std::optional<Peer> peer;
    system->block_on(stopped_with_the_system(*system, &peer));
    peer.reset();
    system.stop();
    EXPECT_TRUE(system->actors().empty());
}

}  // namespace
}  // namespace troupe::net
