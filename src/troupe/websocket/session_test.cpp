#include <troupe/actor/actor.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/websocket/internal/test_peer.hpp>
#include <troupe/websocket/room.hpp>
#include <troupe/websocket/session.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::websocket {
namespace {

using namespace std::chrono_literals;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;
using namespace websocket_internal;

Task<void> converse(Session peer, Ref<Log> log, Ref<Room> room) {
    log.tell<&Log::note>("open " + peer.request().path);
    room.tell<&Room::join>(peer.member("me"));
    for (;;) {
        std::optional<Message> message = co_await peer.next();
        if (!message) break;
        if (message->data == "crash") throw std::runtime_error("a planted crash");
        if (message->data == "enough") co_return;
        if (message->data == "ask") {
            const Result<std::size_t> size = co_await room.ask<&Room::size>();
            peer.send_text("size " + std::to_string(size.value_or(99)));
            continue;
        }
        if (message->data == "pair") {
            // Two messages, one of which is awaited in a coroutine of its own.
            std::optional<Message> second = co_await peer.next();
            peer.send_text("then " + (second ? second->data : "nothing"));
            continue;
        }
        peer.send(*message);
    }
    log.tell<&Log::note>("end " + std::to_string(peer.close_code()) + " " +
                         std::string(peer.close_reason()));
}

struct Parlour {
    http::Server server;
    Ref<Log> log;
    Ref<Room> room;
};

Task<Parlour> open_parlour(System system) {
    Ref<Log> log = system.spawn<Log>();
    Ref<Room> room = system.spawn<Room>();
    http::Router router;
    auto talk = [log, room](Session peer) { return converse(peer, log, room); };
    router.get("/talk", session(talk));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    co_return Parlour{*server, log, room};
}

Task<std::string> told(Parlour parlour) {
    for (int i = 0; i < 100'000; ++i) {
        Result<net::ServeStats> open = co_await parlour.server.stats();
        if (open && open->open == 0) break;
        Result<void> slept = co_await sleep(1ms);
        if (!slept) break;
    }
    Result<std::string> text = co_await parlour.log.ask<&Log::text>();
    co_return text.value_or("no log");
}

Task<void> conversation(System system) {
    Parlour parlour = co_await open_parlour(system);
    Peer peer = co_await Peer::open(system, parlour.server.port(), "/talk");
    EXPECT_EQ(co_await peer.ask(text_frame("hello")), "text hello");
    EXPECT_EQ(co_await peer.ask(binary_frame("\xFF")), "binary \xFF");
    const bool sent = co_await peer.send(text_frame("ask") + text_frame("1") + text_frame("pair") +
                                         text_frame("2") + text_frame("ask") + text_frame("3"));
    EXPECT_TRUE(sent);
    EXPECT_EQ(co_await peer.receive(), "text size 1");
    EXPECT_EQ(co_await peer.receive(), "text 1");
    EXPECT_EQ(co_await peer.receive(), "text then 2");
    EXPECT_EQ(co_await peer.receive(), "text size 1");
    EXPECT_EQ(co_await peer.receive(), "text 3");
    // While the coroutine waits for a message, the actor handles what a room sends it.
    parlour.room.tell<&Room::broadcast_text>(std::string("to all"));
    EXPECT_EQ(co_await peer.receive(), "text to all");
    EXPECT_EQ(co_await peer.ask(close_frame(4001, "bye")), "close 4001 ");
    EXPECT_EQ(co_await told(parlour), "open /talk\nend 4001 bye\n");
    Result<void> stopped = co_await parlour.server.stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Session, AwaitsOneMessageAfterTheOther) {
    on_both_engines(200, conversation);
}

Task<void> ends(System system) {
    Parlour parlour = co_await open_parlour(system);
    Peer enough = co_await Peer::open(system, parlour.server.port(), "/talk");
    EXPECT_EQ(co_await enough.ask(text_frame("enough")), "close 1000 ");
    const bool agreed = co_await enough.send(close_frame(1000));
    EXPECT_TRUE(agreed);
    EXPECT_EQ(co_await enough.receive(), "end");

    const std::uint64_t before = system.crashes();
    Peer crash = co_await Peer::open(system, parlour.server.port(), "/talk");
    const std::string close = co_await crash.ask(text_frame("ask") + text_frame("crash"));
    EXPECT_TRUE(close.starts_with("text size ")) << close;
    const std::string failed = co_await crash.receive();
    EXPECT_TRUE(failed.starts_with("close ")) << failed;
    EXPECT_EQ(co_await crash.ask(close_frame(1000)), "end");
    EXPECT_EQ(co_await told(parlour), "open /talk\nopen /talk\n");
    EXPECT_EQ(system.crashes(), before + 1);
    Result<void> stopped = co_await parlour.server.stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Session, EndsTheConnectionWithItsCoroutine) {
    on_both_engines(100, ends);
}

/// Waits for something else before each message, so that it is parked by a turn that is not its
/// handler's; and at its end, when nothing may be left of it that is still looked at.
Task<void> distracted(Session peer, Ref<Log> log) {
    for (;;) {
        ignore(co_await sleep(1ms), "then it is the sooner");
        std::optional<Message> message = co_await peer.next();
        const Result<std::vector<std::string>> lines = co_await log.ask<&Log::lines>();
        if (!message || message->data == "leave") break;
        peer.send_text(message->data + " " + std::to_string(lines ? lines->size() : 99));
    }
    ignore(co_await sleep(1ms), "then it is the sooner");
    log.tell<&Log::note>("end");
}

Task<void> waiting_between(System system) {
    Ref<Log> log = system.spawn<Log>();
    http::Router router;
    auto talk = [log](Session peer) { return distracted(peer, log); };
    router.get("/talk", session(talk));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    Peer peer = co_await Peer::open(system, server->port(), "/talk");
    std::string frames;
    for (int i = 0; i < 10; ++i)
        frames += text_frame(std::to_string(i));
    const bool sent = co_await peer.send(frames);
    EXPECT_TRUE(sent);
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(co_await peer.receive(), "text " + std::to_string(i) + " 0");
    EXPECT_EQ(co_await peer.ask(text_frame("leave")), "close 1000 ");
    peer.stream().close();
    Peer broken = co_await Peer::open(system, server->port(), "/talk");
    EXPECT_EQ(co_await broken.ask(text_frame("hello")), "text hello 1");
    const bool more = co_await broken.send(text_frame("and"));
    EXPECT_TRUE(more);
    broken.stream().close();
    Peer cut_off = co_await Peer::open(system, server->port(), "/talk");
    const bool last = co_await cut_off.send(text_frame("1") + text_frame("2") + text_frame("3"));
    EXPECT_TRUE(last);
    Result<void> stopped = co_await server->stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

TEST(Session, MayWaitForAnythingBetweenItsMessages) {
    on_both_engines(300, waiting_between);
}

Task<void> stopped_while_waiting(System system) {
    Parlour parlour = co_await open_parlour(system);
    Peer peer = co_await Peer::open(system, parlour.server.port(), "/talk");
    EXPECT_EQ(co_await peer.ask(text_frame("hello")), "text hello");
    Result<void> stopped = co_await parlour.server.stop(5s);
    EXPECT_TRUE(stopped.has_value());
    const Result<std::string> text = co_await parlour.log.ask<&Log::text>();
    EXPECT_TRUE(text.value_or("").starts_with("open /talk\nend 1006 ")) << *text;
}

TEST(Session, HearsOfTheEndWhenTheServerStops) {
    in_virtual_time(50, stopped_while_waiting);
}

}  // namespace
}  // namespace troupe::websocket
