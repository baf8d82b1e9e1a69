#pragma once

#include <troupe/actor/exit.hpp>
#include <troupe/actor/internal/news.hpp>
#include <troupe/actor/message.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/scheduler/timer.hpp>
#include <troupe/task/task.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

namespace troupe {
class Actor;
class Arena;
}  // namespace troupe

namespace troupe::actor_internal {

struct ChildEnded;
struct GroupSeat;
struct Links;
struct NameEntry;
class Schedule;
struct OuterWait;
struct Supervised;
struct Pipes;
struct TimerBook;

/// What its beginning and its end need while they last.
struct Hooks {
    static constexpr MailOps kOps{};
    Task<Result<void>> on_start;
    Task<void> on_stop;
    MailNode handling{.ops = &kOps};  // stands for the message, which a hook has not
    AskEnvelope<void>* start_outcome = nullptr;
    // Why it was asked to end, when that has a text; else Cell::stop_kind_ says it all.
    ExitReason reason;

    Hooks() = default;
    ~Hooks() { release_context(handling); }
    Hooks(const Hooks&) = delete;
    Hooks& operator=(const Hooks&) = delete;
};

/// What stays with its address.
struct Standing {
    NameEntry* name = nullptr;  // the one it is registered under, if any
    // For an address whose actor is built anew when it has ended, else null.
    std::unique_ptr<Supervised> supervised;
    std::unique_ptr<Arena> arena;        // Actor::memory; empty for the next incarnation
    std::unique_ptr<Schedule> schedule;  // internal/schedule.hpp; null for most
    // What it has had started, over all its incarnations: old news is told from new by the number.
    std::uint64_t orders_made = 0;

    Standing();
    ~Standing();
    Standing(const Standing&) = delete;
    Standing& operator=(const Standing&) = delete;
};

/// Whom it has to do with, and what it has for itself.
struct Ties {
    // Children by slot: a map, so that one of a hundred thousand leaves at once. Keyed by number,
    // not by address, so that a replayed run walks them in the same order.
    std::unordered_map<std::uint32_t, std::pair<Cell*, std::uint32_t>> children;
    // Is told when one of them has ended: watch_children.
    void (*child_ended)(Actor& parent, const Pid& child, bool abnormal) noexcept = nullptr;

    WatchBook watched;       // whose end it wants to hear of
    NewsQueue news;          // of ends, which has arrived
    Links* links = nullptr;  // internal/links.hpp
    Pipes* pipes = nullptr;  // internal/pipes.hpp

    GroupSeat* seats = nullptr;      // internal/group_table.hpp
    MailNode* last_event = nullptr;  // of those in the batch that the running handler has made

    // What it waited for was a cycle, in words.
    std::string cycle;

    // With reentrant_calls: calls to be handled while the handler waits, oldest first, and the
    // handlers that wait below the one that runs or waits now.
    MailNode* nested = nullptr;
    OuterWait* outer = nullptr;

    Ties();
    ~Ties();
    Ties(const Ties&) = delete;
    Ties& operator=(const Ties&) = delete;
};

/// What most actors never need, made on demand: a cell has no room for it. One cache line, which is
/// all it takes to be watched, to have a parent, to wait until a time or to set timers; the rest is
/// made when it is its turn. The actor's turn only.
struct Extension {
    DeadlineSlot deadline;
    MonitorNews* monitors = nullptr;  // of those who want to hear of its end, the latest first
    std::uint32_t monitor_count = 0;

    bool own_message = false;  // the message being handled took no room in the mailbox
    bool put_off = false;      // it was stashed, and will be handled later
    bool reentrant = false;    // spawned with reentrant_calls
    bool ending = false;       // and waits only for those who still use its handlers' frames

    // Its parent, if any. Made with the child, so that ending allocates nothing.
    ChildEnded* to_parent = nullptr;
    TimerBook* timers = nullptr;  // internal/timers.hpp

    Hooks* hooks = nullptr;
    Standing* standing = nullptr;
    Ties* ties = nullptr;

    Extension() = default;
    ~Extension();
    Extension(const Extension&) = delete;
    Extension& operator=(const Extension&) = delete;
};
static_assert(sizeof(Extension) <= 64);

/// A handler that waits while a nested call is handled, and whom it waits for.
struct OuterWait {
    Awaiting* record = nullptr;
    std::uint64_t edge = 0;  // WaitsFor::Edge
    const MailOps* request = nullptr;
    OuterWait* below = nullptr;
};
/// The handler that waits steps aside for a nested call.
void push_outer(Cell& cell);
/// It waits again, as before; false when there is none.
bool pop_outer(Cell& cell) noexcept;

Extension& extension_of(Cell& cell);
inline Extension* existing_extension(Cell& cell) noexcept {
    return static_cast<Extension*>(cell.extension_);
}
void free_extension(Cell& cell) noexcept;

// Its parts. The first kind makes what is not there yet; the second gives null for it.
Hooks& hooks_of(Cell& cell);
Standing& standing_of(Cell& cell);
Ties& ties_of(Cell& cell);
inline Hooks* existing_hooks(const Cell& cell) noexcept {
    const auto* const extension = static_cast<const Extension*>(cell.extension_);
    return extension != nullptr ? extension->hooks : nullptr;
}
inline Standing* existing_standing(const Cell& cell) noexcept {
    const auto* const extension = static_cast<const Extension*>(cell.extension_);
    return extension != nullptr ? extension->standing : nullptr;
}
inline Ties* existing_ties(const Cell& cell) noexcept {
    const auto* const extension = static_cast<const Extension*>(cell.extension_);
    return extension != nullptr ? extension->ties : nullptr;
}
/// Null when no supervisor keeps its address.
inline Supervised* supervised_of(const Cell& cell) noexcept {
    const Standing* const standing = existing_standing(cell);
    return standing != nullptr ? standing->supervised.get() : nullptr;
}
/// Nobody's when it has no parent.
Pid parent_of(const Cell& cell) noexcept;
/// It has started, and nobody waits for that any more: frees what the start needed.
void forget_start(Cell& cell) noexcept;

/// Refuses mail from now on, and gives all there was: as Cell::close_mailbox, for any mailbox.
MailNode* close_all_mail(Cell& cell, const MailNode* handled_in_place) noexcept;

/// Gives the actor the name its spawner wants for it. Errors: already_registered; failed.
Result<void> register_name(Cell& cell, const SpawnSettings& settings, SeenAs seen_as);
/// Ends an actor whose name was refused: there is no object, and hardly anybody knows of it.
void refuse_spawn(Cell& cell, Error why) noexcept;
/// Frees the actor's name, before anybody can find that it has ended.
void unregister_name(Cell& cell) noexcept;

/// Why the actor was asked to end. An actor that ends without a text needs no extension for it.
const ExitReason& stop_reason(const Cell& cell) noexcept;
void set_stop_reason(Cell& cell, ExitReason reason);

// ---- news of ends: the actor's turn -------------------------------------------------------------

/// Queues news that has arrived: it is handled next.
void hear(Cell& cell, News* news);
/// The message of the oldest news: there is some when kHasNews is set.
MailNode* pop_news(Cell& cell);
/// Takes news that waits out of the queue: `unwanted(const News&)`.
template <class Unwanted>
void discard_news(Cell& cell, Unwanted unwanted) noexcept;

/// What becomes of a supervised address when its actor ends.
enum class After : std::uint8_t {
    policy,  ///< its restart type decides
    keep,    ///< it stays, vacant
    end,     ///< it ends as well
};
/// Whether the actor ends because one it is linked to has ended.
bool died_with_peer(const Cell& cell) noexcept;

/// Asks an actor to end.
struct StopSignal : MailNode {
    Stop strength = Stop::stop;
    After after = After::policy;
    bool top_level_only = false;  // an actor with a parent leaves it to the parent
    ExitReason reason;

    static const MailOps kOps;          // stop and kill
    static const MessageOps kDrainOps;  // drain: takes its turn behind the mail
};

/// The same as Ref::stop, by the one who decides about the address as well.
void post_stop(Cell* cell, std::uint32_t generation, Stop strength, ExitReason reason,
               After after) noexcept;

/// A child tells its parent that it has ended; until then it says who that is.
struct ChildEnded : MailNode {
    Cell* parent = nullptr;
    std::uint32_t parent_generation = 0;
    std::uint32_t slot = 0;
    std::uint32_t child_generation = 0;
    bool abnormal = false;

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
inline constexpr std::uint8_t kHasNews = 32;     // NewsQueue: somebody it cares for has ended
inline constexpr std::uint8_t kUncounted = 64;   // there is more to note once a message is handled
inline constexpr std::uint8_t kVacant = 128;     // a supervised address without an actor

template <class Unwanted>
void discard_news(Cell& cell, Unwanted unwanted) noexcept {
    Ties* const ties = existing_ties(cell);
    if (ties == nullptr) return;
    ties->news.discard_if(unwanted);
    if (ties->news.empty()) cell.flags_ = static_cast<std::uint8_t>(cell.flags_ & ~kHasNews);
}

}  // namespace troupe::actor_internal
