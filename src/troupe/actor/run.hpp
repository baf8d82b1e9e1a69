#pragma once

#include <troupe/actor/system.hpp>
#include <troupe/task/task.hpp>

#include <type_traits>

namespace troupe {

namespace actor_internal {
int run_app(int argc, char** argv, Task<int> (*app)(System&));
}  // namespace actor_internal

/// What `run` gives in place of 0 when something had to be forced: a task of the shutdown failed or
/// was too slow, or an actor had to be killed.
inline constexpr int kExitForced = 3;

/// Runs a program: makes a system, runs `app` in it, stops the system and gives what app returned.
/// SIGINT and SIGTERM ask the system to stop (`co_await system.stop_requested()`) and so begin its
/// shutdown (<troupe/actor/shutdown.hpp>); a second one ends the process at once, with 128 plus the
/// signal's number.
///
/// `TROUPE_WORKERS=n` in the environment sets the number of workers; as many as cores otherwise.
///
/// Errors:  an exception that leaves app is printed, and the result is 1.
/// Threads: main's, before it has started others: they inherit its signal mask.
template <class App>
int run(int argc, char** argv, App app) {
    constexpr bool kFits = std::is_convertible_v<App, Task<int> (*)(System&)>;
    static_assert(kFits,
                  "run(argc, argv, app) wants app to be: troupe::Task<int> app(troupe::System& "
                  "system)");
    if constexpr (kFits) {
        return actor_internal::run_app(argc, argv, app);
    } else {
        return 1;
    }
}

}  // namespace troupe
