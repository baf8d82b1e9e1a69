#pragma once

/// Building an actor in its cell.

#include <troupe/actor/ref.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/type_name.hpp>
#include <troupe/scheduler/cell.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

namespace troupe {

class Actor;

namespace actor_internal {

/// Binds a new actor to the one that spawns it, before either can do anything else.
struct SpawnTie {
    void (*bind)(const SpawnTie& self, Cell& spawner, Cell& spawned) = nullptr;
};

}  // namespace actor_internal

/// What may be said about a new actor, as the first argument of spawn and start:
/// `system.spawn<Shop>(options().mailbox(bounded(100).drop_oldest()), "corner")`.
class SpawnOptions {
public:
    SpawnOptions& mailbox(MailboxOptions mailbox) & {
        mailbox_ = std::move(mailbox);
        return *this;
    }
    SpawnOptions mailbox(MailboxOptions mailbox) && {
        mailbox_ = std::move(mailbox);
        return std::move(*this);
    }
    const MailboxOptions& mailbox() const noexcept { return mailbox_; }

    // For `start`: who hears how on_start went.
    SpawnOptions report_start_to(actor_internal::AskEnvelope<void>* outcome) && noexcept {
        start_outcome_ = outcome;
        return std::move(*this);
    }
    actor_internal::AskEnvelope<void>* start_outcome() const noexcept { return start_outcome_; }

    // For `spawn_linked` and `spawn_monitored`. Outlives the spawning.
    SpawnOptions tied_by(const actor_internal::SpawnTie* tie) && noexcept {
        tie_ = tie;
        return std::move(*this);
    }
    const actor_internal::SpawnTie* tie() const noexcept { return tie_; }

private:
    MailboxOptions mailbox_ = bounded(kMailboxDefault);
    actor_internal::AskEnvelope<void>* start_outcome_ = nullptr;
    const actor_internal::SpawnTie* tie_ = nullptr;
};

inline SpawnOptions options() {
    return {};
}

namespace actor_internal {

/// What is the same for all actors of one class.
struct ActorType : CellType {
    std::size_t bytes = 0;
    bool inline_state = false;
    void (*destroy)(void* object) noexcept = nullptr;
    Actor* (*as_actor)(void* object) noexcept = nullptr;  // null for a class without the base
};

/// The turn of an actor: internal/turn.cpp.
TurnEnd run_actor(Cell& cell);
DeadlineSlot& actor_deadline(Cell& cell);

inline void* object_of(Cell& cell, const ActorType& type) noexcept {
    return type.inline_state ? cell.inline_state() : *static_cast<void**>(cell.inline_state());
}

template <class A>
inline constexpr bool kHasBase = requires { typename A::TroupeActor; };

template <class A>
inline constexpr bool kInlineState =
    sizeof(A) <= Cell::kInlineStateBytes && alignof(A) <= alignof(void*);

template <class A>
void destroy_object(void* object) noexcept {
    static_cast<A*>(object)->~A();
    if constexpr (!kInlineState<A>) free_block(object, sizeof(A));
}

struct ActorAccess {
    template <class A>
    static Actor* base(void* object) noexcept {
        return static_cast<typename A::TroupeActor*>(static_cast<A*>(object));
    }
    static Cell* cell(const Actor& actor) noexcept;
    static Task<Result<void>> on_start(Actor& actor);
    static Task<void> on_stop(Actor& actor, const ExitReason& reason);
};

template <class A>
consteval auto base_of() {
    Actor* (*function)(void*) noexcept = nullptr;
    if constexpr (kHasBase<A>) function = &ActorAccess::base<A>;
    return function;
}

template <class A>
inline constexpr auto kClassName = type_name<A>();

template <class A>
inline constexpr ActorType kActorType{{&run_actor, kClassName<A>, &actor_deadline},
                                      sizeof(A),
                                      kInlineState<A>,
                                      &destroy_object<A>,
                                      base_of<A>()};

/// Takes a cell for a new actor. Null when the system is stopping. `options` is null for an actor
/// that asks for nothing special, as nearly all do.
Cell* begin_spawn(Engine& engine, Cell* parent, const ActorType& type, const SpawnOptions* options);
/// The actor is built: it may run. `scheduled`: its first turn comes without any mail.
void finish_spawn(Cell& cell, bool scheduled) noexcept;
/// Its constructor threw what is the current exception.
void fail_spawn(Cell& cell) noexcept;

/// Tells the Actor base, while the object is built, which cell it belongs to.
class BuildingScope {
public:
    BuildingScope(Cell& cell, void* begin, std::size_t bytes) noexcept;
    ~BuildingScope();
    BuildingScope(const BuildingScope&) = delete;
    BuildingScope& operator=(const BuildingScope&) = delete;

    Cell& cell;
    const std::byte* begin;
    const std::byte* end;
    BuildingScope* outer;
};

template <class A, class... Arguments>
consteval bool check_spawn() {
    static_assert(!std::is_abstract_v<A>,
                  "an abstract class cannot be spawned: spawn a class that implements it, the Ref "
                  "converts");
    if constexpr (!std::is_abstract_v<A>) {
        constexpr bool kInstance =
            sizeof...(Arguments) == 1 && (std::is_same_v<std::remove_cvref_t<Arguments>, A> || ...);
        static_assert(!kInstance,
                      "an actor is built in its place and never copied: spawn<A>(constructor "
                      "arguments...)");
        if constexpr (kHasBase<A>) {
            static_assert(std::is_convertible_v<A*, typename A::TroupeActor*>,
                          "derive from troupe::Actor publicly, and once");
        }
        static_assert(kInstance || std::is_constructible_v<A, Arguments...>,
                      "spawn<A>(args...): no constructor of A takes these arguments (options come "
                      "first, and an actor's constructor is public)");
        return !kInstance && std::is_constructible_v<A, Arguments...>;
    }
    return false;
}

template <class A, class... Arguments>
Ref<A> spawn_with(Engine& engine, Cell* parent, const SpawnOptions* options,
                  Arguments&&... arguments) {
    if constexpr (check_spawn<A, Arguments...>()) {
        Cell* const cell = begin_spawn(engine, parent, kActorType<A>, options);
        if (cell == nullptr) return {};
        const std::uint32_t generation = cell->generation();
        void* object = cell->inline_state();
        if constexpr (!kInlineState<A>) {
            static_assert(alignof(A) <= kBlockAlignment,
                          "an actor's alignment is 64 bytes at most: keep such members behind a "
                          "unique_ptr");
            object = allocate_block(sizeof(A));
            *static_cast<void**>(cell->inline_state()) = object;
        }
        // A constructor may throw: then the Ref is that of an actor that has ended.
        try {
            BuildingScope building(*cell, object, sizeof(A));
            ::new (object) A(std::forward<Arguments>(arguments)...);
        } catch (...) {
            if constexpr (!kInlineState<A>) free_block(object, sizeof(A));
            fail_spawn(*cell);
            return RefAccess::make<A>(*cell, generation, 0);
        }
        finish_spawn(*cell, kHasBase<A>);
        return RefAccess::make<A>(*cell, generation, 0);
    } else {
        return {};
    }
}

template <class A, class... Arguments>
Ref<A> spawn_given(Engine& engine, Cell* parent, const SpawnOptions& options,
                   Arguments&&... arguments) {
    return spawn_with<A>(engine, parent, &options, std::forward<Arguments>(arguments)...);
}

template <class... Arguments>
inline constexpr bool kOptionsFirst = false;
template <class First, class... Rest>
inline constexpr bool kOptionsFirst<First, Rest...> =
    std::is_same_v<std::remove_cvref_t<First>, SpawnOptions>;

/// A child that is bound to its parent by `tie` before it runs.
template <class A, class... Arguments>
Ref<A> spawn_tied(Cell& parent, const SpawnTie& tie, SpawnOptions options,
                  Arguments&&... arguments) {
    const SpawnOptions tied = std::move(options).tied_by(&tie);
    return spawn_with<A>(parent.engine(), &parent, &tied, std::forward<Arguments>(arguments)...);
}
template <class A, class... Arguments>
    requires(!kOptionsFirst<Arguments...>)
Ref<A> spawn_tied(Cell& parent, const SpawnTie& tie, Arguments&&... arguments) {
    return spawn_tied<A>(parent, tie, SpawnOptions(), std::forward<Arguments>(arguments)...);
}

template <class A, class... Arguments>
Ref<A> spawn(Engine& engine, Cell* parent, Arguments&&... arguments) {
    if constexpr (kOptionsFirst<Arguments...>) {
        return spawn_given<A>(engine, parent, std::forward<Arguments>(arguments)...);
    } else {
        return spawn_with<A>(engine, parent, nullptr, std::forward<Arguments>(arguments)...);
    }
}

}  // namespace actor_internal
}  // namespace troupe
