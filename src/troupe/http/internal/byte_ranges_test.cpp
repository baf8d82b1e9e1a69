#include <troupe/http/internal/byte_ranges.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http_internal {
namespace {

using Kind = ByteRanges::Kind;
using List = std::vector<ByteRange>;

constexpr std::uint64_t kSize = 1000;
constexpr std::size_t kRangesMax = 4;

ByteRanges parse(std::string_view value, std::uint64_t size = kSize) {
    return parse_byte_ranges(value, size, kRangesMax);
}

TEST(ByteRanges, AreFoundInTheBody) {
    EXPECT_EQ(parse("bytes=0-0").ranges, (List{{0, 1}}));
    EXPECT_EQ(parse("bytes=0-499").ranges, (List{{0, 500}}));
    EXPECT_EQ(parse("bytes=500-").ranges, (List{{500, 500}}));
    EXPECT_EQ(parse("bytes=-1").ranges, (List{{999, 1}}));
    EXPECT_EQ(parse("bytes=-5000").ranges, (List{{0, 1000}}));
    EXPECT_EQ(parse("bytes=999-5000").ranges, (List{{999, 1}}));
    EXPECT_EQ(parse("Bytes=0-99999999999999999999999999").ranges, (List{{0, 1000}}));
    EXPECT_EQ(parse("bytes=500-599, 0-99 ,-10").ranges, (List{{500, 100}, {0, 100}, {990, 10}}));
    EXPECT_EQ(parse("bytes=,0-9,,").ranges, (List{{0, 10}}));
    EXPECT_EQ(parse("bytes=0-9,5000-").ranges, (List{{0, 10}})) << "what is not there is left out";
}

TEST(ByteRanges, BehindTheEndAreToldSo) {
    for (const char* value : {"bytes=1000-", "bytes=1000-1001,2000-", "bytes=-0",
                              "bytes=99999999999999999999999999-"}) {
        EXPECT_EQ(parse(value).kind, Kind::unsatisfiable) << value;
    }
}

TEST(ByteRanges, ThatAreMalformedAreNone) {
    for (const char* value : {"", "bytes", "bytes=", "bytes= ", "bytes=,", "lines=0-9", "bytes=-",
                              "bytes=9-0", "bytes=a-b", "bytes=0-9x", "bytes=0--9", "bytes=0-9,x",
                              "bytes=+1-2", "bytes=1", "bytes=0 - 9", "bytes=0-9;1-2"}) {
        EXPECT_EQ(parse(value).kind, Kind::whole) << value;
        EXPECT_TRUE(parse(value).ranges.empty()) << value;
    }
}

TEST(ByteRanges, ThatWouldSendTheBodyManyTimesOverAreNone) {
    EXPECT_EQ(parse("bytes=0-,0-").kind, Kind::whole);
    EXPECT_EQ(parse("bytes=10-20,15-").kind, Kind::whole);
    EXPECT_EQ(parse("bytes=-600,0-499").kind, Kind::whole);
    EXPECT_EQ(parse("bytes=0-0,1-1,2-2,3-3").ranges.size(), 4u);
    EXPECT_EQ(parse("bytes=0-0,1-1,2-2,3-3,4-4").kind, Kind::whole);
    EXPECT_EQ(parse("bytes=0-,5000-,6000-,7000-,8000-").kind, Kind::whole);
}

TEST(ByteRanges, OfAnEmptyBodyAreNone) {
    EXPECT_EQ(parse("bytes=0-", 0).kind, Kind::whole);
    EXPECT_EQ(parse("bytes=-5", 0).kind, Kind::whole);
}

}  // namespace
}  // namespace troupe::http_internal
