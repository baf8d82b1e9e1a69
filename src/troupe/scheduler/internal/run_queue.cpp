#include <troupe/scheduler/internal/run_queue.hpp>

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace troupe::scheduler_internal {

namespace {

#if defined(__SANITIZE_THREAD__)
#define TROUPE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TROUPE_THREAD_SANITIZER 1
#endif
#endif
#if !defined(TROUPE_THREAD_SANITIZER)
#define TROUPE_THREAD_SANITIZER 0
#endif

bool register_membarrier() noexcept {
    // The thread sanitizer sees neither the system call nor what it orders.
    if (TROUPE_THREAD_SANITIZER != 0) return false;
    return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool membarrier_works() noexcept {
    static const bool works = [] {
        const bool registered = register_membarrier();
        thief_pays.store(registered, std::memory_order_relaxed);
        return registered;
    }();
    return works;
}

}  // namespace

void prepare_biased_locks() noexcept {
    static_cast<void>(membarrier_works());
}

BiasedLocks use_biased_locks_for_test(BiasedLocks wanted) noexcept {
    const bool use = membarrier_works() && wanted == BiasedLocks::by_membarrier;
    thief_pays.store(use, std::memory_order_relaxed);
    return use ? BiasedLocks::by_membarrier : BiasedLocks::by_ordered_stores;
}

bool BiasedLock::owner_try_lock_ordered() noexcept {
    // seq_cst, both: the same exclusion by the memory order alone.
    owner_inside_.store(true, std::memory_order_seq_cst);
    if (!thief_inside_.load(std::memory_order_seq_cst)) return true;
    owner_unlock();
    return false;
}

void BiasedLock::owner_lock_slowly() noexcept {
    const bool pays = !thief_pays.load(std::memory_order_relaxed);
    if (pays && owner_try_lock_ordered()) return;
    owner_waits_.store(true, std::memory_order_relaxed);
    do {
        // acquire: pairs with thief_unlock.
        while (thief_inside_.load(std::memory_order_acquire))
            ::sched_yield();
    } while (pays ? !owner_try_lock_ordered() : !owner_try_lock());
    owner_waits_.store(false, std::memory_order_relaxed);
}

bool BiasedLock::thief_try_lock() noexcept {
    if (owner_waits_.load(std::memory_order_relaxed)) return false;
    // seq_cst: ordered before the look at the owner's flag.
    if (thief_inside_.exchange(true, std::memory_order_seq_cst)) return false;
    if (thief_pays.load(std::memory_order_relaxed)) {
        ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
    // seq_cst: also acquires the queue as the owner left it; pairs with owner_unlock.
    while (owner_inside_.load(std::memory_order_seq_cst))
        ::sched_yield();
    return true;
}

void RunQueue::push_next_slowly(Cell& cell, std::uint32_t now_us) noexcept {
    lock_.owner_lock();
    put_into_slot(cell, now_us);
    lock_.owner_unlock();
}

void RunQueue::push_back(Cell& cell, std::uint32_t now_us) noexcept {
    CellChain chain;
    chain.append(cell);
    push_back(chain, now_us);
}

void RunQueue::push_back(CellChain chain, std::uint32_t now_us) noexcept {
    if (chain.first == nullptr) return;
    for (Cell* cell = chain.first; cell != nullptr; cell = cell->next_runnable_) {
        cell->queued_at_us_ = now_us;
    }
    lock_.owner_lock();
    if (queue_last_ == nullptr) {
        queue_first_ = chain.first;
    } else {
        queue_last_->next_runnable_ = chain.first;
    }
    queue_last_ = chain.last;
    set_others(others() + chain.count);
    lock_.owner_unlock();
}

void RunQueue::push_queue(Cell& cell) noexcept {
    cell.next_runnable_ = nullptr;
    if (queue_last_ == nullptr) {
        queue_first_ = &cell;
    } else {
        queue_last_->next_runnable_ = &cell;
    }
    queue_last_ = &cell;
    set_others(others() + 1);
}

Cell* RunQueue::pop_queue() noexcept {
    Cell* const cell = queue_first_;
    if (cell == nullptr) return nullptr;
    queue_first_ = cell->next_runnable_;
    if (queue_first_ == nullptr) queue_last_ = nullptr;
    set_others(others() - 1);
    return cell;
}

/// When the slot is empty, or its turn has not come.
Cell* RunQueue::pop_other() noexcept {
    Cell* cell = nullptr;
    if (oldest_first_) {
        oldest_first_ = false;
        cell = pop_queue();
    }
    if (Cell* const next = slot(); cell == nullptr && next != nullptr) {
        set_slot(nullptr);
        if (slot_may_win()) return next;
        // The pair in the slot has had its share: it queues like everybody else.
        push_queue(*next);
    }
    if (cell != nullptr) return cell;
    streak_ = 0;
    if (stack_top_ == nullptr) return pop_queue();
    cell = stack_top_;
    stack_top_ = cell->next_runnable_;
    set_others(others() - 1);
    return cell;
}

Cell* RunQueue::pop_among_others() noexcept {
    Cell* cell = slot();
    if (cell != nullptr && !oldest_first_ && slot_may_win()) {
        set_slot(nullptr);
    } else {
        cell = pop_other();
    }
    if (cell == nullptr) return nullptr;
    cell->next_runnable_ = nullptr;
    if (size() == 0) was_empty_ = true;
    return cell;
}

void RunQueue::stack_to_queue() noexcept {
    // The bottom of the stack is the oldest: reverse it behind the queue.
    Cell* oldest_first = nullptr;
    Cell* const youngest = stack_top_;
    while (stack_top_ != nullptr) {
        Cell* const cell = stack_top_;
        stack_top_ = cell->next_runnable_;
        cell->next_runnable_ = oldest_first;
        oldest_first = cell;
    }
    if (oldest_first == nullptr) return;
    if (queue_last_ == nullptr) {
        queue_first_ = oldest_first;
    } else {
        queue_last_->next_runnable_ = oldest_first;
    }
    queue_last_ = youngest;
}

std::uint32_t RunQueue::age_us(std::uint32_t now_us, std::uint32_t fair_after_us) noexcept {
    if (size() == 0) return 0;
    lock_.owner_lock();
    // Differences of 32-bit clocks are right as long as nothing waits for an hour.
    std::uint32_t age = 0;
    if (queue_first_ != nullptr) age = now_us - queue_first_->queued_at_us_;
    if (stack_top_ != nullptr) {
        const std::uint32_t stack_age = now_us - stack_since_us_;
        if (stack_age > age) age = stack_age;
        if (stack_age > fair_after_us) stack_to_queue();
    }
    if (const Cell* const next = slot(); next != nullptr && age == 0) {
        age = now_us - next->queued_at_us_;
    }
    oldest_first_ = age > fair_after_us;
    lock_.owner_unlock();
    return age;
}

CellChain RunQueue::steal(std::size_t wanted) noexcept {
    CellChain stolen;
    if (wanted == 0 || !lock_.thief_try_lock()) return stolen;
    stack_to_queue();
    while (stolen.count < wanted && queue_first_ != nullptr)
        stolen.append(*pop_queue());
    if (Cell* const next = slot(); stolen.count < wanted && next != nullptr) {
        stolen.append(*next);
        set_slot(nullptr);
    }
    lock_.thief_unlock();
    return stolen;
}

}  // namespace troupe::scheduler_internal
