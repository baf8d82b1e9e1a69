#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::Client;
using http_internal::get;
using http_internal::post;
using http_internal::Reply;
using net_internal::on_both_engines;

/// Appends its name to the request on the way in and to the response on the way out.
auto marking(std::string mark) {
    return [mark](Request request, Next next) -> Task<Response> {
        request.add_header("Mark", mark);
        Response response = co_await next(std::move(request));
        response.header("Mark", mark);
        co_return response;
    };
}

Router routes() {
    Router router;
    router.use(marking("outer"));
    router.use([](Request request, Next next) -> Task<Response> {
        if (request.header("Door") == "shut") co_return text(401, "stay out");
        if (request.header("Door") == "broken") throw std::runtime_error("a planted crash");
        co_return co_await next(std::move(request));
    });
    router.use(marking("inner"));
    router.get("/marks/:id", [](const Request& request) {
        std::string out(request.parameter("id"));
        for (std::size_t i = 0; i < request.headers().size(); ++i) {
            if (same_name(request.headers().at(i).name, "mark")) {
                out += ' ';
                out += request.headers().at(i).value;
            }
        }
        return ok(std::move(out));
    });
    router.post("/later", [](Request request) -> Task<Response> {
        ignore(co_await sleep(1ms), "a test that nobody cancels");
        co_return ok(std::move(request.body));
    });
    router.post("/count", [](Request, BodyReader body) -> Task<Response> {
        std::size_t bytes = 0;
        for (auto piece = co_await body.next(); piece && !piece->empty();
             piece = co_await body.next()) {
            bytes += piece->size();
        }
        co_return ok(std::to_string(bytes));
    });
    return router;
}

Task<void> around_all(System system) {
    auto server = co_await serve(system, routes(), net_internal::on_transport<ServerOptions>());
    EXPECT_TRUE(server.has_value());
    if (!server) co_return;
    Client client = co_await Client::connect(system, server->port());
    Reply marks = co_await client.ask(get("/marks/7"));
    EXPECT_EQ(marks.body, "7 outer inner") << "in the order they were added";
    EXPECT_LT(marks.head.find("Mark: inner"), marks.head.find("Mark: outer"));
    EXPECT_EQ((co_await client.ask(post("/later", "abc"))).body, "abc");
    EXPECT_EQ((co_await client.ask(post("/count", std::string(100'000, 'x')))).body, "100000");

    Reply shut = co_await client.ask("GET /marks/7 HTTP/1.1\r\nHost: a\r\nDoor: shut\r\n\r\n");
    EXPECT_EQ(shut.status, 401);
    EXPECT_NE(shut.head.find("Mark: outer"), std::string::npos);
    EXPECT_EQ(shut.head.find("Mark: inner"), std::string::npos) << "the way was cut short";

    Reply lost = co_await client.ask(get("/none"));
    EXPECT_EQ(lost.status, 404);
    EXPECT_NE(lost.head.find("Mark: inner"), std::string::npos) << "refusals pass through it too";
    Reply wrong = co_await client.ask(post("/marks/7", ""));
    EXPECT_EQ(wrong.status, 405);
    EXPECT_NE(wrong.head.find("Allow: GET, HEAD, OPTIONS"), std::string::npos);

    Reply crash = co_await client.ask("GET /marks/7 HTTP/1.1\r\nHost: a\r\nDoor: broken\r\n\r\n");
    EXPECT_EQ(crash.status, 500);
    EXPECT_TRUE(co_await client.ended());
    client.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
}

TEST(Middleware, StandsAroundEveryHandlerInTheOrderItWasAdded) {
    on_both_engines(30, around_all);
}

}  // namespace
}  // namespace troupe::http
