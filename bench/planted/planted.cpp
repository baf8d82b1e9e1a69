// A test of the tester: programs with one mistake each, and which strategy finds it, how often and
// how soon. Some are small programs of their own; the others are patches to our components, each
// linked into a program beside this one: planted_late_answer has the patch "late answer".
//
//     planted              prints the table
//     planted --check      fails unless the portfolio finds each, its failure replays to the same
//                          events in another process, shrunk too, and the clean forms do not fail
//     planted BUG          shrinks one and tells its story
//
// The programs beside it print one row, or check one, and are called by it.

#include <troupe/base/log.hpp>
#include <troupe/base/result.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/search.hpp>
#include <troupe/sim/shrink.hpp>
#include <troupe/sim/story.hpp>

#include "bugs.hpp"
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using planted::Bug;
using troupe::ignore;
namespace sim = troupe::sim;

constexpr std::size_t kRunsMax = 500;  // of one search
constexpr std::size_t kSearches = 9;   // with other seeds

std::vector<Bug> bugs_of_models() {
    std::vector<Bug> bugs = planted::bugs_of_actors();
    for (auto* const more : {&planted::bugs_of_order, &planted::bugs_of_time}) {
        const std::vector<Bug> some = more();
        bugs.insert(bugs.end(), some.begin(), some.end());
    }
    return bugs;
}

std::vector<Bug> patched_bugs() {
    std::vector<Bug> bugs = planted::bugs_of_components();
    const std::vector<Bug> more = planted::bugs_of_windows();
    bugs.insert(bugs.end(), more.begin(), more.end());
    return bugs;
}

/// "planted_late_answer" for the one of that name.
std::string program_of(const Bug& bug) {
    std::string name = "planted_" + bug.name;
    std::replace(name.begin(), name.end(), ' ', '_');
    return name;
}

std::filesystem::path this_program() {
    return std::filesystem::read_symlink("/proc/self/exe");
}

/// The one that this program is patched with, or none.
std::optional<Bug> bug_of_this_program() {
    for (const Bug& bug : patched_bugs()) {
        if (program_of(bug) == this_program().filename()) return bug;
    }
    return std::nullopt;
}

/// Runs the program with that patch, and gives what it gives.
int run_patched(const Bug& bug, const char* argument) {
    std::fflush(nullptr);
    const std::string path = (this_program().parent_path() / program_of(bug)).string();
    const pid_t child = ::fork();
    if (child == 0) {
        ::execl(path.c_str(), path.c_str(), argument, nullptr);
        std::fprintf(stderr, "planted: there is no %s: %s\n", path.c_str(), std::strerror(errno));
        ::_exit(127);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child) return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
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

void print_row(const Bug& bug) {
    std::printf("| %s | %s |", bug.name.c_str(), bug.mistake.c_str());
    for (const sim::Search search : sim::kAllSearches) {
        const bool has_chance = search != sim::Search::bounded && search != sim::Search::dpor;
        std::printf(" %s |", cell_of(bug, {search}, has_chance).c_str());
        std::fflush(stdout);
    }
    const std::vector<sim::Search> all(sim::kAllSearches.begin(), sim::kAllSearches.end());
    std::printf(" %s |\n", cell_of(bug, all, true).c_str());
}

void print_table() {
    std::printf("| bug | mistake |");
    for (const sim::Search search : sim::kAllSearches)
        std::printf(" %s |", std::string(sim::name(search)).c_str());
    std::printf(" portfolio |\n|---|---|");
    for (std::size_t i = 0; i <= sim::kAllSearches.size(); ++i)
        std::printf("---|");
    std::printf("\n");
    for (const Bug& bug : bugs_of_models())
        print_row(bug);
    for (const Bug& bug : patched_bugs())
        ignore(run_patched(bug, "--row"), "it has said what is wrong");
}

bool fails(const Bug& bug, const std::string& what) {
    std::printf("FAILED  %s: %s\n", bug.name.c_str(), what.c_str());
    return false;
}

sim::ExploreOptions options_for_checks() {
    sim::ExploreOptions options;
    options.runs = 2 * kRunsMax;
    return options;
}

bool check_clean(const Bug& bug) {
    const sim::Explored clean = sim::explore(test_of(bug, false), options_for_checks());
    return !clean.found || fails(bug, "the clean form fails: " + clean.found->text);
}

bool check_wrong(const Bug& bug) {
    const sim::TestCase wrong = test_of(bug, true);
    const sim::Explored explored = sim::explore(wrong, options_for_checks());
    if (!explored.found) return fails(bug, "not found");
    const auto trace = sim::trace_from(sim::to_text(explored.found->trace));
    if (!trace) return fails(bug, trace.error().message());
    const sim::Replayed again = sim::replay_apart(wrong, *trace, false);
    if (!again.result.failure) return fails(bug, "the replay does not fail");
    if (again.result.hash != explored.found->hash) return fails(bug, "the replay has other events");
    const sim::Shrunk shrunk = sim::shrink(wrong, *trace);
    const auto small = sim::trace_from(sim::to_text(shrunk.trace));
    if (!sim::replay_apart(wrong, *small, false).result.failure) {
        return fails(bug, "the shrunk trace does not fail");
    }
    std::printf("ok      %-22s %4zu runs, %3zu choices that matter, shrunk to %zu: %s\n",
                bug.name.c_str(), explored.runs, sim::departures(*trace),
                sim::departures(shrunk.trace), sim::to_text(shrunk.trace).c_str());
    return true;
}

int tell(const Bug& bug) {
    const sim::TestCase wrong = test_of(bug, true);
    const sim::Explored explored = sim::explore(wrong, options_for_checks());
    if (!explored.found) {
        std::fprintf(stderr, "planted: %s was not found\n", bug.name.c_str());
        return 1;
    }
    const sim::Shrunk shrunk = sim::shrink(wrong, explored.found->trace);
    sim::Replayer replayer(shrunk.trace);
    sim::History history;
    const sim::RunResult result = sim::run_once(wrong, replayer, {.observer = &history});
    std::printf("%s: %s\n%s\n", bug.name.c_str(), shrunk.replayed.text.c_str(),
                sim::to_text(shrunk.trace).c_str());
    if (!result.failure) return 1;
    std::printf("%s", sim::story(history, {.last_step = result.failure->step}).c_str());
    return 0;
}

int tell(std::string_view name) {
    for (const Bug& bug : bugs_of_models()) {
        if (bug.name == name) return tell(bug);
    }
    for (const Bug& bug : patched_bugs()) {
        if (bug.name == name) return run_patched(bug, "--tell");
    }
    std::fprintf(stderr, "planted: no bug is called that\n");
    return 1;
}

bool check_all() {
    bool all = true;
    for (const Bug& bug : bugs_of_models())
        all = check_clean(bug) && check_wrong(bug) && all;
    for (const Bug& bug : patched_bugs())
        all = check_clean(bug) && run_patched(bug, "--check") == 0 && all;
    return all;
}

int be_patched(const Bug& bug, std::string_view asked) {
    if (asked == "--row") {
        print_row(bug);
        return 0;
    }
    if (asked == "--check") return check_wrong(bug) ? 0 : 1;
    return tell(bug);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view asked = argc > 1 ? argv[1] : "";
    // What components say while they fail on purpose is heard by nobody.
    troupe::set_log_sink([](troupe::LogLevel, std::string_view) {});
    if (const std::optional<Bug> bug = bug_of_this_program()) return be_patched(*bug, asked);
    if (asked.empty()) {
        print_table();
        return 0;
    }
    if (asked != "--check") return tell(asked);
    return check_all() ? 0 : 1;
}
