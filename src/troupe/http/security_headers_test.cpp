#include <troupe/actor/run.hpp>
#include <troupe/http/router.hpp>
#include <troupe/http/security_headers.hpp>
#include <troupe/net/internal/test_runs.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using net_internal::on_both_engines;

Router routes(SecurityHeadersOptions options) {
    Router router;
    router.use(security_headers(std::move(options)));
    router.get("/plain", [](const Request&) { return ok("x"); });
    router.get("/own", [](const Request&) {
        return ok("x").header("X-Frame-Options", "SAMEORIGIN").header("Referrer-Policy", "origin");
    });
    return router;
}

Request get(const std::string& path, bool secure = false) {
    Request request;
    request.path = path;
    request.origin().secure = secure;
    return request;
}

Task<void> defaults(System) {
    const Router router = routes(SecurityHeadersOptions());
    const Response plain = co_await router.handle(get("/plain"));
    EXPECT_EQ(plain.header("Strict-Transport-Security"), "") << "anybody could have said it";
    EXPECT_EQ(plain.header("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(plain.header("X-Frame-Options"), "DENY");
    EXPECT_EQ(plain.header("Content-Security-Policy"), "frame-ancestors 'none'");
    EXPECT_EQ(plain.header("Referrer-Policy"), "strict-origin-when-cross-origin");
    const Response secure = co_await router.handle(get("/plain", true));
    EXPECT_EQ(secure.header("Strict-Transport-Security"), "max-age=31536000");
    const Response missing = co_await router.handle(get("/none"));
    EXPECT_EQ(missing.status(), 404);
    EXPECT_EQ(missing.header("X-Content-Type-Options"), "nosniff");
    const Response own = co_await router.handle(get("/own"));
    EXPECT_EQ(own.header_lines().find("DENY"), std::string::npos);
    EXPECT_EQ(own.header("Referrer-Policy"), "origin");
}

TEST(SecurityHeaders, AreInEveryResponseThatHasNoneOfItsOwn) {
    on_both_engines(1, defaults);
}

Task<void> told(System) {
    const Router router = routes(SecurityHeadersOptions()
                                     .strict_transport(24h, true)
                                     .frame_ancestors("https://shop.example")
                                     .content_security_policy("default-src 'self'")
                                     .referrer_policy("no-referrer"));
    const Response response = co_await router.handle(get("/plain", true));
    EXPECT_EQ(response.header("Strict-Transport-Security"), "max-age=86400; includeSubDomains");
    EXPECT_EQ(response.header("Content-Security-Policy"),
              "default-src 'self'; frame-ancestors https://shop.example");
    EXPECT_EQ(response.header("X-Frame-Options"), "") << "it cannot say that";
    EXPECT_EQ(response.header("Referrer-Policy"), "no-referrer");
    const Router silent = routes(SecurityHeadersOptions().strict_transport(0s).frame_ancestors(""));
    const Response little = co_await silent.handle(get("/plain", true));
    EXPECT_EQ(little.header("Strict-Transport-Security"), "");
    EXPECT_EQ(little.header("Content-Security-Policy"), "");
}

TEST(SecurityHeaders, SayWhatTheyWereTold) {
    on_both_engines(1, told);
}

}  // namespace
}  // namespace troupe::http
