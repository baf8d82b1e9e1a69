// Mistakes in the components themselves. Here is what shows them; each is a patch in patches/, to a
// source file of ours, which planted_<name> is linked with in place of the real one. In `planted`
// all of these are clean.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/http/client.hpp>
#include <troupe/http/server.hpp>
#include <troupe/sim/properties.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/sync.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>
#include <troupe/websocket/room.hpp>
#include <troupe/websocket/socket.hpp>

#include "bugs.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace planted {

namespace {

using namespace std::chrono_literals;
using troupe::Actor;
using troupe::Duration;
using troupe::Errc;
using troupe::ignore;
using troupe::Ref;
using troupe::Result;
using troupe::Semaphore;
using troupe::Sim;
using troupe::Task;
using troupe::Timer;
namespace http = troupe::http;
namespace websocket = troupe::websocket;

// ---- lost wake-up: task/sync.cpp ----------------------------------------------------------------

using Gate = std::shared_ptr<Semaphore>;

Task<Result<int>> hold(Gate gate, std::uint64_t permits, Duration for_so_long) {
    const auto permit = co_await gate->acquire(permits);
    if (!permit) co_return std::unexpected(permit.error());
    const auto slept = co_await troupe::sleep(for_so_long);
    ignore(slept, "it is given back either way");
    co_return 1;
}
class Guard : public Actor {
public:
    explicit Guard(Gate gate) : gate_(std::move(gate)) {}
    Task<> hold_long() { ignore(co_await hold(gate_, 1, 1h), "nobody cancels it"); }
    Task<> want_all_for_a_moment() {
        ignore(co_await troupe::within(1ms, &hold, gate_, 2, 1ms), "it may be too late");
    }
    Task<bool> pass() {
        const auto passed = co_await hold(gate_, 1, 1ms);
        co_return passed.has_value();
    }

private:
    Gate gate_;
};
void lost_wake_up(Sim& sim, bool) {
    const auto gate = std::make_shared<Semaphore>(2);
    auto first = sim.spawn<Guard>(gate);
    first.tell<&Guard::hold_long>();
    sim.settle();
    sim.spawn<Guard>(gate).tell<&Guard::want_all_for_a_moment>();
    // One who wants less waits behind him, if he comes later, and must not wait for the first.
    auto modest = sim.spawn<Guard>(gate);
    if (!sim.run(modest.ask<&Guard::pass>()).has_value()) {
        sim.fail("nobody was woken when there was room");
    }
}

// ---- registry race: actor/internal/registry.cpp -------------------------------------------------

class Leader : public Actor {
public:
    explicit Leader(std::shared_ptr<int> leaders) : leaders_(std::move(leaders)) {}

private:
    Task<Result<void>> on_start() override {
        troupe::sim::always(++*leaders_ == 1, "there is one leader");
        co_return Result<void>();
    }
    std::shared_ptr<int> leaders_;
};
class Candidate : public Actor {
public:
    Task<> stand(std::shared_ptr<int> leaders) {
        const auto led = co_await system().start<Leader>(troupe::options().name("leader"), leaders);
        ignore(led, "another may be it");
    }
};
void registry_race(Sim& sim, bool) {
    const auto leaders = std::make_shared<int>(0);
    for (int i = 0; i < 3; ++i)
        sim.spawn<Candidate>().tell<&Candidate::stand>(leaders);
    sim.settle();
}

// ---- missed cancel: task/task_cell.cpp ----------------------------------------------------------

Task<Result<int>> fails(std::shared_ptr<bool> has_failed) {
    *has_failed = true;
    co_return troupe::error(Errc::failed, "as planned");
}
Task<Result<int>> charges(std::shared_ptr<bool> has_failed) {
    troupe::sim::always(!*has_failed, "what was cancelled before it began does not begin");
    co_return 1;
}
Task<void> both() {
    const auto has_failed = std::make_shared<bool>(false);
    auto group = troupe::task_group<int>(troupe::all_successful());
    group.add(&charges, has_failed);
    group.add(&fails, has_failed);
    const auto all = co_await group.run();
    troupe::sim::always(!all.has_value(), "one of them has failed");
}
void missed_cancel(Sim& sim, bool) {
    sim.run(both());
}

// ---- late answer, forgotten timer: actor/internal/pipes.cpp -------------------------------------

class Oracle : public Actor {
public:
    Task<int> answer(int question) {
        const auto slept = co_await troupe::sleep(1s);
        ignore(slept, "nobody cancels it");
        co_return question;
    }
};
class Pilgrim : public Actor {
public:
    explicit Pilgrim(Ref<Oracle> oracle) : oracle_(oracle) {}
    void ask() {
        const int question = ++questions_;
        oracle_.ask<&Oracle::answer>(question).within(1s).pipe_to<&Pilgrim::heard>(self(this),
                                                                                   question);
    }
    int heard_of() const { return heard_; }

private:
    void heard(Result<int> answer, int question) {
        troupe::sim::always(!answer || *answer == question, "an answer is to what was asked");
        ++heard_;
        if (questions_ < 3) ask();
    }
    Ref<Oracle> oracle_;
    int questions_ = 0;
    int heard_ = 0;
};
void late_answer(Sim& sim, bool) {
    auto pilgrim = sim.spawn<Pilgrim>(sim.spawn<Oracle>());
    pilgrim.tell<&Pilgrim::ask>();
    sim.advance(10s);
}

class Quick : public Actor {
public:
    int answer() const { return 1; }
};
class Asker : public Actor {
public:
    void ask(Ref<Quick> quick) {
        quick.ask<&Quick::answer>().within(1min).pipe_to<&Asker::heard>(self(this));
    }
    bool has_heard() const { return heard_; }

private:
    void heard(Result<int>) { heard_ = true; }
    bool heard_ = false;
};
void forgotten_timer(Sim& sim, bool) {
    auto asker = sim.spawn<Asker>();
    asker.tell<&Asker::ask>(sim.spawn<Quick>());
    sim.settle();
    if (sim.engine().next_timer() != Duration::max()) sim.fail("the timer of an ask is left");
}

// ---- cancelled timer: actor/internal/timers.cpp -------------------------------------------------

class Bell : public Actor {
public:
    Bell() { timer_ = after<&Bell::ring>(1s); }
    void be_silent() {
        timer_.cancel();
        silent_ = true;
    }

private:
    void ring() { troupe::sim::always(!silent_, "what was cancelled does not ring"); }
    Timer timer_;
    bool silent_ = false;
};
class Sleeper : public Actor {
public:
    explicit Sleeper(Ref<Bell> bell) : bell_(bell) { after<&Sleeper::lie_down>(1s); }

private:
    void lie_down() { bell_.tell<&Bell::be_silent>(); }
    Ref<Bell> bell_;
};
void cancelled_timer(Sim& sim, bool) {
    sim.spawn<Sleeper>(sim.spawn<Bell>());
    sim.advance(2s);
}

// ---- uncounted restart: actor/internal/supervising.cpp ------------------------------------------

class Child : public Actor {
public:
    void fail() { throw std::runtime_error("as planned"); }
};
void uncounted_restart(Sim& sim, bool) {
    troupe::Supervisor tree = troupe::supervisor("house");
    tree.one_for_one().intensity(1, 10s);
    const auto one = tree.child<Child>("one");
    const auto other = tree.child<Child>("other");
    const auto house = sim.start_supervised(std::move(tree));
    house.ref(one).tell<&Child::fail>();
    house.ref(other).tell<&Child::fail>();
    sim.settle();  // that restarts are counted is looked at in every run
}

// ---- dead member: websocket/room.cpp ------------------------------------------------------------

class Guest : public websocket::Socket {};
class Fate : public Actor {
public:
    void strike(Ref<Guest> guest) { guest.stop(troupe::Stop::kill); }
};
class Host : public Actor {
public:
    void let_in(Ref<websocket::Room> room, Ref<Guest> guest) {
        room.tell<&websocket::Room::join>(websocket::Member{guest, "ann"});
    }
};
void dead_member(Sim& sim, bool) {
    auto room = sim.spawn<websocket::Room>();
    auto guest = sim.spawn<Guest>();
    auto host = sim.spawn<Host>();
    auto fate = sim.spawn<Fate>();
    sim.settle();
    host.tell<&Host::let_in>(room, guest);
    fate.tell<&Fate::strike>(guest);
    sim.settle();
    if (*sim.run(room.ask<&websocket::Room::size>()) != 0) sim.fail("the dead are in the room");
}

// ---- closed connection: http/internal/connection_pool.cpp ---------------------------------------

Task<void> post_twice(Sim* sim, bool* failed) {
    http::Router router;
    router.post("/", [](const http::Request&) { return http::ok("fine"); });
    auto server = co_await http::serve(sim->system(), std::move(router),
                                       http::ServerOptions().idle_timeout(1s));
    if (!server) co_return;
    const http::Client client(sim->system());
    const std::string url = "http://127.0.0.1:" + std::to_string(server->port()) + "/";
    for (int i = 0; i < 2; ++i) {
        const auto answer = co_await client.post(url, "body");
        *failed = *failed || !answer;
        // Half as long as the server waits, or twice.
        const Duration pause = sim->choose(2, "how long the client waits") == 0 ? 500ms : 2s;
        const auto slept = co_await troupe::sleep(pause);
        ignore(slept, "nobody cancels it");
    }
    ignore(co_await client.stop(), "the test is over");
    ignore(co_await server->stop(1s), "the test is over");
}
void closed_connection(Sim& sim, bool) {
    bool failed = false;
    sim.run(post_twice(&sim, &failed));
    if (failed) sim.fail("a request went over a connection that was closed");
}

}  // namespace

std::vector<Bug> bugs_of_components() {
    return {
        {"lost wake-up in a line", "who gives up does not look who is next", &lost_wake_up},
        {"shared name", "a name is free while its owner starts", &registry_race},
        {"missed cancel of a child", "a child's first turn does not look at its scope",
         &missed_cancel},
        {"late answer", "numbers of asks are used again", &late_answer},
        {"forgotten timer", "an answer leaves the timer of its ask", &forgotten_timer},
        {"cancelled timer", "one on its way is not marked as cancelled", &cancelled_timer},
        {"uncounted restart", "a child's first restart is not counted", &uncounted_restart},
        {"dead member", "an end before the join is taken for none", &dead_member},
        {"closed connection", "an idle connection is taken without a look at it",
         &closed_connection},
    };
}

}  // namespace planted
