#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/search.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::sim_internal {

/// What the environment and the command line of a test ask for: sim/test.hpp lists it.
struct Settings {
    std::string replay;
    std::string shrink;
    std::optional<std::uint64_t> seed;
    std::optional<std::size_t> runs;
    std::optional<std::size_t> one_run_in;  // of as many as the test has
    std::optional<Duration> budget;
    std::vector<sim::Search> searches;  // empty: as the test likes
    std::optional<unsigned> jobs;
    std::optional<std::size_t> shrink_runs;
    std::string step_log;  // where each step of the run is to be written; for ourselves
    std::uint64_t break_at = 0;
    unsigned check_determinism = 0;  // so many seeds, by two processes
    bool wants_mermaid = false;
    bool apart = false;

    /// Of this process. The command line goes before the environment.
    ///
    /// Errors:  failed, naming the setting and what it should look like.
    static Result<Settings> of_process();
    static Result<Settings> of(const std::vector<std::string>& arguments);

    void apply_to(sim::ExploreOptions& options) const;
    /// Of so many runs that a fixture has: a body's promises of `sometimes` need all of them.
    std::size_t share_of(std::size_t its_runs) const noexcept {
        return one_run_in ? (its_runs - 1) / *one_run_in + 1 : its_runs;
    }
};

/// "60s", "5m", "250ms", "2h".
Result<Duration> duration_in(std::string_view text);

}  // namespace troupe::sim_internal
