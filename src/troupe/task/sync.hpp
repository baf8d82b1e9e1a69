#pragma once

/// What tasks and handlers wait for among themselves: semaphore, mutex, event, barrier, once.
///
/// Actors need none of them for their own state; they are for tasks that share something, and for
/// limits (`Semaphore slots(8)` around what only eight may do at a time). All are first come, first
/// served; every wait ends with Errc::cancelled when it is cancelled. They must live longer than
/// whoever waits: in the frame that runs the group, or in an actor.

#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>
#include <troupe/task/wait_list.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>
#include <utility>

namespace troupe {

class Semaphore;

/// Holds what was acquired and gives it back when it goes.
class [[nodiscard("what was acquired is given back at once when this is dropped")]] Permit {
public:
    Permit() noexcept = default;
    Permit(Permit&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), count_(other.count_) {}
    Permit& operator=(Permit&& other) noexcept {
        if (this != &other) {
            release();
            of_ = std::exchange(other.of_, nullptr);
            count_ = other.count_;
        }
        return *this;
    }
    ~Permit() { release(); }

    /// Gives it back now.
    void release() noexcept;

private:
    friend class Semaphore;
    Permit(Semaphore& of, std::uint64_t count) noexcept : of_(&of), count_(count) {}
    Semaphore* of_ = nullptr;
    std::uint64_t count_ = 0;
};

/// So many at a time.
class Semaphore : public task_internal::Waitable {
public:
    explicit Semaphore(std::uint64_t count) noexcept : available_(count), all_(count) {}

    class [[nodiscard]] Acquire : task_internal::InLine {
    public:
        Acquire(Semaphore& semaphore, std::uint64_t count, std::source_location where) noexcept
            : InLine("semaphore", where), semaphore_(semaphore), count_(count) {}
        ~Acquire();
        bool await_ready() noexcept;
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        [[nodiscard("without its Permit nothing is held: check the Result")]] Result<Permit>
        await_resume();

    private:
        bool suspend(std::coroutine_handle<> self);
        Semaphore& semaphore_;
        std::uint64_t count_;
        bool ready_ = false;
    };

    /// Waits until so many are free: `const auto slot = co_await slots.acquire();`. Whoever wants
    /// many is not passed by those who want few.
    ///
    /// Errors:  cancelled; unreachable, when more are wanted than there are.
    /// Threads: in an actor or task.
    auto acquire(std::uint64_t count = 1,
                 std::source_location where = std::source_location::current()) noexcept {
        return Acquire(*this, count, where);
    }
    /// The same without waiting: an empty Permit, and false, when they are not free. Any thread.
    bool try_acquire(Permit& permit, std::uint64_t count = 1) noexcept;

    /// How many are free now. Any thread.
    std::uint64_t available() noexcept;

private:
    friend class Permit;
    bool take(std::uint64_t count) noexcept TROUPE_REQUIRES(mutex());
    void give_back(std::uint64_t count) noexcept;

    std::uint64_t available_;  // under the lock
    const std::uint64_t all_;
};

/// One at a time, over waits too: `const auto held = co_await mutex.lock();`.
class TaskMutex : private Semaphore {
public:
    TaskMutex() noexcept : Semaphore(1) {}
    /// Errors, Threads: as Semaphore::acquire.
    auto lock(std::source_location where = std::source_location::current()) noexcept {
        return acquire(1, where);
    }
    bool try_lock(Permit& permit) noexcept { return try_acquire(permit); }
};

/// Lets everybody through once it is set.
class Event : public task_internal::Waitable {
public:
    class [[nodiscard]] Wait : task_internal::InLine {
    public:
        Wait(Event& event, std::source_location where) noexcept
            : InLine("event", where), event_(event) {}
        ~Wait() { leave(event_.mutex(), event_.waiters()); }
        bool await_ready() noexcept { return event_.is_set() && !others_go_first(); }
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        [[nodiscard("the wait may have been cancelled: check the Result")]] Result<void>
        await_resume() {
            return leave_with_result(event_.mutex(), event_.waiters());
        }

    private:
        bool suspend(std::coroutine_handle<> self);
        Event& event_;
    };

    /// Any thread.
    void set() noexcept;
    void reset() noexcept;
    bool is_set() noexcept;

    /// Errors:  cancelled.
    /// Threads: in an actor or task.
    auto wait(std::source_location where = std::source_location::current()) noexcept {
        return Wait(*this, where);
    }

private:
    bool set_ = false;  // under the lock
};

/// Lets so many through together, again and again.
class Barrier : public task_internal::Waitable {
public:
    explicit Barrier(std::size_t parties) noexcept : parties_(parties) {}

    class [[nodiscard]] Arrive : task_internal::InLine {
    public:
        Arrive(Barrier& barrier, std::source_location where) noexcept
            : InLine("barrier", where), barrier_(barrier) {}
        ~Arrive() { leave(barrier_.mutex(), barrier_.waiters()); }
        bool await_ready() noexcept { return barrier_.complete(); }
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        [[nodiscard("the wait may have been cancelled: check the Result")]] Result<void>
        await_resume() {
            return leave_with_result(barrier_.mutex(), barrier_.waiters());
        }

    private:
        bool suspend(std::coroutine_handle<> self);
        Barrier& barrier_;
    };

    /// Waits until all have arrived. Whoever is cancelled before has not arrived.
    ///
    /// Errors:  cancelled.
    /// Threads: in an actor or task.
    auto arrive_and_wait(std::source_location where = std::source_location::current()) noexcept {
        return Arrive(*this, where);
    }

private:
    bool complete() noexcept;
    const std::size_t parties_;  // those who wait have arrived
};

/// Sees to it that something is done once, by whoever comes first; the others wait for it.
class Once {
public:
    /// Calls the coroutine function unless that has been done. When it fails, whoever comes next,
    /// or has waited longest, tries.
    ///
    /// Errors:  what `function` fails with, for whoever has called it; cancelled.
    /// Threads: in an actor or task, in whose turn the function runs.
    template <class F>
    Task<Result<void>> run(F function) {
        const auto turn = co_await mutex_.lock();
        if (!turn) co_return std::unexpected(turn.error());
        if (done_) co_return Result<void>();
        using Given = typename std::invoke_result_t<F&>::value_type;
        if constexpr (task_internal::kIsResult<Given>) {
            const Given given = co_await function();
            if (!given) co_return std::unexpected(given.error());
        } else {
            co_await function();
        }
        done_ = true;
        co_return Result<void>();
    }

private:
    TaskMutex mutex_;
    bool done_ = false;  // whoever holds the mutex
};

}  // namespace troupe
