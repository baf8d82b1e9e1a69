#pragma once

#include <troupe/actor/actor_info.hpp>
#include <troupe/actor/crash_report.hpp>
#include <troupe/actor/dead_letters.hpp>
#include <troupe/actor/exit.hpp>
#include <troupe/actor/mailbox_stats.hpp>
#include <troupe/actor/name.hpp>
#include <troupe/actor/pid.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {

class Supervisor;
class SupervisorRef;

namespace actor_internal {

class SystemCore;

void listen_to_dead_letters(SystemCore& core, Cell* cell, std::uint32_t generation,
                            std::ptrdiff_t offset,
                            MailNode* (*make_call)(std::ptrdiff_t offset, DeadLetter letter));

/// Where a name leads to.
struct FoundName {
    Cell* cell = nullptr;
    std::uint32_t generation = 0;
    std::uint16_t offset = 0;
};
Result<FoundName> find_name(SystemCore& core, std::string_view name, std::uint64_t hash,
                            const std::string_view& type);
void listen_to_crashes(SystemCore& core, Cell* cell, std::uint32_t generation,
                       std::ptrdiff_t offset,
                       MailNode* (*make_call)(std::ptrdiff_t offset, CrashReport report));

void listen_to_stalls(SystemCore& core, Cell* cell, std::uint32_t generation, std::ptrdiff_t offset,
                      MailNode* (*make_call)(std::ptrdiff_t offset, StallReport report));

class [[nodiscard]] StopRequested {
public:
    explicit StopRequested(SystemCore& core) noexcept : core_(core) {}
    StopRequested(const StopRequested&) = delete;
    StopRequested& operator=(const StopRequested&) = delete;
    ~StopRequested();
    bool await_ready() const noexcept;
    template <task_internal::OurPromise P>
    bool await_suspend(std::coroutine_handle<P> self,
                       std::source_location where = std::source_location::current()) {
        awaiting_.where = where;
        return suspend(self);
    }
    void await_resume() const noexcept {}

private:
    bool suspend(std::coroutine_handle<> self);
    SystemCore& core_;
    Awaiting awaiting_;
    MailNode* node_ = nullptr;
};

/// The current cell waits until `started`, which is null when nobody was spawned, has started.
void wait_for_start(Cell& cell, const Cell* started) noexcept;

/// Begins the await of a start and spawns within it, so that no outcome can come too early.
template <class Spawn>
class StartAwaiter {
public:
    explicit StartAwaiter(Spawn& spawn) noexcept : spawn_(spawn) {}
    StartAwaiter(const StartAwaiter&) = delete;
    StartAwaiter& operator=(const StartAwaiter&) = delete;
    ~StartAwaiter() {
        if (awaiting_.arrived != nullptr) AskEnvelope<void>::free_reply(outcome_);
    }
    bool await_ready() const noexcept { return false; }
    template <task_internal::OurPromise P>
    void await_suspend(std::coroutine_handle<P> self,
                       std::source_location where = std::source_location::current()) {
        awaiting_.what = "start";
        awaiting_.where = where;
        Cell& cell = begin_await(awaiting_, self);
        outcome_ = ::new (allocate_block(sizeof(AskEnvelope<void>))) AskEnvelope<void>;
        outcome_->bytes = sizeof(AskEnvelope<void>);
        outcome_->asker = &cell;
        outcome_->asker_generation = cell.generation();
        outcome_->await_number = cell.await_number_;
        wait_for_start(cell, spawn_(outcome_));
    }
    Result<void> await_resume() {
        if (awaiting_.arrived != nullptr) return std::move(*outcome_->reply);
        // Its start waits for whoever waits for it.
        return std::unexpected(
            unsent_error(AskStatus::cycle, nullptr, 0, "start", awaiting_.where));
    }

private:
    Spawn& spawn_;
    AskEnvelope<void>* outcome_ = nullptr;
    Awaiting awaiting_;
};

/// `parent`: null for nobody's child; else in its turn.
template <class A, class NamedAs, class... Arguments>
Task<Result<Ref<A>>> start(Engine& engine, Cell* parent, OptionsFor<NamedAs> options,
                           Arguments... arguments) {
    Ref<A> ref;
    auto spawn_now = [&](AskEnvelope<void>* outcome) {
        options.settings().start_outcome = outcome;
        ref = spawn_given<A>(engine, parent, options, std::move(arguments)...);
        return RefAccess::cell(ref);
    };
    StartAwaiter<decltype(spawn_now)> awaiter(spawn_now);
    Result<void> started = co_await awaiter;
    if (!started) co_return std::unexpected(std::move(started).error());
    co_return ref;
}

template <class T>
Task<Result<T>> ask_task(Ask<T> ask) {
    co_return co_await std::move(ask);
}

}  // namespace actor_internal

/// A name and who has it, as it was a moment ago.
struct RegisteredName {
    std::string name;
    Pid pid;
    std::string type;  ///< as what the actor is seen under this name
};

class Shutdown;

/// A handle to a running system: cheap to copy, valid as long as its owner (`OwnedSystem`, `run`).
class System {
public:
    explicit System(actor_internal::SystemCore& core) noexcept : core_(&core) {}

    /// Builds an actor here and now; the Ref is at once good to send to. When the constructor
    /// throws, or the system is stopping, it is the Ref of an actor that has ended.
    ///
    /// Threads: any.
    template <class A, class... Arguments>
    Ref<A> spawn(Arguments&&... arguments) const {
        return actor_internal::spawn<A>(engine(), nullptr, std::forward<Arguments>(arguments)...);
    }

    /// The same, and waits until on_start has finished: `co_await system.start<A>(args...)`.
    ///
    /// Errors:  start_failed, with the text of what on_start returned or threw;
    ///          already_registered, when another actor has the name: the text says which.
    template <class A, class... Arguments>
        requires(!actor_internal::kOptionsFirst<Arguments...>)
    Task<Result<Ref<A>>> start(Arguments... arguments) const {
        return actor_internal::start<A>(engine(), nullptr, SpawnOptions(), std::move(arguments)...);
    }
    template <class A, class NamedAs, class... Arguments>
    Task<Result<Ref<A>>> start(OptionsFor<NamedAs> options, Arguments... arguments) const {
        return actor_internal::start<A>(engine(), nullptr, std::move(options),
                                        std::move(arguments)...);
    }

    /// The actor that has this name now. It may end at any time, but when it has ended already it
    /// is not found.
    ///
    /// Errors:  not_found; wrong_type, when the name was given as another type than A.
    /// Threads: any. Takes no lock.
    template <class A>
    Result<Ref<A>> find(Name<A> name) const {
        return find_as<A>(name.text(), name.hash());
    }
    template <class A>
    Result<Ref<A>> find(std::string_view name) const {
        return find_as<A>(name, fnv1a_64(name));
    }
    /// All names and whose they are, by name. Any thread.
    std::vector<RegisteredName> names() const;

    /// Starts a tree of supervisors, from the first child to the last: supervisor.hpp. When a child
    /// does not start, those that have are stopped again.
    ///
    /// Errors:  start_failed, with the child's name and the text of what its start failed with.
    Task<Result<SupervisorRef>> start(Supervisor tree) const;

    /// Waits until somebody has asked the system to stop: what a server's app does.
    actor_internal::StopRequested stop_requested() const noexcept {
        return actor_internal::StopRequested(*core_);
    }
    /// Asks the system to stop. Any thread.
    void request_stop() const noexcept;
    bool stopping() const noexcept;
    /// What is to be done before the actors are stopped: <troupe/actor/shutdown.hpp>.
    Shutdown shutdown() const noexcept;

    /// Time since the system began. Any thread.
    Duration now() const noexcept { return engine().now(); }

    /// All actors alive a moment ago, in order of their slots. Any thread.
    std::vector<ActorInfo> actors() const;
    /// Errors:  not_found, when the actor has ended. Any thread.
    Result<ActorInfo> info(Pid pid) const;
    /// All tasks that run a moment ago, likewise: children of groups, and what block_on waits for.
    std::vector<TaskInfo> tasks() const;
    /// Where an actor's handler or a task waits, and who waits for it, and so on, a line each:
    ///
    ///     <0.9.1> Rates::get (Rates) waits in sleep at rates.cpp:12
    ///     <0.7.1> load waits in ask Rates::get at shop.cpp:41
    ///     <0.3.1> Shop::price (Shop) waits in group at shop.cpp:50
    ///
    /// Ends where somebody runs, or is asked by nobody who waits. Any thread.
    std::vector<std::string> backtrace(Pid pid) const;
    DeadLetters dead_letters() const noexcept;
    /// How many handlers have taken longer than their actor's `handler_timeout` allows.
    std::uint64_t slow_handlers() const noexcept;
    /// The same by the class of the actor they were for, in alphabetical order.
    std::vector<DeadLettersOfType> dead_letters_by_type() const;
    /// How full mailboxes get, and for how long messages wait in them, by the class of the actor;
    /// those that waited longest first. Only classes whose messages were looked at. Any thread.
    std::vector<MailboxesOfType> mailboxes_by_type() const;

    /// Tells `listener` of every message that is not handled from now on: `M(DeadLetter)`. It hears
    /// until it ends; what does not fit its mailbox it does not hear. The log tells of dead letters
    /// anyway, once a second at most.
    ///
    /// Threads: any.
    template <auto M, class A>
    void on_dead_letter(const Ref<A>& listener) const {
        if constexpr (actor_internal::check_call<M, A, DeadLetter>()) {
            using Class = typename actor_internal::Traits<M>::Class;
            actor_internal::listen_to_dead_letters(
                *core_, actor_internal::RefAccess::cell(listener),
                actor_internal::RefAccess::generation(listener),
                static_cast<std::ptrdiff_t>(actor_internal::RefAccess::offset(listener)) +
                    actor_internal::offset_of_base<A, Class>(),
                [](std::ptrdiff_t offset, DeadLetter letter) -> MailNode* {
                    return actor_internal::make_call<M, false>(offset, std::move(letter));
                });
        }
    }

    /// How many actors have failed of their own accord.
    std::uint64_t crashes() const noexcept;

    /// Tells `listener` of every actor that fails from now on: `M(CrashReport)`. It hears until it
    /// ends; what does not fit its mailbox is a dead letter. The log tells of crashes anyway, ten
    /// a second at most.
    ///
    /// Threads: any.
    template <auto M, class A>
    void on_crash(const Ref<A>& listener) const {
        if constexpr (actor_internal::check_call<M, A, CrashReport>()) {
            using Class = typename actor_internal::Traits<M>::Class;
            actor_internal::listen_to_crashes(
                *core_, actor_internal::RefAccess::cell(listener),
                actor_internal::RefAccess::generation(listener),
                static_cast<std::ptrdiff_t>(actor_internal::RefAccess::offset(listener)) +
                    actor_internal::offset_of_base<A, Class>(),
                [](std::ptrdiff_t offset, CrashReport report) -> MailNode* {
                    return actor_internal::make_call<M, false>(offset, std::move(report));
                });
        }
    }

    /// Tells `listener` of turns that keep their worker for too long, from now on:
    /// `M(StallReport)`. One of each kind in ten seconds; the log hears of them anyway. The
    /// deterministic engine has none.
    ///
    /// Threads: any.
    template <auto M, class A>
    void on_stall(const Ref<A>& listener) const {
        if constexpr (actor_internal::check_call<M, A, StallReport>()) {
            using Class = typename actor_internal::Traits<M>::Class;
            actor_internal::listen_to_stalls(
                *core_, actor_internal::RefAccess::cell(listener),
                actor_internal::RefAccess::generation(listener),
                static_cast<std::ptrdiff_t>(actor_internal::RefAccess::offset(listener)) +
                    actor_internal::offset_of_base<A, Class>(),
                [](std::ptrdiff_t offset, StallReport report) -> MailNode* {
                    return actor_internal::make_call<M, false>(offset, std::move(report));
                });
        }
    }

    /// Runs a task, or asks, and waits for the result; for main and threads of one's own.
    template <class T>
    T block_on(Task<T> task) const {
        return troupe::block_on(engine(), std::move(task));
    }
    template <class T>
    Result<T> block_on(Ask<T> ask) const {
        return troupe::block_on(engine(), actor_internal::ask_task(std::move(ask)));
    }

    Engine& engine() const noexcept;

private:
    template <class A>
    Result<Ref<A>> find_as(std::string_view name, std::uint64_t hash) const {
        const auto found =
            actor_internal::find_name(*core_, name, hash, actor_internal::kClassName<A>);
        if (!found) return std::unexpected(found.error());
        return actor_internal::RefAccess::make<A>(*found->cell, found->generation, found->offset);
    }

    actor_internal::SystemCore* core_;
};

/// A system that lives as long as this object. Its end stops all actors and joins all threads.
class OwnedSystem {
public:
    OwnedSystem() : OwnedSystem(make_threaded_engine()) {}
    explicit OwnedSystem(std::unique_ptr<Engine> engine);
    OwnedSystem(const OwnedSystem&) = delete;
    OwnedSystem& operator=(const OwnedSystem&) = delete;
    ~OwnedSystem();

    System& operator*() noexcept { return system_; }
    System* operator->() noexcept { return &system_; }

    /// Runs the shutdown, stops all actors in order, kills those that have not ended within `grace`
    /// (the log says who they are and where they wait), and joins the threads. True when nothing
    /// had to be forced. Idempotent. Not from a worker.
    bool stop(Duration grace = std::chrono::seconds(5));

    // On the deterministic engine only.
    void settle() { system_.engine().settle(); }
    void advance(Duration duration) { system_.engine().run_for(duration); }

private:
    std::unique_ptr<actor_internal::SystemCore> core_;
    System system_;
};

}  // namespace troupe
