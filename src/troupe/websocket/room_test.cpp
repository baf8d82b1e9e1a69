#include <troupe/actor/actor.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/net/internal/test_transport.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/websocket/internal/test_peer.hpp>
#include <troupe/websocket/room.hpp>
#include <troupe/websocket/socket.hpp>
#include <troupe/websocket/upgrade.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
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

/// A room that tells who comes and goes.
class Lounge final : public Room {
public:
    explicit Lounge(RoomOptions options = RoomOptions()) : Room(std::move(options)) {}

private:
    void on_join(const Member& member) override {
        ignore(broadcast_text("+" + member.name), "a name is short");
    }
    void on_leave(const Member& member) override {
        ignore(broadcast_text("-" + member.name), "a name is short");
    }
};

/// Joins under the name that the request gives; says what it is told, and to the others alone when
/// it begins with "others".
class Guest final : public Socket {
public:
    explicit Guest(Ref<Room> room) : room_(room) {}

    Task<void> doze() { ignore(co_await sleep(1h), "somebody wakes it"); }

private:
    Task<void> on_open(const http::Request& request) override {
        room_.tell<&Room::join>(member(request.query));
        return {};
    }
    Task<void> on_text(std::string text) override {
        if (text == "crash") throw std::runtime_error("a planted crash");
        if (text == "doze") {
            self(this).tell<&Guest::doze>();
        } else if (text == "leave") {
            room_.tell<&Room::leave>(self(this));
        } else if (text.starts_with("others")) {
            room_.tell<&Room::broadcast_text_except>(self(this), text);
        } else {
            room_.tell<&Room::broadcast_text>(text);
        }
        return {};
    }
    Task<void> on_binary(std::string bytes) override {
        room_.tell<&Room::broadcast_binary>(bytes);
        return {};
    }

    Ref<Room> room_;
};

struct Club {
    http::Server server;
    Ref<Room> room;
    std::uint16_t port() const { return server.port(); }
};

Task<Club> open_club(System system, Ref<Room> room, Options options = Options()) {
    http::Router router;
    router.get("/club", to<Guest>(std::move(options), room));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    co_return Club{*server, room};
}

Task<Peer> enter(System system, Club club, std::string name, std::string lines = "") {
    const Result<std::size_t> before = co_await club.room.ask<&Room::size>();
    Peer peer = co_await Peer::open(system, club.port(), "/club?" + name, lines);
    for (;;) {
        const Result<std::size_t> now = co_await club.room.ask<&Room::size>();
        if (!now || *now > before.value_or(0)) break;
        Result<void> slept = co_await sleep(100us);
        if (!slept) break;
    }
    co_return peer;
}

Task<void> close_club(Club club) {
    Result<void> stopped = co_await club.server.stop(20ms);
    EXPECT_TRUE(stopped.has_value());
}

/// Waits until so many are in the room.
Task<bool> comes_to(Club club, std::size_t members) {
    for (int i = 0; i < 20'000; ++i) {
        const Result<std::size_t> now = co_await club.room.ask<&Room::size>();
        if (now && *now == members) co_return true;
        Result<void> slept = co_await sleep(1ms);
        if (!slept) break;
    }
    co_return false;
}

Task<void> broadcasts(System system) {
    Club club = co_await open_club(system, system.spawn<Room>());
    Peer ann = co_await enter(system, club, "ann");
    Peer bob = co_await enter(system, club, "bob");
    EXPECT_EQ(co_await ann.ask(text_frame("hello")), "text hello");
    EXPECT_EQ(co_await bob.receive(), "text hello");
    EXPECT_EQ(co_await bob.ask(binary_frame("\xFF")), "binary \xFF");
    EXPECT_EQ(co_await ann.receive(), "binary \xFF");
    const bool sent = co_await ann.send(text_frame("others: 1") + text_frame("2") +
                                        text_frame("others: 3") + text_frame("4"));
    EXPECT_TRUE(sent);
    EXPECT_EQ(co_await bob.receive(), "text others: 1");
    EXPECT_EQ(co_await bob.receive(), "text 2");
    EXPECT_EQ(co_await bob.receive(), "text others: 3");
    EXPECT_EQ(co_await bob.receive(), "text 4");
    EXPECT_EQ(co_await ann.receive(), "text 2");
    EXPECT_EQ(co_await ann.receive(), "text 4");
    const Result<std::vector<std::string>> names = co_await club.room.ask<&Room::present>();
    EXPECT_EQ(names.value_or(std::vector<std::string>()), (std::vector<std::string>{"ann", "bob"}));
    co_await close_club(club);
}

TEST(Room, TellsEverybodyOrEverybodyElse) {
    on_both_engines(100, broadcasts);
}

Task<void> presence(System system) {
    Club club = co_await open_club(system, system.spawn<Lounge>());
    Peer ann = co_await enter(system, club, "ann");
    EXPECT_EQ(co_await ann.receive(), "text +ann");
    Peer bob = co_await enter(system, club, "bob");
    EXPECT_EQ(co_await ann.receive(), "text +bob");
    Peer cid = co_await enter(system, club, "cid");
    EXPECT_EQ(co_await ann.receive(), "text +cid");
    Peer dan = co_await enter(system, club, "dan");
    EXPECT_EQ(co_await ann.receive(), "text +dan");
    const bool left = co_await bob.send(text_frame("leave"));
    EXPECT_TRUE(left);
    EXPECT_EQ(co_await ann.receive(), "text -bob");
    cid.stream().close();
    EXPECT_EQ(co_await ann.receive(), "text -cid");
    const bool crashed = co_await dan.send(text_frame("crash"));
    EXPECT_TRUE(crashed);
    EXPECT_EQ(co_await ann.receive(), "text -dan");
    const Result<std::vector<std::string>> names = co_await club.room.ask<&Room::present>();
    EXPECT_EQ(names.value_or(std::vector<std::string>()), (std::vector<std::string>{"ann"}));
    co_await close_club(club);
}

TEST(Room, KnowsWhoIsInHoweverTheyGo) {
    on_both_engines(100, presence);
}

Task<void> limits(System system) {
    RoomOptions options;
    options.members_max(2).message_bytes_max(10);
    Ref<Room> room = system.spawn<Room>(options);
    const Result<void> nobody = co_await room.ask<&Room::join>(Member());
    EXPECT_EQ(nobody.error(), Errc::actor_gone);
    Club club = co_await open_club(system, room);
    Peer ann = co_await enter(system, club, "ann");
    Peer bob = co_await enter(system, club, "bob");
    Peer cid = co_await Peer::open(system, club.port(), "/club?cid");
    EXPECT_EQ(co_await cid.ask(text_frame("to all") + ping_frame("?")), "pong ?");
    EXPECT_EQ(co_await ann.receive(), "text to all")
        << "who is not in may speak, but does not hear";
    const Result<void> large =
        co_await room.ask<&Room::broadcast_text>(std::string("eleven bytes"));
    EXPECT_EQ(large.error(), Errc::failed);
    const Result<void> wrong = co_await room.ask<&Room::broadcast_text>(std::string("\xFF"));
    EXPECT_EQ(wrong.error(), Errc::failed);
    ann.stream().close();
    const bool one_left = co_await comes_to(club, 1);
    EXPECT_TRUE(one_left);
    Peer dan = co_await enter(system, club, "dan");
    EXPECT_EQ(co_await dan.ask(text_frame("hi")), "text hi");
    co_await close_club(club);
}

TEST(Room, HasLimits) {
    on_both_engines(50, limits);
}

// Members come and go while messages are told: each hears what is said while it is in, in order.
Task<void> coming_and_going(System system) {
    Club club = co_await open_club(system, system.spawn<Room>());
    Peer ann = co_await enter(system, club, "ann");
    std::vector<std::unique_ptr<Peer>> others;
    for (int i = 0; i < 12; ++i) {
        Peer other = co_await enter(system, club, "x");
        others.push_back(std::make_unique<Peer>(std::move(other)));
        const bool sent = co_await ann.send(text_frame(std::to_string(2 * i)) +
                                            text_frame(std::to_string(2 * i + 1)));
        EXPECT_TRUE(sent);
        if (i % 3 != 2) continue;
        others.erase(others.begin() +
                     static_cast<std::ptrdiff_t>(system.engine().random() % others.size()));
        const bool left = co_await comes_to(club, others.size() + 1);
        EXPECT_TRUE(left);
    }
    for (int i = 0; i < 24; ++i)
        EXPECT_EQ(co_await ann.receive(), "text " + std::to_string(i));
    for (const std::unique_ptr<Peer>& peer : others) {
        const std::string first = co_await peer->receive();
        int next = std::stoi(first.substr(5)) + 1;
        for (; next < 24; ++next)
            EXPECT_EQ(co_await peer->receive(), "text " + std::to_string(next));
    }
    co_await close_club(club);
}

TEST(Room, TellsEachMemberWhatIsSaidWhileItIsIn) {
    on_both_engines(50, coming_and_going);
}

Task<void> compressed_too(System system) {
    RoomOptions options;
    options.deflate_bytes_min(10);
    Options small;
    small.deflate_bytes_min(10);
    Club club = co_await open_club(system, system.spawn<Room>(options), small);
    Peer plain = co_await enter(system, club, "plain");
    Peer large =
        co_await enter(system, club, "large", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    Peer tiny = co_await enter(
        system, club, "tiny",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n");
    for (int i = 0; i < 20; ++i) {
        const std::string text = std::string(200, 'y') + std::to_string(i);
        EXPECT_EQ(co_await plain.ask(text_frame(text)), "text " + text);
        EXPECT_EQ(co_await large.receive(), "text " + text);
        EXPECT_EQ(co_await tiny.receive(), "text " + text);
    }
    co_await close_club(club);
}

TEST(Room, SpeaksCompressedToThoseWhoCan) {
    on_both_engines(20, compressed_too);
}

// Several speak at once: each is heard in its order, and all members hear the same.
Task<void> many_speak(System system) {
    constexpr int kSpeakers = 5;
    constexpr int kMessages = 20;
    Club club = co_await open_club(system, system.spawn<Room>());
    std::vector<Peer> peers;
    for (int i = 0; i < kSpeakers; ++i)
        peers.push_back(co_await enter(system, club, "x"));
    for (int message = 0; message < kMessages; ++message) {
        for (int i = 0; i < kSpeakers; ++i) {
            const bool sent = co_await peers[static_cast<std::size_t>(i)].send(
                text_frame(std::to_string(i) + ":" + std::to_string(message)));
            EXPECT_TRUE(sent);
        }
    }
    std::string first;
    for (Peer& peer : peers) {
        std::string all;
        std::vector<int> next(kSpeakers, 0);
        for (int i = 0; i < kSpeakers * kMessages; ++i) {
            const std::string what = co_await peer.receive();
            all += what + "\n";
            if (!what.starts_with("text ")) break;
            int& expected = next.at(static_cast<std::size_t>(what[5] - '0'));
            EXPECT_EQ(what.substr(7), std::to_string(expected));
            ++expected;
        }
        if (first.empty()) first = all;
        EXPECT_EQ(all, first);
    }
    co_await close_club(club);
}

TEST(Room, TellsAllTheSameInOneOrder) {
    on_both_engines(50, many_speak);
}

/// Says by itself what it asks the room to say as well.
class Chatty final : public Socket {
public:
    explicit Chatty(Ref<Room> room) : room_(room) {}

private:
    Task<void> on_open(const http::Request&) override {
        room_.tell<&Room::join>(member());
        return {};
    }
    Task<void> on_text(std::string text) override {
        send_text("own " + text);
        room_.tell<&Room::broadcast_text>(text);
        return {};
    }

    Ref<Room> room_;
};

/// Of sizes that fit, fill and exceed what the network of the test holds.
std::string text_of(int speaker, int message) {
    return std::to_string(speaker) + ":" + std::to_string(message) + ":" +
           std::string(static_cast<std::size_t>(message % 7) * 50, 'x');
}

/// Reads so many frames. What a member says is heard before what the room makes of it, and each
/// speaker in its order.
Task<void> hears_in_order(Peer& peer, int number, std::vector<int>& next, int& next_own,
                          int frames) {
    for (int i = 0; i < frames; ++i) {
        const std::string what = co_await peer.receive();
        if (what == "text own " + text_of(number, next_own)) {
            ++next_own;
            continue;
        }
        const std::size_t speaker = what.size() > 5 ? static_cast<std::size_t>(what[5] - '0') : 99;
        EXPECT_LT(speaker, next.size()) << what;
        if (speaker >= next.size()) co_return;
        EXPECT_EQ(what, "text " + text_of(static_cast<int>(speaker), next[speaker]));
        ++next[speaker];
        if (static_cast<int>(speaker) != number) continue;
        EXPECT_LE(next[speaker], next_own) << "told before it was said";
    }
}

// What a member says and what its room writes for it take different ways to the same connection,
// which takes a few bytes at a time.
Task<void> two_ways(System system) {
    constexpr int kPeers = 4;
    constexpr int kAtOnce = 7;
    if (system.engine().deterministic()) {
        NetworkConditions conditions;
        conditions.buffer_bytes = 600;
        set_network_conditions(system.engine(), conditions);
    }
    Ref<Room> room = system.spawn<Room>();
    http::Router router;
    router.get("/club", to<Chatty>(Options(), room));
    Result<http::Server> server = co_await http::serve(
        system, std::move(router), net_internal::on_transport<http::ServerOptions>());
    EXPECT_TRUE(server.has_value());
    if (!server) co_return;
    const Club club{*server, room};
    std::vector<Peer> peers;
    for (int i = 0; i < kPeers; ++i)
        peers.push_back(co_await enter(system, club, "x"));
    std::vector<std::vector<int>> next(kPeers, std::vector<int>(kPeers, 0));
    std::vector<int> next_own(kPeers, 0);
    for (int message = 0; message < 4 * kAtOnce; ++message) {
        for (std::size_t i = 0; i < peers.size(); ++i) {
            const bool sent =
                co_await peers[i].send(text_frame(text_of(static_cast<int>(i), message)));
            EXPECT_TRUE(sent);
        }
        if (message % kAtOnce != kAtOnce - 1) continue;
        for (std::size_t i = 0; i < peers.size(); ++i) {
            co_await hears_in_order(peers[i], static_cast<int>(i), next[i], next_own[i],
                                    (kPeers + 1) * kAtOnce);
        }
    }
    for (const std::vector<int>& heard : next)
        EXPECT_EQ(heard, std::vector<int>(kPeers, 4 * kAtOnce));
    co_await close_club(club);
}

TEST(Room, KeepsTheOrderOfWhatAMemberSaysAndWhatItIsTold) {
    on_both_engines(50, two_ways);
}

// Nobody has mail, so nobody needs a turn.
Task<void> all_idle(System system) {
    Club club = co_await open_club(system, system.spawn<Room>());
    std::vector<Peer> peers;
    for (int i = 0; i < 40; ++i)
        peers.push_back(co_await enter(system, club, "x"));
    Result<void> slept = co_await sleep(1ms);
    EXPECT_TRUE(slept.has_value());
    club.room.tell<&Room::broadcast_text>(std::string("hello"));
    for (Peer& peer : peers)
        EXPECT_EQ(co_await peer.receive(), "text hello");
    const Result<RoomStats> stats = co_await club.room.ask<&Room::stats>();
    EXPECT_EQ(stats.value_or(RoomStats()).deliveries, peers.size());
    EXPECT_EQ(stats.value_or(RoomStats()).straight, peers.size());
    co_await close_club(club);
}

TEST(Room, WritesByItselfToMembersThatAreIdle) {
    in_virtual_time(20, all_idle);
}

// Broadcasts that come while a round is under way travel together, so that a member sends them in
// one write.
Task<void> gathers(System system) {
    Ref<Room> room = system.spawn<Room>();
    std::vector<Ref<Guest>> guests;
    for (int i = 0; i < 200; ++i) {
        guests.push_back(system.spawn<Guest>(room));
        const Result<void> joined = co_await room.ask<&Room::join>(Member(guests.back(), "g"));
        EXPECT_TRUE(joined.has_value());
    }
    for (int i = 0; i < 50; ++i)
        room.tell<&Room::broadcast_text>(std::string("hello"));
    RoomStats stats;
    while (stats.deliveries < 200U * 50U) {
        const Result<RoomStats> now = co_await room.ask<&Room::stats>();
        if (!now) break;
        stats = *now;
        Result<void> slept = co_await sleep(1ms);
        if (!slept) break;
    }
    EXPECT_EQ(stats.deliveries, 200U * 50U);
    EXPECT_LE(stats.rounds, 10U);
    for (const Ref<Guest>& guest : guests)
        guest.stop();
}

TEST(Room, LetsBroadcastsTravelTogether) {
    in_virtual_time(20, gathers);
}

// A mailbox that drops what is in it takes broadcasts along, and nothing else of the room's.
Task<void> forgetful(System system) {
    Ref<Room> room = system.spawn<Room>(troupe::options().mailbox(bounded(2).drop_oldest()));
    Ref<Guest> guest = system.spawn<Guest>(room);
    const Result<void> joined = co_await room.ask<&Room::join>(Member(guest, "g"));
    EXPECT_TRUE(joined.has_value());
    for (int i = 0; i < 50; ++i)
        room.tell<&Room::broadcast_text>(std::string("hello"));
    RoomStats stats;
    for (std::uint64_t told = 0; told < 3; told = stats.deliveries) {
        const Result<void> taken = co_await room.ask<&Room::broadcast_text>(std::string("again"));
        EXPECT_TRUE(taken.has_value());
        do {
            Result<void> slept = co_await sleep(1ms);
            if (!slept) co_return;
            const Result<RoomStats> now = co_await room.ask<&Room::stats>();
            stats = now.value_or(RoomStats());
        } while (stats.deliveries < stats.broadcasts);
    }
    guest.stop();
}

TEST(Room, SurvivesAMailboxThatDrops) {
    on_both_engines(20, forgetful);
}

// Peers that fall silent are let go, and nothing of them is left: no actor, no connection, no
// member; and what the server says of its connections is true all along.
Task<void> ghosts(System system) {
    constexpr std::size_t kGhosts = 200;
    Options options;
    options.ping_interval(200ms).pong_timeout(100ms);
    Club club = co_await open_club(system, system.spawn<Room>(), options);
    const std::size_t before = system.actors().size();
    std::vector<Peer> peers;
    for (std::size_t i = 0; i < kGhosts; ++i) {
        peers.push_back(co_await Peer::open(system, club.port(), "/club?ghost"));
        const Result<net::ServeStats> stats = co_await club.server.stats();
        EXPECT_LE(stats.value_or(net::ServeStats()).open, i + 1);
        EXPECT_GE(stats.value_or(net::ServeStats()).open, 1U);
    }
    const bool empty = co_await comes_to(club, 0);
    EXPECT_TRUE(empty);
    Result<void> slept = co_await sleep(1s);
    EXPECT_TRUE(slept.has_value());
    const Result<net::ServeStats> stats = co_await club.server.stats();
    EXPECT_EQ(stats.value_or(net::ServeStats()).open, 0U);
    EXPECT_EQ(stats.value_or(net::ServeStats()).accepted, kGhosts);
    EXPECT_EQ(system.actors().size(), before);
    co_await close_club(club);
}

TEST(Room, IsLeftByGhosts) {
    in_virtual_time(3, ghosts);
}

// One of twenty does not read. The others hear all at once; it is let go, and costs no more than
// its send buffer.
Task<void> one_is_stuck(System system) {
    NetworkConditions conditions;
    conditions.buffer_bytes = 8 * 1024;
    set_network_conditions(system.engine(), conditions);
    Options options;
    options.send_buffer(100'000).write_timeout(1h).ping_interval(1h);
    Club club = co_await open_club(system, system.spawn<Room>(), options);
    Peer stuck = co_await enter(system, club, "stuck");
    std::vector<Peer> fast;
    for (int i = 0; i < 19; ++i)
        fast.push_back(co_await enter(system, club, "fast"));
    const std::string payload(1000, 'z');
    Duration slowest{};
    for (int i = 0; i < 200; ++i) {
        const Duration before = system.now();
        const bool sent = co_await fast[0].send(text_frame(payload));
        EXPECT_TRUE(sent);
        for (Peer& peer : fast)
            EXPECT_EQ(co_await peer.receive(), "text " + payload);
        slowest = std::max(slowest, system.now() - before);
    }
    EXPECT_LT(slowest, 1s) << "a few latencies for each piece";
    const bool gone = co_await comes_to(club, 19);
    EXPECT_TRUE(gone) << "more than its buffer waited";
    co_await close_club(club);
}

TEST(Room, IsNotHeldUpByAMemberThatDoesNotRead) {
    in_virtual_time(3, one_is_stuck);
}

Task<void> one_dozes(System system) {
    Options options;
    options.ping_interval(1h);
    Club club = co_await open_club(system, system.spawn<Room>(), options);
    Peer dozing = co_await enter(system, club, "dozing");
    Peer ann = co_await enter(system, club, "ann");
    const bool asked = co_await dozing.send(text_frame("doze"));
    EXPECT_TRUE(asked);
    Result<void> slept = co_await sleep(100ms);
    EXPECT_TRUE(slept.has_value());
    for (int i = 0; i < 1100; ++i)
        EXPECT_EQ(co_await ann.ask(text_frame("wake up")), "text wake up");
    const Result<RoomStats> stats = co_await club.room.ask<&Room::stats>();
    EXPECT_GE(stats.value_or(RoomStats()).stopped, 1U);
    const bool gone = co_await comes_to(club, 1);
    EXPECT_TRUE(gone);
    co_await close_club(club);
}

TEST(Room, StopsAMemberThatHandlesNothingAnyMore) {
    in_virtual_time(3, one_dozes);
}

/// A caller's own time must not go into a large room.
Task<void> large_room(System system) {
    Ref<Room> room = system.spawn<Room>();
    std::vector<Ref<Guest>> guests;
    for (int i = 0; i < 10'000; ++i) {
        guests.push_back(system.spawn<Guest>(room));
        const Result<void> joined = co_await room.ask<&Room::join>(Member(guests.back(), "g"));
        EXPECT_TRUE(joined.has_value());
    }
    room.tell<&Room::broadcast_text>(std::string(100'000, 'x'));
    // Asked right behind it, so answered before ten thousand have been told.
    const Result<RoomStats> early = co_await room.ask<&Room::stats>();
    EXPECT_LT(early.value_or(RoomStats()).deliveries, 10'000U);
    for (;;) {
        const Result<RoomStats> stats = co_await room.ask<&Room::stats>();
        if (!stats || stats->deliveries == 10'000) break;
        Result<void> slept = co_await sleep(1ms);
        if (!slept) break;
    }
    for (const Ref<Guest>& guest : guests)
        guest.stop();
    for (;;) {
        const Result<RoomStats> stats = co_await room.ask<&Room::stats>();
        if (!stats || stats->members == 0) break;
        Result<void> slept = co_await sleep(1ms);
        if (!slept) break;
    }
}

TEST(Room, TellsTenThousandInSeveralTurns) {
    on_both_engines(1, large_room);
}

/// Joins, leaves, speaks and ends at random.
class Restless final : public Actor {
public:
    Task<int> live(Ref<Room> room, int rounds) {
        for (int i = 0; i < rounds; ++i) {
            Ref<Guest> guest = spawn<Guest>(room);
            room.tell<&Room::join>(Member(guest, "r"));
            room.tell<&Room::broadcast_text>(std::string("hello"));
            if (system().engine().random() % 2 == 0) room.tell<&Room::leave>(guest);
            guest.stop(system().engine().random() % 2 == 0 ? Stop::kill : Stop::stop);
            const Result<std::size_t> size = co_await room.ask<&Room::size>();
            if (!size) co_return 0;
        }
        co_return 1;
    }
};

Task<void> restless(System system) {
    Ref<Room> room = system.spawn<Room>();
    std::vector<Ref<Restless>> actors;
    for (int i = 0; i < 16; ++i)
        actors.push_back(system.spawn<Restless>());
    for (const Ref<Restless>& actor : actors)
        actor.tell<&Restless::live>(room, 50);
    for (const Ref<Restless>& actor : actors) {
        const Result<int> lived = co_await actor.ask<&Restless::live>(room, 1).within(1min);
        EXPECT_EQ(lived.value_or(0), 1);
    }
    for (;;) {
        const Result<std::size_t> size = co_await room.ask<&Room::size>();
        if (!size || *size == 0) break;
        Result<void> slept = co_await sleep(1ms);
        if (!slept) break;
    }
}

TEST(Room, IsEmptyWhenAllHaveGone) {
    on_both_engines(20, restless);
}

}  // namespace
}  // namespace troupe::websocket
