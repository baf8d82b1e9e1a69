#pragma once

/// For fixtures: a test's body in a system of its own, under schedules of every strategy.
///
/// TROUPE_SIM_TEST is for tests that are written for the simulator. This is for those that also run
/// on threads, and know of nothing but a system: see `on_both_engines` in the tests of actors.

#include <troupe/scheduler/explore.hpp>

#include <cstddef>
#include <functional>
#include <string>

namespace troupe {

class OwnedSystem;

namespace sim {

/// What a fixture knows.
struct ScheduledTest {
    std::string name;  ///< "Suite.Promise", for the command that replays a failure
    std::function<void(OwnedSystem& system)> body;
    /// How many failures of this test the test's framework has heard of so far.
    std::function<std::size_t()> failures;
    /// Makes the test fail.
    std::function<void(const std::string& text)> report;
};

/// Runs the body `runs` times, in this process, each time in a new system whose choices one of the
/// strategies makes, until one fails; after each, nothing may be left and the messages must add up.
/// A failure is shrunk, told as a story, and ends with the command that replays it. When a run ends
/// the process, the command that finds it again in others is printed.
///
/// The environment and the flags of <troupe/sim/test.hpp> go first, and TROUPE_APART=1: runs in
/// processes of their own, on all cores, so that a crash is a failure like any other.
Exploration on_schedules(const ScheduledTest& test, std::size_t runs);

}  // namespace sim
}  // namespace troupe
