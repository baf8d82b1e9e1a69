#pragma once

/// Messages that an actor has for itself: stashed ones that are to be handled now, and events of a
/// state machine. They lie among the mail it has taken, in front of all that waits, and took no
/// room in the mailbox.

#include <troupe/actor/message.hpp>

namespace troupe::actor_internal {

struct OwnMail : MailNode {
    MailNode* message = nullptr;
    bool counted = true;  // as accepted; what is not, nobody misses when it is never handled

    static const MessageOps kOps;
    /// The message inside; the wrapper is freed.
    static MailNode* unwrap(OwnMail* mail) noexcept;
};

// ---- the actor's turn, its constructor or its destructor ----------------------------------------

/// Puts a message before all mail that waits, but for the events of the handler that runs now.
void put_first(Cell& cell, MailNode* message);
/// The same for an event of the handler that runs now: behind those it has made before.
void put_event(Cell& cell, MailNode* message);
/// What a component has its actor do: behind all mail that was taken out of the mailbox, or before.
void put_chore(Cell& cell, MailNode* message, bool before_all);
/// Behind all mail that was taken out of the mailbox; before what waits in a managed one, which is
/// taken message by message. The node is one that takes no room.
void put_last(Cell& cell, MailNode* node) noexcept;

}  // namespace troupe::actor_internal
