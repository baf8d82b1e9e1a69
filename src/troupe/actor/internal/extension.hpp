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

    // Whose end it wants to hear of, by the monitor's number.
    std::unordered_map<std::uint64_t, std::pair<Cell*, std::uint32_t>> watched;
    std::uint64_t monitors_made = 0;

    // News of ends that have arrived: handled before all other messages, never bounded.
    MonitorSignal* news_first = nullptr;
    MonitorSignal* news_last = nullptr;
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

/// Watch: travels to the target, stays there, and comes back with the news when it ends. All of it
/// is made by the watcher, so an end allocates nothing and cannot fail to be told.
struct MonitorSignal : MailNode {
    Cell* watcher = nullptr;
    std::uint32_t watcher_generation = 0;
    std::uint64_t number = 0;
    Pid target;
    ExitReason reason;
    MailNode* down = nullptr;
    void (*set_down)(MailNode* message, Down down) = nullptr;
    MonitorSignal* next_monitor = nullptr;  // in the target's list, then in the watcher's news

    static const MailOps kOps;      // on the way there
    static const MailOps kNewsOps;  // on the way back
    /// Goes back to the watcher with the news.
    void tell(ExitReason why) noexcept;
    /// The message, ready to be handled; the signal is gone.
    static MailNode* take_down(MonitorSignal* news) noexcept;
    static void discard(MonitorSignal* monitor) noexcept;
};

/// The watcher wants no news any more, or has ended.
struct DemonitorSignal : MailNode {
    Cell* watcher = nullptr;
    std::uint32_t watcher_generation = 0;
    std::uint64_t number = 0;

    static const MailOps kOps;
};

/// The oldest news that has arrived, or null; clears kHasNews with the last. The actor's turn.
MailNode* pop_news(Cell& cell) noexcept;
/// Ends all watching by and news for an actor that ends.
void end_watching(Cell& cell) noexcept;

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
inline constexpr std::uint8_t kHasNews = 32;     // somebody it watches has ended
inline constexpr std::uint8_t kUncounted = 64;   // the message being handled took no room

}  // namespace troupe::actor_internal
