#pragma once

/// For the tests of tasks: one test body, run on threads and in virtual time, which leaves no block
/// of memory behind. One root task alone has one schedule only, so few seeds do.

#include <troupe/base/block_pool.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_hang_watch.hpp>
#include <troupe/scheduler/waiting_report.hpp>
#include <troupe/sim/internal/test_schedules.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>

namespace troupe::task_internal {

using EngineBody = std::function<void(Engine& engine)>;

inline void on_threads(const ThreadedOptions& options, const EngineBody& body) {
    SCOPED_TRACE("threaded engine");
    const std::uint64_t live_before = block_pool_stats().live_blocks;
    {
        const auto engine = make_threaded_engine(options);
        const scheduler_internal::HangWatch watch([&] { return waiting_report(*engine); });
        body(*engine);
        engine->stop();
    }
    EXPECT_EQ(block_pool_stats().live_blocks, live_before) << "frames or timers are left";
}

inline void on_threads(std::size_t workers, const EngineBody& body) {
    on_threads(ThreadedOptions{.workers = workers}, body);
}

/// The same on one thread and no other: a spare worker would take over from one that is slow.
inline void on_one_thread(const EngineBody& body) {
    ThreadedOptions options;
    options.workers = 1;
    options.spare_workers_max = 0;
    on_threads(options, body);
}

inline void on_seeds(std::size_t count, const EngineBody& body) {
    sim_internal::on_schedules_of_engine(count, body);
}

inline void on_both_engines(const EngineBody& body, std::size_t seeds = 3) {
    on_threads(2, body);
    if (!testing::Test::HasFailure()) on_seeds(seeds, body);
}

}  // namespace troupe::task_internal
