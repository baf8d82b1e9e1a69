#include <troupe/http/internal/http_date.hpp>

#include <gtest/gtest.h>

namespace troupe::http_internal {
namespace {

TEST(HttpDate, IsReadInAllThreeForms) {
    EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784'111'777);
    EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784'111'777);
    EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), 784'111'777);
    EXPECT_EQ(parse_http_date("Wed Nov 16 08:49:37 1994"), 784'975'777);
    EXPECT_EQ(parse_http_date("Thu, 29 Feb 2024 23:59:60 GMT"), 1'709'251'200);
}

TEST(HttpDate, ComesBackAsItWasWritten) {
    for (std::int64_t seconds : {0LL, 784'111'777LL, 951'782'400LL, 4'102'444'799LL}) {
        EXPECT_EQ(parse_http_date(http_date(seconds)), seconds) << http_date(seconds);
    }
}

TEST(HttpDate, IsNothingElse) {
    for (const char* text :
         {"", "Sun", "Sun,", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
          "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
          "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 anF 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
          "Sun, 06 Nov -994 08:49:37 GMT", "784111777", "Sun Nov 6 08:49:37 1994"}) {
        EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
    }
}

}  // namespace
}  // namespace troupe::http_internal
