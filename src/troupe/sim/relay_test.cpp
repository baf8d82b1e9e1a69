// Goal: one script of faults does in a simulation and through relays what it says, whoever stands
// at the ends; and a relay carries every byte, waits for who is slow, and leaves nothing behind.

#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/reset.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/sim/faults.hpp>
#include <troupe/sim/internal/test_nemesis.hpp>
#include <troupe/sim/relay.hpp>
#include <troupe/sim/sim.hpp>
#include <troupe/sim/test.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using sim_internal::Ledger;
using sim_internal::LedgerClient;
using sim_internal::LedgerServer;
using sim_internal::Seen;
using testing::HasSubstr;

constexpr std::uint16_t kPort = 4000;

// ---- one script, two worlds ---------------------------------------------------------------------

TROUPE_SIM_TEST(Nemesis, LosesNothingThatWasAcknowledgedBetweenSimulatedMachines) {
    std::optional<Ref<Ledger>> ledger;
    sim::Node& server = sim.node("server", [&](sim::Node& node) -> Task<void> {
        System system = node.system();
        auto listener = Listener::listen(system.engine(), Endpoint("0.0.0.0", kPort));
        EXPECT_TRUE(listener.has_value());
        ledger = system.spawn<Ledger>();
        system.spawn<LedgerServer>(std::move(*listener), *ledger).tell<&LedgerServer::serve>();
        co_await system.stop_requested();
    });
    std::optional<Ref<LedgerClient>> client;
    const Endpoint where(server.address(), kPort);
    sim.node("client", [&](sim::Node& node) -> Task<void> {
        System system = node.system();
        client = system.spawn<LedgerClient>("ann", where);
        co_await system.stop_requested();
    });
    sim.settle();
    sim::SimulatedFaults faults(sim, {{"client", "server"}});
    ASSERT_TRUE(sim.run(sim_internal::nemesis(faults, 5)));
    const std::size_t before = sim.run(client->ask<&LedgerClient::seen>())->acknowledged.size();
    sim.advance(5s);
    const Result<Seen> seen = sim.run(client->ask<&LedgerClient::seen>());
    EXPECT_GT(seen->acknowledged.size(), before) << "healed, it goes on";
    EXPECT_EQ(sim_internal::missing_of(*seen, *sim.run(ledger->ask<&Ledger::entries>())), "");
}

/// The service, and a client behind a relay.
struct Relayed {
    explicit Relayed(System given) : system(given), faults(given) {
        auto listener = Listener::listen(system.engine(), Endpoint("127.0.0.1", 0));
        EXPECT_TRUE(listener.has_value());
        const Endpoint server = listener->local();
        ledger = system.spawn<Ledger>();
        system.spawn<LedgerServer>(std::move(*listener), ledger).tell<&LedgerServer::serve>();
        const auto where = faults.add({"client", "server"}, server);
        EXPECT_TRUE(where.has_value());
        client = system.spawn<LedgerClient>("ann", *where);
    }
    System system;
    sim::Relays faults;
    Ref<Ledger> ledger;
    Ref<LedgerClient> client;
};

Task<void> run_and_look(Relayed* relayed) {
    const Result<void> ran = co_await sim_internal::nemesis(relayed->faults, 5);
    EXPECT_TRUE(ran.has_value());
    const Result<Seen> before = co_await relayed->client.ask<&LedgerClient::seen>();
    const Result<void> slept = co_await sleep(5s);
    EXPECT_TRUE(slept.has_value());
    const Result<Seen> seen = co_await relayed->client.ask<&LedgerClient::seen>();
    EXPECT_TRUE(before && seen);
    if (!before || !seen) co_return;
    EXPECT_GT(seen->acknowledged.size(), before->acknowledged.size()) << "healed, it goes on";
    const auto entries = co_await relayed->ledger.ask<&Ledger::entries>();
    EXPECT_TRUE(entries.has_value());
    if (entries) {
        EXPECT_EQ(sim_internal::missing_of(*seen, *entries), "");
    }
    const Result<void> stopped = co_await relayed->faults.stop();
    EXPECT_TRUE(stopped.has_value());
}

TEST(Nemesis, LosesNothingThatWasAcknowledgedThroughRelays) {
    on_seeds(60, [](OwnedSystem& system) {
        Relayed relayed(*system);
        system->block_on(run_and_look(&relayed));
    });
}

// ---- what a relay does --------------------------------------------------------------------------

/// Two ends with a relay between them.
struct Ends {
    Stream client;
    Stream server;
};

struct Between {
    explicit Between(System system) : faults(system), engine(system.engine()) {
        auto listening = Listener::listen(engine, Endpoint("127.0.0.1", 0));
        EXPECT_TRUE(listening.has_value());
        listener = std::move(*listening);
        sim::RelayOptions options;
        options.buffer_bytes = 1000;
        options.connections_max = 2;
        const auto added = faults.add({"client", "server"}, listener.local(), options);
        EXPECT_TRUE(added.has_value());
        where = *added;
    }
    sim::Relays faults;
    Engine& engine;
    Listener listener;
    Endpoint where;
};

Task<Ends> join(Between* between) {
    Ends ends;
    Result<Stream> client = co_await connect(between->engine, between->where);
    EXPECT_TRUE(client.has_value());
    if (client) ends.client = std::move(*client);
    Result<Stream> server = co_await between->listener.accept();
    EXPECT_TRUE(server.has_value());
    if (server) ends.server = std::move(*server);
    co_return ends;
}

/// Up to the end, or an error.
Task<Result<std::string>> read_all(Stream* stream) {
    std::string all;
    for (;;) {
        std::array<char, 4096> buffer{};
        const Result<std::size_t> got = co_await stream->read_some(buffer);
        if (!got) co_return std::unexpected(got.error());
        if (*got == 0) co_return all;
        all.append(buffer.data(), *got);
    }
}

Task<Result<std::string>> read_so_many(Stream* stream, std::size_t bytes) {
    std::string all;
    while (all.size() < bytes) {
        std::array<char, 4096> buffer{};
        const std::size_t most = std::min(buffer.size(), bytes - all.size());
        const Result<std::size_t> got = co_await stream->read_some(std::span(buffer.data(), most));
        if (!got) co_return std::unexpected(got.error());
        if (*got == 0) co_return error(Errc::closed, "only " + std::to_string(all.size()));
        all.append(buffer.data(), *got);
    }
    co_return all;
}

std::string many_bytes(std::size_t count, unsigned begin) {
    std::string bytes;
    for (std::size_t i = 0; i < count; ++i)
        bytes.push_back(static_cast<char>((begin + i * 7) % 251));
    return bytes;
}

/// Has one end, while the test's body has, or waits for, the other.
class Talker final : public Actor {
public:
    Task<Result<std::string>> say_and_hear(Stream stream, std::string says) {
        co_await or_return(co_await stream.write_all(says));
        co_await or_return(stream.shutdown_write());
        co_return co_await read_all(&stream);
    }
    Task<Result<std::string>> hear_and_say(Stream stream, std::string says) {
        std::string heard = co_await or_return(co_await read_all(&stream));
        co_await or_return(co_await stream.write_all(says));
        co_await or_return(stream.shutdown_write());
        co_return heard;
    }
};

Task<void> carries_all(System system, Between* between, std::size_t bytes) {
    Ends ends = co_await join(between);
    auto client = system.spawn<Talker>();
    auto server = system.spawn<Talker>();
    const std::string there = many_bytes(bytes, 1);
    const std::string back = many_bytes(bytes / 2, 2);
    auto group = task_group<std::string>(all_successful());
    auto one = client.ask<&Talker::say_and_hear>(std::move(ends.client), there);
    auto other = server.ask<&Talker::hear_and_say>(std::move(ends.server), back);
    group.add(std::move(one).within(1h));
    group.add(std::move(other).within(1h));
    const Result<std::vector<std::string>> heard = co_await group.run();
    EXPECT_TRUE(heard.has_value()) << heard.error().message();
    if (!heard) co_return;
    EXPECT_TRUE(heard->at(0) == back) << heard->at(0).size();
    EXPECT_TRUE(heard->at(1) == there) << heard->at(1).size();
    client.stop();
    server.stop();
}

/// One conversation behind a relay, at whose end nothing is left of it.
void on_relay(OwnedSystem& system, Task<void> (*talk)(Between* between)) {
    Between between(*system);
    system->block_on(talk(&between));
    const Result<void> stopped = system->block_on(between.faults.stop());
    EXPECT_TRUE(stopped.has_value());
}

TEST(Relay, CarriesAllBytesBothWaysThroughASmallBuffer) {
    actor_internal::on_threads(2, [](OwnedSystem& system) {
        Between between(*system);
        system->block_on(carries_all(*system, &between, 1'000'000));
    });
    on_seeds(40, [](OwnedSystem& system) {
        Between between(*system);
        system->block_on(carries_all(*system, &between, 5000));
    });
}

Task<void> is_reset(Between* between) {
    Ends ends = co_await join(between);
    // Both sides of the relay are there now.
    const Result<void> written = co_await ends.client.write_all("x");
    const Result<std::string> read = co_await read_so_many(&ends.server, 1);
    EXPECT_TRUE(written && read);
    const Result<void> reset = between->faults.reset("server", "client");
    EXPECT_TRUE(reset.has_value());
    for (Stream* const end : {&ends.client, &ends.server}) {
        const Result<std::string> rest = co_await read_all(end);
        EXPECT_FALSE(rest.has_value());
        if (!rest) {
            EXPECT_EQ(rest.error(), Errc::closed);
        }
    }
    ends = co_await join(between);
    EXPECT_TRUE(ends.server.is_open()) << "the next one gets through";
}

TEST(Relay, TellsBothEndsOfAReset) {
    on_both_engines([](OwnedSystem& system) { on_relay(system, &is_reset); });
}

Task<void> hears_of_a_broken_end(Between* between) {
    Ends ends = co_await join(between);
    reset_connection(std::move(ends.server));
    const Result<std::string> rest = co_await read_all(&ends.client);
    EXPECT_FALSE(rest.has_value()) << "a reset is no end";
}

TEST(Relay, PassesAResetOnAsOne) {
    on_both_engines([](OwnedSystem& system) { on_relay(system, &hears_of_a_broken_end); });
}

Task<void> finds_no_server(Between* between) {
    between->listener.close();
    Result<Stream> client = co_await connect(between->engine, between->where);
    if (client) {  // on sockets the reset may be there first
        const Result<std::string> rest = co_await read_all(&*client);
        EXPECT_FALSE(rest.has_value());
    }
    Result<sim::RelayStats> stats = co_await between->faults.stats(0);
    while (stats && stats->unreachable == 0)
        stats = co_await between->faults.stats(0);
    EXPECT_TRUE(stats.has_value());
    if (stats) {
        EXPECT_EQ(stats->open, 0U);
    }
}

TEST(Relay, ResetsTheClientOfAServerThatIsNotThere) {
    on_both_engines([](OwnedSystem& system) { on_relay(system, &finds_no_server); });
}

Task<void> ends_with_the_relay(Between* between) {
    Ends ends = co_await join(between);
    const Result<void> stopped = co_await between->faults.stop();
    EXPECT_TRUE(stopped.has_value());
    const Result<std::string> rest = co_await read_all(&ends.client);
    EXPECT_FALSE(rest.has_value());
    const Result<Stream> again = co_await connect(between->engine, between->where);
    EXPECT_FALSE(again.has_value());
    if (!again) {
        EXPECT_EQ(again.error(), Errc::unreachable);
    }
    EXPECT_TRUE(between->faults.cut("client", "server")) << "it has no effect";
    const Result<sim::RelayStats> stats = co_await between->faults.stats(0);
    EXPECT_FALSE(stats.has_value());
}

TEST(Relay, LeavesNothingBehindWhenItIsStopped) {
    on_both_engines([](OwnedSystem& system) { on_relay(system, &ends_with_the_relay); });
}

TEST(Relay, KnowsItsLines) {
    on_both_engines(
        [](OwnedSystem& system) {
            Between between(*system);
            const Result<void> none = between.faults.cut("client", "sever");
            ASSERT_FALSE(none.has_value());
            EXPECT_EQ(none.error(), Errc::not_found);
            EXPECT_THAT(none.error().message(), HasSubstr("there are: client to server"));
            const auto again = between.faults.add({"server", "client"}, Endpoint("127.0.0.1", 1));
            ASSERT_FALSE(again.has_value());
            EXPECT_EQ(again.error(), Errc::already_registered);
        },
        10);
}

// ---- and when: simulated only, since it takes time ----------------------------------------------

/// Whether nothing comes for a while.
Task<bool> hears_nothing(Stream* stream) {
    std::array<char, 16> buffer{};
    const Result<std::size_t> got = co_await stream->read_some(buffer).within(30s);
    co_return !got && got.error() == Errc::timed_out;
}

Task<void> is_cut_one_way(Between* between) {
    Ends ends = co_await join(between);
    EXPECT_TRUE(between->faults.cut("client", "server"));
    const Result<void> settled = co_await sleep(100ms);
    const Result<void> one = co_await ends.client.write_all("one ");
    const Result<void> two = co_await ends.client.write_all("two");
    EXPECT_TRUE(settled && one && two && ends.client.shutdown_write());
    const bool quiet = co_await hears_nothing(&ends.server);
    EXPECT_TRUE(quiet);
    const Result<void> back = co_await ends.server.write_all("back");
    const Result<std::string> heard = co_await read_so_many(&ends.client, 4);
    EXPECT_TRUE(back && heard) << "the other way is whole";
    EXPECT_TRUE(between->faults.mend("client", "server"));
    const Result<std::string> all = co_await read_all(&ends.server);
    EXPECT_TRUE(all.has_value());
    if (all) {
        EXPECT_EQ(*all, "one two");
    }
}

TEST(Relay, HoldsBackOneWayUntilItIsMendedAndThenSendsAllInOrder) {
    on_seeds(60, [](OwnedSystem& system) { on_relay(system, &is_cut_one_way); });
}

Task<void> lets_nobody_new_through(Between* between) {
    EXPECT_TRUE(between->faults.cut("server", "client"));
    Result<Stream> client = co_await connect(between->engine, between->where);
    EXPECT_TRUE(client.has_value());
    const Result<void> slept = co_await sleep(30s);
    const auto nobody = between->listener.try_accept();
    EXPECT_TRUE(slept && nobody && !*nobody);
    between->faults.heal();
    const Result<Stream> server = co_await between->listener.accept();
    EXPECT_TRUE(server.has_value());
}

TEST(Relay, LetsNobodyNewThroughWhileItIsCut) {
    on_seeds(60, [](OwnedSystem& system) { on_relay(system, &lets_nobody_new_through); });
}

Task<void> takes_so_many(Between* between) {
    Ends first = co_await join(between);
    Ends second = co_await join(between);
    Result<Stream> third = co_await connect(between->engine, between->where);
    const Result<void> slept = co_await sleep(30s);
    const auto nobody = between->listener.try_accept();
    EXPECT_TRUE(third && slept && nobody && !*nobody) << "there is room for two";
    first.client.close();
    first.server.close();
    const Result<Stream> server = co_await between->listener.accept();
    EXPECT_TRUE(server.has_value());
    // And of each so many bytes.
    EXPECT_TRUE(between->faults.cut("client", "server"));
    const std::string much = many_bytes(300'000, 3);
    const Result<void> written = co_await second.client.write_all(much).within(30s);
    EXPECT_FALSE(written.has_value()) << "whoever sends has to wait";
    if (!written) {
        EXPECT_EQ(written.error(), Errc::timed_out);
    }
}

TEST(Relay, HasRoomForSoManyConnectionsAndBytes) {
    on_seeds(30, [](OwnedSystem& system) { on_relay(system, &takes_so_many); });
}

/// How long so many bytes take from the client to the server.
Task<Duration> takes(Engine* engine, Ends* ends, std::size_t bytes) {
    const Duration before = engine->now();
    const std::string says = many_bytes(bytes, 4);
    const Result<void> written = co_await ends->client.write_all(says);
    EXPECT_TRUE(written.has_value());
    const Result<std::string> heard = co_await read_so_many(&ends->server, bytes);
    EXPECT_TRUE(heard.has_value());
    if (heard) {
        EXPECT_EQ(*heard, says);
    }
    co_return engine->now() - before;
}

Task<void> is_slow(sim::Faults* faults, Engine* engine, Ends* ends, std::string client) {
    EXPECT_TRUE(faults->slow(client, "server", {.delay = 2s}));
    Result<void> settled = co_await sleep(100ms);
    const Duration late = co_await takes(engine, ends, 10);
    EXPECT_GE(late, Duration(2s));
    EXPECT_LE(late, Duration(2500ms));
    EXPECT_TRUE(faults->slow(client, "server", {.bytes_per_second = 100}));
    settled = co_await sleep(100ms);
    const Duration thin = co_await takes(engine, ends, 500);
    EXPECT_GE(thin, Duration(5s));
    EXPECT_LE(thin, Duration(7s));
    faults->heal();
    settled = co_await sleep(100ms);
    EXPECT_TRUE(settled.has_value());
    const Duration fast = co_await takes(engine, ends, 10);
    EXPECT_LE(fast, Duration(500ms));
}

Task<void> is_slow_through_a_relay(Between* between) {
    Ends ends = co_await join(between);
    co_await is_slow(&between->faults, &between->engine, &ends, "client");
    // Whoever waits for a slow line does not wait longer than it is slow.
    EXPECT_TRUE(between->faults.slow("client", "server", {.delay = 1h}));
    Result<void> settled = co_await sleep(100ms);
    const Duration before = between->engine.now();
    const Result<void> written = co_await ends.client.write_all("x");
    settled = co_await sleep(1s);
    EXPECT_TRUE(settled && written);
    between->faults.heal();
    const Result<std::string> heard = co_await read_so_many(&ends.server, 1);
    EXPECT_TRUE(heard.has_value());
    EXPECT_LE(between->engine.now() - before, Duration(2s));
}

TEST(Relay, IsAsSlowAsItIsTold) {
    on_seeds(60, [](OwnedSystem& system) { on_relay(system, &is_slow_through_a_relay); });
}

/// Says back what it hears.
Task<void> echo(sim::Node& node) {
    auto listener = Listener::listen(node.system().engine(), Endpoint("0.0.0.0", kPort));
    EXPECT_TRUE(listener.has_value());
    for (;;) {
        Result<Stream> stream = co_await listener->accept();
        if (!stream) co_return;
        for (;;) {
            std::array<char, 64> buffer{};
            const Result<std::size_t> got = co_await stream->read_some(buffer);
            if (!got || *got == 0) break;
            const Result<void> written =
                co_await stream->write_all(std::string_view(buffer.data(), *got));
            if (!written) break;
        }
    }
}

/// How long it takes until the echo is back; an error: it never came.
Task<Result<Duration>> round_trip(Engine* engine, Stream* stream, std::size_t bytes) {
    const Duration before = engine->now();
    co_await or_return(co_await stream->write_all(std::string(bytes, 'x')));
    co_await or_return(co_await read_so_many(stream, bytes));
    co_return engine->now() - before;
}

Task<void> suffers(sim::Faults* faults, Engine* engine, Endpoint server) {
    const std::string me(sim::kTestMachine);
    Result<Stream> stream = co_await connect(*engine, server);
    EXPECT_TRUE(stream.has_value());
    if (!stream) co_return;
    EXPECT_TRUE(faults->slow(me, "server", {.delay = 2s}));
    Result<Duration> took = co_await round_trip(engine, &*stream, 10);
    EXPECT_TRUE(took.has_value());
    EXPECT_GE(took.value_or(0s), Duration(2s));
    EXPECT_TRUE(faults->slow(me, "server", {.bytes_per_second = 100}));
    took = co_await round_trip(engine, &*stream, 500);
    EXPECT_TRUE(took.has_value());
    EXPECT_GE(took.value_or(0s), Duration(5s));
    faults->heal();
    took = co_await round_trip(engine, &*stream, 10);
    EXPECT_TRUE(took.has_value());
    EXPECT_LE(took.value_or(1h), Duration(500ms));
    EXPECT_TRUE(faults->partition(me, "server"));
    EXPECT_TRUE(faults->reset(me, "server"));
    std::array<char, 16> buffer{};
    const Result<std::size_t> rest = co_await stream->read_some(buffer).within(1s);
    EXPECT_FALSE(rest.has_value());
    if (!rest) {
        EXPECT_EQ(rest.error(), Errc::closed) << "also where nothing else gets through";
    }
    EXPECT_TRUE(faults->mend_partition(me, "server"));
    stream = co_await connect(*engine, server, 5s);
    EXPECT_TRUE(stream.has_value());
    if (!stream) co_return;
    took = co_await round_trip(engine, &*stream, 10);
    EXPECT_TRUE(took.has_value());
}

TROUPE_SIM_TEST(SimulatedFaults, SlowOneWayAndResetWhatIsCut) {
    sim::Node& server = sim.node("server", &echo);
    sim.settle();
    sim::SimulatedFaults faults(sim, {{std::string(sim::kTestMachine), "server"}});
    std::vector<std::string> told;
    faults.on_fault([&](const std::string& what) { told.push_back(what); });
    sim.run(suffers(&faults, &sim.engine(), Endpoint(server.address(), kPort)));
    ASSERT_FALSE(told.empty());
    EXPECT_EQ(told.front(), "what the test sends to server comes 2000 ms late");
    const Result<void> none = faults.cut("server", "nobody");
    ASSERT_FALSE(none.has_value());
    EXPECT_THAT(none.error().message(), HasSubstr("there are: the test to server"));
}

}  // namespace
}  // namespace troupe
