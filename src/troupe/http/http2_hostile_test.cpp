// What HTTP/2 clients do that are broken, slow or mean, and what becomes of those beside them.

#include <troupe/base/mutex.hpp>
#include <troupe/http/internal/test_h2_client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/joiners.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::h2_block;
using http_internal::h2_frame;
using http_internal::h2_request;
using http_internal::H2Client;
using http_internal::H2Fields;
using http_internal::H2Raw;
using http_internal::H2Reply;
using http_internal::serve_on_transport;
using http_internal::stop;
using net_internal::in_virtual_time;

constexpr unsigned kEndStream = 1;
constexpr unsigned kEndHeaders = 4;

/// What the handlers have done. Threads: any.
class Seen {
public:
    std::atomic<std::size_t> written = 0;
    std::atomic<std::size_t> read = 0;
    std::atomic<int> started = 0;
    std::atomic<int> ended = 0;

    void note(const Error& why) {
        const LockGuard lock(mutex_);
        errors_ += name(static_cast<Errc>(why.value()));
    }
    /// The names of what has been noted since the last time.
    std::string take_errors() {
        const LockGuard lock(mutex_);
        return std::exchange(errors_, std::string());
    }

private:
    Mutex mutex_{LockRank::test_outer};
    std::string errors_ TROUPE_GUARDED_BY(mutex_);
};

Router routes(const std::shared_ptr<Seen>& seen) {
    Router router;
    router.get("/ok", [](const Request&) { return ok("ok"); });
    router.post("/ok", [](Request request) { return ok(std::to_string(request.body.size())); });
    router.get("/slow/:ms", [seen](Request request) -> Task<Response> {
        ++seen->started;
        int milliseconds = std::stoi(std::string(request.parameter("ms")));
        ignore(co_await sleep(std::chrono::milliseconds(milliseconds)), "nobody cancels it");
        ++seen->ended;
        co_return ok("slow");
    });
    router.get("/much", [seen](const Request&) {
        return stream("text/plain", [seen](BodyWriter out) -> Task<Result<void>> {
            for (int i = 0; i < 1000; ++i) {
                const Result<void> written = co_await out.write(std::string(1000, 'x'));
                if (!written) seen->note(written.error());
                co_await or_return(written);
                seen->written += 1000;
            }
            co_return Result<void>();
        });
    });
    router.get("/large", [](const Request&) { return ok(std::string(1'000'000, 'x')); });
    router.post("/later", [seen](Request, BodyReader body) -> Task<Response> {
        ignore(co_await sleep(1s), "nobody cancels it");
        for (;;) {
            Result<std::string_view> piece = co_await body.next();
            if (!piece) {
                seen->note(piece.error());
                co_return from(piece.error());
            }
            if (piece->empty()) break;
            seen->read += piece->size();
        }
        co_return ok(std::to_string(seen->read));
    });
    return router;
}

struct Running {
    Server server;
    std::shared_ptr<Seen> seen;  // shared with the handlers
};

Task<Running> start(System system, ServerOptions options = ServerOptions()) {
    auto seen = std::make_shared<Seen>();
    Server server = co_await serve_on_transport(system, routes(seen), std::move(options));
    Running running{server, std::move(seen)};
    co_return running;
}

std::string head_frame(const H2Fields& fields, unsigned flags = kEndStream | kEndHeaders,
                       std::uint32_t stream = 1) {
    return h2_frame(NGHTTP2_HEADERS, flags, stream, h2_block(fields));
}

H2Fields with(H2Fields fields, std::string name, std::string value) {
    fields.emplace_back(std::move(name), std::move(value));
    return fields;
}

std::string many(int count, const std::string& bytes) {
    std::string all;
    for (int i = 0; i < count; ++i)
        all += bytes;
    return all;
}

// ---- what is malformed --------------------------------------------------------------------------

struct Row {
    const char* name;
    const char* outcome;
    std::string bytes;
};

std::vector<Row> malformed_requests() {
    const H2Fields ok_fields = h2_request("GET", "/ok");
    const H2Fields post = h2_request("POST", "/ok");
    const auto head = [](H2Fields fields) { return head_frame(fields); };
    const auto data = [](std::string text, unsigned flags) {
        return h2_frame(NGHTTP2_DATA, flags, 1, text);
    };
    const auto path = [&](const std::string& one) { return head(h2_request("GET", one)); };
    H2Fields hundred = ok_fields;
    for (int i = 0; i < 101; ++i)
        hundred.emplace_back("x-" + std::to_string(i), "a");
    return {
        {"a proper one", "200", head(ok_fields)},
        {"a name in capitals", "reset 1", head(with(ok_fields, "X-Up", "a"))},
        {"Connection", "reset 1", head(with(ok_fields, "connection", "close"))},
        {"Keep-Alive", "reset 1", head(with(ok_fields, "keep-alive", "5"))},
        {"Transfer-Encoding", "reset 1", head(with(ok_fields, "transfer-encoding", "chunked"))},
        {"Upgrade", "reset 1", head(with(ok_fields, "upgrade", "websocket"))},
        {"TE that is not trailers", "reset 1", head(with(ok_fields, "te", "gzip"))},
        {"TE that is", "200", head(with(ok_fields, "te", "trailers"))},
        {"no path", "reset 1",
         head({{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}})},
        {"no method", "reset 1", head({{":scheme", "http"}, {":authority", "a"}, {":path", "/"}})},
        {"no scheme", "reset 1", head({{":method", "GET"}, {":authority", "a"}, {":path", "/"}})},
        {"no host at all", "reset 1",
         head({{":method", "GET"}, {":scheme", "http"}, {":path", "/ok"}})},
        {"two methods", "reset 1", head(with(ok_fields, ":method", "GET"))},
        {"an unknown pseudo-header", "reset 1", head(with(ok_fields, ":x", "a"))},
        {"a status", "reset 1", head(with(ok_fields, ":status", "200"))},
        {"a pseudo-header behind others", "reset 1",
         head({{":method", "GET"},
               {":scheme", "http"},
               {"a", "b"},
               {":authority", "a"},
               {":path", "/ok"}})},
        {"an empty path", "reset 1", path("")},
        {"a path without a slash", "reset 1", path("ok")},
        {"the same host twice", "200", head(with(ok_fields, "host", "TEST"))},
        {"two hosts", "reset 1", head(with(ok_fields, "host", "other"))},
        {"two host lines", "reset 1", head(with(with(ok_fields, "host", "test"), "host", "test"))},
        {"a host with a user", "400",
         head({{":method", "GET"},
               {":scheme", "http"},
               {":authority", "me@test"},
               {":path", "/ok"}})},
        {"white space before a value", "reset 1", head(with(ok_fields, "a", " b"))},
        {"a line end in a value", "reset 1", head(with(ok_fields, "a", "b\r\nc: d"))},
        {"a NUL in a value", "reset 1", head(with(ok_fields, "a", std::string("b\0c", 3)))},
        {"a colon in a name", "reset 1", head(with(ok_fields, "a:b", "c"))},
        {"an empty name", "reset 1", head(with(ok_fields, "", "c"))},
        {"a space in the path", "reset 1", path("/o k")},
        {"a bad escape", "400", path("/%zz")},
        {"an encoded NUL", "400", path("/%00")},
        {"a fragment", "400", path("/ok#top")},
        {"a path too long", "414", path("/" + std::string(9000, 'a'))},
        {"lines too long", "431", head(with(ok_fields, "a", std::string(16'200, 'b')))},
        {"too many lines", "431", head(hundred)},
        {"another expectation", "417", head(with(ok_fields, "expect", "wonders"))},
        {"a tunnel", "501",
         head_frame({{":method", "CONNECT"}, {":authority", "a:80"}}, kEndHeaders)},
        {"a protocol on a GET", "reset 1", head(with(ok_fields, ":protocol", "websocket"))},
        {"a protocol nobody knows", "501",
         head(with(h2_request("CONNECT", "/ok"), ":protocol", "gopher"))},
        {"a length that is none", "reset 1", head(with(ok_fields, "content-length", "1x"))},
        {"two lengths", "reset 1",
         head(with(with(ok_fields, "content-length", "1"), "content-length", "2"))},
        {"a length and no body", "reset 1", head(with(post, "content-length", "3"))},
        {"less than was said", "reset 1",
         head_frame(with(post, "content-length", "3"), kEndHeaders) + data("ab", kEndStream)},
        {"more than was said", "reset 1",
         head_frame(with(post, "content-length", "3"), kEndHeaders) + data("abcd", kEndStream)},
        {"as much as was said", "200",
         head_frame(with(post, "content-length", "3"), kEndHeaders) + data("abc", kEndStream)},
        {"a body too large, announced", "413",
         head_frame(with(post, "content-length", "3000000"), kEndHeaders)},
        {"trailers with a pseudo-header", "reset 1",
         head_frame(post, kEndHeaders) + head_frame({{":path", "/"}})},
        // From here on it is not about one request any more.
        {"data on no stream", "goaway 1", h2_frame(NGHTTP2_DATA, 0, 0, "a")},
        {"data on a stream nobody opened", "goaway 1", h2_frame(NGHTTP2_DATA, 0, 5, "a")},
        {"a request on an even stream", "goaway 1", head_frame(ok_fields, 5, 2)},
        {"settings of odd length", "goaway 6", h2_frame(NGHTTP2_SETTINGS, 0, 0, "abc")},
        {"a ping of 7 bytes", "goaway 6", h2_frame(NGHTTP2_PING, 0, 0, "1234567")},
        {"a frame too large", "goaway 6", h2_frame(NGHTTP2_DATA, 0, 1, std::string(17'000, 'a'))},
        {"a window of nothing", "goaway 1",
         h2_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string(4, '\0'))},
        {"a window beyond all", "goaway 3",
         h2_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\x7f\xff\xff\xff", 4))},
        {"a block that is no HPACK", "goaway 9", h2_frame(NGHTTP2_HEADERS, 5, 1, "\xff\xff\xff")},
        {"a continuation of nothing", "goaway 1", h2_frame(NGHTTP2_CONTINUATION, 4, 1, "a")},
        {"another frame within a head", "goaway 1",
         head_frame(ok_fields, 0) + h2_frame(NGHTTP2_PING, 0, 0, "12345678")},
        {"a promise by a client", "goaway 1",
         h2_frame(NGHTTP2_PUSH_PROMISE, 4, 1, std::string("\0\0\0\2", 4))},
        {"a frame of a kind nobody knows", "200", h2_frame(77, 0, 0, "abc") + head(ok_fields)},
    };
}

Task<void> malformed(System system) {
    Running running = co_await start(system);
    for (const Row& row : malformed_requests()) {
        SCOPED_TRACE(row.name);
        H2Raw raw = co_await H2Raw::connect(system, running.server.port());
        EXPECT_TRUE(co_await raw.send(row.bytes));
        const std::string outcome = co_await raw.outcome(1);
        EXPECT_EQ(outcome, row.outcome);
        if (outcome.starts_with("goaway")) {
            EXPECT_EQ(co_await raw.outcome(1), "end");
        } else {
            // The connection is as good as before.
            EXPECT_TRUE(co_await raw.send(head_frame(h2_request("GET", "/ok"), 5, 3)));
            EXPECT_EQ(co_await raw.outcome(3), "200");
        }
        raw.close();
    }
    co_await stop(running.server);
}

TEST(Http2Hostile, RequestsAreEachAnsweredAsTheTableSays) {
    in_virtual_time(4, malformed);
}

// ---- floods -------------------------------------------------------------------------------------

Task<void> floods(System system) {
    Running running = co_await start(system);
    std::string resets;
    for (std::uint32_t i = 0; i < 1000; ++i) {
        resets += head_frame(h2_request("GET", "/slow/100000"), 5, 2 * i + 1);
        resets += h2_frame(NGHTTP2_RST_STREAM, 0, 2 * i + 1, std::string("\0\0\0\x8", 4));
    }
    std::string spoilt;  // a window beyond all makes the server do the resetting
    for (std::uint32_t i = 0; i < 1000; ++i) {
        spoilt += head_frame(h2_request("GET", "/slow/100000"), 5, 2 * i + 1);
        spoilt += h2_frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, "\x7f\xff\xff\xff");
    }
    const std::string opened = head_frame(h2_request("POST", "/ok"), kEndHeaders);
    const std::vector<Row> rows = {
        {"requests that are reset", "goaway 11", resets},
        {"requests that the server is made to reset", "goaway 11", spoilt},
        {"pings", "goaway 11", many(5000, h2_frame(NGHTTP2_PING, 0, 0, "12345678"))},
        {"settings", "goaway 11", many(5000, h2_frame(NGHTTP2_SETTINGS, 0, 0, ""))},
        {"priorities", "goaway 11",
         many(5000, h2_frame(NGHTTP2_PRIORITY, 0, 3, std::string("\0\0\0\1\x10", 5)))},
        {"windows", "goaway 11",
         opened + many(5000, h2_frame(NGHTTP2_WINDOW_UPDATE, 0, 1, std::string("\0\0\0\1", 4)))},
        {"empty data", "goaway 11", opened + many(5000, h2_frame(NGHTTP2_DATA, 0, 1, ""))},
        {"frames of a kind nobody knows", "goaway 11", many(5000, h2_frame(77, 0, 0, ""))},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        H2Raw raw = co_await H2Raw::connect(system, running.server.port());
        H2Client beside = co_await H2Client::connect(system, running.server.port());
        EXPECT_TRUE(co_await raw.send(row.bytes));
        std::string outcome = co_await raw.outcome(0xFFFF);
        EXPECT_EQ(outcome, row.outcome);
        raw.close();
        EXPECT_EQ((co_await beside.ask("/ok")).status, 200);
        beside.close();
    }
    EXPECT_LE(running.seen->started, 2 * 201);
    // A head that goes on and on is the end of its connection, whatever it is called.
    H2Raw raw = co_await H2Raw::connect(system, running.server.port());
    std::string endless = head_frame(h2_request("GET", "/ok"), kEndStream);
    endless += many(5000, h2_frame(NGHTTP2_CONTINUATION, 0, 1, h2_block({{"a", "b"}})));
    ignore(co_await raw.send(endless), "the server may have had enough of it by then");
    const std::string outcome = co_await raw.outcome(1);
    EXPECT_TRUE(outcome.starts_with("goaway ") || outcome == "end") << outcome;
    co_await stop(running.server);
}

TEST(Http2Hostile, FloodsEndTheirConnectionAndNoOther) {
    in_virtual_time(3, floods);
}

/// Thousands of bytes for each of the block: an entry of the table, named again and again.
Task<void> header_bomb(System system) {
    Running running = co_await start(system);
    H2Raw raw = co_await H2Raw::connect(system, running.server.port());
    std::string block = h2_block(h2_request("GET", "/ok"));
    block += std::string("\x40\x01", 2) + "a" + std::string("\x7f\x81\x1e", 3) +
             std::string(3968, 'b');  // with incremental indexing
    EXPECT_TRUE(co_await raw.send(h2_frame(NGHTTP2_HEADERS, 5, 1, block)));
    EXPECT_EQ(co_await raw.outcome(1), "200");
    std::string bomb = h2_block(h2_request("GET", "/ok")) + std::string(15, '\xbe');
    EXPECT_TRUE(co_await raw.send(h2_frame(NGHTTP2_HEADERS, 5, 3, bomb)));
    EXPECT_EQ(co_await raw.outcome(3), "431");
    bomb = h2_block(h2_request("GET", "/ok")) + std::string(10'000, '\xbe');
    EXPECT_TRUE(co_await raw.send(h2_frame(NGHTTP2_HEADERS, 5, 5, bomb)));
    EXPECT_EQ(co_await raw.outcome(5), "431");
    co_await stop(running.server);
}

TEST(Http2Hostile, HeaderBombsAreMeasuredUnpacked) {
    in_virtual_time(5, header_bomb);
}

/// Streams beyond what was agreed on; and requests given up whose handlers still run.
Task<void> too_many_streams(System system) {
    Running running = co_await start(system, ServerOptions().http2(Http2Options().streams_max(10)));
    H2Client client = co_await H2Client::connect(system, running.server.port());
    EXPECT_EQ((co_await client.ask("/ok")).status, 200);
    EXPECT_EQ(client.setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 10U);
    for (int i = 0; i < 10; ++i)
        client.reset(client.get("/ok"));  // never sent, as it happens
    std::vector<std::int32_t> given_up;
    for (int i = 0; i < 10; ++i)
        given_up.push_back(client.get("/slow/5000"));
    while (running.seen->started < 10) {
        const bool moved = co_await client.step(10ms);
        if (!moved) break;
    }
    for (const std::int32_t id : given_up)
        client.reset(id);
    const std::int32_t one_more = client.get("/slow/1");
    EXPECT_EQ((co_await client.finish(one_more)).code,
              static_cast<std::uint32_t>(NGHTTP2_REFUSED_STREAM));
    EXPECT_EQ((co_await client.ask("/ok")).status, 200) << "which needs nobody to wait";
    ignore(co_await sleep(6s), "nobody cancels it");
    EXPECT_EQ(running.seen->ended, 10);
    EXPECT_EQ((co_await client.ask("/slow/1")).status, 200);
    co_await stop(running.server);
}

TEST(Http2Hostile, HandlersOfRequestsThatWereGivenUpCount) {
    in_virtual_time(20, too_many_streams);
}

// ---- windows ------------------------------------------------------------------------------------

Task<void> unread_body(System system) {
    Running running = co_await start(system);
    H2Client client = co_await H2Client::connect(system, running.server.port());
    const std::int32_t id = client.post("/later", std::string(200'000, 'x'));
    EXPECT_EQ((co_await client.ask("/ok")).status, 200);
    EXPECT_EQ(client.window(id), 0) << "it is not read, so no more may come";
    EXPECT_EQ(client.unsent(id), 200'000U - 65'535U);
    EXPECT_EQ((co_await client.finish(id)).body, "200000");
    co_await stop(running.server);
}

TEST(Http2Windows, DoNotGrowByWhatNobodyReads) {
    in_virtual_time(20, unread_body);
}

Task<void> slow_reader(System system) {
    Running running = co_await start(system);
    H2Client client = co_await H2Client::connect(system, running.server.port(), false);
    const std::int32_t id = client.get("/much");
    const Duration begun = system.now();
    while (system.now() - begun < 2s) {
        const bool moved = co_await client.step(100ms);
        if (!moved) break;
    }
    EXPECT_EQ(client.reply(id).body.size(), 65'535U) << "as much as the window allows";
    EXPECT_LE(running.seen->written, 65'535U + 2U * 65'536U) << "and the writer waits";
    // The connection's window is used up as well, but what has no body needs none.
    const std::int32_t head = client.begin(h2_request("HEAD", "/ok"));
    EXPECT_EQ((co_await client.finish(head)).status, 200);
    std::size_t taken = 0;
    while (!client.reply(id).closed) {
        const std::size_t here = client.reply(id).body.size() - taken;
        client.take(id, here);
        taken += here;
        const bool moved = co_await client.step();
        if (!moved) break;
    }
    EXPECT_EQ(client.reply(id).body.size(), 1'000'000U);
    co_await stop(running.server);
}

TEST(Http2Windows, MakeTheWriterOfABodyWait) {
    in_virtual_time(10, slow_reader);
}

Task<void> fair_shares(System system) {
    Running running = co_await start(system);
    H2Client client = co_await H2Client::connect(system, running.server.port());
    const std::int32_t one = client.get("/large");
    const std::int32_t two = client.get("/large");
    while (!client.reply(one).closed || !client.reply(two).closed) {
        const auto first = static_cast<std::int64_t>(client.reply(one).body.size());
        const auto second = static_cast<std::int64_t>(client.reply(two).body.size());
        EXPECT_LE(std::abs(first - second), 200'000);
        const bool moved = co_await client.step();
        if (!moved) break;
    }
    EXPECT_EQ(client.reply(two).body.size(), 1'000'000U);
    co_await stop(running.server);
}

TEST(Http2Windows, AreSharedFairlyByStreams) {
    in_virtual_time(5, fair_shares);
}

/// Bodies that are collected for their handlers, all at once and more than is let in together.
Task<void> many_collected(System system) {
    Running running = co_await start(
        system, ServerOptions().http2(Http2Options().connection_window_bytes(100'000)));
    H2Client client = co_await H2Client::connect(system, running.server.port());
    std::vector<std::int32_t> posts;
    for (int i = 0; i < 8; ++i)
        posts.push_back(client.post("/ok", std::string(400'000, 'x')));
    for (const std::int32_t id : posts)
        EXPECT_EQ((co_await client.finish(id)).body, "400000");
    co_await stop(running.server);
}

TEST(Http2Windows, LetCollectedBodiesGoOnOneByOneWhenTheyAreTooMuch) {
    in_virtual_time(10, many_collected);
}

// ---- time ---------------------------------------------------------------------------------------

Task<void> slow_peers(System system) {
    Running running = co_await start(system);
    const std::uint16_t port = running.server.port();
    const auto took = [&](Duration since) {
        return std::chrono::duration_cast<std::chrono::seconds>(system.now() - since).count();
    };

    Duration begun = system.now();
    auto stream = co_await H2Client::reach(system, port);
    H2Raw half(std::move(*stream));
    EXPECT_TRUE(co_await half.send("PRI * HTTP/2.0\r\n\r\nSM"));
    EXPECT_EQ(co_await half.outcome(1), "end");
    EXPECT_EQ(took(begun), 30) << "a preface that is not finished";

    begun = system.now();
    H2Raw idle = co_await H2Raw::connect(system, port);
    EXPECT_EQ(co_await idle.outcome(1), "goaway 0");
    EXPECT_EQ(took(begun), 75) << "nobody asks for anything";
    EXPECT_EQ(co_await idle.outcome(1), "end");

    begun = system.now();
    H2Raw head = co_await H2Raw::connect(system, port);
    EXPECT_TRUE(co_await head.send(head_frame(h2_request("GET", "/ok"), kEndStream)));
    EXPECT_EQ(co_await head.outcome(1), "goaway 11");
    EXPECT_EQ(took(begun), 30) << "a head that is not finished";

    begun = system.now();
    H2Client body = co_await H2Client::connect(system, port);
    const std::int32_t collected = body.begin(h2_request("POST", "/ok"), "abc", false);
    const std::int32_t streamed = body.begin(h2_request("POST", "/later"), "abc", false);
    EXPECT_EQ((co_await body.finish(collected)).status, 408);
    EXPECT_EQ((co_await body.finish(streamed)).status, 408);
    EXPECT_EQ(took(begun), 30) << "bodies that are not finished";
    EXPECT_EQ(running.seen->take_errors(), "timed_out");
    EXPECT_EQ((co_await body.ask("/ok")).status, 200);

    begun = system.now();
    H2Client window = co_await H2Client::connect(system, port, false);
    const std::int32_t much = window.get("/much");
    const H2Reply reply = co_await window.finish(much);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.code, static_cast<std::uint32_t>(NGHTTP2_CANCEL));
    EXPECT_NEAR(static_cast<double>(took(begun)), 30, 1) << "a response that is not taken";
    EXPECT_EQ(running.seen->take_errors(), "timed_out");
    co_await stop(running.server);
}

TEST(Http2Slow, PeersAreGivenUpInTime) {
    in_virtual_time(5, slow_peers);
}

// ---- the end ------------------------------------------------------------------------------------

Task<void> graceful_end(System system) {
    Running running = co_await start(system);
    H2Client client = co_await H2Client::connect(system, running.server.port());
    const std::int32_t before = client.get("/slow/1000");
    while (running.seen->started == 0) {
        const bool moved = co_await client.step(1ms);
        if (!moved) break;
    }
    auto stop_now = [](Server server) -> Task<Result<void>> { co_return co_await server.stop(5s); };
    auto talk = [](H2Client* the_client, std::int32_t id) -> Task<Result<void>> {
        while (!the_client->told_to_go()) {
            const bool moved = co_await the_client->step();
            if (!moved) break;
        }
        EXPECT_EQ(the_client->last_stream(), 0x7FFF'FFFF) << "a notice, so far";
        EXPECT_EQ((co_await the_client->finish(id)).body, "slow");
        EXPECT_TRUE(co_await the_client->ended());
        EXPECT_EQ(the_client->goaways(), 2);
        EXPECT_EQ(the_client->last_stream(), id);
        EXPECT_EQ(the_client->goaway_code(), 0U);
        co_return Result<void>();
    };
    const Duration begun = system.now();
    auto both = task_group<void>(all_successful());
    both.add(stop_now, running.server);
    both.add(talk, &client, before);
    const auto done = co_await both.run();
    EXPECT_TRUE(done.has_value());
    EXPECT_LT(system.now() - begun, 3s) << "as long as the request takes";
}

TEST(Http2Server, EndsInTwoStepsAndFinishesWhatHasBegun) {
    in_virtual_time(50, graceful_end);
}

Task<void> forced_end(System system) {
    Running running = co_await start(system);
    H2Client client = co_await H2Client::connect(system, running.server.port());
    const std::int32_t forever = client.get("/slow/1000000");
    while (running.seen->started == 0) {
        const bool moved = co_await client.step(1ms);
        if (!moved) break;
    }
    const Duration begun = system.now();
    auto stopped = co_await running.server.stop(2s);
    EXPECT_TRUE(stopped.has_value());
    EXPECT_LT(system.now() - begun, 3s);
    EXPECT_FALSE((co_await client.finish(forever)).closed);
}

TEST(Http2Server, EndsWhatDoesNotFinishInTime) {
    in_virtual_time(20, forced_end);
}

Task<void> old_age(System system) {
    Running running =
        co_await start(system, ServerOptions().http2(Http2Options().lifetime_max(60s)));
    H2Client client = co_await H2Client::connect(system, running.server.port());
    const std::int32_t slow = client.get("/slow/70000");
    EXPECT_EQ((co_await client.finish(slow)).status, 200);
    EXPECT_TRUE(client.told_to_go());
    EXPECT_TRUE(co_await client.ended());
    co_await stop(running.server);
}

TEST(Http2Server, EndsConnectionsThatAreOldEnough) {
    in_virtual_time(10, old_age);
}

/// Peers that vanish in the middle of everything, over a network that breaks.
Task<void> broken(System system) {
    Running running = co_await start(system);
    for (int i = 0; i < 5; ++i) {
        H2Client client = co_await H2Client::connect(system, running.server.port());
        client.get("/much");
        client.get("/large");
        client.get("/slow/20");
        client.post("/later", std::string(100'000, 'x'));
        for (int step = 0; step < 3 * i; ++step) {
            const bool moved = co_await client.step(5ms);
            if (!moved) break;
        }
        client.close();
    }
    H2Client last = co_await H2Client::connect(system, running.server.port());
    EXPECT_EQ((co_await last.ask("/ok")).status, 200);
    auto stopped = co_await running.server.stop(5s);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Http2Server, OutlivesPeersThatVanish) {
    net_internal::on_both_engines(50, broken);
}

/// Nobody accepts the connection: neither a handshake nor a response will ever come.
Task<void> deaf_server(System system) {
    Result<Listener> listener = Listener::listen(system.engine(), Endpoint("127.0.0.1", 0));
    EXPECT_TRUE(listener.has_value());
    H2Client client = co_await H2Client::connect(system, listener->port());
    testing::TestPartResultArray failures;
    {
        const testing::ScopedFakeTestPartResultReporter reporter(
            testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
        const H2Reply reply = co_await client.ask("/ok");
        EXPECT_FALSE(reply.closed);
    }
    EXPECT_EQ(failures.size(), 1);
}

TEST(Http2TestClient, FailsWhereItWouldWaitForEver) {
    in_virtual_time(3, deaf_server);
}

}  // namespace
}  // namespace troupe::http
