#pragma once

/// The runnable cells of one worker.
///
/// Three parts: a slot for the cell that became runnable last (usually the receiver of the message
/// just sent, its data still in the cache), a stack of those it displaced (deep before wide, so a
/// tree of actors stays small), and a queue of those that have had their turn and want another.
/// Cells are linked through `next_runnable_`, and a cell stands in one place only, so the number of
/// cells bounds the queue and nothing is ever allocated.
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

class BiasedLock {
public:
    void owner_lock() noexcept;
    void owner_unlock() noexcept {
        // release: hands the queue to a thief; pairs with thief_lock.
        owner_inside_.store(false, std::memory_order_release);
    }
    /// False when another thief is at it. Waits for the owner to step out, which takes it a few
    /// instructions unless the machine has taken the core away from it.
    bool thief_try_lock() noexcept;
    void thief_unlock() noexcept {
        // release: hands the queue back; pairs with owner_lock.
        thief_inside_.store(false, std::memory_order_release);
    }

private:
    void owner_wait() noexcept;

    std::atomic<bool> owner_inside_{false};              // owner writes, thieves read
    alignas(64) std::atomic<bool> thief_inside_{false};  // thieves write, owner reads
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
};

class RunQueue {
public:
    /// How often in a row the slot may win over cells that wait longer.
    static constexpr unsigned kSlotStreakMax = 64;

    // ---- the owner ----
    void push_next(Cell& cell, std::uint32_t now_us) noexcept;
    void push_back(Cell& cell, std::uint32_t now_us) noexcept;
    void push_back(CellChain chain, std::uint32_t now_us) noexcept;
    Cell* pop() noexcept;

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
    std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

    // ---- a thief ----
    /// Takes the older half (at least one, the slot last). Empty when another thief is at it.
    CellChain steal_half() noexcept { return steal(size() - size() / 2); }
    /// Takes everything, from an owner who is stuck.
    CellChain steal_all() noexcept { return steal(size()); }

private:
    void set_size(std::size_t size) noexcept { size_.store(size, std::memory_order_relaxed); }
    Cell* pop_queue() noexcept;
    void stack_to_queue() noexcept;
    CellChain steal(std::size_t wanted) noexcept;

    BiasedLock lock_;
    Cell* slot_ = nullptr;
    Cell* stack_top_ = nullptr;
    std::size_t stack_count_ = 0;
    std::uint32_t stack_since_us_ = 0;  // when the cell at the bottom was displaced
    Cell* queue_first_ = nullptr;
    Cell* queue_last_ = nullptr;
    unsigned streak_ = 0;
    bool oldest_first_ = false;
    bool was_empty_ = false;
    std::atomic<std::size_t> size_{0};  // whoever holds the lock writes, thieves read first
};

}  // namespace troupe::scheduler_internal
