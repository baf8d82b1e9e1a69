// Handlers that ask actors, called through a router without a server.

#include <troupe/actor/actor.hpp>
#include <troupe/http/router.hpp>
#include <troupe/net/internal/test_runs.hpp>

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

namespace troupe::http {
namespace {

class Counter : public Actor {
public:
    int add(int n) { return value_ += n; }
    void crash() { throw std::runtime_error("asked to crash"); }

private:
    int value_ = 0;
};

class Counters : public Actor {
public:
    Ref<Counter> find(std::string name) {
        auto [at, fresh] = known_.try_emplace(name);
        if (fresh) {
            at->second = spawn<Counter>();
            monitor<&Counters::gone>(at->second, name);
        }
        return at->second;
    }

    Response list(Request) {
        std::string out;
        for (auto& [name, ref] : known_)
            out += name + " ";
        return ok(out);
    }

    Result<Response> refuse(const Request& request) {
        return error(Errc::not_found, "no " + std::string(request.parameter("name")));
    }

    Task<Response> slowly(Request request) {
        ignore(co_await sleep(std::chrono::milliseconds(1)), "a test that nobody cancels");
        co_return ok("slowly " + request.body);
    }

private:
    void gone(Down, std::string name) { known_.erase(name); }

    std::map<std::string, Ref<Counter>> known_;
};

Router counter_routes(Ref<Counters> counters) {
    Router router;
    router.get<&Counters::list>("/list", counters);
    router.get<&Counters::refuse>("/refuse/:name", counters);
    router.put<&Counters::slowly>("/slowly", counters);
    router.post("/add/:name", [counters](Request request) -> Task<Response> {
        auto counter = co_await counters.ask<&Counters::find>(request.parameter("name"));
        if (!counter) co_return from(counter.error());
        auto value = co_await counter->ask<&Counter::add>(5);
        if (!value) co_return from(value.error());
        co_return ok(std::to_string(*value));
    });
    router.post("/crash/:name", [counters](Request request) -> Task<Response> {
        auto counter = co_await counters.ask<&Counters::find>(request.parameter("name"));
        if (!counter) co_return from(counter.error());
        auto crashed = co_await counter->ask<&Counter::crash>();
        co_return crashed ? ok("?") : from(crashed.error());
    });
    return router;
}

Task<void> use_counters(System system) {
    auto counters = system.spawn<Counters>();
    Router router = counter_routes(counters);

    Request add;
    add.method = "POST";
    add.path = "/add/ann";
    Request crash = add;
    crash.path = "/crash/ann";
    Request list;
    list.path = "/list";
    Request refuse;
    refuse.path = "/refuse/bob";
    Request slowly;
    slowly.method = "PUT";
    slowly.path = "/slowly";
    slowly.body = "but surely";

    EXPECT_EQ((co_await router.handle(add)).body(), "5");
    EXPECT_EQ((co_await router.handle(add)).body(), "10");
    EXPECT_EQ((co_await router.handle(list)).body(), "ann ");
    EXPECT_EQ((co_await router.handle(slowly)).body(), "slowly but surely");
    EXPECT_EQ((co_await router.handle(refuse)).status(), 404);
    EXPECT_EQ((co_await router.handle(crash)).status(), 500);

    // The news of the end is on its way; until it arrives the old counter is found.
    Response again = co_await router.handle(add);
    while (again.status() == 503) {
        ignore(co_await sleep(std::chrono::microseconds(100)), "a test that nobody cancels");
        again = co_await router.handle(add);
    }
    EXPECT_EQ(again.body(), "5");

    Ref<Counters>(counters).stop();
    Response gone = co_await router.handle(list);
    while (gone.status() == 200)
        gone = co_await router.handle(list);
    EXPECT_EQ(gone.status(), 503);
}

TEST(Handler, AsksActorsOnBothEngines) {
    net_internal::on_both_engines(100,
                                  [](System& system) { system.block_on(use_counters(system)); });
}

}  // namespace
}  // namespace troupe::http
