// The service without a server: its routes are called as functions, on both engines.

#include "counters.hpp"

#include <troupe/actor/system.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>

#include "routes.hpp"
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace http = troupe::http;

namespace {

troupe::Task<http::Response> call(const http::Router* router, std::string method, std::string path,
                                  std::string query = std::string()) {
    http::Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.query = std::move(query);
    return router->handle(std::move(request));
}

/// Runs `test`, a coroutine, on the threaded engine and over many seeds on the deterministic one.
void on_both_engines(troupe::Task<void> (*test)(const http::Router*)) {
    auto run = [test](troupe::OwnedSystem& system) {
        http::Router router = routes(*system, system->spawn<Counters>());
        system->block_on(test(&router));
        system.stop();
    };
    troupe::OwnedSystem threaded;
    run(threaded);
    for (std::uint64_t seed = 1; seed <= 100 && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        troupe::RandomChooser chooser(seed);
        troupe::OwnedSystem simulated(troupe::make_deterministic_engine(chooser));
        run(simulated);
    }
}

troupe::Task<void> counting(const http::Router* router) {
    auto fresh = co_await call(router, "GET", "/counters/ann");
    EXPECT_EQ(fresh.body(), R"({"name":"ann","value":0})");
    auto five = co_await call(router, "POST", "/counters/ann/add", "n=5");
    EXPECT_EQ(five.body(), R"({"name":"ann","value":5})");
    auto three = co_await call(router, "POST", "/counters/ann/add", "n=-2");
    EXPECT_EQ(three.body(), R"({"name":"ann","value":3})");
    auto four = co_await call(router, "POST", "/counters/ann/add");
    EXPECT_EQ(four.body(), R"({"name":"ann","value":4})") << "one, when n is left out";
    auto other = co_await call(router, "GET", "/counters/bob");
    EXPECT_EQ(other.body(), R"({"name":"bob","value":0})");
}

TEST(Counters, CountForEachNameApart) {
    on_both_engines(counting);
}

troupe::Task<void> refusing(const http::Router* router) {
    auto banana = co_await call(router, "POST", "/counters/ann/add", "n=banana");
    EXPECT_EQ(banana.status(), 400);
    EXPECT_EQ(banana.body(),
              R"({"error":"n must be a whole number, not \"banana\".","code":"bad_number"})");
    for (const char* query : {"n=", "n=1.5", "n=1x", "n=--1", "n=99999999999999999999"}) {
        auto answer = co_await call(router, "POST", "/counters/ann/add", query);
        EXPECT_EQ(answer.status(), 400) << query;
    }
    auto large = co_await call(router, "POST", "/counters/ann/add", "n=9223372036854775807");
    EXPECT_EQ(large.status(), 200);
    auto larger = co_await call(router, "POST", "/counters/ann/add", "n=1");
    EXPECT_EQ(larger.status(), 400);
    auto kept = co_await call(router, "GET", "/counters/ann");
    EXPECT_EQ(kept.body(), R"({"name":"ann","value":9223372036854775807})");
    auto name = co_await call(router, "GET", "/counters/" + std::string(65, 'a'));
    EXPECT_EQ(name.status(), 400);
}

TEST(Counters, RefuseWhatIsNoNumberOrNoName) {
    on_both_engines(refusing);
}

troupe::Task<void> crashing(const http::Router* router) {
    auto ann = co_await call(router, "POST", "/counters/ann/add", "n=5");
    auto bob = co_await call(router, "POST", "/counters/bob/add", "n=7");
    auto crashed = co_await call(router, "POST", "/counters/ann/crash");
    EXPECT_EQ(crashed.status(), 500);
    EXPECT_NE(crashed.body().find("asked this counter to crash"), std::string::npos);
    auto fresh = co_await call(router, "GET", "/counters/ann");
    EXPECT_EQ(fresh.body(), R"({"name":"ann","value":0})");
    auto untouched = co_await call(router, "GET", "/counters/bob");
    EXPECT_EQ(untouched.body(), R"({"name":"bob","value":7})");
}

TEST(Counters, ACrashCostsOneCounterAndTheNextRequestGetsAFreshOne) {
    on_both_engines(crashing);
}

troupe::Task<void> listing(const http::Router* router) {
    auto none = co_await call(router, "GET", "/counters");
    EXPECT_EQ(none.body(), "[]");
    auto bob = co_await call(router, "POST", "/counters/bob/add", "n=7");
    auto ann = co_await call(router, "POST", "/counters/ann/add", "n=5");
    auto both = co_await call(router, "GET", "/counters");
    EXPECT_EQ(both.type(), "application/json");
    EXPECT_TRUE(both.body().starts_with(R"([{"name":"ann","value":5,"mailbox":)")) << both.body();
    EXPECT_NE(both.body().find(R"(,{"name":"bob","value":7,"mailbox":)"), std::string::npos);
    EXPECT_NE(both.body().find(R"("messages":)"), std::string::npos);
}

TEST(Counters, AreListedByName) {
    on_both_engines(listing);
}

troupe::Task<void> looking(const http::Router* router) {
    auto health = co_await call(router, "GET", "/health");
    EXPECT_EQ(health.status(), 200);
    auto page = co_await call(router, "GET", "/");
    EXPECT_EQ(page.type(), "text/html; charset=utf-8");
    EXPECT_EQ(page.body().find("http://"), std::string::npos) << "nothing from elsewhere";
    EXPECT_EQ(page.body().find("https://"), std::string::npos) << "nothing from elsewhere";
}

TEST(Counters, ServeAPageOfTheirOwn) {
    on_both_engines(looking);
}

}  // namespace
