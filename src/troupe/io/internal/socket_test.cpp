#include <troupe/io/internal/test_descriptors.hpp>
#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

// What both networks promise is in stream_test.cpp and listener_test.cpp; here is what only real
// sockets and threads can get wrong.

namespace troupe::io_internal {
namespace {

using namespace std::chrono_literals;

Task<void> accept_and_note_turns(Engine* engine, Listener* listener, Result<Stream>* stream,
                                 std::uint64_t* turns) {
    const std::uint64_t before = engine->stats().turns;
    *stream = co_await listener->accept();
    *turns = engine->stats().turns - before;
}

TEST(Socket, AListenerDoesNotSpinWithoutDescriptors) {
    const auto engine = make_threaded_engine();
    Result<Listener> listener = Listener::listen(*engine, Endpoint("127.0.0.1", 0));
    ASSERT_TRUE(listener.has_value()) << listener.error().message();
    Result<Stream> client;
    Result<Stream> server;
    std::uint64_t turns = 0;
    // Once with descriptors to spare: the sanitizer needs some to look at a type for the first
    // time.
    for (int round = 0; round < 2; ++round) {
        TestTask task(*engine, connect_into(engine.get(), listener->local(), &client));
        ASSERT_TRUE(task.join());
        ASSERT_TRUE(client.has_value()) << client.error().message();
        if (round == 1) break;
        TestTask first(*engine, accept_and_note_turns(engine.get(), &*listener, &server, &turns));
        ASSERT_TRUE(first.join());
        ASSERT_TRUE(server.has_value()) << server.error().message();
    }

    TestTask acceptor(*engine, accept_and_note_turns(engine.get(), &*listener, &server, &turns));
    const Duration begin = engine->now();
    {
        const NoDescriptors limit;
        while (engine->now() - begin < 100ms) {
            // The time is the machine's here: what must not happen happens meanwhile.
        }
    }
    EXPECT_TRUE(acceptor.join());
    EXPECT_TRUE(server.has_value()) << server.error().message();
    EXPECT_LT(turns, 20u);
    engine->stop();
}

// ---- files --------------------------------------------------------------------------------------

/// A file of some bytes that has no name any more.
class TestFile {
public:
    explicit TestFile(const std::string& text) {
        char path[] = "/tmp/troupe-socket-test-XXXXXX";
        descriptor_ = ::mkstemp(path);
        EXPECT_GE(descriptor_, 0);
        ::unlink(path);
        EXPECT_EQ(::write(descriptor_, text.data(), text.size()),
                  static_cast<ssize_t>(text.size()));
    }
    ~TestFile() { ::close(descriptor_); }
    TestFile(const TestFile&) = delete;
    TestFile& operator=(const TestFile&) = delete;
    int descriptor() const { return descriptor_; }

private:
    int descriptor_ = -1;
};

Task<void> read_up_to(Stream* stream, std::size_t bytes, std::string* text) {
    char buffer[5000];
    while (text->size() < bytes) {
        const Result<std::size_t> got = co_await stream->read_some(buffer);
        if (!got || *got == 0) co_return;
        text->append(buffer, *got);
    }
}

Task<void> send_whole_file(Stream* stream, int descriptor, std::size_t bytes, Error* error) {
    for (std::size_t sent = 0; sent < bytes;) {
        const Result<std::size_t> moved =
            co_await stream->send_file(descriptor, sent, bytes - sent).within(20s);
        if (!moved) {
            *error = moved.error();
            co_return;
        }
        EXPECT_GT(*moved, 0u);
        sent += *moved;
    }
}

TEST(Socket, SendsAFileAsFastAsThePeerTakesIt) {
    const auto engine = make_threaded_engine();
    TestPair pair = make_test_pair(*engine);
    EXPECT_TRUE(pair.server.sends_files());
    std::string text(20'000'000, 'x');  // more than the kernel holds for a peer that is slow
    for (std::size_t i = 0; i < text.size(); i += 1000)
        text[i] = static_cast<char>('a' + i % 26);
    const TestFile file(text);
    Error error(Errc::cancelled);
    std::string seen;
    TestTask sending(*engine,
                     send_whole_file(&pair.server, file.descriptor(), text.size(), &error));
    TestTask reading(*engine, read_up_to(&pair.client, text.size(), &seen));
    EXPECT_TRUE(sending.join());
    EXPECT_TRUE(reading.join());
    EXPECT_EQ(error, Errc::cancelled) << error.message();
    EXPECT_TRUE(seen == text);
    engine->stop();
}

TEST(Socket, SaysSoWhenAFileIsShorterThanItWas) {
    const auto engine = make_threaded_engine();
    TestPair pair = make_test_pair(*engine);
    const TestFile file("four");
    Error error(Errc::cancelled);
    TestTask sending(*engine, send_whole_file(&pair.server, file.descriptor(), 5, &error));
    EXPECT_TRUE(sending.join());
    EXPECT_EQ(error, Errc::failed);
    engine->stop();
}

TEST(Socket, AFileForAPeerThatIsGoneIsAnErrorAndNoSignal) {
    const auto engine = make_threaded_engine();
    TestPair pair = make_test_pair(*engine);
    pair.client.close();
    const TestFile file(std::string(1'000'000, 'x'));
    Error error(Errc::cancelled);
    // The first bytes may still go; what answers them is the end.
    for (int round = 0; round < 100 && error == Errc::cancelled; ++round) {
        TestTask sending(*engine,
                         send_whole_file(&pair.server, file.descriptor(), 1'000'000, &error));
        EXPECT_TRUE(sending.join());
    }
    EXPECT_EQ(error, Errc::closed) << error.message();
    error = Error(Errc::cancelled);
    TestTask again(*engine, send_whole_file(&pair.server, file.descriptor(), 10, &error));
    EXPECT_TRUE(again.join());
    EXPECT_EQ(error, Errc::closed) << "a second time, when it is a broken pipe";
    engine->stop();
}

// ---- handing over
// --------------------------------------------------------------------------------

constexpr int kHandOvers = 1000;

/// One connection that goes from task to task while its peer keeps sending.
struct Relay {
    Engine* engine = nullptr;
    std::deque<TestTask> runners;
    Latch finished;
};

Task<void> run_leg(Relay* relay, Stream stream, int left) {
    char byte = 0;
    for (int i = 0; i < 2; ++i) {
        const Result<std::size_t> got = co_await stream.read_some(std::span(&byte, 1));
        EXPECT_TRUE(got.has_value() && *got == 1);
    }
    if (left == 0) {
        relay->finished.open();
        co_return;
    }
    // Not started before the deque is done with it: the next one uses the deque, too.
    relay->runners
        .emplace_back(*relay->engine, run_leg(relay, std::move(stream), left - 1),
                      TestTask::Start::later)
        .start();
    // Still alive while the next one waits: what was posted to this task for the stream must find
    // its way there.
    for (int i = 0; i < 5; ++i)
        co_await yield();
}

Task<void> send_bytes_one_by_one(Stream stream, int count) {
    for (int i = 0; i < count; ++i) {
        EXPECT_TRUE((co_await stream.write_all("x")).has_value());
        if (i % 3 != 0) co_await yield();
    }
}

TEST(Socket, NoEventIsLostWhenAStreamChangesHands) {
    ThreadedOptions options;
    options.workers = 4;
    const auto engine = make_threaded_engine(options);
    constexpr int kRelays = 4;
    std::deque<Relay> relays(kRelays);
    std::deque<TestTask> senders;
    for (Relay& relay : relays) {
        relay.engine = engine.get();
        TestPair pair = make_test_pair(*engine);
        senders.emplace_back(*engine,
                             send_bytes_one_by_one(std::move(pair.client), 2 * kHandOvers + 2));
        relay.runners.emplace_back(*engine, run_leg(&relay, std::move(pair.server), kHandOvers),
                                   TestTask::Start::later);
    }
    for (Relay& relay : relays)
        relay.runners.front().start();
    for (Relay& relay : relays)
        EXPECT_TRUE(engine->run_until(relay.finished));
    for (Relay& relay : relays) {
        for (TestTask& runner : relay.runners)
            EXPECT_TRUE(runner.join());
    }
    for (TestTask& sender : senders)
        EXPECT_TRUE(sender.join());
    engine->stop();
}

}  // namespace
}  // namespace troupe::io_internal
