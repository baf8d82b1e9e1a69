#include <troupe/actor/actor.hpp>
#include <troupe/actor/ask.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/sim/internal/test_schedules.hpp>
#include <troupe/sim/internal/test_settings.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/schedules.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using sim::on_schedules;
using sim::ScheduledTest;

class Number : public Actor {
public:
    int value() const { return value_; }
    void set(int value) { value_ = value; }

private:
    int value_ = 0;
};

/// Reads, then writes what it has read plus one.
class Adder : public Actor {
public:
    explicit Adder(Ref<Number> cell) : cell_(cell) {}
    Task<void> add() {
        const Result<int> read = co_await cell_.ask<&Number::value>();
        ignore(cell_.tell<&Number::set>(read.value_or(0) + 1), "the cell outlives this");
        co_return;
    }

private:
    Ref<Number> cell_;
};

int sum_of_two(OwnedSystem& system) {
    auto cell = system->spawn<Number>();
    auto one = system->spawn<Adder>(cell);
    auto other = system->spawn<Adder>(cell);
    ignore(one.tell<&Adder::add>(), "it is there");
    ignore(other.tell<&Adder::add>(), "it is there");
    system.settle();
    return *system->block_on(cell.ask<&Number::value>());
}

struct Heard {
    std::string text;
    std::size_t failures = 0;
};

ScheduledTest test_that_hears(Heard& heard, std::function<void(OwnedSystem&)> body) {
    return {std::string("Schedules.") + sim_internal::this_test().name(), std::move(body),
            [&heard] { return heard.failures; },
            [&heard](const std::string& text) { heard.text += text; }};
}

TEST(Schedules, FindALostUpdateShrinkItAndSayHowToReplayIt) {
    const sim_internal::NothingAsked nothing;
    Heard heard;
    const Exploration seen = on_schedules(test_that_hears(heard,
                                                          [&](OwnedSystem& system) {
                                                              if (sum_of_two(system) != 2) {
                                                                  ++heard.failures;
                                                              }
                                                          }),
                                          200);
    EXPECT_LT(seen.runs, 200U);
    EXPECT_NE(heard.text.find(" fails under the schedule of "), std::string::npos) << heard.text;
    EXPECT_NE(
        heard.text.find(
            " --gtest_filter=Schedules.FindALostUpdateShrinkItAndSayHowToReplayIt --replay t1:"),
        std::string::npos)
        << heard.text;
    EXPECT_NE(heard.text.find("Number::set"), std::string::npos) << heard.text;
}

TEST(Schedules, AreOfEveryStrategyAndInThisProcess) {
    const sim_internal::NothingAsked nothing;
    std::size_t runs = 0;
    std::set<int> sums;
    const Exploration seen = sim_internal::on_schedules(90, [&](OwnedSystem& system) {
        ++runs;
        sums.insert(sum_of_two(system));
    });
    EXPECT_EQ(seen.runs, runs);
    EXPECT_GT(seen.distinct, 5U);
    EXPECT_EQ(sums, (std::set<int>{1, 2}));
}

TEST(Schedules, FailForWhatIsLeftBehind) {
    const sim_internal::NothingAsked nothing;
    Heard heard;
    std::vector<void*> kept;
    on_schedules(test_that_hears(heard, [&](OwnedSystem&) { kept.push_back(allocate_block(64)); }),
                 1);
    EXPECT_NE(heard.text.find("are left after the test"), std::string::npos) << heard.text;
    for (void* block : kept)
        free_block(block, 64);
}

TEST(Schedules, LetWhoPollsGetOnUnderEveryStrategy) {
    class Late : public Actor {
    public:
        Late() { ignore(self(this).tell<&Late::be_ready>(), "it is there"); }
        bool ready() const { return ready_; }

    private:
        void be_ready() { ready_ = true; }
        bool ready_ = false;
    };
    class Poller : public Actor {
    public:
        explicit Poller(Ref<Late> late) : late_(late) {}
        Task<void> poll() {
            for (;;) {
                const Result<bool> ready = co_await late_.ask<&Late::ready>();
                if (ready.value_or(false)) co_return;
            }
        }

    private:
        Ref<Late> late_;
    };
    sim_internal::on_schedules(60, [](OwnedSystem& system) {
        auto poller = system->spawn<Poller>(system->spawn<Late>());
        EXPECT_TRUE(system->block_on(poller.ask<&Poller::poll>()).has_value());
    });
}

TEST(SchedulesDeathTest, SayHowARunThatEndsTheProcessIsFoundAgain) {
    const sim_internal::NothingAsked nothing;
    const auto run = [] {
        sim_internal::on_schedules(20, [](OwnedSystem& system) {
            TROUPE_ASSERT(sum_of_two(system) == 2, "nothing is lost");
        });
    };
    EXPECT_DEATH(run(), "TROUPE_APART=1 .*_test --gtest_filter=SchedulesDeathTest");
}

TEST(Schedules, OfARunThatEndsTheProcessAreFoundApart) {
    const sim::TestCase test{
        "A.Crash",
        [](Sim& sim) { TROUPE_ASSERT(sum_of_two(sim.owned_system()) == 2, "nothing is lost"); },
        {}};
    const sim::Explored explored = sim::explore(test);
    ASSERT_TRUE(explored.found.has_value());
    EXPECT_TRUE(explored.found->crashed);
}

}  // namespace
}  // namespace troupe
