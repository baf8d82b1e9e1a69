#pragma once

/// One run of a simulated test, and many.

#include <troupe/base/duration.hpp>
#include <troupe/sim/search.hpp>
#include <troupe/sim/sim.hpp>
#include <troupe/sim/trace.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace troupe::sim {

/// A test that is run again and again.
struct TestCase {
    std::string name;  ///< "Suite.Promise"
    std::function<void(Sim& sim)> body;
    /// Whether the test framework has heard of a failure, besides what the Sim knows. May be empty.
    std::function<bool()> has_failed;
};

struct RunOptions {
    std::uint64_t steps_max = 1'000'000;  ///< a run that takes more goes round in a circle
    /// Behind so many steps whoever has been runnable for longest goes on: who polls would
    /// otherwise go round for ever where whom it waits for never has a turn.
    std::uint64_t fair_after = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t break_at = 0;  ///< stops in the debugger before this step; 0: nowhere
    EngineObserver* observer = nullptr;
    TraceBuffer* trace = nullptr;
    bool silent = true;  ///< in a process of its own: whether what it prints is thrown away
};

struct RunResult {
    std::optional<Failure> failure;
    std::uint64_t steps = 0;
    Duration time{};
    std::uint64_t hash = 0;  ///< of all events; the same choices give the same
};

/// Runs the test once, under that chooser, in this process.
RunResult run_once(const TestCase& test, Chooser& chooser, const RunOptions& options = {});

struct ExploreOptions {
    std::vector<Search> searches{kAllSearches.begin(), kAllSearches.end()};
    std::uint64_t first_seed = 1;
    std::size_t runs = 100;             ///< in all
    Duration budget = Duration::max();  ///< by the machine's clock; the first to be used up counts
    unsigned processes = 0;             ///< 0: as many as this process may use cores
    std::uint64_t steps_max = RunOptions().steps_max;
    std::uint64_t fair_after = 10'000;                ///< steps of a run, see RunOptions
    Duration run_time_max = std::chrono::minutes(2);  ///< of one run, by the machine's clock
};

/// A run that failed.
struct Found {
    Search search = Search::random;
    std::uint64_t seed = 0;
    std::string text;
    std::uint64_t step = 0;
    Duration time{};
    std::uint64_t hash = 0;
    Trace trace;
    bool trace_complete = true;  ///< false: it was too long to be written down
    bool crashed = false;        ///< the process ended in it, or hung
};

struct Explored {
    std::size_t runs = 0;
    std::size_t distinct = 0;  ///< told apart by their event hashes
    std::uint64_t steps = 0;
    Duration took{};  ///< by the machine's clock
    std::optional<Found> found;
    bool exhaustive = false;         ///< some strategy has run every schedule, or its equal
    std::vector<std::string> unmet;  ///< `sometimes` and `must_reach` that no run has met
};

/// Runs the test under many schedules, until one fails. Every run is in a process forked from this
/// one, so a crash is a failure like any other and leaves nothing behind. Call it while this
/// process has one thread.
Explored explore(const TestCase& test, const ExploreOptions& options = {});

/// The same runs in this process, one after the other: what the test keeps outside of its body is
/// seen by the next run and by whoever called. A crash ends it all; `explore` finds that one again.
Explored explore_here(const TestCase& test, const ExploreOptions& options = {});

/// Runs one trace in a process of its own.
struct Replayed {
    RunResult result;
    bool crashed = false;
    std::string text;  ///< of the failure; empty when there was none
    Trace trace;       ///< as it was run: known choices only
};
/// `loosely`: as well as can be, for traces that were tampered with.
Replayed replay_apart(const TestCase& test, const Trace& trace, bool loosely,
                      const RunOptions& options = {});

}  // namespace troupe::sim
