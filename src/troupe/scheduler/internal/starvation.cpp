#include <troupe/base/atomics.hpp>
#include <troupe/base/log.hpp>
#include <troupe/scheduler/internal/starvation.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace troupe::scheduler_internal {

namespace {

// The stamps of queued cells tell no longer waits than this apart from none.
constexpr Duration kLongest = std::chrono::minutes(30);

/// A report on its way to the log and the listeners: a worker has no time for them.
struct StarvationJob : Job {
    StarvationJob(Engine& its_engine, StarvationReport its_report)
        : engine(its_engine), report(std::move(its_report)) {
        run = [](Job* job) noexcept {
            const std::unique_ptr<StarvationJob> self(static_cast<StarvationJob*>(job));
            self->tell();
        };
        drop = [](Job* job) noexcept { delete static_cast<StarvationJob*>(job); };
    }

    void tell() const {
        // The fields only view what they show.
        const std::string pid =
            "<0." + std::to_string(report.slot) + "." + std::to_string(report.generation) + ">";
        log(report.critical ? LogLevel::error : LogLevel::warn,
            "what could run waits for a worker: there is more to do than they can",
            {{"pid", pid},
             {"type", report.type},
             {"waited", report.waited},
             {"behind", report.behind},
             {"worker", report.worker},
             {"unreported", report.unreported}});
        engine.tell_stall_listeners(report);
    }

    Engine& engine;
    StarvationReport report;
};

}  // namespace

Starvation::Starvation(Engine& engine, Duration warns_after, Duration critical_after) noexcept
    : engine_(engine),
      warns_after_(std::clamp<Duration>(warns_after, std::chrono::milliseconds(1), kLongest)),
      critical_after_(critical_after) {}

void Starvation::note(const Cell& cell, Duration waited, Duration now, std::size_t worker,
                      std::size_t behind) noexcept {
    starved_.fetch_add(1, std::memory_order_relaxed);
    raise_to(longest_, waited.count());
    unreported_.fetch_add(1, std::memory_order_relaxed);
    const bool critical = waited > critical_after_;
    std::atomic<Duration::rep>& next_report = next_report_[critical ? 1 : 0];
    Duration::rep next = next_report.load(std::memory_order_relaxed);
    // One of those who notice it in these ten seconds reports.
    if (now.count() < next ||
        !next_report.compare_exchange_strong(
            next, (now + kPeriod).count(), std::memory_order_relaxed, std::memory_order_relaxed)) {
        return;
    }
    StarvationReport report;
    report.slot = cell.slot();
    report.generation = cell.generation();
    if (const CellType* const type = cell.type()) report.type = std::string(type->name);
    report.waited = waited;
    report.critical = critical;
    report.behind = behind;
    report.worker = worker;
    report.unreported =
        std::max<std::uint64_t>(unreported_.exchange(0, std::memory_order_relaxed), 1) - 1;
    auto job = std::make_unique<StarvationJob>(engine_, std::move(report));
    StarvationJob* const taken_over = job.release();
    // A pool with ten thousand jobs waiting takes no more; it is counted anyway.
    if (!engine_.offload(taken_over)) job.reset(taken_over);
}

void Starvation::add_stats(EngineStats& stats) const noexcept {
    stats.starved += starved_.load(std::memory_order_relaxed);
    stats.longest_wait =
        std::max(stats.longest_wait, Duration(longest_.load(std::memory_order_relaxed)));
}

}  // namespace troupe::scheduler_internal
