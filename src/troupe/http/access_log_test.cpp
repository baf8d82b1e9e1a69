#include <troupe/base/mutex.hpp>
#include <troupe/http/access_log.hpp>
#include <troupe/http/internal/line_file.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_folder.hpp>
#include <troupe/http/internal/test_h2_client.hpp>
#include <troupe/http/server.hpp>
#include <troupe/http/trace_context.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::get;
using http_internal::h2_block;
using http_internal::h2_frame;
using http_internal::h2_request;
using http_internal::H2Fields;
using http_internal::H2Raw;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;
using Raw = http_internal::Client;

/// Where lines end up.
class Lines {
public:
    void add(std::string_view lines) {
        const LockGuard lock(mutex_);
        text_ += lines;
    }
    std::vector<std::string> all() const {
        const LockGuard lock(mutex_);
        std::istringstream in(text_);
        std::vector<std::string> lines;
        for (std::string line; std::getline(in, line);)
            lines.push_back(line);
        return lines;
    }

private:
    mutable Mutex mutex_{LockRank::test_inner};
    std::string text_ TROUPE_GUARDED_BY(mutex_);
};

AccessLogOptions to(const std::shared_ptr<Lines>& lines) {
    return AccessLogOptions().sink([lines](std::string_view text) { lines->add(text); });
}

Router routes(AccessLogOptions options) {
    Router router;
    router.use(trace_context());
    router.use(access_log(std::move(options)));
    router.get("/hello", [](const Request&) { return ok("hello"); });
    router.get("/healthy", [](const Request&) { return ok("yes"); });
    router.get("/crash", [](const Request&) -> Response { throw std::runtime_error("planted"); });
    router.get("/slow", [](Request) -> Task<Response> {
        ignore(co_await sleep(2s), "a test that nobody cancels");
        co_return ok("slow");
    });
    router.get("/stream", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            for (int i = 0; i < 3; ++i)
                co_await or_return(co_await out.write("12345"));
            co_return Result<void>();
        });
    });
    router.get("/broken", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            co_await or_return(co_await out.write("12345"));
            co_return error(Errc::failed, "planted");
        });
    });
    return router;
}

/// Waits for so many lines. Nobody says when they are written.
Task<std::vector<std::string>> wait_for(std::shared_ptr<Lines> lines, std::size_t count) {
    while (lines->all().size() < count)
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    co_return lines->all();
}

bool has(const std::string& line, const std::string& part) {
    return line.find(part) != std::string::npos;
}

Task<void> one_line_each(System system) {
    const auto lines = std::make_shared<Lines>();
    auto server =
        co_await serve(system, routes(to(lines)), ServerOptions().requests_per_second_max(1, 5));
    EXPECT_TRUE(server.has_value());
    Raw client = co_await Raw::connect(system, server->port());
    EXPECT_EQ((co_await client.ask(get("/hello?secret=1"))).status, 200);
    EXPECT_EQ((co_await client.ask(get("/stream"))).body.size(), 15U);
    EXPECT_EQ((co_await client.ask(get("/no%0Ane\" 200 \"x"))).status, 400)
        << "a blank is no part of a path";
    client = co_await Raw::connect(system, server->port());
    EXPECT_EQ((co_await client.ask(get("/no%0Ane%22%20200"))).status, 404);
    EXPECT_TRUE(co_await client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_EQ((co_await client.receive(true)).status, 200);
    ignore(co_await client.ask(get("/broken")), "it ends in the middle");
    client = co_await Raw::connect(system, server->port());
    EXPECT_EQ((co_await client.ask(get("/hello"))).status, 429);
    const auto all = co_await wait_for(lines, 7);
    EXPECT_EQ(all.size(), 7U);
    EXPECT_TRUE(has(all[0], "127.0.0.1 GET \"/hello\" 200 5 0.")) << all[0];
    EXPECT_TRUE(has(all[0], " HTTP/1.1 trace="));
    EXPECT_TRUE(has(all[1], "GET \"/stream\" 200 15 ")) << all[1];
    EXPECT_TRUE(has(all[2], " - \"GET /no%0Ane\\\" 200")) << all[2];
    EXPECT_TRUE(has(all[3], "GET \"/no\\nne\\\" 200\" 404 ")) << all[3];
    EXPECT_TRUE(has(all[4], "HEAD \"/hello\" 200 0 ")) << all[4];
    EXPECT_TRUE(has(all[5], "GET \"/broken\" 200 5 ") && all[5].ends_with("unfinished")) << all[5];
    EXPECT_TRUE(has(all[6], "GET \"/hello\" 429 0 ")) << all[6];
    client.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
}

TEST(AccessLog, HasOneLineForEachRequestWhateverItHolds) {
    on_both_engines(10, one_line_each);
}

/// Each on a connection of its own, and what its line holds.
struct Malformed {
    std::string sent;
    bool leaves = false;  // before it is answered
    std::string line;
};

std::vector<Malformed> malformed_requests() {
    const std::string none(2000, 'x');
    return {
        {"nonsense\r\n\r\n", false, "127.0.0.1 - \"nonsense\" 400 0 0."},
        {"\x16\x03\x01\x02", false, " - \"\\u0016"},
        {"GET /hello HTTP/1.1\nHost: a\r\n\r\n", false, " - \"GET /hello HTTP/1.1\" 400 0 "},
        {"GET /hello?a HTTP/2.1\r\n\r\n", false, " - \"GET /hello\" 505 0 "},
        {"GET /" + none + " HTTP/1.1\r\n\r\n", false, " - \"GET /xxxxx"},
        {"GET /hello?secret=1 HTTP/1.1\r\n\r\n", false, " GET \"/hello\" 400 0 "},
        {"GET /%zz HTTP/1.0\r\n\r\n", false, " GET \"/%zz\" 400 0 0."},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + none + "\r\n\r\n", false,
         " GET \"/hello\" 431 0 "},
        {"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n", false,
         " POST \"/hello\" 413 0 "},
        {"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz", false,
         " POST \"/hello\" 400 0 "},
        {"GET /hello HTTP/1.1\r\nHo", true, " GET \"/hello\" 400 0 "},
        {"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12345", true,
         " POST \"/hello\" 400 0 "},
    };
}

Task<void> malformed(System system) {
    const auto lines = std::make_shared<Lines>();
    auto server = co_await serve(
        system, routes(to(lines)),
        ServerOptions().target_bytes_max(500).head_bytes_max(1000).body_bytes_max(1000));
    EXPECT_TRUE(server.has_value());
    std::size_t count = 0;
    for (const Malformed& one : malformed_requests()) {
        Raw client = co_await Raw::connect(system, server->port());
        // One that is read behind a good one on its connection has nothing of that one.
        EXPECT_EQ((co_await client.ask(get("/healthy"))).status, 200);
        EXPECT_TRUE(co_await client.send(one.sent));
        if (!one.leaves) {
            EXPECT_GE((co_await client.receive()).status, 400);
        }
        client.close();
        count += 2;
        const auto all = co_await wait_for(lines, count);
        EXPECT_EQ(all.size(), count);
        EXPECT_TRUE(has(all.back(), one.line)) << all.back() << " for " << one.sent;
        EXPECT_FALSE(has(all.back(), "healthy") || has(all.back(), "secret")) << all.back();
        EXPECT_LT(all.back().size(), 250U);
    }
    EXPECT_EQ(server->load().malformed, count / 2);
    // Who says nothing has asked for nothing.
    Raw silent = co_await Raw::connect(system, server->port());
    silent.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
    EXPECT_EQ(lines->all().size(), count);
}

TEST(AccessLog, HasALineForWhatIsNoRequest) {
    on_both_engines(10, malformed);
}

Task<void> too_slow(System system) {
    const auto lines = std::make_shared<Lines>();
    auto server = co_await serve(system, routes(to(lines)), ServerOptions().request_timeout(1s));
    EXPECT_TRUE(server.has_value());
    Raw client = co_await Raw::connect(system, server->port());
    EXPECT_EQ((co_await client.ask("GET /hello HTTP/1.1\r\nHost:")).status, 408);
    const auto all = co_await wait_for(lines, 1);
    EXPECT_TRUE(has(all[0], " GET \"/hello\" 408 0 ")) << all[0];
    client.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
}

TEST(AccessLog, HasALineForARequestThatDoesNotComeInTime) {
    in_virtual_time(10, too_slow);
}

Task<void> garbage(System system) {
    const auto lines = std::make_shared<Lines>();
    auto server = co_await serve(system, routes(to(lines).one_in(10)));
    EXPECT_TRUE(server.has_value());
    for (int i = 0; i < 50; ++i) {
        Raw client = co_await Raw::connect(system, server->port());
        EXPECT_EQ((co_await client.ask("GET / HTTP/9.9\r\n\r\n")).status, 505);
        client.close();
    }
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
    co_await wait_for(lines, 5);
    EXPECT_EQ(lines->all().size(), 5U) << "what is no request is no failure of the server's";
}

TEST(AccessLog, CountsGarbageAmongWhatItLeavesOut) {
    on_both_engines(5, garbage);
}

/// The same in HTTP/2, where most of it is found by others than our parser.
Task<void> malformed_http2(System system) {
    constexpr unsigned kEnds = 5;  // END_STREAM and END_HEADERS
    const auto lines = std::make_shared<Lines>();
    auto server = co_await serve(system, routes(to(lines)),
                                 ServerOptions().head_bytes_max(1000).body_bytes_max(1000));
    EXPECT_TRUE(server.has_value());
    const std::vector<std::pair<H2Fields, std::string>> table = {
        {h2_request("GET", "/hello"), " GET \"/hello\" 200 5 "},
        {h2_request("GET", "/%zz?secret"), "127.0.0.1 GET \"/%zz\" 400 0 0."},
        {h2_request("GET", "hello"), " GET \"hello\" 400 0 "},
        {{{":method", "GET"}, {":scheme", "http"}, {":path", "/no"}, {"Upper", "x"}},
         " GET \"/no\" 400 0 "},
        {{{":method", "GET"},
          {":scheme", "http"},
          {":authority", "a"},
          {":path", "/huge"},
          {"x", std::string(2000, 'x')}},
         " GET \"/huge\" 431 0 "},
        {{{":method", "POST"},
          {":scheme", "http"},
          {":authority", "a"},
          {":path", "/hello"},
          {"content-length", "5000"}},
         " POST \"/hello\" 413 0 "},
    };
    H2Raw client = co_await H2Raw::connect(system, server->port());
    std::size_t count = 0;
    for (const auto& [fields, line] : table) {
        const std::uint32_t id = static_cast<std::uint32_t>(2 * count + 1);
        const bool whole = fields.front().second == "GET";
        EXPECT_TRUE(co_await client.send(h2_frame(1, whole ? kEnds : 4, id, h2_block(fields))));
        EXPECT_NE(co_await client.outcome(id), "end");
        const auto all = co_await wait_for(lines, ++count);
        EXPECT_EQ(all.size(), count);
        EXPECT_TRUE(has(all.back(), line)) << all.back() << " for " << line;
        EXPECT_TRUE(has(all.back(), " HTTP/2")) << all.back();
    }
    // One whose body is cut short by its stream's end, and one by its connection's.
    const auto begin = [&](std::uint32_t id) {
        return h2_frame(1, 4, id, h2_block(h2_request("POST", "/hello"))) +
               h2_frame(0, 0, id, "12345");
    };
    EXPECT_TRUE(co_await client.send(begin(21) + h2_frame(3, 0, 21, std::string(4, '\0'))));
    co_await wait_for(lines, ++count);
    EXPECT_TRUE(co_await client.send(begin(23)));
    while (server->load().http2_requests < 4)  // the first, the 413, and these two
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    client.close();
    co_await wait_for(lines, ++count);
    H2Raw other = co_await H2Raw::connect(system, server->port());
    Raw half = co_await Raw::connect(system, server->port());
    EXPECT_TRUE(co_await half.send("PRI * HTTP/2.0\r\n\r\nno"));
    const auto all = co_await wait_for(lines, ++count);
    EXPECT_TRUE(has(all[count - 3], " POST \"/hello\" 400 0 ")) << all[count - 3];
    EXPECT_TRUE(has(all[count - 2], " POST \"/hello\" 400 0 ")) << all[count - 2];
    EXPECT_TRUE(has(all[count - 1], " PRI \"*\" 400 0 ")) << all[count - 1];
    half.close();
    other.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
    EXPECT_EQ(server->load().malformed, count - 1);
    EXPECT_EQ(lines->all().size(), count);
}

TEST(AccessLog, HasALineForWhatIsNoRequestInHttp2) {
    on_both_engines(10, malformed_http2);
}

Task<void> as_json(System system) {
    const auto lines = std::make_shared<Lines>();
    auto server = co_await serve(system, routes(to(lines).json().with_query()));
    EXPECT_TRUE(server.has_value());
    Raw client = co_await Raw::connect(system, server->port());
    EXPECT_EQ((co_await client.ask(get("/hello?a=%22b"))).status, 200);
    EXPECT_EQ((co_await client.ask(get("/slow"))).status, 200);
    const auto all = co_await wait_for(lines, 2);
    EXPECT_TRUE(all[0].starts_with("{\"time\":\"20") && all[0].ends_with("\"}")) << all[0];
    EXPECT_TRUE(has(all[0],
                    ",\"client\":\"127.0.0.1\",\"method\":\"GET\",\"path\":\"/hello?a=%22b\","
                    "\"status\":200,\"bytes\":5,\"seconds\":"))
        << all[0];
    EXPECT_TRUE(has(all[1], ",\"seconds\":2.00") && has(all[1], ",\"slow\":true")) << all[1];
    client.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
}

TEST(AccessLog, WritesJsonAndMarksWhatWasSlow) {
    in_virtual_time(10, as_json);
}

Task<void> sampled(System system) {
    const auto lines = std::make_shared<Lines>();
    auto server = co_await serve(system, routes(to(lines).one_in(10).skip("/healthy")));
    EXPECT_TRUE(server.has_value());
    Raw client = co_await Raw::connect(system, server->port());
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ((co_await client.ask(get("/hello"))).status, 200);
        EXPECT_EQ((co_await client.ask(get("/healthy"))).status, 200);
    }
    EXPECT_EQ((co_await client.ask(get("/crash"))).status, 500);
    const auto all = co_await wait_for(lines, 11);
    EXPECT_EQ(all.size(), 11U);
    EXPECT_TRUE(has(all.back(), "GET \"/crash\" 500 ")) << "those that fail are never left out";
    client.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
}

TEST(AccessLog, LeavesOutWhatItWasTold) {
    on_both_engines(5, sampled);
}

TEST(LineFile, LosesWhatHasNoRoomAndWritesTheRestAtItsEnd) {
    const http_internal::TestFolder folder;
    const std::string path = folder.path() + "/lines.log";
    const auto engine = make_threaded_engine();
    engine->stop();  // nobody writes
    {
        const auto file = std::make_shared<http_internal::LineFile>(path, nullptr, 10);
        file->add(*engine, "12345\n");
        file->add(*engine, "12345\n");
        file->add(*engine, "123\n");
    }
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    EXPECT_EQ(text.str(), "12345\n123\n");
}

Task<void> moved_away(System system, std::string path) {
    auto server = co_await serve(system, routes(AccessLogOptions().file(path)));
    EXPECT_TRUE(server.has_value());
    Raw client = co_await Raw::connect(system, server->port());
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ((co_await client.ask(get("/hello"))).status, 200);
        while (!std::filesystem::exists(path) || std::filesystem::file_size(path) == 0)
            ignore(co_await sleep(1ms), "a test that nobody cancels");
        std::filesystem::rename(path, path + std::to_string(i));
    }
    client.close();
    EXPECT_TRUE((co_await server->stop(1s)).has_value());
}

TEST(AccessLog, GoesOnInANewFileWhenItsFileIsMovedAway) {
    const http_internal::TestFolder folder;
    const std::string path = folder.path() + "/access.log";
    on_both_engines(3, [&](System system) { return moved_away(system, path); });
}

}  // namespace
}  // namespace troupe::http
