// Bodies that are read as they arrive and written as they are made, seen from outside.

#include <troupe/actor/actor.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::Client;
using http_internal::get;
using http_internal::post;
using http_internal::Reply;
using http_internal::serve_on_transport;
using http_internal::stop;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

/// What a handler saw, for the test to look at. Shared by the test and its handlers.
struct Seen {
    std::size_t bytes = 0;
    bool began = false;
    std::string error;
};

/// Reads all of a body. Gives how many bytes there were, and the trailers.
Task<Response> count(Request request, BodyReader body) {
    std::size_t bytes = 0;
    std::string said = body.length() ? std::to_string(*body.length()) : "unknown";
    for (;;) {
        auto piece = co_await body.next();
        if (!piece) co_return from(piece.error());
        if (piece->empty()) break;
        bytes += piece->size();
    }
    std::string out = request.path + " " + said + " " + std::to_string(bytes);
    for (std::size_t i = 0; i < body.trailers().size(); ++i) {
        out += " ";
        out += body.trailers().at(i).name;
    }
    co_return ok(std::move(out));
}

Task<Response> refuse(Request, BodyReader) {
    co_return text(403, "not today");
}

Task<Server> start(System system, Router router, ServerOptions options = ServerOptions()) {
    return serve_on_transport(system, std::move(router), std::move(options));
}

std::string chunked_head(const std::string& path) {
    return "POST " + path + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
}

std::string chunk(std::string_view data) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + std::string(data) + "\r\n";
}

// ---- requests -----------------------------------------------------------------------------------

Task<void> pieces(System system) {
    Router router;
    router.post("/count/:id", count);
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    // Larger than any whole body may be.
    std::string large(1'500'000, 'x');
    EXPECT_EQ((co_await client.ask(post("/count/1", large))).body, "/count/1 1500000 1500000");
    EXPECT_EQ((co_await client.ask(post("/count/2", ""))).body, "/count/2 0 0");

    std::string chunks = chunked_head("/count/3");
    for (int i = 0; i < 50; ++i)
        chunks += chunk(std::string(static_cast<std::size_t>(i) * 100 + 1, 'y'));
    chunks += "0\r\nDigest: d\r\nSum: s\r\n\r\n" + post("/count/4", "z");
    EXPECT_EQ((co_await client.ask(chunks)).body, "/count/3 unknown 122550 Digest Sum");
    EXPECT_EQ((co_await client.receive()).body, "/count/4 1 1") << "what follows is not lost";
    co_await stop(server);
}

TEST(StreamedRequest, IsReadAsItArrivesWhateverItsSize) {
    on_both_engines(20, pieces);
}

Task<void> peer_waits(System system) {
    NetworkConditions conditions;
    conditions.buffer_bytes = 32 * 1024;
    set_network_conditions(system.engine(), conditions);
    auto seen = std::make_shared<Seen>();
    Router router;
    router.post("/slow", [seen](Request, BodyReader body) -> Task<Response> {
        seen->began = true;
        auto slept = co_await sleep(10s);
        if (!slept) co_return from(slept.error());
        for (auto piece = co_await body.next(); piece && !piece->empty();
             piece = co_await body.next()) {
            seen->bytes += piece->size();
        }
        co_return ok("read");
    });
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    Duration before = system.now();
    EXPECT_TRUE(co_await client.send(post("/slow", std::string(300'000, 'x'))));
    EXPECT_GE(system.now() - before, 9s) << "nobody held it for the handler";
    EXPECT_EQ((co_await client.receive()).body, "read");
    EXPECT_EQ(seen->bytes, 300'000U);
    co_await stop(server);
}

TEST(StreamedRequest, MakesThePeerWaitWhileTheHandlerDoesNotRead) {
    in_virtual_time(20, peer_waits);
}

Task<void> unread(System system) {
    Router router;
    router.post("/refuse", refuse);
    router.post("/count", count);
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await client.ask(post("/refuse", "a little"))).status, 403);
    EXPECT_EQ((co_await client.ask(chunked_head("/refuse") + chunk("abc") + "0\r\n\r\n")).status,
              403);
    EXPECT_EQ((co_await client.ask(post("/count", "abc"))).status, 200) << "a little is skipped";

    // The head of a large one is enough for the answer.
    EXPECT_TRUE(co_await client.send(
        "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nabc"));
    Reply reply = co_await client.receive();
    EXPECT_EQ(reply.status, 403);
    EXPECT_NE(reply.head.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_TRUE(co_await client.ended());
    client.close();
    co_await stop(server);
}

TEST(StreamedRequest, NeedsNotBeReadByItsHandler) {
    on_both_engines(30, unread);
}

Task<void> expectations(System system) {
    Router router;
    router.post("/count", count);
    router.post("/refuse", refuse);
    Server server = co_await start(system, std::move(router));
    std::string head = " HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    Client client = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await client.send("POST /count" + head));
    EXPECT_EQ((co_await client.receive(true)).status, 100);
    EXPECT_EQ((co_await client.ask("abc")).body, "/count 3 3");

    EXPECT_TRUE(co_await client.send("POST /refuse" + head));
    EXPECT_EQ((co_await client.receive()).status, 403) << "nobody asked for the body";
    EXPECT_TRUE(co_await client.ended()) << "whether it comes is unknown, so nothing can follow";
    client.close();

    Client lost = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await lost.send("POST /nowhere" + head));
    EXPECT_EQ((co_await lost.receive()).status, 404);
    EXPECT_TRUE(co_await lost.ended());
    lost.close();
    co_await stop(server);
}

TEST(StreamedRequest, IsAskedForOnlyWhenItsHandlerReadsIt) {
    on_both_engines(30, expectations);
}

Task<void> broken_bodies(System system) {
    auto seen = std::make_shared<Seen>();
    Router router;
    router.post("/", [seen](Request, BodyReader body) -> Task<Response> {
        auto piece = co_await body.next();
        while (piece && !piece->empty())
            piece = co_await body.next();
        seen->error = piece ? "none" : std::string(name(static_cast<Errc>(piece.error().value())));
        auto again = co_await body.next();
        EXPECT_EQ(again.has_value(), piece.has_value()) << "an error stays";
        co_return ok("whatever");
    });
    Server server = co_await start(system, std::move(router), ServerOptions().request_timeout(1s));

    Client malformed = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await malformed.ask(chunked_head("/") + "3\r\nabcd\r\n")).status, 400);
    EXPECT_EQ(seen->error, "failed");
    EXPECT_TRUE(co_await malformed.ended());
    malformed.close();

    Client slow = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await slow.ask(chunked_head("/") + "3\r\na")).status, 408);
    EXPECT_EQ(seen->error, "timed_out");
    EXPECT_TRUE(co_await slow.ended());
    slow.close();

    Client gone = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await gone.send(chunked_head("/") + "3\r\na"));
    gone.close();
    while (seen->error == "timed_out")
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    EXPECT_EQ(seen->error, "closed");
    co_await stop(server);
}

TEST(StreamedRequest, TellsItsHandlerAndThePeerWhatIsWrongWithIt) {
    in_virtual_time(50, broken_bodies);
}

Task<void> rates(System system) {
    Router router;
    router.post("/count", count);
    router.post("/whole",
                [](const Request& request) { return ok(std::to_string(request.body.size())); });
    ServerOptions options;
    options.request_timeout(2s).body_bytes_per_second_min(100);
    Server server = co_await start(system, std::move(router), options);
    for (std::string path : {"/count", "/whole"}) {
        Client steady = co_await Client::connect(system, server.port());
        EXPECT_TRUE(co_await steady.send("POST " + path +
                                         " HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n"));
        for (int i = 0; i < 20; ++i) {
            ignore(co_await sleep(1s), "a test that nobody cancels");
            EXPECT_TRUE(co_await steady.send(std::string(150, 'x')));
        }
        EXPECT_EQ((co_await steady.receive()).status, 200) << "ten times the time, but fast enough";

        Client slow = co_await Client::connect(system, server.port());
        EXPECT_TRUE(co_await slow.send("POST " + path +
                                       " HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n"));
        Duration before = system.now();
        for (int i = 0; i < 2; ++i) {
            ignore(co_await sleep(1s), "a test that nobody cancels");
            EXPECT_TRUE(co_await slow.send(std::string(20, 'x')));
        }
        EXPECT_EQ((co_await slow.receive()).status, 408);
        EXPECT_LT(system.now() - before, 3s);
        slow.close();
    }
    co_await stop(server);
}

TEST(StreamedRequest, MayTakeAsLongAsItLikesAtTheLeastRate) {
    in_virtual_time(10, rates);
}

// ---- responses ----------------------------------------------------------------------------------

/// Writes so many lines.
auto counting(int lines) {
    return [lines](BodyWriter out) -> Task<Result<void>> {
        for (int i = 0; i < lines; ++i) {
            std::string line = std::to_string(i) + "\n";
            co_await or_return(co_await out.write(line));
        }
        out.trailer("Lines", std::to_string(lines));
        co_return Result<void>();
    };
}

std::string counted(int lines) {
    std::string out;
    for (int i = 0; i < lines; ++i)
        out += std::to_string(i) + "\n";
    return out;
}

Task<void> forms(System system) {
    Router router;
    router.get("/chunks", [](const Request&) { return stream("text/plain", counting(1000)); });
    router.get("/length", [](const Request&) {
        return stream("text/plain", counting(1000)).length(counted(1000).size());
    });
    router.get("/empty", [](const Request&) { return stream("text/plain", counting(0)); });
    router.get("/large", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            co_await or_return(co_await out.write("a"));
            std::string large(200'000, 'b');
            co_await or_return(co_await out.write(large));
            co_return co_await out.write("c");
        });
    });
    router.get("/waits", [](Request) -> Task<Response> {
        ignore(co_await sleep(1ms), "a test that nobody cancels");
        co_return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            for (int i = 0; i < 3; ++i) {
                std::string line = std::to_string(i) + "\n";
                co_await or_return(co_await out.write(line));
                co_await or_return(co_await sleep(1ms));
            }
            co_return Result<void>();
        });
    });
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await client.send(get("/chunks") + get("/length") + get("/empty") +
                                     "HEAD /chunks HTTP/1.1\r\nHost: a\r\n\r\n" + get("/large") +
                                     get("/waits") + get("/none")));
    Reply chunks = co_await client.receive();
    EXPECT_EQ(chunks.body, counted(1000));
    EXPECT_EQ(chunks.trailers, "Lines: 1000\n");
    Reply length = co_await client.receive();
    EXPECT_EQ(length.body, counted(1000));
    EXPECT_EQ(length.head.find("chunked"), std::string::npos);
    Reply empty = co_await client.receive();
    EXPECT_EQ(empty.status, 200);
    EXPECT_EQ(empty.body, "");
    Reply head = co_await client.receive(true);
    EXPECT_NE(head.head.find("\r\nTransfer-Encoding: chunked\r\n"), std::string::npos);
    EXPECT_EQ((co_await client.receive()).body, "a" + std::string(200'000, 'b') + "c");
    EXPECT_EQ((co_await client.receive()).body, "0\n1\n2\n");
    EXPECT_EQ((co_await client.receive()).status, 404) << "and the order is kept";

    Client old = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await old.send("GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    std::string all = co_await old.receive_rest();
    EXPECT_EQ(all.find("Transfer-Encoding"), std::string::npos);
    EXPECT_TRUE(all.ends_with("\r\n\r\n" + counted(1000))) << "its end is the connection's";
    old.close();
    co_await stop(server);
}

TEST(StreamedResponse, GoesInChunksOrWithItsLengthOrToTheEnd) {
    on_both_engines(30, forms);
}

/// Writes one piece in each hour, and asks for nothing to leave.
Task<void> hourly(System system) {
    Router router;
    router.get("/hourly", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            for (int i = 0; i < 4; ++i) {
                co_await or_return(co_await out.write("<"));
                co_await or_return(co_await out.write(std::to_string(i)));
                co_await or_return(co_await out.write(">"));
                co_await or_return(co_await sleep(1h));
            }
            co_return Result<void>();
        });
    });
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    const Duration before = system.now();
    EXPECT_TRUE(co_await client.send(get("/hourly")));
    std::string seen;
    for (int i = 0; i < 4; ++i) {
        char byte[1];
        while (!seen.ends_with(">\r\n")) {
            const auto got = co_await client.stream().read_some(byte);
            if (!got || *got == 0) break;
            seen += byte[0];
        }
        EXPECT_NE(seen.find("1\r\n" + std::to_string(i) + "\r\n"), std::string::npos) << seen;
        EXPECT_LT(system.now() - before, i * 1h + 30min) << "it has left when the function waited";
        seen.clear();
    }
    EXPECT_EQ((co_await client.receive_rest()).substr(0, 5), "0\r\n\r\n");
    co_await stop(server);
}

TEST(StreamedResponse, LeavesWheneverItsWriterWaits) {
    in_virtual_time(20, hourly);
}

/// Waits between pieces that the peer does not take at once: what waits is sent in its order.
Task<void> slow_reader(System system) {
    constexpr int kPieces = 400;
    NetworkConditions conditions;
    conditions.buffer_bytes = 8 * 1024;
    set_network_conditions(system.engine(), conditions);
    Router router;
    router.get("/pieces", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            for (int i = 0; i < kPieces; ++i) {
                const auto size = static_cast<std::size_t>(i % 7 == 0 ? 40'000 : 10 * (i % 50));
                co_await or_return(
                    co_await out.write(std::string(size, static_cast<char>('a' + i % 26)) + "|"));
                if (i % 3 == 0) co_await or_return(co_await sleep(1ms));
            }
            co_return Result<void>();
        });
    });
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    const Reply reply = co_await client.ask(get("/pieces"));
    std::string expected;
    for (int i = 0; i < kPieces; ++i) {
        const auto size = static_cast<std::size_t>(i % 7 == 0 ? 40'000 : 10 * (i % 50));
        expected += std::string(size, static_cast<char>('a' + i % 26)) + "|";
    }
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.body == expected) << reply.body.size() << " of " << expected.size();
    co_await stop(server);
}

TEST(StreamedResponse, KeepsItsOrderWhenItsWriterAndItsPeerWait) {
    in_virtual_time(20, slow_reader);
}

Task<void> producer_waits(System system) {
    NetworkConditions conditions;
    conditions.buffer_bytes = 32 * 1024;
    set_network_conditions(system.engine(), conditions);
    auto seen = std::make_shared<Seen>();
    Router router;
    router.get("/endless", [seen](const Request&) {
        return stream("text/plain", [seen](BodyWriter out) -> Task<Result<void>> {
            std::string piece(1000, 'x');
            for (;;) {
                auto written = co_await out.write(piece);
                if (!written) {
                    seen->error = name(static_cast<Errc>(written.error().value()));
                    co_return written;
                }
                seen->bytes += piece.size();
            }
        });
    });
    Server server = co_await start(system, std::move(router), ServerOptions().write_timeout(3s));
    Client client = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await client.send(get("/endless")));
    ignore(co_await sleep(2s), "a test that nobody cancels");
    EXPECT_GT(seen->bytes, 20'000U);
    EXPECT_LT(seen->bytes, 100'000U) << "it waits for the peer";
    EXPECT_EQ(seen->error, "");
    ignore(co_await sleep(2s), "a test that nobody cancels");
    EXPECT_EQ(seen->error, "timed_out") << "and not for ever";

    seen->error.clear();
    Client leaver = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await leaver.send(get("/endless")));
    leaver.close();
    while (seen->error.empty())
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    EXPECT_EQ(seen->error, "closed");
    co_await stop(server);
}

TEST(StreamedResponse, MakesItsWriterWaitForThePeer) {
    in_virtual_time(20, producer_waits);
}

Task<void> cut_short(System system) {
    auto seen = std::make_shared<Seen>();
    Router router;
    router.get("/throws", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            co_await or_return(co_await out.write("half"));
            throw std::runtime_error("a planted crash");
        });
    });
    router.get("/throws/later", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            co_await or_return(co_await out.write("half"));
            co_await or_return(co_await sleep(1ms));
            throw 42;
        });
    });
    router.get("/fails", [](const Request&) {
        return stream("text/plain", [](BodyWriter out) -> Task<Result<void>> {
            co_await or_return(co_await out.write("half"));
            co_return error(Errc::not_found, "the rest");
        });
    });
    router.get("/short", [](const Request&) {
        return stream("text/plain",
                      [](BodyWriter out) -> Task<Result<void>> {
                          co_return co_await out.write("half");
                      })
            .length(100);
    });
    router.get("/long", [seen](const Request&) {
        return stream("text/plain",
                      [seen](BodyWriter out) -> Task<Result<void>> {
                          co_await or_return(co_await out.write("half"));
                          auto written = co_await out.write("too much");
                          seen->error = written ? "none" : "refused";
                          co_return Result<void>();
                      })
            .length(5);
    });
    router.get("/hello", [](const Request&) { return ok("hello"); });
    Server server = co_await start(system, std::move(router));
    for (std::string path : {"/throws", "/throws/later", "/fails", "/short", "/long"}) {
        Client client = co_await Client::connect(system, server.port());
        EXPECT_TRUE(co_await client.send(get(path) + get("/hello")));
        std::string all = co_await client.receive_rest();
        EXPECT_TRUE(all.starts_with("HTTP/1.1 200 OK\r\n")) << path;
        EXPECT_EQ(all.find("HTTP/1.1", 1), std::string::npos) << "no second status line: " << path;
        EXPECT_NE(all.find("half"), std::string::npos) << path;
        EXPECT_FALSE(all.ends_with("0\r\n\r\n")) << "nobody can take it for the whole: " << path;
        client.close();
    }
    EXPECT_EQ(seen->error, "refused");
    Client client = co_await Client::connect(system, server.port());
    EXPECT_EQ((co_await client.ask(get("/hello"))).body, "hello") << "nobody else is hurt";
    co_await stop(server);
}

TEST(StreamedResponse, ThatIsCutShortEndsItsConnectionAndNothingElse) {
    on_both_engines(30, cut_short);
}

// ---- without a server ---------------------------------------------------------------------------

Task<void> by_hand(System) {
    Router router;
    router.post("/count", count);
    router.get("/lines", [](const Request&) { return stream("text/plain", counting(3)); });
    Request request;
    request.method = "POST";
    request.path = "/count";
    request.body = "abc";
    request.trailers().add("Sum", "1");
    EXPECT_EQ((co_await router.handle(std::move(request))).body(), "/count 3 3 Sum");
    Request lines;
    lines.path = "/lines";
    auto text = co_await whole_body(co_await router.handle(std::move(lines)));
    EXPECT_TRUE(text && *text == "0\n1\n2\n");
}

TEST(StreamedBodies, CanBeTestedWithoutAServer) {
    on_both_engines(1, by_hand);
}

}  // namespace
}  // namespace troupe::http
