#pragma once

/// Values that belong to one worker each: a client, a cache, an isolate that is not safe to share.
///
/// A `thread_local` would do as long as there is one system in the process and nothing suspends.
/// With two systems it hands one's value to the other, and a reference kept over a `co_await` may
/// find itself on another thread. Here the value belongs to a worker of one engine, is made there
/// at its first use and destroyed there with the worker, and is lent to a function that cannot
/// suspend:
///
///     WorkerLocal<Parser> parsers(system.engine());
///     Result<Tree> tree = parsers.with([&](Parser& parser) { return parser.parse(text); });
///
/// A spare worker and an actor with a thread of its own have values of their own.

#include <troupe/base/result.hpp>
#include <troupe/base/unique_function.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

class Engine;

/// Why a worker-local value cannot be had here.
enum class WorkerLocalErrc {
    not_on_a_worker = 1,  ///< this thread runs no actors
    other_engine,         ///< this worker belongs to another engine than the value
    not_pinned,           ///< only a pinned actor, or one with its own thread, may keep it
    in_a_scope,           ///< what is made in a WorkerScope goes with it, and cannot be kept
    being_made,           ///< the value's own constructor asks for it
};

namespace scheduler_internal {

/// The values of one worker. Its own thread only.
class LocalValues {
public:
    using Destroy = void (*)(void* value) noexcept;

    LocalValues() = default;
    LocalValues(const LocalValues&) = delete;
    LocalValues& operator=(const LocalValues&) = delete;
    ~LocalValues() { destroy_all(); }

    struct Entry {
        std::uint64_t key;
        void* value;  // null while it is being made
        Destroy destroy;
    };

    /// The entry of the innermost scope with this key, or null.
    Entry* find(std::uint64_t key) noexcept;
    /// Notes that the value is being made.
    void reserve(std::uint64_t key);
    void set(std::uint64_t key, void* value, Destroy destroy) noexcept;
    void forget(std::uint64_t key) noexcept;

    /// From here on none of the values is seen, until `leave_scope` with what this has returned.
    std::size_t enter_scope() noexcept;
    /// Destroys what was made in the scope, the newest first.
    void leave_scope(std::size_t outer) noexcept;
    bool in_scope() const noexcept { return scopes_ != 0; }

    void destroy_all() noexcept;

private:
    void destroy_down_to(std::size_t size) noexcept;

    std::vector<Entry> entries_;
    std::size_t scope_begin_ = 0;
    std::size_t scopes_ = 0;
};

std::uint64_t new_local_key() noexcept;

/// Of the calling worker. Errors: not_on_a_worker; other_engine, when `engine` is given and is not
/// the worker's.
Result<LocalValues*> local_values(const Engine* engine) noexcept;
/// Whether the running cell stays on its thread for as long as it lives.
bool runs_pinned_cell() noexcept;

template <class R>
concept Awaits =
    requires { typename R::promise_type; } || requires(R result) { result.await_ready(); } ||
    requires(R result) { std::move(result).operator co_await(); } ||
    requires(R result) { operator co_await(std::move(result)); };

template <class R>
struct WrappedResult {
    using type = Result<R>;
};
template <class R>
struct WrappedResult<Result<R>> {
    using type = Result<R>;
};

/// Calls a function that must not suspend and may not lend on what it was lent.
template <class F, class... Arguments>
auto call_in_place(F&& function, Arguments&... arguments) ->
    typename WrappedResult<std::invoke_result_t<F, Arguments&...>>::type {
    using Returned = std::invoke_result_t<F, Arguments&...>;
    static_assert(!Awaits<Returned>,
                  "the function given to WorkerLocal::with must not suspend: it may go on on "
                  "another worker, whose value is another one; await before or after");
    static_assert(!std::is_reference_v<Returned>,
                  "the function given to WorkerLocal::with returns a reference, which may outlive "
                  "its stay on this worker: return a value");
    if constexpr (std::is_void_v<Returned>) {
        std::forward<F>(function)(arguments...);
        return {};
    } else {
        return std::forward<F>(function)(arguments...);
    }
}

}  // namespace scheduler_internal

/// One value of type T for each worker of an engine.
template <class T>
class WorkerLocal {
public:
    /// Values are made by `T()`.
    explicit WorkerLocal(const Engine& engine)
        requires std::is_default_constructible_v<T>
        : WorkerLocal(engine, [] { return std::make_unique<T>(); }) {}

    /// Values are made by `make`, on the worker they belong to. Several workers may call it at the
    /// same time.
    WorkerLocal(const Engine& engine, UniqueFunction<std::unique_ptr<T>()> make)
        : engine_(&engine), make_(std::move(make)) {}

    WorkerLocal(const WorkerLocal&) = delete;
    WorkerLocal& operator=(const WorkerLocal&) = delete;

    /// Calls `function(T&)` with the calling worker's value, made now if there is none, and returns
    /// what it returns; a Result as it is.
    ///
    /// Errors:  not_on_a_worker, other_engine, being_made. Throws what the constructor of T or the
    ///          function throws.
    /// Threads: workers of the engine.
    template <class F>
    auto with(F&& function) ->
        typename scheduler_internal::WrappedResult<std::invoke_result_t<F, T&>>::type {
        Result<T*> value = find_or_make();
        if (!value) return std::unexpected(std::move(value).error());
        return scheduler_internal::call_in_place(std::forward<F>(function), **value);
    }

    /// The value of a pinned actor's worker, to be kept for as long as the actor lives.
    ///
    /// Errors:  as `with`; not_pinned; in_a_scope.
    /// Threads: the turns of pinned actors and of those with a thread of their own.
    Result<T*> of_pinned_actor() {
        Result<scheduler_internal::LocalValues*> values = scheduler_internal::local_values(engine_);
        if (!values) return std::unexpected(std::move(values).error());
        if (!scheduler_internal::runs_pinned_cell()) {
            return error(WorkerLocalErrc::not_pinned,
                         "only an actor spawned with options().pinned() or own_thread() stays with "
                         "its worker: use with(), or pin the actor");
        }
        if ((*values)->in_scope()) {
            return error(WorkerLocalErrc::in_a_scope,
                         "what is made in a WorkerScope is destroyed with it and cannot be kept");
        }
        return find_or_make();
    }

private:
    Result<T*> find_or_make() {
        Result<scheduler_internal::LocalValues*> here = scheduler_internal::local_values(engine_);
        if (!here) return std::unexpected(std::move(here).error());
        scheduler_internal::LocalValues& values = **here;
        if (const auto* const entry = values.find(key_)) {
            if (entry->value != nullptr) return static_cast<T*>(entry->value);
            return error(WorkerLocalErrc::being_made,
                         "a worker-local value asks for itself while it is made");
        }
        values.reserve(key_);
        struct Guard {  // making it may throw
            scheduler_internal::LocalValues* values;
            std::uint64_t key;
            ~Guard() {
                if (values != nullptr) values->forget(key);
            }
        } guard{&values, key_};
        T* const made = make_().release();
        guard.values = nullptr;
        values.set(key_, made, [](void* value) noexcept { delete static_cast<T*>(value); });
        return made;
    }

    const Engine* engine_;
    const std::uint64_t key_ = scheduler_internal::new_local_key();
    UniqueFunction<std::unique_ptr<T>()> make_;
};

/// Gives one job worker-local values of its own: none of an earlier job is seen in it, and none of
/// its own is left after it.
class WorkerScope {
public:
    /// Calls `job()`, which must not suspend, and returns what it returns; a Result as it is. The
    /// values made in it are destroyed when it ends, the newest first, also when it throws.
    ///
    /// Errors:  not_on_a_worker. Throws what the job throws.
    /// Threads: workers.
    template <class F>
    static auto run(F&& job) ->
        typename scheduler_internal::WrappedResult<std::invoke_result_t<F>>::type {
        Result<scheduler_internal::LocalValues*> values = scheduler_internal::local_values(nullptr);
        if (!values) return std::unexpected(std::move(values).error());
        const Scope scope(**values);
        return scheduler_internal::call_in_place(std::forward<F>(job));
    }

private:
    class Scope {
    public:
        explicit Scope(scheduler_internal::LocalValues& values)
            : values_(values), outer_(values.enter_scope()) {}
        ~Scope() { values_.leave_scope(outer_); }
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

    private:
        scheduler_internal::LocalValues& values_;
        const std::size_t outer_;
    };
};

}  // namespace troupe
