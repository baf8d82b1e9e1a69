#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/scheduler/cell.hpp>

namespace troupe {

/// A signal that is posted to a cell at a time. The node is a block of its own: whoever takes it
/// off the clock (`Engine::cancel_timer`) or out of the mailbox owns and frees it.
struct TimerNode : MailNode {
    Cell* target = nullptr;
    Duration deadline{};             ///< engine time
    TimerNode* previous = nullptr;   // the wheel's; MailNode::next is the other link
    std::uint32_t wheel = 0;         // which worker's wheel it is in
    std::uint32_t place = kNowhere;  // which list of the wheel; kNowhere when in none

    static constexpr std::uint32_t kNowhere = 0xFFFF'FFFF;
};

/// The one timer a cell keeps for the deadlines of what it awaits.
///
/// Nearly every ask is answered long before its deadline, so starting and cancelling a timer for
/// each would be the dearest part of it. Instead the timer stays on the clock when the answer
/// comes, and the next ask finds it there, early but good enough: when it fires it looks at the
/// deadline of the await of that moment and moves on. One timer per cell, whatever the number of
/// asks.
struct DeadlineSlot {
    TimerNode* timer = nullptr;  // on the clock or on its way to the mailbox
};

/// Sees to it that the wait of `cell` at `record` ends with `timed_out` at `deadline`, or before
/// that with `cancelled` when its scope's deadline comes. Its turn only.
void arm_deadline(Cell& cell, Awaiting& record, Duration deadline);
/// The same for the wait that has just begun.
inline void arm_deadline(Cell& cell, Duration deadline) {
    arm_deadline(cell, *cell.awaiting_, deadline);
}

/// Takes the timer off the clock before the cell ends. Before its mailbox is drained.
void disarm_deadline(DeadlineSlot& slot) noexcept;

}  // namespace troupe
