#include <troupe/io/internal/cut_codec.hpp>
#include <troupe/io/length_delimited.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe::codec {
namespace {

using namespace std::string_literals;
using Frames = std::vector<std::string>;

TEST(LengthDelimited, RefusesAClaimBeyondTheLimitAtOnce) {
    const Decoded seen = decode_whole(LengthDelimited(4), "\0\0\0\1a\0\0\0\5"s);
    EXPECT_EQ(seen.frames, Frames({"a"}));
    EXPECT_EQ(seen.error, "the frame that begins at byte 5 claims 5 bytes, and the limit is 4");
}

TEST(LengthDelimited, RefusesTheLargestClaimThereIs) {
    const std::string claim = "\xff\xff\xff\xff\xff\xff\xff\xff"s;
    const Decoded seen = decode_whole(LengthDelimited(4, LengthPrefix::eight_bytes), claim);
    EXPECT_EQ(seen.error,
              "the frame that begins at byte 0 claims 18446744073709551615 bytes, and "
              "the limit is 4");
}

TEST(LengthDelimited, StaysFailed) {
    LengthDelimited frames(4, LengthPrefix::one_byte);
    std::string_view input = "\5";
    EXPECT_EQ(frames.decode(input).error(), CodecErrc::frame_too_large);
    input = "\1a";
    EXPECT_EQ(frames.decode(input).error(), CodecErrc::frame_too_large);
    EXPECT_EQ(frames.finish().error(), CodecErrc::frame_too_large);
}

TEST(LengthDelimited, SaysWhatIsMissingWhenTheStreamIsCutShort) {
    EXPECT_EQ(decode_whole(LengthDelimited(9, LengthPrefix::one_byte), "\0\5abc"s).error,
              "the frame that begins at byte 1 is cut short: 3 of its 5 bytes have come");
    EXPECT_EQ(decode_whole(LengthDelimited(9, LengthPrefix::two_bytes), "\0"s).error,
              "the frame that begins at byte 0 is cut short within its length");
}

TEST(LengthDelimited, ReadsEveryKindOfLength) {
    const auto frames = [](LengthPrefix prefix, std::string_view bytes) {
        return decode_whole(LengthDelimited(1000, prefix), bytes);
    };
    EXPECT_EQ(frames(LengthPrefix::one_byte, "\0\2ab"s).frames, Frames({"", "ab"}));
    EXPECT_EQ(frames(LengthPrefix::two_bytes, "\0\2ab"s).frames, Frames({"ab"}));
    EXPECT_EQ(frames(LengthPrefix::four_bytes, "\0\0\0\2ab"s).frames, Frames({"ab"}));
    EXPECT_EQ(frames(LengthPrefix::eight_bytes, "\0\0\0\0\0\0\0\2ab"s).frames, Frames({"ab"}));
    EXPECT_EQ(frames(LengthPrefix::varint, "\2ab"s).frames, Frames({"ab"}));
    const std::string long_one(300, 'x');
    EXPECT_EQ(frames(LengthPrefix::two_bytes, "\x01\x2c"s + long_one).frames, Frames({long_one}));
    EXPECT_EQ(frames(LengthPrefix::varint, "\xac\x02"s + long_one).frames, Frames({long_one}));
}

TEST(LengthDelimited, RefusesAVarintInALongerFormThanNeeded) {
    const auto error_of = [](std::string_view bytes) {
        LengthDelimited frames(1000, LengthPrefix::varint);
        const auto frame = frames.decode(bytes);
        return !frame && frame.error() == CodecErrc::malformed;
    };
    EXPECT_TRUE(error_of("\x80\x00"s));
    EXPECT_TRUE(error_of("\x82\x80\x00"s));
    EXPECT_TRUE(error_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s)) << "65 bits";
    EXPECT_TRUE(error_of("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"s)) << "no end in sight";
    EXPECT_FALSE(error_of("\x00"s));
}

TEST(LengthDelimited, RefusesToSendWhatTheLengthCannotHold) {
    std::string out = "before";
    const std::string large(256, 'x');
    EXPECT_EQ(LengthDelimited(1000, LengthPrefix::one_byte).encode(large, out).error(),
              CodecErrc::frame_too_large);
    EXPECT_EQ(LengthDelimited(255).encode(large, out).error(), CodecErrc::frame_too_large);
    EXPECT_EQ(out, "before");
}

TEST(LengthDelimited, WritesEveryKindOfLength) {
    const auto encoded = [](LengthPrefix prefix, std::size_t bytes) {
        std::string out;
        EXPECT_TRUE(LengthDelimited(1000, prefix).encode(std::string(bytes, 'x'), out).has_value());
        out.resize(out.size() - bytes);
        return out;
    };
    EXPECT_EQ(encoded(LengthPrefix::one_byte, 255), "\xff"s);
    EXPECT_EQ(encoded(LengthPrefix::two_bytes, 300), "\x01\x2c"s);
    EXPECT_EQ(encoded(LengthPrefix::four_bytes, 300), "\0\0\x01\x2c"s);
    EXPECT_EQ(encoded(LengthPrefix::eight_bytes, 300), "\0\0\0\0\0\0\x01\x2c"s);
    EXPECT_EQ(encoded(LengthPrefix::varint, 127), "\x7f"s);
    EXPECT_EQ(encoded(LengthPrefix::varint, 128), "\x80\x01"s);
    EXPECT_EQ(encoded(LengthPrefix::varint, 0), "\0"s);
}

}  // namespace
}  // namespace troupe::codec
