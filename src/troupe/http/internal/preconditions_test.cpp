#include <troupe/http/internal/http_date.hpp>
#include <troupe/http/internal/preconditions.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace troupe::http_internal {
namespace {

constexpr std::int64_t kModified = 784'111'777;

using Lines = std::vector<std::pair<std::string, std::string>>;

http::Request with(const Lines& lines) {
    http::Request request;
    for (const auto& [name, value] : lines)
        request.add_header(name, value);
    return request;
}

Precondition check(const Lines& lines, std::string tag = "\"a\"") {
    return check_preconditions(with(lines), Validators{std::move(tag), kModified});
}

std::string date(std::int64_t seconds) {
    return http_date(kModified + seconds);
}

TEST(Preconditions, HoldWithoutConditions) {
    EXPECT_EQ(check({}), Precondition::holds);
    EXPECT_EQ(check({{"If-Modified-Since", "yesterday"}, {"If-Unmodified-Since", "never"}}),
              Precondition::holds);
}

TEST(Preconditions, KnowWhatTheClientHas) {
    for (const char* list :
         {"\"a\"", "*", "\"b\", \"a\"", "W/\"a\"", "\"x,y\",\"a\"", " , \"a\" ,"}) {
        EXPECT_EQ(check({{"If-None-Match", list}}), Precondition::not_modified) << list;
    }
    for (const char* list : {"\"b\"", "a", "", "\"", "W/", "\"b\" x \"a\"", "W/a"}) {
        EXPECT_EQ(check({{"If-None-Match", list}}), Precondition::holds) << list;
    }
    EXPECT_EQ(check({{"If-None-Match", "\"b\""}, {"If-None-Match", "\"a\""}}),
              Precondition::not_modified)
        << "several lines are one list";
    EXPECT_EQ(check({{"If-None-Match", "\"a\""}}, "W/\"a\""), Precondition::not_modified);
    EXPECT_EQ(check({{"If-Modified-Since", date(0)}}), Precondition::not_modified);
    EXPECT_EQ(check({{"If-Modified-Since", date(1)}}), Precondition::not_modified);
    EXPECT_EQ(check({{"If-Modified-Since", date(-1)}}), Precondition::holds);
}

TEST(Preconditions, FailWhereItIsAnotherThing) {
    EXPECT_EQ(check({{"If-Match", "\"b\""}}), Precondition::failed);
    EXPECT_EQ(check({{"If-Match", "W/\"a\""}}), Precondition::failed) << "weak is not the same";
    EXPECT_EQ(check({{"If-Match", "W/\"a\""}}, "W/\"a\""), Precondition::failed);
    EXPECT_EQ(check({{"If-Match", "\"a\""}}), Precondition::holds);
    EXPECT_EQ(check({{"If-Match", "*"}}), Precondition::holds);
    EXPECT_EQ(check({{"If-Unmodified-Since", date(-1)}}), Precondition::failed);
    EXPECT_EQ(check({{"If-Unmodified-Since", date(0)}}), Precondition::holds);
}

TEST(Preconditions, GoInTheirOrder) {
    EXPECT_EQ(check({{"If-Match", "\"a\""}, {"If-Unmodified-Since", date(-9)}}),
              Precondition::holds)
        << "a tag says more than a date";
    EXPECT_EQ(check({{"If-None-Match", "\"b\""}, {"If-Modified-Since", date(9)}}),
              Precondition::holds);
    EXPECT_EQ(check({{"If-Match", "\"b\""}, {"If-None-Match", "\"a\""}}), Precondition::failed);
    EXPECT_EQ(check({{"If-Match", "\"a\""}, {"If-None-Match", "\"a\""}}),
              Precondition::not_modified);
    EXPECT_EQ(check({{"If-Unmodified-Since", date(0)}, {"If-Modified-Since", date(0)}}),
              Precondition::not_modified);
}

TEST(Preconditions, AllowARangeOfExactlyThisState) {
    const Validators current{"\"a\"", kModified};
    auto welcome = [&](const Lines& lines, std::int64_t now = kModified + 100) {
        return range_is_welcome(with(lines), current, now);
    };
    EXPECT_TRUE(welcome({}));
    EXPECT_TRUE(welcome({{"If-Range", "\"a\""}}));
    EXPECT_FALSE(welcome({{"If-Range", "W/\"a\""}}));
    EXPECT_FALSE(welcome({{"If-Range", "\"b\""}}));
    EXPECT_FALSE(welcome({{"If-Range", "nonsense"}}));
    EXPECT_TRUE(welcome({{"If-Range", date(0)}}));
    EXPECT_FALSE(welcome({{"If-Range", date(1)}})) << "exactly, not since";
    EXPECT_FALSE(welcome({{"If-Range", date(0)}}, kModified)) << "it may change again this second";
}

}  // namespace
}  // namespace troupe::http_internal
