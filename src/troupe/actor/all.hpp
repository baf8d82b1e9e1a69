#pragma once

#include <troupe/actor/ask.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task_group.hpp>

#include <optional>
#include <tuple>
#include <utility>

namespace troupe {

namespace actor_internal {

template <class T>
Task<void> keep_answer(Ask<T> ask, Borrow<std::optional<Result<T>>> answer) {
    answer->emplace(co_await std::move(ask));
}

/// One that was cancelled before it was asked has no answer.
template <class T>
Result<T> answer_in(std::optional<Result<T>>& answer) {
    if (answer) return std::move(*answer);
    return error(Errc::cancelled, "it was cancelled before it was asked");
}

}  // namespace actor_internal

/// Asks all at once and waits for all answers:
/// `auto [price, stock] = co_await all(shop.ask<&Shop::price>(id), store.ask<&Store::stock>(id));`
///
/// Errors:  each answer's own.
/// Threads: in an actor or task; each ask is a child of a TaskGroup.
template <class... T>
Task<std::tuple<Result<T>...>> all(Ask<T>... asks) {
    std::tuple<std::optional<Result<T>>...> answers;
    auto group = task_group<void>(all_settled());
    std::apply(
        [&](auto&... answer) {
            (static_cast<void>(
                 group.add(&actor_internal::keep_answer<T>, std::move(asks), borrow(answer))),
             ...);
        },
        answers);
    const auto ended = co_await group.run();
    static_cast<void>(ended);
    co_return std::apply(
        [](auto&... answer) {
            return std::tuple<Result<T>...>(actor_internal::answer_in(answer)...);
        },
        answers);
}

}  // namespace troupe
