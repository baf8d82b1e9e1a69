#pragma once

/// Asking several, of whom one answer is enough.
///
///     auto price = co_await ask_first<&Shop::price>(shops, item);      // all at once
///     auto price = co_await hedge<&Shop::price>(20ms, shops, item);    // one, and then the next
///     auto price = co_await hedge<&Shop::price>(pace, shops, item);    // after what is usual
///
/// The first success is the answer. Whoever has not answered by then is cancelled, the handler it
/// runs as well, and is awaited: afterwards nobody works for an answer that nobody wants. Source:
/// docs/design/0041-routers.md

#include <troupe/actor/ref.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/route/hedge_pace.hpp>
#include <troupe/route/members.hpp>
#include <troupe/task/borrow.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task.hpp>
#include <troupe/task/task_group.hpp>
#include <troupe/task/within.hpp>

#include <atomic>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

/// Asks all of them at the same time and gives the first success. Each of the asks waits for five
/// seconds at most; `within` sets less.
///
/// Errors:  RouteErrc::no_member, when there is nobody to ask; unreachable, when all have failed:
///          the text says how each; cancelled.
/// Threads: in an actor or task; each ask is a child of a TaskGroup.
template <auto M, class A, class... Arguments>
Task<Result<actor_internal::ReplyOf<M>>> ask_first(std::vector<Ref<A>> targets,
                                                   Arguments... arguments) {
    if (targets.empty()) co_return std::unexpected(route_internal::no_member("ask_first"));
    auto group = task_group<actor_internal::ReplyOf<M>>(first_success());
    for (const Ref<A>& target : targets)
        group.add(target.template ask<M>(arguments...));
    co_return co_await group.run();
}

namespace route_internal {

template <auto M, class A, class... Arguments>
struct Hedging {
    using T = actor_internal::ReplyOf<M>;
    using Group = TaskGroup<T, FirstSuccess>;

    Hedging(Duration pause, std::vector<Ref<A>> whom, std::tuple<Arguments...> kept)
        : after(pause), targets(std::move(whom)), arguments(std::move(kept)) {}

    /// Asks the next one. False when there is none.
    static bool ask_next(Borrow<Hedging> hedging) {
        const std::size_t index = hedging->next.fetch_add(1, std::memory_order_relaxed);
        if (index >= hedging->targets.size()) return false;
        hedging->group.add(&Hedging::ask, hedging, index);
        return true;
    }

    static Task<Result<T>> ask(Borrow<Hedging> hedging, std::size_t index) {
        const Ref<A> target = hedging->targets[index];
        auto asked =
            std::apply([&](const Arguments&... kept) { return target.template ask<M>(kept...); },
                       hedging->arguments);
        Result<T> answer = co_await std::move(asked);
        // One that has failed is not waited for any longer.
        if (!answer && !cancelled()) ask_next(hedging);
        co_return answer;
    }

    static Task<void> keep_time(Borrow<Hedging> hedging) {
        for (;;) {
            const Result<void> waited = co_await sleep(hedging->after);
            if (!waited) co_return;
            const bool asked = ask_next(hedging);
            if (!asked) co_return;
        }
    }

    const Duration after;
    const std::vector<Ref<A>> targets;
    const std::tuple<Arguments...> arguments;
    // Children on several workers count it up.
    std::atomic<std::size_t> next{0};
    Group group{first_success()};
};

}  // namespace route_internal

/// Asks the first of them; when it has not answered after so long, or has failed, the next one as
/// well, and so on. The first success is the answer, of whomever. `after` is best what nineteen of
/// twenty answers take less than: then one call in twenty is made twice, and the slow ones are
/// gone.
///
/// Errors:  as ask_first. The asks' arguments are copied for each.
/// Threads: as ask_first.
/// Units:   engine time; never early.
template <auto M, class A, class... Arguments>
Task<Result<actor_internal::ReplyOf<M>>> hedge(Duration after, std::vector<Ref<A>> targets,
                                               Arguments... arguments) {
    using Hedging = route_internal::Hedging<M, A, Arguments...>;
    if (targets.empty()) co_return std::unexpected(route_internal::no_member("hedge"));
    Hedging hedging(after, std::move(targets), std::tuple<Arguments...>(std::move(arguments)...));
    Hedging::ask_next(borrow(hedging));
    hedging.group.add_service(&Hedging::keep_time, borrow(hedging));
    co_return co_await hedging.group.run();
}

/// The same, after what `pace` has learnt; and it learns of this answer.
template <auto M, class A, class... Arguments>
Task<Result<actor_internal::ReplyOf<M>>> hedge(HedgePace pace, std::vector<Ref<A>> targets,
                                               Arguments... arguments) {
    const route_internal::PacedCall call(std::move(pace));
    auto hedged = hedge<M>(call.after(), std::move(targets), std::move(arguments)...);
    Result<actor_internal::ReplyOf<M>> answer = co_await std::move(hedged);
    if (answer) call.answered();
    co_return answer;
}

}  // namespace troupe
