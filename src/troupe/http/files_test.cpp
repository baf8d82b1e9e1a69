// Files as clients get them: on sockets they are sent by the machine, in memory and over TLS they
// are read.

#include <troupe/actor/actor.hpp>
#include <troupe/http/files.hpp>
#include <troupe/http/internal/http_date.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_folder.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/internal/test_descriptors.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/net/internal/test_transport.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::Client;
using http_internal::http_date;
using http_internal::Reply;
using http_internal::test_bytes;
using http_internal::TestFolder;
using io_internal::NoDescriptors;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

constexpr std::size_t kLarge = 300'000;  // several pieces, and more than a connection gathers
constexpr std::int64_t kModified = 1'700'000'000;

/// A folder with what the tests ask for.
std::shared_ptr<TestFolder> make_folder() {
    auto folder = std::make_shared<TestFolder>();
    folder->write("a.txt", "0123456789");
    folder->write("empty.css", "");
    folder->write("sub/index.html", "<p>index");
    folder->write("sub/a b%.txt", "odd");
    folder->write("bare/x", "x");
    folder->write(".secret", "s");
    folder->write("large.bin", test_bytes(kLarge));
    folder->write("page.html", "a page");
    folder->write("page.html.gz", "(as if compressed)");
    folder->link("a.txt", "link.txt");
    for (const char* name : {"a.txt", "large.bin", "page.html"}) {
        const timespec times[2] = {{kModified, 0}, {kModified, 5}};
        EXPECT_EQ(::utimensat(AT_FDCWD, (folder->path() + "/" + name).c_str(), times, 0), 0);
    }
    return folder;
}

/// A server for a folder, and one client of it.
class Site {
public:
    static Task<std::unique_ptr<Site>> open(System system, FileOptions options = FileOptions()) {
        auto site = std::make_unique<Site>();
        site->folder = make_folder();
        Result<Files> handler = files(site->folder->path(), std::move(options));
        EXPECT_TRUE(handler.has_value()) << handler.error().message();
        Router router;
        router.any("/s/*", *handler);
        const std::string alone = site->folder->path() + "/a.txt";
        router.get("/alone", [alone](Request request) { return file(std::move(request), alone); });
        router.get("/gone", [](Request request) { return file(std::move(request), "/no/such"); });
        auto server =
            co_await serve(system, std::move(router), net_internal::on_transport(ServerOptions()));
        EXPECT_TRUE(server.has_value()) << server.error().message();
        site->server = std::make_unique<Server>(*server);
        Client client = co_await Client::connect(system, server->port());
        site->client = std::make_unique<Client>(std::move(client));
        co_return site;
    }

    Task<Reply> ask(std::string path, std::string lines = std::string(),
                    std::string method = "GET") {
        EXPECT_TRUE(co_await client->send(method + " " + path + " HTTP/1.1\r\nHost: a\r\n" + lines +
                                          "\r\n"));
        co_return co_await client->receive(method == "HEAD");
    }

    Task<void> close() {
        client->close();
        auto stopped = co_await server->stop(1s);
        EXPECT_TRUE(stopped.has_value());
    }

    std::shared_ptr<TestFolder> folder;
    std::unique_ptr<Server> server;
    std::unique_ptr<Client> client;
};

/// The value of a line of a reply's head; empty when there is none.
std::string line(const Reply& reply, const std::string& name) {
    const std::size_t at = reply.head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return std::string();
    const std::size_t begin = at + name.size() + 4;
    return reply.head.substr(begin, reply.head.find("\r\n", begin) - begin);
}

Task<void> plain_files(System system) {
    auto site = co_await Site::open(system, FileOptions().cache_control("max-age=60"));
    Reply reply = co_await site->ask("/s/a.txt");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "0123456789");
    EXPECT_EQ(line(reply, "Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(line(reply, "Content-Length"), "10");
    EXPECT_EQ(line(reply, "Last-Modified"), http_date(kModified));
    EXPECT_EQ(line(reply, "Accept-Ranges"), "bytes");
    EXPECT_EQ(line(reply, "Cache-Control"), "max-age=60");
    const std::string tag = line(reply, "ETag");
    EXPECT_TRUE(tag.starts_with('"') && tag.ends_with('"')) << tag;

    reply = co_await site->ask("/s/large.bin");
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.body == test_bytes(kLarge));
    EXPECT_EQ(line(reply, "Content-Type"), "application/octet-stream");
    EXPECT_NE(line(reply, "ETag"), tag);

    reply = co_await site->ask("/s/empty.css");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(line(reply, "Content-Length"), "0");
    EXPECT_EQ(line(reply, "Content-Type"), "text/css; charset=utf-8");

    reply = co_await site->ask("/s/large.bin", "", "HEAD");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(line(reply, "Content-Length"), std::to_string(kLarge));

    reply = co_await site->ask("/alone");
    EXPECT_EQ(reply.body, "0123456789");
    EXPECT_EQ(line(reply, "ETag"), tag);
    EXPECT_EQ((co_await site->ask("/gone")).status, 404);
    co_await site->close();
}

TEST(Files, AreSentWithWhatIsKnownOfThem) {
    on_both_engines(10, plain_files);
}

Task<void> elsewhere(System system) {
    auto site = co_await Site::open(system);
    // Each as a client may write it that does not tidy paths up.
    for (const char* path : {"/s/../a.txt",
                             "/s/sub/../a.txt",
                             "/s/%2e%2e/a.txt",
                             "/s/sub/%2e%2e/a.txt",
                             "/s/..%2fa.txt",
                             "/s/sub%2findex.html",
                             "/s/sub%2Findex.html",
                             "/s//a.txt",
                             "/s/./a.txt",
                             "/s/a.txt/",
                             "/s//etc/passwd",
                             "/s/%2fetc%2fpasswd",
                             "/s/..%5ca.txt",
                             "/s/%252e%252e/x",
                             "/s/.secret",
                             "/s/%2esecret",
                             "/s/link.txt",
                             "/s/sub",
                             "/s/sub/",
                             "/s/",
                             "/s/bare",
                             "/s/nothing",
                             "/s/a.txt/x",
                             "/s/%0a",
                             "/s/a.txt%20"}) {
        EXPECT_EQ((co_await site->ask(path)).status, 404) << path;
    }
    EXPECT_EQ((co_await site->ask("/s/a.txt%00.html")).status, 400);
    co_await site->client->ended();
    co_await site->close();
}

TEST(Files, ThatLieElsewhereAreNotFound) {
    on_both_engines(3, elsewhere);
}

Task<void> odd_names(System system) {
    auto site = co_await Site::open(system, FileOptions().hidden().symbolic_links());
    EXPECT_EQ((co_await site->ask("/s/sub/a%20b%25.txt")).body, "odd");
    EXPECT_EQ((co_await site->ask("/s/.secret")).body, "s");
    EXPECT_EQ((co_await site->ask("/s/link.txt")).body, "0123456789");
    EXPECT_EQ((co_await site->ask("/s/../a.txt")).status, 404);
    co_await site->close();
}

TEST(Files, MayHaveOddNames) {
    on_both_engines(3, odd_names);
}

Task<void> folders(System system) {
    auto site = co_await Site::open(system, FileOptions().index("index.html"));
    EXPECT_EQ((co_await site->ask("/s/sub/")).body, "<p>index");
    Reply reply = co_await site->ask("/s/sub?a=b");
    EXPECT_EQ(reply.status, 308);
    EXPECT_EQ(line(reply, "Location"), "./sub/?a=b");
    EXPECT_EQ((co_await site->ask("/s/bare/")).status, 404);
    EXPECT_EQ((co_await site->ask("/s/bare")).status, 404);
    EXPECT_EQ((co_await site->ask("/s/")).status, 404) << "there is no index";
    co_await site->close();
}

TEST(Files, OfAFolderAreItsIndexAndNeverAList) {
    on_both_engines(3, folders);
}

Task<void> methods(System system) {
    auto site = co_await Site::open(system);
    for (const char* method : {"POST", "PUT", "DELETE"}) {
        const Reply reply = co_await site->ask("/s/a.txt", "Content-Length: 0\r\n", method);
        EXPECT_EQ(reply.status, 405);
        EXPECT_EQ(line(reply, "Allow"), "GET, HEAD");
    }
    co_await site->close();
}

TEST(Files, AreOnlyGiven) {
    on_both_engines(3, methods);
}

Task<void> conditions(System system) {
    auto site = co_await Site::open(system, FileOptions().cache_control("no-cache"));
    const std::string tag = line(co_await site->ask("/s/a.txt"), "ETag");
    Reply reply = co_await site->ask("/s/a.txt", "If-None-Match: " + tag + "\r\n");
    EXPECT_EQ(reply.status, 304);
    EXPECT_EQ(reply.body, "");
    EXPECT_EQ(line(reply, "ETag"), tag);
    EXPECT_EQ(line(reply, "Cache-Control"), "no-cache");
    EXPECT_EQ(line(reply, "Content-Length"), "");
    reply = co_await site->ask("/s/a.txt", "If-None-Match: " + tag + "\r\n", "HEAD");
    EXPECT_EQ(reply.status, 304);
    reply = co_await site->ask("/s/a.txt", "If-Modified-Since: " + http_date(kModified) + "\r\n");
    EXPECT_EQ(reply.status, 304);
    reply =
        co_await site->ask("/s/a.txt", "If-Modified-Since: " + http_date(kModified - 1) + "\r\n");
    EXPECT_EQ(reply.status, 200);
    reply = co_await site->ask("/s/a.txt", "If-Match: \"other\"\r\n");
    EXPECT_EQ(reply.status, 412);
    site->folder->write("a.txt", "changed");
    reply = co_await site->ask("/s/a.txt", "If-None-Match: " + tag + "\r\n");
    EXPECT_EQ(reply.body, "changed");
    co_await site->close();
}

TEST(Files, AreNotSentToWhoHasThem) {
    on_both_engines(5, conditions);
}

Task<void> ranges(System system) {
    auto site = co_await Site::open(system);
    const std::string large = test_bytes(kLarge);
    Reply reply = co_await site->ask("/s/a.txt", "Range: bytes=2-4\r\n");
    EXPECT_EQ(reply.status, 206);
    EXPECT_EQ(reply.body, "234");
    EXPECT_EQ(line(reply, "Content-Range"), "bytes 2-4/10");
    EXPECT_EQ(line(reply, "Content-Type"), "text/plain; charset=utf-8");
    const std::string tag = line(reply, "ETag");
    reply = co_await site->ask("/s/large.bin", "Range: bytes=1000-200999\r\n");
    EXPECT_TRUE(reply.body == large.substr(1000, 200'000));
    reply = co_await site->ask("/s/large.bin", "Range: bytes=-7\r\n");
    EXPECT_TRUE(reply.body == large.substr(kLarge - 7));

    reply = co_await site->ask("/s/a.txt", "Range: bytes=10-\r\n");
    EXPECT_EQ(reply.status, 416);
    EXPECT_EQ(line(reply, "Content-Range"), "bytes */10");
    reply = co_await site->ask("/s/a.txt", "Range: bytes=5-4\r\n");
    EXPECT_EQ(reply.status, 200) << "malformed is none";
    reply = co_await site->ask("/s/a.txt", "Range: bytes=0-,0-,0-\r\n");
    EXPECT_EQ(reply.status, 200);
    reply = co_await site->ask("/s/a.txt", "Range: bytes=2-4\r\nIf-Range: " + tag + "\r\n");
    EXPECT_EQ(reply.status, 206);
    reply = co_await site->ask("/s/a.txt", "Range: bytes=2-4\r\nIf-Range: \"old\"\r\n");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "0123456789");
    reply = co_await site->ask("/s/a.txt", "Range: bytes=2-4\r\nIf-None-Match: " + tag + "\r\n");
    EXPECT_EQ(reply.status, 304);
    reply = co_await site->ask("/s/a.txt", "Range: bytes=2-4\r\n", "HEAD");
    EXPECT_EQ(reply.status, 200) << "ranges are of GET";
    reply = co_await site->ask("/s/empty.css", "Range: bytes=0-\r\n");
    EXPECT_EQ(reply.status, 200);
    co_await site->close();
}

TEST(Files, AreSentInRanges) {
    on_both_engines(5, ranges);
}

Task<void> several_ranges(System system) {
    auto site = co_await Site::open(system);
    const std::string large = test_bytes(kLarge);
    Reply reply = co_await site->ask("/s/large.bin", "Range: bytes=200000-,0-99,500-100499\r\n");
    EXPECT_EQ(reply.status, 206);
    const std::string type = line(reply, "Content-Type");
    const std::string_view prefix = "multipart/byteranges; boundary=";
    EXPECT_TRUE(type.starts_with(prefix)) << type;
    const std::string boundary = "--" + type.substr(prefix.size());
    std::string wanted;
    for (auto [first, size] : {std::pair{200'000, 100'000}, {0, 100}, {500, 100'000}}) {
        wanted += (wanted.empty() ? "" : "\r\n") + boundary +
                  "\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes " +
                  std::to_string(first) + "-" + std::to_string(first + size - 1) + "/" +
                  std::to_string(kLarge) + "\r\n\r\n" +
                  large.substr(static_cast<std::size_t>(first), static_cast<std::size_t>(size));
    }
    wanted += "\r\n" + boundary + "--\r\n";
    EXPECT_TRUE(reply.body == wanted);
    EXPECT_EQ(line(reply, "Content-Length"), std::to_string(wanted.size()));
    EXPECT_EQ(line(reply, "Content-Range"), "");
    co_await site->close();
}

TEST(Files, AreSentInSeveralRangesAsParts) {
    on_both_engines(5, several_ranges);
}

Task<void> compressed_before(System system) {
    auto site = co_await Site::open(system, FileOptions().precompressed());
    Reply reply = co_await site->ask("/s/page.html", "Accept-Encoding: br, gzip\r\n");
    EXPECT_EQ(reply.body, "(as if compressed)");
    EXPECT_EQ(line(reply, "Content-Encoding"), "gzip");
    EXPECT_EQ(line(reply, "Content-Type"), "text/html; charset=utf-8");
    EXPECT_EQ(line(reply, "Vary"), "Accept-Encoding");
    const std::string tag = line(reply, "ETag");
    reply = co_await site->ask("/s/page.html", "Accept-Encoding: gzip;q=0\r\n");
    EXPECT_EQ(reply.body, "a page");
    EXPECT_EQ(line(reply, "Content-Encoding"), "");
    EXPECT_EQ(line(reply, "Vary"), "Accept-Encoding");
    EXPECT_NE(line(reply, "ETag"), tag);
    reply = co_await site->ask("/s/a.txt", "Accept-Encoding: gzip\r\n");
    EXPECT_EQ(reply.body, "0123456789") << "there is only the plain one";
    co_await site->close();
}

TEST(Files, MayLieThereCompressed) {
    on_both_engines(3, compressed_before);
}

Task<void> shrinking(System system) {
    // The peer takes little at first, and meanwhile the file becomes shorter.
    NetworkConditions conditions;
    conditions.buffer_bytes = 16 * 1024;
    if (system.engine().deterministic()) set_network_conditions(system.engine(), conditions);
    auto site = co_await Site::open(system);
    const std::string path = site->folder->write("shrinks.bin", test_bytes(20'000'000));
    EXPECT_TRUE(co_await site->client->send("GET /s/shrinks.bin HTTP/1.1\r\nHost: a\r\n\r\n"));
    char first[1];
    auto got = co_await site->client->stream().read_some(first);
    EXPECT_TRUE(got.has_value() && *got == 1);
    std::filesystem::resize_file(path, 10'000'000);
    const std::string rest = co_await site->client->receive_rest();
    const std::size_t head = rest.find("\r\n\r\n");
    EXPECT_NE(rest.find("\r\nContent-Length: 20000000\r\n"), std::string::npos);
    EXPECT_LE(rest.size() - head - 4, 10'000'000u) << "nothing was made up, and the end is known";
    EXPECT_TRUE(test_bytes(20'000'000).starts_with(std::string_view(rest).substr(head + 4)));
    co_await site->close();
}

TEST(Files, ThatBecomeShorterMeanwhileEndTheirConnection) {
    on_both_engines(1, shrinking);
}

Task<void> out_of_descriptors(System system) {
    auto site = co_await Site::open(system);
    EXPECT_EQ((co_await site->ask("/s/a.txt")).status, 200);
    // The last answer's file may be closed only now, and its descriptor be the one that is free.
    Reply reply;
    for (int tries = 0; tries < 10 && reply.status != 503; ++tries) {
        const NoDescriptors none;
        reply = co_await site->ask("/s/a.txt");
    }
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(line(reply, "Retry-After"), "1");
    EXPECT_EQ((co_await site->ask("/s/a.txt")).status, 200);
    co_await site->close();
}

TEST(Files, WaitForBetterTimesWithoutDescriptors) {
    on_both_engines(2, out_of_descriptors);
}

TEST(Files, NeedAFolder) {
    const TestFolder folder;
    const Result<Files> missing = files(folder.path() + "/nothing");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error(), Errc::not_found);
    EXPECT_NE(missing.error().text().find("/nothing: No such file"), std::string::npos);
    const Result<Files> no_folder = files(folder.write("file", "x"));
    ASSERT_FALSE(no_folder.has_value());
    EXPECT_NE(no_folder.error().text().find("Not a directory"), std::string::npos);
}

}  // namespace
}  // namespace troupe::http
