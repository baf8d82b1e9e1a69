#pragma once

#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/task/task.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace troupe {

namespace task_internal {

/// A task on a cell of its own, which whoever drives the engine waits for. Not from a worker.
class RootTask {
public:
    RootTask(Engine& engine, Task<void> body);
    ~RootTask();  ///< it has finished, or was abandoned, taken back or forgotten
    RootTask(const RootTask&) = delete;
    RootTask& operator=(const RootTask&) = delete;

    Latch& finished() noexcept;
    /// Destroys a task that nothing will ever wake, where it waits. Deterministic engine only.
    void abandon();
    /// The engine has stopped before the task has begun: undoes the beginning.
    void take_back();
    /// Leaves it where it is for ever, with all that it holds: the process is about to end.
    void forget() noexcept;

    class Root;

private:
    Engine& engine_;
    std::unique_ptr<Root> root_;
    Cell& cell_;
};

/// Runs `body` on a cell of its own until it has finished, blocking the calling thread. False: the
/// engine has stopped and the body has not begun.
[[nodiscard]] bool run_as_root(Engine& engine, Task<void> body);

[[noreturn]] void refuse_after_stop();

template <class T>
struct Outcome {
    std::optional<T> value;
    std::exception_ptr thrown;
};
template <>
struct Outcome<void> {
    std::exception_ptr thrown;
};

// The outcome lives in block_on, which waits for this coroutine: the reference cannot dangle.
template <class T>
Task<void> run_into(Task<T> task, Outcome<T>* outcome) {
    // What the task throws belongs to the caller of block_on, on its own thread.
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(task);
        } else {
            outcome->value.emplace(co_await std::move(task));
        }
    } catch (...) {
        outcome->thrown = std::current_exception();
    }
}

}  // namespace task_internal

/// Runs a task on the engine and waits for its result, for main and for threads of one's own.
///
/// Errors:  rethrows what the task throws. When the engine has stopped: closed, from a task with a
///          Result. Without one, called on a worker, or when nothing can run any more on the
///          deterministic engine, it stops the process and says why.
/// Threads: any but the engine's workers; blocks the thread.
template <class T>
T block_on(Engine& engine, Task<T> task) {
    task_internal::Outcome<T> outcome;
    if (!task_internal::run_as_root(engine, task_internal::run_into(std::move(task), &outcome))) {
        if constexpr (task_internal::kIsResult<T>) {
            return error(Errc::closed, "block_on: the engine has stopped, nothing runs there");
        } else {
            task_internal::refuse_after_stop();
        }
    }
    if (outcome.thrown) std::rethrow_exception(outcome.thrown);
    if constexpr (!std::is_void_v<T>) return std::move(*outcome.value);
}

}  // namespace troupe
