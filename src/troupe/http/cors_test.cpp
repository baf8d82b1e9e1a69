#include <troupe/actor/run.hpp>
#include <troupe/http/cors.hpp>
#include <troupe/http/router.hpp>
#include <troupe/net/internal/test_runs.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using net_internal::on_both_engines;

Router routes(CorsOptions options) {
    Router router;
    router.use(cors(std::move(options)));
    router.any("/data", [](const Request& request) { return ok("data for " + request.method); });
    return router;
}

Request from(const std::string& method, const std::string& origin) {
    Request request;
    request.method = method;
    request.path = "/data";
    if (!origin.empty()) request.add_header("Origin", origin);
    return request;
}

Request asks_first(const std::string& origin, const std::string& method) {
    Request request = from("OPTIONS", origin);
    request.add_header("Access-Control-Request-Method", method);
    return request;
}

const std::string kAllow = "Access-Control-Allow-Origin";

Task<void> preflight(System) {
    const Router router = routes(CorsOptions()
                                     .origin("https://app.example")
                                     .methods({"GET", "PUT"})
                                     .headers({"Content-Type", "X-Token"})
                                     .credentials()
                                     .max_age(5min));
    Request request = asks_first("https://app.example", "PUT");
    request.add_header("Access-Control-Request-Private-Network", "true");
    const Response yes = co_await router.handle(std::move(request));
    EXPECT_EQ(yes.status(), 204);
    EXPECT_EQ(yes.header(kAllow), "https://app.example");
    EXPECT_EQ(yes.header("Access-Control-Allow-Methods"), "GET, PUT");
    EXPECT_EQ(yes.header("Access-Control-Allow-Headers"), "Content-Type, X-Token");
    EXPECT_EQ(yes.header("Access-Control-Allow-Credentials"), "true");
    EXPECT_EQ(yes.header("Access-Control-Max-Age"), "300");
    EXPECT_EQ(yes.header("Access-Control-Allow-Private-Network"), "");
    EXPECT_TRUE(yes.header("Vary").starts_with("Origin"));
    for (const std::string other : {"https://app.example:8443", "http://app.example", "null",
                                    "https://app.example.evil", "HTTPS://APP.EXAMPLE"}) {
        const Response no = co_await router.handle(asks_first(other, "PUT"));
        EXPECT_EQ(no.status(), 403) << other;
        EXPECT_EQ(no.header(kAllow), "") << other;
        EXPECT_EQ(no.header("Vary"), "Origin");
    }
    const Response plain = co_await router.handle(from("OPTIONS", "https://app.example"));
    EXPECT_EQ(plain.body(), "data for OPTIONS") << "that asks for nothing";
}

TEST(Cors, AnswersThoseWhoAskBeforehand) {
    on_both_engines(1, preflight);
}

Task<void> requests(System) {
    const Router router = routes(
        CorsOptions()
            .origin("https://app.example")
            .origins([](std::string_view origin) { return origin.ends_with(".trusted.example"); })
            .expose({"X-Total"}));
    for (const std::string good : {"https://app.example", "https://a.trusted.example"}) {
        const Response yes = co_await router.handle(from("GET", good));
        EXPECT_EQ(yes.header(kAllow), good);
        EXPECT_EQ(yes.header("Access-Control-Expose-Headers"), "X-Total");
        EXPECT_EQ(yes.header("Access-Control-Allow-Credentials"), "");
        EXPECT_EQ(yes.header("Vary"), "Origin");
    }
    for (const std::string other : {"", "https://other.example"}) {
        const Response no = co_await router.handle(from("POST", other));
        EXPECT_EQ(no.body(), "data for POST") << "who is no browser needs nobody's leave";
        EXPECT_EQ(no.header(kAllow), "");
        EXPECT_EQ(no.header("Vary"), "Origin") << "whoever keeps it keeps it for those only";
    }
}

TEST(Cors, LetsOnlyThePagesItKnowsReadResponses) {
    on_both_engines(1, requests);
}

Task<void> anybody(System) {
    const Router router = routes(CorsOptions().any_origin());
    const Response yes = co_await router.handle(from("GET", "https://any.example"));
    EXPECT_EQ(yes.header(kAllow), "*");
    EXPECT_EQ(yes.header("Vary"), "") << "the same for all";
    const Router nobody = routes(CorsOptions());
    EXPECT_EQ((co_await nobody.handle(from("GET", "https://any.example"))).header(kAllow), "");
}

TEST(Cors, LetsEveryPageReadOrNone) {
    on_both_engines(1, anybody);
}

TEST(CorsDeathTest, RefusesCredentialsForEveryPage) {
    EXPECT_DEATH(cors(CorsOptions().any_origin().credentials()), "which origins may use");
}

}  // namespace
}  // namespace troupe::http
