#pragma once

/// What an actor with scheduling options of its own (scheduling.hpp) is at: its handlers and how
/// long they may take, and those that wait while others are handled.
///
/// An actor without such options has none of this, and pays one bit for it: with a schedule
/// kUncounted is always set in its cell's flags, which keeps it out of the turn's short cuts.

#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/message.hpp>
#include <troupe/actor/scheduling.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/timer.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace troupe::actor_internal {

/// A handler at work: it runs, or waits somewhere.
struct AtWork {
    MailNode* handling = nullptr;  // its message; a hook's stand-in
    const HandlerLimit* limit = nullptr;
    TimerNode* timer = nullptr;  // on the clock or on its way; from its first wait on
    std::uint32_t number = 0;    // what the timer knows it by
    Duration began{};
    bool own = false;   // its message took no room in the mailbox
    bool slow = false;  // that it has taken too long was told
};

/// The actor's turn only.
class Schedule {
public:
    explicit Schedule(Scheduling settings) : settings_(std::move(settings)) {}
    Schedule(const Schedule&) = delete;
    Schedule& operator=(const Schedule&) = delete;

    const Scheduling& settings() const noexcept { return settings_; }
    bool slices() const noexcept { return settings_.slice_messages != 0; }
    bool interleaves() const noexcept { return settings_.handlers_max > 1; }

    /// A handler begins. A message that took no room says so in the extension, which is told to
    /// forget it.
    void begin(Cell& cell, MailNode* message);
    void begin_hook(Cell& cell, MailNode& stand_in, const HandlerLimit& limit);
    /// It waits somewhere.
    void suspended(Cell& cell, const MailNode* handling);
    /// It is over. Whether its message took no room.
    bool end(Cell& cell, const MailNode* handling) noexcept;
    bool is_own(const MailNode* message) const noexcept;
    /// All are over: the incarnation has ended.
    void forget_all(Cell& cell) noexcept;

    /// Whether a call may be handled while those wait that do.
    bool may_begin(const Cell& cell, const MailNode* call) const noexcept;

    /// The wait that is over, of the actor's handlers the one that began first; null when none is.
    /// `yielding`: those that only let others go first have done so.
    static Awaiting* ready_one(const Cell& cell, bool yielding) noexcept;
    static bool anybody_yields(const Cell& cell) noexcept;
    /// Makes it the one that goes on next.
    static void bring_to_front(Cell& cell, Awaiting& record) noexcept;

    /// While another handler runs: those that wait.
    Awaiting* parked = nullptr;
    /// A call that has been taken out of the mailbox and may not begin yet.
    MailNode* held = nullptr;

private:
    friend struct LimitTimer;

    const HandlerLimit* limit_of(const MailNode* message) const noexcept;
    AtWork* find(const MailNode* handling) noexcept;
    AtWork& add(Cell& cell, MailNode* handling, const HandlerLimit* limit);
    bool limit_reached(Cell& cell, std::uint32_t number) noexcept;
    void report(Cell& cell, AtWork& work, Duration lasted, const Awaiting* waits) noexcept;
    static void cancel_timer(Cell& cell, AtWork& work) noexcept;

    const Scheduling settings_;
    std::vector<AtWork> at_work_;
    std::uint32_t made_ = 0;
};

/// Null when the actor has none.
inline Schedule* existing_schedule(const Cell& cell) noexcept {
    const Standing* const standing = existing_standing(cell);
    return standing != nullptr ? standing->schedule.get() : nullptr;
}

}  // namespace troupe::actor_internal
