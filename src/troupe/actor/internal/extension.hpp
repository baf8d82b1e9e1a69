#pragma once

#include <troupe/actor/exit.hpp>
#include <troupe/actor/message.hpp>
#include <troupe/scheduler/timer.hpp>
#include <troupe/task/task.hpp>

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace troupe::actor_internal {

struct ChildEnded;
struct MonitorSignal;

/// What most actors never need, made on demand: a cell has no room for it. The actor's turn only.
struct Extension {
    DeadlineSlot deadline;

    // The hooks while they run.
    Task<Result<void>> on_start;
    Task<void> on_stop;
    AskEnvelope<void>* start_outcome = nullptr;

    // Why it was asked to end, when that has a text; else Cell::stop_kind_ says it all.
    ExitReason reason;

    // Its parent, and its children by slot: a map, so that one of a hundred thousand leaves at
    // once. Keyed by number, not by address, so that a replayed run walks them in the same order.
    Cell* parent = nullptr;
    std::uint32_t parent_generation = 0;
    ChildEnded* ended_news = nullptr;  // made with the child, so that ending allocates nothing
    std::unordered_map<std::uint32_t, std::pair<Cell*, std::uint32_t>> children;

    // Who wants to hear of its end. The nodes were made by the watchers: nothing is allocated when
    // an actor dies.
    MonitorSignal* monitors = nullptr;
};

Extension& extension_of(Cell& cell);
inline Extension* existing_extension(Cell& cell) noexcept {
    return static_cast<Extension*>(cell.extension_);
}
void free_extension(Cell& cell) noexcept;

/// Refuses mail from now on, and gives all there was: as Cell::close_mailbox, for any mailbox.
MailNode* close_all_mail(Cell& cell, const MailNode* handled_in_place) noexcept;

/// Why the actor was asked to end. An actor that ends without a text needs no extension for it.
const ExitReason& stop_reason(const Cell& cell) noexcept;
void set_stop_reason(Cell& cell, ExitReason reason);

/// Watch: travels to the target, stays there, and hands over `down` at the end.
struct MonitorSignal : MailNode {
    Cell* watcher = nullptr;
    std::uint32_t watcher_generation = 0;
    Pid target;
    MailNode* down = nullptr;
    void (*set_down)(MailNode* message, Down down) = nullptr;
    MonitorSignal* next_monitor = nullptr;

    static const MailOps kOps;
    /// Delivers the news and frees the signal.
    void tell(ExitReason reason) noexcept;
};

/// Asks an actor to end.
struct StopSignal : MailNode {
    Stop strength = Stop::stop;
    bool top_level_only = false;  // an actor with a parent leaves it to the parent
    ExitReason reason;

    static const MailOps kOps;          // stop and kill
    static const MessageOps kDrainOps;  // drain: takes its turn behind the mail
};

/// A child tells its parent that it has ended.
struct ChildEnded : MailNode {
    std::uint32_t slot = 0;
    std::uint32_t child_generation = 0;

    static const MailOps kOps;
};

/// A message whose sender waits for room: goes into the mailbox past the bound, and comes back as
/// the news that there is room.
struct WaitingSend : MailNode {
    MailNode* message = nullptr;
    Cell* sender = nullptr;
    std::uint32_t sender_generation = 0;
    std::uint32_t await_number = 0;
    bool gone = false;  // the receiver ended before it had room

    /// Goes back to the sender: there is room, its message is in.
    static void report_room(WaitingSend* waiting) noexcept;

    static const MessageOps kOps;   // on the way there
    static const MailOps kRoomOps;  // on the way back
};

// Bits of Cell::flags_.
inline constexpr std::uint8_t kStopAsked = 1;    // stop, after the handler
inline constexpr std::uint8_t kKillAsked = 2;    // kill, at the next suspension
inline constexpr std::uint8_t kInStartHook = 4;  // on_start waits somewhere
inline constexpr std::uint8_t kInStopHook = 8;   // on_stop waits somewhere
inline constexpr std::uint8_t kStopHeard = 16;   // a wait was cut short by the stop

}  // namespace troupe::actor_internal
