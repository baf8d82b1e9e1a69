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
class Arena;
}

namespace troupe::actor_internal {

struct ChildEnded;
struct GroupSeat;
struct Links;
struct NameEntry;
struct OuterWait;
struct Supervised;
struct Pipes;
struct TimerBook;

/// What most actors never need, made on demand: a cell has no room for it. The actor's turn only.
struct Extension {
    DeadlineSlot deadline;

    // The hooks while they run.
    Task<Result<void>> on_start;
    Task<void> on_stop;
    AskEnvelope<void>* start_outcome = nullptr;

    // Why it was asked to end, when that has a text; else Cell::stop_kind_ says it all.
    ExitReason reason;

    NameEntry* name = nullptr;  // the one it is registered under, if any

    // Its parent, and its children by slot: a map, so that one of a hundred thousand leaves at
    // once. Keyed by number, not by address, so that a replayed run walks them in the same order.
    Cell* parent = nullptr;
    std::uint32_t parent_generation = 0;
    ChildEnded* ended_news = nullptr;  // made with the child, so that ending allocates nothing
    std::unordered_map<std::uint32_t, std::pair<Cell*, std::uint32_t>> children;

    Monitors monitors;
    Links* links = nullptr;  // internal/links.hpp
    Pipes* pipes = nullptr;  // internal/pipes.hpp
    NewsQueue news;          // of ends that it wanted to hear of

    GroupSeat* seats = nullptr;      // internal/group_table.hpp
    TimerBook* timers = nullptr;     // internal/timers.hpp
    MailNode* last_event = nullptr;  // of those in the batch that the running handler has made
    bool own_message = false;        // the message being handled took no room in the mailbox
    bool put_off = false;            // it was stashed, and will be handled later
    std::unique_ptr<Arena> arena;    // Actor::memory; stays for the next incarnation, empty

    // For an address whose actor is built anew when it has ended, else null.
    std::unique_ptr<Supervised> supervised;
    // What it has had started, over all its incarnations: old news is told from new by the number.
    std::uint64_t orders_made = 0;

    // What it waited for was a cycle, in words.
    std::string cycle;

    // With reentrant_calls: calls to be handled while the handler waits, oldest first, and the
    // handlers that wait below the one that runs or waits now.
    bool reentrant = false;
    MailNode* nested = nullptr;
    OuterWait* outer = nullptr;

    Extension();
    ~Extension();
    Extension(const Extension&) = delete;
    Extension& operator=(const Extension&) = delete;
};

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
inline constexpr std::uint8_t kHasNews = 32;     // NewsQueue: somebody it cares for has ended
inline constexpr std::uint8_t kUncounted = 64;   // there is more to note once a message is handled
inline constexpr std::uint8_t kVacant = 128;     // a supervised address without an actor

template <class Unwanted>
void discard_news(Cell& cell, Unwanted unwanted) noexcept {
    Extension* const extension = existing_extension(cell);
    if (extension == nullptr) return;
    extension->news.discard_if(unwanted);
    if (extension->news.empty()) cell.flags_ = static_cast<std::uint8_t>(cell.flags_ & ~kHasNews);
}

}  // namespace troupe::actor_internal
