#pragma once

/// Supervisors as values, readable from top to bottom:
///
///     auto tree = supervisor("app");
///     tree.one_for_one().intensity(3, 5s);
///     auto rates = tree.child<Rates>("rates", permanent().backoff(100ms, 30s), 10);
///     auto shop = tree.child<Shop>("shop", "corner", rates);  // rates arrives as a Ref<Rates>
///     auto running = co_await or_return(co_await system.start(std::move(tree)));
///     co_await running.ref(shop).ask<&Shop::price>(1);
///
/// A supervisor is an actor that starts its children from the first to the last, stops them from
/// the last to the first, and starts those again that fail. The address of a child is taken before
/// the first of the tree starts and stays good over its restarts; its mail waits meanwhile.
///
/// Source:  docs/design/0017-supervisors.md; where it differs from OTP: 0018-deviations-from-otp.md

#include <troupe/actor/actor.hpp>
#include <troupe/actor/child_policy.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

template <class A>
class Children;

enum class SupervisorErrc : std::uint8_t {
    max_children = 1,  ///< the group has as many children as it may have
};

/// Which children are started again with one that has failed.
enum class Strategy : std::uint8_t {
    one_for_one,   ///< that one only
    one_for_all,   ///< all: they are stopped, then all are started
    rest_for_one,  ///< it and those that were started after it
};

/// When a supervisor ends because its significant children have done what they had to do.
enum class AutoShutdown : std::uint8_t {
    never,
    any_significant,  ///< when the first of them has ended
    all_significant,  ///< when the last of them has ended
};

namespace actor_internal {

struct SupervisorPlan;
class Tree;

struct TokenAccess;

/// Where an actor lives, or nobody.
struct Address {
    Cell* cell = nullptr;
    std::uint32_t generation = 0;
};

struct GroupShards;

/// Starts a tree whose supervisor is a child of `parent`, in that one's turn: it ends with it.
Task<Result<SupervisorRef>> start_tree(Engine& engine, Cell* parent, Supervisor tree);

/// The supervisor of a dynamic group, and those of its shards if it has some.
struct GroupAddress {
    Address at;
    std::shared_ptr<GroupShards> shards;  // shared by all copies: they take turns
};

}  // namespace actor_internal

/// A child of a tree that has not been started: as an argument of another child it arrives as a
/// `Ref<A>`, and `SupervisorRef::ref` gives the same.
template <class A>
class Child {
public:
    using Arrives = Ref<A>;

private:
    friend struct actor_internal::TokenAccess;
    explicit Child(std::uint64_t number) noexcept : number_(number) {}
    std::uint64_t number_;
};

/// The same of a dynamic group: it arrives as `Children<A>`.
template <class A>
class Child<Children<A>> {
public:
    using Arrives = Children<A>;

private:
    friend struct actor_internal::TokenAccess;
    explicit Child(std::uint64_t number) noexcept : number_(number) {}
    std::uint64_t number_;
};

namespace actor_internal {

template <class T>
inline constexpr bool kIsToken = false;
template <class A>
inline constexpr bool kIsToken<Child<A>> = true;

struct TokenAccess {
    template <class Token>
    static Token make(std::uint64_t number) noexcept {
        return Token(number);
    }
    template <class Token>
    static std::uint64_t number(const Token& token) noexcept {
        return token.number_;
    }
};

/// Builds an actor, as often as is needed.
class Blueprint {
public:
    Blueprint() = default;
    Blueprint(const Blueprint&) = delete;
    Blueprint& operator=(const Blueprint&) = delete;
    virtual ~Blueprint() = default;
    /// Builds it at `object`, from copies of its arguments. Throws what they throw, and it.
    virtual void build(void* object) const = 0;
    /// The children of its tree that it is given, by number.
    virtual std::vector<std::uint64_t> tokens() const { return {}; }
    Tree* tree = nullptr;  // which it is part of, once that is started
};

/// Where the child of this number lives at present. Any thread.
Address address_in(const Tree& tree, std::uint64_t number);
GroupAddress group_in(const Tree& tree, std::uint64_t number);

template <class A>
Ref<A> ref_to(const Address& address) noexcept {
    if (address.cell == nullptr) return {};
    return RefAccess::make<A>(*address.cell, address.generation, 0);
}

template <class A>
Ref<A> arrive(const Tree& tree, const Child<A>& token) {
    return ref_to<A>(address_in(tree, TokenAccess::number(token)));
}
template <class A>
Children<A> arrive(const Tree& tree, const Child<Children<A>>& token);
template <class T>
    requires(!kIsToken<T>)
T arrive(const Tree&, const T& argument) {
    return argument;
}

template <class T>
struct ArrivalOf {
    using type = T;
};
template <class T>
    requires(kIsToken<T>)
struct ArrivalOf<T> {
    using type = typename T::Arrives;
};

template <class A, class... Kept>
class BlueprintOf final : public Blueprint {
public:
    template <class... Arguments>
    explicit BlueprintOf(Arguments&&... arguments)
        : arguments_(std::forward<Arguments>(arguments)...) {}

    void build(void* object) const override {
        std::apply([&](const Kept&... kept) { ::new (object) A(given(kept)...); }, arguments_);
    }
    std::vector<std::uint64_t> tokens() const override {
        std::vector<std::uint64_t> found;
        std::apply([&](const Kept&... kept) { (note(found, kept), ...); }, arguments_);
        return found;
    }

private:
    template <class T>
    auto given(const T& kept) const {
        if constexpr (kIsToken<T>) {
            return arrive(*tree, kept);
        } else {
            return T(kept);
        }
    }
    template <class T>
    static void note(std::vector<std::uint64_t>& found, const T& kept) {
        if constexpr (kIsToken<T>) found.push_back(TokenAccess::number(kept));
    }

    std::tuple<Kept...> arguments_;
};

template <class A, class... Kept>
consteval bool check_child() {
    static_assert(!std::is_abstract_v<A>,
                  "an abstract class cannot be a child: name a class that implements it, the Ref "
                  "converts");
    constexpr bool kCopyable = (std::is_copy_constructible_v<Kept> && ...);
    static_assert(kCopyable,
                  "a supervised child's arguments are copied at each restart; pass something "
                  "copyable or make it in the constructor");
    if constexpr (kHasBase<A>) {
        static_assert(std::is_convertible_v<A*, typename A::TroupeActor*>,
                      "derive from troupe::Actor publicly, and once");
    }
    if constexpr (kCopyable && !std::is_abstract_v<A>) {
        constexpr bool kFits = std::is_constructible_v<A, typename ArrivalOf<Kept>::type...>;
        static_assert(kFits,
                      "child<A>(name, args...): no constructor of A takes these arguments (a "
                      "Child<B> arrives as Ref<B>)");
        return kFits;
    } else {
        return false;
    }
}

template <class... Arguments>
inline constexpr bool kPolicyFirst = false;
template <class First, class... Rest>
inline constexpr bool kPolicyFirst<First, Rest...> =
    std::is_same_v<std::remove_cvref_t<First>, ChildPolicy>;

template <class Argument>
using KeptArgument = KeptAs<std::decay_t<Argument>>;

/// All that is needed to start a child, again and again.
struct NewChild {
    SpawnSettings spawn;
    SeenAs seen_as;
    const ActorType* type = nullptr;
    // Shared by whoever keeps the plan and by the address, which may outlive its supervisor.
    std::shared_ptr<Blueprint> blueprint;
};

template <class A, class NamedAs, class... Arguments>
NewChild make_new_child(OptionsFor<NamedAs> options, Arguments&&... arguments) {
    NewChild child;
    if constexpr (check_name<A, NamedAs>() && check_child<A, KeptArgument<Arguments>...>()) {
        child.spawn = std::move(options.settings());
        child.seen_as = actor_internal::seen_as<A, NamedAs>();
        child.type = &kActorType<A>;
        child.blueprint = std::make_shared<BlueprintOf<A, KeptArgument<Arguments>...>>(
            std::forward<Arguments>(arguments)...);
    }
    return child;
}

}  // namespace actor_internal

/// A tree, or a part of one, that has not been started: a value that knows no system.
class Supervisor {
public:
    explicit Supervisor(std::string name);
    Supervisor(Supervisor&&) noexcept;
    Supervisor& operator=(Supervisor&&) noexcept;
    ~Supervisor();

    Supervisor& one_for_one() { return strategy(Strategy::one_for_one); }
    Supervisor& one_for_all() { return strategy(Strategy::one_for_all); }
    Supervisor& rest_for_one() { return strategy(Strategy::rest_for_one); }
    Supervisor& strategy(Strategy strategy);

    /// More restarts than that within the window end the supervisor, and all below it: three in
    /// 5 s, unless this says otherwise.
    Supervisor& intensity(std::size_t restarts, Duration window);
    Supervisor& auto_shutdown(AutoShutdown when);
    /// It is ready when so many of its children are healthy: all, unless this says otherwise.
    Supervisor& min_healthy(std::size_t count);

    /// A child: `child<A>("name", [policy,] [options(),] arguments of A's constructor...)`.
    /// Permanent, unless the policy says otherwise. Arguments are kept and copied at each start.
    template <class A, class... Arguments>
    Child<A> child(std::string name, Arguments&&... arguments) {
        return add<A>(std::move(name), permanent(), std::forward<Arguments>(arguments)...);
    }

    /// A supervisor as a child. Tokens are good across levels.
    void child(Supervisor nested, ChildPolicy policy = permanent());

    /// A group of children that come and go, one for one: `Children<A>::start` starts them. The
    /// policy is that of each; if the group itself ends, it is started again, empty.
    template <class A>
    Child<Children<A>> dynamic(std::string name, ChildPolicy policy = permanent()) {
        return actor_internal::TokenAccess::make<Child<Children<A>>>(
            add_group(std::move(name), policy));
    }

private:
    friend Task<Result<SupervisorRef>> actor_internal::start_tree(Engine& engine, Cell* parent,
                                                                  Supervisor tree);

    template <class A, class... Arguments>
    Child<A> add(std::string name, const ChildPolicy& policy, Arguments&&... arguments) {
        if constexpr (actor_internal::kPolicyFirst<Arguments...>) {
            return add_with_policy<A>(std::move(name), std::forward<Arguments>(arguments)...);
        } else {
            return add_with<A>(std::move(name), policy, std::forward<Arguments>(arguments)...);
        }
    }
    template <class A, class... Arguments>
    Child<A> add_with_policy(std::string name, const ChildPolicy& policy,
                             Arguments&&... arguments) {
        return add_with<A>(std::move(name), policy, std::forward<Arguments>(arguments)...);
    }
    template <class A, class... Arguments>
    Child<A> add_with(std::string name, const ChildPolicy& policy, Arguments&&... arguments) {
        if constexpr (actor_internal::kOptionsFirst<Arguments...>) {
            return add_given<A>(std::move(name), policy, std::forward<Arguments>(arguments)...);
        } else {
            return add_given<A>(std::move(name), policy, options(),
                                std::forward<Arguments>(arguments)...);
        }
    }
    template <class A, class NamedAs, class... Arguments>
    Child<A> add_given(std::string name, const ChildPolicy& policy, OptionsFor<NamedAs> options,
                       Arguments&&... arguments) {
        return actor_internal::TokenAccess::make<Child<A>>(
            add_child(std::move(name), policy,
                      actor_internal::make_new_child<A>(std::move(options),
                                                        std::forward<Arguments>(arguments)...)));
    }

    std::uint64_t add_child(std::string name, const ChildPolicy& policy,
                            actor_internal::NewChild child);
    std::uint64_t add_group(std::string name, const ChildPolicy& policy);
    static Supervisor make_group(std::string name, const ChildPolicy& policy);
    static Supervisor make_sharded_group(std::string name, const ChildPolicy& policy);

    std::unique_ptr<actor_internal::SupervisorPlan> plan_;
};

/// `auto tree = supervisor("app");`
inline Supervisor supervisor(std::string name) {
    return Supervisor(std::move(name));
}

/// Says that the actor whose turn runs is well: should it fail after all, its backoff begins anew.
/// Nothing happens in an actor that no supervisor has started.
void mark_healthy() noexcept;

namespace actor_internal {

Task<Result<Address>> start_in_group(GroupAddress group, NewChild child);
Task<Result<void>> stop_in_group(GroupAddress group, Address child);
Task<Result<std::size_t>> count_group(GroupAddress group);

template <class A>
Task<Result<Ref<A>>> start_child(GroupAddress group, NewChild child) {
    Result<Address> started = co_await start_in_group(std::move(group), std::move(child));
    if (!started) co_return std::unexpected(std::move(started).error());
    co_return ref_to<A>(*started);
}

}  // namespace actor_internal

/// The children of a dynamic group: cheap to copy, good over restarts.
template <class A>
class Children {
public:
    /// Nobody's: every start is refused.
    Children() noexcept = default;

    /// Starts another: `co_await children.start([options(),] args...)`. The arguments are kept and
    /// copied at each of its starts.
    ///
    /// Errors:  start_failed, with the text of what its start failed with; SupervisorErrc::
    ///          max_children; actor_gone, when the group ends.
    /// Threads: in an actor or task; suspends it, never the worker.
    template <class... Arguments>
    Task<Result<Ref<A>>> start(Arguments&&... arguments) const {
        if constexpr (actor_internal::kOptionsFirst<Arguments...>) {
            return start_given(std::forward<Arguments>(arguments)...);
        } else {
            return start_given(options(), std::forward<Arguments>(arguments)...);
        }
    }

    /// Stops one and does not start it again. Waits until it has ended.
    ///
    /// Errors:  not_found, when it is none of the group's; actor_gone, when the group ends.
    Task<Result<void>> stop(Ref<A> child) const {
        return actor_internal::stop_in_group(
            group_,
            {actor_internal::RefAccess::cell(child), actor_internal::RefAccess::generation(child)});
    }

    /// How many there are, those that wait for their restart included.
    Task<Result<std::size_t>> count() const { return actor_internal::count_group(group_); }

private:
    template <class B>
    friend Children<B> actor_internal::arrive(const actor_internal::Tree& tree,
                                              const Child<Children<B>>& token);
    explicit Children(actor_internal::GroupAddress group) noexcept : group_(std::move(group)) {}

    template <class NamedAs, class... Arguments>
    Task<Result<Ref<A>>> start_given(OptionsFor<NamedAs> options, Arguments&&... arguments) const {
        return actor_internal::start_child<A>(
            group_, actor_internal::make_new_child<A>(std::move(options),
                                                      std::forward<Arguments>(arguments)...));
    }

    actor_internal::GroupAddress group_;
};

namespace actor_internal {

template <class A>
Children<A> arrive(const Tree& tree, const Child<Children<A>>& token) {
    return Children<A>(group_in(tree, TokenAccess::number(token)));
}

}  // namespace actor_internal

/// One child of a running tree, as it was a moment ago.
struct ChildInfo {
    enum class State : std::uint8_t {
        down,      ///< it has ended and is not started again, or not yet
        waiting,   ///< for its backoff to pass
        starting,  ///< its on_start runs
        running,
        stopping,
    };
    std::string path;  ///< "app/pool/worker"
    Pid pid;
    State state = State::down;
    Restart restart = Restart::permanent;
    bool is_supervisor = false;
    std::uint64_t restarts = 0;
    std::string last_end;           ///< why it ended last; empty when it has not
    std::size_t restarts_left = 0;  ///< of its supervisor, at this moment
};
const char* name(ChildInfo::State state) noexcept;

/// How many children there are, as OTP counts them, nested ones included.
struct ChildCounts {
    std::size_t all = 0;
    std::size_t running = 0;
    std::size_t supervisors = 0;
    std::size_t workers = 0;
};

/// Whether a tree can do its work.
struct Readiness {
    bool ready = true;
    /// What is missing: "app/pool: 1 healthy of at least 2".
    std::vector<std::string> missing;
};

/// A running tree: cheap to copy, keeps nobody alive.
class SupervisorRef {
public:
    /// The child's address: good over its restarts.
    ///
    /// Threads: any.
    template <class A>
    Ref<A> ref(const Child<A>& child) const {
        return actor_internal::arrive(*tree_, child);
    }
    template <class A>
    Children<A> ref(const Child<Children<A>>& child) const {
        return actor_internal::arrive(*tree_, child);
    }

    /// The supervisor itself, to be monitored, linked to or stopped.
    Ref<Actor> actor() const noexcept;
    Pid pid() const noexcept { return actor().pid(); }

    /// Stops the tree, from the last child to the first, and waits until all have ended.
    Task<Result<void>> stop() const;

    /// All children of the tree, those of nested supervisors after their supervisor. A supervisor
    /// that does not answer within a second shows no children.
    Task<Result<std::vector<ChildInfo>>> children() const;
    Task<Result<ChildCounts>> count() const;
    Task<Result<Readiness>> readiness() const;

private:
    friend Task<Result<SupervisorRef>> actor_internal::start_tree(Engine& engine, Cell* parent,
                                                                  Supervisor tree);
    explicit SupervisorRef(std::shared_ptr<const actor_internal::Tree> tree) noexcept;

    // Shared with the supervisors of the tree: the addresses, which change when a child that had
    // ended for good is started again.
    std::shared_ptr<const actor_internal::Tree> tree_;
};

}  // namespace troupe
