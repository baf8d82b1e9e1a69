#pragma once

#include <troupe/sim/run.hpp>

#include <string>
#include <vector>

namespace troupe::sim_internal {

/// Runs a test of this program in two new processes, whose memory lies and is filled differently,
/// and compares them step by step. `choices`: the settings that say which runs, "TROUPE_SEED=3".
/// Empty when they agree; else a text with the first step that differs, of both.
std::string first_difference(const std::string& test, const std::vector<std::string>& choices);

/// In such a process: writes each step of the run to the end of a file, and its hash.
void log_steps(const sim::TestCase& test, Chooser& chooser, const std::string& what,
               const std::string& path);

}  // namespace troupe::sim_internal
