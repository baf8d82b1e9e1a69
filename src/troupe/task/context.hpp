#pragma once

/// What travels along with everything that is done for something: the trace it belongs to, and
/// whatever else users put along (a tenant, a request's number).
///
///     co_await with_baggage("tenant", "acme", serve, request);   // serve(request), and all it
///     asks
///     ...
///     auto tenant = baggage("tenant");                           // in any handler on the way
///
/// Facts go with ask, tell, send, spawn (to on_start), timers and the children of groups. They cost
/// a message a counter, and nothing where nobody uses them.

#include <troupe/scheduler/scope.hpp>
#include <troupe/task/task.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace troupe {

using TraceContext = Facts::Trace;

/// The trace that this turn is part of; its id is 0 when there is none.
TraceContext current_trace() noexcept;

/// What was put along under this key, if anything. In a turn; nothing elsewhere.
std::optional<std::string> baggage(std::string_view key);

namespace task_internal {

Facts* facts_with(std::string key, std::string value);
Facts* facts_with(const TraceContext& trace);

template <class F, class... Arguments>
Task<typename std::invoke_result_t<F&, Arguments...>::value_type> run_with(Facts* facts,
                                                                           F& function,
                                                                           Arguments... arguments) {
    const ShownFacts shown(facts);
    if constexpr (std::is_void_v<typename std::invoke_result_t<F&, Arguments...>::value_type>) {
        co_await function(std::move(arguments)...);
    } else {
        co_return co_await function(std::move(arguments)...);
    }
}

}  // namespace task_internal

/// Calls a coroutine function with this put along, in place of what had the key. A closure with
/// captures gets a name on the line before.
///
/// Threads: in an actor or task, in whose turn the function runs.
template <class F, class... Arguments>
Task<typename std::invoke_result_t<F&, Arguments...>::value_type> with_baggage(
    std::string key, std::string value, F function, Arguments... arguments) {
    Facts* const facts = task_internal::facts_with(std::move(key), std::move(value));
    co_return co_await task_internal::run_with(facts, function, std::move(arguments)...);
}

/// The same as part of another trace.
template <class F, class... Arguments>
Task<typename std::invoke_result_t<F&, Arguments...>::value_type> with_trace(
    TraceContext trace, F function, Arguments... arguments) {
    Facts* const facts = task_internal::facts_with(trace);
    co_return co_await task_internal::run_with(facts, function, std::move(arguments)...);
}

}  // namespace troupe
