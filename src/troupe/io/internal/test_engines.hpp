#pragma once

/// Runs one test body on every kind of engine: with threads and sockets, and on many schedules of
/// the deterministic one and its in-memory network.

#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_hang_watch.hpp>
#include <troupe/scheduler/waiting_report.hpp>
#include <troupe/sim/internal/test_schedules.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>

namespace troupe::io_internal {

/// The same body under `seeds` schedules; they have to be different.
template <class Body>
void on_many_schedules(std::size_t seeds, Body body) {
    const Exploration seen = sim_internal::on_schedules_of_engine(seeds, body);
    // A test with few choices runs out of schedules; one without any has few runs, or has run all.
    if (seen.runs > 10 && !seen.exhaustive) {
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
        const scheduler_internal::HangWatch watch([&] { return waiting_report(*engine); });
        body(*engine);
        engine->stop();
    }
    if (!testing::Test::HasFailure()) on_many_schedules(seeds, body);
}

}  // namespace troupe::io_internal
