#pragma once

/// A cell is what the scheduler runs: a slot of 128 bytes with a mailbox, in a table that is never
/// given back to the allocator while the process lives, only reused.
///
/// The problem: an address (slot and generation) must be safe to use for ever, by any thread,
/// without reference counts; and one message must cost as few locked instructions as can be.
///
/// The answer: the mailbox is one 64-bit word holding the newest node of a linked list, the number
/// of messages and four flags, so that bound, wake-up, reply and death are all decided by the one
/// compare-and-swap that links the node. A cell with mail stands in exactly one run queue, or is
/// being run; `kIdle` and `kBlocked` say that it is neither. Whoever clears one of them schedules
/// the cell. Only the worker that runs the cell touches anything but the word.
///
/// A coroutine suspended in a cell is resumed only in that cell's turn, by a signal that carries
/// the number of the await it answers. So a reply may arrive before its asker has suspended, a
/// thief moves cells and never coroutine handles, and whatever arrives too late is recognised.
///
/// Tried and dropped (docs/design/0005-mailbox-word.md): a lock per mailbox, a second queue for
/// signals, reference counts on actors.

#include <troupe/base/duration.hpp>
#include <troupe/scheduler/mail.hpp>
#include <troupe/scheduler/placement.hpp>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string_view>

namespace troupe {

class Cell;
class Engine;
class WaitsFor;

/// What a turn reports to the worker that ran it.
enum class TurnEnd : std::uint8_t {
    released,  ///< idle, blocked or ended: the cell may already run elsewhere, do not touch it
    yielded,   ///< there is more to do: queue the cell behind the others
};

struct DeadlineSlot;

/// What is the same for all cells of one type.
struct CellType {
    TurnEnd (*run)(Cell& cell) = nullptr;
    std::string_view name;  ///< as shown in listings and reports
    /// Where the cell keeps its deadline timer; made on the first call. Its turn only.
    DeadlineSlot& (*deadline_slot)(Cell& cell) = nullptr;
};

/// The point at which a coroutine waits. Lives in its frame; the cell points to it meanwhile.
struct Awaiting {
    std::coroutine_handle<> leaf;         ///< resumed when the answer has arrived
    MailNode* arrived = nullptr;          ///< the answer; the resumed coroutine takes it over
    MailNode* message = nullptr;          ///< the message whose handler waits here
    WaitsFor* edge = nullptr;             ///< set while another cell is waited for
    Awaiting* outer = nullptr;            ///< where another handler of the cell waits, or null
    Duration deadline = Duration::max();  ///< engine time; max() when there is none
    Duration scope_deadline = Duration::max();  ///< when the scope it is in will be cancelled
    /// The frame has things out on loan: asked when it is to be destroyed while it waits. False:
    /// not yet; an answer to this wait will come when it may be.
    bool (*let_go)(Awaiting& self) noexcept = nullptr;
    std::source_location where;
    const char* what = "";       ///< "ask", "sleep"
    std::uint32_t number = 0;    ///< of this await: the answer carries it
    bool timed_out = false;      ///< set when the deadline ended the wait
    bool cancelled = false;      ///< set when a stop, or its scope's cancellation, ended the wait
    bool interruptible = false;  ///< a stop of the cell ends this wait at once
    bool cancellable = false;    ///< and so does a cancellation of its scope
    bool yielding = false;       ///< waits for nothing but the end of the queue
    bool in_cycle = false;       ///< set when the wait ended because it was one of a cycle
    bool call_waits = false;     ///< layer above: a message is to be handled meanwhile
    std::string_view subject;    ///< of what; a constant of the program: "Account::balance"
    Duration since{};            ///< engine time, as the turn knows it
};

enum class CellState : std::uint8_t { free, starting, running, stopping, restarting, ended };

/// Whether mail went into a mailbox.
enum class PushResult : std::uint8_t {
    pushed,
    full,
    gone,
    managed,  ///< the layer above keeps this cell's messages elsewhere: nothing was done
};

class alignas(64) Cell {
public:
    static constexpr std::size_t kInlineStateBytes = 56;

    // As capacity. Managed: messages are not put into the word, see PushResult::managed.
    static constexpr std::uint16_t kManaged = 0;
    static constexpr std::uint16_t kUnbounded = 0xFFFF;

    // The mailbox word: count in bits 48-63, node address in bits 4-47, flags below.
    static constexpr std::uint64_t kIdle = 1;     ///< no mail, in no run queue
    static constexpr std::uint64_t kBlocked = 2;  ///< its coroutine waits; only signals wake it
    static constexpr std::uint64_t kUrgent = 4;   ///< a signal is among the mail
    static constexpr std::uint64_t kDead = 8;     ///< refuses everything
    static constexpr std::uint64_t kFlags = 15;
    static constexpr std::uint64_t kPointer = 0x0000'FFFF'FFFF'FFF0;
    static constexpr unsigned kCountShift = 48;
    static constexpr std::uint64_t kCountMax = 0xFFFF;
    static constexpr std::uint64_t kOne = std::uint64_t{1} << kCountShift;
    /// The word of a cell without an owner: dead, and full for those who only look at the count.
    static constexpr std::uint64_t kClosed = kCountMax << kCountShift | kDead;

    static MailNode* node_of(std::uint64_t word) noexcept {
        return reinterpret_cast<MailNode*>(word & kPointer);
    }
    static std::uint64_t count_of(std::uint64_t word) noexcept { return word >> kCountShift; }
    static std::uint64_t flags_of(std::uint64_t word) noexcept { return word & kFlags; }
    static std::uint64_t pack(const MailNode* node, std::uint64_t count,
                              std::uint64_t flags) noexcept {
        return reinterpret_cast<std::uint64_t>(node) | count << kCountShift | flags;
    }

    /// After a push, where the count is not at its top. Whoever pushes a message takes kIdle away.
    static std::uint64_t with_one_more(std::uint64_t word, const MailNode* node) noexcept {
        return ((word & ~(kPointer | kIdle)) + kOne) | reinterpret_cast<std::uint64_t>(node);
    }

    // ---- any thread -------------------------------------------------------------------------

    std::uint32_t generation() const noexcept {
        // acquire: whoever finds that the owner has ended sees all that it did; pairs with the
        // table's release of the cell.
        return generation_.load(std::memory_order_acquire);
    }
    const CellType* type() const noexcept { return type_.load(std::memory_order_relaxed); }
    CellState state() const noexcept { return state_.load(std::memory_order_relaxed); }
    std::uint32_t handled() const noexcept { return handled_.load(std::memory_order_relaxed); }
    /// Where it runs. Whoever may schedule it may ask.
    Placement::Kind placed() const noexcept { return static_cast<Placement::Kind>(place_ >> 6); }
    /// On which worker, when it is near or pinned.
    std::size_t worker() const noexcept { return place_ & 63U; }
    void set_place(Placement::Kind kind, std::size_t worker) noexcept {
        place_ = static_cast<std::uint8_t>(static_cast<unsigned>(kind) << 6 | worker);
    }
    /// Which of the runnable ones it goes before. Whoever may schedule it may ask.
    Priority priority() const noexcept { return static_cast<Priority>(priority_); }
    void set_priority(Priority priority) noexcept {
        priority_ = static_cast<std::uint8_t>(priority) & 3U;
    }
    std::uint64_t word() const noexcept { return word_.load(std::memory_order_relaxed); }

    /// The engine this cell belongs to, and the cell's number in the process.
    Engine& engine() const noexcept;
    Engine* find_engine() const noexcept;  ///< null when its engine has ended
    std::uint32_t slot() const noexcept;

    /// When its present owner began, by the engine's clock; to a fifteenth of a second.
    Duration started() const noexcept;
    void set_started(Duration now) noexcept;

    /// What the layer above has attached to the slot, or null. It stays attached when the slot
    /// gets a new owner, so whoever finds it by an old address finds the right kind of thing.
    void* attachment() const noexcept;
    /// Attaches something for ever: it must live as long as the process.
    void attach(void* thing);

    // ---- the running turn only --------------------------------------------------------------

    /// Takes all mail out of the word, gives back `released` counts, and sorts it: messages go to
    /// the end of the batch, oldest first; signals are returned, oldest first. A node equal to
    /// `handled_in_place` was handled where it lay and is left out.
    MailNode* take_mail(const MailNode* handled_in_place, std::uint32_t released) noexcept;

    /// The oldest message of the batch, or null.
    MailNode* pop_batch() noexcept {
        if (batch_ == nullptr) return nullptr;
        MailNode* const node = batch_->next;
        if (node == batch_) {
            batch_ = nullptr;
        } else {
            batch_->next = node->next;
        }
        node->next = nullptr;
        return node;
    }

    /// The wait with this number, of all in which its handlers are; null when it is over.
    Awaiting* find_wait(std::uint32_t number) const noexcept {
        Awaiting* record = awaiting_;
        while (record != nullptr && record->number != number)
            record = record->outer;
        return record;
    }

    /// True when there is a signal to handle.
    bool urgent() const noexcept { return (word_.load(std::memory_order_relaxed) & kUrgent) != 0; }

    /// Lets go of the cell when there is no mail but `handled_in_place`: after true it is not ours.
    bool try_idle(const MailNode* handled_in_place) noexcept {
        std::uint64_t old = word_.load(std::memory_order_relaxed);
        if (node_of(old) != handled_in_place || (old & kUrgent) != 0) return false;
        // release: hands all that the turn did to the worker that runs the next one; pairs with the
        // acquire in whoever is scheduled by the push that clears the flag.
        return word_.compare_exchange_strong(old, kIdle, std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
    }

    /// The same, when since `seen` nothing has come into the mailbox.
    bool try_idle_from(std::uint64_t seen) noexcept {
        // release: as try_idle.
        return word_.compare_exchange_strong(seen, kIdle, std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
    }

    /// Lets go of the cell until a signal comes: after true it is not ours. Of two cells that block
    /// at the same time, one sees the other's flag afterwards.
    bool try_block(const MailNode* handled_in_place, std::uint32_t released) noexcept;

    /// Gives back `released` counts so that senders find room; the cell keeps running.
    void release(std::uint32_t released) noexcept;

    /// Refuses mail from now on and returns all that lay in the mailbox, oldest first, batch and
    /// signals included, without `handled_in_place`.
    MailNode* close_mailbox(const MailNode* handled_in_place) noexcept;

    /// Reopens a closed mailbox for the next owner of the slot.
    void open_mailbox(std::uint64_t flags) noexcept {
        // release: whoever sees the mailbox open sees the cell's new fields; pairs with push.
        word_.store(flags, std::memory_order_release);
    }

    void* inline_state() noexcept { return state_bytes_; }

    // The fields below belong to the turn, or to whoever holds a cell that is not yet open.
    // Those that listings read from other threads are atomics, written with relaxed stores only.

    std::atomic<std::uint64_t> word_{kClosed};         // all: see the top of the file
    Cell* next_runnable_ = nullptr;                    // the run queue or free list it stands in
    std::atomic<const CellType*> type_{nullptr};       // turn writes, listings read
    std::atomic<std::uint32_t> generation_{1};         // turn writes at the end, senders read
    std::uint32_t await_number_ = 0;                   // the await that is current or comes next
    MailNode* batch_ = nullptr;                        // circular list, points to its youngest node
    Awaiting* awaiting_ = nullptr;                     // set while the handler's coroutine waits:
                                                       // the latest of those that do
    void* extension_ = nullptr;                        // what most cells do not need; layer above
    std::atomic<std::uint16_t> capacity_{kUnbounded};  // set before opening, senders read
    std::atomic<CellState> state_{CellState::free};    // turn writes, listings read
    std::uint8_t flags_ = 0;                           // layer above
    std::uint32_t queued_at_us_ = 0;                   // see queue_stamp

    // The second line: what only the turn touches.
    std::atomic<std::uint32_t> handled_{0};  // messages; turn writes, listings read
    std::uint8_t stop_kind_ : 4 = 0;         // layer above: why it was asked to end
    std::uint8_t priority_ : 2 = 0;          // see priority(); set before opening
    bool nested_ : 1 = false;                // layer above: handlers wait below the one that runs
    std::uint8_t place_ = 0;                 // see placed(); set before opening, until the release
    // Of a supervised actor; stops at the top. Turn writes, listings read.
    std::atomic<std::uint16_t> incarnation_{1};

private:
    alignas(8) std::byte state_bytes_[kInlineStateBytes];
};

static_assert(sizeof(Cell) == 128, "a cell is two cache lines: docs/design/0005-mailbox-word.md");

// ---- sending: any thread ------------------------------------------------------------------------

/// Puts a cell that is neither queued nor running into a run queue: the caller's worker's when it
/// belongs to the same engine, else the engine's own.
[[gnu::noinline]] void schedule(Cell& cell) noexcept;

namespace scheduler_internal {

/// There is nobody any more, and whoever is told so sees all that the owner did.
PushResult see_the_end(const Cell& cell) noexcept;

PushResult push_slowly(Cell& cell, MailNode* node, bool past_bound) noexcept;

/// How many deterministic engines of this process are observed. Each writes; whoever pushes a
/// signal reads.
extern constinit std::atomic<int> observed_engines;

}  // namespace scheduler_internal

/// The way of nearly all messages: into a mailbox that has room. False, and nothing has happened,
/// when there is more to it. `before` is the word until then: when it has kIdle, the caller
/// schedules the cell.
inline bool link_plainly(Cell& cell, MailNode* node, std::uint64_t& before) noexcept {
    // A managed mailbox has room for nothing, and the word of a closed one counts all there can be.
    const std::uint64_t capacity = cell.capacity_.load(std::memory_order_relaxed);
    before = cell.word_.load(std::memory_order_relaxed);
    do {
        if (Cell::count_of(before) >= capacity) [[unlikely]]
            return false;
        node->next = Cell::node_of(before);
        // release: publishes the node; pairs with the acquire of take_mail and of the turn.
        // acquire: whoever wakes the cell writes its place in a run queue, and so must see the last
        // turn's end; pairs with try_idle and try_block.
    } while (!cell.word_.compare_exchange_weak(before, Cell::with_one_more(before, node),
                                               std::memory_order_acq_rel,
                                               std::memory_order_relaxed));
    return true;
}

/// The same with the scheduling.
inline bool push_plainly(Cell& cell, MailNode* node) noexcept {
    std::uint64_t before = 0;
    if (!link_plainly(cell, node, before)) return false;
    if ((before & Cell::kIdle) != 0) schedule(cell);
    return true;
}

/// Puts a message into the mailbox of `cell` and schedules it if it was idle. On anything but
/// `pushed` the node is still the caller's. The cell's own bound decides `full`.
inline PushResult push(Cell& cell, MailNode* node) noexcept {
    if (push_plainly(cell, node)) [[likely]]
        return PushResult::pushed;
    return scheduler_internal::push_slowly(cell, node, false);
}

/// The same past the bound, for mail whose sender waits for the answer.
inline PushResult push_past_bound(Cell& cell, MailNode* node) noexcept {
    if (push_plainly(cell, node)) [[likely]]
        return PushResult::pushed;
    return scheduler_internal::push_slowly(cell, node, true);
}

/// Puts a signal into the mailbox. Never full.
PushResult push_signal(Cell& cell, MailNode* node) noexcept;

/// Gives a node back to the one who waits for it: as push_signal, dropping the node when the cell
/// has another owner by now.
void post_signal(Cell& cell, std::uint32_t generation, MailNode* node) noexcept;

/// The same for the answer of an await, which the node carries as its tag, and whose `arrive` is
/// arrive_as_answer. When the cell is blocked in just that await the answer does not go through its
/// mailbox: whoever clears `kBlocked` has the cell to itself until it schedules it.
void post_answer(Cell& cell, std::uint32_t generation, MailNode* node) noexcept;

// ---- the calling thread -------------------------------------------------------------------------

/// The cell whose turn runs on this thread, or null. Out of line on purpose: a coroutine may go on
/// on another thread, and an inlined thread-local address would be the old thread's.
[[gnu::noinline]] Cell* current_cell() noexcept;

/// The engine whose worker this thread is, or null.
[[gnu::noinline]] Engine* current_engine() noexcept;

/// When a cell was queued, by the clock of the worker that did: microseconds, of which 2^32 are 71
/// minutes.
constexpr std::uint32_t queue_stamp(Duration now) noexcept {
    return static_cast<std::uint32_t>(now.count() / 1000);
}

/// For how long the cell has waited to be run. Zero when it was queued by a clock ahead of this
/// one.
inline Duration queued_for(const Cell& cell, Duration now) noexcept {
    const std::uint32_t waited_us = queue_stamp(now) - cell.queued_at_us_;
    return waited_us > ~std::uint32_t{0} / 2 ? Duration::zero()
                                             : std::chrono::microseconds(waited_us);
}

/// What the running turn and the worker that runs it tell each other. One per thread that runs
/// cells; the turn finds its own with `running_turn()`.
struct RunningTurn {
    std::atomic<Cell*> cell{nullptr};  // the worker writes, the watchdog reads
    /// What the turn is at, as reports of a stall name it: a method's name, which must be a
    /// constant of the program. The turn writes; the watchdog reads.
    std::atomic<const std::string_view*> doing{nullptr};
    /// The message whose handler runs, or the task, or null. Only that handler may look: it may be
    /// freed after.
    MailNode* handling = nullptr;
    /// How many messages a turn may handle before it asks for more; 0: it asks at once.
    unsigned messages = 1;
    /// So many more after those it was given; 0: the turn has had its share, what is left waits
    /// for the next one.
    unsigned (*more_messages)(RunningTurn& self, unsigned given) noexcept = nullptr;
    /// Whether a single message may be handled without asking for anything before. A worker takes
    /// it away when it has read the clock: the next message says how long it has waited, and the
    /// turn gives it back.
    bool goes_straight_on = false;
    bool may_go_straight_on = false;
    /// What messages sent now are stamped with: mail_stats.hpp. 0: nobody knows the time.
    std::uint32_t mail_stamp = 0;
    /// How many more messages it may send without asking whether others should run first.
    unsigned sends_left = 0;
    /// Gives it more of them; or true: others should run first.
    bool (*asks_about_sends)(RunningTurn& self) noexcept = [](RunningTurn&) noexcept {
        return false;
    };
    /// Counts an await that need not wait. True, each 128th time: the others should go first.
    bool goes_on_too_long() noexcept {
        constexpr unsigned kAwaitsBetweenYields = 128;
        if (++ready_awaits < kAwaitsBetweenYields) return false;
        ready_awaits = 0;
        return true;
    }
    unsigned ready_awaits = 0;  ///< since the others last went first
    Duration now{};  ///< the clock as of this turn, or a few turns ago; its own thread only
    bool deterministic = false;  ///< as Engine::deterministic
};

namespace scheduler_internal {
extern constinit thread_local RunningTurn* running_turn_of_thread;
}  // namespace scheduler_internal

/// Of the turn that runs on this thread. Inline, so to be called in the turn's own function only:
/// never in a coroutine, which may go on on another thread.
inline RunningTurn& running_turn() noexcept {
    return *scheduler_internal::running_turn_of_thread;
}

/// Counts a message that the turn has sent and could wait after. True when it should let the
/// receivers go first, while what it sent them is still in the cache.
inline bool sent_enough(RunningTurn& running) noexcept {
    return --running.sends_left == 0 && running.asks_about_sends(running);
}
/// The same of the running turn. As running_turn.
inline bool sent_enough() noexcept {
    RunningTurn* const running = scheduler_internal::running_turn_of_thread;
    return running != nullptr && sent_enough(*running);
}

// ---- waiting: the layer above builds its awaitables from these ----------------------------------

/// Notes that the coroutine `leaf` of the current cell waits at `record`. Returns the cell; the
/// number of this await is `cell.await_number_`, to be carried by the signal that answers it.
Cell& begin_await(Awaiting& record, std::coroutine_handle<> leaf) noexcept;

/// The awaited cell is waited for no longer.
void clear_edge(Awaiting& record) noexcept;

/// Gives every signal of a list from `take_mail` to its type. True when the suspended coroutine can
/// go on.
bool handle_signals(Cell& cell, MailNode* signals);

/// Takes the record away from the cell so that the coroutine can be resumed with its answer.
inline Awaiting& end_await(Cell& cell) noexcept {
    Awaiting& record = *cell.awaiting_;
    cell.awaiting_ = nullptr;
    if (record.edge != nullptr) clear_edge(record);
    return record;
}

/// The `arrive` of signals that answer an await: hands the node to the coroutine if it still waits
/// for it, else drops it.
bool arrive_as_answer(MailNode* node, Cell& cell);

}  // namespace troupe
