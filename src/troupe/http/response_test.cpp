#include <troupe/http/response.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::http {
namespace {

enum class ShopErrc { sold_out = 7 };

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
    EXPECT_EQ(response.type(), "");
    EXPECT_EQ(response.header_lines(), "Content-Type: image/png\r\n");
}

TEST(Response, TakesLinesAndItsProducerBack) {
    Response response;
    response.header("ETag", "1").header("Vary", "a").header("etag", "2").header("X", "y");
    response.remove_header("ETag");
    EXPECT_EQ(response.header_lines(), "Vary: a\r\nX: y\r\n");
    response.remove_header("x").remove_header("vary").remove_header("vary");
    EXPECT_EQ(response.header_lines(), "");

    response.length(5).stream(
        [](BodyWriter out) -> Task<Result<void>> { co_return co_await out.write("12345"); });
    EXPECT_NE(response.take_producer(), nullptr);
    EXPECT_EQ(response.producer(), nullptr);
    response.length(std::nullopt);
    EXPECT_FALSE(response.length().has_value());
}

}  // namespace
}  // namespace troupe::http
