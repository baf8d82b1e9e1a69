#pragma once

/// `Task<T>` is a lazy coroutine: nothing runs until it is awaited, and destroying an unawaited one
/// means that nothing happened.
///
/// The problem: coroutines that call coroutines must not grow the native stack over millions of
/// awaits, must behave the same on Clang and GCC 12 (whose symmetric transfer is no tail call in
/// most modes), and must come back only in the turn of the actor or task they belong to.
///
/// The answer: awaiting a task runs it inline, as a call. If it has finished by then, the parent
/// never suspends. If not, it is suspended somewhere inside, and the cell's turn later resumes that
/// innermost point; each coroutine that finishes says so in its promise, and the loop in
/// `resume_chain` then resumes its parent. No coroutine ever resumes another, so the stack is flat.
/// Frames are recycled through the block pool. See docs/design/0006-tasks.md.

#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <new>
#include <source_location>
#include <type_traits>
#include <utility>

namespace troupe {

template <class T = void>
class [[nodiscard(
    "a Task does nothing until it is awaited: write co_await, or hand it to a TaskGroup")]] Task;

namespace task_internal {

/// What all promises share. First member of every promise, so that a handle to any of our
/// coroutines can be read as a handle to this.
class PromiseBase {
public:
    PromiseBase() noexcept {}  // declared: GCC 12 would build an aggregate from the arguments

    static void* operator new(std::size_t bytes) { return allocate_block(bytes); }
    static void operator delete(void* frame, std::size_t bytes) noexcept {
        free_block(frame, bytes);
    }

    std::suspend_always initial_suspend() const noexcept { return {}; }

    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
            self.promise().finished_ = true;
        }
        void await_resume() const noexcept {}
    };
    FinalAwaiter final_suspend() const noexcept { return {}; }

    bool finished() const noexcept { return finished_; }

    /// The coroutine has its result although its body has not come to an end: the owner destroys
    /// the frame, and the locals with it, before anybody sees the result.
    void finish_early() noexcept { finished_ = true; }

    std::coroutine_handle<> parent_;  ///< goes on when this one has finished; null for a root

protected:
    bool finished_ = false;
};

using AnyHandle = std::coroutine_handle<PromiseBase>;

inline AnyHandle as_any(std::coroutine_handle<> handle) noexcept {
    return AnyHandle::from_address(handle.address());
}

/// Resumes a suspended coroutine and then each parent whose child has finished, until one suspends
/// or the root has finished.
void resume_chain(std::coroutine_handle<> leaf);

template <class T>
class Promise : public PromiseBase {
public:
    static_assert(alignof(T) <= alignof(std::max_align_t),
                  "a Task's result is not over-aligned: return it by unique_ptr");
    Promise() noexcept {}
    ~Promise() {
        if (state_ == State::value) value_.~T();
        if (state_ == State::thrown) thrown_.~exception_ptr();
    }
    Promise(const Promise&) = delete;
    Promise& operator=(const Promise&) = delete;

    Task<T> get_return_object() noexcept;

    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
        ::new (static_cast<void*>(&value_)) T(std::forward<U>(value));
        state_ = State::value;
    }
    void unhandled_exception() noexcept {
        ::new (static_cast<void*>(&thrown_)) std::exception_ptr(std::current_exception());
        state_ = State::thrown;
    }

    T take() {
        if (state_ == State::thrown) std::rethrow_exception(std::move(thrown_));
        TROUPE_ASSERT(state_ == State::value, "a task's result was taken before it had one");
        return std::move(value_);
    }

private:
    enum class State : std::uint8_t { none, value, thrown };
    State state_ = State::none;
    union {
        T value_;
        std::exception_ptr thrown_;
    };
};

template <>
class Promise<void> : public PromiseBase {
public:
    Promise() noexcept {}
    Task<void> get_return_object() noexcept;
    void return_void() noexcept {}
    void unhandled_exception() noexcept { thrown_ = std::current_exception(); }
    void take() {
        if (thrown_) std::rethrow_exception(std::move(thrown_));
    }

private:
    std::exception_ptr thrown_;
};

template <class P>
concept OurPromise = std::is_base_of_v<PromiseBase, P>;

template <class T>
inline constexpr bool kIsResult = false;
template <class T>
inline constexpr bool kIsResult<Result<T>> = true;

/// Makes `text` part of the first error line when something unfinished is used as its value.
template <class T>
inline constexpr bool kNever = false;

}  // namespace task_internal

/// A coroutine that has not run yet.
///
/// Threads: starts and goes on in the turn of the actor or task that awaits it.
template <class T>
class [[nodiscard(
    "a Task does nothing until it is awaited: write co_await, or hand it to a TaskGroup")]] Task {
public:
    using promise_type = task_internal::Promise<T>;
    using value_type = T;

    /// No coroutine: for hooks that have nothing to do. Must not be awaited.
    Task() noexcept = default;
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            reset();
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() { reset(); }

    class Awaiter {
    public:
        explicit Awaiter(std::coroutine_handle<promise_type> child) noexcept : child_(child) {}
        Awaiter(const Awaiter&) = delete;
        Awaiter& operator=(const Awaiter&) = delete;
        ~Awaiter() {
            if (child_) child_.destroy();
        }
        bool await_ready() const noexcept { return false; }
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> parent) {
            child_.promise().parent_ = parent;
            child_.resume();
            return !child_.promise().finished();
        }
        T await_resume() {
            // The frame goes before the caller's next statement, also when it left early.
            Owned owned{std::exchange(child_, nullptr)};
            return owned.handle.promise().take();
        }

    private:
        struct Owned {
            std::coroutine_handle<promise_type> handle;
            ~Owned() { handle.destroy(); }
        };
        std::coroutine_handle<promise_type> child_;
    };

    /// Runs the task and gives its result, or throws what it threw.
    Awaiter operator co_await() && noexcept {
        TROUPE_ASSERT(static_cast<bool>(handle_), "an empty Task was awaited");
        return Awaiter(std::exchange(handle_, nullptr));
    }
    template <class Self = Task>
    void operator co_await() & {
        static_assert(task_internal::kNever<Self>,
                      "a Task is awaited once: co_await std::move(task)");
    }

    // These exist only to say what is missing.
    template <class Self = Task>
    void operator*() const {
        static_assert(task_internal::kNever<Self>,
                      "this has not happened yet: write co_await in front of it");
    }
    template <class Self = Task>
    void operator->() const {
        static_assert(task_internal::kNever<Self>,
                      "this has not happened yet: write co_await in front of it");
    }
    template <class Self = Task>
    void value() const {
        static_assert(task_internal::kNever<Self>,
                      "this has not happened yet: write co_await in front of it");
    }
    template <class To>
        requires(!std::is_void_v<T> && (std::is_same_v<To, T> || std::is_same_v<To, bool>))
    operator To() const {
        static_assert(task_internal::kNever<To>,
                      "this has not happened yet: write co_await in front of it");
    }

    // ---- for those who run tasks: turns and root tasks ----

    bool empty() const noexcept { return !handle_; }
    /// Runs until the first suspension. In a turn only, once.
    void start() {
        handle_.promise().parent_ = nullptr;
        handle_.resume();
    }
    bool finished() const noexcept { return handle_.promise().finished(); }
    /// The result of a finished task, or its exception.
    T take() { return handle_.promise().take(); }
    /// Destroys the coroutine where it is suspended, with all it awaits.
    void reset() noexcept {
        if (handle_) std::exchange(handle_, nullptr).destroy();
    }

private:
    friend promise_type;
    explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    std::coroutine_handle<promise_type> handle_;
};

namespace task_internal {

template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

template <class T>
class [[nodiscard]] OrReturn {
public:
    explicit OrReturn(Result<T>&& result) noexcept : result_(std::move(result)) {}
    OrReturn(const OrReturn&) = delete;
    OrReturn& operator=(const OrReturn&) = delete;

    bool await_ready() const noexcept { return result_.has_value(); }
    template <OurPromise P>
    void await_suspend(std::coroutine_handle<P> self) {
        using Returned = decltype(self.promise().take());
        if constexpr (kIsResult<Returned>) {
            self.promise().return_value(Returned(std::unexpect, std::move(result_).error()));
            self.promise().finish_early();
        } else {
            static_assert(kNever<P>,
                          "or_return needs a coroutine that returns Task<Result<...>>, there is no "
                          "way to return the error from this one");
        }
    }
    T await_resume() {
        if constexpr (!std::is_void_v<T>) return std::move(*result_);
    }

private:
    Result<T> result_;
};

}  // namespace task_internal

/// Gives the value of a result, or ends the coroutine with its error:
/// `auto user = co_await or_return(co_await users.ask<&Users::find>(id));`
///
/// Errors:  the result's own. Only in a coroutine that returns Task<Result<...>>.
template <class T>
auto or_return(Result<T> result) noexcept {
    return task_internal::OrReturn<T>(std::move(result));
}

}  // namespace troupe
