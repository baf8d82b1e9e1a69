#include <troupe/http/internal/response_writer.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http_internal {
namespace {

using http::Response;

std::string written(const Response& response, const Framing& framing = Framing()) {
    ByteBuffer out;
    DateCache dates;
    append_response(out, response, framing, dates.at(Duration(0)));
    std::string text(out.pending());
    std::string_view date = "Thu, 01 Jan 1970 00:00:00 GMT";
    return text.replace(text.find(date), date.size(), "D");
}

TEST(ResponseWriter, FramesTheBody) {
    EXPECT_EQ(written(http::text(404, "no such thing")),
              "HTTP/1.1 404 Not Found\r\nDate: D\r\nContent-Length: 13\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n\r\nno such thing");
    EXPECT_EQ(written(Response(299)), "HTTP/1.1 299 \r\nDate: D\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(written(Response(7)),
              "HTTP/1.1 500 Internal Server Error\r\nDate: D\r\nContent-Length: 0\r\n\r\n");
}

TEST(ResponseWriter, SaysWhetherTheConnectionStays) {
    Framing framing;
    framing.keep_alive = false;
    EXPECT_EQ(written(Response(), framing),
              "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    framing.keep_alive = true;
    framing.minor_version = 0;
    EXPECT_EQ(written(Response(), framing),
              "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST(ResponseWriter, SendsNoBodyWhereNoneMayBe) {
    Response response = http::ok("abc");
    Framing framing;
    framing.head_only = true;
    EXPECT_EQ(written(response, framing),
              "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 3\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    EXPECT_EQ(written(Response(204).body("abc")), "HTTP/1.1 204 No Content\r\nDate: D\r\n\r\n");
    EXPECT_EQ(written(Response(304).body("abc")), "HTTP/1.1 304 Not Modified\r\nDate: D\r\n\r\n");
    EXPECT_EQ(written(Response(205).body("abc")),
              "HTTP/1.1 205 Reset Content\r\nDate: D\r\nContent-Length: 0\r\n\r\n");
}

std::string_view text(const DateCache::Text& date) {
    return std::string_view(date.data(), date.size());
}

TEST(DateCache, WritesTheDate) {
    DateCache cache;
    auto seconds = [](std::int64_t n) { return Duration(n * 1'000'000'000); };
    EXPECT_EQ(text(cache.at(seconds(784'111'777))), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(text(cache.at(seconds(784'111'777) + Duration(999'999'999))),
              "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(text(cache.at(seconds(784'111'778))), "Sun, 06 Nov 1994 08:49:38 GMT");
    EXPECT_EQ(text(cache.at(seconds(0))), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(text(cache.at(seconds(-5))), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(text(cache.at(seconds(951'782'400))), "Tue, 29 Feb 2000 00:00:00 GMT");
    EXPECT_EQ(text(cache.at(seconds(4'107'542'399))), "Sun, 28 Feb 2100 23:59:59 GMT");
    EXPECT_EQ(text(cache.at(seconds(4'107'542'400))), "Mon, 01 Mar 2100 00:00:00 GMT");
    EXPECT_EQ(text(cache.at(seconds(1'735'689'599))), "Tue, 31 Dec 2024 23:59:59 GMT");
}

}  // namespace
}  // namespace troupe::http_internal
