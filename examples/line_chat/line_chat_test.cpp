// The chat as its guests see it, on both engines.

#include <troupe/actor/system.hpp>
#include <troupe/io/framed.hpp>
#include <troupe/net/serve.hpp>
#include <troupe/sim/test.hpp>

#include "chat.hpp"
#include <gtest/gtest.h>

#include <string>

namespace {

using Peer = troupe::Framed<troupe::codec::Lines>;

troupe::Task<Peer> enter(troupe::System system, std::uint16_t port) {
    auto stream = co_await troupe::connect(system.engine(), troupe::Endpoint("127.0.0.1", port));
    EXPECT_TRUE(stream.has_value());
    co_return Peer(stream ? std::move(*stream) : troupe::Stream(), troupe::codec::Lines(2000));
}

troupe::Task<void> say(Peer* peer, std::string line) {
    EXPECT_TRUE((co_await peer->send(std::move(line))).has_value());
}

troupe::Task<std::string> hear(Peer* peer) {
    auto line = co_await peer->next();
    co_return line && *line ? **line : "nothing more";
}

troupe::Task<void> conversation(troupe::System system) {
    const auto room = system.spawn<Room>();
    auto server = co_await troupe::net::serve<Guest>(system, troupe::Endpoint("127.0.0.1", 0),
                                                     troupe::net::ServeOptions(), room);
    EXPECT_TRUE(server.has_value());
    Peer ann = co_await enter(system, server->port());
    Peer bob = co_await enter(system, server->port());
    // Who is not in the room yet does not hear what is said: try until he does.
    std::string heard;
    for (int i = 0; i < 1000 && heard.empty(); ++i) {
        co_await say(&ann, "hello");
        auto line = co_await bob.next(std::chrono::milliseconds(10));
        if (line && *line) heard = **line;
    }
    EXPECT_EQ(heard, "hello");
    co_await say(&bob, "hello yourself");
    EXPECT_EQ(co_await hear(&ann), "hello yourself");

    co_await say(&bob, std::string(1001, 'x'));
    std::string last;
    while (last != "nothing more")
        last = co_await hear(&bob);
    EXPECT_TRUE((co_await server->stop()).has_value());
    EXPECT_EQ(co_await hear(&ann), "nothing more");
}

TEST(LineChat, OthersHearWhatOneSays) {
    troupe::OwnedSystem threaded;
    threaded->block_on(conversation(*threaded));
    threaded.stop();
}

TROUPE_SIM_TEST(LineChat, OthersHearWhatOneSaysOnEverySchedule) {
    sim.run(conversation(sim.system()));
}

}  // namespace
