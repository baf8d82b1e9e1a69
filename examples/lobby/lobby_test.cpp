// The lobby as its pages see it, on both engines: real sockets on a free port, and a network in
// memory that cuts and delays.

#include "lobby.hpp"

#include <troupe/actor/system.hpp>
#include <troupe/http/server.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/websocket/internal/test_peer.hpp>

#include "routes.hpp"
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace http = troupe::http;
using namespace std::chrono_literals;
using troupe::net_internal::in_virtual_time;
using troupe::net_internal::on_both_engines;
using troupe::websocket_internal::binary_frame;
using troupe::websocket_internal::close_frame;
using troupe::websocket_internal::Peer;
using troupe::websocket_internal::text_frame;

namespace {

struct House {
    Lobby lobby;
    http::Server server;
};

troupe::Task<House> open(troupe::System system) {
    auto lobby = co_await open_lobby(system);
    EXPECT_TRUE(lobby.has_value());
    auto server = co_await http::serve(system, routes(*lobby));
    EXPECT_TRUE(server.has_value());
    co_return House{*lobby, *server};
}

troupe::Task<void> close(House house) {
    EXPECT_TRUE((co_await house.server.stop(20ms)).has_value());
    EXPECT_TRUE((co_await house.lobby.tree.stop()).has_value());
}

/// The next frame but for counts, which come when they come.
troupe::Task<std::string> hear(Peer* peer) {
    for (;;) {
        std::string what = co_await peer->receive_message();
        if (!what.starts_with("text {\"is\":\"counts\"")) {
            co_return what.starts_with("text ") ? what.substr(5) : what;
        }
    }
}

troupe::Task<std::string> ask(Peer* peer, std::string frame) {
    const bool sent = co_await peer->send(text_frame(std::move(frame)));
    EXPECT_TRUE(sent);
    co_return co_await hear(peer);
}

std::string enter_command(std::string_view room, std::string_view name) {
    return R"({"do":"enter","room":")" + std::string(room) + R"(","name":")" + std::string(name) +
           R"("})";
}
std::string say_command(std::string_view id, std::string_view text) {
    return R"({"do":"say","id":")" + std::string(id) + R"(","text":")" + std::string(text) +
           R"("})";
}

troupe::Task<Peer> visit(troupe::System system, House house, std::string room, std::string name) {
    Peer peer = co_await Peer::open(system, house.server.port(), "/chat");
    const std::string entered = co_await ask(&peer, enter_command(room, name));
    EXPECT_TRUE(entered.starts_with(R"({"is":"entered","room":")" + room + R"(","name":")" + name))
        << entered;
    co_return peer;
}

/// A said frame without its time.
std::string without_time(std::string frame) {
    const std::size_t at = frame.find(R"(,"at":)");
    if (at != std::string::npos) frame.erase(at, frame.find('}', at) - at);
    return frame;
}

troupe::Task<void> talking(troupe::System system) {
    House house = co_await open(system);
    Peer ann = co_await visit(system, house, "lobby", "ann");
    Peer bob = co_await visit(system, house, "lobby", "bob");
    EXPECT_EQ(co_await hear(&ann), R"({"is":"came","name":"bob"})");
    Peer eve = co_await visit(system, house, "kitchen", "eve");
    const std::string said = co_await ask(&ann, say_command("a-1", "<b>hi</b>"));
    EXPECT_EQ(without_time(said),
              R"({"is":"said","id":"a-1","name":"ann","text":"\u003cb>hi\u003c/b>"})");
    EXPECT_EQ(co_await hear(&bob), said);
    // Nobody in the kitchen has heard it: what comes next there is the kitchen's.
    EXPECT_EQ(without_time(co_await ask(&eve, say_command("e-1", "alone"))),
              R"({"is":"said","id":"e-1","name":"eve","text":"alone"})");
    const bool closed = co_await bob.send(close_frame(1001));
    EXPECT_TRUE(closed);
    EXPECT_EQ(co_await hear(&ann), R"({"is":"left","name":"bob"})");
    co_await close(house);
}

TEST(Lobby, TellsEverybodyInTheRoomAndNobodyElse) {
    on_both_engines(30, talking);
}

troupe::Task<void> history(troupe::System system) {
    House house = co_await open(system);
    Peer ann = co_await visit(system, house, "lobby", "ann");
    for (std::size_t i = 0; i < kHistoryLines + 5; ++i) {
        const std::string said = co_await ask(&ann, say_command(std::to_string(i), "hello"));
        EXPECT_TRUE(said.starts_with(R"({"is":"said")")) << said;
    }
    Peer bob = co_await Peer::open(system, house.server.port(), "/chat");
    const std::string entered = co_await ask(&bob, enter_command("lobby", "ann"));
    EXPECT_TRUE(entered.starts_with(R"~({"is":"entered","room":"lobby","name":"ann (2)",)~"
                                    R"~("present":["ann","ann (2)"],"history":[{"is":"said",)~"
                                    R"("id":"5",)"))
        << entered.substr(0, 200);
    EXPECT_NE(entered.find(R"("id":"104")"), std::string::npos);
    co_await close(house);
}

TEST(Lobby, GivesANewcomerANameOfItsOwnAndTheLastHundredMessages) {
    on_both_engines(5, history);
}

troupe::Task<void> once_each(troupe::System system) {
    House house = co_await open(system);
    Peer ann = co_await visit(system, house, "lobby", "ann");
    const std::string said = co_await ask(&ann, say_command("a-1", "once"));
    EXPECT_TRUE(said.starts_with(R"({"is":"said")")) << said;
    ann.stream().close();
    // Its page has not heard, comes back and sends it again.
    Peer again = co_await Peer::open(system, house.server.port(), "/chat");
    const std::string entered = co_await ask(&again, enter_command("lobby", "ann"));
    EXPECT_NE(entered.find(R"("id":"a-1")"), std::string::npos) << entered;
    Peer bob = co_await visit(system, house, "lobby", "bob");
    const bool sent = co_await again.send(text_frame(say_command("a-1", "once")) +
                                          text_frame(say_command("a-2", "and more")));
    EXPECT_TRUE(sent);
    std::string heard;
    while (!heard.starts_with(R"({"is":"said")"))
        heard = co_await hear(&bob);
    EXPECT_NE(heard.find(R"("id":"a-2")"), std::string::npos) << heard;
    bool known = false;
    do {
        heard = co_await hear(&again);
        known = known || heard == R"({"is":"known","id":"a-1"})";
    } while (!heard.starts_with(R"({"is":"said")"));
    EXPECT_TRUE(known);
    EXPECT_NE(heard.find(R"("id":"a-2")"), std::string::npos) << heard;
    co_await close(house);
}

TEST(Lobby, SaysAMessageOnceHoweverOftenItIsSent) {
    on_both_engines(30, once_each);
}

troupe::Task<void> crashing(troupe::System system) {
    House house = co_await open(system);
    Peer eve = co_await visit(system, house, "kitchen", "eve");
    Peer ann = co_await visit(system, house, "lobby", "ann");
    Peer bob = co_await visit(system, house, "lobby", "bob");
    EXPECT_EQ(co_await hear(&ann), R"({"is":"came","name":"bob"})");
    const std::string said = co_await ask(&ann, say_command("a-1", "before"));
    EXPECT_EQ(co_await hear(&bob), said);
    // What is said to a room that has crashed waits for it.
    const bool sent = co_await ann.send(text_frame(R"({"do":"crash"})") +
                                        text_frame(say_command("a-2", "meanwhile")));
    EXPECT_TRUE(sent);
    for (Peer* peer : {&ann, &bob}) {
        std::string heard = co_await hear(peer);
        EXPECT_TRUE(heard.starts_with(R"({"is":"crashed","room":"lobby","why":")")) << heard;
        EXPECT_NE(heard.find("somebody has pressed the button"), std::string::npos) << heard;
        heard = co_await hear(peer);
        EXPECT_TRUE(heard.starts_with(R"({"is":"entered","room":"lobby")")) << heard;
        EXPECT_NE(heard.find(R"("id":"a-1")"), std::string::npos) << "what was said is not lost";
        // Said before or after this one came in again: it is there either way.
        bool meanwhile = heard.find(R"("id":"a-2")") != std::string::npos;
        while (!meanwhile) {
            heard = co_await hear(peer);
            meanwhile = heard.find(R"("id":"a-2")") != std::string::npos;
            EXPECT_FALSE(heard == "end" || heard == "reset");
            if (heard == "end" || heard == "reset") break;
        }
    }
    EXPECT_EQ(without_time(co_await ask(&eve, say_command("e-1", "what?"))),
              R"({"is":"said","id":"e-1","name":"eve","text":"what?"})")
        << "the kitchen has noticed nothing";
    co_await close(house);
}

TEST(Lobby, SurvivesTheCrashOfARoomAndShowsIt) {
    on_both_engines(30, crashing);
}

troupe::Task<void> garbage(troupe::System system) {
    House house = co_await open(system);
    Peer peer = co_await Peer::open(system, house.server.port(), "/chat");
    const std::string deep(1000, '[');
    const std::string long_name(kNameBytesMax + 1, 'x');
    const std::string long_text(kTextBytesMax + 1, 'x');
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"", "not_understood"},
        {"hello", "not_understood"},
        {"[]", "not_understood"},
        {"7", "not_understood"},
        {deep, "not_understood"},
        {"{}", "not_understood"},
        {R"({"do":7})", "not_understood"},
        {R"({"do":"dance"})", "not_understood"},
        {R"({"do":"enter","room":"lobby","name":7})", "bad_name"},
        {enter_command("lobby", "   "), "bad_name"},
        {enter_command("lobby", long_name), "bad_name"},
        {enter_command("lobby", R"(a\nb)"), "bad_name"},
        {enter_command("cellar", "ann"), "no_such_room"},
        {say_command("1", "hi"), "not_in_a_room"},
        {R"({"do":"crash"})", "not_in_a_room"},
        {say_command("", "hi"), "bad_id"},
        {say_command(std::string(kIdBytesMax + 1, 'i'), "hi"), "bad_id"},
        {say_command("1", " "), "bad_text"},
        {say_command("1", long_text), "bad_text"},
    };
    for (const auto& [frame, code] : cases) {
        const std::string answer = co_await ask(&peer, frame);
        EXPECT_TRUE(answer.starts_with(R"({"is":"error","code":")" + code + R"(","text":")"))
            << frame << " -> " << answer;
    }
    const bool sent = co_await peer.send(binary_frame("\x01\x02"));
    EXPECT_TRUE(sent);
    EXPECT_TRUE((co_await hear(&peer)).starts_with(R"({"is":"error","code":"not_understood")"));
    const std::string entered = co_await ask(&peer, enter_command("lobby", "ann"));
    EXPECT_TRUE(entered.starts_with(R"({"is":"entered")")) << "it is still there";
    EXPECT_EQ(system.crashes(), 0U);
    co_await close(house);
}

TEST(Lobby, AnswersGarbageWithASentence) {
    on_both_engines(10, garbage);
}

troupe::Task<void> counting(troupe::System system) {
    House house = co_await open(system);
    Peer ann = co_await visit(system, house, "lobby", "ann");
    const std::string said = co_await ask(&ann, say_command("a-1", "one"));
    EXPECT_TRUE(said.starts_with(R"({"is":"said")")) << said;
    const bool crashed = co_await ann.send(text_frame(R"({"do":"crash"})"));
    EXPECT_TRUE(crashed);
    // The room is back within a second, and the next counts know it.
    const std::string last = R"({"name":"workshop","present":0,"crashes":0})";
    std::string counts;
    for (int i = 0; i < 20; ++i) {
        counts = co_await ann.receive_message();
        if (counts.find(R"("crashes":1,"uptime":)") != std::string::npos) break;
    }
    EXPECT_TRUE(
        counts.starts_with(R"(text {"is":"counts","people":1,"messages":1,"crashes":1,"uptime":)"))
        << counts;
    EXPECT_NE(counts.find(last), std::string::npos) << counts;
    co_await close(house);
}

TEST(Lobby, CountsAloud) {
    in_virtual_time(10, counting);
}

troupe::Task<void> looking(troupe::System system) {
    House house = co_await open(system);
    const http::Router router = routes(house.lobby);
    http::Request request;
    request.path = "/";
    const http::Response page = co_await router.handle(std::move(request));
    EXPECT_EQ(page.type(), "text/html; charset=utf-8");
    for (const char* word :
         {"http://", "https://", "innerHTML", "insertAdjacent", "document.write"})
        EXPECT_EQ(page.body().find(word), std::string::npos) << word;
    co_await close(house);
}

TEST(Lobby, ServesAPageThatNeedsNothingElseAndShowsOnlyText) {
    on_both_engines(1, looking);
}

}  // namespace
