#pragma once

/// The runnable cells of one worker.
///
/// A slot for the cell that became runnable last (usually the receiver of the message just sent,
/// its data still in the cache), a pile of those it displaced, and a queue of those that have had
/// their turn and want another. What lies on the pile for long goes to the queue. Cells are linked
/// through `next_runnable_`, and a cell stands in one place only, so the number of cells bounds the
/// queue and nothing is ever allocated.
///
/// Those that were displaced before their first turn have a pile of their own, and may wait there
/// for longer: each of them is an actor more when it begins, so a tree of actors must grow deep
/// before wide. To go through all that wait, oldest first, would grow it wide.
///
/// Cells of another priority than normal have lines of their own. Those of high priority go before
/// all others, and so many in a row when one of these has waited for long: counting turns alone
/// would give most of the time to whoever takes long ones. Those of low priority go when there is
/// nobody else, and when one of them has waited for long it joins those of normal priority.
///
/// The lock is biased: the owner's side is a store and a load, and the rare thief pays for both
/// with a system call that makes every running thread pass a barrier (membarrier). With a plain
/// lock, or sequentially consistent stores, ping-pong loses a third
/// (docs/design/0004-run-queue.md).

#include <troupe/scheduler/cell.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace troupe::scheduler_internal {

/// How the owner's store and the thief's look are kept in order.
enum class BiasedLocks : std::uint8_t {
    by_membarrier,      ///< the thief pays, with a system call
    by_ordered_stores,  ///< the owner pays; where there is no such call, and the sanitizer's choice
};

/// Must run before threads start; the first call decides. Without the system call the lock uses
/// ordered stores.
void prepare_biased_locks() noexcept;

/// Decides for the whole process, while nobody uses a lock. Returns what is in use now: the system
/// call may be missing, and the thread sanitizer does not see it.
BiasedLocks use_biased_locks_for_test(BiasedLocks wanted) noexcept;

// Whether the thief pays. Written before the threads that use the locks start (an engine more finds
// it decided), read by owners and thieves.
inline constinit std::atomic<bool> thief_pays{false};

class BiasedLock {
public:
    /// False when a thief is inside, or where the owner pays.
    bool owner_try_lock() noexcept {
        if (!thief_pays.load(std::memory_order_relaxed)) [[unlikely]]
            return false;
        owner_inside_.store(true, std::memory_order_relaxed);
        // Keeps the compiler from swapping the two; the thief's membarrier does it for the machine:
        // either it sees our store or we see its flag.
        std::atomic_signal_fence(std::memory_order_seq_cst);
        // acquire: sees the queue as the last thief left it; pairs with thief_unlock.
        if (!thief_inside_.load(std::memory_order_acquire)) [[likely]]
            return true;
        owner_unlock();
        return false;
    }
    void owner_lock() noexcept {
        if (!owner_try_lock()) [[unlikely]]
            owner_lock_slowly();
    }
    void owner_unlock() noexcept {
        // release: hands the queue to a thief; pairs with thief_lock.
        owner_inside_.store(false, std::memory_order_release);
    }
    /// False when another thief is at it, or the owner waits to go first. Waits for the owner to
    /// step out, which takes it a few instructions unless the machine has taken the core away from
    /// it.
    bool thief_try_lock() noexcept;
    void thief_unlock() noexcept {
        // release: hands the queue back; pairs with owner_lock.
        thief_inside_.store(false, std::memory_order_release);
    }

private:
    void owner_lock_slowly() noexcept;
    bool owner_try_lock_ordered() noexcept;

    std::atomic<bool> owner_inside_{false};              // owner writes, thieves read
    alignas(64) std::atomic<bool> thief_inside_{false};  // thieves write, owner reads
    std::atomic<bool> owner_waits_{false};               // so do thieves that come now
};

/// A chain of cells linked by next_runnable_, oldest first.
struct CellChain {
    Cell* first = nullptr;
    Cell* last = nullptr;
    std::size_t count = 0;

    void append(Cell& cell) noexcept {
        cell.next_runnable_ = nullptr;
        if (last == nullptr) {
            first = &cell;
        } else {
            last->next_runnable_ = &cell;
        }
        last = &cell;
        ++count;
    }
    void append(CellChain chain) noexcept {
        if (chain.first == nullptr) return;
        (last == nullptr ? first : last->next_runnable_) = chain.first;
        last = chain.last;
        count += chain.count;
    }
    Cell* pop() noexcept {
        Cell* const cell = first;
        if (cell == nullptr) return nullptr;
        first = cell->next_runnable_;
        if (first == nullptr) last = nullptr;
        --count;
        return cell;
    }
};

/// Cells that were displaced, the latest first.
struct CellPile {
    Cell* top = nullptr;
    std::uint32_t since_us = 0;  // when the one at the bottom was displaced

    bool empty() const noexcept { return top == nullptr; }
    std::uint32_t age_us(std::uint32_t now_us) const noexcept {
        return empty() ? 0 : now_us - since_us;
    }
    void push(Cell& cell, std::uint32_t now_us) noexcept {
        if (top == nullptr) since_us = now_us;
        cell.next_runnable_ = top;
        top = &cell;
    }
    Cell* pop() noexcept {
        Cell* const cell = top;
        if (cell != nullptr) top = cell->next_runnable_;
        return cell;
    }
    /// All of them, oldest first.
    CellChain take_all() noexcept {
        CellChain oldest_first;
        while (Cell* const cell = pop()) {
            cell->next_runnable_ = oldest_first.first;
            oldest_first.first = cell;
            if (oldest_first.last == nullptr) oldest_first.last = cell;
            ++oldest_first.count;
        }
        return oldest_first;
    }
};

class RunQueue {
public:
    /// How often in a row the slot may win over cells that wait longer.
    static constexpr unsigned kSlotStreakMax = 64;
    /// How many of high priority go before one that has waited for longer than that.
    static constexpr unsigned kHighStreakMax = 8;
    static constexpr std::uint32_t kNormalAgesAfterUs = 10'000;
    /// One that has had no turn yet and has waited for longer joins the queue, and so often one.
    static constexpr std::uint32_t kFreshAgesAfterUs = 10'000;
    static constexpr std::uint32_t kFreshJoinsEveryUs = 1'000;
    /// One of low priority that has waited for longer is like the others.
    static constexpr std::uint32_t kLowAgesAfterUs = 20'000;

    // ---- the owner ----
    void push_next(Cell& cell, std::uint32_t now_us) noexcept {
        cell.queued_at_us_ = now_us;
        if (cell.priority() != Priority::normal || !lock_.owner_try_lock()) [[unlikely]]
            return push_next_slowly(cell, now_us);
        put_into_slot(cell, now_us);
        lock_.owner_unlock();
    }
    void push_back(Cell& cell, std::uint32_t now_us) noexcept;
    void push_back(CellChain chain, std::uint32_t now_us) noexcept;
    Cell* pop() noexcept {
        lock_.owner_lock();
        Cell* cell = slot();
        if (cell != nullptr && others() == 0) [[likely]] {
            set_slot(nullptr);
            was_empty_ = true;
        } else {
            cell = pop_among_others();
        }
        lock_.owner_unlock();
        return cell;
    }

    /// How long the oldest cell has waited; 0 when there is none. From now on cells leave oldest
    /// first when that is longer than `fair_after_us`.
    std::uint32_t age_us(std::uint32_t now_us, std::uint32_t fair_after_us) noexcept;

    /// Set by `pop` when it left nothing behind.
    bool take_was_empty() noexcept {
        const bool was = was_empty_;
        was_empty_ = false;
        return was;
    }

    // ---- anyone, about ----
    std::size_t size() const noexcept { return others() + (slot() != nullptr ? 1 : 0); }

    // ---- a thief ----
    /// Takes the older half (at least one, the slot last). Empty when another thief is at it.
    CellChain steal_half() noexcept { return steal(size() - size() / 2); }
    /// Takes everything, from an owner who is stuck.
    CellChain steal_all() noexcept { return steal(size()); }

private:
    Cell* slot() const noexcept { return slot_.load(std::memory_order_relaxed); }
    void set_slot(Cell* cell) noexcept { slot_.store(cell, std::memory_order_relaxed); }
    std::size_t others() const noexcept { return others_.load(std::memory_order_relaxed); }
    void set_others(std::size_t count) noexcept { others_.store(count, std::memory_order_relaxed); }
    /// The pair that keeps waking each other may go before those who wait, so many times.
    bool slot_may_win() noexcept { return ++streak_ <= kSlotStreakMax || others() == 0; }
    void put_into_slot(Cell& cell, std::uint32_t now_us) noexcept {
        if (Cell* const displaced = slot()) {
            (displaced->state() == CellState::starting ? fresh_ : pile_).push(*displaced, now_us);
            set_others(others() + 1);
        }
        set_slot(&cell);
    }
    void push_next_slowly(Cell& cell, std::uint32_t now_us) noexcept;
    void push_line(Cell& cell) noexcept;
    void push_queue(Cell& cell) noexcept;
    Cell* pop_line(CellChain& line) noexcept;
    Cell* pop_high() noexcept;
    bool slot_is_as_old() const noexcept;
    Cell* pop_normal() noexcept;
    Cell* pop_other() noexcept;
    bool normal_waits() const noexcept {
        return slot() != nullptr || !pile_.empty() || !fresh_.empty() || late_.first != nullptr ||
               queue_.first != nullptr;
    }
    void let_low_age(std::uint32_t now_us) noexcept;
    Cell* pop_among_others() noexcept;
    Cell* pop_in_order() noexcept;
    Cell* pop_pile(CellPile& pile) noexcept;
    void let_fresh_age(std::uint32_t now_us) noexcept;
    CellChain steal(std::size_t wanted) noexcept;

    BiasedLock lock_;
    std::atomic<Cell*> slot_{nullptr};    // whoever holds the lock writes, thieves look first
    std::atomic<std::size_t> others_{0};  // how many stand elsewhere; as slot_
    CellPile pile_;
    CellPile fresh_;  // without a turn yet
    CellChain late_;  // the same, for long, or left by a thief
    CellChain queue_;
    CellChain high_;
    CellChain low_;
    unsigned streak_ = 0;
    unsigned high_streak_ = 0;
    std::uint32_t fresh_joined_us_ = 0;  // when one did last
    bool normal_is_old_ = false;         // at the last look
    bool oldest_first_ = false;
    bool was_empty_ = false;
};

}  // namespace troupe::scheduler_internal
