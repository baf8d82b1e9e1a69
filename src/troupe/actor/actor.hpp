#pragma once

/// The base class of actors: the verbs an actor uses on itself. This one header is enough for a
/// program: it brings System, Ref and run() along.
///
/// A class without this base is an actor too; it only cannot name itself, have hooks or children.

#include <troupe/actor/actor_timer.hpp>
#include <troupe/actor/exit.hpp>
#include <troupe/actor/pipe.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/run.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>

#include <type_traits>
#include <utility>

namespace troupe {

class Arena;
class System;

namespace actor_internal {

struct ActorAccess;

/// Finds the Down in the message that will bring it.
using DownIn = Down& (*)(MailNode* message) noexcept;

/// Of an actor, as it sees itself.
struct OwnAddress {
    Cell* cell;
    const std::byte* object;  // the beginning of the complete object
    std::uint32_t generation;
};

/// Watches `target` for `watcher`: `down` is delivered when it ends, or at once when it has. Gives
/// the monitor's number.
std::uint64_t post_monitor(Cell& watcher, Cell* target, std::uint32_t generation, MailNode* down,
                           DownIn down_in);
/// The actor handles a message of its own before all that waits.
void post_event(const Actor& actor, MailNode* message);

void cancel_monitor(Cell& watcher, std::uint32_t watcher_generation, std::uint64_t number) noexcept;

/// Links `cell` to another actor; to one that has ended, its exit is noproc.
void post_link(Cell& cell, Cell* other, std::uint32_t generation);
void post_unlink(Cell& cell, Cell* other, std::uint32_t generation);
/// From now on exits are messages to `cell`.
void trap_exits(Cell& cell, std::ptrdiff_t offset,
                MailNode* (*make_exit)(std::ptrdiff_t offset, Exit exit));

/// Links a new actor to its spawner.
inline constexpr SpawnTie kLinkTie{[](const SpawnTie&, Cell& spawner, Cell& spawned) {
    post_link(spawner, &spawned, spawned.generation());
}};

/// Has a new actor watched by its spawner.
struct MonitorTie : SpawnTie {
    MonitorTie(MailNode* message, DownIn find) noexcept
        : SpawnTie{[](const SpawnTie& self, Cell& spawner, Cell& spawned) {
              static_cast<const MonitorTie&>(self).watch(spawner, &spawned, spawned.generation());
          }},
          down(message),
          down_in(find) {}

    void watch(Cell& spawner, Cell* spawned, std::uint32_t generation) const {
        number = post_monitor(spawner, spawned, generation, down, down_in);
    }

    MailNode* down;
    DownIn down_in;
    mutable std::uint64_t number = 0;  // of the monitor; 0 until there is one
};

}  // namespace actor_internal

/// What `monitor` gives: the means to end the watching. Destroying it changes nothing.
class Monitor {
public:
    Monitor() = default;
    /// After this no Down of this monitor is delivered, not even one that had arrived already.
    /// Threads: the watcher's own turn.
    void cancel() noexcept {
        if (watcher_ != nullptr) actor_internal::cancel_monitor(*watcher_, generation_, number_);
    }

private:
    friend class Actor;
    Monitor(Cell& watcher, std::uint64_t number) noexcept
        : watcher_(&watcher), generation_(watcher.generation()), number_(number) {}

    Cell* watcher_ = nullptr;
    std::uint32_t generation_ = 0;
    std::uint64_t number_ = 0;
};

/// What `spawn_monitored` gives.
template <class A>
struct Monitored {
    Ref<A> ref;
    Monitor monitor;
};

class Actor {
public:
    using TroupeActor = Actor;  // how templates recognise an actor without needing it complete

    Actor(const Actor&) = delete;
    Actor& operator=(const Actor&) = delete;

protected:
    /// Also works outside any system: an actor's methods can be unit-tested as ordinary methods.
    Actor() noexcept;
    virtual ~Actor() = default;

    /// The first turn; mail waits until it has finished. An error or exception ends the actor:
    /// `system.start` hears start_failed.
    virtual Task<Result<void>> on_start() { return {}; }
    /// The last turn, skipped when the actor is killed. The actor can still send and ask.
    virtual Task<void> on_stop(const ExitReason&) { return {}; }
    /// A handler of this actor has taken longer than `options().handler_timeout(...)` allows: told
    /// at once when it waits, while it waits, and else when it has ended. Or it has kept its worker
    /// for too long without waiting: told as a message, after it.
    virtual void on_slow_handler(const SlowHandler&) {}
    /// This actor had something to handle and waited long for a worker: told as a message.
    virtual void on_starvation(const StarvationReport&) {}

    /// The actor's own address: `self(this)`.
    template <class A>
    Self<A> self(const A* me) const noexcept {
        static_assert(std::is_base_of_v<Actor, A>, "write self(this)");
        const actor_internal::OwnAddress own = own_address();
        return Self<A>(actor_internal::RefAccess::make<A>(
            *own.cell, own.generation,
            static_cast<std::size_t>(reinterpret_cast<const std::byte*>(me) - own.object)));
    }
    template <class A = void>
    Self<A> self() const noexcept {
        static_assert(task_internal::kNever<A>,
                      "write self(this): the argument gives the Ref its type");
    }

    /// The system this actor lives in.
    System system() const noexcept;

    /// Memory of this actor's own, for its containers: arena.hpp. Without `options().arena(...)` it
    /// has no cap.
    Arena& memory() const;

    /// Spawns a child: it ends with its parent.
    template <class A, class... Arguments>
    Ref<A> spawn(Arguments&&... arguments);

    /// Spawns a child that is linked to its parent before it runs: `spawn_linked<Worker>(args...)`.
    /// When its constructor throws, that is its exit.
    template <class A, class... Arguments>
    Ref<A> spawn_linked(Arguments&&... arguments);

    /// Spawns a child that its parent watches before it runs: `auto [worker, watch] =
    /// spawn_monitored<Worker, &Boss::worker_down>(args...);`. When its constructor throws, the
    /// Down says why.
    template <class A, auto M, class... Arguments>
    Monitored<A> spawn_monitored(Arguments&&... arguments);

    /// Calls `M(Down, extra...)` of this actor when `target` has ended, or at once when it is no
    /// more: once per monitor, before all other messages that wait. M may be private.
    template <auto M, class B, class... Extra>
    Monitor monitor(const Ref<B>& target, Extra&&... extra);

    /// Links this actor and the other: when either ends, the other one ends too, at once and for
    /// the same reason, unless that is `normal` or it traps exits. There is one link between two
    /// actors, however often they ask. Who is linked to an actor that has ended hears `noproc`.
    template <class B>
    void link(const Ref<B>& other) {
        actor_internal::post_link(own_cell(), actor_internal::RefAccess::cell(other),
                                  actor_internal::RefAccess::generation(other));
    }
    /// Ends the link. After this no exit of the other is heard, not even one that had arrived and
    /// was not handled.
    template <class B>
    void unlink(const Ref<B>& other) {
        actor_internal::post_unlink(own_cell(), actor_internal::RefAccess::cell(other),
                                    actor_internal::RefAccess::generation(other));
    }
    /// From now on, when one ends to whom this actor is linked, it is not ended but hears of it,
    /// for whatever reason: `M(Exit)`, before all other messages that wait. M may be private. A
    /// kill of this actor itself cannot be trapped; a peer that was killed exits as `killed`.
    template <auto M>
    void trap_exits();

    /// Calls `M(args...)` of this actor after `delay`, once. M may be private, the arguments need
    /// not be copyable. What timers promise: actor_timer.hpp.
    /// Units: the system's clock, so the simulator moves it; never early.
    template <auto M, class... Arguments>
    Timer after(Duration delay, Arguments&&... arguments) {
        return set_timer<M, actor_internal::TimerKind::once>(delay, nullptr,
                                                             std::forward<Arguments>(arguments)...);
    }
    /// The same; it replaces the timer that was set under this key, whatever that was.
    template <auto M, class... Arguments>
    Timer after(const TimerKey& key, Duration delay, Arguments&&... arguments) {
        return set_timer<M, actor_internal::TimerKind::once>(delay, &key,
                                                             std::forward<Arguments>(arguments)...);
    }

    /// Calls `M(args...)` at a fixed rate: each time one period after the time before, however long
    /// the handler takes. Times that pass while the actor is busy are left out, not made up for.
    template <auto M, class... Arguments>
    Timer every(Duration period, Arguments&&... arguments) {
        return set_timer<M, actor_internal::TimerKind::fixed_rate>(
            period, nullptr, std::forward<Arguments>(arguments)...);
    }
    template <auto M, class... Arguments>
    Timer every(const TimerKey& key, Duration period, Arguments&&... arguments) {
        return set_timer<M, actor_internal::TimerKind::fixed_rate>(
            period, &key, std::forward<Arguments>(arguments)...);
    }

    /// Calls `M(args...)` with a fixed delay: each time so long after the handler has ended.
    template <auto M, class... Arguments>
    Timer after_each(Duration delay, Arguments&&... arguments) {
        return set_timer<M, actor_internal::TimerKind::fixed_delay>(
            delay, nullptr, std::forward<Arguments>(arguments)...);
    }
    template <auto M, class... Arguments>
    Timer after_each(const TimerKey& key, Duration delay, Arguments&&... arguments) {
        return set_timer<M, actor_internal::TimerKind::fixed_delay>(
            delay, &key, std::forward<Arguments>(arguments)...);
    }

    /// Calls `M(args...)` when no message of others has been handled for so long, and again each
    /// time that has passed once more. Ticks and news of ends do not count as messages.
    template <auto M, class... Arguments>
    Timer on_idle(Duration quiet, Arguments&&... arguments) {
        return set_timer<M, actor_internal::TimerKind::idle>(quiet, nullptr,
                                                             std::forward<Arguments>(arguments)...);
    }

    /// Cancels the timer that was set under this key, if there is one.
    void cancel_timer(const TimerKey& key) noexcept {
        actor_internal::cancel_timer(own_cell(), key);
    }

private:
    friend struct actor_internal::ActorAccess;

    template <auto M, actor_internal::TimerKind kKind, class... Arguments>
    Timer set_timer(Duration delay, const TimerKey* key, Arguments&&... arguments);

    Cell& own_cell() const noexcept;
    actor_internal::OwnAddress own_address() const noexcept;
    /// Where in it the subobject of a class of this actor's lies.
    template <class Class>
    std::ptrdiff_t offset_in_object() const noexcept {
        const auto* const me = static_cast<const Class*>(this);
        return reinterpret_cast<const std::byte*>(me) - own_address().object;
    }

    Cell* cell_ = nullptr;
};

template <class A, class... Arguments>
Ref<A> Actor::spawn(Arguments&&... arguments) {
    return actor_internal::spawn<A>(own_cell().engine(), &own_cell(),
                                    std::forward<Arguments>(arguments)...);
}

template <class A, class... Arguments>
Ref<A> Actor::spawn_linked(Arguments&&... arguments) {
    const Ref<A> child = actor_internal::spawn_tied<A>(own_cell(), actor_internal::kLinkTie,
                                                       std::forward<Arguments>(arguments)...);
    if (child == Ref<A>()) link(child);  // nobody is spawned any more: noproc
    return child;
}

namespace actor_internal {

template <auto M>
Down& down_in(MailNode* message) noexcept {
    return std::get<0>(static_cast<Call<M, false>*>(message)->kept);
}

}  // namespace actor_internal

template <class A, auto M, class... Arguments>
Monitored<A> Actor::spawn_monitored(Arguments&&... arguments) {
    using Class = typename actor_internal::Traits<M>::Class;
    if constexpr (actor_internal::check_call<M, Class, Down>()) {
        const actor_internal::MonitorTie tie(
            actor_internal::make_call<M, false>(offset_in_object<Class>(), Down()),
            &actor_internal::down_in<M>);
        const Ref<A> child =
            actor_internal::spawn_tied<A>(own_cell(), tie, std::forward<Arguments>(arguments)...);
        if (tie.number == 0) tie.watch(own_cell(), nullptr, 0);  // nobody is spawned: noproc
        return {child, Monitor(own_cell(), tie.number)};
    } else {
        return {};
    }
}

template <auto M, class B, class... Extra>
Monitor Actor::monitor(const Ref<B>& target, Extra&&... extra) {
    using Class = typename actor_internal::Traits<M>::Class;
    if constexpr (actor_internal::check_call<M, Class, Down, Extra...>()) {
        auto* const down = actor_internal::make_call<M, false>(offset_in_object<Class>(), Down(),
                                                               std::forward<Extra>(extra)...);
        const std::uint64_t number = actor_internal::post_monitor(
            own_cell(), actor_internal::RefAccess::cell(target),
            actor_internal::RefAccess::generation(target), down, &actor_internal::down_in<M>);
        return Monitor(own_cell(), number);
    } else {
        return Monitor();
    }
}

template <auto M>
void Actor::trap_exits() {
    using Class = typename actor_internal::Traits<M>::Class;
    if constexpr (actor_internal::check_call<M, Class, Exit>()) {
        actor_internal::trap_exits(own_cell(), offset_in_object<Class>(),
                                   [](std::ptrdiff_t offset, Exit exit) -> MailNode* {
                                       return actor_internal::make_call<M, false>(offset,
                                                                                  std::move(exit));
                                   });
    }
}

template <auto M, actor_internal::TimerKind kKind, class... Arguments>
Timer Actor::set_timer(Duration delay, const TimerKey* key, Arguments&&... arguments) {
    if constexpr (actor_internal::check_timer<M, kKind, Arguments...>()) {
        using Class = typename actor_internal::Traits<M>::Class;
        actor_internal::TimerSetting setting;
        setting.kind = kKind;
        setting.delay = delay;
        setting.call = actor_internal::make_call<M, false>(offset_in_object<Class>(),
                                                           std::forward<Arguments>(arguments)...);
        if constexpr (kKind != actor_internal::TimerKind::once) {
            setting.copy = &actor_internal::copy_call<M>;
        }
        return Timer(own_cell(), actor_internal::set_timer(own_cell(), setting, key));
    } else {
        return Timer();
    }
}

namespace actor_internal {

template <class Class>
std::ptrdiff_t ActorAccess::offset_in_object(const Actor& actor) noexcept {
    return actor.offset_in_object<Class>();
}

}  // namespace actor_internal

}  // namespace troupe
