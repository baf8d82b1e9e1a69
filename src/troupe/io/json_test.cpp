#include <troupe/io/internal/cut_codec.hpp>
#include <troupe/io/json.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe::codec {
namespace {

using Frames = std::vector<std::string>;

constexpr std::size_t kLimit = 100;

Decoded decode(std::string_view bytes) {
    return decode_whole(Json(kLimit), bytes);
}

struct Bad {
    const char* bytes;
    const char* error;
};

TEST(Json, RefusesWhatIsNoJsonAndNamesThePlace) {
    for (const Bad& bad : {
             Bad{"x", "this is no JSON at byte 0"},
             Bad{" {\"a\" 1}", "this is no JSON at byte 6"},
             Bad{"{\"a\":1,}", "this is no JSON at byte 7"},
             Bad{"[1,]", "this is no JSON at byte 3"},
             Bad{"[1 2]", "this is no JSON at byte 3"},
             Bad{"]", "this is no JSON at byte 0"},
             Bad{"{'a':1}", "this is no JSON at byte 1"},
             Bad{"tru ", "this is no JSON at byte 3"},
             Bad{"[NaN]", "this is no JSON at byte 1"},
             Bad{"/* */ 1", "this is no JSON at byte 0"},
             Bad{"\"\x01\"", "this is no JSON at byte 1"},
             Bad{"\"\\x\"", "this is no JSON at byte 2"},
             Bad{"\"\xff\"", "this is no JSON at byte 1"},
             Bad{"\"\xc0\x80\"", "this is no JSON at byte 1"},
             Bad{"\"\xed\xa0\x80\"", "this is no JSON at byte 3"},
             Bad{"\xef\xbb\xbf{}", "this is no JSON at byte 0"},
             Bad{"-", "the JSON document that begins at byte 0 is cut short after 1 bytes"},
             Bad{"  {\"a\":", "the JSON document that begins at byte 2 is cut short after 5 bytes"},
             Bad{"\"abc", "the JSON document that begins at byte 0 is cut short after 4 bytes"},
         }) {
        const Decoded seen = decode(bad.bytes);
        EXPECT_EQ(seen.error, bad.error) << bad.bytes;
        EXPECT_EQ(seen.frames, Frames()) << bad.bytes;
    }
}

TEST(Json, RefusesADocumentBeyondTheLimit) {
    const Decoded seen = decode_whole(Json(5), "[1,2] [1,23]");
    EXPECT_EQ(seen.frames, Frames({"[1,2]"}));
    EXPECT_EQ(seen.error,
              "the JSON document that begins at byte 6 is larger than the limit of 5 bytes");
    EXPECT_EQ(decode_whole(Json(2), "12 ").frames, Frames({"12"}));
    EXPECT_EQ(decode_whole(Json(2), "12").frames, Frames({"12"}));
    EXPECT_NE(decode_whole(Json(2), "123").error, "");
    EXPECT_NE(decode_whole(Json(0), "1").error, "");
}

TEST(Json, RefusesDocumentsThatAreNestedTooDeeply) {
    const Decoded seen = decode_whole(Json(kLimit, 3), "[[[]]] [[[[]]]]");
    EXPECT_EQ(seen.frames, Frames({"[[[]]]"}));
    EXPECT_EQ(seen.error, "the JSON document is nested deeper than the limit of 3 at byte 10");
    EXPECT_NE(decode_whole(Json(1'000'000), std::string(1'000'000, '[')).error, "")
        << "and there is a limit when nobody has set one";
}

TEST(Json, StaysFailed) {
    Json json(kLimit);
    std::string_view input = "x";
    EXPECT_EQ(json.decode(input).error(), CodecErrc::malformed);
    input = "{}";
    EXPECT_EQ(json.decode(input).error(), CodecErrc::malformed);
    EXPECT_EQ(json.finish().error(), CodecErrc::malformed);
}

TEST(Json, GivesDocumentsThatStandOneBehindTheOther) {
    EXPECT_EQ(decode("{\"a\":1}{\"b\":[2]}[3]\"4\"").frames,
              Frames({"{\"a\":1}", "{\"b\":[2]}", "[3]", "\"4\""}));
    EXPECT_EQ(decode("\n1\r\n true\tnull  {} ").frames, Frames({"1", "true", "null", "{}"}));
    EXPECT_EQ(decode("").frames, Frames());
    EXPECT_EQ(decode(" \n ").frames, Frames());
}

TEST(Json, WantsWhitespaceBehindWhatHasNoEndOfItsOwn) {
    const Decoded seen = decode("1{}");
    EXPECT_EQ(seen.frames, Frames({"1"}));
    EXPECT_EQ(seen.error,
              "a JSON number, true, false or null needs whitespace behind it, at byte 1");
    EXPECT_EQ(decode("truefalse").frames, Frames({"true"}));
    EXPECT_EQ(decode("01").frames, Frames({"0"})) << "a number has no zero in front";
}

TEST(Json, KeepsTheTextAsItIs) {
    const std::string text = "{ \"a\" : [ 1.50e2 , \"\\u00e4\" ] }";
    EXPECT_EQ(decode("  " + text + "\n").frames, Frames({text}));
}

TEST(Json, RefusesToSendWhatIsNotOneDocument) {
    std::string out = "before";
    const Json json(10, 2);
    for (const char* text : {"", " ", "x", "{", "1 2", "{}{}", "1,"})
        EXPECT_EQ(json.encode(text, out).error(), CodecErrc::not_encodable) << text;
    EXPECT_EQ(json.encode("[1,2,3,4,5]", out).error(), CodecErrc::frame_too_large);
    EXPECT_EQ(json.encode("[[[]]]", out).error(), CodecErrc::too_deep);
    EXPECT_EQ(out, "before");
    EXPECT_TRUE(json.encode(" [1, 2] ", out).has_value());
    EXPECT_EQ(out, "before[1, 2]\n");
}

}  // namespace
}  // namespace troupe::codec
