#pragma once

/// Waiting for time, for the others, and for blocking work.

#include <troupe/base/block_pool.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/timer.hpp>
#include <troupe/task/task.hpp>

#include <coroutine>
#include <new>
#include <optional>
#include <source_location>

namespace troupe {

namespace task_internal {

class [[nodiscard]] Sleep {
public:
    Sleep(Duration duration, std::source_location where) noexcept;
    Sleep(const Sleep&) = delete;
    Sleep& operator=(const Sleep&) = delete;
    ~Sleep();

    bool await_ready() const noexcept { return false; }
    template <OurPromise P>
    bool await_suspend(std::coroutine_handle<P> self) {
        return suspend(self);
    }
    [[nodiscard(
        "sleep may end early because of cancellation: while (co_await sleep(d)) ..., or "
        "or_return")]] Result<void>
    await_resume() noexcept;

private:
    bool suspend(std::coroutine_handle<> self);
    void let_go() noexcept;

    Awaiting awaiting_;
    Duration duration_;
    TimerNode* timer_ = nullptr;
};

class [[nodiscard]] Yield {
public:
    explicit Yield(std::source_location where) noexcept;
    Yield(const Yield&) = delete;
    Yield& operator=(const Yield&) = delete;
    bool await_ready() const noexcept { return false; }
    template <OurPromise P>
    void await_suspend(std::coroutine_handle<P> self) noexcept {
        begin_await(awaiting_, self);
    }
    void await_resume() const noexcept {}

private:
    Awaiting awaiting_;
};

/// The untyped half of an offloaded call: a job on the way there, a signal on the way back.
struct OffloadBase : MailNode, Job {
    Cell* asker = nullptr;
    std::uint32_t asker_generation = 0;
    std::exception_ptr thrown;
    void (*destroy)(OffloadBase* self) noexcept = nullptr;

    static const MailOps kOps;
    void answer() noexcept;
};

/// Fills in who asks and hands the job over. False, with the error, when the pool refused it.
Result<void> begin_offload(OffloadBase& call, Awaiting& awaiting, std::coroutine_handle<> self);

template <class F>
class [[nodiscard]] Offload {
    using Value = std::invoke_result_t<F&>;
    static constexpr bool kVoid = std::is_void_v<Value>;

    struct Call final : OffloadBase {
        explicit Call(F&& f) : function(std::move(f)) {}
        F function;
        std::optional<std::conditional_t<kVoid, bool, Value>> value;
    };

public:
    Offload(F&& function, std::source_location where)
        : call_(::new(allocate_block(sizeof(Call))) Call(std::move(function))) {
        awaiting_.what = "offload";
        awaiting_.where = where;
        call_->run = [](Job* job) noexcept {
            auto* const call = static_cast<Call*>(job);
            // What blocking code throws belongs to the coroutine that waits for it.
            try {
                if constexpr (kVoid) {
                    call->function();
                } else {
                    call->value.emplace(call->function());
                }
            } catch (...) {
                call->thrown = std::current_exception();
            }
            call->answer();
        };
        call_->destroy = [](OffloadBase* base) noexcept { free(static_cast<Call*>(base)); };
    }
    Offload(const Offload&) = delete;
    Offload& operator=(const Offload&) = delete;
    ~Offload() {
        // Suspended and destroyed: the job goes on without us, its answer is dropped.
        if (call_ != nullptr && !sent_) free(call_);
        if (awaiting_.arrived != nullptr) free(call_);
    }

    /// Does not wait: the result comes to an actor as a message, `Then(Result<Value>, extra...)`,
    /// and what the function throws as the error `failed`. The actor component knows how.
    template <auto Then, class To, class... Extra>
    void pipe_to(const To& to, Extra&&... extra) && {
        pipe_offloaded<Then>(to, std::move(call_->function), std::forward<Extra>(extra)...);
    }

    bool await_ready() const noexcept { return false; }
    template <OurPromise P>
    bool await_suspend(std::coroutine_handle<P> self) {
        refused_ = begin_offload(*call_, awaiting_, self);
        sent_ = refused_.has_value();
        return sent_;
    }
    [[nodiscard("blocking work can be refused or fail: check the Result")]] Result<Value>
    await_resume() {
        if (!refused_) return std::unexpected(refused_.error());
        Owned owned{std::exchange(call_, nullptr)};
        awaiting_.arrived = nullptr;
        if (owned.call->thrown) std::rethrow_exception(owned.call->thrown);
        if constexpr (kVoid) {
            return Result<void>();
        } else {
            return Result<Value>(std::move(*owned.call->value));
        }
    }

private:
    static void free(Call* call) noexcept {
        call->~Call();
        free_block(call, sizeof(Call));
    }
    struct Owned {
        Call* call;
        ~Owned() { free(call); }
    };

    Awaiting awaiting_;
    Call* call_;
    Result<void> refused_;
    bool sent_ = false;
};

}  // namespace task_internal

/// Waits for this long, never less. `while (co_await sleep(1s)) ...` ends when it is cancelled.
///
/// Errors:  cancelled.
/// Threads: in an actor or task; suspends it, never the worker.
/// Units:   engine time, so the simulator moves it; a negative duration waits for nothing.
inline auto sleep(Duration duration,
                  std::source_location where = std::source_location::current()) noexcept {
    return task_internal::Sleep(duration, where);
}

/// Lets every cell that is runnable now have its turn first.
inline auto yield(std::source_location where = std::source_location::current()) noexcept {
    return task_internal::Yield(where);
}

/// Runs a blocking function on the blocking pool and waits for what it returns. Give a closure a
/// name on the line before: `auto read = [path] {...}; auto text = co_await offload(read);`
/// An actor that does not want to wait has the result sent to it:
/// `offload(read).pipe_to<&Shop::loaded>(self(this), path);`
///
/// Errors:  closed, when the engine stops; mailbox_full, when the pool's queue is full; cancelled,
///          when it was before: what has begun is waited for. Rethrows what the function throws.
/// Threads: the function runs on a thread of the pool and must not touch the actor.
template <class F>
auto offload(F function, std::source_location where = std::source_location::current()) {
    static_assert(std::is_invocable_v<F&>, "offload(f): f is called without arguments");
    return task_internal::Offload<F>(std::move(function), where);
}

}  // namespace troupe
