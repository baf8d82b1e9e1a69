#include <troupe/actor/actor.hpp>
#include <troupe/http/access_log.hpp>
#include <troupe/http/events.hpp>
#include <troupe/http/internal/test_client.hpp>
#include <troupe/http/internal/test_server.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/channel.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::http {
namespace {

using namespace std::chrono_literals;
using http_internal::Client;
using http_internal::get;
using http_internal::serve_on_transport;
using http_internal::stop;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

TEST(Event, IsWrittenLineByLine) {
    EXPECT_EQ(Event("hello").text(), "data: hello\n\n");
    EXPECT_EQ(Event("a\nb\r\nc\rd\n").text(), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
    EXPECT_EQ(Event("x").name("tick").id("7").retry(1500ms).text(),
              "id: 7\nevent: tick\nretry: 1500\ndata: x\n\n");
    EXPECT_EQ(Event("").id("").text(), "id: \ndata: \n\n");
}

TEST(Event, HasNoSecondLineInItsNameOrId) {
    EXPECT_EQ(Event("x").name("a\ndata: evil").id(std::string("1\r\n\0", 4)).text(),
              "id: 1   \nevent: a data: evil\ndata: x\n\n");
}

TEST(Event, KnowsWhatWasSeenBefore) {
    Request request;
    EXPECT_EQ(last_event_id(request), "");
    request.add_header("last-event-id", "42");
    EXPECT_EQ(last_event_id(request), "42");
}

/// Hands out the sending half of each stream's channel, and hears of their ends.
struct Desk {
    std::unique_ptr<Sender<Event>> sender;
    std::string error;
    std::atomic<bool> ended{false};  // written after `error`, and read while events are sent
};

Task<Server> start(System system, Router router) {
    return serve_on_transport(system, std::move(router));
}

/// Reads until `text` has come, and gives all up to there, without the sizes of chunks.
Task<std::string> read_up_to(Client* client, std::string text) {
    std::string seen;
    char byte[1];
    while (!seen.ends_with(text)) {
        auto got = co_await client->stream().read_some(byte);
        if (!got || *got == 0) break;
        seen += byte[0];
    }
    co_return seen;
}

/// A connection ends when its client has left and the response does not go on.
Task<void> until_nobody_is_connected(Server server) {
    for (;;) {
        const auto stats = co_await server.stats();
        if (!stats || stats->open == 0) co_return;
        ignore(co_await sleep(1ms), "a test that nobody cancels");
    }
}

Task<void> channel_events(System system) {
    auto desk = std::make_shared<Desk>();
    Router router;
    router.get("/events", [desk](Request request) -> Task<Response> {
        auto [sender, receiver] = channel<Event>(2);
        desk->sender = std::make_unique<Sender<Event>>(std::move(sender));
        auto first = co_await desk->sender->send(Event(std::string(last_event_id(request))));
        EXPECT_TRUE(first.has_value());
        co_return events(std::move(receiver));
    });
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    EXPECT_TRUE(
        co_await client.send("GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 41\r\n\r\n"));
    const std::string head = co_await read_up_to(&client, "data: 41\n\n\r\n");
    EXPECT_NE(head.find("\r\nContent-Type: text/event-stream\r\n"), std::string::npos) << head;
    EXPECT_NE(head.find("\r\nCache-Control: no-cache\r\n"), std::string::npos);
    for (int i = 0; i < 5; ++i) {
        auto sent = co_await desk->sender->send(Event(std::to_string(i)));
        EXPECT_TRUE(sent.has_value());
        const std::string text = co_await read_up_to(&client, "\n\n\r\n");
        EXPECT_NE(text.find("data: " + std::to_string(i) + "\n\n"), std::string::npos)
            << "each leaves at once: " << text;
    }
    desk->sender->close();
    EXPECT_EQ(co_await read_up_to(&client, "0\r\n\r\n"), "0\r\n\r\n");
    client.close();
    co_await stop(server);
}

TEST(Events, ComeThroughAChannelAsTheyAreSent) {
    on_both_engines(10, channel_events);
}

Task<void> leaving(System system) {
    auto desk = std::make_shared<Desk>();
    Router router;
    router.get("/events", [desk](Request) -> Task<Response> {
        auto [sender, receiver] = channel<Event>(2);
        desk->sender = std::make_unique<Sender<Event>>(std::move(sender));
        auto sent = co_await desk->sender->send(Event("hello"));
        EXPECT_TRUE(sent.has_value());
        co_return events(std::move(receiver), 1h);
    });
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await client.send(get("/events")));
    EXPECT_NE((co_await read_up_to(&client, "hello\n\n\r\n")).find("hello"), std::string::npos);
    client.close();
    // Nothing is sent any more, no keep-alive is due for an hour, and the connection ends with the
    // response.
    co_await until_nobody_is_connected(server);
    auto sent = co_await desk->sender->send(Event("nobody hears it"));
    EXPECT_EQ(sent.error(), Errc::closed);
    co_await stop(server);
}

TEST(Events, EndWhenTheClientLeaves) {
    on_both_engines(10, leaving);
}

Task<void> function_events(System system) {
    auto desk = std::make_shared<Desk>();
    Router router;
    router.get("/events", [desk](Request) {
        return events([desk](EventWriter out) -> Task<Result<void>> {
            for (int i = 0; i < 3; ++i)
                co_await or_return(co_await out.send(Event(std::to_string(i))));
            co_await or_return(co_await out.keep_alive());
            auto slept = co_await sleep(1h);
            desk->error = slept ? "" : slept.error().message();
            desk->ended = true;
            co_return slept;
        });
    });
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    EXPECT_TRUE(co_await client.send(get("/events") + get("/events")));
    EXPECT_NE((co_await read_up_to(&client, ":\n\n\r\n")).find("data: 2\n\n"), std::string::npos);
    EXPECT_FALSE(desk->ended) << "a request behind it is no end";
    client.close();
    co_await until_nobody_is_connected(server);
    EXPECT_TRUE(desk->ended);
    EXPECT_NE(desk->error.find("cancelled"), std::string::npos) << desk->error;
    co_await stop(server);
}

/// The same behind the access log, which counts what is written.
Task<void> events_that_are_logged(System system) {
    auto desk = std::make_shared<Desk>();
    auto lines = std::make_shared<std::string>();
    Router router;
    router.use(access_log(
        AccessLogOptions().sink([lines](std::string_view text) { lines->append(text); })));
    router.get("/events", [desk](Request) {
        return events([desk](EventWriter out) -> Task<Result<void>> {
            for (int i = 0; i < 3; ++i) {
                co_await or_return(co_await sleep(1s));
                co_await or_return(co_await out.send(Event(std::to_string(i))));
            }
            auto slept = co_await sleep(1h);
            desk->ended = true;
            co_return slept;
        });
    });
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    const Duration before = system.now();
    EXPECT_TRUE(co_await client.send(get("/events")));
    EXPECT_NE((co_await read_up_to(&client, "data: 2\n\n\r\n")).find("data: 0"), std::string::npos);
    EXPECT_LT(system.now() - before, 4s) << "each leaves when it is sent";
    client.close();
    co_await until_nobody_is_connected(server);
    EXPECT_LT(system.now() - before, 30min) << "the function hears that its client has left";
    EXPECT_TRUE(desk->ended);
    co_await stop(server);
}

/// Streams that would go on for an hour: one waits for its channel, one for the time, and one for
/// what no stop of an actor would end.
Task<void> events_of_a_server_that_stops(System system) {
    auto desk = std::make_shared<Desk>();
    auto [sender, receiver] = channel<int>(1);
    auto never = std::make_shared<Receiver<int>>(std::move(receiver));
    Router router;
    router.get("/channel", [desk](Request) -> Task<Response> {
        auto [out, in] = channel<Event>(2);
        desk->sender = std::make_unique<Sender<Event>>(std::move(out));
        auto sent = co_await desk->sender->send(Event("first"));
        EXPECT_TRUE(sent.has_value());
        co_return events(std::move(in), 1h);
    });
    router.get("/sleeps", [](Request) {
        return events([](EventWriter out) -> Task<Result<void>> {
            co_await or_return(co_await out.send(Event("first")));
            co_return co_await sleep(1h);
        });
    });
    router.get("/receives", [desk, never](Request) {
        return events([desk, never](EventWriter out) -> Task<Result<void>> {
            co_await or_return(co_await out.send(Event("first")));
            auto received = co_await never->receive();
            desk->error = received ? "" : received.error().message();
            desk->ended = true;
            co_return Result<void>();
        });
    });
    Server server = co_await start(system, std::move(router));
    std::vector<Client> clients;
    for (const char* path : {"/channel", "/sleeps", "/receives"}) {
        clients.push_back(co_await Client::connect(system, server.port()));
        EXPECT_TRUE(co_await clients.back().send(get(path)));
        EXPECT_NE((co_await read_up_to(&clients.back(), "first\n\n\r\n")).find("200 OK"),
                  std::string::npos);
    }
    const Duration before = system.now();
    EXPECT_TRUE((co_await server.stop(1h)).has_value());
    EXPECT_LT(system.now() - before, 30min);
    for (Client& client : clients) {
        const std::string rest = co_await client.receive_rest();
        EXPECT_EQ(rest, "0\r\n\r\n") << "a proper end";
    }
    EXPECT_TRUE(desk->ended);
    EXPECT_NE(desk->error.find("the server stops"), std::string::npos) << desk->error;
    EXPECT_EQ((co_await desk->sender->send(Event("late"))).error(), Errc::closed);
}

TEST(Events, EndProperlyWhenTheServerStops) {
    on_both_engines(10, events_of_a_server_that_stops);
}

TEST(Events, LeaveAtOnceAndEndWithTheirClientAlsoBehindAnAccessLog) {
    in_virtual_time(10, events_that_are_logged);
}

TEST(Events, AreWrittenByAFunctionThatEndsWithItsClient) {
    on_both_engines(10, function_events);
}

Task<void> keeping_alive(System system) {
    Router router;
    auto desk = std::make_shared<Desk>();
    router.get("/events", [desk](Request) -> Response {
        auto [sender, receiver] = channel<Event>(2);
        desk->sender = std::make_unique<Sender<Event>>(std::move(sender));
        return events(std::move(receiver), 10s);
    });
    Server server = co_await start(system, std::move(router));
    Client client = co_await Client::connect(system, server.port());
    const Duration before = system.now();
    EXPECT_TRUE(co_await client.send(get("/events")));
    for (int i = 1; i <= 3; ++i) {
        EXPECT_NE((co_await read_up_to(&client, ":\n\n\r\n")).find(":\n\n"), std::string::npos);
        EXPECT_GE(system.now() - before, i * 10s);
        EXPECT_LT(system.now() - before, i * 10s + 5s);
    }
    client.close();
    co_await stop(server);
}

TEST(Events, SayThatTheyGoOn) {
    in_virtual_time(10, keeping_alive);
}

}  // namespace
}  // namespace troupe::http
