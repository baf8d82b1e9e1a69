#pragma once

/// Finding out that actors wait for each other, in a circle, for ever.
///
/// The problem: an actor handles one message at a time, across its suspensions too. So when A asks
/// B, B asks C and C asks A, none of them goes on; and neither do two that fill each other's
/// mailboxes and wait for room. Such a circle can have any length and mix both, and it may be
/// closed from two threads at the same time.
///
/// Our answer: whoever waits has one edge (`WaitsFor`) to the cell it waits for, which any thread
/// may follow. Only an actor that waits for one that is itself blocked can close a circle, so only
/// then the edges are followed: before a request is sent, which finds nearly all, and again after
/// the asker's cell has blocked, which finds those that several close at once, since of two cells
/// that block, one sees the other's flag. A circle counts when two walks along it, one after the
/// other, find each cell blocked in the same await: then all of them waited at the moment between
/// the walks, and what waits in a circle goes on waiting.
///
/// What was not chosen, and why, is in docs/design/0013-waiting-for-each-other.md.

#include <troupe/actor/message.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/waits_for.hpp>

#include <cstdint>
#include <source_location>
#include <string>

namespace troupe::actor_internal {

inline bool is_blocked(const Cell& cell) noexcept {
    // seq_cst: of two cells that block and then look at each other, one sees the other blocked, and
    // with it its edge; pairs with try_block.
    return (cell.word_.load(std::memory_order_seq_cst) & Cell::kBlocked) != 0;
}

/// How an actor may wait for another.
enum class WaitOutcome : std::uint8_t {
    may_wait,
    reenters,  ///< it closes a cycle, but the other handles the request meanwhile: `send_nested`
    cycle,     ///< it would wait for ever: `cycle_error` says why
};

/// Before the current cell sends `request` to `target` and waits: sets its edge, unless that closes
/// a cycle.
WaitOutcome begin_waiting(Cell& cell, Cell& target, const MailOps* request) noexcept;
/// It does not wait after all.
void forget_waiting(Cell& cell) noexcept;

/// The error of a wait that was one of a cycle. The waiting cell's turn.
Error cycle_error(const Cell& cell, std::source_location where);

/// Tells `target`, which waits for the current cell in a cycle, to handle what it was sent now.
void send_nested(Cell& cell, Cell& target) noexcept;

/// What a cell that has just blocked is known by; it is not ours any more.
struct BlockedCell {
    Cell* cell;
    std::uint32_t generation;
    std::uint32_t await_number;
};
/// Finds the cycle that several have closed at the same time. `edge` is that of the cell.
void look_for_cycle(const BlockedCell& blocked, WaitsFor& edge) noexcept;

/// The same; most wait for one that is not blocked, and close nothing.
inline void look_after_blocking(const BlockedCell& blocked, WaitsFor& edge) noexcept {
    const WaitsFor::Edge now = edge.get();
    if (WaitsFor::is_await(now, blocked.await_number) && is_blocked(*WaitsFor::target_of(now)))
        [[unlikely]] {
        look_for_cycle(blocked, edge);
    }
}

/// The message, whose sender may wait, goes to another actor than it was sent to. Before it goes.
void goes_elsewhere(const MailNode* message, const Cell* target) noexcept;

/// Takes the asker's request out of the mailbox of `cell`, wherever it lies; null when it is not
/// there. The turn.
MailNode* take_request(Cell& cell, const Cell* asker, std::uint32_t await_number);

/// The next call that is to be handled while the handler waits; null when there is none.
MailNode* pop_nested(Cell& cell) noexcept;

}  // namespace troupe::actor_internal
