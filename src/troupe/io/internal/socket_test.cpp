#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <utility>

// What both networks promise is in stream_test.cpp and listener_test.cpp; here is what only real
// sockets and threads can get wrong.

namespace troupe::io_internal {
namespace {

using namespace std::chrono_literals;

/// Lowers the limit of descriptors to what is in use, for as long as it lives.
class NoDescriptors {
public:
    NoDescriptors() {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const int next = ::dup(0);
        ::close(next);
        rlimit low = before_;
        low.rlim_cur = static_cast<rlim_t>(next);
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    }
    ~NoDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

private:
    rlimit before_{};
};

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
