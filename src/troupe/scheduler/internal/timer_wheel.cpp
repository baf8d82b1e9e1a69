#include <troupe/scheduler/internal/timer_wheel.hpp>

#include <algorithm>
#include <bit>

namespace troupe::scheduler_internal {

namespace {

TimerNode* next_of(const TimerNode& timer) noexcept {
    return static_cast<TimerNode*>(timer.next);
}

/// The first tick that begins at or after the deadline: rounding up is what keeps timers from
/// coming out early.
std::uint64_t tick_of(Duration deadline) noexcept {
    if (deadline <= Duration::zero()) return 0;
    return ((static_cast<std::uint64_t>(deadline.count()) - 1) >> TimerWheel::kTickBits) + 1;
}

Duration time_of(std::uint64_t tick) noexcept {
    // Only the tick after the last nanosecond there is does not fit.
    const auto last = static_cast<std::uint64_t>(Duration::max().count());
    if (tick > last >> TimerWheel::kTickBits) return Duration::max();
    return Duration(static_cast<Duration::rep>(tick << TimerWheel::kTickBits));
}

/// Of equal deadlines, those of `left` come first.
TimerNode* merge(TimerNode* left, TimerNode* right) noexcept {
    TimerNode head;
    TimerNode* last = &head;
    while (left != nullptr && right != nullptr) {
        TimerNode*& earlier = right->deadline < left->deadline ? right : left;
        last->next = earlier;
        last = earlier;
        earlier = next_of(*earlier);
    }
    last->next = left != nullptr ? left : right;
    return next_of(head);
}

/// A stable merge sort, as the nodes come: run `i` holds 2^i of them or none.
TimerNode* sort_by_deadline(TimerNode* timers) noexcept {
    constexpr std::size_t kRuns = 40;  // more nodes than memory can hold
    TimerNode* runs[kRuns] = {};
    std::size_t used = 0;
    while (timers != nullptr) {
        TimerNode* run = timers;
        timers = next_of(*timers);
        run->next = nullptr;
        std::size_t i = 0;
        for (; i < used && runs[i] != nullptr; ++i) {
            run = merge(runs[i], run);
            runs[i] = nullptr;
        }
        runs[i] = run;
        used = std::max(used, i + 1);
    }
    TimerNode* sorted = nullptr;
    for (std::size_t i = 0; i < used; ++i)
        sorted = merge(runs[i], sorted);
    return sorted;
}

}  // namespace

void TimerWheel::insert(TimerNode& timer) noexcept {
    link(timer);
    ++size_;
}

bool TimerWheel::erase(TimerNode& timer) noexcept {
    if (timer.place == TimerNode::kNowhere) return false;
    const std::size_t level = timer.place / kSlots;
    const std::size_t index = timer.place % kSlots;
    Slot& slot = slots_[level][index];
    TimerNode* const next = next_of(timer);
    if (timer.previous == nullptr) {
        slot.first = next;
    } else {
        timer.previous->next = next;
    }
    if (next == nullptr) {
        slot.last = timer.previous;
    } else {
        next->previous = timer.previous;
    }
    if (slot.first == nullptr) occupied_[level] &= ~(std::uint64_t{1} << index);
    timer.next = nullptr;
    timer.previous = nullptr;
    timer.place = TimerNode::kNowhere;
    --size_;
    return true;
}

TimerNode* TimerWheel::advance(Duration now) noexcept {
    // A tick has come when it has begun; all have when there is no later time.
    const std::uint64_t now_tick =
        now == Duration::max()
            ? tick_of(now)
            : static_cast<std::uint64_t>(std::max(now, Duration::zero()).count()) >> kTickBits;
    const std::uint64_t target = std::max(tick_, now_tick);
    TimerNode* first = nullptr;
    TimerNode* last = nullptr;
    for (Occupied next; find_first(next) && next.tick <= target;) {
        tick_ = next.tick;
        TimerNode* timers = take(next.level, next.slot);
        if (next.level > 0) {
            while (timers != nullptr) {
                TimerNode& timer = *timers;
                timers = next_of(timer);
                link(timer);  // at least one level down
            }
            continue;
        }
        // Slots come in order of their ticks, so only within one are timers out of order.
        timers = sort_by_deadline(timers);
        if (last == nullptr) {
            first = timers;
        } else {
            last->next = timers;
        }
        for (; timers != nullptr; timers = next_of(*timers)) {
            timers->previous = nullptr;
            timers->place = TimerNode::kNowhere;
            --size_;
            last = timers;
        }
    }
    tick_ = target;
    return first;
}

Duration TimerWheel::next_due() const noexcept {
    Occupied next;
    return find_first(next) ? time_of(next.tick) : Duration::max();
}

void TimerWheel::link(TimerNode& timer) noexcept {
    const std::uint64_t tick = std::max(tick_of(timer.deadline), tick_);
    const std::uint64_t differing = tick ^ tick_;
    const auto bits = static_cast<unsigned>(std::bit_width(differing));
    const std::size_t level = differing == 0 ? 0 : (bits - 1) / kDigitBits;
    const std::size_t index = (tick >> (level * kDigitBits)) % kSlots;
    Slot& slot = slots_[level][index];
    timer.next = nullptr;
    timer.previous = slot.last;
    timer.place = static_cast<std::uint32_t>(level * kSlots + index);
    if (slot.last == nullptr) {
        slot.first = &timer;
    } else {
        slot.last->next = &timer;
    }
    slot.last = &timer;
    occupied_[level] |= std::uint64_t{1} << index;
}

TimerNode* TimerWheel::take(std::size_t level, std::size_t slot) noexcept {
    TimerNode* const timers = slots_[level][slot].first;
    slots_[level][slot] = Slot();
    occupied_[level] &= ~(std::uint64_t{1} << slot);
    return timers;
}

bool TimerWheel::find_first(Occupied& found) const noexcept {
    // What hangs at a level shares all higher digits with the wheel and is not behind it in its
    // own, so the lowest occupied level holds the earliest tick, and its lowest bit names it.
    for (std::size_t level = 0; level < kLevels; ++level) {
        if (occupied_[level] == 0) continue;
        const auto slot = static_cast<std::size_t>(std::countr_zero(occupied_[level]));
        const std::size_t below = level * kDigitBits;
        const std::uint64_t higher = tick_ >> (below + kDigitBits) << (below + kDigitBits);
        found = Occupied{level, slot, higher | static_cast<std::uint64_t>(slot) << below};
        return true;
    }
    return false;
}

}  // namespace troupe::scheduler_internal
