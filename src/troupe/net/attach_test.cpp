#include <troupe/actor/actor.hpp>
#include <troupe/io/framed.hpp>
#include <troupe/io/json.hpp>
#include <troupe/io/length_delimited.hpp>
#include <troupe/io/lines.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/net/attach.hpp>
#include <troupe/net/internal/test_runs.hpp>
#include <troupe/net/serve.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe::net {
namespace {

using namespace std::chrono_literals;
using codec::Lines;
using net_internal::in_virtual_time;
using net_internal::on_both_engines;

/// What an actor was told.
struct Told {
    std::vector<std::string> lines;
    std::vector<std::string> ends;
};

std::string in_words(const Result<void>& why) {
    return why ? "end" : why.error().text();
}

/// Echoes lines. "bye": it closes when that has been said; "die": it just ends; "slow": it takes a
/// second; "flood": it says a lot.
class Echo : public Actor {
public:
    Echo(Stream stream, AttachOptions options)
        : peer_(attach<&Echo::line, &Echo::hung_up>(std::move(stream), Lines(20), self(this),
                                                    options)) {}

    Task<void> line(std::string line) {
        told_.lines.push_back(line);
        if (line == "die") self(this).stop(Stop::stop, ExitReason(ExitReason::Kind::normal));
        if (line == "slow") ignore(co_await sleep(1s), "nobody cancels it");
        for (int i = 0; line == "flood" && i < 20'000; ++i) {
            const auto sent = co_await peer_.send("flood " + std::to_string(i));
            if (!sent) co_return;
        }
        ignore(co_await peer_.send(line), "the end will tell");
        if (line == "bye") ignore(co_await peer_.close(), "the end will tell");
    }
    void hung_up(Result<void> why) { told_.ends.push_back(in_words(why)); }

    Told told() const { return told_; }

private:
    Told told_;
    Outlet<Lines> peer_;
};

using Peer = Framed<Lines>;

struct Pair {
    Peer peer;
    Ref<Echo> echo;
};

/// An Echo and the other end of its connection.
Task<Pair> make_pair(System system, AttachOptions options = AttachOptions()) {
    auto listener = Listener::listen(system.engine(), Endpoint("127.0.0.1", 0));
    EXPECT_TRUE(listener.has_value());
    auto stream = co_await connect(system.engine(), listener->local());
    auto accepted = co_await listener->accept();
    EXPECT_TRUE(stream && accepted);
    const Ref<Echo> echo = system.spawn<Echo>(std::move(*accepted), options);
    Pair pair{Peer(std::move(*stream), Lines(100)), echo};
    co_return pair;
}

Task<std::string> hear(Peer* peer) {
    auto line = co_await peer->next();
    if (!line) co_return "error";
    co_return line->value_or("end");
}

Task<std::string> ask(Peer* peer, std::string line) {
    ignore(co_await peer->send(std::move(line)), "the answer will tell");
    co_return co_await hear(peer);
}

Task<void> pause() {
    ignore(co_await sleep(1ms), "nobody cancels it");
}

Told told_to(System& system, const Pair& pair) {
    return system.block_on(pair.echo.ask<&Echo::told>()).value_or(Told());
}

/// Waits until the actor has been told of an end, and gives all that it was told.
Told wait_for_end(System& system, const Pair& pair) {
    for (;;) {
        Told told = told_to(system, pair);
        if (!told.ends.empty()) return told;
        system.block_on(pause());
    }
}

TEST(Attach, LinesArriveAsMessagesAndAnswersLeaveInTheirOrder) {
    on_both_engines(100, [](System& system) {
        Pair pair = system.block_on(make_pair(system));
        for (const char* line : {"one", "", "three"})
            EXPECT_EQ(system.block_on(ask(&pair.peer, line)), line);
        pair.peer.stream().close();
        const Told told = wait_for_end(system, pair);
        EXPECT_EQ(told.lines, std::vector<std::string>({"one", "", "three"}));
        EXPECT_EQ(told.ends, std::vector<std::string>({"end"}));
    });
}

Task<void> send_and_finish(Peer* peer, int lines) {
    for (int i = 0; i < lines; ++i)
        ignore(co_await peer->send(std::to_string(i)), "what arrives is counted");
    ignore(peer->stream().shutdown_write(), "the same");
}

TEST(Attach, TheEndComesOnceAndAfterEveryLine) {
    on_both_engines(100, [](System& system) {
        Pair pair = system.block_on(make_pair(system));
        system.block_on(send_and_finish(&pair.peer, 50));
        for (int i = 0; i < 50; ++i)
            EXPECT_EQ(system.block_on(hear(&pair.peer)), std::to_string(i))
                << "it may still answer when we have finished";
        const Told told = wait_for_end(system, pair);
        EXPECT_EQ(told.lines.size(), 50u);
        EXPECT_EQ(told.ends, std::vector<std::string>({"end"}));
    });
}

TEST(Attach, WhatIsMalformedIsTheEnd) {
    on_both_engines(50, [](System& system) {
        Pair pair = system.block_on(make_pair(system));
        EXPECT_EQ(system.block_on(ask(&pair.peer, "fine")), "fine");
        ASSERT_TRUE(system.block_on(pair.peer.send(std::string(21, 'x'))).has_value());
        const Told told = wait_for_end(system, pair);
        EXPECT_EQ(told.lines, std::vector<std::string>({"fine"}));
        EXPECT_EQ(told.ends,
                  std::vector<std::string>({"the line that begins at byte 5 is longer than the "
                                            "limit of 20 bytes"}));
        EXPECT_NE(system.block_on(hear(&pair.peer)), "fine") << "nobody listens any more";
    });
}

TEST(Attach, TheActorsEndClosesTheConnection) {
    on_both_engines(100, [](System& system) {
        Pair pair = system.block_on(make_pair(system));
        EXPECT_EQ(system.block_on(ask(&pair.peer, "one")), "one");
        pair.echo.stop(Stop::kill);
        const std::string heard = system.block_on(hear(&pair.peer));
        EXPECT_TRUE(heard == "end" || heard == "error") << heard;
    });
}

TEST(Attach, CloseWaitsUntilEverythingHasLeft) {
    on_both_engines(100, [](System& system) {
        Pair pair = system.block_on(make_pair(system));
        ASSERT_TRUE(system.block_on(pair.peer.send("one")).has_value());
        EXPECT_EQ(system.block_on(ask(&pair.peer, "bye")), "one");
        EXPECT_EQ(system.block_on(hear(&pair.peer)), "bye");
        EXPECT_EQ(system.block_on(hear(&pair.peer)), "end");
        const Told told = wait_for_end(system, pair);
        EXPECT_EQ(told.ends, std::vector<std::string>({"the connection was closed here"}));
    });
}

Task<void> send_many(Peer* peer, int* sent) {
    for (;; ++*sent) {
        const auto taken = co_await peer->send("slow", 500ms);
        if (!taken) co_return;
    }
}

TEST(Attach, APeerWaitsWhileTheActorIsBusy) {
    in_virtual_time(20, [](System& system) {
        NetworkConditions conditions;
        conditions.buffer_bytes = 100;
        conditions.splits = false;
        set_network_conditions(system.engine(), conditions);
        Pair pair = system.block_on(make_pair(system));
        int sent = 0;
        system.block_on(send_many(&pair.peer, &sent));
        // What the actor's mailbox, the feed and the network hold, and not one more.
        EXPECT_LT(sent, 1000 + 100);
    });
}

TEST(Attach, AListenerHearsWhileItsAnswersWait) {
    in_virtual_time(30, [](System& system) {
        NetworkConditions conditions;
        conditions.buffer_bytes = 1000;
        set_network_conditions(system.engine(), conditions);
        Pair pair = system.block_on(make_pair(system));
        // It floods us, and we do not read; what we say is heard all the same.
        ASSERT_TRUE(system.block_on(pair.peer.send("flood")).has_value());
        system.engine().run_for(1s);
        ASSERT_TRUE(system.block_on(pair.peer.send("still here")).has_value());
        system.engine().run_for(1s);
        int heard = 0;
        for (; heard < 20'000; ++heard) {
            if (system.block_on(hear(&pair.peer)) != "flood " + std::to_string(heard)) break;
        }
        EXPECT_EQ(heard, 20'000);
        EXPECT_EQ(system.block_on(hear(&pair.peer)), "flood");
        EXPECT_EQ(system.block_on(hear(&pair.peer)), "still here");
    });
}

TEST(Attach, APeerThatTakesNothingIsGivenUp) {
    in_virtual_time(30, [](System& system) {
        NetworkConditions conditions;
        conditions.buffer_bytes = 1000;
        set_network_conditions(system.engine(), conditions);
        Pair pair = system.block_on(make_pair(system, AttachOptions().write_timeout(3s)));
        ASSERT_TRUE(system.block_on(pair.peer.send("flood")).has_value());
        system.engine().run_for(10s);
        const Told told = told_to(system, pair);
        ASSERT_EQ(told.ends.size(), 1u);
        EXPECT_NE(told.ends[0].find(" has taken nothing for 3000 ms"), std::string::npos)
            << told.ends[0];
    });
}

TEST(Attach, APeerThatSaysNothingIsGivenUp) {
    in_virtual_time(30, [](System& system) {
        Pair pair = system.block_on(make_pair(system, AttachOptions().idle_timeout(5s)));
        system.engine().run_for(4s);
        EXPECT_EQ(system.block_on(ask(&pair.peer, "slow")), "slow");
        system.engine().run_for(3s);
        EXPECT_TRUE(told_to(system, pair).ends.empty()) << "it counts from the last word";
        system.engine().run_for(3s);
        const Told told = told_to(system, pair);
        ASSERT_EQ(told.ends.size(), 1u);
        EXPECT_NE(told.ends[0].find(" has sent nothing for 5000 ms"), std::string::npos)
            << told.ends[0];
    });
}

TEST(Attach, ABrokenConnectionIsToldOnce) {
    int runs = 0;
    int broken = 0;
    in_virtual_time(200, [&](System& system) {
        ++runs;
        Pair pair = system.block_on(make_pair(system));
        NetworkConditions conditions;
        conditions.resets_per_thousand = 100;
        set_network_conditions(system.engine(), conditions);
        for (int i = 0; i < 20; ++i) {
            const std::string heard = system.block_on(ask(&pair.peer, std::to_string(i)));
            if (heard == std::to_string(i)) continue;
            ++broken;
            break;
        }
        pair.peer.stream().close();
        system.engine().run_for(1s);
        EXPECT_EQ(told_to(system, pair).ends.size(), 1u);
    });
    EXPECT_GT(broken, runs / 4);
}

/// Several streams of one actor, told apart by what is passed along.
class Hub : public Actor {
public:
    explicit Hub(std::vector<std::string>* heard) : heard_(heard) {}
    void take(Stream stream, int number) {
        outlets_.push_back(attach<&Hub::document, &Hub::hung_up>(
            std::move(stream), codec::Json(100), self(this), AttachOptions(), number));
    }
    void document(std::string document, int number) {
        heard_->push_back(std::to_string(number) + " " + document);
        for (const auto& outlet : outlets_)
            ignore(outlet.try_send(document), "who has left needs no news");
    }
    void hung_up(Result<void> why, int number) {
        heard_->push_back(std::to_string(number) + " " + in_words(why));
    }

private:
    std::vector<std::string>* heard_;
    std::vector<Outlet<codec::Json>> outlets_;
};

TEST(Attach, OneActorMayHaveManyStreams) {
    in_virtual_time(50, [](System& system) {
        std::vector<std::string> heard;
        const auto hub = system.spawn<Hub>(&heard);
        auto listener = Listener::listen(system.engine(), Endpoint("127.0.0.1", 0));
        std::vector<Framed<codec::Json>> peers;
        for (int i = 0; i < 2; ++i) {
            auto stream = system.block_on(connect(system.engine(), listener->local()));
            auto accepted = system.block_on(listener->accept());
            ASSERT_TRUE(stream && accepted);
            hub.tell<&Hub::take>(std::move(*accepted), i);
            peers.emplace_back(std::move(*stream), codec::Json(100));
        }
        ASSERT_TRUE(system.block_on(peers[1].send("{\"a\": 1}")).has_value());
        for (auto& peer : peers) {
            const auto document = system.block_on(peer.next());
            EXPECT_TRUE(document && *document == "{\"a\": 1}");
        }
        EXPECT_TRUE(peers[0].stream().shutdown_write().has_value());
        system.engine().run_for(1s);
        EXPECT_EQ(heard, std::vector<std::string>({"1 {\"a\": 1}", "0 end"}));
    });
}

// ---- what only threads get wrong ----------------------------------------------------------------

Task<int> talk(System system, std::uint16_t port, int lines) {
    auto stream = co_await connect(system.engine(), Endpoint("127.0.0.1", port));
    EXPECT_TRUE(stream.has_value());
    Peer peer(std::move(*stream), Lines(100));
    int right = 0;
    for (int i = 0; i < lines; ++i) {
        const std::string answer = co_await ask(&peer, std::to_string(i));
        if (answer == std::to_string(i)) ++right;
    }
    co_return right;
}

class Talker : public Actor {
public:
    Task<int> run(std::uint16_t port, int lines) { return talk(system(), port, lines); }
};

class Mirror : public Actor {
public:
    explicit Mirror(Stream stream)
        : peer_(
              attach<&Mirror::line, &Mirror::hung_up>(std::move(stream), Lines(100), self(this))) {}
    Task<void> line(std::string line) { ignore(co_await peer_.send(line), "the end will tell"); }
    void hung_up(Result<void>) { self(this).stop(); }

private:
    Outlet<Lines> peer_;
};

/// Says hello, hears the answer, and leaves, or says something malformed.
Task<std::string> talk_and_leave(System system, std::uint16_t port, bool malformed) {
    auto stream = co_await connect(system.engine(), Endpoint("127.0.0.1", port));
    EXPECT_TRUE(stream.has_value());
    Peer peer(std::move(*stream), Lines(1000));
    const std::string heard = co_await ask(&peer, "hello");
    if (malformed) {
        EXPECT_NE(co_await ask(&peer, std::string(200, 'x')), "hello");
    }
    co_return heard;
}

TEST(Attach, AnOrdinaryEndLeavesNoDeadLetters) {
    in_virtual_time(100, [](System& system) {
        const auto server =
            system.block_on(serve<Mirror>(system, Endpoint("127.0.0.1", 0), ServeOptions()));
        ASSERT_TRUE(server.has_value());
        for (const bool malformed : {false, true}) {
            EXPECT_EQ(system.block_on(talk_and_leave(system, server->port(), malformed)), "hello");
            system.engine().run_for(1s);
        }
        EXPECT_EQ(system.dead_letters().total(), 0u);
        EXPECT_TRUE(system.block_on(server->stop()).has_value());
    });
}

TEST(Attach, ManyConnectionsTalkAtOnce) {
    OwnedSystem system(make_threaded_engine({.workers = 3}));
    const auto server =
        system->block_on(serve<Mirror>(*system, Endpoint("127.0.0.1", 0), ServeOptions()));
    ASSERT_TRUE(server.has_value());
    std::vector<Ref<Talker>> talkers;
    for (int i = 0; i < 10; ++i) {
        talkers.push_back(system->spawn<Talker>());
        talkers.back().tell<&Talker::run>(server->port(), 50);
    }
    for (const auto& talker : talkers)
        EXPECT_EQ(system->block_on(talker.ask<&Talker::run>(server->port(), 50).within(60s)), 50);
    EXPECT_TRUE(system->block_on(server->stop()).has_value());
    system.stop();
    EXPECT_TRUE(system->actors().empty());
}

}  // namespace
}  // namespace troupe::net
