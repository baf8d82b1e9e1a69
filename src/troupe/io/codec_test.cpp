// What all codecs promise, on random frames and on rubbish, however the bytes are cut.

#include <troupe/base/random.hpp>
#include <troupe/io/internal/cut_codec.hpp>
#include <troupe/io/json.hpp>
#include <troupe/io/length_delimited.hpp>
#include <troupe/io/lines.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe::codec {
namespace {

constexpr std::size_t kLimit = 300;
constexpr int kRounds = 2000;

std::string random_text(Random& random, std::size_t bytes_max, std::string_view alphabet) {
    std::string text(random.below(bytes_max + 1), '\0');
    for (char& c : text)
        c = alphabet[random.below(alphabet.size())];
    return text;
}

std::string any_byte() {
    std::string all;
    for (int byte = 0; byte < 256; ++byte)
        all += static_cast<char>(byte);
    return all;
}

std::string random_json(Random& random, int depth) {
    switch (random.below(depth > 0 ? 7 : 5)) {
        case 0:
            return "null";
        case 1:
            return random.below(2) == 0 ? "true" : "false";
        case 2:
            return std::to_string(static_cast<std::int64_t>(random.next()) >> random.below(64));
        case 3:
            return "-1.5e" + std::to_string(random.below(200));
        case 4:
            return "\"" + random_text(random, 8, "ab {}[]:,1") + "\\u00e4\xc3\xa4\\\"\"";
        case 5: {
            std::string array = "[";
            for (std::uint64_t i = random.below(3); i > 0; --i)
                array += random_json(random, depth - 1) + (i > 1 ? " , " : "");
            return array + "]";
        }
        default: {
            std::string object = "{";
            for (std::uint64_t i = random.below(3); i > 0; --i)
                object += "\"k\" :" + random_json(random, depth - 1) + (i > 1 ? "," : "");
            return object + " }";
        }
    }
}

/// `make_frame(random)` gives frames, `make_codec()` a codec that can carry them.
template <class MakeCodec, class MakeFrame>
void expect_frames_to_survive(MakeCodec make_codec, MakeFrame make_frame) {
    for (int round = 1; round <= kRounds; ++round) {
        Random random(static_cast<std::uint64_t>(round));
        Decoded sent;
        std::string bytes;
        for (std::uint64_t i = random.below(6); i > 0; --i) {
            sent.frames.push_back(make_frame(random));
            const Result<void> encoded = make_codec().encode(sent.frames.back(), bytes);
            ASSERT_TRUE(encoded.has_value()) << encoded.error().message();
        }
        const Decoded got = decode_cut(make_codec(), bytes, [&] { return 1 + random.below(20); });
        ASSERT_EQ(got.frames, sent.frames) << "round " << round;
        ASSERT_EQ(got.error, "") << "round " << round;
    }
}

/// Rubbish made of `alphabet`: the same frames and the same error, whole and in pieces.
template <class MakeCodec>
void expect_cuts_not_to_show(MakeCodec make_codec, std::string_view alphabet) {
    int failed = 0;
    for (int round = 1; round <= kRounds; ++round) {
        Random random(static_cast<std::uint64_t>(round));
        const std::string bytes = random_text(random, 60, alphabet);
        const Decoded whole = decode_whole(make_codec(), bytes);
        const Decoded cut = decode_cut(make_codec(), bytes, [&] { return 1 + random.below(5); });
        ASSERT_EQ(cut.frames, whole.frames) << "round " << round << ": " << bytes;
        ASSERT_EQ(cut.error, whole.error) << "round " << round << ": " << bytes;
        if (!whole.error.empty()) ++failed;
    }
    EXPECT_GT(failed, kRounds / 20) << "the rubbish is hardly ever wrong";
}

TEST(Codec, LinesSurviveAnyCut) {
    expect_frames_to_survive([] { return Lines(kLimit); },
                             [](Random& random) { return random_text(random, 40, "ab \t"); });
    expect_frames_to_survive([] { return Lines(kLimit).crlf(); },
                             [](Random& random) { return random_text(random, 40, "ab \t"); });
}

TEST(Codec, LengthDelimitedFramesSurviveAnyCut) {
    for (const LengthPrefix prefix :
         {LengthPrefix::one_byte, LengthPrefix::two_bytes, LengthPrefix::four_bytes,
          LengthPrefix::eight_bytes, LengthPrefix::varint}) {
        const std::size_t bytes_max = prefix == LengthPrefix::one_byte ? 255 : kLimit;
        expect_frames_to_survive(
            [&] { return LengthDelimited(kLimit, prefix); },
            [&](Random& random) { return random_text(random, bytes_max, any_byte()); });
    }
}

TEST(Codec, JsonDocumentsSurviveAnyCut) {
    expect_frames_to_survive([] { return Json(10'000); },
                             [](Random& random) { return random_json(random, 4); });
}

TEST(Codec, CutsDoNotShowInWhatLinesMakesOfRubbish) {
    expect_cuts_not_to_show([] { return Lines(6); }, "abcd\r\n");
}

TEST(Codec, CutsDoNotShowInWhatLengthDelimitedMakesOfRubbish) {
    using namespace std::string_view_literals;
    expect_cuts_not_to_show([] { return LengthDelimited(5, LengthPrefix::one_byte); },
                            "\0\1\2\5\6"sv);
    expect_cuts_not_to_show([] { return LengthDelimited(5, LengthPrefix::two_bytes); },
                            "\0\0\0\1\2"sv);
    expect_cuts_not_to_show([] { return LengthDelimited(300, LengthPrefix::varint); },
                            "\0\1\2\x80\x81"sv);
}

TEST(Codec, CutsDoNotShowInWhatJsonMakesOfRubbish) {
    expect_cuts_not_to_show([] { return Json(9, 2); }, "[]{}\"1, :");
    expect_cuts_not_to_show([] { return Json(5); }, "12 -.e[]");
    expect_cuts_not_to_show([] { return Json(9); }, "\"\\ua1\xc3\xa4 ");
    expect_cuts_not_to_show([] { return Json(4); }, "tru \n");
}

}  // namespace
}  // namespace troupe::codec
