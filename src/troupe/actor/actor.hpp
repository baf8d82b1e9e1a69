#pragma once

/// The base class of actors: the verbs an actor uses on itself. This one header is enough for a
/// program: it brings System, Ref and run() along.
///
/// A class without this base is an actor too; it only cannot name itself, have hooks or children.

#include <troupe/actor/exit.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/run.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>

#include <type_traits>
#include <utility>

namespace troupe {

class System;

namespace actor_internal {

struct ActorAccess;

/// Watches `target` for `watcher`: `down` is delivered when it ends, or at once when it has. Gives
/// the monitor's number.
std::uint64_t post_monitor(Cell& watcher, Cell* target, std::uint32_t generation, MailNode* down,
                           void (*set_down)(MailNode* message, Down down));
void cancel_monitor(Cell& watcher, std::uint32_t watcher_generation, std::uint64_t number) noexcept;

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

    /// The actor's own address: `self(this)`.
    template <class A>
    Self<A> self(const A* me) const noexcept {
        static_assert(std::is_base_of_v<Actor, A>, "write self(this)");
        return Self<A>(actor_internal::RefAccess::make<A>(
            own_cell(), own_generation(),
            static_cast<std::size_t>(reinterpret_cast<const std::byte*>(me) - object())));
    }
    template <class A = void>
    Self<A> self() const noexcept {
        static_assert(task_internal::kNever<A>,
                      "write self(this): the argument gives the Ref its type");
    }

    /// The system this actor lives in.
    System system() const noexcept;

    /// Spawns a child: it ends with its parent.
    template <class A, class... Arguments>
    Ref<A> spawn(Arguments&&... arguments);

    /// Calls `M(Down, extra...)` of this actor when `target` has ended, or at once when it is no
    /// more: once per monitor, before all other messages that wait. M may be private.
    template <auto M, class B, class... Extra>
    Monitor monitor(const Ref<B>& target, Extra&&... extra);

private:
    friend struct actor_internal::ActorAccess;

    Cell& own_cell() const noexcept;
    std::uint32_t own_generation() const noexcept;
    const std::byte* object() const noexcept;  // the beginning of the complete object

    Cell* cell_ = nullptr;
};

template <class A, class... Arguments>
Ref<A> Actor::spawn(Arguments&&... arguments) {
    return actor_internal::spawn<A>(own_cell().engine(), &own_cell(),
                                    std::forward<Arguments>(arguments)...);
}

template <auto M, class B, class... Extra>
Monitor Actor::monitor(const Ref<B>& target, Extra&&... extra) {
    using Class = typename actor_internal::Traits<M>::Class;
    if constexpr (actor_internal::check_call<M, Class, Down, Extra...>()) {
        using Message = actor_internal::Call<M, false>;
        const auto* const me = static_cast<const Class*>(this);
        auto* const down =
            actor_internal::make_call<M, false>(reinterpret_cast<const std::byte*>(me) - object(),
                                                Down(), std::forward<Extra>(extra)...);
        const std::uint64_t number = actor_internal::post_monitor(
            own_cell(), actor_internal::RefAccess::cell(target),
            actor_internal::RefAccess::generation(target), down, [](MailNode* message, Down what) {
                std::get<0>(static_cast<Message*>(message)->kept) = std::move(what);
            });
        return Monitor(own_cell(), number);
    } else {
        return Monitor();
    }
}

}  // namespace troupe
