#include <troupe/io/framed.hpp>
#include <troupe/io/internal/test_engines.hpp>
#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/json.hpp>
#include <troupe/io/length_delimited.hpp>
#include <troupe/io/lines.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using codec::CodecErrc;
using io_internal::make_test_pair;
using io_internal::on_both_networks;
using io_internal::on_many_schedules;
using io_internal::TestPair;
using io_internal::TestTask;

template <class C>
Task<void> send_all(Framed<C> framed, std::vector<std::string> frames) {
    for (const std::string& frame : frames) {
        const Result<void> sent = co_await framed.send(frame);
        EXPECT_TRUE(sent.has_value()) << sent.error().message();
    }
}

template <class C>
Task<void> receive_all(Framed<C> framed, std::vector<std::string>* frames) {
    for (;;) {
        auto frame = co_await framed.next();
        EXPECT_TRUE(frame.has_value()) << frame.error().message();
        if (!frame || !*frame) co_return;
        frames->push_back(std::move(**frame));
    }
}

template <class MakeCodec>
void expect_to_arrive(Engine& engine, MakeCodec make_codec, const std::vector<std::string>& sent) {
    TestPair pair = make_test_pair(engine);
    std::vector<std::string> got;
    TestTask receiver(engine, receive_all(Framed(std::move(pair.server), make_codec()), &got));
    TestTask sender(engine, send_all(Framed(std::move(pair.client), make_codec()), sent));
    EXPECT_TRUE(sender.join() && receiver.join());
    EXPECT_EQ(got, sent);
}

TEST(Framed, FramesArriveWholeAndInTheirOrder) {
    on_both_networks(30, [](Engine& engine) {
        const std::string large(20'000, 'x');
        const std::vector<std::string> lines = {"one", "", large, "four"};
        const std::vector<std::string> documents = {"{\"a\":1}", "2", "[3]"};
        expect_to_arrive(engine, [] { return codec::Lines(20'000); }, lines);
        expect_to_arrive(engine, [] { return codec::LengthDelimited(20'000); }, lines);
        expect_to_arrive(engine, [] { return codec::Json(100); }, documents);
    });
}

Task<void> receive_bad(Stream* stream, CodecErrc expected) {
    Framed<codec::LengthDelimited> framed(std::move(*stream), codec::LengthDelimited(10));
    auto first = co_await framed.next();
    EXPECT_TRUE(first.has_value() && *first == "a");
    auto second = co_await framed.next();
    EXPECT_FALSE(second.has_value());
    if (!second) {
        EXPECT_EQ(second.error(), expected) << second.error().message();
    }
}

Task<void> write_and_close(Stream stream, std::string bytes) {
    EXPECT_TRUE((co_await stream.write_all(bytes)).has_value());
}

TEST(Framed, SaysWhatTheCodecFindsWrong) {
    using namespace std::string_literals;
    on_both_networks(30, [](Engine& engine) {
        for (const auto& [bytes, expected] :
             {std::pair("\0\0\0\1a\0\0\0\x10"s, CodecErrc::frame_too_large),
              std::pair("\0\0\0\1a\0\0"s, CodecErrc::cut_short)}) {
            TestPair pair = make_test_pair(engine);
            block_on(engine, write_and_close(std::move(pair.client), bytes));
            block_on(engine, receive_bad(&pair.server, expected));
        }
    });
}

Task<void> wait_in_vain(Stream* stream) {
    Framed<codec::Lines> framed(std::move(*stream), codec::Lines(10));
    auto nothing = co_await framed.next(5s);
    EXPECT_FALSE(nothing.has_value());
    if (!nothing) {
        EXPECT_EQ(nothing.error(), Errc::timed_out);
    }
    auto line = co_await framed.next(20s);
    EXPECT_TRUE(line.has_value() && *line == "half of it") << "nothing is lost by a timeout";
}

Task<void> send_slowly(Stream* stream) {
    EXPECT_TRUE((co_await stream->write_all("half ")).has_value());
    ignore(co_await sleep(10s), "nobody cancels it");
    EXPECT_TRUE((co_await stream->write_all("of it\n")).has_value());
}

TEST(Framed, LosesNothingWhenAWaitTimesOut) {
    on_many_schedules(50, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        TestTask sender(engine, send_slowly(&pair.client));
        block_on(engine, wait_in_vain(&pair.server));
        EXPECT_TRUE(sender.join());
    });
}

Task<void> refuse_to_send(Stream* stream) {
    Framed<codec::Lines> framed(std::move(*stream), codec::Lines(3));
    EXPECT_EQ((co_await framed.send("a\nb")).error(), CodecErrc::not_encodable);
    EXPECT_EQ((co_await framed.send("abcd")).error(), CodecErrc::frame_too_large);
    EXPECT_TRUE((co_await framed.send("abc")).has_value());
}

TEST(Framed, SendsNothingOfAFrameThatCannotBeEncoded) {
    on_both_networks(10, [](Engine& engine) {
        TestPair pair = make_test_pair(engine);
        std::vector<std::string> got;
        TestTask receiver(engine,
                          receive_all(Framed(std::move(pair.server), codec::Lines(10)), &got));
        block_on(engine, refuse_to_send(&pair.client));
        EXPECT_TRUE(receiver.join());
        EXPECT_EQ(got, std::vector<std::string>({"abc"}));
    });
}

}  // namespace
}  // namespace troupe
