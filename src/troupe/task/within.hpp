#pragma once

/// Deadlines, shields and checkpoints of what one handler or task does.

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/task/task.hpp>

#include <source_location>
#include <type_traits>
#include <utility>

namespace troupe {

namespace task_internal {

template <class T>
struct ResultOf {
    using type = Result<T>;
};
template <class T>
struct ResultOf<Result<T>> {
    using type = Result<T>;
};

template <class F, class... Arguments>
using ScopedResult =
    typename ResultOf<typename std::invoke_result_t<F&, Arguments...>::value_type>::type;

/// Opens `scope` and sets its deadline.
void begin_deadline(Scope& scope, Duration longest);
bool deadline_has_passed(Scope& scope) noexcept;
/// What `within` says when the time is up.
Error out_of_time(Duration longest);

/// Runs the coroutine in the scope, which is open.
template <class F, class... Arguments>
Task<ScopedResult<F, Arguments...>> run_scoped(F& function, Arguments... arguments) {
    using Value = typename std::invoke_result_t<F&, Arguments...>::value_type;
    if constexpr (std::is_void_v<Value>) {
        co_await function(std::move(arguments)...);
        co_return Result<void>();
    } else {
        co_return co_await function(std::move(arguments)...);
    }
}

class [[nodiscard]] Checkpoint {
public:
    explicit Checkpoint(std::source_location where) noexcept;
    Checkpoint(const Checkpoint&) = delete;
    Checkpoint& operator=(const Checkpoint&) = delete;
    bool await_ready() noexcept;
    template <OurPromise P>
    void await_suspend(std::coroutine_handle<P> self) noexcept {
        begin_await(awaiting_, self);
    }
    [[nodiscard("checkpoint says whether this was cancelled: check it, or or_return")]] Result<void>
    await_resume() noexcept;

private:
    Awaiting awaiting_;
};

}  // namespace task_internal

/// Calls a coroutine function, whose waits all end with Errc::cancelled when so much time has
/// passed, and waits until it has ended: `co_await within(200ms, load, key)`. Of deadlines one in
/// the other the sooner counts. A closure with captures gets a name on the line before.
///
/// Errors:  the function's own; timed_out, when it fails after the deadline, with its error as the
///          cause, or when the deadline has cut it short and it gives no value at all.
/// Threads: in an actor or task, in whose turn the function runs.
/// Units:   engine time.
template <class F, class... Arguments>
Task<task_internal::ScopedResult<F, Arguments...>> within(Duration longest, F function,
                                                          Arguments... arguments) {
    Scope scope;
    task_internal::begin_deadline(scope, longest);
    auto result = co_await task_internal::run_scoped(function, std::move(arguments)...);
    const bool late = task_internal::deadline_has_passed(scope);
    scope.leave();
    if (late && !result) {
        co_return std::unexpected(task_internal::out_of_time(longest).with_cause(result.error()));
    }
    using Value = typename std::invoke_result_t<F&, Arguments...>::value_type;
    if (late && std::is_void_v<Value> && scope.waits_ended() != 0) {
        co_return std::unexpected(task_internal::out_of_time(longest));
    }
    co_return result;
}

/// Calls a coroutine function that is not to be disturbed: a cancellation from outside is felt in
/// it `grace` later. For cleaning up; nothing can be shielded for ever.
///
/// Threads, Units: as within.
template <class F, class... Arguments>
Task<typename std::invoke_result_t<F&, Arguments...>::value_type> shield(Duration grace, F function,
                                                                         Arguments... arguments) {
    Scope scope;
    scope.grace = grace;
    scope.enter();
    if constexpr (std::is_void_v<typename std::invoke_result_t<F&, Arguments...>::value_type>) {
        co_await function(std::move(arguments)...);
    } else {
        co_return co_await function(std::move(arguments)...);
    }
}

/// For long loops that wait for nothing: says whether this was cancelled, and from time to time
/// lets the others go first.
///
/// Errors:  cancelled.
inline auto checkpoint(std::source_location where = std::source_location::current()) noexcept {
    return task_internal::Checkpoint(where);
}

/// Whether what runs here is cancelled: whatever it awaits will say so. In a turn; false elsewhere.
bool cancelled() noexcept;

}  // namespace troupe
