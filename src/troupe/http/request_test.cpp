#include <troupe/http/request.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace troupe::http {
namespace {

TEST(Request, FindsHeadersInAnyLetterCase) {
    Request request;
    request.add_header("Content-Type", "text/plain");
    request.add_header("X", "1");
    request.add_header("x", "2");
    EXPECT_EQ(request.header("content-type"), "text/plain");
    EXPECT_EQ(request.header("X"), "1");
    EXPECT_EQ(request.headers().size(), 3U);
    EXPECT_EQ(request.headers().at(2).value, "2");
    EXPECT_FALSE(request.header("Content").has_value());
}

TEST(Request, KeepsHeadersAndParametersWhenCopiedAndMoved) {
    Request request;
    request.add_header("Name", "value");
    request.set_parameter("id", "a/b");
    Request copy = request;
    request.clear();
    EXPECT_FALSE(request.header("name").has_value());
    EXPECT_EQ(copy.header("name"), "value");

    Request moved = std::move(copy);
    EXPECT_EQ(moved.header("name"), "value");
    EXPECT_EQ(moved.parameter("id"), "a/b");
    EXPECT_EQ(moved.parameter("other"), "");
}

TEST(Request, DecodesQueryParameters) {
    Request request;
    request.query = "a=1&b=x+y%21&empty=&flag&&%63=%zz&a=2";
    EXPECT_EQ(request.query_parameter("a"), "1");
    EXPECT_EQ(request.query_parameter("b"), "x y!");
    EXPECT_EQ(request.query_parameter("empty"), "");
    EXPECT_EQ(request.query_parameter("flag"), "");
    EXPECT_EQ(request.query_parameter("c"), "%zz");
    EXPECT_FALSE(request.query_parameter("").has_value());
    EXPECT_FALSE(request.query_parameter("d").has_value());
}

TEST(Request, ClearsToAnEmptyGet) {
    Request request;
    request.method = "POST";
    request.path = "/a";
    request.query = "b";
    request.body.assign(1 << 20, 'x');
    request.keep_alive = false;
    request.minor_version = 0;
    request.clear();
    EXPECT_EQ(request.method, "GET");
    EXPECT_EQ(request.path, "/");
    EXPECT_TRUE(request.query.empty());
    EXPECT_TRUE(request.keep_alive);
    EXPECT_EQ(request.minor_version, 1);
    EXPECT_LT(request.body.capacity(), std::size_t{1} << 17) << "a large body's memory is returned";
}

}  // namespace
}  // namespace troupe::http
