// Goal: the faults of a simulation that are neither the network's nor a disk's do what they say, no
// more, and not once it is healed. Method: many seeds, of which half take each fault.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/arena.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/sim/link.hpp>
#include <troupe/sim/properties.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/shrink.hpp>
#include <troupe/sim/sim.hpp>
#include <troupe/task/sleep.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory_resource>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// Of how many seeds `body` says that something was so; none may fail.
int seeds_where(const std::function<bool(Sim& sim)>& body, std::uint64_t seeds = 60) {
    const actor_internal::QuietLog quiet;
    int where = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        RandomChooser chooser(seed);
        const sim::RunResult result =
            sim::run_once({"a test", [&](Sim& sim) { where += body(sim) ? 1 : 0; }, {}}, chooser);
        EXPECT_FALSE(result.failure) << "seed " << seed << ": " << result.failure->text;
    }
    return where;
}

// ---- late timers --------------------------------------------------------------------------------

/// Whether a timer of ten seconds was late. It is never early, and late by 5 ms at most.
Task<bool> is_late(Sim* sim) {
    const Duration before = sim->now();
    ignore(co_await sleep(10s), "nobody cancels it");
    const Duration late = sim->now() - before - 10s;
    EXPECT_GE(late, Duration::zero());
    EXPECT_LE(late, Duration(5ms));
    co_return late != Duration::zero();
}

TEST(LateTimers, AreLateByNoMoreThanWasSaidInHalfOfTheRuns) {
    const int late = seeds_where([](Sim& sim) {
        sim.late_timers({.late_per_thousand = 1000, .late_max = 5ms});
        return sim.run(is_late(&sim));
    });
    EXPECT_GT(late, 15);
    EXPECT_LT(late, 45);
}

TEST(LateTimers, AreOnTimeOnceTheSimulationIsHealed) {
    EXPECT_EQ(seeds_where([](Sim& sim) {
                  sim.late_timers({.late_per_thousand = 1000, .late_max = 5ms});
                  sim.heal();
                  return sim.run(is_late(&sim));
              }),
              0);
}

class Alarm : public Actor {
public:
    Alarm() {
        first_ = after<&Alarm::ring>(1s, 1);
        after<&Alarm::ring>(1s, 2);
    }
    void cancel_first() { first_.cancel(); }
    std::vector<int> rung() const { return rung_; }

private:
    void ring(int number) { rung_.push_back(number); }
    Timer first_;
    std::vector<int> rung_;
};

TEST(LateTimers, OvertakeEachOtherAndCanStillBeCancelled) {
    std::set<std::vector<int>> orders;
    seeds_where([&](Sim& sim) {
        sim.late_timers({.late_per_thousand = 500, .late_max = 20ms});
        auto alarm = sim.spawn<Alarm>();
        sim.advance(2s);
        orders.insert(*sim.run(alarm.ask<&Alarm::rung>()));
        auto cancelled = sim.spawn<Alarm>();
        sim.advance(500ms);
        cancelled.tell<&Alarm::cancel_first>();
        sim.advance(2s);
        EXPECT_EQ(*sim.run(cancelled.ask<&Alarm::rung>()), std::vector{2});
        return true;
    });
    EXPECT_EQ(orders, (std::set<std::vector<int>>{{1, 2}, {2, 1}}));
}

TEST(LateTimers, AreThoseOfTheMachineThatHasThem) {
    EXPECT_GT(seeds_where([](Sim& sim) {
                  Duration woken{};
                  sim.node("slow",
                           [&](sim::Node&) -> Task<void> {
                               ignore(co_await sleep(1s), "nobody cancels it");
                               woken = sim.now();
                           },
                           {.timers = {.late_per_thousand = 1000, .late_max = 8ms}});
                  EXPECT_FALSE(sim.run(is_late(&sim)));
                  EXPECT_GE(woken, Duration(1s));
                  EXPECT_LE(woken, Duration(1008ms));
                  return woken > Duration(1s);
              }),
              15);
}

// ---- allocations that fail ----------------------------------------------------------------------

class Shelf : public Actor {
public:
    int put(int book) {
        books_.push_back(book);
        return static_cast<int>(books_.size());
    }
    int put_elsewhere() {
        sim::may_run_out_of_memory("faults_test: the annexe");
        return 0;
    }

private:
    std::pmr::vector<int> books_{&memory()};
};

TEST(AllocationFaults, EndTheHandlerAndTheActorIsStartedAgainWithWhatWaited) {
    int restarts = 0;
    const int failed = seeds_where([&](Sim& sim) {
        auto shelf = sim.start_supervised<Shelf>();
        sim.fail_allocations(200);
        const Result<int> first = sim.run(shelf.ask<&Shelf::put>(1));
        const Result<int> second = sim.run(shelf.ask<&Shelf::put>(2));
        sim.heal();
        if (!first) {
            EXPECT_THAT(first.error().message(), HasSubstr("the actor's arena is used up"));
            restarts += second == 1 ? 1 : 0;
        }
        EXPECT_TRUE(sim.run(shelf.ask<&Shelf::put>(3)).has_value()) << "it goes on";
        return !first.has_value();
    });
    EXPECT_GT(failed, 2);
    EXPECT_LT(failed, 30);
    EXPECT_GT(restarts, 0) << "a new life begins with an empty shelf";
}

TEST(AllocationFaults, AreWhereTheProgramSaysAndNowhereElse) {
    const int failed = seeds_where([](Sim& sim) {
        sim.fail_allocations(500);
        sim::may_run_out_of_memory("the test's body, where nothing fails");
        auto shelf = sim.spawn<Shelf>();
        const Result<int> there = sim.run(shelf.ask<&Shelf::put_elsewhere>());
        if (!there) {
            EXPECT_THAT(there.error().message(), HasSubstr("out of memory"));
        }
        return !there.has_value();
    });
    EXPECT_GT(failed, 5);
    EXPECT_LT(failed, 30);
    EXPECT_EQ(seeds_where([](Sim& sim) {
                  auto shelf = sim.spawn<Shelf>();
                  return !sim.run(shelf.ask<&Shelf::put_elsewhere>()) ||
                         !sim.run(shelf.ask<&Shelf::put>(1));
              }),
              0)
        << "nobody has asked for it";
    Arena outside(1 << 16);
    EXPECT_NO_THROW(outside.deallocate(outside.allocate(8), 8));
    EXPECT_NO_THROW(sim::may_run_out_of_memory("outside of a simulation"));
}

// ---- lines between machines ---------------------------------------------------------------------

class Ledger : public Actor {
public:
    void book(int number, std::string what) {
        booked_.push_back(number);
        EXPECT_EQ(what, "coins " + std::to_string(number));
    }
    std::vector<int> booked() const { return booked_; }

private:
    std::vector<int> booked_;
};

/// What arrives of three that are sent.
std::vector<int> sent_over(Sim& sim, const sim::LinkFaults& faults, bool healed = false) {
    auto ledger = sim.spawn<Ledger>();
    const sim::Link<&Ledger::book> link(sim, ledger, faults);
    if (healed) sim.heal();
    for (const int number : {1, 2, 3})
        link.send(number, "coins " + std::to_string(number));
    sim.advance(1s);
    return *sim.run(ledger.ask<&Ledger::booked>());
}

TEST(Link, IsALineWithoutFaultsUnlessToldOtherwise) {
    const Duration exact = 1ms;
    EXPECT_EQ(seeds_where([&](Sim& sim) {
                  return sent_over(sim, {.latency_min = exact, .latency_max = exact}) ==
                         std::vector{1, 2, 3};
              }),
              60);
    EXPECT_EQ(seeds_where([](Sim& sim) {
                  auto all =
                      sent_over(sim, {.lost_per_thousand = 900, .twice_per_thousand = 900}, true);
                  return all.size() == 3;
              }),
              60)
        << "healed";
}

TEST(Link, LosesRepeatsAndReorders) {
    int lost = 0;
    int twice = 0;
    int reordered = 0;
    seeds_where([&](Sim& sim) {
        std::vector<int> all =
            sent_over(sim, {.lost_per_thousand = 200, .twice_per_thousand = 300});
        reordered += std::is_sorted(all.begin(), all.end()) ? 0 : 1;
        std::sort(all.begin(), all.end());
        const std::set<int> once(all.begin(), all.end());
        lost += once.size() < 3 ? 1 : 0;
        twice += once.size() < all.size() ? 1 : 0;
        return true;
    });
    EXPECT_GT(lost, 5);
    EXPECT_GT(twice, 5);
    EXPECT_GT(reordered, 20);
}

// What it is for: a receiver that does not notice what it has had already.
class Balance : public Actor {
public:
    void add(int number, int amount) {
        sim::always(seen_.insert(number).second, "what comes twice counts once");
        balance_ += amount;
    }

private:
    std::set<int> seen_;
    int balance_ = 0;
};

TEST(Link, ShowsWhatCountsTwice) {
    const sim::TestCase test{"Balance.CountsOnce",
                             [](Sim& sim) {
                                 auto balance = sim.spawn<Balance>();
                                 const sim::Link<&Balance::add> link(sim, balance,
                                                                     {.twice_per_thousand = 100});
                                 link.send(1, 10);
                                 link.send(2, 20);
                                 sim.advance(1s);
                             },
                             {}};
    const sim::Explored explored = sim::explore(test, {.runs = 300});
    ASSERT_TRUE(explored.found);
    EXPECT_THAT(explored.found->text, HasSubstr("what comes twice counts once"));
    const sim::Shrunk shrunk = sim::shrink(test, explored.found->trace);
    EXPECT_TRUE(shrunk.replayed.result.failure);
    EXPECT_LE(sim::departures(shrunk.trace), 3U) << "that there are such faults, and this one";
}

}  // namespace
}  // namespace troupe
