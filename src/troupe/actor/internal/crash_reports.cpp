#include <troupe/actor/internal/crash_reports.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/base/log.hpp>
#include <troupe/scheduler/engine.hpp>

#include <utility>

namespace troupe::actor_internal {

namespace {

std::string shortened(std::string text) {
    if (text.size() > kCrashTextMax) {
        text.resize(kCrashTextMax - 3);
        text += "...";
    }
    return text;
}

CrashReport report_of(Cell& cell, std::string_view method, const ExitReason& reason) {
    CrashReport report;
    report.pid = pid_of(&cell, cell.generation());
    report.parent = parent_of(cell);
    const Standing* const standing = existing_standing(cell);
    if (standing != nullptr && standing->name != nullptr) {
        report.name = Registry::text_of(*standing->name);
    }
    report.type = cell.type()->name;
    report.method = method;
    report.reason = shortened(reason.text());
    report.mailbox_depth = mailbox_depth(cell);
    report.handled = cell.handled();
    report.incarnation = cell.incarnation_.load(std::memory_order_relaxed);
    report.uptime = cell.engine().coarse_now() - cell.started();
    return report;
}

void log_report(const CrashReport& report, std::uint64_t left_out) noexcept {
    log_error("an actor has failed", {{"pid", to_string(report.pid)},
                                      {"name", report.name},
                                      {"type", report.type},
                                      {"method", report.method},
                                      {"reason", report.reason},
                                      {"parent", to_string(report.parent)},
                                      {"mailbox", report.mailbox_depth},
                                      {"handled", report.handled},
                                      {"incarnation", report.incarnation},
                                      {"uptime", report.uptime},
                                      {"not_logged_before", left_out}});
}

}  // namespace

void CrashReports::add(const Listener& listener) {
    if (listener.cell == nullptr) return;
    LockGuard lock(mutex_);
    listeners_.push_back(listener);
    heard_.store(true, std::memory_order_relaxed);
}

void CrashReports::tell(Cell& cell, std::string_view method, const ExitReason& reason) noexcept {
    count_.add(1);
    const std::optional<std::uint64_t> left_out = may_log(cell.engine().coarse_now());
    const bool heard = heard_.load(std::memory_order_relaxed);
    if (!left_out && !heard) return;
    const CrashReport report = report_of(cell, method, reason);
    if (left_out) log_report(report, *left_out);
    if (heard) tell_listeners(report);
}

std::optional<std::uint64_t> CrashReports::may_log(Duration now) noexcept {
    LockGuard lock(mutex_);
    return log_limit_.admit(now);
}

void CrashReports::tell_listeners(const CrashReport& report) noexcept {
    std::vector<Listener> listeners;
    {
        LockGuard lock(mutex_);
        std::erase_if(listeners_, [](const Listener& listener) {
            return listener.cell->generation() != listener.generation;
        });
        listeners = listeners_;
    }
    for (const Listener& listener : listeners) {
        if (report.pid == pid_of(listener.cell, listener.generation)) continue;
        post(listener.cell, listener.generation, listener.make_call(listener.offset, report));
    }
}

void CrashReports::log_the_rest() noexcept {
    std::uint64_t unlogged = 0;
    {
        LockGuard lock(mutex_);
        unlogged = log_limit_.take_left_out();
    }
    if (unlogged == 0) return;
    log_error("more actors have failed than were logged", {{"count", unlogged}});
}

void report_crash(Cell& cell, std::string_view method, const ExitReason& reason) noexcept {
    if (died_with_peer(cell)) return;
    SystemCore::of(cell).crashes().tell(cell, method, reason);
}

}  // namespace troupe::actor_internal
