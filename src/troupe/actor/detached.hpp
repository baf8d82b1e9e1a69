#pragma once

/// A task that nobody waits for: `detach(system, reindex, "books")`.
///
/// It is an actor of its own, so nothing of it is hidden: it is listed with the line it waits at, a
/// monitor hears of its end, `stop` asks it to end, and it ends with its system, killed when it has
/// not ended within the grace. What it throws is a crash report, an error it answers is one line in
/// the log. Prefer a TaskGroup where somebody can wait.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/log.hpp>
#include <troupe/task/task.hpp>

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace troupe {

namespace actor_internal {

/// Runs a function and ends. The function and its arguments live as long as it does.
template <class F, class... Arguments>
class Detached final : public Actor {
public:
    template <class... Given>
    explicit Detached(F function, Given&&... arguments)
        : function_(std::move(function)), arguments_(std::forward<Given>(arguments)...) {}

    Task<void> run() {
        using Value = typename std::invoke_result_t<F&, Arguments...>::value_type;
        if constexpr (task_internal::kIsResult<Value>) {
            const auto outcome = co_await std::apply(function_, std::move(arguments_));
            if (!outcome && outcome.error() != Errc::cancelled) {
                log_error("a detached task has failed", {{"pid", to_string(self(this).pid())},
                                                         {"task", type_name<F>()},
                                                         {"error", outcome.error().message()}});
            }
        } else {
            co_await std::apply(function_, std::move(arguments_));
        }
        self(this).stop();
    }

private:
    F function_;
    std::tuple<Arguments...> arguments_;
};

}  // namespace actor_internal

/// Starts `function(arguments...)`, a coroutine, and waits for nothing. Both are kept until it has
/// ended. The pid is its address, to watch it by or to find it in a listing; the Ref it comes with
/// stops it: its sleeps end, and no more of it is begun.
///
/// Errors:  none; when the system is stopping, nothing is started and the Ref is nobody's.
/// Threads: any.
template <class NamedAs, class F, class... Arguments>
Ref<Actor> detach(const System& system, OptionsFor<NamedAs> options, F&& function,
                  Arguments&&... arguments) {
    using Function = std::decay_t<F>;
    static_assert(std::is_invocable_v<Function&, std::decay_t<Arguments>...>,
                  "detach(system, function, arguments...): the function does not take these "
                  "arguments");
    using Alone = actor_internal::Detached<Function, std::decay_t<Arguments>...>;
    const Ref<Alone> job =
        system.spawn<Alone>(std::move(options), Function(std::forward<F>(function)),
                            std::forward<Arguments>(arguments)...);
    job.template tell<&Alone::run>();
    return job;
}
template <class F, class... Arguments>
    requires(!actor_internal::kIsOptions<std::remove_cvref_t<F>>)
Ref<Actor> detach(const System& system, F&& function, Arguments&&... arguments) {
    return detach(system, SpawnOptions(), std::forward<F>(function),
                  std::forward<Arguments>(arguments)...);
}

}  // namespace troupe
