#include <troupe/scheduler/internal/run_queue.hpp>

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
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
    if (cell.priority() == Priority::normal) {
        put_into_slot(cell, now_us);
    } else {
        push_line(cell);
    }
    lock_.owner_unlock();
}

void RunQueue::push_back(Cell& cell, std::uint32_t now_us) noexcept {
    CellChain chain;
    chain.append(cell);
    push_back(chain, now_us);
}

void RunQueue::push_back(CellChain chain, std::uint32_t now_us) noexcept {
    if (chain.first == nullptr) return;
    bool all_normal = true;
    for (Cell* cell = chain.first; cell != nullptr; cell = cell->next_runnable_) {
        cell->queued_at_us_ = now_us;
        all_normal = all_normal && cell->priority() == Priority::normal;
    }
    lock_.owner_lock();
    if (all_normal) {
        queue_.append(chain);
        set_others(others() + chain.count);
    } else {
        while (Cell* const cell = chain.pop())
            push_line(*cell);
    }
    lock_.owner_unlock();
}

/// Behind those of its priority.
void RunQueue::push_line(Cell& cell) noexcept {
    switch (cell.priority()) {
        case Priority::normal:
            return push_queue(cell);
        case Priority::high:
            high_.append(cell);
            break;
        case Priority::low:
            low_.append(cell);
            break;
    }
    set_others(others() + 1);
}

void RunQueue::push_queue(Cell& cell) noexcept {
    queue_.append(cell);
    set_others(others() + 1);
}

Cell* RunQueue::pop_line(CellChain& line) noexcept {
    Cell* const cell = line.pop();
    if (cell != nullptr) set_others(others() - 1);
    return cell;
}

/// One of high priority, unless one behind has waited for long and let so many go before it.
Cell* RunQueue::pop_high() noexcept {
    const bool others_go = ++high_streak_ > kHighStreakMax && normal_is_old_ && normal_waits();
    Cell* const cell = others_go ? nullptr : pop_line(high_);
    if (cell == nullptr) high_streak_ = 0;
    return cell;
}

Cell* RunQueue::pop_pile(CellPile& pile) noexcept {
    Cell* const cell = pile.pop();
    if (cell != nullptr) set_others(others() - 1);
    return cell;
}

/// When the slot is empty, or its turn has not come.
Cell* RunQueue::pop_other() noexcept {
    Cell* cell = nullptr;
    if (oldest_first_) {
        oldest_first_ = false;
        cell = pop_line(queue_);
    }
    if (Cell* const next = slot(); cell == nullptr && next != nullptr) {
        set_slot(nullptr);
        if (slot_may_win()) return next;
        // The pair in the slot has had its share: it queues like everybody else.
        push_queue(*next);
    }
    if (cell != nullptr) return cell;
    streak_ = 0;
    cell = pop_pile(pile_);
    if (cell == nullptr) cell = pop_pile(fresh_);
    if (cell == nullptr) cell = pop_line(late_);
    return cell != nullptr ? cell : pop_line(queue_);
}

/// Whether the one in the slot has waited for as long as the first of the queue. It has when that
/// one's long turn has woken it: without this, whoever is always slow would always go before it.
bool RunQueue::slot_is_as_old() const noexcept {
    const Cell* const next = slot();
    const Cell* const first = queue_.first;
    if (next == nullptr || first == nullptr) return next != nullptr;
    // As a signed number, since their clock wraps.
    return static_cast<std::int32_t>(next->queued_at_us_ - first->queued_at_us_) <= 0;
}

Cell* RunQueue::pop_normal() noexcept {
    if (oldest_first_ && slot_is_as_old()) oldest_first_ = false;
    Cell* const cell = slot();
    if (cell == nullptr || oldest_first_ || !slot_may_win()) return pop_other();
    set_slot(nullptr);
    return cell;
}

Cell* RunQueue::pop_among_others() noexcept {
    if (high_.first != nullptr || oldest_first_) [[unlikely]]
        return pop_in_order();
    // Mostly it is the one in the slot, or the one displaced last: as pop_in_order would find.
    if (Cell* const next = slot()) {
        if (streak_ >= kSlotStreakMax) return pop_in_order();
        ++streak_;
        set_slot(nullptr);
        return next;
    }
    Cell* const displaced = (pile_.empty() ? fresh_ : pile_).pop();
    if (displaced == nullptr) return pop_in_order();
    streak_ = 0;
    const std::size_t left = others() - 1;
    set_others(left);
    if (left == 0) was_empty_ = true;
    displaced->next_runnable_ = nullptr;
    return displaced;
}

Cell* RunQueue::pop_in_order() noexcept {
    Cell* cell = high_.first != nullptr ? pop_high() : nullptr;
    if (cell == nullptr) cell = pop_normal();
    if (cell == nullptr) cell = pop_line(low_);
    if (cell == nullptr) return nullptr;
    cell->next_runnable_ = nullptr;
    if (size() == 0) was_empty_ = true;
    return cell;
}

/// Those of low priority that have waited for long queue like everybody else.
void RunQueue::let_low_age(std::uint32_t now_us) noexcept {
    while (low_.first != nullptr && now_us - low_.first->queued_at_us_ > kLowAgesAfterUs)
        queue_.append(*low_.pop());
}

/// Of those without a turn yet that have waited for long, one now and then queues like everybody
/// else.
void RunQueue::let_fresh_age(std::uint32_t now_us) noexcept {
    if (late_.first == nullptr && fresh_.age_us(now_us) > kFreshAgesAfterUs)
        late_ = fresh_.take_all();
    if (late_.first == nullptr || now_us - late_.first->queued_at_us_ <= kFreshAgesAfterUs ||
        now_us - fresh_joined_us_ < kFreshJoinsEveryUs) {
        return;
    }
    fresh_joined_us_ = now_us;
    queue_.append(*late_.pop());
}

std::uint32_t RunQueue::age_us(std::uint32_t now_us, std::uint32_t fair_after_us) noexcept {
    if (size() == 0) return 0;
    lock_.owner_lock();
    // Differences of 32-bit clocks are right as long as nothing waits for an hour.
    let_low_age(now_us);
    let_fresh_age(now_us);
    std::uint32_t age = pile_.age_us(now_us);
    if (age > fair_after_us) queue_.append(pile_.take_all());
    const auto waited_us = [now_us](const Cell* cell) {
        return cell != nullptr ? now_us - cell->queued_at_us_ : 0;
    };
    age = std::max(age, waited_us(queue_.first));
    oldest_first_ = age > fair_after_us;
    age = std::max({age, fresh_.age_us(now_us), waited_us(late_.first)});
    // Its stamp is as old as the last look, which would pass for a standing queue.
    if (age == 0) age = waited_us(slot());
    normal_is_old_ = age > kNormalAgesAfterUs;
    for (const CellChain* const line : {&high_, &low_}) {
        age = std::max(age, waited_us(line->first));
    }
    lock_.owner_unlock();
    return age;
}

CellChain RunQueue::steal(std::size_t wanted) noexcept {
    CellChain stolen;
    if (wanted == 0 || !lock_.thief_try_lock()) return stolen;
    queue_.append(pile_.take_all());
    late_.append(fresh_.take_all());
    for (CellChain* const line : {&high_, &queue_, &late_, &low_}) {
        while (stolen.count < wanted && line->first != nullptr)
            stolen.append(*pop_line(*line));
        if (line != &late_) continue;
        if (Cell* const next = slot(); stolen.count < wanted && next != nullptr) {
            stolen.append(*next);
            set_slot(nullptr);
        }
    }
    lock_.thief_unlock();
    return stolen;
}

}  // namespace troupe::scheduler_internal
