// A test of the tester: small programs with one mistake each, and which strategy finds it, how
// often and how soon.
//
//     planted              prints the table
//     planted --check      fails unless the portfolio finds each, its failure replays to the same
//                          events in another process, shrunk too, and the clean forms do not fail
//     planted BUG          shrinks one and tells its story

#include <troupe/base/hash.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/search.hpp>
#include <troupe/sim/shrink.hpp>
#include <troupe/sim/story.hpp>

#include "bugs.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace {

using planted::Bug;
namespace sim = troupe::sim;

constexpr std::size_t kRunsMax = 500;  // of one search
constexpr std::size_t kSearches = 9;   // with other seeds

std::vector<Bug> all_bugs() {
    std::vector<Bug> bugs = planted::bugs_of_actors();
    for (auto* const more : {&planted::bugs_of_order, &planted::bugs_of_time}) {
        const std::vector<Bug> some = more();
        bugs.insert(bugs.end(), some.begin(), some.end());
    }
    return bugs;
}

sim::TestCase test_of(const Bug& bug, bool planted) {
    return {"Planted." + bug.name,
            [bug, planted](troupe::Sim& world) { bug.body(world, planted); },
            {}};
}

sim::ExploreOptions options_for(std::vector<sim::Search> searches, std::uint64_t first_seed) {
    sim::ExploreOptions options;
    options.searches = std::move(searches);
    options.first_seed = first_seed;
    options.runs = kRunsMax;
    options.processes = 1;  // so that steps until the failure are counted exactly
    options.steps_max = 20'000;
    return options;
}

/// "9/9 31": how many of the searches have found it, and the median of their steps.
std::string cell_of(const Bug& bug, const std::vector<sim::Search>& searches, bool has_chance) {
    std::vector<std::uint64_t> steps;
    const std::size_t tries = has_chance ? kSearches : 1;
    for (std::size_t i = 0; i < tries; ++i) {
        const sim::Explored explored =
            sim::explore(test_of(bug, true), options_for(searches, 1 + i * 10'000));
        if (explored.found) steps.push_back(explored.steps);
    }
    std::string text = std::to_string(steps.size()) + "/" + std::to_string(tries);
    if (steps.empty()) return text;
    std::sort(steps.begin(), steps.end());
    return text + " " + std::to_string(steps[steps.size() / 2]);
}

void print_table() {
    std::printf("| bug | mistake |");
    for (const sim::Search search : sim::kAllSearches)
        std::printf(" %s |", std::string(sim::name(search)).c_str());
    std::printf(" portfolio |\n|---|---|");
    for (std::size_t i = 0; i <= sim::kAllSearches.size(); ++i)
        std::printf("---|");
    std::printf("\n");
    for (const Bug& bug : all_bugs()) {
        std::printf("| %s | %s |", bug.name.c_str(), bug.mistake.c_str());
        for (const sim::Search search : sim::kAllSearches) {
            const bool has_chance = search != sim::Search::bounded && search != sim::Search::dpor;
            std::printf(" %s |", cell_of(bug, {search}, has_chance).c_str());
            std::fflush(stdout);
        }
        const std::vector<sim::Search> all(sim::kAllSearches.begin(), sim::kAllSearches.end());
        std::printf(" %s |\n", cell_of(bug, all, true).c_str());
    }
}

bool check(const Bug& bug) {
    sim::ExploreOptions options;
    options.runs = 2 * kRunsMax;
    const sim::TestCase wrong = test_of(bug, true);
    const auto fails = [&](const char* what) {
        std::printf("FAILED  %s: %s\n", bug.name.c_str(), what);
        return false;
    };
    const sim::Explored clean = sim::explore(test_of(bug, false), options);
    if (clean.found) return fails(("the clean form fails: " + clean.found->text).c_str());
    const sim::Explored explored = sim::explore(wrong, options);
    if (!explored.found) return fails("not found");
    const auto trace = sim::trace_from(sim::to_text(explored.found->trace));
    if (!trace) return fails(trace.error().message().c_str());
    const sim::Replayed again = sim::replay_apart(wrong, *trace, false);
    if (!again.result.failure) return fails("the replay does not fail");
    if (again.result.hash != explored.found->hash) return fails("the replay has other events");
    const sim::Shrunk shrunk = sim::shrink(wrong, *trace);
    const auto small = sim::trace_from(sim::to_text(shrunk.trace));
    if (!sim::replay_apart(wrong, *small, false).result.failure) {
        return fails("the shrunk trace does not fail");
    }
    std::printf("ok      %-22s %4zu runs, %3zu choices that matter, shrunk to %zu: %s\n",
                bug.name.c_str(), explored.runs, sim::departures(*trace),
                sim::departures(shrunk.trace), sim::to_text(shrunk.trace).c_str());
    return true;
}

int tell(std::string_view name) {
    for (const Bug& bug : all_bugs()) {
        if (bug.name != name) continue;
        const sim::TestCase wrong = test_of(bug, true);
        const sim::Explored explored = sim::explore(wrong);
        if (!explored.found) break;
        const sim::Shrunk shrunk = sim::shrink(wrong, explored.found->trace);
        sim::Replayer replayer(shrunk.trace);
        sim::History history;
        const sim::RunResult result = sim::run_once(wrong, replayer, {.observer = &history});
        std::printf("%s: %s\n%s\n%s", bug.name.c_str(), shrunk.replayed.text.c_str(),
                    sim::to_text(shrunk.trace).c_str(),
                    sim::story(history, {.last_step = result.failure->step}).c_str());
        return 0;
    }
    std::fprintf(stderr, "planted: no bug is called that, or it was not found\n");
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view asked = argc > 1 ? argv[1] : "";
    if (asked.empty()) {
        print_table();
        return 0;
    }
    if (asked != "--check") return tell(asked);
    bool all = true;
    for (const Bug& bug : all_bugs())
        all = check(bug) && all;
    return all ? 0 : 1;
}
