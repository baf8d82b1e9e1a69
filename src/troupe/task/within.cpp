#include <troupe/base/error.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/within.hpp>

#include <algorithm>
#include <string>

namespace troupe {

namespace task_internal {

void begin_deadline(Scope& scope, Duration longest) {
    scope.enter();
    const Duration now = current_engine()->now();
    longest = std::max(longest, Duration::zero());
    scope.deadline = longest < Duration::max() - now ? now + longest : Duration::max();
}

bool deadline_has_passed(Scope& scope) noexcept {
    return current_engine()->now() >= scope.deadline;
}

Error out_of_time(Duration longest) {
    return Error(Errc::timed_out,
                 "not done within " + std::to_string(longest.count() / 1'000'000) + " ms");
}

Checkpoint::Checkpoint(std::source_location where) noexcept {
    awaiting_.what = "checkpoint";
    awaiting_.where = where;
    awaiting_.yielding = true;
}

bool Checkpoint::await_ready() noexcept {
    return !running_turn().goes_on_too_long();
}

Result<void> Checkpoint::await_resume() noexcept {
    const ScopeView view = scope_now();
    if (view.cancelled_by == nullptr) return {};
    view.cancelled_by->note_wait_ended();
    return std::unexpected(cancelled_error(awaiting_));
}

}  // namespace task_internal

bool cancelled() noexcept {
    return scope_now().cancelled_by != nullptr;
}

}  // namespace troupe
