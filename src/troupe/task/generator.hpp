#pragma once

#include <troupe/task/task.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace troupe {

/// A coroutine that gives one value after the other, and may wait in between:
///
///     AsyncGenerator<Row> rows(Ref<Table> table) {
///         for (...) co_yield co_await or_...;
///     }
///     auto all = rows(table);
///     while (auto row = co_await all.next()) ...
///
/// It runs only while `next` is awaited, in the turn of whoever awaits it. Destroying it ends it
/// where it stands.
template <class T>
class [[nodiscard("a generator does nothing until next() is awaited")]] AsyncGenerator {
public:
    class promise_type : public task_internal::PromiseBase {
    public:
        promise_type() noexcept {}
        AsyncGenerator get_return_object() noexcept {
            return AsyncGenerator(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        void return_void() noexcept { over_ = true; }
        void unhandled_exception() noexcept {
            over_ = true;
            thrown_ = std::current_exception();
        }
        struct Yielded {
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
                // To whoever awaits `next`, as if it had finished.
                self.promise().finished_ = true;
            }
            void await_resume() const noexcept {}
        };
        template <class U>
            requires std::is_constructible_v<T, U&&>
        Yielded yield_value(U&& value) {
            value_.emplace(std::forward<U>(value));
            return {};
        }

    private:
        friend class AsyncGenerator;
        std::optional<T> value_;
        std::exception_ptr thrown_;
        bool over_ = false;
    };

    AsyncGenerator(AsyncGenerator&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)) {}
    AsyncGenerator& operator=(AsyncGenerator&& other) noexcept {
        if (this != &other) {
            reset();
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    ~AsyncGenerator() { reset(); }

    class [[nodiscard]] Next {
    public:
        explicit Next(std::coroutine_handle<promise_type> of) noexcept : of_(of) {}
        Next(const Next&) = delete;
        Next& operator=(const Next&) = delete;
        bool await_ready() const noexcept { return !of_ || of_.promise().over_; }
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> parent) {
            promise_type& promise = of_.promise();
            promise.finished_ = false;
            promise.parent_ = parent;
            of_.resume();
            return !promise.finished();
        }
        /// Empty at the end. Throws what the generator throws.
        [[nodiscard]] std::optional<T> await_resume() {
            if (!of_) return std::nullopt;
            promise_type& promise = of_.promise();
            if (promise.thrown_) std::rethrow_exception(std::exchange(promise.thrown_, nullptr));
            return std::exchange(promise.value_, std::nullopt);
        }

    private:
        std::coroutine_handle<promise_type> of_;
    };

    /// The next value; empty when there are no more.
    Next next() noexcept { return Next(handle_); }

private:
    explicit AsyncGenerator(std::coroutine_handle<promise_type> handle) noexcept
        : handle_(handle) {}
    void reset() noexcept {
        if (handle_) std::exchange(handle_, nullptr).destroy();
    }
    std::coroutine_handle<promise_type> handle_;
};

}  // namespace troupe
