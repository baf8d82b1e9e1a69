#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/websocket/internal/frame_decoder.hpp>
#include <troupe/websocket/internal/outbox.hpp>
#include <troupe/websocket/internal/test_frames.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::websocket_internal {
namespace {

/// All that leaves, so many bytes at a time.
std::string drained(Outbox& outbox, std::size_t at_once = 10'000) {
    std::string all;
    for (;;) {
        const std::string_view bytes = outbox.pending().substr(0, at_once);
        if (bytes.empty()) return all;
        all += bytes;
        outbox.consume(bytes.size());
    }
}

/// The kinds of the frames in a stream, and for small ones the payload.
std::string frames_of(std::string stream, Role reader = Role::client,
                      const DeflateTerms& terms = DeflateTerms()) {
    FrameDecoder decoder(reader, std::size_t{64} * 1024 * 1024);
    decoder.use_deflate(terms);
    std::string seen;
    while (!stream.empty()) {
        const FrameDecoder::Step step = decoder.advance(stream.data(), stream.size());
        stream.erase(0, step.consumed);
        if (step.status == FrameDecoder::Status::need_more ||
            step.status == FrameDecoder::Status::failed) {
            return seen + "broken: " + std::string(decoder.problem());
        }
        const std::string payload = decoder.take_payload();
        seen += std::to_string(static_cast<int>(decoder.kind())) + ":" +
                (payload.size() < 100 ? payload : std::to_string(payload.size())) + " ";
    }
    return seen;
}

TEST(Outbox, SendsSmallMessagesAsOneFrameEach) {
    const websocket::Options options;
    Outbox outbox(options, nullptr);
    EXPECT_TRUE(outbox.empty());
    EXPECT_EQ(outbox.add(Opcode::text, "a"), Outbox::Taken::yes);
    EXPECT_EQ(outbox.add(Opcode::binary, ""), Outbox::Taken::yes);
    EXPECT_EQ(outbox.buffered(), 5U);
    EXPECT_EQ(drained(outbox), server_frame(0x81, "a") + server_frame(0x82, ""));
    EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, SendsWhatARoomHasMadeFromWhereItIs) {
    const websocket::Options options;
    const std::string text(100'000, 'x');
    const auto shared = std::make_shared<Encoded>();
    shared->add(Opcode::text, text, 0, 1000);
    const std::string_view frames = shared->frames();
    for (int member = 0; member < 3; ++member) {
        Outbox outbox(options, nullptr);
        EXPECT_EQ(outbox.add(Opcode::text, "before"), Outbox::Taken::yes);
        EXPECT_EQ(outbox.add(SharedFrames(shared)), Outbox::Taken::yes);
        EXPECT_EQ(outbox.add(Opcode::text, "behind"), Outbox::Taken::yes);
        EXPECT_EQ(outbox.pending(), server_frame(0x81, "before"));
        outbox.consume(outbox.pending().size());
        // A control frame goes before it while it was not offered, and not within it.
        EXPECT_TRUE(outbox.add_control(Opcode::ping, "1"));
        EXPECT_EQ(outbox.pending(), server_frame(0x89, "1"));
        outbox.consume(outbox.pending().size());
        EXPECT_EQ(outbox.pending().data(), frames.data()) << "no copy";
        for (std::size_t at = 0; at < frames.size(); at += 1000) {
            EXPECT_EQ(outbox.pending().data(), frames.data() + at);
            outbox.consume(std::min<std::size_t>(1000, frames.size() - at));
            if (at == 5000) {
                EXPECT_TRUE(outbox.add_control(Opcode::ping, "2"));
            }
        }
        EXPECT_EQ(frames_of(drained(outbox)), "9:2 1:behind ");
        EXPECT_TRUE(outbox.empty());
        EXPECT_EQ(outbox.buffered(), 0U);
    }
    EXPECT_EQ(shared.use_count(), 1);
}

TEST(Outbox, GoesOnWithWhatIsLeftOfSharedFrames) {
    const websocket::Options options;
    for (const std::size_t size : {std::size_t{100}, std::size_t{100'000}}) {
        const auto shared = std::make_shared<Encoded>();
        shared->add(Opcode::text, std::string(size, 'x'), 0, 1'000'000);
        const std::string frames(shared->frames());
        for (const std::size_t written : {std::size_t{1}, std::size_t{7}, frames.size() - 1}) {
            Outbox outbox(options, nullptr);
            outbox.add_rest(shared, shared->frames(), written, false);
            EXPECT_EQ(outbox.buffered(), frames.size() - written);
            EXPECT_EQ(outbox.add(Opcode::text, "behind"), Outbox::Taken::yes);
            EXPECT_TRUE(outbox.add_control(Opcode::ping, "")) << "not within the frame";
            EXPECT_EQ(drained(outbox), frames.substr(written) + server_frame(0x89, "") +
                                           server_frame(0x81, "behind"));
            EXPECT_EQ(outbox.buffered(), 0U);
        }
        EXPECT_EQ(shared.use_count(), 1);
    }
}

// TLS wants the same bytes again that did not go, whatever has come meanwhile.
TEST(Outbox, OffersSharedFramesAgainBeforeAnythingElse) {
    const websocket::Options options;
    for (const std::size_t size : {1UL, 5'000UL, 100'000UL}) {
        for (const bool tried_before : {false, true}) {
            const auto shared = std::make_shared<Encoded>();
            shared->add(Opcode::text, std::string(size, 'x'), 0, 1'000'000);
            const std::string frames(shared->frames());
            Outbox outbox(options, nullptr);
            if (tried_before) {
                outbox.add_rest(shared, shared->frames(), 0, false);
            } else {
                EXPECT_EQ(outbox.add(SharedFrames(shared)), Outbox::Taken::yes);
            }
            const std::string first(outbox.pending());
            EXPECT_TRUE(outbox.add_control(Opcode::pong, "p"));
            EXPECT_EQ(outbox.add(Opcode::text, "own"), Outbox::Taken::yes);
            EXPECT_TRUE(outbox.pending().starts_with(first)) << size;
            const std::string all = drained(outbox);
            EXPECT_EQ(all.substr(0, frames.size()), frames);
            EXPECT_EQ(all.substr(frames.size()),
                      server_frame(0x8A, "p") + server_frame(0x81, "own"));
        }
    }
}

TEST(Outbox, SendsLargeOnesInFragmentsWithControlFramesBetween) {
    websocket::Options options;
    options.send_buffer(std::size_t{16} * 1024 * 1024);
    Outbox outbox(options, nullptr);
    const std::size_t size = std::size_t{3} * 1024 * 1024;
    EXPECT_EQ(outbox.add(Opcode::binary, std::string(size, 'x')), Outbox::Taken::yes);
    EXPECT_EQ(outbox.add(Opcode::text, "behind"), Outbox::Taken::yes);
    std::string first(outbox.pending().substr(0, 100));
    outbox.consume(100);
    EXPECT_TRUE(outbox.add_control(Opcode::ping, "now"));
    const std::string stream = first + drained(outbox);
    EXPECT_EQ(frames_of(stream), "9:now 2:3145728 1:behind ");
    EXPECT_LT(stream.find(server_frame(0x89, "now")), size / 2) << "not behind the whole message";
}

TEST(Outbox, SendsControlFramesBeforeMessagesThatHaveNotBegun) {
    const websocket::Options options;
    Outbox outbox(options, nullptr);
    EXPECT_TRUE(outbox.add_control(Opcode::pong, "1"));
    EXPECT_EQ(outbox.add(Opcode::text, "a"), Outbox::Taken::yes);
    EXPECT_EQ(frames_of(drained(outbox)), "10:1 1:a ");
}

TEST(Outbox, KeepsTheNewestPongWhenNothingGoes) {
    const websocket::Options options;
    Outbox outbox(options, nullptr);
    for (int i = 0; i < 100'000; ++i)
        EXPECT_TRUE(outbox.add_control(Opcode::pong, std::to_string(i)));
    const std::string stream = drained(outbox);
    EXPECT_LT(stream.size(), 10'000U);
    EXPECT_TRUE(frames_of(stream).ends_with("10:99999 "));
}

TEST(Outbox, SendsACloseBehindAllMessages) {
    const websocket::Options options;
    Outbox outbox(options, nullptr);
    EXPECT_EQ(outbox.add(Opcode::text, "a"), Outbox::Taken::yes);
    outbox.add_close(close_payload(1000, "bye"));
    EXPECT_TRUE(outbox.add_control(Opcode::ping, "?"));
    EXPECT_EQ(frames_of(drained(outbox, 1)), "1:a 9:? 8:bye ");
}

TEST(Outbox, MasksWhatAClientSends) {
    RandomChooser chooser(1);
    const std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    const websocket::Options options;
    Outbox outbox(options, engine.get());
    const std::string large(200'000, 'x');
    EXPECT_EQ(outbox.add(Opcode::text, "hello"), Outbox::Taken::yes);
    EXPECT_EQ(outbox.add(Opcode::text, large), Outbox::Taken::yes);
    EXPECT_EQ(outbox.add(Opcode::text, "hello"), Outbox::Taken::yes);
    const std::string stream = drained(outbox, 777);
    EXPECT_EQ(frames_of(stream, Role::server), "1:hello 1:200000 1:hello ");
    EXPECT_NE(stream.substr(2, 9), stream.substr(stream.size() - 9))
        << "each with a key of its own";
}

TEST(Outbox, ForgetsNoMoreThanItsPolicySays) {
    websocket::Options options;
    options.send_buffer(300'000, websocket::Overflow::drop_oldest);
    Outbox outbox(options, nullptr);
    for (char c = 'a'; c <= 'j'; ++c)
        EXPECT_EQ(outbox.add(Opcode::text, std::string(70'000, c)), Outbox::Taken::yes);
    EXPECT_LE(outbox.buffered(), 300'000U);
    EXPECT_EQ(outbox.messages_dropped(), 6U);
    EXPECT_EQ(drained(outbox).size(), 4U * 70'010);

    websocket::Options closing;
    closing.send_buffer(1000);
    Outbox strict(closing, nullptr);
    EXPECT_EQ(strict.add(Opcode::text, std::string(5000, 'x')), Outbox::Taken::yes)
        << "one always has room";
    EXPECT_EQ(strict.add(Opcode::text, "x"), Outbox::Taken::overflow);
}

// Frames for many and messages of one's own, in any order: the peer inflates all of them.
TEST(Outbox, MixesSharedFramesWithItsOwn) {
    DeflateTerms terms;
    terms.on = true;
    terms.server_window_bits = 12;
    websocket::Options options;
    options.deflate_bytes_min(10);
    for (const std::size_t at_once : {std::size_t{50}, std::size_t{1'000'000}}) {
        Outbox outbox(options, nullptr);
        outbox.use_deflate(terms);
        std::string expected;
        std::string stream;
        for (int i = 0; i < 40; ++i) {
            const std::string text = "the same words again and again, number " + std::to_string(i);
            if (i % 3 == 0) {
                auto shared = std::make_shared<Encoded>();
                shared->add(Opcode::text, text, Encoded::window(12), 10);
                shared->add(Opcode::text, "short", Encoded::window(12), 10);
                EXPECT_EQ(outbox.add(SharedFrames(shared)), Outbox::Taken::yes);
                expected += "1:" + text + " 1:short ";
            } else {
                EXPECT_EQ(outbox.add(Opcode::text, text), Outbox::Taken::yes);
                expected += "1:" + text + " ";
            }
            if (i == 10) {
                EXPECT_EQ(outbox.add(Opcode::text, std::string(70'000, 'y')), Outbox::Taken::yes);
                expected += "1:70000 ";
            }
            const std::string_view part = outbox.pending().substr(0, at_once);
            stream += part;
            outbox.consume(part.size());
        }
        stream += drained(outbox);
        EXPECT_EQ(frames_of(stream, Role::client, terms), expected);
    }
}

}  // namespace
}  // namespace troupe::websocket_internal
