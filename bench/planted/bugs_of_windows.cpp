// Mistakes in the components, as in bugs_of_components.cpp, that need a search: each shows when
// several steps come in one order, the last of them in the moment between a wake-up and the turn
// that was woken, while others keep the machine busy.

#include <troupe/actor/actor.hpp>
#include <troupe/route/work_queue.hpp>
#include <troupe/sim/properties.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/sync.hpp>
#include <troupe/task/task_group.hpp>

#include "bugs.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace planted {

namespace {

using namespace std::chrono_literals;
using troupe::Actor;
using troupe::Duration;
using troupe::ignore;
using troupe::Result;
using troupe::Semaphore;
using troupe::Sim;
using troupe::Task;
using troupe::WorkQueue;

/// Does something at that time, after so many turns of its own.
template <class Act>
class After : public Actor {
public:
    After(Duration delay, int turns, Act act) : act_(std::move(act)) {
        this->template after<&After::turn>(delay, turns);
    }

private:
    void turn(int left) {
        if (left == 0) return act_();
        self(this).template tell<&After::turn>(left - 1);
    }
    Act act_;
};
template <class Act>
void after_turns(Sim& sim, Duration delay, int turns, Act act) {
    sim.spawn<After<Act>>(delay, turns, std::move(act));
}
/// Others who have nothing to do with it, and are always about to go on.
void keep_busy(Sim& sim, Duration delay) {
    for (int i = 0; i < 4; ++i)
        after_turns(sim, delay, 20, [] {});
}
constexpr Duration kThen = 1s;

// ---- late acknowledgement: route/work_line.cpp --------------------------------------------------

using Attempts = std::shared_ptr<std::map<int, unsigned>>;  // by the piece, those who were given it

class Laborer : public Actor {
public:
    Laborer(WorkQueue<int> jobs, Attempts attempts, Duration takes)
        : jobs_(std::move(jobs)), attempts_(std::move(attempts)), takes_(takes) {}
    Task<> work() {
        auto work = co_await jobs_.pull();
        if (!work) co_return;
        const unsigned mine = ++(*attempts_)[**work];
        ignore(co_await troupe::sleep(takes_), "nobody cancels it");
        const Result<void> done = work->done();
        troupe::sim::always(!done || (*attempts_)[**work] == mine,
                            "nobody finishes what somebody else has by now");
    }

private:
    WorkQueue<int> jobs_;
    Attempts attempts_;
    Duration takes_;
};
void late_acknowledgement(Sim& sim, bool) {
    const WorkQueue<int> jobs(sim.system(), troupe::work_queue().lease(kThen));
    const auto attempts = std::make_shared<std::map<int, unsigned>>();
    ignore(jobs.try_put(1), "there is room");
    // A step sooner than the lease ends, unless the machine is slow.
    sim.spawn<Laborer>(jobs, attempts, kThen).tell<&Laborer::work>();
    sim.settle();
    sim.spawn<Laborer>(jobs, attempts, 1ms).tell<&Laborer::work>();
    keep_busy(sim, kThen);
    sim.advance(3s);
}

// ---- promise that ends with its worker: route/work_line.cpp -------------------------------------

class Taker : public Actor {
public:
    explicit Taker(WorkQueue<int> jobs) : jobs_(std::move(jobs)) {}
    Task<> take() {
        auto work = co_await jobs_.pull();
        if (work) ignore(work->done(), "the lease is long");
    }

private:
    WorkQueue<int> jobs_;
};
void lost_promise(Sim& sim, bool) {
    const WorkQueue<int> jobs(sim.system());
    const auto first = sim.spawn<Taker>(jobs);
    first.tell<&Taker::take>();
    sim.settle();
    sim.spawn<Taker>(jobs).tell<&Taker::take>();
    sim.settle();
    keep_busy(sim, kThen);
    after_turns(sim, kThen, 6, [jobs] { ignore(jobs.try_put(1), "there is room"); });
    after_turns(sim, kThen, 3, [first] { first.stop(troupe::Stop::kill); });
    sim.advance(2s);
    const auto info = jobs.info();
    if (info.depth != 0 && info.pulling != 0) sim.fail("a worker waits, and so does work");
}

// ---- room that ends with its putter: route/work_line.cpp ----------------------------------------

class Producer : public Actor {
public:
    explicit Producer(WorkQueue<int> jobs) : jobs_(std::move(jobs)) {}
    Task<> put(int what) { ignore(co_await jobs_.put(what), "nobody closes it"); }

private:
    WorkQueue<int> jobs_;
};
void lost_room(Sim& sim, bool) {
    const WorkQueue<int> jobs(sim.system(), troupe::work_queue().capacity(1));
    ignore(jobs.try_put(0), "there is room");
    const auto first = sim.spawn<Producer>(jobs);
    first.tell<&Producer::put>(1);
    sim.settle();
    sim.spawn<Producer>(jobs).tell<&Producer::put>(2);
    sim.settle();
    keep_busy(sim, kThen);
    const auto worker = sim.spawn<Taker>(jobs);
    after_turns(sim, kThen, 6, [worker] { worker.tell<&Taker::take>(); });
    after_turns(sim, kThen, 3, [first] { first.stop(troupe::Stop::kill); });
    sim.advance(2s);
    const auto info = jobs.info();
    if (info.depth == 0 && info.putting != 0) sim.fail("there is room, and somebody waits for it");
}

// ---- permit of the dead: task/sync.cpp ----------------------------------------------------------

using Gate = std::shared_ptr<Semaphore>;

Task<Result<void>> pass(Gate gate, Duration stay) {
    const auto permit = co_await gate->acquire();
    if (!permit) co_return std::unexpected(permit.error());
    if (stay != Duration::zero()) ignore(co_await troupe::sleep(stay), "nobody cancels it");
    co_return Result<void>();
}
class Visitor : public Actor {
public:
    explicit Visitor(Gate gate) : gate_(std::move(gate)) {}
    Task<> visit(Duration stay) { ignore(co_await pass(gate_, stay), "it is let in"); }

private:
    Gate gate_;
};
void expect_permits(Sim& sim, const Gate& gate, std::uint64_t all) {
    if (gate->available() != all) sim.fail("nobody is there, and a permit is missing");
}
/// Somebody is in, and leaves then, after so many turns.
void leave_after(Sim& sim, const Gate& gate, int turns) {
    auto permit = std::make_shared<troupe::Permit>();
    if (!gate->try_acquire(*permit)) sim.fail("nobody else is there");
    after_turns(sim, kThen, turns, [permit] { permit->release(); });
}
void permit_of_the_dead(Sim& sim, bool) {
    const auto gate = std::make_shared<Semaphore>(1);
    leave_after(sim, gate, 8);
    const auto second = sim.spawn<Visitor>(gate);
    second.tell<&Visitor::visit>(0s);
    sim.settle();
    keep_busy(sim, kThen);
    after_turns(sim, kThen, 4, [second] { second.stop(troupe::Stop::kill); });
    sim.advance(5s);
    expect_permits(sim, gate, 1);
}
// ---- second winner: task/group_base.cpp ---------------------------------------------------------

using Arrivals = std::shared_ptr<std::vector<int>>;

Task<Result<int>> race_for(Gate gate, int number, Arrivals arrivals) {
    const auto permit = co_await gate->acquire();
    if (!permit) co_return std::unexpected(permit.error());
    arrivals->push_back(number);
    co_return number;
}
Task<void> race(std::vector<Gate> gates) {
    const auto arrivals = std::make_shared<std::vector<int>>();
    auto group = troupe::task_group<int>(troupe::first_success());
    for (std::size_t i = 0; i < gates.size(); ++i)
        group.add(&race_for, gates[i], static_cast<int>(i), arrivals);
    const auto winner = co_await group.run();
    troupe::sim::always(winner.has_value() && *winner == arrivals->front(),
                        "whoever was first has won");
}
class Umpire : public Actor {
public:
    Task<> hold(std::vector<Gate> gates) { co_await race(std::move(gates)); }
};
void second_winner(Sim& sim, bool) {
    std::vector<Gate> gates;
    for (const int turns : {3, 8}) {
        gates.push_back(std::make_shared<Semaphore>(1));
        leave_after(sim, gates.back(), turns);
    }
    sim.spawn<Umpire>().tell<&Umpire::hold>(gates);
    sim.settle();
    keep_busy(sim, kThen);
    sim.advance(5s);
}

}  // namespace

std::vector<Bug> bugs_of_windows() {
    return {
        {"late acknowledgement", "whoever had the work may finish it, whosever it is by now",
         &late_acknowledgement},
        {"promise that ends with its worker", "who dies as work comes takes the promise along",
         &lost_promise},
        {"room that ends with its putter", "who dies as room comes takes the room along",
         &lost_room},
        {"permit of the dead", "who dies as a permit comes takes it along", &permit_of_the_dead},
        {"second winner", "an end that comes later counts as well", &second_winner},
    };
}

}  // namespace planted
