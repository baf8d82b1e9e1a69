#include <troupe/websocket/internal/utf8.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::websocket_internal {
namespace {

std::string encoded(std::uint32_t code) {
    std::string out;
    const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0 | code >> 6);
        put(0x80 | (code & 63));
    } else if (code < 0x10000) {
        put(0xE0 | code >> 12);
        put(0x80 | (code >> 6 & 63));
        put(0x80 | (code & 63));
    } else {
        put(0xF0 | code >> 18);
        put(0x80 | (code >> 12 & 63));
        put(0x80 | (code >> 6 & 63));
        put(0x80 | (code & 63));
    }
    return out;
}

TEST(Utf8, AcceptsEveryCharacterThereIsAndRefusesSurrogates) {
    for (std::uint32_t code = 0; code <= 0x10FFFF; ++code) {
        const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        ASSERT_EQ(is_utf8(encoded(code)), !surrogate) << code;
    }
    EXPECT_FALSE(is_utf8(encoded(0x110000))) << "beyond the last one";
    EXPECT_FALSE(is_utf8(encoded(0x1FFFFF)));
}

// The three bytes that may follow a first byte, all of them, against the table of the standard.
TEST(Utf8, AgreesWithTheTableOfWellFormedSequences) {
    struct Row {
        int first_low, first_high;
        int second_low, second_high;
        int length;
    };
    constexpr Row kRows[] = {
        {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
    for (int first = 0; first < 256; ++first) {
        for (int second = 0; second < 256; ++second) {
            const Row* row = nullptr;
            for (const Row& candidate : kRows) {
                if (first >= candidate.first_low && first <= candidate.first_high) row = &candidate;
            }
            if (row != nullptr && row->length == 1) continue;
            std::string text{static_cast<char>(first), static_cast<char>(second)};
            for (int i = 2; row != nullptr && i < row->length; ++i)
                text.push_back('\x80');
            const bool fine =
                row != nullptr && second >= row->second_low && second <= row->second_high;
            ASSERT_EQ(is_utf8(text), fine) << first << " " << second;
        }
    }
}

TEST(Utf8, FindsTheSameWhereverTheTextIsCut) {
    const std::string good = "a€\xF0\x9D\x84\x9E, κόσμε and a long stretch of plain letters behind";
    const std::string bad = "κόσμε\xED\xA0\x80 edited, and a long stretch of plain letters";
    for (const std::string& text : {good, bad}) {
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            Utf8Checker checker;
            const bool first = checker.add(std::string_view(text).substr(0, cut));
            const bool both = first && checker.add(std::string_view(text).substr(cut));
            ASSERT_EQ(both && checker.whole(), text == good) << cut;
        }
    }
}

TEST(Utf8, SaysAtOnceThatAByteCannotBelong) {
    Utf8Checker checker;
    EXPECT_TRUE(checker.add("\xF4"));
    EXPECT_FALSE(checker.whole());
    EXPECT_FALSE(checker.add("\x90")) << "not only when the character is whole";
}

TEST(Utf8, LooksAtEveryByteOfLongText) {
    for (std::size_t size = 1; size < 100; ++size) {
        for (std::size_t at = 0; at < size; ++at) {
            std::string text(size, 'x');
            text[at] = '\xFF';
            ASSERT_FALSE(is_utf8(text)) << size << " " << at;
        }
    }
}

TEST(Utf8, CutsBetweenCharacters) {
    EXPECT_EQ(cut_utf8("abc", 5), "abc");
    EXPECT_EQ(cut_utf8("abc", 2), "ab");
    EXPECT_EQ(cut_utf8("a€", 3), "a");
    EXPECT_EQ(cut_utf8("a€", 4), "a€");
}

}  // namespace
}  // namespace troupe::websocket_internal
