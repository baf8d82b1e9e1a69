/// What a simulated test does when it is run: reads what it is asked for, explores, shrinks, tells.

#include <troupe/sim/internal/determinism.hpp>
#include <troupe/sim/internal/settings.hpp>
#include <troupe/sim/schedules.hpp>
#include <troupe/sim/shrink.hpp>
#include <troupe/sim/story.hpp>
#include <troupe/sim/test.hpp>

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
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
    if (settings.check_determinism != 0) {
        const std::string difference =
            sim_internal::first_difference(test.name, {"TROUPE_REPLAY=" + settings.replay});
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
        const std::uint64_t first = settings.seed.value_or(1);
        for (std::uint64_t seed = first; seed < first + settings.runs.value_or(1); ++seed) {
            RandomChooser chooser(seed);
            sim_internal::log_steps(test, chooser,
                                    "the run of seed " + std::to_string(seed) + " of " + test.name,
                                    settings.step_log);
        }
        return;
    }
    Result<Trace> trace = trace_from(settings.replay);
    if (!trace) return report("--replay: " + trace.error().message());
    Replayer chooser(std::move(*trace));
    sim_internal::log_steps(test, chooser, "the run of the trace", settings.step_log);
}

// ---- in this process ----------------------------------------------------------------------------

/// While it lives, whatever ends the process says first how the run is found again.
class Announced {
public:
    explicit Announced(const TestCase& test) {
        std::snprintf(text_.data(), text_.size(),
                      "\ntroupe: a simulated run has ended the process; it is found again, shrunk "
                      "and told by: TROUPE_APART=1 %s --gtest_filter=%s\n",
                      program().c_str(), test.name.c_str());
        static const bool installed = install();
        static_cast<void>(installed);
    }
    ~Announced() { text_[0] = '\0'; }
    Announced(const Announced&) = delete;
    Announced& operator=(const Announced&) = delete;

private:
    static bool install() {
        for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
            struct sigaction before{};
            ::sigaction(signal, nullptr, &before);
            if (before.sa_handler != SIG_DFL) continue;  // a sanitizer's
            struct sigaction ours{};
            ours.sa_handler = [](int number) {
                // What it says is there already: nothing may be allocated here.
                static_cast<void>(!::write(STDERR_FILENO, text_.data(), std::strlen(text_.data())));
                ::raise(number);  // it comes again once we have returned, and ends the process
            };
            ours.sa_flags = static_cast<int>(SA_RESETHAND);
            ::sigaction(signal, &ours, nullptr);
        }
        return true;
    }

    static std::array<char, 1024> text_;  // one thread runs tests; its handler reads
};

constinit std::array<char, 1024> Announced::text_{};

/// The bodies of one test share this much of a budget by time: ctest ends a test after 300 s. Those
/// behind have as many runs as without a budget.
constexpr Duration kBudgetOfTestMax = std::chrono::seconds(200);

class TimeOfTest {
public:
    Duration left(const std::string& test) {
        if (test != test_) spent_ = Duration::zero();
        test_ = test;
        return kBudgetOfTestMax - spent_;
    }
    void spend(Duration time) { spent_ += time; }

private:
    std::string test_;
    Duration spent_{};
};

enum class Where : std::uint8_t { apart, here };

Explored search(const TestCase& test, const ExploreOptions& options, Where where) {
    if (where == Where::apart) return explore(test, options);
    const Announced announced(test);
    return explore_here(test, options);
}

Explored run_as_asked(const TestCase& test, std::size_t runs, Where where, const Report& report) {
    const Result<Settings> settings = Settings::of_process();
    const auto fail = [&](const std::string& text) {
        report(text);
        return Explored();
    };
    if (!settings) return fail(settings.error().message());
    if (!settings->step_log.empty()) {
        log_steps_of(test, *settings, report);
        return {};
    }
    if (!settings->shrink.empty()) {
        shrink_given(test, *settings, report);
        return {};
    }
    if (!settings->replay.empty()) {
        replay(test, *settings, report);
        return {};
    }
    ExploreOptions options;
    options.runs = where == Where::here ? settings->share_of(runs) : runs;
    settings->apply_to(options);
    static std::string compared;  // all bodies of a test at once
    if (settings->check_determinism != 0 && compared != test.name) {
        compared = test.name;
        const std::string difference = sim_internal::first_difference(
            test.name, {"TROUPE_SEED=" + std::to_string(options.first_seed),
                        "TROUPE_SEEDS=" + std::to_string(settings->check_determinism)});
        if (!difference.empty()) return fail(difference);
        std::printf("%s: two processes agree in every step\n", test.name.c_str());
    }
    static TimeOfTest time_of_test;
    const Duration left = time_of_test.left(test.name);
    if (options.budget > left && settings->budget) {
        options.budget = Duration::max();
        options.runs = settings->runs.value_or(runs);
    }
    Explored explored = search(test, options, settings->apart ? Where::apart : where);
    time_of_test.spend(explored.took);
    std::printf("%s: %s\n", test.name.c_str(), summary(explored).c_str());
    if (explored.found) {
        tell(test, *explored.found, *settings, report);
        return explored;
    }
    for (const std::string& promise : explored.unmet) {
        report(test.name + ": no run has met this, so nothing was tested there: " + promise);
    }
    return explored;
}

}  // namespace

void run_test(const TestCase& test, const std::function<void(const std::string& text)>& report) {
    static_cast<void>(run_as_asked(test, kRunsPerTest, Where::apart, report));
}

Exploration on_schedules(const ScheduledTest& test, std::size_t runs) {
    std::size_t failures_before = 0;
    const TestCase simulated{
        test.name,
        [&](Sim& sim) {
            failures_before = test.failures();
            test.body(sim.owned_system());
        },
        [&] { return test.failures() != failures_before; },
    };
    const Explored explored = run_as_asked(simulated, runs, Where::here, test.report);
    return {explored.runs, explored.distinct, explored.exhaustive};
}

}  // namespace troupe::sim
