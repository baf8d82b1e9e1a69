#include <troupe/http/internal/text.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http_internal {
namespace {

TEST(Text, IsCutAtAMarkAndTrimmed) {
    EXPECT_EQ(trimmed(" \ta b\t "), "a b");
    EXPECT_EQ(trimmed(" \t"), "");
    std::string_view list = "a , b,,c";
    EXPECT_EQ(cut_before(list, ','), "a");
    EXPECT_EQ(cut_before(list, ','), "b");
    EXPECT_EQ(cut_before(list, ','), "");
    EXPECT_EQ(cut_before(list, ','), "c");
    EXPECT_EQ(list, "");
}

TEST(Text, HoldsTheTokensOfAListInAnyCase) {
    EXPECT_TRUE(holds_token("gzip, No-Transform", "no-transform"));
    EXPECT_FALSE(holds_token("no-transform-at-all,", "no-transform"));
    EXPECT_FALSE(holds_token("", "no-transform"));
}

TEST(Text, IsEncodedForAnyPartOfAUrl) {
    std::string out;
    append_encoded(out, "a-Z_0.~ /?#%:\xff");
    EXPECT_EQ(out, "a-Z_0.~%20%2F%3F%23%25%3A%FF");
}

TEST(Text, ComparesWithoutCase) {
    EXPECT_TRUE(equals_ignoring_case("Content-Type", "cONTENT-tYPE"));
    EXPECT_FALSE(equals_ignoring_case("a", "ab"));
    EXPECT_FALSE(equals_ignoring_case("@", "`")) << "32 apart, but no letters";
}

TEST(Text, DecodesQueriesLeniently) {
    std::string out;
    append_decoded(out, "a+b%2Bc%2", true);
    EXPECT_EQ(out, "a b+c%2");
    out.clear();
    append_decoded(out, "a+%g1%41", false);
    EXPECT_EQ(out, "a+%g1A");
}

TEST(Text, DecodesPathsWithoutMakingSeparators) {
    std::string out;
    EXPECT_EQ(append_decoded_path(out, "/a%20b%2fc%252F"), PathDecoding::done);
    EXPECT_EQ(out, "/a b%2Fc%252F");
    std::string parameter;
    append_parameter(parameter, "a b%2Fc%252F100%");
    EXPECT_EQ(parameter, "a b/c%2F100%");

    EXPECT_EQ(append_decoded_path(out, "/%4"), PathDecoding::bad_escape);
    EXPECT_EQ(append_decoded_path(out, "/%"), PathDecoding::bad_escape);
    EXPECT_EQ(append_decoded_path(out, "/%4x"), PathDecoding::bad_escape);
    EXPECT_EQ(append_decoded_path(out, "/%00"), PathDecoding::holds_nul);
}

}  // namespace
}  // namespace troupe::http_internal
