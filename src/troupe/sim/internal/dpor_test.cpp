// Goal: the reduction leaves out no outcome. Method: small random programs of actors that send to
// each other, with timers; every order in which messages can arrive is found by walking through all
// schedules, and must be found by the reduced walk as well.

#include <troupe/actor/actor.hpp>
#include <troupe/base/random.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/search.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace troupe::sim {
namespace {

/// What an actor does with a message of a number: sends others, now or by a timer.
struct Action {
    std::size_t to = 0;
    int message = 0;
    bool later = false;
};
using Script = std::map<std::pair<std::size_t, int>, std::vector<Action>>;

struct World;

class Scripted : public Actor {
public:
    Scripted(std::shared_ptr<World> world, std::size_t number)
        : world_(std::move(world)), number_(number) {}
    void take(int message);
    int ask(int message) {
        take(message);
        return message;
    }
    void pass(std::size_t to, int message);
    Task<> question(std::size_t to, int message);

private:
    std::shared_ptr<World> world_;
    std::size_t number_;
};

/// Shared by the actors of one run, which is in one thread; it only writes down.
struct World {
    Script script;
    std::vector<Ref<Scripted>> actors;
    std::vector<std::string> arrived;
};

void Scripted::take(int message) {
    world_->arrived[number_] += " " + std::to_string(message);
    const auto actions = world_->script.find({number_, message});
    if (actions == world_->script.end()) return;
    for (const Action& action : actions->second) {
        if (action.later) {
            after<&Scripted::pass>(Duration::zero(), action.to, action.message);
        } else {
            pass(action.to, action.message);
        }
    }
}

void Scripted::pass(std::size_t to, int message) {
    world_->actors[to].tell<&Scripted::take>(message);
}

Task<> Scripted::question(std::size_t to, int message) {
    ignore(co_await world_->actors[to].ask<&Scripted::ask>(message), "a test");
    world_->arrived[number_] += " answered" + std::to_string(message);
}

constexpr std::size_t kActors = 3;

Script random_script(Random& random) {
    Script script;
    for (int i = 0; i < 3; ++i) {
        const std::size_t who = static_cast<std::size_t>(random.below(kActors));
        const int on = static_cast<int>(random.below(3));
        const Action action{static_cast<std::size_t>(random.below(kActors)),
                            10 + static_cast<int>(random.below(3)), random.chance(0.25)};
        script[{who, on}].push_back(action);
    }
    return script;
}

struct Outcomes {
    std::set<std::string> found;
    std::size_t runs = 0;
    bool exhaustive = false;
};

/// Every outcome that the strategy finds.
Outcomes outcomes_of(const Script& script, bool asks, Search search, std::size_t runs_max) {
    Outcomes outcomes;
    std::string outcome;
    const TestCase test{"Random.Program",
                        [&](Sim& sim) {
                            auto world = std::make_shared<World>();
                            world->script = script;
                            world->arrived.resize(kActors);
                            for (std::size_t i = 0; i < kActors; ++i)
                                world->actors.push_back(sim.spawn<Scripted>(world, i));
                            for (std::size_t i = 0; i + 1 < kActors; ++i) {
                                if (asks) {
                                    world->actors[i].tell<&Scripted::question>(kActors - 1,
                                                                               static_cast<int>(i));
                                } else {
                                    world->actors[i].tell<&Scripted::take>(static_cast<int>(i));
                                }
                            }
                            sim.settle();
                            outcome.clear();
                            for (const std::string& arrived : world->arrived)
                                outcome += arrived + " |";
                        },
                        {}};
    const auto searcher = make_searcher(search);
    while (outcomes.runs < runs_max) {
        Chooser* const chooser = searcher->next_run(1);
        if (chooser == nullptr) {
            outcomes.exhaustive = searcher->exhaustive();
            break;
        }
        const RunResult result = run_once(test, *chooser, {.observer = searcher->observer()});
        EXPECT_FALSE(result.failure) << result.failure->text;
        outcomes.found.insert(outcome);
        ++outcomes.runs;
    }
    return outcomes;
}

TEST(Dpor, LeavesOutNoOutcome) {
    Random random(2026);
    std::size_t all_runs = 0;
    std::size_t reduced_runs = 0;
    std::size_t compared = 0;
    for (int round = 0; round < 60; ++round) {
        const Script script = random_script(random);
        const bool asks = round % 2 == 1;
        const Outcomes reduced = outcomes_of(script, asks, Search::dpor, 20'000);
        const Outcomes all = outcomes_of(script, asks, Search::bounded, 3000);
        if (!all.exhaustive) continue;  // too large to be compared
        ++compared;
        all_runs += all.runs;
        reduced_runs += reduced.runs;
        EXPECT_TRUE(reduced.exhaustive);
        EXPECT_EQ(reduced.found, all.found) << "program " << round;
    }
    std::printf("%zu programs: %zu runs of all schedules, %zu reduced\n", compared, all_runs,
                reduced_runs);
    EXPECT_GT(compared, 20U);
    EXPECT_LT(reduced_runs * 3, all_runs);
}

}  // namespace
}  // namespace troupe::sim
