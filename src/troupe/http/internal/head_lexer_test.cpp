#include <troupe/http/internal/head_lexer.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace troupe::http_internal {
namespace {

TEST(HeadLexer, FindsTheFirstControlCharacterWhereverItStands) {
    for (std::size_t size = 0; size < 40; ++size) {
        std::string text(size, '\xc3');
        EXPECT_EQ(find_control(text), size);
        for (std::size_t at = 0; at < size; ++at) {
            for (int c = 0; c < 256; ++c) {
                text[at] = static_cast<char>(c);
                bool control = c < 0x20 || c == 0x7f;
                ASSERT_EQ(find_control(text), control ? at : size) << size << " " << at << " " << c;
            }
            text[at] = '\xc3';
        }
    }
}

TEST(HeadLexer, CutsARequestLineIntoItsParts) {
    RequestLine line;
    ParseRefusal refusal;
    std::string_view text = "M-SEARCH /a?b=c HTTP/1.0\r\nHost: a\r\n";
    EXPECT_EQ(lex_request_line(text, 100, line, refusal), Lexed::whole);
    EXPECT_EQ(line.method, "M-SEARCH");
    EXPECT_EQ(line.target, "/a?b=c");
    EXPECT_EQ(line.minor_version, 0);
    EXPECT_EQ(line.size, 26U);
}

TEST(HeadLexer, CutsAFieldLineIntoItsPartsWithoutTheSpaceAround) {
    FieldLine line;
    ParseRefusal refusal;
    EXPECT_EQ(lex_field_line("Name:\t a \t b \t\r\nX", line, refusal), Lexed::whole);
    EXPECT_EQ(line.name, "Name");
    EXPECT_EQ(line.value, "a \t b");
    EXPECT_EQ(line.size, 16U);
    EXPECT_EQ(lex_field_line("\r\nX", line, refusal), Lexed::empty_line);
    EXPECT_EQ(line.size, 2U);
}

// Goal: a verdict on a beginning is the verdict on the whole. Method: every beginning of a good
// line is cut and nothing else; every beginning of a bad one is cut or bad, and once bad for good.
TEST(HeadLexer, JudgesEveryBeginningOfALineLikeTheWhole) {
    RequestLine request;
    FieldLine field;
    ParseRefusal refusal;
    std::string_view good = "GET /some/where HTTP/1.1\r\n";
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_EQ(lex_request_line(good.substr(0, size), 20, request, refusal), Lexed::cut);
    std::string_view good_field = "Some-Name: some value\r\n";
    for (std::size_t size = 0; size < good_field.size(); ++size)
        EXPECT_EQ(lex_field_line(good_field.substr(0, size), field, refusal), Lexed::cut);

    for (std::string_view bad :
         {"GET  / HTTP/1.1\r\n", "G\x01T / HTTP/1.1\r\n", "GET /\r\n", "GET /a HTTP/1.1\n",
          "GET /a HTTP/3.0\r\n", "GET /a\tb HTTP/1.1\r\n",
          "GET /longer/than/it/may/be HTTP/1.1\r\n"}) {
        bool seen_bad = false;
        for (std::size_t size = 0; size <= bad.size(); ++size) {
            Lexed lexed = lex_request_line(bad.substr(0, size), 20, request, refusal);
            EXPECT_TRUE(lexed == Lexed::bad || (lexed == Lexed::cut && !seen_bad)) << bad;
            seen_bad = lexed == Lexed::bad;
        }
        EXPECT_TRUE(seen_bad) << bad;
    }
}

TEST(HeadLexer, RefusesALongMethodAsUnknownAndALongTargetAsLong) {
    RequestLine line;
    ParseRefusal refusal;
    EXPECT_EQ(lex_request_line(std::string(33, 'A'), 20, line, refusal), Lexed::bad);
    EXPECT_EQ(refusal.status, 501);
    EXPECT_EQ(lex_request_line("GET /" + std::string(20, 'a'), 20, line, refusal), Lexed::bad);
    EXPECT_EQ(refusal.status, 414);
}

}  // namespace
}  // namespace troupe::http_internal
