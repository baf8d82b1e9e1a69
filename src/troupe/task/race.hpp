#pragma once

#include <troupe/task/task_group.hpp>

#include <type_traits>
#include <utility>

namespace troupe {

/// Runs coroutine functions or closures, or asks, at the same time and gives what the first of them
/// to end gives, value or error. The others are cancelled, and awaited before this goes on:
/// `auto first = co_await race<int>(from_cache, from_disk);`
///
/// Errors:  the first one's own; cancelled, with all of them.
/// Threads: each runs as a child of a TaskGroup.
template <class T, class... Children>
Task<Result<T>> race(Children... children) {
    static_assert(sizeof...(Children) > 0, "race: nobody runs");
    auto group = task_group<T>(first_completed());
    (static_cast<void>(group.add(std::move(children))), ...);
    co_return co_await group.run();
}

/// The same, and what has failed is out of the race: gives the first value.
///
/// Errors:  unreachable, when all have failed: its text names them.
template <class T, class... Children>
Task<Result<T>> any_of(Children... children) {
    static_assert(sizeof...(Children) > 0, "any_of: nobody runs");
    auto group = task_group<T>(first_success());
    (static_cast<void>(group.add(std::move(children))), ...);
    co_return co_await group.run();
}

}  // namespace troupe
