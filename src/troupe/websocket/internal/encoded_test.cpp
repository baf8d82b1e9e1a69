#include <troupe/websocket/internal/encoded.hpp>
#include <troupe/websocket/internal/frame_decoder.hpp>
#include <troupe/websocket/internal/test_frames.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::websocket_internal {
namespace {

TEST(Encoded, IsTheFramesOfItsMessages) {
    Encoded encoded;
    encoded.add(Opcode::text, "a", 0, 0);
    encoded.add(Opcode::binary, "bc", 0, 0);
    EXPECT_EQ(encoded.frames(), server_frame(0x81, "a") + server_frame(0x82, "bc"));
    EXPECT_EQ(encoded.messages(), 2U);
    EXPECT_EQ(encoded.kind(1), Opcode::binary);
    EXPECT_EQ(encoded.payload(1), "bc");
    EXPECT_EQ(encoded.frames(15), "") << "nobody has asked for it";
    EXPECT_EQ(encoded.frames(0), "");
}

TEST(Encoded, HasACompressedFormForEachWindowThatIsWanted) {
    Encoded encoded;
    const Encoded::Windows windows = Encoded::window(9) | Encoded::window(15);
    encoded.add(Opcode::text, "short", windows, 20);
    encoded.add(Opcode::text, std::string(1000, 'x'), windows, 20);
    encoded.add(Opcode::text, "short again", windows, 20);
    EXPECT_EQ(encoded.frames(12), "");
    DeflateTerms terms;
    terms.on = true;
    for (const int bits : {9, 15}) {
        std::string stream(encoded.frames(bits));
        EXPECT_LT(stream.size(), 100U);
        FrameDecoder decoder(Role::client, 10'000);
        decoder.use_deflate(terms);
        for (const std::string& text :
             {std::string("short"), std::string(1000, 'x'), std::string("short again")}) {
            const FrameDecoder::Step step = decoder.advance(stream.data(), stream.size());
            ASSERT_EQ(step.status, FrameDecoder::Status::message);
            EXPECT_EQ(decoder.take_payload(), text);
            stream.erase(0, step.consumed);
        }
        EXPECT_EQ(stream, "");
    }
}

TEST(Encoded, HasNoneWhenAllIsTooShort) {
    Encoded encoded;
    encoded.add(Opcode::text, "short", Encoded::window(12), 20);
    EXPECT_EQ(encoded.frames(12), "");
}

}  // namespace
}  // namespace troupe::websocket_internal
