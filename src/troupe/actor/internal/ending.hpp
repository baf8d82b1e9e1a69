#pragma once

#include <troupe/actor/exit.hpp>
#include <troupe/scheduler/cell.hpp>

#include <string>

namespace troupe::actor_internal {

/// The end of an actor of which nothing is left but its address: its handlers and hooks are over,
/// its object is destroyed, or was never built. Everybody hears of it, in the order of the README,
/// and the cell is free for the next owner. A message that was handled where it lies is finished.
///
/// Threads: the actor's last turn, or its spawner's when the constructor has thrown.
void finish_end(Cell& cell, MailNode* handled_in_place, const ExitReason& reason) noexcept;

/// The end of an incarnation whose address stays for the next: all hear but those who wait in the
/// mailbox, and the parent. The actor's turn.
void finish_incarnation(Cell& cell, const ExitReason& reason) noexcept;

/// What those hear who wait for an actor that has ended.
Error gone(const Cell& cell, const ExitReason& reason);

}  // namespace troupe::actor_internal
