#include <troupe/http/json.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http {
namespace {

TEST(Json, QuotesText) {
    EXPECT_EQ(json_string(""), "\"\"");
    EXPECT_EQ(json_string("plain text"), "\"plain text\"");
    EXPECT_EQ(json_string("a\"b\\c\nd\re\tf"), R"("a\"b\\c\nd\re\tf")");
    EXPECT_EQ(json_string(std::string("\0\x1f\x7f", 3)), R"("\u0000\u001f\u007f")");
    EXPECT_EQ(json_string("</script>"), R"("\u003c/script>")");
}

TEST(Json, KeepsUtf8AndReplacesWhatIsNot) {
    EXPECT_EQ(json_string("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xad"),
              "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xad\"");
    const std::string bad = "\xef\xbf\xbd";
    EXPECT_EQ(json_string("\xff"), "\"" + bad + "\"");
    EXPECT_EQ(json_string("a\xc3"), "\"a" + bad + "\"");
    EXPECT_EQ(json_string("\xc0\xaf"), "\"" + bad + bad + "\"") << "overlong";
    EXPECT_EQ(json_string("\xed\xa0\x80"), "\"" + bad + bad + bad + "\"") << "surrogate";
    EXPECT_EQ(json_string("\xf5\x80\x80\x80"), "\"" + bad + bad + bad + bad + "\"") << "too large";
}

}  // namespace
}  // namespace troupe::http
