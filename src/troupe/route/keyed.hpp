#pragma once

/// One at a time for each key, and many at a time for all keys together:
///
///     KeyedExecutor accounts(*this, keyed().parallel(16));
///     auto left = co_await accounts.run(customer, withdraw, customer, cents);   // waits its turn
///     accounts.submit(customer, send_statement, customer);                      // does not wait
///     co_await accounts.ask<&Cart::add>(carts.router(), customer, item);        // a worker does
///     it
///
/// A key is known only while it has something to do. Source: docs/design/0043-work-queues.md

#include <troupe/actor/actor.hpp>
#include <troupe/actor/own_message.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/result.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/route/router.hpp>
#include <troupe/task/task.hpp>
#include <troupe/task/wait_list.hpp>
#include <troupe/task/within.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <source_location>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace troupe {

/// What may be said about a keyed executor: `keyed().parallel(4).capacity(100)`.
class KeyedOptions {
public:
    struct Settings {
        std::size_t parallel = 16;
        std::size_t capacity = 1000;
    };

    /// So many jobs at a time, of as many keys: 16.
    KeyedOptions& parallel(std::size_t jobs) {
        settings_.parallel = jobs;
        return *this;
    }
    /// So many jobs at most that run or wait their turn: 1000. More are refused.
    KeyedOptions& capacity(std::size_t jobs) {
        settings_.capacity = jobs;
        return *this;
    }

    const Settings& settings() const noexcept { return settings_; }

private:
    Settings settings_;
};

inline KeyedOptions keyed() {
    return {};
}

/// A keyed executor, as it was a moment ago.
struct KeyedInfo {
    std::size_t keys = 0;      ///< that have something to do
    std::size_t running = 0;   ///< jobs
    std::size_t waiting = 0;   ///< jobs, for their key's turn or for a free place
    std::uint64_t ended = 0;   ///< jobs, since the beginning, in whatever way
    std::uint64_t failed = 0;  ///< jobs of `submit` that gave an error or threw
};

/// A number or a text.
class Key {
public:
    Key(std::integral auto key) noexcept  // implicit: as keys are written
        : hash_(route_internal::hash_of_key(static_cast<std::uint64_t>(key))) {}
    Key(std::string_view key) noexcept : hash_(route_internal::hash_of_key(key)) {}
    Key(const char* key) noexcept : Key(std::string_view(key)) {}
    Key(const std::string& key) noexcept : Key(std::string_view(key)) {}

    std::uint64_t hash() const noexcept { return hash_; }

private:
    std::uint64_t hash_;
};

namespace route_internal {

using KeyedJob = UniqueFunction<Task<Result<void>>()>;
class JobKeeper;

/// Who waits for which key. Two keys of one 64-bit hash are one.
class KeyedLines {
    struct Lane;
    struct Entry {
        task_internal::WaitList waiter;  // whoever waits for his turn: one at most
        bool granted = false;
    };
    using EntryAt = std::list<Entry>::iterator;

public:
    explicit KeyedLines(const KeyedOptions::Settings& settings)
        : capacity_(settings.capacity), free_(settings.parallel) {}
    KeyedLines(const KeyedLines&) = delete;
    KeyedLines& operator=(const KeyedLines&) = delete;

    /// A place in the line of one key. Whoever has one leaves it when it goes.
    class Place {
    public:
        Place(std::shared_ptr<KeyedLines> lines, Lane& lane, EntryAt entry)
            : lines_(std::move(lines)), lane_(&lane), entry_(entry) {}
        Place(Place&& other) noexcept
            : lines_(std::move(other.lines_)), lane_(other.lane_), entry_(other.entry_) {}
        Place& operator=(Place&&) = delete;
        ~Place() {
            if (lines_ != nullptr) lines_->leave(*lane_, entry_);
        }

    private:
        friend class KeyedLines;
        // Shared with the handles.
        std::shared_ptr<KeyedLines> lines_;
        Lane* lane_;
        EntryAt entry_;
    };

    /// Errors:  RouteErrc::no_room; closed.
    static Result<Place> enter(const std::shared_ptr<KeyedLines>& lines, Key key);

    /// Waits for the place's turn.
    class [[nodiscard]] Turn : task_internal::InLine {
    public:
        Turn(Place& place, std::source_location where)
            : InLine("the turn of a key", where), lines_(*place.lines_), entry_(*place.entry_) {}
        ~Turn() { leave(lines_.mutex_, entry_.waiter); }
        bool await_ready();
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        [[nodiscard("the wait may have been cancelled: check the Result")]] Result<void>
        await_resume();

    private:
        bool suspend(std::coroutine_handle<> self);
        KeyedLines& lines_;
        Entry& entry_;
    };
    static auto turn(Place& place, std::source_location where = std::source_location::current()) {
        return Turn(place, where);
    }

    /// Waits until nobody is in any line.
    class [[nodiscard]] Draining : task_internal::InLine {
    public:
        using value_type = void;
        Draining(std::shared_ptr<KeyedLines> lines, std::source_location where)
            : InLine("a keyed executor (until it is idle)", where), lines_(std::move(lines)) {}
        ~Draining() { leave(lines_->mutex_, lines_->drainers_); }
        bool await_ready();
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        [[nodiscard("the wait may have been cancelled: check the Result")]] Result<void>
        await_resume() {
            return leave_with_result(lines_->mutex_, lines_->drainers_);
        }

    private:
        bool suspend(std::coroutine_handle<> self);
        // Shared with the handles.
        std::shared_ptr<KeyedLines> lines_;
    };

    void close();
    void job_failed(const Error& why);
    void on_failure(UniqueFunction<void(const Error&)> hears);
    void kept_by(const Ref<JobKeeper>& keeper);
    Ref<JobKeeper> keeper() const;
    KeyedInfo info() const;

private:
    struct Lane {
        std::uint64_t key = 0;
        std::list<Entry> line;
        bool busy = false;   // its first has the turn
        bool ready = false;  // among those that wait for a free place
    };

    void leave(Lane& lane, EntryAt entry);
    task_internal::Waiter* give_turns() TROUPE_REQUIRES(mutex_);
    void make_ready(Lane& lane) TROUPE_REQUIRES(mutex_);

    const std::size_t capacity_;
    mutable Mutex mutex_{LockRank::wait_list};
    task_internal::WaitList drainers_;  // under the lock
    std::unordered_map<std::uint64_t, Lane> lanes_ TROUPE_GUARDED_BY(mutex_);
    std::deque<Lane*> ready_ TROUPE_GUARDED_BY(mutex_);  // the longest-waiting first
    std::size_t free_ TROUPE_GUARDED_BY(mutex_);
    std::size_t inside_ TROUPE_GUARDED_BY(mutex_) = 0;
    bool closed_ TROUPE_GUARDED_BY(mutex_) = false;
    Ref<JobKeeper> keeper_ TROUPE_GUARDED_BY(mutex_);
    // Shared with whoever calls it at this moment, without the lock.
    std::shared_ptr<UniqueFunction<void(const Error&)>> on_failure_ TROUPE_GUARDED_BY(mutex_);
    KeyedInfo counts_ TROUPE_GUARDED_BY(mutex_);
};

std::shared_ptr<KeyedLines> make_keyed_lines(Engine& engine, Cell* owner,
                                             const KeyedOptions::Settings& settings);
SendStatus submit(const std::shared_ptr<KeyedLines>& lines, Key key, KeyedJob job);

template <class F, class... Arguments>
Task<task_internal::ScopedResult<F, Arguments...>> run_in_turn(std::shared_ptr<KeyedLines> lines,
                                                               Key key, F function,
                                                               Arguments... arguments) {
    Result<KeyedLines::Place> place = KeyedLines::enter(lines, key);
    if (!place) co_return std::unexpected(std::move(place).error());
    Result<void> turn = co_await KeyedLines::turn(*place);
    if (!turn) co_return std::unexpected(std::move(turn).error());
    using Given = typename std::invoke_result_t<F&, Arguments...>::value_type;
    if constexpr (std::is_void_v<Given>) {
        co_await function(std::move(arguments)...);
        co_return Result<void>();
    } else {
        co_return co_await function(std::move(arguments)...);
    }
}

/// A function and its arguments, as a job that says how it went.
template <class F, class... Arguments>
struct JobOf {
    F function;
    std::tuple<Arguments...> arguments;

    Task<Result<void>> operator()() { return run(function, arguments); }
    // What it refers to is the job's own, which lives until the coroutine has ended.
    static Task<Result<void>> run(F& function, std::tuple<Arguments...>& arguments) {
        auto running =
            std::apply([&](Arguments&... each) { return function(std::move(each)...); }, arguments);
        using Given = typename decltype(running)::value_type;
        if constexpr (std::is_void_v<Given>) {
            co_await std::move(running);
        } else if constexpr (task_internal::kIsResult<Given>) {
            const Given given = co_await std::move(running);
            if (!given) co_return std::unexpected(given.error());
        } else {
            static_cast<void>(co_await std::move(running));
        }
        co_return Result<void>();
    }
};

}  // namespace route_internal

/// A handle: cheap to copy. It ends with its owner: what waits then hears Errc::closed.
///
/// Threads: any, unless a method says otherwise.
class KeyedExecutor {
public:
    /// Ends with the system.
    explicit KeyedExecutor(const System& system, const KeyedOptions& options = {});
    /// Ends with `owner`, in whose turn this is, or in whose constructor.
    explicit KeyedExecutor(const Actor& owner, const KeyedOptions& options = {});

    /// Waits for the turn of the key and for one of the places that jobs run in, and calls the
    /// coroutine function, in the caller's own turn. A job that waits for another one of its own
    /// key waits for ever, or until its deadline.
    ///
    /// Errors:  the function's own; RouteErrc::no_room, at once; closed; cancelled.
    /// Threads: in an actor or task. Arguments are kept.
    /// Order:   of one key first come, first served; of several who wait for a free place too.
    template <class F, class... Arguments>
    Task<task_internal::ScopedResult<F, Arguments...>> run(Key key, F function,
                                                           Arguments... arguments) const {
        return route_internal::run_in_turn(lines_, key, std::move(function),
                                           std::move(arguments)...);
    }

    /// Asks a member of the router when it is the key's turn: the key's own, whatever the route.
    /// Calls of one key never overlap, also when members come and go.
    ///
    /// Errors:  those of Router::ask; RouteErrc::no_room; closed; cancelled.
    template <auto M, class A, class... Arguments>
    Task<Result<actor_internal::ReplyOf<M>>> ask(Router<A> workers, Key key,
                                                 Arguments... arguments) const {
        auto ask_it = [](Router<A> router, std::uint64_t hash,
                         Arguments... given) -> Task<Result<actor_internal::ReplyOf<M>>> {
            co_return co_await router.by_hash(hash).template ask<M>(std::move(given)...);
        };
        return run(key, ask_it, std::move(workers), key.hash(), std::move(arguments)...);
    }

    /// The same as `run`, and does not wait for it: a task of the executor's does it. `sent`;
    /// `full`, when as many jobs wait as may; `gone`, when the owner has ended. What it gives is
    /// dropped, what it fails with is logged and told to whoever listens.
    ///
    /// Order:   of one key, that of the calls of one sender.
    template <class F, class... Arguments>
    SendStatus submit(Key key, F function, Arguments... arguments) const {
        using Submitted = route_internal::JobOf<F, Arguments...>;
        return route_internal::submit(
            lines_, key,
            Submitted{std::move(function), std::tuple<Arguments...>(std::move(arguments)...)});
    }

    /// Tells `listener` of each job of `submit` that fails from now on: `M(Error)`.
    template <auto M, class A>
    void on_failure(const Ref<A>& listener) const {
        lines_->on_failure([listener](const Error& why) { listener.template tell<M>(why); });
    }

    /// Waits until no job runs or waits.
    ///
    /// Errors:  cancelled.
    auto drained(std::source_location where = std::source_location::current()) const {
        return route_internal::KeyedLines::Draining(lines_, where);
    }

    KeyedInfo info() const { return lines_->info(); }

private:
    // Shared by the handles, by who waits and by the keeper of the jobs.
    std::shared_ptr<route_internal::KeyedLines> lines_;
};

}  // namespace troupe
