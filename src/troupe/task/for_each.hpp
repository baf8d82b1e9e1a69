#pragma once

#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>

#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

namespace troupe {

namespace task_internal {

template <class Item, class F>
struct Rounds {
    std::vector<Item> items;
    F function;
    std::atomic<std::size_t> next{0};  // the workers of one for_each take from it
};

/// Takes items until there are none.
template <class Item, class F>
Task<Result<void>> work_through(Borrow<Rounds<Item, F>> rounds) {
    for (;;) {
        const std::size_t i = rounds->next.fetch_add(1, std::memory_order_relaxed);
        if (i >= rounds->items.size()) co_return Result<void>();
        using Given = typename std::invoke_result_t<F&, Item>::value_type;
        if constexpr (kIsResult<Given>) {
            const Given done = co_await rounds->function(std::move(rounds->items[i]));
            if (!done) co_return std::unexpected(done.error());
        } else {
            co_await rounds->function(std::move(rounds->items[i]));
        }
        if (cancelled()) co_return error(Errc::cancelled, "for_each_concurrent was cancelled");
    }
}

}  // namespace task_internal

/// Calls the coroutine function for each item, for `at_once` of them at the same time, in the order
/// of the items: `co_await for_each_concurrent(urls, 8, fetch)`. The first failure cancels the
/// rest.
///
/// Errors:  the first failure's own, with the others in its text; failed, with what the function
///          has thrown; cancelled.
/// Threads: `function` is called on several workers at the same time.
template <class Item, class F>
Task<Result<void>> for_each_concurrent(std::vector<Item> items, std::size_t at_once, F function) {
    task_internal::Rounds<Item, F> rounds{std::move(items), std::move(function)};
    auto group = task_group<void>(all_successful());
    const std::size_t workers = rounds.items.size() < at_once ? rounds.items.size() : at_once;
    for (std::size_t i = 0; i < workers || i == 0; ++i) {
        group.add(&task_internal::work_through<Item, F>, borrow(rounds));
    }
    co_return co_await group.run();
}

}  // namespace troupe
