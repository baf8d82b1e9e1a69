#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/schedule.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/scheduler/waiting_report.hpp>

#include <algorithm>
#include <exception>
#include <string>

namespace troupe::actor_internal {

namespace {

bool is_hook(const MailNode* handling) noexcept {
    return handling->ops == &Hooks::kOps;
}

std::string_view method_of(const Cell& cell, const MailNode* handling) noexcept {
    if (!is_hook(handling)) return ops_of(handling).method;
    return (cell.flags_ & kInStopHook) != 0 ? "on_stop" : "on_start";
}

/// Where the handler waits; null when it does not.
Awaiting* wait_of(const Cell& cell, const MailNode* handling) noexcept {
    const MailNode* const message = is_hook(handling) ? nullptr : handling;
    Awaiting* record = cell.awaiting_;
    while (record != nullptr && record->message != message)
        record = record->outer;
    return record;
}

bool is_over(const Awaiting& record, bool yielding) noexcept {
    return record.arrived != nullptr || record.timed_out || record.cancelled || record.in_cycle ||
           (yielding && record.yielding);
}

}  // namespace

/// A handler has taken as long as it may.
struct LimitTimer : TimerNode {
    static const MailOps kOps;
};

const MailOps LimitTimer::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<LimitTimer*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const timer = static_cast<LimitTimer*>(node);
        const std::uint32_t number = timer->tag;
        free_node(timer);
        Schedule* const schedule = existing_schedule(cell);
        return schedule != nullptr && schedule->limit_reached(cell, number);
    }};

const HandlerLimit* Schedule::limit_of(const MailNode* message) const noexcept {
    for (const HandlerLimit& limit : settings_.methods) {
        if (limit.method == ops_of(message).id) return &limit;
    }
    return settings_.handlers.longest != Duration::max() ? &settings_.handlers : nullptr;
}

AtWork* Schedule::find(const MailNode* handling) noexcept {
    const auto at = std::find_if(at_work_.begin(), at_work_.end(),
                                 [&](const AtWork& work) { return work.handling == handling; });
    return at != at_work_.end() ? &*at : nullptr;
}

AtWork& Schedule::add(Cell& cell, MailNode* handling, const HandlerLimit* limit) {
    AtWork& work = at_work_.emplace_back();
    work.handling = handling;
    work.limit = limit;
    work.number = ++made_;
    if (limit != nullptr) work.began = cell.engine().now();
    return work;
}

void Schedule::begin(Cell& cell, MailNode* message) {
    AtWork& work = add(cell, message, limit_of(message));
    if (Extension* const extension = existing_extension(cell)) {
        work.own = std::exchange(extension->own_message, false);
    }
}

void Schedule::begin_hook(Cell& cell, MailNode& stand_in, const HandlerLimit& limit) {
    add(cell, &stand_in, limit.longest != Duration::max() ? &limit : nullptr);
}

void Schedule::suspended(Cell& cell, const MailNode* handling) {
    AtWork* const work = find(handling);
    if (work == nullptr || work->limit == nullptr || work->timer != nullptr || work->slow) return;
    auto* const timer = make_node<LimitTimer>();
    timer->ops = &LimitTimer::kOps;
    timer->target = &cell;
    timer->generation = cell.generation();
    timer->tag = work->number;
    const Duration longest = std::max(work->limit->longest, Duration::zero());
    timer->deadline =
        longest < Duration::max() - work->began ? work->began + longest : Duration::max();
    work->timer = timer;
    cell.engine().start_timer(timer);
}

void Schedule::cancel_timer(Cell& cell, AtWork& work) noexcept {
    TimerNode* const timer = std::exchange(work.timer, nullptr);
    // Else it is on its way, finds nobody with its number, and is freed.
    if (timer != nullptr && cell.engine().cancel_timer(timer)) {
        free_node(static_cast<LimitTimer*>(timer));
    }
}

bool Schedule::end(Cell& cell, const MailNode* handling) noexcept {
    AtWork* const work = find(handling);
    if (work == nullptr) return false;
    cancel_timer(cell, *work);
    if (work->limit != nullptr && !work->slow) {
        const Duration lasted = cell.engine().now() - work->began;
        if (lasted > work->limit->longest) report(cell, *work, lasted, nullptr);
    }
    const bool own = work->own;
    *work = at_work_.back();
    at_work_.pop_back();
    return own;
}

bool Schedule::is_own(const MailNode* message) const noexcept {
    return std::any_of(at_work_.begin(), at_work_.end(),
                       [&](const AtWork& work) { return work.handling == message && work.own; });
}

void Schedule::forget_all(Cell& cell) noexcept {
    for (AtWork& work : at_work_)
        cancel_timer(cell, work);
    at_work_.clear();
    parked = nullptr;
}

// ---- too slow -----------------------------------------------------------------------------------

void Schedule::report(Cell& cell, AtWork& work, Duration lasted, const Awaiting* waits) noexcept {
    work.slow = true;
    SlowHandler slow;
    slow.method = std::string(method_of(cell, work.handling));
    slow.lasted = lasted;
    slow.limit = work.limit->longest;
    slow.action = work.limit->action;
    if (waits != nullptr) slow.where = place_of(waits->where);
    SystemCore::of(cell).note_slow_handler(cell, slow);
    const auto& type = static_cast<const ActorType&>(*cell.type());
    if (!type.hears_of_slow_handlers) return;
    try {
        ActorAccess::on_slow_handler(*type.as_actor(object_of(cell, type)), slow);
    } catch (...) {
        set_stop_reason(cell, ExitReason(ExitReason::Kind::failed,
                                         "on_slow_handler: " + text_of_current_exception()));
        cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kKillAsked);
    }
}

/// True when the handler that waits, the latest of those that do, can go on.
bool Schedule::limit_reached(Cell& cell, std::uint32_t number) noexcept {
    const auto at = std::find_if(at_work_.begin(), at_work_.end(),
                                 [&](const AtWork& work) { return work.number == number; });
    if (at == at_work_.end()) return false;
    at->timer = nullptr;
    MailNode* const handling = at->handling;
    const HandlerLimit limit = *at->limit;
    Awaiting* const record = wait_of(cell, handling);
    report(cell, *at, cell.engine().now() - at->began, record);
    if (limit.action == OnTimeout::warn) return false;
    const std::string text = std::string(method_of(cell, handling)) +
                             " has taken longer than its limit of " +
                             std::to_string(limit.longest.count() / 1'000'000) + " ms";
    if (limit.action == OnTimeout::stop) {
        if (record != nullptr) bring_to_front(cell, *record);  // the report is to name this one
        set_stop_reason(cell, ExitReason(ExitReason::Kind::failed, text));
        cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kKillAsked);
        return false;
    }
    cancel_handling(*handling, Error(Errc::timed_out, text));
    return look_at_scope_again(cell, record, handling) && record == cell.awaiting_;
}

// ---- several at work ----------------------------------------------------------------------------

bool Schedule::may_begin(const Cell& cell, const MailNode* call) const noexcept {
    if (at_work_.size() >= settings_.handlers_max) return false;
    // Of those the actor has for itself one at a time: a timer that repeats goes back to the clock
    // when its tick has been handled.
    const auto* const extension = static_cast<const Extension*>(cell.extension_);
    const bool own = extension != nullptr && extension->own_message;
    if (own && std::any_of(at_work_.begin(), at_work_.end(),
                           [](const AtWork& work) { return work.own; })) {
        return false;
    }
    if (settings_.concurrent.empty() || at_work_.empty()) return true;
    const auto reads = [&](const MailNode* message) {
        return std::find(settings_.concurrent.begin(), settings_.concurrent.end(),
                         ops_of(message).id) != settings_.concurrent.end();
    };
    return reads(call) && std::all_of(at_work_.begin(), at_work_.end(),
                                      [&](const AtWork& work) { return reads(work.handling); });
}

Awaiting* Schedule::ready_one(const Cell& cell, bool yielding) noexcept {
    Awaiting* ready = nullptr;
    for (Awaiting* record = cell.awaiting_; record != nullptr; record = record->outer) {
        if (is_over(*record, yielding)) ready = record;
    }
    return ready;
}

bool Schedule::anybody_yields(const Cell& cell) noexcept {
    const Awaiting* record = cell.awaiting_;
    while (record != nullptr && !record->yielding)
        record = record->outer;
    return record != nullptr;
}

void Schedule::bring_to_front(Cell& cell, Awaiting& record) noexcept {
    if (cell.awaiting_ == &record) return;
    Awaiting* before = cell.awaiting_;
    while (before->outer != &record)
        before = before->outer;
    before->outer = record.outer;
    record.outer = std::exchange(cell.awaiting_, &record);
}

}  // namespace troupe::actor_internal
