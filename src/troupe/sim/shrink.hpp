#pragma once

/// Making a failing trace small: what is left of it is what the failure needs.

#include <troupe/base/duration.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/trace.hpp>

#include <chrono>
#include <cstddef>

namespace troupe::sim {

struct ShrinkOptions {
    std::size_t runs_max = 2000;
    Duration budget = std::chrono::seconds(20);  ///< by the machine's clock
    RunOptions run;
};

struct Shrunk {
    Trace trace;           ///< fails as the first one did
    Replayed replayed;     ///< what its run came to
    std::size_t runs = 0;  ///< that were tried
};

/// Takes choices back to the first alternative as long as the test still fails: first faults and
/// delays, then steps out of turn, whole stretches of them before single ones. Each try is a run in
/// a process of its own.
///
/// Any failure counts as the same one, so a simpler failure may be found on the way.
Shrunk shrink(const TestCase& test, const Trace& failing, const ShrinkOptions& options = {});

}  // namespace troupe::sim
