// HTTP/2 seen from outside: an honest client of another maker, on both engines. What clients do
// that are not honest is in http2_hostile_test.cpp.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_h2_client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::h2_request;
using http_internal::H2Client;
using http_internal::H2Fields;
using http_internal::H2Reply;
using http_internal::serve_on_transport;
using http_internal::stop;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

/// Counts what it is asked, as an actor.
class Counter : public Actor {
public:
    Response count(Request request) { return ok(request.path + " " + std::to_string(++count_)); }

private:
    int count_ = 0;
};

Task<Response> collect_slowly(Request request, BodyReader body) {
    std::string all;
    for (;;) {
        Result<std::string_view> piece = co_await body.next();
        if (!piece) co_return from(piece.error());
        if (piece->empty()) break;
        all += *piece;
        ignore(co_await sleep(1ms), "nobody cancels it");
    }
    Response response = ok(request.method + " " + std::to_string(all.size()));
    response.header("X-Length", body.length() ? std::to_string(*body.length()) : "unknown");
    for (std::size_t i = 0; i < body.trailers().size(); ++i)
        response.header("X-Trailer", body.trailers().at(i).name);
    co_return response;
}

Router routes(Ref<Counter> counter) {
    Router router;
    router.get("/hello", [](const Request&) { return ok("hello"); });
    router.get("/facts", [](const Request& request) {
        std::string facts = std::string(request.protocol());
        for (const std::string_view one :
             {request.header("Host").value_or("?"), request.target(),
              std::string_view(request.path), std::string_view(request.query),
              request.header("Cookie").value_or("no cookie")})
            facts.append(" ").append(one);
        return ok(std::move(facts));
    });
    router.post("/echo", [](Request request) { return ok(std::move(request.body)); });
    router.get("/slow/:ms", [](Request request) -> Task<Response> {
        int milliseconds = std::stoi(std::string(request.parameter("ms")));
        auto slept = co_await sleep(std::chrono::milliseconds(milliseconds));
        co_return ok(slept ? request.path : "disturbed");
    });
    router.get("/large", [](const Request&) { return ok(std::string(1'000'000, 'x')); });
    router.get("/nothing", [](const Request&) { return Response(204); });
    router.post("/slowly", collect_slowly);
    router.post("/unread", [](Request, BodyReader) -> Task<Response> { co_return ok("no"); });
    router.get("/stream", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            for (int i = 0; i < 100; ++i) {
                co_await or_return(
                    co_await out.write(std::string(1000, static_cast<char>('a' + i % 26))));
                if (i % 10 == 0) ignore(co_await sleep(1ms), "nobody cancels it");
            }
            out.trailer("X-Sum", "100000");
            co_return Result<void>();
        });
    });
    router.get("/short", [](const Request&) {
        return stream("text/plain",
                      [](BodyWriter out) -> Task<Result<void>> {
                          co_return co_await out.write("abc");
                      })
            .length(5);
    });
    router.get("/breaks", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            ignore(co_await out.write("abc"), "it breaks either way");
            ignore(co_await sleep(5ms), "the same");
            throw std::runtime_error("a planted crash");
        });
    });
    router.get("/crash/plain",
               [](const Request&) -> Response { throw std::runtime_error("a planted crash"); });
    router.get("/crash/later", [](Request) -> Task<Response> {
        ignore(co_await sleep(1ms), "it crashes either way");
        throw std::runtime_error("a planted crash");
    });
    router.route<&Counter::count>("GET", "/count", counter);
    return router;
}

Task<Server> start(System system, ServerOptions options = ServerOptions()) {
    Router router = routes(system.spawn<Counter>());
    return serve_on_transport(system, std::move(router), std::move(options));
}

// ---- what is answered ---------------------------------------------------------------------------

Task<void> simple_requests(System system) {
    Server server = co_await start(system);
    H2Client client = co_await H2Client::connect(system, server.port());
    const H2Reply hello = co_await client.ask("/hello");
    EXPECT_EQ(hello.status, 200);
    EXPECT_EQ(hello.body, "hello");
    EXPECT_EQ(hello.field("content-length"), "5");
    EXPECT_EQ(hello.field("content-type"), "text/plain; charset=utf-8");
    EXPECT_EQ(hello.field("date").size(), 29U);
    EXPECT_EQ(hello.code, 0U);
    EXPECT_EQ((co_await client.ask("/none")).status, 404);
    const H2Reply wrong = co_await client.ask("/echo");
    EXPECT_EQ(wrong.status, 405);
    EXPECT_EQ(wrong.field("allow"), "OPTIONS, POST");
    EXPECT_EQ((co_await client.ask("/slow/3")).body, "/slow/3");
    EXPECT_EQ((co_await client.ask("/count")).body, "/count 1");
    EXPECT_EQ((co_await client.ask("/count")).body, "/count 2");
    const std::int32_t echo = client.post("/echo", "abc");
    EXPECT_EQ((co_await client.finish(echo)).body, "abc");
    const H2Reply nothing = co_await client.ask("/nothing");
    EXPECT_EQ(nothing.status, 204);
    EXPECT_EQ(nothing.field("content-length"), "");
    const std::int32_t head = client.begin(h2_request("HEAD", "/hello"));
    const H2Reply only_head = co_await client.finish(head);
    EXPECT_EQ(only_head.status, 200);
    EXPECT_EQ(only_head.field("content-length"), "5");
    EXPECT_EQ(only_head.body, "");
    EXPECT_FALSE(client.told_to_go());
    co_await stop(server);
    EXPECT_TRUE(co_await client.ended());
    EXPECT_EQ(client.goaway_code(), 0U);
}

TEST(Http2Server, AnswersHandlersOfEveryKind) {
    on_both_engines(100, simple_requests);
}

Task<void> request_facts(System system) {
    Server server = co_await start(system);
    H2Client client = co_await H2Client::connect(system, server.port());
    H2Fields fields = h2_request("GET", "/fa%63ts?a=b");
    fields.emplace_back("cookie", "a=1");
    fields.emplace_back("cookie", "b=2");
    const H2Reply facts = co_await client.finish(client.begin(fields));
    EXPECT_EQ(facts.body, "HTTP/2 test /fa%63ts?a=b /facts a=b a=1; b=2");
    co_await stop(server);
}

TEST(Http2Server, GivesHandlersTheSameRequestAsHttp1) {
    on_both_engines(20, request_facts);
}

Task<void> at_the_same_time(System system) {
    Server server = co_await start(system);
    H2Client client = co_await H2Client::connect(system, server.port());
    std::vector<std::int32_t> slow;
    for (int i = 20; i > 0; --i)
        slow.push_back(client.get("/slow/" + std::to_string(100 * i)));
    const Duration before = system.now();
    const H2Reply quick = co_await client.ask("/hello");
    EXPECT_EQ(quick.body, "hello");
    for (const std::int32_t id : slow)
        EXPECT_FALSE(client.reply(id).closed) << "the quick one came first";
    for (const std::int32_t id : slow)
        EXPECT_EQ((co_await client.finish(id)).status, 200);
    if (system.engine().deterministic()) {
        EXPECT_LT(system.now() - before, 4s) << "one after the other they take 21 s";
    }
    co_await stop(server);
}

TEST(Http2Server, HandlesTheRequestsOfAConnectionAtTheSameTime) {
    in_virtual_time(30, at_the_same_time);
}

Task<void> crashes(System system) {
    Server server = co_await start(system);
    H2Client client = co_await H2Client::connect(system, server.port());
    const std::int32_t bystander = client.get("/slow/20");
    const H2Reply plain = co_await client.ask("/crash/plain");
    EXPECT_EQ(plain.status, 500);
    const H2Reply later = co_await client.ask("/crash/later");
    EXPECT_EQ(later.status, 500);
    EXPECT_EQ(later.code, 0U);
    const H2Reply breaks = co_await client.ask("/breaks");
    EXPECT_EQ(breaks.status, 200);
    EXPECT_EQ(breaks.code, static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR))
        << "the head had left";
    const H2Reply shorter = co_await client.ask("/short");
    EXPECT_EQ(shorter.code, static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR));
    EXPECT_EQ((co_await client.finish(bystander)).body, "/slow/20");
    EXPECT_EQ((co_await client.ask("/hello")).body, "hello");
    EXPECT_FALSE(client.told_to_go());
    co_await stop(server);
}

TEST(Http2Server, ACrashEndsItsStreamAndNoOther) {
    on_both_engines(50, crashes);
}

// ---- bodies -------------------------------------------------------------------------------------

Task<void> streamed_bodies(System system) {
    Server server = co_await start(system);
    H2Client client = co_await H2Client::connect(system, server.port());
    const H2Reply streamed = co_await client.ask("/stream");
    EXPECT_EQ(streamed.status, 200);
    EXPECT_EQ(streamed.body.size(), 100'000U);
    EXPECT_EQ(streamed.field("content-length"), "");
    EXPECT_EQ(streamed.trailers, (H2Fields{{"x-sum", "100000"}}));
    EXPECT_EQ((co_await client.ask("/large")).body.size(), 1'000'000U);

    const std::int32_t known = client.post("/slowly", std::string(200'000, 'b'));
    EXPECT_EQ((co_await client.finish(known)).body, "POST 200000");
    H2Fields fields = h2_request("POST", "/slowly");
    fields.emplace_back("content-length", "6");
    const std::int32_t in_parts = client.begin(fields, "abc", false);
    EXPECT_TRUE(co_await client.send());
    client.go_on(in_parts, "def", true);
    const H2Reply parts = co_await client.finish(in_parts);
    EXPECT_EQ(parts.body, "POST 6");
    EXPECT_EQ(parts.field("x-length"), "6");
    const std::int32_t with_trailers = client.begin(h2_request("POST", "/slowly"), "ab", false);
    client.go_on(with_trailers, "c", true, {{"x-sum", "3"}});
    const H2Reply trailed = co_await client.finish(with_trailers);
    EXPECT_EQ(trailed.body, "POST 3");
    EXPECT_EQ(trailed.field("x-length"), "unknown");
    EXPECT_EQ(trailed.field("x-trailer"), "x-sum");
    co_await stop(server);
}

TEST(Http2Server, StreamsBodiesBothWays) {
    on_both_engines(30, streamed_bodies);
}

Task<void> expectations(System system) {
    Server server = co_await start(system);
    H2Client client = co_await H2Client::connect(system, server.port());
    for (const std::string path : {"/echo", "/slowly"}) {
        H2Fields fields = h2_request("POST", path);
        fields.emplace_back("expect", "100-continue");
        const std::int32_t id = client.begin(fields, "", false);
        while (client.reply(id).informed == 0) {
            const bool moved = co_await client.step();
            if (!moved) break;
        }
        EXPECT_EQ(client.reply(id).informed, 100);
        client.go_on(id, "abc", true);
        EXPECT_EQ((co_await client.finish(id)).status, 200);
    }
    H2Fields fields = h2_request("POST", "/unread");
    fields.emplace_back("expect", "100-continue");
    const std::int32_t unread = client.begin(fields, "", false);
    const H2Reply reply = co_await client.finish(unread);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.informed, 0) << "the body was not wanted";
    EXPECT_EQ(reply.code, 0U) << "that nothing more is wanted is no error";
    co_await stop(server);
}

TEST(Http2Server, SaysContinueWhenTheBodyIsWanted) {
    on_both_engines(30, expectations);
}

// ---- the two protocols at one port --------------------------------------------------------------

Task<void> in_progress(System system) {
    Server server = co_await start(
        system, ServerOptions().overload(OverloadOptions().requests_in_progress_max(1)));
    H2Client client = co_await H2Client::connect(system, server.port());
    const std::int32_t slow = client.get("/slow/1000");
    while (server.load().in_progress == 0 && !client.reply(slow).closed) {
        const bool moved = co_await client.step(1ms);
        if (!moved) break;
    }
    EXPECT_EQ(server.load().in_progress, 1U);
    EXPECT_EQ((co_await client.ask("/hello")).status, 503);
    EXPECT_EQ((co_await client.finish(slow)).status, 200);
    EXPECT_EQ(server.load().in_progress, 0U);
    EXPECT_EQ((co_await client.ask("/hello")).status, 200);
    co_await stop(server);
}

TEST(Http2Server, CountsRequestsInTheHandsOfHandlersAsInProgress) {
    in_virtual_time(20, in_progress);
}

Task<void> both_protocols(System system) {
    Server server = co_await start(system);
    H2Client two = co_await H2Client::connect(system, server.port());
    http_internal::Client one = co_await http_internal::Client::connect(system, server.port());
    EXPECT_EQ((co_await two.ask("/hello")).body, "hello");
    EXPECT_EQ((co_await one.ask(http_internal::get("/hello"))).body, "hello");
    EXPECT_TRUE(co_await one.send(std::string(http_internal::kH2Preface)));
    EXPECT_EQ((co_await one.receive()).status, 505) << "not behind a request";
    EXPECT_EQ((co_await two.ask("/hello")).body, "hello");
    const LoadStats load = server.load();
    EXPECT_EQ(load.http1_requests, 1U);
    EXPECT_EQ(load.http2_requests, 2U);
    EXPECT_EQ(load.http2_connections, 1U);
    EXPECT_EQ(load.malformed, 1U);
    const std::int32_t slow = two.get("/slow/5");
    ignore(co_await two.send(), "what it says is looked at");
    while (server.load().http2_streams != 1)
        ignore(co_await sleep(1ms), "nobody cancels it");
    EXPECT_EQ((co_await two.finish(slow)).status, 200);
    EXPECT_EQ(server.load().http2_streams, 0U);
    co_await stop(server);
}

TEST(Http2Server, SharesItsPortWithHttp1AndCountsBoth) {
    on_both_engines(30, both_protocols);
}

Task<void> switched_off(System system) {
    Server server = co_await start(system, ServerOptions().http2(Http2Options().enabled(false)));
    http_internal::Client raw = co_await http_internal::Client::connect(system, server.port());
    EXPECT_TRUE(co_await raw.send(std::string(http_internal::kH2Preface)));
    EXPECT_EQ((co_await raw.receive()).status, 505);
    co_await stop(server);
}

TEST(Http2Server, CanBeSwitchedOff) {
    on_both_engines(10, switched_off);
}

}  // namespace
}  // namespace troupe::http
