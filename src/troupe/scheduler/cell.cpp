#include <troupe/base/assert.hpp>
#include <troupe/base/atomics.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/begin_wait.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/cell_table.hpp>
#include <troupe/scheduler/internal/context.hpp>
#include <troupe/scheduler/mail_stats.hpp>
#include <troupe/scheduler/shared_use.hpp>
#include <troupe/scheduler/waits_for.hpp>

#include <memory>
#include <utility>

namespace troupe {

using scheduler_internal::CellChunk;

Engine* Cell::find_engine() const noexcept {
    return CellChunk::of(*this).engine.load(std::memory_order_relaxed);
}

Engine& Cell::engine() const noexcept {
    return *find_engine();
}

std::uint32_t Cell::slot() const noexcept {
    return CellChunk::of(*this).slot_of(*this);
}

namespace {
// 2^26 ns are 67 ms, and 32 bits of them are nine years.
constexpr int kStartedShift = 26;
}  // namespace

Duration Cell::started() const noexcept {
    const CellChunk& chunk = CellChunk::of(*this);
    const std::int64_t units = chunk.started[chunk.index_of(*this)].load(std::memory_order_relaxed);
    return Duration(units << kStartedShift);
}

void Cell::set_started(Duration now) noexcept {
    CellChunk& chunk = CellChunk::of(*this);
    chunk.started[chunk.index_of(*this)].store(
        static_cast<std::uint32_t>(now.count() >> kStartedShift), std::memory_order_relaxed);
}

void* Cell::attachment() const noexcept {
    CellChunk& chunk = CellChunk::of(*this);
    // acquire: sees the table and the thing as they were when they were attached; pairs with
    // attach.
    std::atomic<void*>* const table = chunk.attachments.load(std::memory_order_acquire);
    if (table == nullptr) return nullptr;
    return table[chunk.index_of(*this)].load(std::memory_order_acquire);  // acquire: as above
}

void Cell::attach(void* thing) {
    CellChunk& chunk = CellChunk::of(*this);
    // acquire: sees a table made by another; pairs with publish_first.
    std::atomic<void*>* table = chunk.attachments.load(std::memory_order_acquire);
    if (table == nullptr) {
        table = publish_first(chunk.attachments,
                              std::make_unique<std::atomic<void*>[]>(CellChunk::kCells));
    }
    // release: publishes the thing; pairs with attachment().
    table[chunk.index_of(*this)].store(thing, std::memory_order_release);
}

PushResult scheduler_internal::see_the_end(const Cell& cell) noexcept {
    // acquire: pairs with close_mailbox.
    static_cast<void>(cell.word_.load(std::memory_order_acquire));
    return PushResult::gone;
}

PushResult scheduler_internal::push_slowly(Cell& cell, MailNode* node, bool past_bound) noexcept {
    const std::uint64_t capacity = cell.capacity_.load(std::memory_order_relaxed);
    if (capacity == Cell::kManaged) return PushResult::managed;
    std::uint64_t old = cell.word_.load(std::memory_order_relaxed);
    for (;;) {
        if ((old & Cell::kDead) != 0) return see_the_end(cell);
        std::uint64_t count = Cell::count_of(old);
        if (!past_bound && count >= capacity && capacity != Cell::kUnbounded) {
            return PushResult::full;
        }
        if (count < Cell::kCountMax) ++count;  // an unbounded mailbox stops counting here
        node->next = Cell::node_of(old);
        const std::uint64_t desired =
            Cell::pack(node, count, old & (Cell::kUrgent | Cell::kBlocked));
        // acq_rel: as in push_plainly.
        if (cell.word_.compare_exchange_weak(old, desired, std::memory_order_acq_rel,
                                             std::memory_order_relaxed)) {
            break;
        }
    }
    if ((old & Cell::kIdle) != 0) schedule(cell);
    return PushResult::pushed;
}

constinit std::atomic<int> scheduler_internal::observed_engines{0};

namespace {

[[gnu::noinline]] void tell_observer(Cell& cell, const MailNode* signal) noexcept {
    Engine* const engine = cell.find_engine();
    if (engine != nullptr && engine->deterministic()) engine->note_sent(cell, signal, true);
}

}  // namespace

void scheduler_internal::tell_of_shared_use(const void* thing) noexcept {
    Engine* const engine = current_engine();
    if (engine != nullptr && engine->deterministic()) engine->note_touched(thing);
}

PushResult push_signal(Cell& cell, MailNode* node) noexcept {
    if (scheduler_internal::observed_engines.load(std::memory_order_relaxed) != 0) [[unlikely]]
        tell_observer(cell, node);
    std::uint64_t old = cell.word_.load(std::memory_order_relaxed);
    for (;;) {
        if ((old & Cell::kDead) != 0) return scheduler_internal::see_the_end(cell);
        node->next = Cell::node_of(old);
        const std::uint64_t desired = Cell::pack(node, Cell::count_of(old), Cell::kUrgent);
        // release: publishes the node; pairs with the acquire of take_mail. acquire: as above.
        if (cell.word_.compare_exchange_weak(old, desired, std::memory_order_acq_rel,
                                             std::memory_order_relaxed)) {
            break;
        }
    }
    if ((old & (Cell::kIdle | Cell::kBlocked)) != 0) schedule(cell);
    return PushResult::pushed;
}

void post_signal(Cell& cell, std::uint32_t generation, MailNode* node) noexcept {
    node->generation = generation;
    if (cell.generation() == generation && push_signal(cell, node) == PushResult::pushed) return;
    node->ops->drop(node, Error(Errc::actor_gone));
}

void post_answer(Cell& cell, std::uint32_t generation, MailNode* node) noexcept {
    std::uint64_t old = cell.word_.load(std::memory_order_relaxed);
    if ((old & Cell::kBlocked) == 0 || cell.generation() != generation)
        return post_signal(cell, generation, node);
    if (scheduler_internal::observed_engines.load(std::memory_order_relaxed) != 0) [[unlikely]]
        tell_observer(cell, node);
    // acquire: sees all that the cell's last turn left; pairs with try_block.
    if (!cell.word_.compare_exchange_strong(old, old & ~Cell::kBlocked, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
        return post_signal(cell, generation, node);
    }
    // It may have ended that await, and even have another owner, since we looked. Whoever it is
    // finds no flag to clear until we have scheduled it.
    Awaiting* const record = cell.generation() == generation ? cell.find_wait(node->tag) : nullptr;
    const bool waited_for = record != nullptr && record->arrived == nullptr;
    if (waited_for) [[likely]]
        record->arrived = node;
    schedule(cell);
    if (!waited_for) node->ops->drop(node, Error(Errc::actor_gone));
}

namespace {

// From so many on it is written down how many wait: fewer are told of by those of whom we look how
// long they wait.
constexpr std::uint64_t kDepthNoted = 16;

[[gnu::noinline]] void note_depth(const Cell& cell, std::uint64_t count) noexcept {
    Engine* const engine = cell.find_engine();
    const CellType* const type = cell.type();
    if (engine == nullptr || type == nullptr) return;
    if (MailStats::OfType* const stats = engine->mail_stats().of(*type)) stats->note_depth(count);
}

}  // namespace

MailNode* Cell::take_mail(const MailNode* handled_in_place, std::uint32_t released) noexcept {
    std::uint64_t old = word_.load(std::memory_order_relaxed);
    for (;;) {
        const std::uint64_t count = count_of(old);
        // A count that has stopped at the top is corrected when the mailbox runs empty.
        const std::uint64_t left =
            count == kCountMax ? count : count - (released < count ? released : count);
        // acquire: sees the nodes their senders published; pairs with the pushes.
        if (word_.compare_exchange_weak(old, pack(nullptr, left, 0), std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
            break;
        }
    }
    if (count_of(old) >= kDepthNoted) note_depth(*this, count_of(old));
    MailNode* signals = nullptr;
    MailNode* oldest = nullptr;
    MailNode* youngest = nullptr;
    MailNode* node = node_of(old);
    // What was handled in place lies at the bottom: it came first. Most often there is no signal.
    if ((old & kUrgent) == 0) [[likely]] {
        if (node != handled_in_place) youngest = node;
        while (node != handled_in_place) {
            MailNode* const older = node->next;
            node->next = oldest;
            oldest = node;
            node = older;
        }
    }
    while (node != nullptr && node != handled_in_place) {
        MailNode* const older = node->next;
        if (node->ops->kind == MailKind::signal) {
            node->next = signals;
            signals = node;
        } else {
            if (youngest == nullptr) youngest = node;
            node->next = oldest;
            oldest = node;
        }
        node = older;
    }
    if (youngest != nullptr) {
        if (batch_ == nullptr) {
            youngest->next = oldest;
        } else {
            youngest->next = batch_->next;
            batch_->next = oldest;
        }
        batch_ = youngest;
    }
    return signals;
}

bool Cell::try_block(const MailNode* handled_in_place, std::uint32_t released) noexcept {
    std::uint64_t old = word_.load(std::memory_order_relaxed);
    for (;;) {
        if ((old & kUrgent) != 0) return false;
        MailNode* const node = node_of(old);
        // Mail above the message in place must be taken first, so that nobody links to a node that
        // will be freed by the handler's end.
        if (handled_in_place != nullptr && node != handled_in_place) return false;
        const std::uint64_t count = count_of(old);
        const std::uint64_t left =
            count == kCountMax ? count : count - (released < count ? released : count);
        MailNode* const rest = handled_in_place != nullptr ? nullptr : node;
        // release: as in try_idle. seq_cst: of two cells that wait for each other and block at the
        // same time, the later one finds the other blocked; pairs with the search for cycles.
        if (count >= kDepthNoted) note_depth(*this, count);
        if (word_.compare_exchange_weak(old, pack(rest, left, kBlocked), std::memory_order_seq_cst,
                                        std::memory_order_relaxed)) {
            return true;
        }
    }
}

void Cell::release(std::uint32_t released) noexcept {
    std::uint64_t old = word_.load(std::memory_order_relaxed);
    while (released != 0) {
        const std::uint64_t count = count_of(old);
        if (count == kCountMax) return;
        if (count >= kDepthNoted) note_depth(*this, count);
        const std::uint64_t left = count - (released < count ? released : count);
        if (word_.compare_exchange_weak(old, pack(node_of(old), left, flags_of(old)),
                                        std::memory_order_relaxed, std::memory_order_relaxed)) {
            return;
        }
    }
}

MailNode* Cell::close_mailbox(const MailNode* handled_in_place) noexcept {
    // acquire: sees the last nodes; release: a sender that finds the cell dead sees it ended.
    const std::uint64_t old = word_.exchange(kClosed, std::memory_order_acq_rel);
    if (count_of(old) >= kDepthNoted && count_of(old) != kCountMax)
        note_depth(*this, count_of(old));
    MailNode* oldest = nullptr;
    for (MailNode* node = node_of(old); node != nullptr && node != handled_in_place;) {
        MailNode* const older = node->next;
        node->next = oldest;
        oldest = node;
        node = older;
    }
    if (batch_ != nullptr) {
        MailNode* const first = batch_->next;
        batch_->next = oldest;
        oldest = first;
        batch_ = nullptr;
    }
    return oldest;
}

Cell& begin_await(Awaiting& record, std::coroutine_handle<> leaf) noexcept {
    const scheduler_internal::WorkerContext* const context = scheduler_internal::current_context();
    Cell* const cell = context != nullptr ? context->cell.load(std::memory_order_relaxed) : nullptr;
    TROUPE_ASSERT(cell != nullptr,
                  "co_await of something of Troupe's outside an actor or task: start the coroutine "
                  "with system.block_on(...) or inside an actor");
    begin_await_in(*context, *cell, record, leaf);
    return *cell;
}

void clear_edge(Awaiting& record) noexcept {
    std::exchange(record.edge, nullptr)->clear();
}

bool handle_signals(Cell& cell, MailNode* signals) {
    bool can_go_on = false;
    while (signals != nullptr) {
        MailNode* const next = signals->next;
        signals->next = nullptr;
        if (signals->generation != cell.generation()) {
            signals->ops->drop(signals, Error(Errc::actor_gone));
        } else if (signals->ops->arrive(signals, cell)) {
            can_go_on = true;
        }
        signals = next;
    }
    return can_go_on;
}

bool arrive_as_answer(MailNode* node, Cell& cell) {
    Awaiting* const record = cell.find_wait(node->tag);
    if (record == nullptr || record->arrived != nullptr) {
        node->ops->drop(node, Error(Errc::actor_gone));
        return false;
    }
    record->arrived = node;
    return record == cell.awaiting_;  // another goes on when its turn comes
}

}  // namespace troupe
