#pragma once

/// Reports of turns that do not end.
///
/// A worker is in the hands of the turn it runs. When one overstays, what waits behind it is served
/// by others within milliseconds, and the engine says who it is and where it is: one line in the
/// log, and a report to whoever listens.

#include <troupe/base/duration.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

/// A turn that has kept its worker for longer than `ThreadedOptions::stall_after`.
struct StallReport {
    std::uint32_t slot = 0;  ///< of the cell; with the generation it makes an actor's pid
    std::uint32_t generation = 0;
    std::string type;    ///< the actor's class
    std::string method;  ///< what it is at; empty when it does not say
    std::size_t worker = 0;
    Duration lasted{};  ///< so far
    /// Of that, how long its thread had a core. A turn that blocks has none.
    Duration on_core{};
    /// Where the thread stands, innermost first; empty when it could not be asked.
    std::vector<std::string> backtrace;
    /// Stalls of the same method since its last report that were counted and not reported.
    std::uint64_t unreported = 0;
};

/// Something that could run has waited for a worker for longer than
/// `ThreadedOptions::starving_after`: there is more to do than the workers can, or turns are long.
struct StarvationReport {
    std::uint32_t slot = 0;  ///< of the cell that waited; with the generation it makes its pid
    std::uint32_t generation = 0;
    std::string type;        ///< the actor's class
    Duration waited{};       ///< until its turn began
    bool critical = false;   ///< longer than `starving_badly_after`
    std::size_t behind = 0;  ///< how many cells wait behind it, on this worker
    std::size_t worker = 0;
    /// Cells that have waited so long since the last report, and were counted and not reported.
    std::uint64_t unreported = 0;
};

/// Hears of stalls and starvation. It belongs to the engine.
class StallListener {
public:
    StallListener() = default;
    StallListener(const StallListener&) = delete;
    StallListener& operator=(const StallListener&) = delete;
    virtual ~StallListener() = default;

    /// Threads: one of the blocking pool; a call at a time.
    virtual void stalled(const StallReport& report) noexcept = 0;
    virtual void starved(const StarvationReport&) noexcept {}
};

}  // namespace troupe
