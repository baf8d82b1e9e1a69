#include <troupe/actor/actor.hpp>
#include <troupe/http/compress.hpp>
#include <troupe/http/files.hpp>
#include <troupe/http/internal/gzip.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_folder.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::Client;
using http_internal::gunzip;
using http_internal::Gunzip;
using http_internal::GzipWriter;
using http_internal::Reply;
using http_internal::test_bytes;
using http_internal::TestFolder;
using net_internal::on_both_engines;

std::string gzipped(std::string_view text) {
    std::string out;
    GzipWriter writer(6);
    writer.write(text, GzipWriter::Flush::end, out);
    return out;
}

/// What it was before; empty when it is no gzip.
std::string plain(const std::string& text) {
    std::string out;
    return gunzip(text, 100'000'000, out) == Gunzip::done ? out : std::string();
}

std::string words(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
        text += "word " + std::to_string(i * 7919 % 1000) + "\n";
    return text;
}

struct Fixture {
    Router router;
    Fixture() {
        router.use(compressed());
        router.use(decompressed(DecompressOptions().bytes_max(200'000)));
        router.get("/small", [](const Request&) { return ok("little"); });
        router.get("/text", [](const Request&) { return ok(words(1000)).header("ETag", "\"t\""); });
        router.get("/large", [](const Request&) { return ok(words(100'000)); });
        router.get("/image",
                   [](const Request&) { return Response(200, "image/png", test_bytes(5000)); });
        router.get("/part", [](const Request&) { return ok(words(1000)).status(206); });
        router.get("/gone", [](const Request&) { return Response(304).header("ETag", "\"t\""); });
        router.get("/fixed", [](const Request&) {
            return ok(words(1000)).header("Cache-Control", "private, no-transform");
        });
        router.get("/done",
                   [](const Request&) { return ok(words(1000)).header("Content-Encoding", "br"); });
        router.get("/varied", [](const Request&) {
            return ok(words(1000)).header("Vary", "Cookie, accept-encoding");
        });
        router.get("/stream", [](const Request&) {
            return http::stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
                for (int i = 0; i < 50; ++i)
                    co_await or_return(co_await out.write(words(100)));
                co_return Result<void>();
            });
        });
        router.post("/echo", [](const Request& request) {
            return Response(200, "application/octet-stream", request.body)
                .header("X-Coding", request.header("Content-Encoding").value_or("none"));
        });
    }
};

Request asking(const char* path, const char* accepts = "gzip", const char* method = "GET") {
    Request request;
    request.method = method;
    request.path = path;
    if (*accepts != '\0') request.add_header("Accept-Encoding", accepts);
    return request;
}

Task<void> responses(System) {
    const Fixture fixture;
    const Router& router = fixture.router;
    Response text = co_await router.handle(asking("/text"));
    EXPECT_EQ(text.header("Content-Encoding"), "gzip");
    EXPECT_EQ(text.header("Vary"), "Accept-Encoding");
    EXPECT_EQ(text.header("ETag"), "W/\"t\"");
    EXPECT_LT(text.body().size(), words(1000).size() / 2);
    EXPECT_TRUE(plain(text.body()) == words(1000));

    Response other = co_await router.handle(asking("/text", ""));
    EXPECT_EQ(other.header("Content-Encoding"), "");
    EXPECT_EQ(other.header("Vary"), "Accept-Encoding") << "a cache must know that there are two";
    EXPECT_EQ(other.header("ETag"), "\"t\"");
    EXPECT_TRUE(other.body() == words(1000));

    for (const char* path : {"/small", "/image", "/part", "/gone", "/fixed", "/nothing"}) {
        const Response same = co_await router.handle(asking(path));
        EXPECT_EQ(same.header("Content-Encoding"), "") << path;
    }
    const Response done = co_await router.handle(asking("/done"));
    EXPECT_EQ(done.header("Content-Encoding"), "br");
    EXPECT_TRUE(done.body() == words(1000));
    const Response varied = co_await router.handle(asking("/varied"));
    EXPECT_EQ(varied.header_lines().find("Vary: Accept-Encoding"), std::string::npos);

    Response large = co_await router.handle(asking("/large"));
    EXPECT_EQ(large.header("Content-Encoding"), "gzip");
    const auto whole = co_await whole_body(std::move(large));
    EXPECT_TRUE(whole && plain(*whole) == words(100'000));

    Response streamed = co_await router.handle(asking("/stream"));
    EXPECT_EQ(streamed.header("Content-Encoding"), "gzip");
    const auto pieces = co_await whole_body(std::move(streamed));
    std::string wanted;
    for (int i = 0; i < 50; ++i)
        wanted += words(100);
    EXPECT_TRUE(pieces && plain(*pieces) == wanted);
}

TEST(Compressed, AreBodiesThatBecomeSmallerForWhoTakesThem) {
    on_both_engines(3, responses);
}

Task<void> requests(System) {
    const Fixture fixture;
    auto echo = [&](std::string body, const char* coding) {
        Request request = asking("/echo", "", "POST");
        request.body = std::move(body);
        request.add_header("Content-Encoding", coding);
        request.add_header("Content-Length", "1");
        return fixture.router.handle(std::move(request));
    };
    const std::string text = words(10'000);  // decoded on the blocking pool
    Response reply = co_await echo(gzipped(text), "gzip");
    EXPECT_TRUE(reply.body() == text);
    EXPECT_EQ(reply.header("X-Coding"), "none");
    reply = co_await echo(gzipped("two ") + gzipped("streams"), "X-GZIP");
    EXPECT_EQ(reply.body(), "two streams");
    reply = co_await echo("as it is", "identity");
    EXPECT_EQ(reply.body(), "as it is");

    EXPECT_EQ((co_await echo(gzipped(std::string(300'000, 'x')), "gzip")).status(), 413);
    EXPECT_EQ((co_await echo(gzipped(std::string(150'000, '\0')), "gzip")).status(), 413)
        << "a thousand times as large";
    EXPECT_EQ((co_await echo(gzipped(text).substr(0, 100), "gzip")).status(), 400);
    EXPECT_EQ((co_await echo("no gzip at all", "gzip")).status(), 400);
    EXPECT_EQ((co_await echo(gzipped("a") + "rest", "gzip")).status(), 400);
    EXPECT_EQ((co_await echo(gzipped("a"), "br")).status(), 415);
    EXPECT_EQ((co_await echo(gzipped("a"), "gzip, gzip")).status(), 415);
}

TEST(Decompressed, AreRequestsUpToALimit) {
    on_both_engines(3, requests);
}

Task<void> on_the_wire(System system) {
    TestFolder folder;
    folder.write("a.txt", words(20'000));
    auto site = files(folder.path());
    EXPECT_TRUE(site.has_value());
    Fixture fixture;
    fixture.router.get("/files/*", *site);
    fixture.router.get("/slow", [](const Request&) {
        return http::stream("text/event-stream", [](BodyWriter out) -> Task<Result<void>> {
            co_await or_return(co_await out.write("data: first\n\n"));
            co_await or_return(co_await out.flush());
            co_await or_return(co_await sleep(1h));
            co_return Result<void>();
        });
    });
    auto server = co_await serve(system, std::move(fixture.router),
                                 net_internal::on_transport(ServerOptions()));
    EXPECT_TRUE(server.has_value());
    Client client = co_await Client::connect(system, server->port());
    auto ask = [&](std::string path, std::string lines, std::string method) -> Task<Reply> {
        EXPECT_TRUE(co_await client.send(method + " " + path + " HTTP/1.1\r\nHost: a\r\n" + lines +
                                         "\r\n"));
        co_return co_await client.receive(method == "HEAD");
    };
    const std::string accepts = "Accept-Encoding: gzip\r\n";
    Reply reply = co_await ask("/large", accepts, "GET");
    EXPECT_TRUE(plain(reply.body) == words(100'000));
    EXPECT_NE(reply.head.find("Transfer-Encoding: chunked"), std::string::npos);
    reply = co_await ask("/large", accepts, "HEAD");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.head.find("Content-Length"), std::string::npos) << "nobody knows it";
    reply = co_await ask("/files/a.txt", accepts, "GET");
    EXPECT_TRUE(plain(reply.body) == words(20'000));
    EXPECT_EQ(reply.head.find("Accept-Ranges"), std::string::npos);
    reply = co_await ask("/files/a.txt", accepts + "Range: bytes=0-4\r\n", "GET");
    EXPECT_EQ(reply.status, 206);
    EXPECT_EQ(reply.body, "word ");

    EXPECT_TRUE(co_await client.send("GET /slow HTTP/1.1\r\nHost: a\r\n" + accepts + "\r\n"));
    std::string seen;
    char byte[1];
    std::string first;
    while (first.find("data: first") == std::string::npos) {
        auto got = co_await client.stream().read_some(byte);
        if (!got || *got == 0) break;
        seen += byte[0];
        // What is there of the stream can be read already.
        const std::size_t magic = seen.find("\x1f\x8b");
        if (magic == std::string::npos) continue;
        first.clear();
        static_cast<void>(gunzip(std::string_view(seen).substr(magic), 1000, first));
    }
    EXPECT_NE(first.find("data: first"), std::string::npos);
    client.close();
    auto stopped = co_await server->stop(1s);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Compressed, LeaveAsTheyAreWritten) {
    on_both_engines(3, on_the_wire);
}

}  // namespace
}  // namespace troupe::http
