#include <troupe/actor/actor.hpp>
#include <troupe/sim/properties.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/sim.hpp>
#include <troupe/sim/trace.hpp>
#include <troupe/task/sleep.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

sim::RunResult run(const std::function<void(Sim& sim)>& body, std::uint64_t seed = 1) {
    RandomChooser chooser(seed);
    return sim::run_once({"a test", body, {}}, chooser);
}
std::string failure_of(const std::function<void(Sim& sim)>& body) {
    const sim::RunResult result = run(body);
    return result.failure ? result.failure->text : "";
}

class Clockwork : public Actor {
public:
    explicit Clockwork(Duration each) { every<&Clockwork::tick>(each); }
    void tick() {
        ++ticks_;
        sim::always(ticks_ < 5, "it does not tick for long");
    }
    int ticks() const { return ticks_; }
    Task<int> slowly() {
        ignore(co_await sleep(3s), "a test");
        co_return ticks_;
    }

private:
    int ticks_ = 0;
};

TEST(Sim, MovesTimeOnlyWhenItIsTold) {
    EXPECT_EQ(failure_of([](Sim& sim) {
                  auto clockwork = sim.spawn<Clockwork>(1s);
                  sim.settle();
                  EXPECT_EQ(sim.now(), Duration::zero());
                  EXPECT_EQ(*sim.run(clockwork.ask<&Clockwork::ticks>()), 0);
                  sim.advance(2500ms);
                  EXPECT_EQ(sim.now(), Duration(2500ms));
                  EXPECT_EQ(*sim.run(clockwork.ask<&Clockwork::ticks>()), 2);
                  EXPECT_TRUE(sim.advance_to_next());
                  EXPECT_EQ(sim.now(), Duration(3s));
                  EXPECT_EQ(*sim.run(clockwork.ask<&Clockwork::ticks>()), 3);
                  EXPECT_FALSE(sim.run_until_idle(1s));
                  EXPECT_TRUE(sim.run_until([] { return true; }, 1h));
              }),
              "");
}

TEST(Sim, RunsTasksAndAsksForAsLongAsTheyTake) {
    EXPECT_EQ(failure_of([](Sim& sim) {
                  auto clockwork = sim.spawn<Clockwork>(2s);
                  EXPECT_EQ(*sim.run(clockwork.ask<&Clockwork::slowly>().within(1min)), 0)
                      << "one message at a time: the ticks wait";
                  EXPECT_EQ(sim.now(), Duration(3s));
              }),
              "");
}

TEST(Sim, StopsTheRunWhereNothingCanEverCome) {
    bool went_on = false;
    const std::string text = failure_of([&](Sim& sim) {
        auto smtp = sim.probe<Clockwork>();
        ignore(sim.run(smtp.ref().ask<&Clockwork::ticks>().within(Duration::max())), "a test");
        went_on = true;
    });
    EXPECT_THAT(text, HasSubstr("deadlock"));
    EXPECT_THAT(text, HasSubstr("waits in ask troupe::Clockwork::ticks"));
    EXPECT_FALSE(went_on);
}

class Spinner : public Actor {
public:
    void spin() { self(this).tell<&Spinner::spin>(); }
};

TEST(SimDeathTest, StopsTheRunThatGoesRoundInACircle) {
    // In a process of its own: what runs for ever is left as it is.
    EXPECT_EXIT(
        {
            RandomChooser chooser(1);
            const sim::RunResult result =
                sim::run_once({"a test",
                               [](Sim& sim) {
                                   sim.spawn<Spinner>().tell<&Spinner::spin>();
                                   sim.settle();
                               },
                               {}},
                              chooser, {.steps_max = 5000});
            std::fputs(result.failure->text.c_str(), stderr);
            ::_exit(result.failure->step == 5000 ? 0 : 1);
        },
        testing::ExitedWithCode(0), "after 5000 steps something still wants to run");
}

TEST(Sim, SaysWhatTheBodyThrew) {
    EXPECT_THAT(failure_of([](Sim&) { throw std::runtime_error("oh no"); }), HasSubstr("oh no"));
}

TEST(Sim, ChecksWhatActorsSayIsAlwaysSo) {
    const sim::RunResult result = run([](Sim& sim) {
        sim.spawn<Clockwork>(1s);
        sim.advance(10s);
    });
    ASSERT_TRUE(result.failure);
    EXPECT_THAT(result.failure->text, HasSubstr("not always: it does not tick for long"));
    EXPECT_EQ(result.failure->time, Duration(5s));
}

TEST(Sim, ChecksInvariantsAfterEachStep) {
    const sim::RunResult result = run([](Sim& sim) {
        sim.spawn<Clockwork>(1s);
        sim.invariant("the first four seconds", [&] { return sim.now() < Duration(4s); });
        sim.advance(10s);
    });
    ASSERT_TRUE(result.failure);
    EXPECT_THAT(result.failure->text, HasSubstr("does not hold: the first four seconds"));
    EXPECT_EQ(result.failure->time, Duration(4s));
}

TEST(Sim, WaitsForWhatIsToHappenNoLongerThanItIsTold) {
    const auto hope = [](Duration within, Duration takes) {
        return run([=](Sim& sim) {
            auto ticks = 0;
            sim.spawn<Clockwork>(takes);
            sim.eventually_within(within, "time goes by",
                                  [&sim, takes] { return sim.now() >= takes; });
            static_cast<void>(ticks);
            sim.advance(4 * takes);
        });
    };
    EXPECT_FALSE(hope(2s, 1s).failure);
    const sim::RunResult late = hope(2s, 3s);
    ASSERT_TRUE(late.failure);
    EXPECT_THAT(late.failure->text, HasSubstr("did not happen in time: time goes by"));
    EXPECT_EQ(late.failure->time, Duration(2s));
    const std::string never =
        failure_of([](Sim& sim) { sim.eventually_within(1h, "pigs fly", [] { return false; }); });
    EXPECT_THAT(never, HasSubstr("ended before it happened: pigs fly"));
}

TEST(Sim, SaysWhereNobodyShouldHaveGot) {
    EXPECT_THAT(failure_of([](Sim&) { sim::unreachable("here"); }), HasSubstr("reached: here"));
    sim::unreachable("outside of a simulation nothing happens");
}

TEST(Sim, MisbehavesInSomeRunsAndNeverOnceHealed) {
    int misbehaved = 0;
    int afterwards = 0;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        run(
            [&](Sim& sim) {
                for (int i = 0; i < 20; ++i)
                    misbehaved += sim::buggify("sim_test", 500) ? 1 : 0;
                sim.heal();
                for (int i = 0; i < 20; ++i)
                    afterwards += sim::buggify("sim_test", 1000) ? 1 : 0;
            },
            seed);
    }
    EXPECT_GT(misbehaved, 150);
    EXPECT_LT(misbehaved, 350) << "half of the time, in half of the runs";
    EXPECT_EQ(afterwards, 0);
    EXPECT_FALSE(sim::buggify("sim_test", 1000)) << "outside of a simulation";
}

class Fragile : public Actor {
public:
    explicit Fragile(int number) : number_(number) {}
    int number() const { return number_; }

private:
    int number_;
};
class Refusing : public Actor {
private:
    Task<Result<void>> on_start() override { co_return error(Errc::failed, "no database"); }
};

TEST(Sim, StartsAgainWhatItSupervises) {
    EXPECT_EQ(failure_of([](Sim& sim) {
                  auto fragile = sim.start_supervised<Fragile>(7);
                  EXPECT_TRUE(sim.inject_failure(fragile, "as a test"));
                  sim.settle();
                  EXPECT_EQ(*sim.run(fragile.ask<&Fragile::number>()), 7);
                  EXPECT_EQ(sim.system().crashes(), 1U);
              }),
              "");
    EXPECT_THAT(failure_of([](Sim& sim) { sim.start_supervised<Refusing>(); }),
                HasSubstr("no database"));
}

TEST(Sim, GivesTheSameRunForTheSameChoices) {
    const auto hash = [](std::uint64_t seed) {
        return run(
                   [](Sim& sim) {
                       for (int i = 0; i < 5; ++i)
                           sim.spawn<Clockwork>(1s);
                       sim.advance(3s);
                   },
                   seed)
            .hash;
    };
    EXPECT_EQ(hash(1), hash(1));
    EXPECT_NE(hash(1), hash(2));
}

}  // namespace
}  // namespace troupe
