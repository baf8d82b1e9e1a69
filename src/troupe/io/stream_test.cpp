#include <troupe/io/internal/test_engines.hpp>
#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using io_internal::make_test_pair;
using io_internal::on_both_networks;
using io_internal::on_many_schedules;
using io_internal::TestPair;
using io_internal::TestTask;

/// Different at every place, so that bytes in the wrong order are noticed.
std::string numbered_bytes(std::size_t count) {
    std::string text(count, '\0');
    for (std::size_t i = 0; i < count; ++i)
        text[i] = static_cast<char>(i * 7 + i / 251);
    return text;
}

Task<Result<std::string>> read_to_end(Stream* stream) {
    std::string text;
    char buffer[5000];
    for (;;) {
        const std::size_t got = co_await or_return(co_await stream->read_some(buffer));
        if (got == 0) co_return text;
        text.append(buffer, got);
    }
}

/// As read_to_end, for a task of its own.
Task<void> read_to_end_into(Stream* stream, Result<std::string>* text) {
    *text = co_await read_to_end(stream);
}

Task<void> echo(Stream stream) {
    char buffer[1000];
    for (;;) {
        const Result<std::size_t> got = co_await stream.read_some(buffer);
        EXPECT_TRUE(got.has_value()) << got.error().message();
        if (!got || *got == 0) co_return;
        const auto sent = co_await stream.write_all(std::string_view(buffer, *got));
        EXPECT_TRUE(sent.has_value()) << sent.error().message();
        if (!sent) co_return;
    }
}

Task<void> write_and_finish(Stream* stream, const std::string* text) {
    const Result<void> written = co_await stream->write_all(*text);
    EXPECT_TRUE(written.has_value()) << written.error().message();
    const Result<void> finished = stream->shutdown_write();
    EXPECT_TRUE(finished.has_value()) << finished.error().message();
}

// ---- refusals -----------------------------------------------------------------------------------

Task<void> use_closed_stream() {
    Stream stream;
    char buffer[10];
    EXPECT_EQ((co_await stream.read_some(buffer)).error(), Errc::closed);
    EXPECT_EQ((co_await stream.write_all("x")).error(), Errc::closed);
    EXPECT_EQ(stream.try_read(buffer).error(), Errc::closed);
    EXPECT_EQ(stream.try_write("x").error(), Errc::closed);
    EXPECT_EQ((co_await stream.transfer(buffer, "x")).error(), Errc::closed);
    EXPECT_EQ(stream.shutdown_write().error(), Errc::closed);
    EXPECT_EQ(stream.peer().port, 0);
    stream.close();
}

TEST(Stream, RefusesEverythingOnceClosed) {
    on_both_networks(3, [](Engine& engine) { block_on(engine, use_closed_stream()); });
}

Task<Result<Stream>> connect_to(Engine* engine, Endpoint endpoint, Duration timeout) {
    return connect(*engine, std::move(endpoint), timeout);
}

TEST(Stream, ConnectingToNobodyIsAnError) {
    on_both_networks(20, [](Engine& engine) {
        std::uint16_t nobodys_port = 0;
        {
            Result<Listener> listener = Listener::listen(engine, Endpoint("127.0.0.1", 0));
            ASSERT_TRUE(listener.has_value());
            nobodys_port = listener->port();
        }
        const Endpoint nobody("127.0.0.1", nobodys_port);
        const auto refused = block_on(engine, connect_to(&engine, nobody, Duration::max()));
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error(), Errc::unreachable) << refused.error().message();
        EXPECT_NE(refused.error().text().find(to_string(nobody)), std::string::npos);

        const Endpoint nonsense("no.such.host", 1);
        const auto unknown = block_on(engine, connect_to(&engine, nonsense, Duration::max()));
        ASSERT_FALSE(unknown.has_value());
        EXPECT_EQ(unknown.error(), Errc::failed) << unknown.error().message();
    });
}

Task<void> write_after_shutdown(Stream* stream) {
    EXPECT_TRUE(stream->shutdown_write().has_value());
    EXPECT_EQ((co_await stream->write_all("x")).error(), Errc::closed);
}

TEST(Stream, RefusesToWriteAfterSayingThatNothingMoreComes) {
    on_both_networks(5, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        block_on(engine, write_after_shutdown(&pair.client));
    });
}

// ---- reading and writing ------------------------------------------------------------------------

TEST(Stream, EchoesWhatItIsSent) {
    on_both_networks(300, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        const std::string text = numbered_bytes(3000);
        TestTask server(engine, echo(std::move(pair.server)));
        TestTask writer(engine, write_and_finish(&pair.client, &text));
        ASSERT_TRUE(writer.join());
        const Result<std::string> answer = block_on(engine, read_to_end(&pair.client));
        ASSERT_TRUE(answer.has_value()) << answer.error().message();
        EXPECT_TRUE(*answer == text);
        EXPECT_TRUE(server.join());
    });
}

TEST(Stream, ALargeTransferWaitsForItsReader) {
    on_both_networks(30, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        // More than any socket buffer holds, so the writer must wait in the middle.
        const std::string text =
            numbered_bytes(engine.deterministic() ? 300'000 : std::size_t{32} << 20);
        TestTask writer(engine, write_and_finish(&pair.client, &text));
        if (engine.deterministic()) {
            engine.run_for(10s);
            EXPECT_TRUE(writer.waits());
        }
        const Result<std::string> answer = block_on(engine, read_to_end(&pair.server));
        ASSERT_TRUE(answer.has_value()) << answer.error().message();
        EXPECT_TRUE(*answer == text);
        EXPECT_TRUE(writer.join());
    });
}

/// Goes on trying, and gives the bytes and then the end.
Task<std::string> try_until_end(Stream* stream) {
    std::string text;
    char buffer[100];
    for (;;) {
        const auto got = stream->try_read(buffer);
        EXPECT_TRUE(got.has_value()) << got.error().message();
        if (!got) co_return text;
        if (!got->has_value()) {
            EXPECT_TRUE((co_await sleep(100us)).has_value());
        } else if (**got == 0) {
            co_return text;
        } else {
            text.append(buffer, **got);
        }
    }
}

TEST(Stream, CanBeTriedWithoutWaiting) {
    on_both_networks(50, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        char buffer[10];
        const auto nothing = pair.server.try_read(buffer);
        ASSERT_TRUE(nothing.has_value());
        EXPECT_FALSE(nothing->has_value());
        const auto written = pair.client.try_write("hello");
        ASSERT_TRUE(written.has_value());
        EXPECT_GE(*written, 1u);
        EXPECT_TRUE(pair.client.shutdown_write().has_value());
        const std::string all = "hello";
        EXPECT_EQ(block_on(engine, try_until_end(&pair.server)), all.substr(0, *written));
    });
}

TEST(Stream, AFullBufferIsNoErrorButNoRoom) {
    on_both_networks(20, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        const std::string much = numbered_bytes(100'000);
        std::size_t total = 0;
        for (;;) {
            const auto written = pair.client.try_write(much);
            ASSERT_TRUE(written.has_value()) << written.error().message();
            if (*written == 0) break;
            total += *written;
        }
        EXPECT_GT(total, 60'000u);
        pair.client.close();
        const Result<std::string> all = block_on(engine, read_to_end(&pair.server));
        ASSERT_TRUE(all.has_value()) << all.error().message();
        EXPECT_EQ(all->size(), total);
    });
}

Task<void> read_last_bytes_and_end(Stream* stream) {
    char buffer[100];
    std::string text;
    for (;;) {
        const auto got = co_await stream->read_some(buffer);
        EXPECT_TRUE(got.has_value()) << got.error().message();
        if (!got || *got == 0) break;
        text.append(buffer, *got);
    }
    EXPECT_EQ(text, "the last words");
}

// The last bytes and the end reach a socket as one edge when nobody looked in between.
TEST(Stream, TheEndIsSeenAfterTheLastBytes) {
    on_both_networks(50, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        const std::string words = "the last words";
        block_on(engine, write_and_finish(&pair.client, &words));
        if (engine.deterministic()) engine.run_for(1s);
        block_on(engine, read_last_bytes_and_end(&pair.server));
    });
}

Task<void> read_nothing_into_nothing(Stream* stream) {
    const std::span<char> nowhere;
    const auto got = co_await stream->read_some(nowhere);
    EXPECT_TRUE(got.has_value());
    EXPECT_EQ(*got, 0u);
    EXPECT_TRUE((co_await stream->write_all(std::string_view())).has_value());
}

TEST(Stream, EmptyBuffersAreDoneAtOnce) {
    on_both_networks(3, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        block_on(engine, read_nothing_into_nothing(&pair.client));
    });
}

TEST(Stream, BothEndsAgreeOnTheirAddresses) {
    on_both_networks(3, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        EXPECT_EQ(pair.client.local(), pair.server.peer());
        EXPECT_EQ(pair.client.peer(), pair.server.local());
        EXPECT_EQ(pair.client.peer().host, "127.0.0.1");
        EXPECT_NE(pair.client.local().port, pair.client.peer().port);
    });
}

// ---- peers that go ------------------------------------------------------------------------------

Task<Errc> write_until_refused(Stream* stream) {
    const std::string some(10'000, 'x');
    for (;;) {
        const Result<void> written = co_await stream->write_all(some);
        if (!written) co_return written.error() == Errc::closed ? Errc::closed : Errc::failed;
    }
}

TEST(Stream, AWriterHearsThatItsPeerHasGone) {
    on_both_networks(100, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        pair.server.close();
        EXPECT_EQ(block_on(engine, write_until_refused(&pair.client)), Errc::closed);
    });
}

Task<void> read_a_little(Stream stream) {
    char buffer[10];
    EXPECT_TRUE((co_await stream.read_some(buffer)).has_value());
}

TEST(Stream, AWaitingWriterHearsThatItsPeerHasGone) {
    on_both_networks(100, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        TestTask reader(engine, read_a_little(std::move(pair.server)));
        EXPECT_EQ(block_on(engine, write_until_refused(&pair.client)), Errc::closed);
        EXPECT_TRUE(reader.join());
    });
}

TEST(Stream, AReaderSeesAnEndOrAnErrorWhenItsPeerGoesMidWay) {
    on_both_networks(100, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        // Before the reader has the stream: it is one task's at a time.
        ASSERT_TRUE(pair.client.try_write("something to read").has_value());
        Result<std::string> text;
        TestTask reader(engine, read_to_end_into(&pair.client, &text));
        TestTask peer(engine, read_a_little(std::move(pair.server)));
        EXPECT_TRUE(peer.join() && reader.join());
        if (!text) {
            EXPECT_EQ(text.error(), Errc::closed) << text.error().message();
        }
    });
}

// ---- waits that end early -----------------------------------------------------------------------

Task<void> read_within(Stream* stream, Duration timeout) {
    char buffer[10];
    const auto got = co_await stream->read_some(buffer).within(timeout);
    EXPECT_EQ(got.error(), Errc::timed_out);
    // The stream is as good as before.
    EXPECT_TRUE((co_await stream->write_all("after")).has_value());
}

TEST(Stream, AReadCanHaveADeadline) {
    on_both_networks(20, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        const Duration before = engine.now();
        block_on(engine, read_within(&pair.client, 20ms));
        EXPECT_GE(engine.now() - before, 20ms);
        char buffer[10];
        if (engine.deterministic()) engine.run_for(1s);
        EXPECT_TRUE(pair.server.try_read(buffer).has_value());
    });
}

Task<void> write_within(Stream* stream, Duration timeout) {
    const std::string much(std::size_t{32} << 20, 'x');
    const auto written = co_await stream->write_all(much).within(timeout);
    EXPECT_EQ(written.error(), Errc::timed_out);
}

TEST(Stream, AWriteCanHaveADeadline) {
    on_both_networks(3, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        block_on(engine, write_within(&pair.client, 20ms));
    });
}

Task<void> read_interruptibly(Stream* stream, Interruptible interruptible,
                              Result<std::size_t>* out) {
    char buffer[10];
    *out = co_await stream->read_some(buffer, interruptible);
}

void let_it_wait(Engine& engine, const TestTask& task) {
    if (!engine.deterministic()) return;
    engine.run_for(1s);
    EXPECT_TRUE(task.waits());
}

TEST(Stream, AStopEndsAnInterruptibleReadOnly) {
    on_both_networks(20, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        Result<std::size_t> got;
        TestTask reader(engine, read_interruptibly(&pair.client, Interruptible::no, &got));
        let_it_wait(engine, reader);
        reader.stop();
        let_it_wait(engine, reader);
        EXPECT_TRUE(pair.server.try_write("x").has_value());
        EXPECT_TRUE(reader.join());
        ASSERT_TRUE(got.has_value());
        EXPECT_EQ(*got, 1u);
    });
    on_many_schedules(20, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        Result<std::size_t> got;
        TestTask reader(engine, read_interruptibly(&pair.client, Interruptible::yes, &got));
        let_it_wait(engine, reader);
        reader.stop();
        EXPECT_TRUE(reader.join());
        EXPECT_EQ(got.error(), Errc::cancelled);
    });
}

// What arrives for a reader that was killed must find nothing, and the next owner must find it.
TEST(Stream, AKilledReaderLeavesNothingBehind) {
    on_both_networks(100, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        Result<std::size_t> got;
        {
            TestTask reader(engine, read_interruptibly(&pair.client, Interruptible::no, &got));
            EXPECT_TRUE(pair.server.try_write("x").has_value());
            reader.kill();
            EXPECT_TRUE(reader.join());
        }
        pair.server.close();
        const Result<std::string> rest = block_on(engine, read_to_end(&pair.client));
        ASSERT_TRUE(rest.has_value()) << rest.error().message();
        EXPECT_LE(rest->size(), 1u);
    });
}

TEST(Stream, AKilledOwnerClosesItsStream) {
    on_both_networks(50, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        TestTask server(engine, echo(std::move(pair.server)));
        let_it_wait(engine, server);
        server.kill();
        EXPECT_TRUE(server.join());
        const Result<std::string> rest = block_on(engine, read_to_end(&pair.client));
        ASSERT_TRUE(rest.has_value()) << rest.error().message();
        EXPECT_EQ(*rest, "");
    });
}

// ---- owners and crowds --------------------------------------------------------------------------

Task<void> read_one_then_hand_over(Stream stream, Stream* next) {
    char byte = 0;
    const auto got = co_await stream.read_some(std::span(&byte, 1));
    EXPECT_TRUE(got.has_value() && *got == 1);
    *next = std::move(stream);
}

// Events for the old owner and the first waits of the new one cross each other.
TEST(Stream, MovesFromTaskToTask) {
    on_both_networks(100, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        const std::string text = numbered_bytes(200);
        TestTask writer(engine, write_and_finish(&pair.client, &text));
        Stream stream = std::move(pair.server);
        for (int i = 0; i < 100; ++i) {
            Stream next;
            TestTask reader(engine, read_one_then_hand_over(std::move(stream), &next));
            ASSERT_TRUE(reader.join());
            stream = std::move(next);
        }
        const Result<std::string> rest = block_on(engine, read_to_end(&stream));
        ASSERT_TRUE(rest.has_value()) << rest.error().message();
        EXPECT_EQ(*rest, text.substr(100));
        EXPECT_TRUE(writer.join());
    });
}

Task<void> serve_echoes(Engine* engine, Listener* listener, std::size_t count,
                        std::deque<TestTask>* servers) {
    for (std::size_t i = 0; i < count; ++i) {
        Result<Stream> accepted = co_await listener->accept();
        EXPECT_TRUE(accepted.has_value()) << accepted.error().message();
        if (!accepted) co_return;
        servers->emplace_back(*engine, echo(std::move(*accepted)));
    }
}

Task<void> say_and_hear(Engine* engine, Endpoint endpoint, std::string text) {
    Result<Stream> stream = co_await connect(*engine, std::move(endpoint));
    EXPECT_TRUE(stream.has_value()) << stream.error().message();
    if (!stream) co_return;
    for (int round = 0; round < 3; ++round) {
        const auto sent = co_await stream->write_all(text);
        EXPECT_TRUE(sent.has_value()) << sent.error().message();
        std::string heard;
        char buffer[64];
        while (heard.size() < text.size()) {
            const auto got = co_await stream->read_some(buffer);
            EXPECT_TRUE(got.has_value() && *got != 0);
            if (!got || *got == 0) co_return;
            heard.append(buffer, *got);
        }
        EXPECT_EQ(heard, text);
    }
}

TEST(Stream, ManyStreamsDoNotMixTheirBytes) {
    on_both_networks(20, [](Engine& engine) {
        const std::size_t count = engine.deterministic() ? 20 : 200;
        Result<Listener> listener = Listener::listen(engine, Endpoint("localhost", 0));
        ASSERT_TRUE(listener.has_value()) << listener.error().message();
        std::deque<TestTask> servers;
        std::deque<TestTask> clients;
        TestTask acceptor(engine, serve_echoes(&engine, &*listener, count, &servers));
        for (std::size_t i = 0; i < count; ++i) {
            clients.emplace_back(
                engine, say_and_hear(&engine, listener->local(), "client " + std::to_string(i)));
        }
        for (TestTask& client : clients)
            EXPECT_TRUE(client.join());
        EXPECT_TRUE(acceptor.join());
        for (TestTask& server : servers)
            EXPECT_TRUE(server.join());
    });
}

Task<void> note(bool* noted) {
    *noted = true;
    co_return;
}

Task<void> read_much(Engine* engine, Stream* stream, std::size_t bytes, int times,
                     std::deque<TestTask>* others, bool* noted) {
    others->emplace_back(*engine, note(noted));
    std::string buffer(bytes, '\0');
    for (int i = 0; i < times; ++i)
        EXPECT_TRUE((co_await stream->read_some(buffer)).has_value());
    EXPECT_TRUE(*noted) << times << " reads of " << bytes << " bytes let nobody else run";
}

// A peer that sends faster than we read would otherwise keep the worker to itself.
// On the one schedule that always takes the first alternative, which is the fair one.
TEST(Stream, AReaderWithPlentyToReadLetsOthersRun) {
    explore_depth_first(1, 0, [](Engine& engine) {
        NetworkConditions quiet;
        quiet.splits = false;
        set_network_conditions(engine, quiet);
        struct Reads {
            std::size_t bytes;
            int times;
        };
        for (const Reads& reads : {Reads{1, 1000}, Reads{10'000, 7}}) {
            TestPair pair = make_test_pair(engine);
            const std::string text(reads.bytes * static_cast<std::size_t>(reads.times), 'x');
            TestTask writer(engine, write_and_finish(&pair.client, &text));
            engine.run_for(1s);
            std::deque<TestTask> others;
            bool noted = false;
            block_on(engine,
                     read_much(&engine, &pair.server, reads.bytes, reads.times, &others, &noted));
            EXPECT_TRUE(writer.join());
            engine.settle();
        }
    });
}

// ---- both ways at once --------------------------------------------------------------------------

/// Sends all of `text` and receives until the peer has finished, neither before the other.
Task<void> swap(Stream* stream, const std::string* text, std::string* received) {
    std::string_view rest = *text;
    char buffer[3000];
    bool ended = false;
    while (!ended || !rest.empty()) {
        const std::span<char> room = ended ? std::span<char>() : std::span<char>(buffer);
        const Result<Transferred> moved = co_await stream->transfer(room, rest);
        EXPECT_TRUE(moved.has_value()) << moved.error().message();
        if (!moved) co_return;
        EXPECT_TRUE(moved->read > 0 || moved->written > 0 || moved->ended) << "it waits for that";
        received->append(buffer, moved->read);
        const bool last = moved->written > 0 && moved->written == rest.size();
        rest.remove_prefix(moved->written);
        ended = ended || moved->ended;
        if (last) {
            EXPECT_TRUE(stream->shutdown_write().has_value());
        }
    }
}

TEST(Stream, TransfersBothWaysAtOnce) {
    // More than any buffer on the way holds: whoever wrote first and read then would wait for ever.
    const std::string question = numbered_bytes(1'000'000);
    const std::string answer = numbered_bytes(900'000);
    on_both_networks(10, [&](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        std::string heard_by_server;
        std::string heard_by_client;
        TestTask server(engine, swap(&pair.server, &answer, &heard_by_server));
        TestTask client(engine, swap(&pair.client, &question, &heard_by_client));
        EXPECT_TRUE(server.join() && client.join());
        EXPECT_TRUE(heard_by_server == question);
        EXPECT_TRUE(heard_by_client == answer);
    });
}

Task<void> transfer_in_vain(Stream* stream) {
    char buffer[10];
    const auto nothing = co_await stream->transfer(buffer, std::string_view()).within(3s);
    EXPECT_FALSE(nothing.has_value());
    if (!nothing) {
        EXPECT_EQ(nothing.error(), Errc::timed_out);
    }
}

TEST(Stream, ATransferCanTimeOut) {
    on_many_schedules(10, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        block_on(engine, transfer_in_vain(&pair.client));
        EXPECT_GE(engine.now(), 3s);
    });
}

Task<void> transfer_interruptibly(Stream* stream, Result<Transferred>* outcome) {
    char buffer[10];
    *outcome = co_await stream->transfer(buffer, std::string_view(), Interruptible::yes);
}

TEST(Stream, AStopEndsATransferThatAllowsIt) {
    on_many_schedules(10, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        Result<Transferred> outcome;
        TestTask task(engine, transfer_interruptibly(&pair.client, &outcome));
        let_it_wait(engine, task);
        task.stop();
        EXPECT_TRUE(task.join());
        EXPECT_TRUE(!outcome && outcome.error() == Errc::cancelled);
    });
}

}  // namespace
}  // namespace troupe
