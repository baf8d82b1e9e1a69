/// What a simulated test does when it is run: reads what it is asked for, explores, shrinks, tells.

#include <troupe/sim/internal/determinism.hpp>
#include <troupe/sim/internal/settings.hpp>
#include <troupe/sim/shrink.hpp>
#include <troupe/sim/story.hpp>
#include <troupe/sim/test.hpp>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace troupe::sim {

using sim_internal::Settings;
using sim_internal::shown;

namespace {

using Report = std::function<void(const std::string& text)>;

std::string program() {
    std::error_code failure;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", failure);
    return failure ? std::string("the test's program") : path.string();
}

/// A command line is no place for more than this.
constexpr std::size_t kTraceOnLineMax = 3000;

std::string replay_command(const TestCase& test, const Trace& trace) {
    std::string text = to_text(trace);
    if (text.size() > kTraceOnLineMax) {
        std::error_code failure;
        const auto path = std::filesystem::temp_directory_path(failure) /
                          ("troupe-" + test.name + "-" + std::to_string(::getpid()) + ".trace");
        std::ofstream file(path);
        file << text << "\n";
        text = "@" + path.string();
    }
    return program() + " --gtest_filter=" + test.name + " --replay " + text;
}

std::string summary(const Explored& explored) {
    std::string text = std::to_string(explored.runs) + " runs, " +
                       std::to_string(explored.distinct) + " distinct schedules, " +
                       std::to_string(explored.steps) + " steps in " + shown(explored.took);
    if (explored.exhaustive) text += ", exhaustive";
    return text;
}

/// Runs the trace once more in this process, so that whatever the test's framework has to say is
/// said, and tells the story.
std::string run_here(const TestCase& test, const Trace& trace, const Settings& settings) {
    Replayer replayer(trace);
    History history;
    RunOptions options;
    options.break_at = settings.break_at;
    options.observer = &history;
    const RunResult result = run_once(test, replayer, options);
    std::string text;
    if (replayer.diverged_at() != Replayer::kNowhere) {
        text += "  the program asks something else than the trace knows, from choice " +
                std::to_string(replayer.diverged_at()) +
                " on: it has changed since; the first alternatives were taken\n";
    }
    if (!result.failure) return text + "  this run does not fail\n";
    const StoryOptions how{.last_step = result.failure->step};
    text +=
        "  the story, " + std::to_string(result.failure->step) + " steps:\n" + story(history, how);
    if (settings.wants_mermaid) text += mermaid(history, how);
    return text;
}

void tell(const TestCase& test, const Found& found, const Settings& settings,
          const Report& report) {
    std::string text = test.name + " fails under the schedule of " +
                       std::string(name(found.search)) + ", seed " + std::to_string(found.seed) +
                       ", at step " + std::to_string(found.step) + ", virtual time " +
                       shown(found.time) + ":\n  " + found.text + "\n";
    if (!found.trace_complete) {
        report(text + "  its trace is too long to be written down; replay: TROUPE_SEED=" +
               std::to_string(found.seed) + " TROUPE_STRATEGY=" + std::string(name(found.search)) +
               " " + program() + " --gtest_filter=" + test.name + "\n");
        return;
    }
    ShrinkOptions how;
    if (settings.shrink_runs) how.runs_max = *settings.shrink_runs;
    const Shrunk shrunk = shrink(test, found.trace, how);
    if (!shrunk.replayed.result.failure) {
        report(text + "  it does not fail again when it is replayed: something in it depends on " +
               "more than the engine's choices; --check-determinism says what\n  replay: " +
               replay_command(test, found.trace) + "\n");
        return;
    }
    text += "  shrunk in " + std::to_string(shrunk.runs) + " runs from " +
            std::to_string(departures(found.trace)) + " to " +
            std::to_string(departures(shrunk.trace)) + " choices that matter";
    if (shrunk.replayed.text != found.text) text += ", and fails with:\n  " + shrunk.replayed.text;
    text += "\n  replay: " + replay_command(test, shrunk.trace) + "\n";
    if (shrunk.replayed.crashed) {
        report(text + "  (it ends the process, so it is run once more in another one)\n");
        static_cast<void>(replay_apart(test, shrunk.trace, false, {.silent = false}));
        return;
    }
    report(text + run_here(test, shrunk.trace, settings));
}

void replay(const TestCase& test, const Settings& settings, const Report& report) {
    const Result<Trace> trace = trace_from(settings.replay);
    if (!trace) return report("--replay: " + trace.error().message());
    if (settings.check_determinism) {
        const std::string difference =
            sim_internal::first_difference(test.name, "TROUPE_REPLAY=" + settings.replay);
        if (!difference.empty()) return report(difference);
        std::printf("%s: two processes agree in every step\n", test.name.c_str());
    }
    const std::string text = run_here(test, *trace, settings);
    std::printf("%s, replayed:\n%s", test.name.c_str(), text.c_str());
    const bool failed = text.find("this run does not fail") == std::string::npos;
    if (failed) report(test.name + " fails when it is replayed");
}

void shrink_given(const TestCase& test, const Settings& settings, const Report& report) {
    const Result<Trace> trace = trace_from(settings.shrink);
    if (!trace) return report("--shrink: " + trace.error().message());
    ShrinkOptions how;
    if (settings.shrink_runs) how.runs_max = *settings.shrink_runs;
    if (settings.budget) how.budget = *settings.budget;
    const Shrunk shrunk = shrink(test, *trace, how);
    if (!shrunk.replayed.result.failure) {
        return report(test.name + " does not fail under this trace: there is nothing to shrink");
    }
    std::printf("%s, shrunk in %zu runs from %zu to %zu choices that matter:\n  %s\n  %s\n",
                test.name.c_str(), shrunk.runs, departures(*trace), departures(shrunk.trace),
                shrunk.replayed.text.c_str(), replay_command(test, shrunk.trace).c_str());
}

/// One of the two processes whose steps are compared.
void log_steps_of(const TestCase& test, const Settings& settings, const Report& report) {
    if (settings.replay.empty()) {
        RandomChooser chooser(settings.seed.value_or(1));
        return sim_internal::log_steps(test, chooser, settings.step_log);
    }
    Result<Trace> trace = trace_from(settings.replay);
    if (!trace) return report("--replay: " + trace.error().message());
    Replayer chooser(std::move(*trace));
    sim_internal::log_steps(test, chooser, settings.step_log);
}

}  // namespace

void run_test(const TestCase& test, const std::function<void(const std::string& text)>& report) {
    const Result<Settings> settings = Settings::of_process();
    if (!settings) return report(settings.error().message());
    if (!settings->step_log.empty()) return log_steps_of(test, *settings, report);
    if (!settings->shrink.empty()) return shrink_given(test, *settings, report);
    if (!settings->replay.empty()) return replay(test, *settings, report);
    ExploreOptions options;
    options.runs = kRunsPerTest;
    settings->apply_to(options);
    if (settings->check_determinism) {
        const std::string difference = sim_internal::first_difference(
            test.name, "TROUPE_SEED=" + std::to_string(options.first_seed));
        if (!difference.empty()) return report(difference);
        std::printf("%s: two processes agree in every step\n", test.name.c_str());
    }
    const Explored explored = explore(test, options);
    std::printf("%s: %s\n", test.name.c_str(), summary(explored).c_str());
    if (explored.found) return tell(test, *explored.found, *settings, report);
    for (const std::string& promise : explored.unmet) {
        report(test.name + ": no run has met this, so nothing was tested there: " + promise);
    }
}

}  // namespace troupe::sim
