#pragma once

/// Groups of actors: who joins under a name is reached with all the others, and leaves by itself
/// when it ends.
///
///     const Group<Listener> room(system(), "room/42");
///     room.join(self(this));
///     room.tell_all<&Listener::hear>(line);
///
/// As with OTP's pg: an actor may join more than once, is then listed as often, and leaves as
/// often.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

/// A member has come or gone.
template <class A>
struct GroupChange {
    Ref<A> member;
    bool joined = false;  ///< else it has left, or ended
};

namespace actor_internal {

/// Groups of different types are different groups, whatever their names.
struct GroupKey {
    std::string name;
    const std::string_view* type = nullptr;  // the address is the identity

    friend bool operator==(const GroupKey&, const GroupKey&) = default;
};

struct GroupMember {
    Cell* cell = nullptr;
    std::uint32_t generation = 0;
    std::uint16_t offset = 0;           // of the group's type within the actor's object
    std::shared_ptr<const void> value;  // shared by the seat and those who read it just now
};

/// Makes the message that tells a watcher of a change.
using MakeGroupChange = MailNode* (*)(std::ptrdiff_t offset, const GroupMember& member,
                                      bool joined);

class GroupTable;
GroupTable& groups_of(Engine& engine) noexcept;

// In the actor's turn, or its constructor: internal/group_table.hpp.
void join_group(GroupTable& table, Cell& cell, const GroupKey& key, std::uint16_t offset,
                std::shared_ptr<const void> value);
bool leave_group(GroupTable& table, Cell& cell, const GroupKey& key);
std::vector<GroupMember> watch_group(GroupTable& table, Cell& cell, const GroupKey& key,
                                     std::ptrdiff_t offset, MakeGroupChange make_change);
bool unwatch_group(GroupTable& table, Cell& cell, const GroupKey& key);
// Any thread.
std::vector<GroupMember> members_of_group(const GroupTable& table, const GroupKey& key);

template <class A>
Ref<A> ref_of(const GroupMember& member) noexcept {
    return RefAccess::make<A>(*member.cell, member.generation, member.offset);
}

/// Sends a copy of one call to each; gives how many mailboxes have taken it.
template <auto M, class A, class... Arguments>
std::size_t tell_each(const std::vector<GroupMember>& members, const Arguments&... arguments) {
    std::size_t sent = 0;
    for (const GroupMember& member : members) {
        sent += ref_of<A>(member).template tell<M>(arguments...) == SendStatus::sent ? 1 : 0;
    }
    return sent;
}

}  // namespace actor_internal

/// A name for a group of actors that are seen as an A. Cheap to make; the group exists while it has
/// members.
template <class A>
class Group {
public:
    Group(System system, std::string name)
        : table_(&actor_internal::groups_of(system.engine())),
          key_{std::move(name), &actor_internal::kClassName<A>} {}

    /// The actor itself joins: `group.join(self(this))`.
    template <class B>
    void join(const Self<B>& self) const {
        constexpr bool kFits = std::is_convertible_v<Ref<B>, Ref<A>>;
        static_assert(kFits, "only an A, or what derives from it, joins a Group<A>");
        if constexpr (kFits) {
            const Ref<A> as_member = self;
            actor_internal::join_group(*table_, *actor_internal::RefAccess::cell(as_member), key_,
                                       actor_internal::RefAccess::offset(as_member), nullptr);
        }
    }
    /// Takes back one joining. False when there is none.
    template <class B>
    bool leave(const Self<B>& self) const {
        return actor_internal::leave_group(*table_, *actor_internal::RefAccess::cell(self), key_);
    }

    /// All members of this moment, in the order in which they joined. Threads: any.
    std::vector<Ref<A>> members() const {
        return refs(actor_internal::members_of_group(*table_, key_));
    }

    /// Calls M of every member; gives how many mailboxes have taken the message. The others' are
    /// dead letters, as with `tell`. Threads: any.
    template <auto M, class... Arguments>
    std::size_t tell_all(const Arguments&... arguments) const {
        return actor_internal::tell_each<M, A>(actor_internal::members_of_group(*table_, key_),
                                               arguments...);
    }

    /// Gives the members of this moment, and calls `M(GroupChange<A>)` of the watching actor for
    /// each change that comes after it: `group.watch<&Router::changed>(self(this))`. Changes are
    /// never lost: they pass the bound of the mailbox.
    /// Order: changes of one group arrive in the order in which they happened, and an actor has
    ///        left before its Down is heard.
    template <auto M, class B>
    std::vector<Ref<A>> watch(const Self<B>& self) const {
        if constexpr (actor_internal::check_call<M, B, GroupChange<A>>()) {
            using Class = typename actor_internal::Traits<M>::Class;
            return refs(actor_internal::watch_group(
                *table_, *actor_internal::RefAccess::cell(self), key_,
                static_cast<std::ptrdiff_t>(actor_internal::RefAccess::offset(self)) +
                    actor_internal::offset_of_base<B, Class>(),
                [](std::ptrdiff_t offset, const actor_internal::GroupMember& member,
                   bool joined) -> MailNode* {
                    GroupChange<A> change;
                    change.member = actor_internal::ref_of<A>(member);
                    change.joined = joined;
                    return actor_internal::make_call<M, false>(offset, std::move(change));
                }));
        } else {
            return {};
        }
    }
    /// Ends the watching. What has arrived already is still heard.
    template <class B>
    bool unwatch(const Self<B>& self) const {
        return actor_internal::unwatch_group(*table_, *actor_internal::RefAccess::cell(self), key_);
    }

private:
    static std::vector<Ref<A>> refs(const std::vector<actor_internal::GroupMember>& members) {
        std::vector<Ref<A>> refs;
        refs.reserve(members.size());
        for (const auto& member : members)
            refs.push_back(actor_internal::ref_of<A>(member));
        return refs;
    }

    actor_internal::GroupTable* table_;
    actor_internal::GroupKey key_;
};

}  // namespace troupe
