#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>
#include <troupe/http/client.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/trace_lines.hpp>
#include <troupe/http/server.hpp>
#include <troupe/http/trace_context.hpp>
#include <troupe/net/internal/test_runs.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using net_internal::on_both_engines;

const std::string kId = "0af7651916cd43dd8448eb211c80319c";
const std::string kParent = "00-" + kId + "-b7ad6b7169203331-01";

TEST(TraceParent, RefusesWhatIsMalformedInAnyWay) {
    for (const std::string& text : std::vector<std::string>{
             std::string(),
             kParent.substr(1),
             kParent + "-",
             kParent + " ",
             kParent.substr(0, 54),
             "ff" + kParent.substr(2),
             "0g" + kParent.substr(2),
             "00-" + std::string(32, '0') + "-b7ad6b7169203331-01",
             "00-" + kId + "-0000000000000000-01",
             "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
             "00_" + kId + "-b7ad6b7169203331-01",
             "00-" + kId + "-b7ad6b7169203331_01",
             "00-" + kId + "-b7ad6b7169203331-0x",
             "01-" + kId + "-b7ad6b7169203331-01x",
         })
        EXPECT_FALSE(parse_traceparent(text).has_value()) << text;
}

TEST(TraceParent, IsReadAndWritten) {
    const auto trace = parse_traceparent(kParent);
    ASSERT_TRUE(trace.has_value());
    EXPECT_EQ(trace->id_high, 0x0af7651916cd43ddU);
    EXPECT_EQ(trace->id_low, 0x8448eb211c80319cU);
    EXPECT_EQ(trace->span, 0xb7ad6b7169203331U);
    EXPECT_TRUE(trace->sampled);
    EXPECT_EQ(to_traceparent(*trace), kParent);
    EXPECT_EQ(trace_id_text(*trace), kId);
    EXPECT_FALSE(parse_traceparent(kParent.substr(0, 54) + "2")->sampled);
    EXPECT_TRUE(parse_traceparent("cc" + kParent.substr(2) + "-more").has_value())
        << "a later version";
}

TEST(TraceState, IsCarriedAsFarAsItIsWellFormed) {
    Headers lines;
    EXPECT_EQ(http_internal::join_tracestate(lines), "");
    lines.add("Tracestate", "a=1 , ,b@v=2");
    lines.add("tracestate", "c/d=x y");
    EXPECT_EQ(http_internal::join_tracestate(lines), "a=1,b@v=2,c/d=x y");
    std::string many;
    for (int i = 0; i < 32; ++i)
        many += "k" + std::to_string(i) + "=" + std::string(40, 'x') + ",";
    lines.clear();
    lines.add("tracestate", many);
    const std::string kept = http_internal::join_tracestate(lines);
    EXPECT_LE(kept.size(), 512U);
    EXPECT_TRUE(kept.starts_with("k0=")) << "the newest are first";
    EXPECT_TRUE(kept.ends_with("x"));
    lines.add("tracestate", "onemore=1");
    EXPECT_EQ(http_internal::join_tracestate(lines), "") << "33 of them";
    for (const std::string rubbish :
         {"a", "a=", "=1", "A=1", "a=1=2", "a=\x7f", "a=\xc3\xa4", "a b=1"}) {
        lines.clear();
        lines.add("tracestate", rubbish);
        EXPECT_EQ(http_internal::join_tracestate(lines), "") << rubbish;
    }
}

/// Says which trace it is part of.
class Helper final : public Actor {
public:
    std::string trace() const { return to_traceparent(current_trace()); }
};

Router traced(TraceOptions options, Ref<Helper> helper, Client client) {
    Router router;
    router.use(trace_context(options));
    router.get("/plain", [](const Request&) { return ok(to_traceparent(current_trace())); });
    router.get("/helper", [helper](Request) -> Task<Response> {
        const auto trace = co_await helper.ask<&Helper::trace>();
        co_return ok(trace.value_or("none"));
    });
    router.get("/lines", [](const Request& request) {
        return ok(std::string(request.header("traceparent").value_or("none")) + " " +
                  std::string(request.header("tracestate").value_or("none")));
    });
    router.get("/on/:port", [client](Request request) -> Task<Response> {
        const auto answer = co_await client.get(
            "http://127.0.0.1:" + std::string(request.parameter("port")) + "/lines");
        co_return ok(answer ? answer->body : answer.error().message());
    });
    router.get("/body", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            co_return co_await out.write(to_traceparent(current_trace()));
        });
    });
    return router;
}

std::string get_with(const std::string& path, const std::string& lines) {
    return "GET " + path + " HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
}

Task<void> carried(System system) {
    const Client client(system);
    const auto helper = system.spawn<Helper>();
    auto server = co_await serve(system, traced(TraceOptions().tells_clients(), helper, client));
    EXPECT_TRUE(server.has_value());
    auto raw = co_await http_internal::Client::connect(system, server->port());
    const std::string lines = "traceparent: " + kParent + "\r\ntracestate: v=1\r\n";
    for (const std::string path : {"/plain", "/helper", "/body"}) {
        const auto reply = co_await raw.ask(get_with(path, lines));
        EXPECT_EQ(reply.body.substr(0, 36), kParent.substr(0, 36)) << path;
        EXPECT_NE(reply.body, kParent) << "the caller's span is not ours";
        EXPECT_EQ(reply.body.back(), '1') << "sampled";
        EXPECT_NE(reply.head.find("\r\ntraceresponse: " + reply.body + "\r\n"), std::string::npos);
    }
    const std::string port = std::to_string(server->port());
    const auto on = co_await raw.ask(get_with("/on/" + port, lines));
    EXPECT_EQ(on.body.substr(0, 36), kParent.substr(0, 36));
    EXPECT_TRUE(on.body.ends_with("-01 v=1")) << on.body;
    ignore(co_await client.stop(), "it is idle");
    raw.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
    helper.stop();
}

TEST(TraceContext, GoesWithAllThatIsDoneForARequest) {
    on_both_engines(20, carried);
}

Task<void> begun(System system) {
    const Client client(system, ClientOptions().sends_trace(false));
    const auto helper = system.spawn<Helper>();
    auto server =
        co_await serve(system, traced(TraceOptions().sampled_per_thousand(0), helper, client));
    EXPECT_TRUE(server.has_value());
    auto raw = co_await http_internal::Client::connect(system, server->port());
    std::string last;
    const std::string line = "traceparent: " + kParent + "\r\n";
    for (const std::string& lines :
         {std::string(), std::string("traceparent: rubbish\r\ntracestate: v=1\r\n"), line + line}) {
        const auto reply = co_await raw.ask(get_with("/helper", lines));
        const auto trace = parse_traceparent(reply.body);
        EXPECT_TRUE(trace.has_value()) << reply.body;
        EXPECT_FALSE(trace && trace->sampled);
        EXPECT_EQ(reply.body.find(kId), std::string::npos);
        EXPECT_NE(reply.body, last);
        last = reply.body;
    }
    const auto on = co_await raw.ask(get_with("/on/" + std::to_string(server->port()), ""));
    EXPECT_EQ(on.body, "none none") << "this client carries nothing on";
    ignore(co_await client.stop(), "it is idle");
    raw.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
    auto strict = co_await serve(system, traced(TraceOptions().begins_anew(), helper, client));
    raw = co_await http_internal::Client::connect(system, strict->port());
    const auto reply = co_await raw.ask(get_with("/plain", "traceparent: " + kParent + "\r\n"));
    EXPECT_TRUE(parse_traceparent(reply.body).has_value());
    EXPECT_EQ(reply.body.find(kId), std::string::npos);
    raw.close();
    EXPECT_TRUE((co_await strict->stop(1s)).has_value());
    helper.stop();
}

TEST(TraceContext, BeginsWhereThereIsNoneOrItIsMalformed) {
    on_both_engines(20, begun);
}

}  // namespace
}  // namespace troupe::http
