#pragma once

/// For components whose actors have more to handle than what they are sent: what has come over a
/// connection, for example, in the turn in which it came.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/pid.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/mail.hpp>

namespace troupe::actor_internal {

/// The cell an actor lives in; null for a plain object.
Cell* cell_of(const Actor& actor) noexcept;
/// The Actor that lives in a cell. It must be one, and its base class, too.
Actor& actor_in(Cell& cell) noexcept;

/// The actor handles a message of its own, before or behind all the mail it has taken out of its
/// mailbox: it takes no room there, so it is never refused, and nobody misses it when the actor
/// ends before. In the actor's turn, also while a handler waits.
void post_chore(Cell& cell, MailNode* message, bool before_all);

/// From now on `told` is called whenever a child of this actor has ended: in place of a monitor for
/// each, for who has very many of them. In the actor's turn, between two messages or while a
/// handler waits; behind the child's end and before all mail that waits.
void watch_children(Cell& parent,
                    void (*told)(Actor& parent, const Pid& child, bool abnormal) noexcept);

/// Calls M of this actor so, behind its mail.
template <auto M, class A, class... Arguments>
void call_behind(A& actor, Cell& cell, Arguments&&... arguments) {
    using Class = typename Traits<M>::Class;
    post_chore(cell,
               make_call<M, false>(ActorAccess::offset_in_object<Class>(actor),
                                   std::forward<Arguments>(arguments)...),
               false);
}
/// The same before its mail.
template <auto M, class A, class... Arguments>
void call_first(A& actor, Cell& cell, Arguments&&... arguments) {
    using Class = typename Traits<M>::Class;
    post_chore(cell,
               make_call<M, false>(ActorAccess::offset_in_object<Class>(actor),
                                   std::forward<Arguments>(arguments)...),
               true);
}

}  // namespace troupe::actor_internal
