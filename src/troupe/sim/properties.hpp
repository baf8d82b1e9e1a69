#pragma once

/// What a program promises, said where it happens: in actors, while they are simulated. Outside of
/// a simulation all of this does nothing.

#include <cstdint>
#include <string_view>

namespace troupe::sim {

/// Fails the test if this is ever false.
void always(bool holds, std::string_view what);
/// Fails the test if this was reached but not true in any of its runs: then the test does not test
/// what it is meant to.
void sometimes(bool holds, std::string_view what);
/// Got here: see Sim::must_reach.
void reachable(std::string_view what);
/// Fails the test: nobody should get here.
void unreachable(std::string_view what);

/// Whether to misbehave here, now: of a thousand times so many, in half of the runs. The site is a
/// constant of the program. False outside of a simulation, and once it was healed.
bool buggify(const char* site, unsigned per_thousand = 100);
/// Throws std::bad_alloc now and then, where Sim::fail_allocations has asked for that: to be put
/// where an actor takes memory that is not its arena's. Nothing outside of a simulation.
void may_run_out_of_memory(const char* site);

}  // namespace troupe::sim
