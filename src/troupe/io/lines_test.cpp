#include <troupe/io/internal/cut_codec.hpp>
#include <troupe/io/lines.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe::codec {
namespace {

using Frames = std::vector<std::string>;

TEST(Lines, RefusesALineBeyondTheLimitAndNamesTheLimitAndThePlace) {
    const Decoded seen = decode_whole(Lines(4), "1234\n12345\n");
    EXPECT_EQ(seen.frames, Frames({"1234"}));
    EXPECT_EQ(seen.error, "the line that begins at byte 5 is longer than the limit of 4 bytes");
}

TEST(Lines, RefusesALineThatNeverEndsBeforeHoldingMoreThanTheLimit) {
    Lines lines(4);
    std::string_view piece = "12345";
    const auto refused = lines.decode(piece);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), CodecErrc::frame_too_large);
    piece = "\nfine\n";
    EXPECT_FALSE(lines.decode(piece).has_value()) << "what has failed stays failed";
    EXPECT_FALSE(lines.finish().has_value());
}

TEST(Lines, EndWithLfOrCrLf) {
    const Decoded seen = decode_whole(Lines(10), "a\r\n\nb\n\r\nc\rd\r\r\n");
    EXPECT_EQ(seen.frames, Frames({"a", "", "b", "", "c\rd\r"}));
    EXPECT_EQ(seen.error, "");
}

TEST(Lines, DoNotCountTheLineEndAgainstTheLimit) {
    const Decoded seen = decode_cut(Lines(4), "1234\r\n1234\n", [] { return 1; });
    EXPECT_EQ(seen.frames, Frames({"1234", "1234"}));
    EXPECT_EQ(seen.error, "");
    EXPECT_NE(decode_cut(Lines(4), "1234\rx", [] { return 1; }).error, "");
    EXPECT_NE(decode_whole(Lines(4), "1234\r").error, "") << "at the end of all it is no line end";
}

TEST(Lines, GiveWhatFollowsTheLastLineEndAsALine) {
    EXPECT_EQ(decode_whole(Lines(4), "a\nb").frames, Frames({"a", "b"}));
    EXPECT_EQ(decode_whole(Lines(4), "a\n").frames, Frames({"a"}));
    EXPECT_EQ(decode_whole(Lines(4), "").frames, Frames());
}

TEST(Lines, RefuseToSendWhatWouldBeReadOtherwise) {
    std::string out = "before";
    EXPECT_EQ(Lines(4).encode("a\nb", out).error(), CodecErrc::not_encodable);
    EXPECT_EQ(Lines(4).encode("a\r", out).error(), CodecErrc::not_encodable);
    EXPECT_EQ(Lines(4).encode("12345", out).error(), CodecErrc::frame_too_large);
    EXPECT_EQ(out, "before") << "a refused frame leaves nothing behind";
}

TEST(Lines, AreSentWithTheLineEndAskedFor) {
    std::string out;
    EXPECT_TRUE(Lines(4).encode("1234", out).has_value());
    EXPECT_TRUE(Lines(4).crlf().encode("", out).has_value());
    EXPECT_EQ(out, "1234\n\r\n");
}

}  // namespace
}  // namespace troupe::codec
