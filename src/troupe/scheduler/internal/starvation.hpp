#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/scheduler/engine.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace troupe::scheduler_internal {

/// Counts what has waited too long for a worker, and reports one in ten seconds, in the log and to
/// whoever listens; a critical one is reported in any case when none was for so long. Each worker
/// looks at the stamp that the cell it runs next was queued with, so nobody probes anything.
///
/// Threads: workers.
class Starvation {
public:
    static constexpr Duration kPeriod = std::chrono::seconds(10);

    Starvation(Engine& engine, Duration warns_after, Duration critical_after) noexcept;
    Starvation(const Starvation&) = delete;
    Starvation& operator=(const Starvation&) = delete;

    Duration warns_after() const noexcept { return warns_after_; }
    /// `cell` is about to run and has waited for so long, on this worker, before so many others.
    void note(const Cell& cell, Duration waited, Duration now, std::size_t worker,
              std::size_t behind) noexcept;
    void add_stats(EngineStats& stats) const noexcept;

private:
    Engine& engine_;
    const Duration warns_after_;
    const Duration critical_after_;
    std::atomic<std::uint64_t> starved_{0};
    std::atomic<Duration::rep> longest_{0};
    std::atomic<std::uint64_t> unreported_{0};
    std::array<std::atomic<Duration::rep>, 2> next_report_{};  // critical ones second
};

}  // namespace troupe::scheduler_internal
