#include <troupe/http/internal/response_writer.hpp>
#include <troupe/http/response.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http {
namespace {

enum class ShopErrc { sold_out = 7 };

std::string written(const Response& response,
                    const http_internal::Framing& framing = http_internal::Framing()) {
    std::string out;
    http_internal::append_response(out, response, framing, "D");
    return out;
}

TEST(Response, HelpersSetStatusAndType) {
    EXPECT_EQ(ok("a").status(), 200);
    EXPECT_EQ(ok("a").body(), "a");
    EXPECT_EQ(ok("a").type(), "text/plain; charset=utf-8");
    EXPECT_EQ(json("{}").type(), "application/json");
    EXPECT_EQ(html("<p>").type(), "text/html; charset=utf-8");
    EXPECT_EQ(text(404, "no").status(), 404);
}

TEST(Response, TellsAnErrorAsJson) {
    Response gone = from(Error(Errc::actor_gone));
    EXPECT_EQ(gone.status(), 503);
    EXPECT_EQ(gone.body(), R"({"error":"the actor has ended","code":"actor_gone"})");
    EXPECT_EQ(gone.type(), "application/json");

    EXPECT_EQ(from(Error(Errc::not_found)).status(), 404);
    EXPECT_EQ(from(Error(Errc::timed_out)).status(), 504);
    EXPECT_EQ(from(Error(Errc::mailbox_full)).status(), 503);
    EXPECT_EQ(from(Error(Errc::failed, "it \"broke\"")).body(),
              R"({"error":"it \"broke\"","code":"failed"})");
    EXPECT_EQ(from(Error(Errc::failed)).status(), 500);
    EXPECT_EQ(from(Error(ShopErrc::sold_out)).status(), 500);
    EXPECT_EQ(from(Error(ShopErrc::sold_out)).body(),
              R"({"error":"the request failed","code":"7"})");
}

TEST(Response, CannotBeSplitByAHeaderValue) {
    Response response;
    response.header("X-Na me", "a\r\nSet-Cookie: b");
    EXPECT_EQ(response.header_lines(), "X-Na-me: a  Set-Cookie: b\r\n");
    EXPECT_EQ(response.header("x-na-me"), "a  Set-Cookie: b");
    EXPECT_EQ(response.header("set-cookie"), "");
}

TEST(Response, LeavesFramingToTheServer) {
    Response response = ok("abc");
    response.header("content-length", "99").header("Transfer-Encoding", "chunked");
    response.header("Date", "never").header("Connection", "keep-alive");
    EXPECT_EQ(response.header_lines(), "");
    EXPECT_FALSE(response.closes());
    response.header("connection", "Close");
    EXPECT_TRUE(response.closes());
}

TEST(Response, HeaderReplacesTheType) {
    Response response = ok("abc");
    response.header("Content-Type", "image/png");
    EXPECT_EQ(written(response),
              "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 3\r\nContent-Type: image/png\r\n"
              "\r\nabc");
}

TEST(ResponseWriter, FramesTheBody) {
    EXPECT_EQ(written(text(404, "no such thing")),
              "HTTP/1.1 404 Not Found\r\nDate: D\r\nContent-Length: 13\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n\r\nno such thing");
    EXPECT_EQ(written(Response(299)), "HTTP/1.1 299 \r\nDate: D\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(written(Response(7)),
              "HTTP/1.1 500 Internal Server Error\r\nDate: D\r\nContent-Length: 0\r\n\r\n");
}

TEST(ResponseWriter, SaysWhetherTheConnectionStays) {
    http_internal::Framing framing;
    framing.keep_alive = false;
    EXPECT_EQ(written(Response(), framing),
              "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    framing.keep_alive = true;
    framing.minor_version = 0;
    EXPECT_EQ(written(Response(), framing),
              "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST(ResponseWriter, SendsNoBodyWhereNoneMayBe) {
    Response response = ok("abc");
    http_internal::Framing framing;
    framing.head_only = true;
    EXPECT_EQ(written(response, framing),
              "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 3\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    EXPECT_EQ(written(Response(204).body("abc")), "HTTP/1.1 204 No Content\r\nDate: D\r\n\r\n");
    EXPECT_EQ(written(Response(304).body("abc")), "HTTP/1.1 304 Not Modified\r\nDate: D\r\n\r\n");
    EXPECT_EQ(written(Response(205).body("abc")),
              "HTTP/1.1 205 Reset Content\r\nDate: D\r\nContent-Length: 0\r\n\r\n");
}

TEST(DateCache, WritesTheDate) {
    http_internal::DateCache cache;
    auto seconds = [](std::int64_t n) { return Duration(n * 1'000'000'000); };
    EXPECT_EQ(cache.at(seconds(784'111'777)), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(cache.at(seconds(784'111'777) + Duration(999'999'999)),
              "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(cache.at(seconds(784'111'778)), "Sun, 06 Nov 1994 08:49:38 GMT");
    EXPECT_EQ(cache.at(seconds(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(cache.at(seconds(-5)), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(cache.at(seconds(951'782'400)), "Tue, 29 Feb 2000 00:00:00 GMT");
    EXPECT_EQ(cache.at(seconds(4'107'542'399)), "Sun, 28 Feb 2100 23:59:59 GMT");
    EXPECT_EQ(cache.at(seconds(4'107'542'400)), "Mon, 01 Mar 2100 00:00:00 GMT");
    EXPECT_EQ(cache.at(seconds(1'735'689'599)), "Tue, 31 Dec 2024 23:59:59 GMT");
}

}  // namespace
}  // namespace troupe::http
