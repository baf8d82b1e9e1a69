// The service without a server: its routes are called as functions, on both engines.

#include <troupe/actor/system.hpp>
#include <troupe/base/log.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>

#include "offers.hpp"
#include "routes.hpp"
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
    const auto kitchen = system->block_on(open_kitchen(*system));
    ASSERT_TRUE(kitchen) << kitchen.error().text();
    const http::Router router = routes(*system, *kitchen);
    system->block_on(test(&router));
    system->block_on(close_kitchen(*kitchen));
    system.stop();
}

/// Replicas that fail on purpose would fill the page.
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
    for (std::uint64_t seed = 1; seed <= 30 && !testing::Test::HasFailure(); ++seed) {
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

bool says(const http::Response& response, std::string_view text) {
    return response.body().find(text) != std::string::npos;
}

/// Whatever the machine's pace: nobody is slow, and there is time enough.
troupe::Task<void> offering(const http::Router* router) {
    for (const std::string_view backend : kBackends) {
        const auto quick = co_await call(router, "POST", "/backends/" + std::string(backend),
                                         "usual=0&slow_in_a_hundred=0");
        EXPECT_EQ(quick.status(), 200);
    }
    const auto offer = co_await call(router, "GET", "/offers/tea", "deadline=5000&hedge=5000");
    EXPECT_EQ(offer.status(), 200);
    EXPECT_TRUE(says(offer, R"("item":"tea","degraded":false)")) << offer.body();
    EXPECT_TRUE(says(offer, R"("reviews":{"text":"reviews of tea","by":"0.)")) << offer.body();
    EXPECT_TRUE(says(offer, R"("missing":{})")) << offer.body();
    const auto failing =
        co_await call(router, "GET", "/offers/tea", "deadline=5000&hedge=5000&fail=stock");
    EXPECT_EQ(failing.status(), 200);
    EXPECT_TRUE(says(failing, R"("degraded":true)")) << failing.body();
    EXPECT_TRUE(says(failing, R"("missing":{"stock":{"why":")")) << failing.body();
    EXPECT_TRUE(says(failing, "stock is out of order")) << failing.body();
    const auto tally = co_await call(router, "GET", "/tally");
    EXPECT_EQ(tally.body(), "{\"asked\":2,\"whole\":1,\"degraded\":1,\"empty\":0}\n");
}

TEST(Pipeline, AnswersWithAllPartsAndWithoutThoseThatFail) {
    on_both_engines(offering);
}

troupe::Task<void> degrading(const http::Router* router) {
    const auto begun = co_await call(router, "POST", "/backends/reviews", "slow_in_a_hundred=100");
    EXPECT_EQ(begun.status(), 200);
    const auto slow = co_await call(router, "GET", "/offers/tea", "hedge=50&deadline=199");
    EXPECT_EQ(slow.status(), 200);
    EXPECT_TRUE(says(slow, R"("degraded":true,"took_ms":199)")) << slow.body();
    EXPECT_TRUE(says(slow, R"("reviews":{"why":"no answer within the deadline","took_ms":199})"))
        << slow.body();
    // Losers and those who were too late have been cancelled: nobody is still busy for them.
    const auto backends = co_await call(router, "GET", "/backends");
    EXPECT_TRUE(says(backends, "pool \"reviews\": 2 of 2 to 16 workers, 2 healthy"))
        << backends.body();
    const auto patient = co_await call(router, "GET", "/offers/tea", "deadline=1000");
    EXPECT_TRUE(says(patient, R"("degraded":false,"took_ms":4)")) << patient.body();
    const auto none = co_await call(router, "GET", "/offers/tea", "deadline=5");
    EXPECT_EQ(none.status(), 503);
    EXPECT_TRUE(says(none, R"("parts":{})")) << none.body();
}

TEST(Pipeline, NeverTakesLongerThanTheDeadlineAndNamesWhatIsMissing) {
    in_simulated_time(degrading);
}

troupe::Task<void> hedging(const http::Router* router) {
    const auto all_slow = [](const http::Router* of, std::string hedge) -> troupe::Task<int> {
        int degraded = 0;
        for (int i = 0; i < 100; ++i) {
            const auto offer = co_await call(of, "GET", "/offers/tea", "hedge=" + hedge);
            if (says(offer, R"("degraded":true)")) ++degraded;
        }
        co_return degraded;
    };
    const int without = co_await all_slow(router, "5000");
    const int with = co_await all_slow(router, "30");
    // Four parts, each slow in five of a hundred: 19 of a hundred offers, or with a rival one.
    EXPECT_GE(without, 5);
    EXPECT_LE(with, 6);
    EXPECT_LT(with, without);
}

TEST(Pipeline, HidesSlowAnswersByAskingARival) {
    in_simulated_time(hedging);
}

troupe::Task<void> crashing(const http::Router* router) {
    for (int i = 0; i < 2; ++i) {
        const auto crashed = co_await call(router, "POST", "/backends/price/crash");
        EXPECT_EQ(crashed.status(), 200);
        troupe::ignore(co_await troupe::sleep(1ms), "nobody cancels a test");
    }
    const auto away = co_await call(router, "GET", "/ready");
    EXPECT_EQ(away.status(), 503);
    EXPECT_EQ(away.body(), "price/workers: 0 healthy of at least 2\n");
    const auto degraded = co_await call(router, "GET", "/offers/tea", "deadline=100");
    EXPECT_TRUE(says(degraded, R"("missing":{"price":{"why":"no answer within)"))
        << degraded.body();
    troupe::ignore(co_await troupe::sleep(1s), "nobody cancels a test");
    const auto back = co_await call(router, "GET", "/ready");
    EXPECT_EQ(back.body(), "ready\n");
    const auto backends = co_await call(router, "GET", "/backends");
    EXPECT_TRUE(says(backends, "2 restarts")) << backends.body();
    const auto whole = co_await call(router, "GET", "/offers/tea", "deadline=1000");
    EXPECT_TRUE(says(whole, R"("degraded":false)")) << whole.body();
}

TEST(Pipeline, DoesWithoutABackendWhoseReplicasHaveCrashedUntilTheyAreBack) {
    in_simulated_time(crashing);
}

troupe::Task<void> crowding(const http::Router* router) {
    auto clients = troupe::task_group(troupe::all_settled());
    for (int client = 0; client < 40; ++client) {
        clients.add(
            [](const http::Router* of) -> troupe::Task<void> {
                for (int i = 0; i < 50; ++i)
                    troupe::ignore(co_await call(of, "GET", "/offers/tea"), "many ask much");
            },
            router);
    }
    troupe::ignore(co_await clients.run(), "it is the pools that are looked at");
    const auto busy = co_await call(router, "GET", "/backends");
    EXPECT_FALSE(says(busy, "\"price\": 2 of")) << "the pool has grown: " << busy.body();
    troupe::ignore(co_await troupe::sleep(60s), "nobody cancels a test");
    // The next call wakes a pool that rests; those that are larger than they need do not rest.
    const auto quiet = co_await call(router, "GET", "/backends");
    EXPECT_TRUE(says(quiet, "\"price\": 2 of")) << "and shrunk again: " << quiet.body();
}

TEST(Pipeline, HasMoreReplicasWhileManyAskAndFewerAfterwards) {
    in_simulated_time(crowding);
}

troupe::Task<void> refusing(const http::Router* router) {
    for (const char* query : {"deadline=x", "deadline=-1", "deadline=5001", "hedge=1.5",
                              "hedge=", "slow=kitchen", "fail=", "deadline=99999999999999999999"}) {
        const auto refused = co_await call(router, "GET", "/offers/tea", query);
        EXPECT_EQ(refused.status(), 400) << query;
    }
    const auto item = co_await call(router, "GET", "/offers/" + std::string(65, 'a'));
    EXPECT_EQ(item.status(), 400);
    for (const char* path : {"/backends/kitchen", "/backends/kitchen/crash"}) {
        const auto nobody = co_await call(router, "POST", path);
        EXPECT_EQ(nobody.status(), 404) << path;
    }
    const auto number = co_await call(router, "POST", "/backends/price", "slow_in_a_hundred=101");
    EXPECT_EQ(number.status(), 400);
    EXPECT_TRUE(says(number, "slow_in_a_hundred must be a whole number from 0 to 100."));
}

TEST(Pipeline, RefusesWhatIsNoNumberAndNoBackend) {
    on_both_engines(refusing);
}

troupe::Task<void> looking(const http::Router* router) {
    const auto page = co_await call(router, "GET", "/");
    EXPECT_EQ(page.type(), "text/plain; charset=utf-8");
    EXPECT_TRUE(says(page, "$ curl localhost:8080/offers/tea\n"));
}

TEST(Pipeline, ExplainsItselfInPlainText) {
    on_both_engines(looking);
}

}  // namespace
