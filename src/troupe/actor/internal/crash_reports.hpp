#pragma once

#include <troupe/actor/crash_report.hpp>
#include <troupe/actor/exit.hpp>
#include <troupe/actor/internal/log_limit.hpp>
#include <troupe/base/counter.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/cell.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace troupe::actor_internal {

/// Tells of failures without drowning in them: the log hears of some, those who listen of all, and
/// a report is made only when somebody hears it.
class CrashReports {
public:
    struct Listener {
        Cell* cell = nullptr;
        std::uint32_t generation = 0;
        std::ptrdiff_t offset = 0;  // of the method's class in the listener's object
        MailNode* (*make_call)(std::ptrdiff_t offset, CrashReport report) = nullptr;
    };

    CrashReports() = default;
    CrashReports(const CrashReports&) = delete;
    CrashReports& operator=(const CrashReports&) = delete;

    void add(const Listener& listener);
    /// Tells that an actor has failed, while its mail is still there. Its turn, or its spawner's.
    void tell(Cell& cell, std::string_view method, const ExitReason& reason) noexcept;
    /// Says how many were not logged. When the system has stopped.
    void log_the_rest() noexcept;

    std::uint64_t count() const noexcept { return count_.value(); }

private:
    std::optional<std::uint64_t> may_log(Duration now) noexcept;
    void tell_listeners(const CrashReport& report) noexcept;

    Counter count_;
    std::atomic<bool> heard_{false};  // set once there is a listener
    Mutex mutex_{LockRank::crash_reports};
    LogLimit log_limit_ TROUPE_GUARDED_BY(mutex_){kCrashesLoggedPerSecond};
    std::vector<Listener> listeners_ TROUPE_GUARDED_BY(mutex_);
};

/// The same, to the actor's own system. What dies with another is no crash: it has been told.
void report_crash(Cell& cell, std::string_view method, const ExitReason& reason) noexcept;

}  // namespace troupe::actor_internal
