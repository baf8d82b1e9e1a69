#pragma once

/// Runs one test body on every kind of engine: with threads and sockets, and on many schedules of
/// the deterministic one and its in-memory network.

#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/explore.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>

namespace troupe::io_internal {

/// The same body under `seeds` schedules; says how many of them were different.
template <class Body>
void on_many_schedules(std::size_t seeds, Body body) {
    const Exploration seen = explore_seeds(1, seeds, [&](Engine& engine, std::uint64_t seed) {
        SCOPED_TRACE(replay_hint(seed));
        body(engine);
        return !testing::Test::HasFailure();
    });
    std::printf("%zu schedules, %zu of them distinct\n", seen.runs, seen.distinct);
    // A test with few choices runs out of schedules; one without any has few runs.
    if (seen.runs > 10) {
        EXPECT_GT(seen.distinct, std::min(seen.runs / 2, std::size_t{100}));
    }
}

template <class Body>
void on_both_networks(std::size_t seeds, Body body) {
    {
        SCOPED_TRACE("threads and sockets");
        ThreadedOptions options;
        options.workers = 3;  // more than cores: turns move between threads
        const std::unique_ptr<Engine> engine = make_threaded_engine(options);
        body(*engine);
        engine->stop();
    }
    if (!testing::Test::HasFailure()) on_many_schedules(seeds, body);
}

}  // namespace troupe::io_internal
