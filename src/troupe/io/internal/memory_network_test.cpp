#include <troupe/base/block_pool.hpp>
#include <troupe/io/internal/test_engines.hpp>
#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/task/block_on.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// What both networks promise is in stream_test.cpp and listener_test.cpp; here is what only the
// one in memory does.

namespace troupe::io_internal {
namespace {

using namespace std::chrono_literals;

Result<Listener> listen_anywhere(Engine& engine) {
    return Listener::listen(engine, Endpoint("127.0.0.1", 0));
}

Task<Result<std::string>> read_to_end(Stream* stream) {
    std::string text;
    char buffer[300];
    for (;;) {
        const std::size_t got = co_await or_return(co_await stream->read_some(buffer));
        if (got == 0) co_return text;
        text.append(buffer, got);
    }
}

Task<void> read_to_end_into(Stream* stream, Result<std::string>* text) {
    *text = co_await read_to_end(stream);
}

Task<Result<void>> write_and_finish(Stream* stream, std::string text) {
    co_await or_return(co_await stream->write_all(text));
    co_return stream->shutdown_write();
}

Task<void> write_and_finish_into(Stream* stream, std::string text, Result<void>* outcome) {
    *outcome = co_await write_and_finish(stream, std::move(text));
}

TEST(MemoryNetwork, GivesFreePortsInOrder) {
    on_many_schedules(1, [](Engine& engine) {
        Result<Listener> first = listen_anywhere(engine);
        Result<Listener> second = listen_anywhere(engine);
        ASSERT_TRUE(first.has_value() && second.has_value());
        EXPECT_EQ(first->port(), 49152);
        EXPECT_EQ(second->port(), 49153);
        first->close();
        const Result<Listener> third = listen_anywhere(engine);
        EXPECT_EQ(third->port(), 49152);
    });
}

std::uint64_t hash_of_run(std::uint64_t seed) {
    RandomChooser chooser(seed);
    const std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    NetworkConditions conditions;
    conditions.resets_per_thousand = 5;
    set_network_conditions(*engine, conditions);
    TestPair pair = make_test_pair(*engine);
    Result<std::string> text;
    Result<void> written;
    TestTask reader(*engine, read_to_end_into(&pair.server, &text));
    TestTask writer(*engine, write_and_finish_into(&pair.client, std::string(2000, 'x'), &written));
    EXPECT_TRUE(writer.join());
    pair.client.close();
    EXPECT_TRUE(reader.join());
    return engine->event_hash();
}

TEST(MemoryNetwork, TheSameSeedGivesTheSameRun) {
    std::vector<std::uint64_t> hashes;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        hashes.push_back(hash_of_run(seed));
        const std::unique_ptr<char[]> elsewhere(new char[seed * 100]);  // moves what comes next
        ASSERT_EQ(hash_of_run(seed), hashes.back()) << "TROUPE_SEED=" << seed;
    }
    std::sort(hashes.begin(), hashes.end());
    EXPECT_EQ(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

Task<void> read_once(Stream* stream, std::size_t* got) {
    char buffer[100];
    const Result<std::size_t> outcome = co_await stream->read_some(buffer);
    EXPECT_TRUE(outcome.has_value());
    if (outcome) *got = *outcome;
}

TEST(MemoryNetwork, PiecesTakeTheirTime) {
    on_many_schedules(50, [](Engine& engine) {
        NetworkConditions conditions;
        conditions.latency_min = 10ms;
        conditions.latency_max = 20ms;
        set_network_conditions(engine, conditions);
        TestPair pair = make_test_pair(engine);
        engine.run_for(1s);
        const Duration sent_at = engine.now();
        EXPECT_TRUE(pair.client.try_write("x").has_value());
        std::size_t got = 0;
        block_on(engine, read_once(&pair.server, &got));
        EXPECT_EQ(got, 1u);
        EXPECT_GE(engine.now() - sent_at, 10ms);
        EXPECT_LE(engine.now() - sent_at, 20ms);
    });
}

TEST(MemoryNetwork, ConnectingCanTimeOutAndBeStopped) {
    on_many_schedules(20, [](Engine& engine) {
        NetworkConditions conditions;
        conditions.latency_min = 10ms;
        conditions.latency_max = 20ms;
        set_network_conditions(engine, conditions);
        Result<Listener> listener = listen_anywhere(engine);
        for (const Duration timeout : {Duration(0), Duration(1ms), Duration(15ms)}) {
            Result<Stream> late;
            TestTask connecting(engine, connect_into(&engine, listener->local(), &late, timeout));
            const Duration before = engine.now();
            EXPECT_TRUE(connecting.join());
            EXPECT_EQ(late.error(), Errc::timed_out);
            EXPECT_EQ(engine.now() - before, timeout);
        }
        Result<Stream> stopped;
        TestTask connecting(engine, connect_into(&engine, listener->local(), &stopped));
        engine.run_for(5ms);
        connecting.stop();
        EXPECT_TRUE(connecting.join());
        EXPECT_EQ(stopped.error(), Errc::cancelled);
    });
}

TEST(MemoryNetwork, HoldsNoMoreThanItsBuffer) {
    on_many_schedules(50, [](Engine& engine) {
        NetworkConditions conditions;
        conditions.buffer_bytes = 1000;
        set_network_conditions(engine, conditions);
        TestPair pair = make_test_pair(engine);
        const std::string much(5000, 'x');
        std::size_t held = 0;
        for (int i = 0; i < 10'000; ++i) {
            const Result<std::size_t> written = pair.client.try_write(much);
            ASSERT_TRUE(written.has_value());
            held += *written;
        }
        EXPECT_EQ(held, 1000u);

        // Reading makes room, and the news of that has to travel, too.
        engine.run_for(1s);
        std::size_t got = 0;
        block_on(engine, read_once(&pair.server, &got));
        EXPECT_EQ(*pair.client.try_write(much), 0u);
        engine.run_for(1s);
        EXPECT_GT(*pair.client.try_write(much), 0u);
    });
}

TEST(MemoryNetwork, CutsWhatIsSentAtChosenPlaces) {
    std::size_t whole = 0;
    std::size_t cut = 0;
    on_many_schedules(100, [&](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        Result<void> written;
        TestTask writer(engine,
                        write_and_finish_into(&pair.client, std::string(100, 'x'), &written));
        std::size_t got = 0;
        block_on(engine, read_once(&pair.server, &got));
        ++(got == 100 ? whole : cut);
        EXPECT_TRUE(writer.join());
    });
    EXPECT_GT(whole, 0u);
    EXPECT_GT(cut, 0u);
}

// Whatever breaks and wherever: a reader sees a beginning of what was sent, then the end if all
// was written and came through, else an error.
TEST(MemoryNetwork, ABrokenConnectionNeverLooksComplete) {
    std::size_t broken = 0;
    std::size_t complete = 0;
    on_many_schedules(300, [&](Engine& engine) {
        NetworkConditions conditions;
        conditions.resets_per_thousand = 100;
        conditions.buffer_bytes = 500;
        set_network_conditions(engine, conditions);
        TestPair pair = make_test_pair(engine);
        Result<void> written;
        Result<std::string> text;
        TestTask writer(engine,
                        write_and_finish_into(&pair.client, std::string(2000, 'x'), &written));
        TestTask reader(engine, read_to_end_into(&pair.server, &text));
        EXPECT_TRUE(writer.join() && reader.join());
        EXPECT_EQ(written.has_value(), text.has_value());
        if (text.has_value()) {
            EXPECT_EQ(text->size(), 2000u);
            ++complete;
        } else {
            EXPECT_EQ(text.error(), Errc::closed) << text.error().message();
            EXPECT_EQ(written.error(), Errc::closed) << written.error().message();
            ++broken;
        }
    });
    EXPECT_GT(complete, 0u);
    EXPECT_GT(broken, 0u);
}

TEST(MemoryNetwork, AnEndedEngineClosesWhatIsLeft) {
    RandomChooser chooser(1);
    std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    TestPair pair = make_test_pair(*engine);
    Result<Listener> listener = listen_anywhere(*engine);
    EXPECT_TRUE(pair.client.try_write("x").has_value());
    engine->stop();
    char buffer[10];
    EXPECT_EQ(pair.server.try_read(buffer).error(), Errc::closed);
    EXPECT_EQ(pair.client.try_write("x").error(), Errc::closed);
    EXPECT_EQ(pair.client.shutdown_write().error(), Errc::closed);
    engine.reset();
    pair.client.close();
    listener->close();
}

TEST(MemoryNetwork, LeavesNoBlocksBehind) {
    on_many_schedules(50, [](Engine& engine) {
        const std::uint64_t before = block_pool_stats().live_blocks;
        {
            TestPair pair = make_test_pair(engine);
            Result<std::string> text;
            TestTask reader(engine, read_to_end_into(&pair.server, &text));
            EXPECT_TRUE(pair.client.try_write("something").has_value());
            reader.kill();
            EXPECT_TRUE(reader.join());
        }
        engine.run_for(1s);
        EXPECT_EQ(block_pool_stats().live_blocks, before);
    });
}

// Small enough to be walked whole: the order of the two writes is kept on every schedule.
TEST(MemoryNetwork, KeepsTheOrderOnEverySchedule) {
    const Exploration seen = explore_depth_first(100'000, 1000, [](Engine& engine) {
        NetworkConditions conditions;
        conditions.splits = false;
        conditions.latency_max = conditions.latency_min;
        set_network_conditions(engine, conditions);
        TestPair pair = make_test_pair(engine);
        conditions.latency_max = 8 * conditions.latency_min;
        set_network_conditions(engine, conditions);
        EXPECT_TRUE(pair.client.try_write("ab").has_value());
        EXPECT_TRUE(pair.client.try_write("cd").has_value());
        pair.client.close();
        conditions.latency_max = conditions.latency_min;
        set_network_conditions(engine, conditions);
        const Result<std::string> text = block_on(engine, read_to_end(&pair.server));
        EXPECT_TRUE(text.has_value() && *text == "abcd");
        return !testing::Test::HasFailure();
    });
    std::printf("%zu schedules, %zu of them distinct\n", seen.runs, seen.distinct);
    EXPECT_TRUE(seen.exhaustive);
    EXPECT_EQ(seen.distinct, seen.runs);
}

// ---- partitions ---------------------------------------------------------------------------------

TEST(MemoryNetwork, HoldsBackOneWayUntilItIsReleased) {
    on_many_schedules(50, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        const std::uint16_t port = pair.client.peer().port;
        hold_network(engine, port, NetworkWay::to_server);
        EXPECT_TRUE(pair.client.try_write("to the server").has_value());
        EXPECT_TRUE(pair.server.try_write("x").has_value());
        std::size_t at_server = 0;
        std::size_t at_client = 0;
        TestTask server(engine, read_once(&pair.server, &at_server));
        TestTask client(engine, read_once(&pair.client, &at_client));
        engine.run_for(60s);
        EXPECT_EQ(at_server, 0U) << "nothing arrives that way";
        EXPECT_EQ(at_client, 1U) << "the other way is open";
        const Duration released_at = engine.now();
        release_network(engine, port);
        EXPECT_TRUE(server.join() && client.join());
        EXPECT_GT(at_server, 0U);
        EXPECT_LT(engine.now() - released_at, Duration(1s));
    });
}

TEST(MemoryNetwork, KeepsTheOrderOfWhatItHeldAndTheEnd) {
    on_many_schedules(50, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        const std::uint16_t port = pair.client.peer().port;
        Result<std::string> text;
        Result<void> written;
        TestTask reader(engine, read_to_end_into(&pair.server, &text));
        hold_network(engine, port);
        TestTask writer(engine, write_and_finish_into(&pair.client, "one two three", &written));
        engine.run_for(10s);
        EXPECT_TRUE(writer.join()) << "the buffer takes it";
        pair.client.close();
        engine.run_for(10s);
        release_network(engine, port);
        EXPECT_TRUE(reader.join());
        EXPECT_EQ(text, "one two three");
    });
}

TEST(MemoryNetwork, LetsNobodyThroughWhileItIsHeld) {
    on_many_schedules(20, [](Engine& engine) {
        Result<Listener> listener = listen_anywhere(engine);
        ASSERT_TRUE(listener.has_value());
        hold_network(engine, listener->port());
        Result<Stream> client;
        TestTask connecting(engine, connect_into(&engine, listener->local(), &client, 5s));
        EXPECT_TRUE(connecting.join());
        ASSERT_FALSE(client.has_value());
        EXPECT_EQ(client.error(), Errc::timed_out);
        release_network(engine, listener->port());
        Result<Stream> again;
        Result<Stream> accepted;
        TestTask accepting(engine, accept_into(&*listener, &accepted));
        TestTask second(engine, connect_into(&engine, listener->local(), &again, 5s));
        EXPECT_TRUE(accepting.join() && second.join());
        EXPECT_TRUE(again.has_value());
    });
}

TEST(MemoryNetwork, SendsNoFasterThanItsBandwidth) {
    on_many_schedules(20, [](Engine& engine) {
        NetworkConditions conditions;
        conditions.bytes_per_second = 1000;
        set_network_conditions(engine, conditions);
        TestPair pair = make_test_pair(engine);
        const Duration began = engine.now();
        Result<std::string> text;
        Result<void> written;
        TestTask reader(engine, read_to_end_into(&pair.server, &text));
        TestTask writer(engine,
                        write_and_finish_into(&pair.client, std::string(5000, 'x'), &written));
        EXPECT_TRUE(writer.join());
        EXPECT_TRUE(reader.join());
        EXPECT_GE(engine.now() - began, Duration(5s));
        EXPECT_LT(engine.now() - began, Duration(6s));
    });
}

}  // namespace
}  // namespace troupe::io_internal
