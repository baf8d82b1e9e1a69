#pragma once

/// begin_await and begin_wait for those who have the running turn at hand: one who asks has looked
/// at it already, and every ask begins a wait.

#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/scope.hpp>

#include <coroutine>

namespace troupe {

/// As begin_await, in the turn `running` of `cell`.
inline void begin_await_in(const RunningTurn& running, Cell& cell, Awaiting& record,
                           std::coroutine_handle<> leaf) noexcept {
    record.leaf = leaf;
    record.arrived = nullptr;
    record.timed_out = false;
    record.cancelled = false;
    record.in_cycle = false;
    record.scope_deadline = Duration::max();
    record.number = ++cell.await_number_;
    record.since = running.now;
    cell.awaiting_ = &record;
}

/// What the scopes of the running handler make of the wait that has just begun; the result is that
/// of begin_wait.
bool wait_in_scopes(Cell& cell, Awaiting& record, Context& innermost) noexcept;
inline bool wait_in_scopes(const RunningTurn& running, Cell& cell, Awaiting& record) noexcept {
    record.cancellable = true;
    record.yielding = false;
    const MailNode* const handling = running.handling;
    if (handling == nullptr || handling->context == nullptr) [[likely]]
        return true;
    return wait_in_scopes(cell, record, *handling->context);
}

/// As begin_wait, in the turn `running` of `cell`.
inline bool begin_wait_in(const RunningTurn& running, Cell& cell, Awaiting& record,
                          std::coroutine_handle<> leaf) noexcept {
    begin_await_in(running, cell, record, leaf);
    return wait_in_scopes(running, cell, record);
}

}  // namespace troupe
