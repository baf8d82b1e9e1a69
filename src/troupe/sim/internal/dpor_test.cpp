// Goal: the reduction leaves out no outcome. Method: small random programs of actors that send to
// each other, with timers, and use things that all share; every outcome is found by walking through
// all schedules, and must be found by the reduced walk as well.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/group.hpp>
#include <troupe/base/random.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/search.hpp>
#include <troupe/task/sync.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace troupe::sim {
namespace {

/// What an actor does with a message of a number: sends others, now or by a timer, or uses
/// something whose state it writes down.
struct Action {
    enum class Kind : std::uint8_t {
        tell,
        tell_later,
        take_permit,
        look_at_event,
        set_event,
        join
    };
    std::size_t to = 0;
    int message = 0;
    Kind kind = Kind::tell;
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
    void use(Action::Kind kind);

    std::shared_ptr<World> world_;
    std::size_t number_;
};

/// Shared by the actors of one run, which is in one thread; it only writes down.
struct World {
    Script script;
    std::vector<Ref<Scripted>> actors;
    std::vector<std::string> arrived;
    Semaphore permits{2};
    std::vector<Permit> taken;  // given back before the semaphore goes
    Event event;
};

void Scripted::use(Action::Kind kind) {
    std::string& seen = world_->arrived[number_];
    const Group<Scripted> group(system(), "all");
    switch (kind) {
        case Action::Kind::take_permit:
            seen += world_->permits.try_acquire(world_->taken.emplace_back()) ? " has" : " has not";
            break;
        case Action::Kind::look_at_event:
            seen += world_->event.is_set() ? " set" : " not set";
            break;
        case Action::Kind::set_event:
            world_->event.set();
            break;
        case Action::Kind::join:
            seen += " " + std::to_string(group.members().size());
            group.join(self(this));
            break;
        case Action::Kind::tell:
        case Action::Kind::tell_later:
            break;
    }
}

void Scripted::take(int message) {
    world_->arrived[number_] += " " + std::to_string(message);
    const auto actions = world_->script.find({number_, message});
    if (actions == world_->script.end()) return;
    for (const Action& action : actions->second) {
        if (action.kind == Action::Kind::tell_later) {
            after<&Scripted::pass>(Duration::zero(), action.to, action.message);
        } else if (action.kind == Action::Kind::tell) {
            pass(action.to, action.message);
        } else {
            use(action.kind);
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
                            10 + static_cast<int>(random.below(3)),
                            random.chance(0.25) ? Action::Kind::tell_later : Action::Kind::tell};
        script[{who, on}].push_back(action);
    }
    return script;
}

/// The first messages of all use things, each some.
Script random_uses(Random& random) {
    Script script = random_script(random);
    constexpr Action::Kind kUses[] = {Action::Kind::take_permit, Action::Kind::look_at_event,
                                      Action::Kind::set_event, Action::Kind::join};
    for (std::size_t who = 0; who + 1 < kActors; ++who) {
        const Action action{0, 0, kUses[random.below(std::size(kUses))]};
        script[{who, static_cast<int>(who)}].push_back(action);
        script[{kActors - 1, 10 + static_cast<int>(who)}].push_back(
            {0, 0, kUses[random.below(std::size(kUses))]});
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

void compare_with_all(Random random, Script (*make)(Random& random)) {
    std::size_t all_runs = 0;
    std::size_t reduced_runs = 0;
    std::size_t compared = 0;
    for (int round = 0; round < 60; ++round) {
        const Script script = make(random);
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

TEST(Dpor, LeavesOutNoOutcome) {
    compare_with_all(Random(2026), &random_script);
}

TEST(Dpor, KnowsWhatActorsShareBesidesMail) {
    compare_with_all(Random(2027), &random_uses);
}

}  // namespace
}  // namespace troupe::sim
