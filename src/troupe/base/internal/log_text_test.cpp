#include <troupe/base/error.hpp>
#include <troupe/base/internal/log_text.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace troupe::base_internal {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::MatchesRegex;

std::string text(LogFields fields) {
    return text_line(LogLevel::info, "hello", fields, std::source_location::current());
}

std::string json(LogFields fields) {
    std::string line = json_line(LogLevel::info, "hello", fields, std::source_location::current());
    return line.substr(0, line.find(",\"at\""));
}

std::string quoted(std::string_view text) {
    std::string out;
    append_json_text(out, text);
    return out;
}

TEST(LogText, ShowsEveryKindOfValue) {
    std::string name = "ann";
    EXPECT_EQ(
        text({{"yes", true}, {"n", -3}, {"u", 7u}, {"r", 0.5}, {"name", name}, {"d", 1500us}}),
        "hello yes=true n=-3 u=7 r=0.5 name=ann d=1.5ms");
    EXPECT_EQ(
        json({{"yes", true}, {"n", -3}, {"u", 7u}, {"r", 0.5}, {"name", name}, {"d", 1500us}}),
        R"("level":"info","message":"hello","yes":true,"n":-3,"u":7,"r":0.5,"name":"ann","d":0.0015)");
    EXPECT_EQ(text({{"most", std::numeric_limits<std::uint64_t>::max()},
                    {"least", std::numeric_limits<std::int64_t>::min()}}),
              "hello most=18446744073709551615 least=-9223372036854775808");
}

TEST(LogText, ShowsAnErrorWithItsCause) {
    Error error = Error(Errc::failed, "disk").with_cause(Error(Errc::closed));
    EXPECT_THAT(text({{"error", error}}), HasSubstr("error=\"disk (Errc::failed at "));
    EXPECT_THAT(json({{"error", error}}), HasSubstr("caused by: the other side has closed"));
}

TEST(LogText, QuotesWhatCouldBeMistakenForAField) {
    EXPECT_EQ(text({{"a", "two words"}, {"b", "x=y"}, {"c", ""}, {"d", "\"q\""}}),
              R"(hello a="two words" b="x=y" c="" d="\"q\"")");
}

TEST(LogText, NeverBreaksTheLine) {
    EXPECT_EQ(text({{"name", "eve\n2026-01-01 error forged"}}),
              R"(hello name="eve\n2026-01-01 error forged")");
    EXPECT_EQ(quoted(std::string_view("\r\t\0\x1b\x7f", 5)), R"("\r\t\u0000\u001b\u007f")");
}

TEST(LogText, ReplacesWhatIsNotUtf8) {
    EXPECT_EQ(quoted("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\xad"),
              "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\xad\"");
    EXPECT_EQ(quoted("\xff"), "\"\xef\xbf\xbd\"");
    EXPECT_EQ(quoted("\xc3"), "\"\xef\xbf\xbd\"");                                  // cut short
    EXPECT_EQ(quoted("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");                  // overlong
    EXPECT_EQ(quoted("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");  // surrogate
    EXPECT_EQ(quoted("\xf4\x90\x80\x80").size(), 2 + 4 * 3u);  // beyond U+10FFFF
}

TEST(LogText, KeepsJsonValidForNumbersItDoesNotKnow) {
    EXPECT_THAT(json({{"x", std::numeric_limits<double>::infinity()}}), HasSubstr(R"("x":"inf")"));
    EXPECT_THAT(json({{"x", std::numeric_limits<double>::quiet_NaN()}}), HasSubstr(R"("x":"nan")"));
}

TEST(LogText, ShowsDurationsInTheUnitThatFits) {
    auto shown = [](Duration duration) {
        std::string out;
        append_duration(out, duration);
        return out;
    };
    EXPECT_EQ(shown(0ns), "0ns");
    EXPECT_EQ(shown(999ns), "999ns");
    EXPECT_EQ(shown(2500ns), "2.5us");
    EXPECT_EQ(shown(20ms), "20ms");
    EXPECT_EQ(shown(-90s), "-90s");
}

TEST(LogText, NamesThePlaceOfWarnings) {
    auto here = std::source_location::current();
    EXPECT_THAT(text_line(LogLevel::warn, "careful", {}, here),
                MatchesRegex("careful \\(internal/log_text_test.cpp:[0-9]+\\)"));
    EXPECT_THAT(json_line(LogLevel::debug, "fine", {}, here),
                MatchesRegex(".*,\"at\":\"internal/log_text_test.cpp:[0-9]+\"}"));
}

}  // namespace
}  // namespace troupe::base_internal
