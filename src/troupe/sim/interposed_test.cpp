// Goal: a simulated step that asks the machine is found. Method: this program is linked with
// interpose.cpp, as those of all simulated tests are; each run is in a process of its own, so a
// refusal is a failure that is replayed.

#include <troupe/actor/actor.hpp>
#include <troupe/base/asks_machine.hpp>
#include <troupe/base/log.hpp>
#include <troupe/sim/run.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <string>

namespace troupe {
namespace {

using namespace std::chrono_literals;

class Curious : public Actor {
public:
    Duration steady() const { return std::chrono::steady_clock::now().time_since_epoch(); }
    std::int64_t seconds() const { return static_cast<std::int64_t>(::time(nullptr)); }
    std::int64_t wall() const {
        timeval now{};
        ::gettimeofday(&now, nullptr);
        return static_cast<std::int64_t>(now.tv_sec);
    }
    void asks_for_the_clock_on_purpose() {
        const AsksMachine machine(kMachineTime);
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        EXPECT_GT(now.tv_sec + now.tv_nsec, 0);  // the simulation's stands at zero
        EXPECT_GT(seconds(), 1'735'689'600);     // and began there
    }
    void draws_where_it_may_see_the_clock() {
        const AsksMachine machine(kMachineTime);
        draws();
    }
    void sleeps_where_it_may_do_all() {
        const AsksMachine machine(~0U);
        sleeps();
    }
    void logs() { log_info("the first line of its process"); }
    void sleeps() { ::usleep(1); }
    void draws() {
        int drawn = 0;
        static_cast<void>(::getrandom(&drawn, sizeof(drawn), 0));
    }
    void throws_dice() { dice_ = ::rand(); }
    void throws_other_dice() { dice_ = static_cast<int>(::random()); }
    void throws_good_dice() { dice_ = static_cast<int>(::arc4random()); }
    void asks_for_a_seed() { dice_ = static_cast<int>(std::random_device()()); }
    void sleeps_long() { ::sleep(1); }
    std::int64_t utc() const {
        timespec now{};
        ::timespec_get(&now, TIME_UTC);
        return static_cast<std::int64_t>(now.tv_sec);
    }
    void starts_a_thread() {
        pthread_t thread{};
        ::pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
        ::pthread_join(thread, nullptr);
    }

private:
    int dice_ = 0;
};

template <auto M>
sim::Replayed after_telling() {
    const sim::TestCase test{"A.Step",
                             [](Sim& sim) {
                                 sim.spawn<Curious>().tell<M>();
                                 sim.settle();
                             },
                             {}};
    return sim::replay_apart(test, {}, false);
}

TEST(Interposed, RefusesWhatNoSeedReplays) {
    EXPECT_TRUE(after_telling<&Curious::sleeps>().crashed);
    EXPECT_TRUE(after_telling<&Curious::draws>().crashed);
    EXPECT_TRUE(after_telling<&Curious::throws_dice>().crashed);
    EXPECT_TRUE(after_telling<&Curious::throws_other_dice>().crashed);
    EXPECT_TRUE(after_telling<&Curious::throws_good_dice>().crashed);
    EXPECT_TRUE(after_telling<&Curious::asks_for_a_seed>().crashed);
    EXPECT_TRUE(after_telling<&Curious::sleeps_long>().crashed);
    EXPECT_TRUE(after_telling<&Curious::starts_a_thread>().crashed);
    EXPECT_FALSE(after_telling<&Curious::steady>().result.failure);
}

TEST(Interposed, LetsThroughWhatIsAllowed) {
    ::setenv("TROUPE_ALLOW_UNCONTROLLED", "1", 1);
    EXPECT_FALSE(after_telling<&Curious::sleeps>().result.failure);
    ::setenv("TROUPE_ALLOW_UNCONTROLLED", "rand,usleep", 1);
    EXPECT_FALSE(after_telling<&Curious::sleeps>().result.failure);
    EXPECT_TRUE(after_telling<&Curious::draws>().crashed);
    ::unsetenv("TROUPE_ALLOW_UNCONTROLLED");
}

// What we do on purpose says so at its place, and gets what it names.
TEST(Interposed, LetsThroughWhatIsNamedWhereItIsDone) {
    EXPECT_FALSE(after_telling<&Curious::asks_for_the_clock_on_purpose>().result.failure);
    EXPECT_TRUE(after_telling<&Curious::draws_where_it_may_see_the_clock>().crashed);
    EXPECT_TRUE(after_telling<&Curious::sleeps_where_it_may_do_all>().crashed);
    EXPECT_FALSE(after_telling<&Curious::logs>().result.failure);
}

TEST(Interposed, SaysWhatWasCalledAndWhereFrom) {
    EXPECT_DEATH(
        {
            sim::FirstChooser chooser;
            sim::run_once({"A.Step",
                           [](Sim& sim) {
                               sim.spawn<Curious>().tell<&Curious::sleeps>();
                               sim.settle();
                           },
                           {}},
                          chooser);
        },
        "a simulated step called usleep(.|\n)*interposed_test");
}

TEST(Interposed, GivesTheSimulationsTime) {
    sim::FirstChooser chooser;
    const sim::RunResult result =
        sim::run_once({"A.Step",
                       [](Sim& sim) {
                           auto curious = sim.spawn<Curious>();
                           sim.advance(5s);
                           EXPECT_EQ(*sim.run(curious.ask<&Curious::steady>()), Duration(5s));
                           const std::int64_t wall = *sim.run(curious.ask<&Curious::wall>());
                           EXPECT_EQ(*sim.run(curious.ask<&Curious::seconds>()), wall);
                           sim.advance(10s);
                           EXPECT_EQ(*sim.run(curious.ask<&Curious::wall>()), wall + 10);
                       },
                       {}},
                      chooser);
    EXPECT_FALSE(result.failure);
}

TEST(Interposed, GivesTheTimeOfTheMachineThatAsks) {
    sim::FirstChooser chooser;
    const sim::RunResult result = sim::run_once(
        {"A.Step",
         [](Sim& sim) {
             const sim::NodeMain idle = [](sim::Node&) -> Task<void> { co_return; };
             sim::Node& late = sim.node("late", idle, {.clock = {.wall_offset = -1h}});
             auto there = late.system().spawn<Curious>();
             auto here = sim.spawn<Curious>();
             EXPECT_EQ(*sim.run(there.ask<&Curious::utc>()) + 3600,
                       *sim.run(here.ask<&Curious::utc>()));
         },
         {}},
        chooser);
    EXPECT_FALSE(result.failure);
}

TEST(Interposed, LeavesEverybodyElseAlone) {
    const auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(::usleep(1000), 0);
    EXPECT_GE(std::chrono::steady_clock::now() - before, 1ms);
    Curious outside;
    outside.starts_a_thread();
    outside.draws();
    EXPECT_GT(outside.seconds(), 1'700'000'000);
}

}  // namespace
}  // namespace troupe
