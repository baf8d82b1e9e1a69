#pragma once

/// How an actor's timers are kept.
///
/// A timer is a block that is in one place after the other: on the engine's clock; then, as a
/// signal, on its way to the actor; then, as a message, behind the mail the actor has taken. While
/// it is on its way or among the mail nobody can take it back, so a timer that is cancelled there
/// is only marked, and freed when it comes out. A timer that repeats goes back to the clock when
/// its tick has been handled, so that ticks never pile up.

#include <troupe/actor/actor_timer.hpp>
#include <troupe/scheduler/timer.hpp>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::actor_internal {

struct ActorTimer : TimerNode {
    TimerKind kind = TimerKind::once;
    bool cancelled = false;
    std::uint32_t index = 0;  // its place
    Duration period{};
    MailNode* call = nullptr;
    MailNode* (*copy)(const MailNode* call) = nullptr;

    static const MailOps kOps;         // on its way
    static const MessageOps kTickOps;  // among the mail
};

/// All timers of one actor.
struct TimerBook {
    struct Place {
        ActorTimer* timer = nullptr;
        std::uint32_t use = 1;
    };
    std::vector<Place> places;
    std::vector<std::uint32_t> free;
    std::unordered_map<std::string, TimerPlace> by_key;

    ActorTimer* resting = nullptr;  // one that repeats, while its tick is being handled

    std::uint32_t idle_timers = 0;
    Duration last_message{};  // when the last one of others was handled; only with idle timers

    TimerPlace until_next_message;  // the timer that the next message cancels
    bool set_in_this_handler = false;
};

// ---- the actor's turn ---------------------------------------------------------------------------

/// The message that a tick stands for; null when the timer was cancelled, or its time has not come.
/// Throws what copying an argument throws.
MailNode* take_tick(Cell& cell, MailNode* tick);

/// A message was handled to its end; `own`: one that the actor had for itself, or news. True when
/// the timers want to hear of the next one as well.
bool note_handled(Cell& cell, bool own) noexcept;

/// Forgets what an actor has meant to do, whose object is gone: cancels its timers. Before its mail
/// is dropped.
void end_timers(Cell& cell) noexcept;

}  // namespace troupe::actor_internal
