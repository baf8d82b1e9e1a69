// What sites are made of, over HTTP/2: files, events, forms, gzip and the access log.

#include <troupe/http/access_log.hpp>
#include <troupe/http/compress.hpp>
#include <troupe/http/events.hpp>
#include <troupe/http/files.hpp>
#include <troupe/http/internal/gzip.hpp>
#include <troupe/http/internal/test_folder.hpp>
#include <troupe/http/internal/test_h2_client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/multipart.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/task/channel.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::h2_request;
using http_internal::H2Client;
using http_internal::H2Fields;
using http_internal::H2Reply;
using http_internal::serve_on_transport;
using http_internal::stop;
using http_internal::test_bytes;
using http_internal::TestFolder;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

constexpr std::size_t kLarge = 3'000'000;  // many windows of a stream

/// A folder, what its log has said, and whoever writes events; shared with handlers.
struct Site {
    TestFolder folder;
    std::string lines;  // written by one thread, read when the system has ended
    Sender<Event> sender;
    std::atomic<int> written{0};  // events; their handlers count, tests read
    std::atomic<int> ended{0};    // functions that write events: the same
};

/// Sums up the parts of a form.
Task<Response> read_form(Request request, BodyReader body) {
    MultipartReader form(request, body);
    std::string out;
    for (;;) {
        auto part = co_await form.next();
        if (!part) co_return from(part.error());
        if (!*part) break;
        std::size_t bytes = 0;
        for (;;) {
            const auto piece = co_await form.read();
            if (!piece) co_return from(piece.error());
            if (piece->empty()) break;
            bytes += piece->size();
        }
        out += (*part)->name() + "=" + std::to_string(bytes) + " ";
    }
    co_return ok(std::move(out));
}

Router routes(const std::shared_ptr<Site>& site) {
    site->folder.write("a.txt", "0123456789");
    site->folder.write("large.bin", test_bytes(kLarge));
    std::string page;
    for (int i = 0; i < 2000; ++i)
        page += "line " + std::to_string(i % 17) + "\n";
    site->folder.write("page.html", page);
    Result<Files> all = files(site->folder.path());
    EXPECT_TRUE(all.has_value());
    Router router;
    router.use(access_log(
        AccessLogOptions().sink([site](std::string_view text) { site->lines.append(text); })));
    router.use(compressed());
    router.any("/s/*", *all);
    router.post("/form", read_form);
    router.get("/channel", [site](const Request&) {
        auto [sender, receiver] = channel<Event>(2);
        site->sender = std::move(sender);
        return events(std::move(receiver), 1h);
    });
    router.get("/function", [site](const Request&) {
        return events([site](EventWriter out) -> Task<Result<void>> {
            co_await or_return(co_await out.send(Event("first")));
            ++site->written;
            const Result<void> slept = co_await sleep(1h);
            ++site->ended;
            co_return slept;
        });
    });
    return router;
}

H2Fields with(H2Fields fields, const std::string& name, const std::string& value) {
    fields.emplace_back(name, value);
    return fields;
}

/// Waits for something that nobody tells.
template <class Condition>
Task<void> until(Condition condition) {
    while (!condition())
        ignore(co_await sleep(1ms), "a test that nobody cancels");
}

/// Reads until so much of a body is here.
Task<bool> read_up_to(H2Client* client, std::int32_t id, std::string text) {
    while (client->reply(id).body.find(text) == std::string::npos) {
        const bool moved = co_await client->step();
        if (!moved || client->reply(id).closed) co_return false;
    }
    co_return true;
}

Task<void> whole_files(System system) {
    const auto site = std::make_shared<Site>();
    Server server = co_await serve_on_transport(system, routes(site));
    H2Client client = co_await H2Client::connect(system, server.port());
    H2Reply reply = co_await client.ask("/s/large.bin");
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.body == test_bytes(kLarge)) << reply.body.size();
    EXPECT_EQ(reply.field("content-length"), std::to_string(kLarge));
    EXPECT_EQ(reply.field("content-type"), "application/octet-stream");
    EXPECT_EQ(reply.field("accept-ranges"), "bytes");
    EXPECT_EQ(reply.code, 0U);

    const std::int32_t head = client.begin(h2_request("HEAD", "/s/large.bin"));
    reply = co_await client.finish(head);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "");
    EXPECT_EQ(reply.field("content-length"), std::to_string(kLarge));

    // Side by side: neither waits for the other's end.
    const std::int32_t first = client.get("/s/large.bin");
    const std::int32_t second = client.get("/s/a.txt");
    EXPECT_EQ((co_await client.finish(second)).body, "0123456789");
    EXPECT_FALSE(client.reply(first).closed);
    EXPECT_EQ((co_await client.finish(first)).body.size(), kLarge);
    EXPECT_EQ((co_await client.ask("/s/..%2fa.txt")).status, 404);
    EXPECT_EQ((co_await client.ask("/s/../a.txt")).status, 404);
    client.close();
    co_await stop(server);
}

TEST(Http2Files, AreSentWholeAndBesideEachOther) {
    on_both_engines(3, whole_files);
}

Task<void> parts_of_files(System system) {
    const auto site = std::make_shared<Site>();
    Server server = co_await serve_on_transport(system, routes(site));
    H2Client client = co_await H2Client::connect(system, server.port());
    const auto ask = [&](std::string path, std::string name, std::string value) -> Task<H2Reply> {
        const std::int32_t id = client.begin(with(h2_request("GET", path), name, value));
        H2Reply reply = co_await client.finish(id);
        co_return reply;
    };
    H2Reply reply = co_await ask("/s/large.bin", "range", "bytes=1000-2000999");
    EXPECT_EQ(reply.status, 206);
    EXPECT_TRUE(reply.body == test_bytes(kLarge).substr(1000, 2'000'000));
    EXPECT_EQ(reply.field("content-range"), "bytes 1000-2000999/3000000");
    reply = co_await ask("/s/a.txt", "range", "bytes=-3");
    EXPECT_EQ(reply.body, "789");
    const std::string tag = reply.field("etag");
    reply = co_await ask("/s/a.txt", "range", "bytes=0-1,4-5");
    EXPECT_EQ(reply.status, 206);
    EXPECT_TRUE(reply.field("content-type").starts_with("multipart/byteranges; boundary="));
    reply = co_await ask("/s/a.txt", "range", "bytes=10-");
    EXPECT_EQ(reply.status, 416);
    EXPECT_EQ(reply.field("content-range"), "bytes */10");
    reply = co_await ask("/s/a.txt", "if-none-match", tag);
    EXPECT_EQ(reply.status, 304);
    EXPECT_EQ(reply.body, "");
    EXPECT_EQ(reply.field("etag"), tag);
    reply = co_await ask("/s/a.txt", "if-match", "\"other\"");
    EXPECT_EQ(reply.status, 412);

    reply = co_await ask("/s/page.html", "accept-encoding", "gzip");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.field("content-encoding"), "gzip");
    EXPECT_EQ(reply.field("content-length"), std::to_string(reply.body.size()));
    std::string page;
    EXPECT_EQ(http_internal::gunzip(reply.body, 1'000'000, page), http_internal::Gunzip::done);
    EXPECT_TRUE(page.starts_with("line 0\nline 1\n") && page.ends_with("\n"));
    EXPECT_LT(reply.body.size(), page.size());
    client.close();
    co_await stop(server);
}

TEST(Http2Files, AreSentInRangesUnderConditionsAndCompressed) {
    on_both_engines(3, parts_of_files);
}

/// How many descriptors of this process are files of the folder.
int open_files(const TestFolder& folder) {
    int open = 0;
    for (const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;  // as the one that lists them is
        const std::string path = std::filesystem::read_symlink(one.path(), gone).string();
        if (path.starts_with(folder.path() + "/")) ++open;
    }
    return open;
}

Task<void> given_up_files(System system) {
    constexpr bool kWindowsGrow = false;  // so that none is sent whole before it is given up
    const auto site = std::make_shared<Site>();
    Server server = co_await serve_on_transport(system, routes(site));
    H2Client client = co_await H2Client::connect(system, server.port(), kWindowsGrow);
    EXPECT_EQ((co_await client.ask("/s/a.txt")).status, 200);
    for (int i = 0; i < 5; ++i) {
        const std::int32_t id = client.get("/s/large.bin");
        EXPECT_EQ((co_await client.head(id)).status, 200);
        EXPECT_GE(open_files(site->folder), 1);
        client.reset(id);
        EXPECT_EQ((co_await client.ask("/s/a.txt")).body, "0123456789") << "the others go on";
    }
    co_await until([&] { return open_files(site->folder) == 0; });
    EXPECT_EQ(server.load().http2_streams, 0U);
    EXPECT_EQ(server.load().in_progress, 0U);

    // The same for one whose connection goes.
    const std::int32_t id = client.get("/s/large.bin");
    EXPECT_EQ((co_await client.head(id)).status, 200);
    EXPECT_EQ(server.load().http2_streams, 1U);
    client.close();
    co_await until([&] { return server.load().http2_streams == 0; });
    co_await stop(server);
}

TEST(Http2Files, EndWithTheirStreamAndLeaveNothingOpen) {
    on_both_engines(5, given_up_files);
}

Task<void> given_up_events(System system) {
    const auto site = std::make_shared<Site>();
    Server server = co_await serve_on_transport(system, routes(site));
    H2Client client = co_await H2Client::connect(system, server.port());
    const std::int32_t one = client.get("/function");
    EXPECT_TRUE(co_await read_up_to(&client, one, "data: first\n\n"));
    EXPECT_EQ(client.reply(one).field("content-type"), "text/event-stream");
    const std::int32_t other = client.get("/function");
    EXPECT_TRUE(co_await read_up_to(&client, other, "data: first\n\n"));
    EXPECT_EQ(site->ended, 0);
    client.reset(one);
    EXPECT_EQ((co_await client.ask("/s/a.txt")).status, 200);
    co_await until([&] { return site->ended == 1; });
    client.close();
    co_await until([&] { return site->ended == 2; });
    co_await stop(server);
}

TEST(Http2Events, EndWithTheirStreamOrTheirConnection) {
    on_both_engines(5, given_up_events);
}

Task<void> channel_events(System system) {
    const auto site = std::make_shared<Site>();
    Server server = co_await serve_on_transport(system, routes(site));
    H2Client client = co_await H2Client::connect(system, server.port());
    for (int i = 0; i < 2; ++i) {
        const std::int32_t id = client.get("/channel");
        EXPECT_EQ((co_await client.head(id)).status, 200);
        for (const char* text : {"one", "two", "three"}) {
            EXPECT_TRUE((co_await site->sender.send(Event(text))).has_value());
            EXPECT_TRUE(co_await read_up_to(&client, id, std::string(text) + "\n\n"))
                << "each leaves at once";
        }
        if (i == 0) {
            client.reset(id);
            EXPECT_TRUE(co_await client.send());
        } else {
            client.close();
        }
        // Nothing is written meanwhile that could tell.
        ignore(co_await sleep(1min), "a test that nobody cancels");
        const Result<void> sent = co_await site->sender.send(Event("nobody hears it"));
        EXPECT_TRUE(!sent && sent.error() == Errc::closed);
    }
    co_await stop(server);
}

TEST(Http2Events, CloseTheirChannelWhenNobodyListens) {
    in_virtual_time(10, channel_events);
}

Task<void> stopped_events(System system) {
    const auto site = std::make_shared<Site>();
    Server server = co_await serve_on_transport(system, routes(site));
    H2Client client = co_await H2Client::connect(system, server.port());
    const std::int32_t one = client.get("/function");
    EXPECT_TRUE(co_await read_up_to(&client, one, "data: first\n\n"));
    const std::int32_t other = client.get("/channel");
    EXPECT_EQ((co_await client.head(other)).status, 200);
    const Duration before = system.now();
    EXPECT_TRUE((co_await server.stop(1h)).has_value());
    EXPECT_LT(system.now() - before, 30min);
    EXPECT_EQ(site->ended, 1);
    EXPECT_EQ((co_await site->sender.send(Event("late"))).error(), Errc::closed);
    for (const std::int32_t id : {one, other}) {
        const H2Reply reply = co_await client.finish(id);
        EXPECT_TRUE(reply.closed && reply.code == 0) << "a proper end: " << reply.code;
    }
    EXPECT_TRUE(co_await client.ended());
    EXPECT_TRUE(client.told_to_go());
}

TEST(Http2Events, EndProperlyWhenTheServerStops) {
    on_both_engines(5, stopped_events);
}

Task<void> forms(System system) {
    const auto site = std::make_shared<Site>();
    Server server = co_await serve_on_transport(system, routes(site));
    H2Client client = co_await H2Client::connect(system, server.port());
    const auto part = [](const std::string& name, const std::string& data) {
        return "--b\r\nContent-Disposition: form-data; name=" + name + "; filename=x\r\n\r\n" +
               data + "\r\n";
    };
    const H2Fields head =
        with(h2_request("POST", "/form"), "content-type", "multipart/form-data; boundary=b");
    // More than any whole body may have, and than any window.
    const std::string body = part("one", test_bytes(1'500'000)) + part("two", "2") + "--b--\r\n";
    const std::int32_t whole = client.begin(head, body);
    EXPECT_EQ((co_await client.finish(whole)).body, "one=1500000 two=1 ");
    // One that is given up in the middle, and the connection goes on.
    const std::int32_t half = client.begin(head, body.substr(0, 1000), false);
    EXPECT_TRUE(co_await client.send());
    client.reset(half);
    const std::int32_t cut = client.begin(head, body.substr(0, 1000));
    EXPECT_EQ((co_await client.finish(cut)).status, 400);
    const std::int32_t again = client.begin(head, part("three", "333") + "--b--\r\n");
    EXPECT_EQ((co_await client.finish(again)).body, "three=3 ");
    client.close();
    co_await stop(server);
}

TEST(Http2Multipart, IsReadAsItArrives) {
    on_both_engines(3, forms);
}

TEST(Http2AccessLog, HasALineForEachStream) {
    std::shared_ptr<Site> site;
    const auto ask = [&](System system) -> Task<void> {
        site = std::make_shared<Site>();
        Server server = co_await serve_on_transport(system, routes(site));
        H2Client client = co_await H2Client::connect(system, server.port(), false);
        EXPECT_EQ((co_await client.ask("/s/a.txt")).status, 200);
        EXPECT_EQ((co_await client.ask("/s/none")).status, 404);
        const std::int32_t head = client.begin(h2_request("HEAD", "/s/a.txt"));
        EXPECT_EQ((co_await client.finish(head)).status, 200);
        const std::int32_t id = client.get("/s/large.bin");
        EXPECT_EQ((co_await client.head(id)).status, 200);
        client.reset(id);
        EXPECT_EQ((co_await client.ask("/s/a.txt")).status, 200);
        client.close();
        co_await stop(server);
    };
    const auto has = [&](const std::string& text) {
        return site->lines.find(text) != std::string::npos;
    };
    net_internal::on_both_engines(3, ask);
    // The system of the last run, and so the thread that writes, has ended.
    EXPECT_TRUE(has("127.0.0.1 GET \"/s/a.txt\" 200 10 0.")) << site->lines;
    EXPECT_TRUE(has("GET \"/s/none\" 404 ")) << site->lines;
    EXPECT_TRUE(has("HEAD \"/s/a.txt\" 200 0 ")) << site->lines;
    EXPECT_TRUE(has("GET \"/s/large.bin\" 200 ") && has(" HTTP/2 unfinished\n")) << site->lines;
    EXPECT_FALSE(has("HTTP/1")) << site->lines;
}

}  // namespace
}  // namespace troupe::http
