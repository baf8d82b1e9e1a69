#pragma once

// For tests: one body, run on the threaded engine and on the deterministic one over many seeds.

#include <troupe/actor/system.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/explore.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <set>

namespace troupe::websocket_internal {

/// Calls `body(System&)` on the deterministic engine, once for each seed. The schedules that were
/// tried are counted and printed; a failure says how to replay its seed. TROUPE_SEED=n runs that
/// one only.
template <class Body>
void on_deterministic_engine(std::size_t seeds, Body body) {
    auto range = explore_internal::seeds_to_run({1, seeds});
    std::set<std::uint64_t> schedules;
    for (std::uint64_t seed = range.first; seed < range.first + range.count; ++seed) {
        SCOPED_TRACE("on the deterministic engine; replay: " + replay_hint(seed));
        explore_internal::AnnouncedRun announced(explore_internal::AnnouncedRun::Kind::seed, seed);
        RandomChooser chooser(seed);
        OwnedSystem system(make_deterministic_engine(chooser));
        body(*system);
        system.stop();
        schedules.insert(system->engine().event_hash());
        if (testing::Test::HasFailure()) return;
    }
    std::printf("%zu distinct schedules in %zu seeds\n", schedules.size(), range.count);
}

/// The same, and on the threaded engine first.
template <class Body>
void on_both_engines(std::size_t seeds, Body body) {
    {
        SCOPED_TRACE("on the threaded engine");
        OwnedSystem system;
        body(*system);
        system.stop();
    }
    if (!testing::Test::HasFailure()) on_deterministic_engine(seeds, body);
}

}  // namespace troupe::websocket_internal
