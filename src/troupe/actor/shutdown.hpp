#pragma once

/// Ending a program in order: what is to be done before the actors are stopped, in phases.
///
///     system.shutdown().add("service-unbind", "http", [server]() mutable { return close(server);
///     });
///
/// When the system is asked to stop, by a signal or by `request_stop`, the phases run one after the
/// other and the tasks of one phase side by side. A phase has a time limit; what has not finished
/// by then is reported with the place where it waits, killed, and the next phase begins. Then the
/// actors are stopped. `OwnedSystem::stop` and `run` wait for all of it.

#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/task/task.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

/// How long a phase may take unless it is given another limit.
inline constexpr Duration kShutdownPhaseTimeout = std::chrono::seconds(5);

/// What became of one task of a shutdown.
struct ShutdownTaskReport {
    enum class Outcome : std::uint8_t { done, failed, too_slow, left_out };
    std::string phase;
    std::string task;
    Outcome outcome = Outcome::done;
    std::string text;  ///< what it failed with, where it was still waiting, or why it was left out
    Duration took{};
};
const char* name(ShutdownTaskReport::Outcome outcome) noexcept;

/// All tasks of a shutdown in the order in which they ended.
struct ShutdownReport {
    std::vector<ShutdownTaskReport> tasks;
    bool clean() const noexcept;  ///< all are done
};

namespace actor_internal {

using ShutdownFunction = UniqueFunction<Task<Result<void>>()>;

bool add_shutdown_task(SystemCore& core, std::string_view phase, std::string task,
                       ShutdownFunction function);

/// The function stays where it is for as long as its coroutine runs: the plan keeps it.
template <class F>
Task<Result<void>> run_without_result(F& function) {
    co_await function();
    co_return Result<void>();
}

}  // namespace actor_internal

/// The plan of a system's shutdown: `system.shutdown()`. Cheap to copy.
///
/// The phases, in order: before-service-unbind, service-unbind, service-requests-done,
/// service-stop, before-cluster-shutdown, cluster-leave, before-actors-stop; and those that were
/// added.
/// Threads: any.
class Shutdown {
public:
    explicit Shutdown(actor_internal::SystemCore& core) noexcept : core_(&core) {}

    /// Has `function` run in this phase: a coroutine function or closure without parameters that
    /// returns Task<> or Task<Result<void>>. The closure is kept until the system has ended. False
    /// when the shutdown has begun: then it is not run.
    template <class F>
    bool add(std::string_view phase, std::string task, F function) const {
        using Returned = std::invoke_result_t<F&>;
        constexpr bool kFits =
            std::is_same_v<Returned, Task<>> || std::is_same_v<Returned, Task<Result<void>>>;
        static_assert(kFits,
                      "a shutdown task is a function without parameters that returns Task<> or "
                      "Task<Result<void>>");
        if constexpr (std::is_same_v<Returned, Task<Result<void>>>) {
            return actor_internal::add_shutdown_task(*core_, phase, std::move(task),
                                                     std::move(function));
        } else if constexpr (kFits) {
            auto with_result = [kept = std::move(function)]() mutable {
                return actor_internal::run_without_result(kept);
            };
            return actor_internal::add_shutdown_task(*core_, phase, std::move(task),
                                                     std::move(with_result));
        } else {
            return false;
        }
    }

    /// A phase of one's own, right behind another, or behind the last of several.
    void add_phase(std::string phase, std::string_view behind,
                   Duration timeout = kShutdownPhaseTimeout) const;
    void add_phase(std::string phase, std::initializer_list<std::string_view> behind,
                   Duration timeout = kShutdownPhaseTimeout) const;
    /// What comes after this phase makes no sense unless all its tasks are done: else the phases
    /// behind it are left out, and the report says so.
    void require(std::string_view phase) const;
    /// Another limit for a phase.
    void limit(std::string_view phase, Duration timeout) const;

    /// Asks the system to stop and waits until the last phase is over; the actors are not stopped
    /// yet. Whoever asks hears the same report.
    Task<ShutdownReport> run() const;

private:
    actor_internal::SystemCore* core_;
};

}  // namespace troupe
