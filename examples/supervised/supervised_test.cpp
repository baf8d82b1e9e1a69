// The service without a server: its routes are called as functions, on both engines.

#include <troupe/actor/system.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/sleep.hpp>

#include "routes.hpp"
#include "workshop.hpp"
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace http = troupe::http;
using namespace std::chrono_literals;

namespace {

troupe::Task<http::Response> call(const http::Router* router, std::string method, std::string path,
                                  std::string query = std::string()) {
    http::Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.query = std::move(query);
    return router->handle(std::move(request));
}

using Test = troupe::Task<void> (*)(const http::Router*);

void run(troupe::OwnedSystem& system, Test test) {
    const auto workshop = system->block_on(open_workshop(*system));
    ASSERT_TRUE(workshop);
    const http::Router router = routes(*workshop);
    system->block_on(test(&router));
    EXPECT_TRUE(system->block_on(workshop->tree.stop()));
    system.stop();
}

/// Workers that fail on purpose would fill the page.
class QuietLog {
public:
    QuietLog() {
        troupe::set_log_sink([](troupe::LogLevel, std::string_view) {});
    }
    ~QuietLog() { troupe::set_log_sink({}); }
    QuietLog(const QuietLog&) = delete;
    QuietLog& operator=(const QuietLog&) = delete;
};

void in_simulated_time(Test test) {
    const QuietLog quiet;
    for (std::uint64_t seed = 1; seed <= 50 && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        troupe::RandomChooser chooser(seed);
        troupe::OwnedSystem system(troupe::make_deterministic_engine(chooser));
        run(system, test);
    }
}

void on_both_engines(Test test) {
    {
        const QuietLog quiet;
        troupe::OwnedSystem threaded;
        run(threaded, test);
    }
    in_simulated_time(test);
}

std::size_t count(std::string_view text, std::string_view word) {
    std::size_t found = 0;
    for (std::size_t at = text.find(word); at != std::string_view::npos;
         at = text.find(word, at + 1)) {
        ++found;
    }
    return found;
}

troupe::Task<void> summing(const http::Router* router) {
    auto careful = co_await call(router, "POST", "/failures", "in_a_hundred=0");
    EXPECT_EQ(careful.body(), R"({"failures_in_a_hundred":0})");
    auto sum = co_await call(router, "POST", "/sum", "n=100");
    EXPECT_EQ(sum.body(), R"({"n":100,"sum":5050})");
    for (const char* query : {"n=-1", "n=x", "n=1000000001"}) {
        auto refused = co_await call(router, "POST", "/sum", query);
        EXPECT_EQ(refused.status(), 400) << query;
    }
    auto nobody = co_await call(router, "POST", "/workers/mallory/crash");
    EXPECT_EQ(nobody.status(), 404);
}

TEST(Workshop, DoesSumsAndRefusesWhatIsNone) {
    on_both_engines(summing);
}

troupe::Task<void> crashing(const http::Router* router) {
    auto careful = co_await call(router, "POST", "/failures", "in_a_hundred=0");
    auto before = co_await call(router, "GET", "/ready");
    EXPECT_EQ(before.status(), 200);
    auto one = co_await call(router, "POST", "/workers/ann/crash");
    EXPECT_EQ(one.body(), R"({"crashed":"ann"})");
    auto two = co_await call(router, "POST", "/workers/bob/crash");
    troupe::ignore(co_await troupe::sleep(1ms), "nobody cancels a test");
    auto missing = co_await call(router, "GET", "/ready");
    EXPECT_EQ(missing.status(), 503);
    EXPECT_EQ(missing.body(), "workshop/pool: 1 healthy of at least 2\n");
    auto waiting = co_await call(router, "GET", "/tree");
    EXPECT_EQ(count(waiting.body(), R"("state":"waiting")"), 2U) << waiting.body();

    troupe::ignore(co_await troupe::sleep(1s), "nobody cancels a test");
    auto back = co_await call(router, "GET", "/ready");
    EXPECT_EQ(back.status(), 200);
    auto tree = co_await call(router, "GET", "/tree");
    EXPECT_EQ(count(tree.body(), R"("state":"running")"), 5U) << tree.body();
    EXPECT_EQ(count(tree.body(), R"("restarts":1)"), 2U);
    EXPECT_EQ(count(tree.body(), "somebody asked this worker to crash"), 2U);
}

TEST(Workshop, IsNotReadyWhileTwoOfThreeAreAwayAndThenIsAgain) {
    in_simulated_time(crashing);
}

troupe::Task<void> surviving(const http::Router* router) {
    int done = 0;
    for (int i = 0; i < 100; ++i) {
        auto answer = co_await call(router, "POST", "/sum", "n=10");
        if (answer.status() == 200) ++done;
        troupe::ignore(co_await troupe::sleep(100ms), "nobody cancels a test");
    }
    // One in ten tries fails, and each job has three.
    auto tally = co_await call(router, "GET", "/tally");
    EXPECT_GE(done, 90) << tally.body();
    EXPECT_NE(tally.body().find(R"("asked":100)"), std::string::npos) << tally.body();
    auto tree = co_await call(router, "GET", "/tree");
    EXPECT_NE(tree.body().find("this worker has dropped the job"), std::string::npos);
}

TEST(Workshop, DoesNearlyAllJobsAlthoughItsWorkersFail) {
    in_simulated_time(surviving);
}

troupe::Task<void> looking(const http::Router* router) {
    auto page = co_await call(router, "GET", "/");
    EXPECT_EQ(page.type(), "text/html; charset=utf-8");
    EXPECT_EQ(page.body().find("http://"), std::string::npos) << "nothing from elsewhere";
    EXPECT_EQ(page.body().find("https://"), std::string::npos) << "nothing from elsewhere";
}

TEST(Workshop, ServesAPageOfItsOwn) {
    on_both_engines(looking);
}

}  // namespace
