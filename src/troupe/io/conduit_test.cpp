#include <troupe/io/conduit.hpp>
#include <troupe/io/internal/test_engines.hpp>
#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/test_task.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/reactor.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using io_internal::make_test_pair;
using io_internal::on_both_networks;
using io_internal::TestTask;

const Endpoint kLocal("10.0.0.1", 80);
const Endpoint kPeer("10.0.0.2", 5000);

/// The actor that has a connection: gives each stream back what it writes, until all have closed.
Task<void> echo(Junction* junction, Stream* network, std::vector<Conduit>* conduits,
                std::string* heard) {
    std::size_t open = conduits->size();
    while (open > 0) {
        std::vector<std::uint64_t> news;
        junction->take_news(news);
        for (const std::uint64_t number : news) {
            Conduit& far = (*conduits)[number];
            ignore(far.take_read(), "nobody is held back here");
            std::string bytes(far.written(), '\0');
            far.take(bytes);
            far.give(bytes);
            if (far.ended()) far.finish();
            if (far.closed()) --open;
        }
        if (open == 0) co_return;
        std::array<char, 100> buffer{};
        const Result<Transferred> moved =
            co_await junction->transfer(*network, buffer, std::string_view());
        EXPECT_TRUE(moved.has_value());
        if (!moved) co_return;
        heard->append(buffer.data(), moved->read);
    }
}

/// One of the streams: says a lot, hears it all again, and the end.
Task<void> talk(Stream stream, std::string text) {
    EXPECT_EQ(stream.peer(), kPeer);
    EXPECT_EQ(stream.local(), kLocal);
    std::string heard;
    for (std::size_t i = 0; i < text.size(); i += 700) {
        const Result<void> written =
            co_await stream.write_all(std::string_view(text).substr(i, 700));
        EXPECT_TRUE(written.has_value());
        std::array<char, 1000> buffer{};
        const Result<std::size_t> got = co_await stream.read_some(buffer);
        EXPECT_TRUE(got.has_value() && *got > 0);
        heard.append(buffer.data(), got.value_or(0));
    }
    EXPECT_TRUE(stream.shutdown_write().has_value());
    for (;;) {
        std::array<char, 1000> buffer{};
        const Result<std::size_t> got = co_await stream.read_some(buffer);
        EXPECT_TRUE(got.has_value());
        if (!got || *got == 0) break;
        heard.append(buffer.data(), *got);
    }
    EXPECT_EQ(heard, text);
    const Result<void> late = co_await stream.write_all("more");
    EXPECT_FALSE(late.has_value()) << "it has finished writing";
}

TEST(Conduit, CarriesManyStreamsBesideTheNetwork) {
    on_both_networks(30, [](Engine& engine) {
        auto pair = make_test_pair(engine);
        Junction junction;
        std::vector<Conduit> conduits;
        std::vector<Stream> streams;
        for (std::uint64_t i = 0; i < 3; ++i) {
            Junction::Opened opened = junction.open(i, 256, kLocal, kPeer);
            conduits.push_back(std::move(opened.far));
            streams.push_back(std::move(opened.near));
        }
        std::string heard;
        TestTask echoing(engine, echo(&junction, &pair.server, &conduits, &heard));
        auto say = [](Stream* stream) -> Task<void> {
            const Result<void> said = co_await stream->write_all("beside");
            EXPECT_TRUE(said.has_value());
        };
        TestTask saying(engine, say(&pair.client));
        TestTask first(engine, talk(std::move(streams[0]), std::string(3000, 'a')));
        TestTask second(engine, talk(std::move(streams[1]), std::string(5000, 'b')));
        TestTask third(engine, talk(std::move(streams[2]), "c"));
        EXPECT_TRUE(first.join() && second.join() && third.join() && saying.join() &&
                    echoing.join());
    });
}

/// Handled in a turn of another cell: the peer sends, and the socket tells.
struct Meanwhile : MailNode {
    Meanwhile(Engine& its_engine, Stream& its_peer) : engine(its_engine), peer(its_peer) {
        ops = &kOps;
    }
    static void send(Engine& engine, Stream& peer, std::string_view bytes) {
        EXPECT_EQ(peer.try_write(bytes).value_or(0), bytes.size());
        engine.reactor()->poll_for_owner();
    }
    static bool arrive(MailNode* node, Cell&) {
        auto* const self = static_cast<Meanwhile*>(node);
        send(self->engine, self->peer, "second");
        delete self;
        return false;
    }
    static void drop(MailNode* node, const Error&) noexcept {
        delete static_cast<Meanwhile*>(node);
    }
    static constexpr MailOps kOps{MailKind::signal, &drop, &arrive};

    Engine& engine;
    Stream& peer;
};

/// News and the network wake the same wait in one turn, and more comes between the two: what has
/// been read by the first is not read over by the second.
TEST(Conduit, WhatTwoWakeAtOnceIsDoneOnce) {
    const std::unique_ptr<Engine> engine = make_threaded_engine({.workers = 1});
    {
        auto pair = make_test_pair(*engine);
        Junction junction;
        Junction::Opened opened = junction.open(0, 50, kLocal, kPeer);
        Cell* reader = nullptr;
        auto read = [&]() -> Task<void> {
            reader = current_cell();
            std::string heard;
            while (heard.size() < 11) {
                std::array<char, 100> buffer{};
                const Result<Transferred> moved =
                    co_await junction.transfer(pair.server, buffer, std::string_view()).within(5s);
                if (!moved) break;
                std::vector<std::uint64_t> news;
                junction.take_news(news);
                heard.append(buffer.data(), moved->read);
            }
            EXPECT_EQ(heard, "firstsecond");
        };
        TestTask reading(*engine, read());
        auto wake = [&]() -> Task<void> {
            while (!reading.waits())
                ignore(co_await sleep(1ms), "nobody cancels it");
            // The only worker is here: all three lie in the reader's mailbox before its turn.
            opened.far.bell().ring(1);
            post_signal(*reader, reader->generation(), new Meanwhile(*engine, pair.client));
            Meanwhile::send(*engine, pair.client, "first");
        };
        block_on(*engine, wake());
        EXPECT_TRUE(reading.join());
    }
    engine->stop();
}

/// Writes until it cannot, and then on when there is room.
Task<void> fill(Stream* stream, std::size_t* written) {
    for (int i = 0; i < 10; ++i) {
        const Result<void> one = co_await stream->write_all(std::string_view("0123456789"));
        EXPECT_TRUE(one.has_value());
        *written += 10;
    }
}

TEST(Conduit, MakesAWriterWaitUntilWhatItWroteWasTaken) {
    io_internal::on_many_schedules(8, [](Engine& engine) {
        Junction junction;
        Junction::Opened opened = junction.open(0, 50, kLocal, kPeer);
        std::size_t written = 0;
        TestTask filling(engine, fill(&opened.near, &written));
        auto wait = []() -> Task<void> { ignore(co_await sleep(1s), "nobody cancels it"); };
        TestTask waiting(engine, wait());
        EXPECT_TRUE(waiting.join());
        EXPECT_EQ(written, 50U);
        EXPECT_FALSE(filling.ended());
        EXPECT_EQ(opened.far.written(), 50U);
        std::string taken;
        auto take = [](Conduit* far, std::string* all) -> Task<void> {
            while (all->size() < 100) {
                std::string bytes(far->written(), '\0');
                far->take(bytes);
                *all += bytes;
                ignore(co_await sleep(1ms), "nobody cancels it");
            }
        };
        TestTask taking(engine, take(&opened.far, &taken));
        EXPECT_TRUE(taking.join() && filling.join());
        EXPECT_EQ(taken.size(), 100U);
    });
}

Task<void> read_once(Stream* stream, Result<std::size_t>* result) {
    std::array<char, 10> buffer{};
    *result = co_await stream->read_some(buffer);
}

TEST(Conduit, SaysThatTheConnectionHasGoneOrWhy) {
    on_both_networks(8, [](Engine& engine) {
        Junction junction;
        for (const bool with_reason : {false, true}) {
            Junction::Opened opened = junction.open(0, 50, kLocal, kPeer);
            Result<std::size_t> result;
            TestTask reading(engine, read_once(&opened.near, &result));
            if (with_reason) opened.far.fail(Error(Errc::timed_out, "too slow"));
            if (!with_reason) opened.far = Conduit();
            EXPECT_TRUE(reading.join());
            EXPECT_FALSE(result.has_value());
            if (!result) {
                EXPECT_EQ(result.error(), with_reason ? Errc::timed_out : Errc::closed);
            }
        }
    });
}

TEST(Conduit, HearsItsBellAndWhatWasReadOnce) {
    Junction junction;
    Junction::Opened opened = junction.open(7, 50, kLocal, kPeer);
    opened.far.give("abc");
    std::array<char, 2> buffer{};
    EXPECT_EQ(opened.near.try_read(buffer).value_or(std::nullopt), 2U);
    opened.far.bell().ring(1);
    opened.far.bell().ring(4);
    std::vector<std::uint64_t> news;
    junction.take_news(news);
    EXPECT_EQ(news, std::vector<std::uint64_t>{7});
    EXPECT_EQ(opened.far.take_rings(), 5U);
    EXPECT_EQ(opened.far.take_rings(), 0U);
    EXPECT_EQ(opened.far.take_read(), 2U);
    EXPECT_EQ(opened.far.take_read(), 0U);
    opened.near.close();
    EXPECT_TRUE(opened.far.closed());
    EXPECT_FALSE(opened.far.ended()) << "it has not said that this was all";
    news.clear();
    junction.take_news(news);
    EXPECT_EQ(news, std::vector<std::uint64_t>{7});
}

}  // namespace
}  // namespace troupe
