#pragma once

/// Building an actor in its cell.

#include <troupe/actor/name.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/scheduling.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/hash.hpp>
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

/// What may be said about a new actor.
struct SpawnSettings {
    MailboxOptions mailbox = bounded(kMailboxDefault);
    Placement placement;
    Priority priority = Priority::normal;
    Scheduling scheduling;
    std::string name;
    std::uint64_t name_hash = 0;
    bool has_name = false;  // an empty one is refused
    bool reentrant_calls = false;
    AskEnvelope<void>* start_outcome = nullptr;  // for `start`: who hears how on_start went
    std::size_t arena_bytes_max = 0;             // 0: it has not asked for one
    const SpawnTie* tie = nullptr;  // for `spawn_linked` and `spawn_monitored`; outlives the spawn
};

}  // namespace actor_internal

/// What may be said about a new actor, as the first argument of spawn and start:
/// `system.spawn<Shop>(options().mailbox(bounded(100).drop_oldest()), "corner")`.
///
/// NamedAs is the type of the name the actor is given, or void: so that a name of another type is
/// refused when the program is compiled.
template <class NamedAs = void>
class OptionsFor {
public:
    OptionsFor() = default;

    OptionsFor& mailbox(MailboxOptions mailbox) & {
        settings_.mailbox = std::move(mailbox);
        return *this;
    }
    OptionsFor mailbox(MailboxOptions mailbox) && {
        settings_.mailbox = std::move(mailbox);
        return std::move(*this);
    }

    /// A call that comes back to the actor, because somebody it has asked asks it in turn, is
    /// handled while it waits, between two statements of its handler. Without this it is refused as
    /// a call_cycle.
    OptionsFor& reentrant_calls() & {
        settings_.reentrant_calls = true;
        return *this;
    }
    OptionsFor reentrant_calls() && {
        settings_.reentrant_calls = true;
        return std::move(*this);
    }

    /// Runs it on one worker, as long as that one keeps up: actors of one shard share a worker.
    OptionsFor affinity(std::uint32_t shard) && {
        return std::move(*this).placed({Placement::Kind::near, shard});
    }
    /// Runs it on one worker and no other, always on the same thread; while that one is stuck it
    /// waits. Its constructor still runs where it is spawned, on_start where it lives.
    OptionsFor pinned(std::uint32_t shard = Placement::kAnyShard) && {
        return std::move(*this).placed({Placement::Kind::pinned, shard});
    }
    /// Runs it on a thread of its own, which it may block. When there are as many as the engine
    /// allows, nothing is spawned: the Ref is nobody's, and `start` says so.
    OptionsFor own_thread() && { return std::move(*this).placed({Placement::Kind::own_thread}); }
    /// Which of those that could run on a worker goes first: placement.hpp. Of those that may run
    /// anywhere.
    OptionsFor priority(Priority priority) && noexcept {
        settings_.priority = priority;
        return std::move(*this);
    }
    /// How many messages it handles before the others have their turn, 64 where nothing is said,
    /// and for how long at most. One message at least.
    OptionsFor slice(unsigned messages,
                     Duration time = std::chrono::microseconds(200)) && noexcept {
        settings_.scheduling.slice_messages = messages != 0 ? messages : 1;
        settings_.scheduling.slice_time = time;
        return std::move(*this);
    }

    /// How long a handler may take, from its first statement to its last, and what happens when it
    /// takes longer. Looked at when it waits for something, and when it has ended: what computes
    /// cannot be interrupted, only reported.
    OptionsFor handler_timeout(Duration longest, OnTimeout action = OnTimeout::warn) && noexcept {
        settings_.scheduling.handlers = {nullptr, longest, action};
        return std::move(*this);
    }
    /// The same for one method, instead of what holds for all.
    template <auto M>
    OptionsFor handler_timeout(Duration longest, OnTimeout action = OnTimeout::warn) && {
        settings_.scheduling.methods.push_back({&actor_internal::kMethodId<M>, longest, action});
        return std::move(*this);
    }
    /// The same for on_start. Cancelled or stopped, the start has failed.
    OptionsFor start_timeout(Duration longest, OnTimeout action = OnTimeout::stop) && noexcept {
        settings_.scheduling.on_start = {nullptr, longest, action};
        return std::move(*this);
    }
    /// The same for on_stop.
    OptionsFor stop_timeout(Duration longest, OnTimeout action = OnTimeout::stop) && noexcept {
        settings_.scheduling.on_stop = {nullptr, longest, action};
        return std::move(*this);
    }

    /// While a handler waits, the next messages are handled: so many handlers are at work at the
    /// same time at most, one of them running. After every co_await the actor may have changed.
    OptionsFor interleaving(std::size_t handlers_max = kHandlersDefault) && noexcept {
        settings_.scheduling.handlers_max = handlers_max != 0 ? handlers_max : 1;
        settings_.scheduling.concurrent.clear();
        return std::move(*this);
    }
    /// While calls of these const methods wait, others of them are handled. Any other message waits
    /// until all of them have ended, and they wait for it: none overtakes another.
    template <auto... M>
    OptionsFor concurrent(std::size_t handlers_max = kHandlersDefault) && {
        static_assert((actor_internal::kIsConst<M> && ...),
                      "options().concurrent<&A::m>(): m is not const. Handlers that overlap only "
                      "read the actor; for others there is interleaving()");
        settings_.scheduling.handlers_max = handlers_max != 0 ? handlers_max : 1;
        settings_.scheduling.concurrent = {&actor_internal::kMethodId<M>...};
        return std::move(*this);
    }

    /// Gives the actor memory of its own, at most so much: arena.hpp.
    OptionsFor& arena(std::size_t bytes_max) & noexcept {
        settings_.arena_bytes_max = bytes_max;
        return *this;
    }
    OptionsFor arena(std::size_t bytes_max) && noexcept {
        settings_.arena_bytes_max = bytes_max;
        return std::move(*this);
    }

    /// Registers the actor, from before its constructor runs until it has ended for good. When
    /// another actor has the name, nothing is spawned: the Ref is nobody's, and `start` answers
    /// already_registered.
    template <class A>
    OptionsFor<A> name(Name<A> name) const {
        return OptionsFor<A>(settings_, std::string(name.text()), name.hash());
    }
    /// The same with a text that is known at run time only; its type is the actor's class.
    OptionsFor<> name(std::string text) const {
        const std::uint64_t hash = fnv1a_64(text);
        return OptionsFor<>(settings_, std::move(text), hash);
    }

    // For spawn and start.
    const actor_internal::SpawnSettings& settings() const noexcept { return settings_; }
    actor_internal::SpawnSettings& settings() noexcept { return settings_; }

private:
    template <class>
    friend class OptionsFor;
    OptionsFor(actor_internal::SpawnSettings settings, std::string name, std::uint64_t hash)
        : settings_(std::move(settings)) {
        settings_.name = std::move(name);
        settings_.name_hash = hash;
        settings_.has_name = true;
    }

    OptionsFor placed(const Placement& placement) && {
        settings_.placement = placement;
        return std::move(*this);
    }

    actor_internal::SpawnSettings settings_;
};
using SpawnOptions = OptionsFor<>;

inline SpawnOptions options() {
    return {};
}

/// `system.start<Database>(named(kDatabase), "db://x")`: options() with a name.
template <class A>
OptionsFor<A> named(Name<A> name) {
    return options().name(name);
}
inline SpawnOptions named(std::string text) {
    return options().name(std::move(text));
}

namespace actor_internal {

/// What is the same for all actors of one class.
struct ActorType : CellType {
    std::size_t bytes = 0;
    bool inline_state = false;
    void (*destroy)(void* object) noexcept = nullptr;
    Actor* (*as_actor)(void* object) noexcept = nullptr;     // null for a class without the base
    std::ptrdiff_t (*offset_of_actor)() noexcept = nullptr;  // of the base; null as well
    // Whether it has these hooks of its own.
    bool hears_of_slow_handlers = false;
    bool hears_of_starvation = false;
};

/// The turn of an actor: internal/turn.cpp.
TurnEnd run_actor(Cell& cell);
DeadlineSlot& actor_deadline(Cell& cell);

/// Whether an actor lives in the cell, rather than a task. A simulator's stand-ins are actors with
/// a turn of their own.
inline bool is_actor(const Cell& cell) noexcept {
    const CellType* const type = cell.type();
    return type != nullptr && type->deadline_slot == &actor_deadline;
}

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
    if constexpr (!kInlineState<A>) free_block_of<sizeof(A)>(object);
}

struct ActorAccess {
    template <class A>
    static Actor* base(void* object) noexcept {
        return static_cast<typename A::TroupeActor*>(static_cast<A*>(object));
    }
    static Cell* cell(const Actor& actor) noexcept;  // null for a plain object
    template <class Class>
    static std::ptrdiff_t offset_in_object(const Actor& actor) noexcept;
    static Task<Result<void>> on_start(Actor& actor);
    static Task<void> on_stop(Actor& actor, const ExitReason& reason);
    static void on_slow_handler(Actor& actor, const SlowHandler& slow);
    static MailNode* slow_handler_message(std::ptrdiff_t offset, SlowHandler slow);
    static MailNode* starvation_message(std::ptrdiff_t offset, StarvationReport report);
    // A hook that a class has of its own is another member, or one that we may not see.
    template <class A>
    static consteval bool hears_of_slow_handlers() {
        if constexpr (!requires { &A::on_slow_handler; }) {
            return true;
        } else {
            return !std::is_same_v<decltype(&A::on_slow_handler),
                                   void (A::TroupeActor::*)(const SlowHandler&)>;
        }
    }
    template <class A>
    static consteval bool hears_of_starvation() {
        if constexpr (!requires { &A::on_starvation; }) {
            return true;
        } else {
            return !std::is_same_v<decltype(&A::on_starvation),
                                   void (A::TroupeActor::*)(const StarvationReport&)>;
        }
    }
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
consteval ActorType actor_type() {
    ActorType type{{&run_actor, kClassName<A>, &actor_deadline},
                   sizeof(A),
                   kInlineState<A>,
                   &destroy_object<A>,
                   base_of<A>()};
    if constexpr (kHasBase<A>) {
        type.offset_of_actor = &offset_of_base<A, typename A::TroupeActor>;
        type.hears_of_slow_handlers = ActorAccess::hears_of_slow_handlers<A>();
        type.hears_of_starvation = ActorAccess::hears_of_starvation<A>();
    }
    return type;
}
template <class A>
inline constexpr ActorType kActorType = actor_type<A>();

/// As what others see an actor that has a name.
struct SeenAs {
    const std::string_view* type = nullptr;  // the address is the type's identity
    std::uint16_t offset = 0;
};

template <class A, class NamedAs>
SeenAs seen_as() noexcept {
    if constexpr (std::is_void_v<NamedAs>) {
        return {&kClassName<A>, 0};
    } else {
        return {&kClassName<NamedAs>, static_cast<std::uint16_t>(offset_of_base<A, NamedAs>())};
    }
}

/// Takes a cell for a new actor, open and with its name. Null when the system is stopping or the
/// name is taken. `settings` is null for an actor that asks for nothing special, as nearly all do.
Cell* begin_spawn(Engine& engine, Cell* parent, const ActorType& type,
                  const SpawnSettings* settings, SeenAs seen_as);
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

template <class A, class NamedAs>
consteval bool check_name() {
    constexpr bool kFits = std::is_void_v<NamedAs> || std::is_same_v<NamedAs, A> ||
                           std::is_convertible_v<A*, NamedAs*>;
    static_assert(kFits, "the name is of another type than the actor spawned under it");
    return kFits;
}

template <class A, class NamedAs, class... Arguments>
Ref<A> spawn_with(Engine& engine, Cell* parent, const SpawnSettings* settings,
                  Arguments&&... arguments) {
    if constexpr (!check_name<A, NamedAs>()) {
        return {};
    } else if constexpr (check_spawn<A, Arguments...>()) {
        Cell* const cell =
            begin_spawn(engine, parent, kActorType<A>, settings, seen_as<A, NamedAs>());
        if (cell == nullptr) return {};
        const std::uint32_t generation = cell->generation();
        void* object = cell->inline_state();
        if constexpr (!kInlineState<A>) {
            static_assert(alignof(A) <= kBlockAlignment,
                          "an actor's alignment is 64 bytes at most: keep such members behind a "
                          "unique_ptr");
            object = allocate_block_of<sizeof(A)>();
            *static_cast<void**>(cell->inline_state()) = object;
        }
        // A constructor may throw: then the Ref is that of an actor that has ended.
        try {
            BuildingScope building(*cell, object, sizeof(A));
            ::new (object) A(std::forward<Arguments>(arguments)...);
        } catch (...) {
            if constexpr (!kInlineState<A>) free_block_of<sizeof(A)>(object);
            fail_spawn(*cell);
            return RefAccess::make<A>(*cell, generation, 0);
        }
        finish_spawn(*cell, kHasBase<A>);
        return RefAccess::make<A>(*cell, generation, 0);
    } else {
        return {};
    }
}

template <class A, class NamedAs, class... Arguments>
Ref<A> spawn_given(Engine& engine, Cell* parent, const OptionsFor<NamedAs>& options,
                   Arguments&&... arguments) {
    return spawn_with<A, NamedAs>(engine, parent, &options.settings(),
                                  std::forward<Arguments>(arguments)...);
}

template <class T>
inline constexpr bool kIsOptions = false;
template <class NamedAs>
inline constexpr bool kIsOptions<OptionsFor<NamedAs>> = true;

template <class... Arguments>
inline constexpr bool kOptionsFirst = false;
template <class First, class... Rest>
inline constexpr bool kOptionsFirst<First, Rest...> = kIsOptions<std::remove_cvref_t<First>>;

/// A child that is bound to its parent by `tie` before it runs.
template <class A, class NamedAs, class... Arguments>
Ref<A> spawn_tied(Cell& parent, const SpawnTie& tie, OptionsFor<NamedAs> options,
                  Arguments&&... arguments) {
    options.settings().tie = &tie;
    return spawn_given<A>(parent.engine(), &parent, options, std::forward<Arguments>(arguments)...);
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
        return spawn_with<A, void>(engine, parent, nullptr, std::forward<Arguments>(arguments)...);
    }
}

}  // namespace actor_internal
}  // namespace troupe
