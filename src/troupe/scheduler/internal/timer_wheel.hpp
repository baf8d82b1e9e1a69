#pragma once

/// The timers of one worker, in the hierarchical wheel of Varghese and Lauck.
///
/// The problem: connections set a deadline for each request and nearly always take it back, so
/// linking and unlinking must cost the same whether there are ten timers or a million.
///
/// The answer: time is cut into ticks, and a tick's number is read as eight digits of base 64. A
/// timer hangs in the slot named by the first digit in which its tick differs from the wheel's
/// own: the nearest 64 ticks at level 0, then 64 slots of 64 ticks, and so on. When the wheel
/// reaches a slot of an upper level, its timers are spread over the levels below. Eight levels hold
/// every Duration there is, so there is no overflow list. One bit per slot says whether it is
/// occupied, so an empty stretch of any length is crossed in one step.
///
/// Dropped: a heap (each cancelled timeout pays the logarithm), and rounding timers of the upper
/// levels as Linux does (a timer of an hour would be minutes late).

#include <troupe/base/duration.hpp>
#include <troupe/scheduler/timer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace troupe::scheduler_internal {

/// A hierarchical timer wheel: insert and erase in constant time, whatever the number of timers.
///
/// Not thread-safe: the worker that owns it holds a lock around each call. A timer never comes out
/// before its deadline and at most one tick after it (plus the lateness of the caller).
class TimerWheel {
public:
    /// 2^16 ns = 65.5 us: finer than what sleeping in the kernel keeps anyway (50 us of slack).
    static constexpr unsigned kTickBits = 16;
    static constexpr unsigned kDigitBits = 6;  // a slot is a bit of one 64-bit word
    static constexpr std::size_t kSlots = std::size_t{1} << kDigitBits;
    static constexpr std::size_t kLevels = 8;  // 48 bits of ticks: all 63 bits of nanoseconds

    TimerWheel() noexcept = default;
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    /// Links the timer. One whose deadline has passed comes out with the next `advance`.
    void insert(TimerNode& timer) noexcept;

    /// Unlinks the timer; false when it is in no wheel any more.
    bool erase(TimerNode& timer) noexcept;

    /// Moves the wheel to `now` and returns all timers due by then, linked by MailNode::next in
    /// order of deadline (equal deadlines: in order of insertion), or null. A `now` earlier than
    /// one before it counts as that one; Duration::max() takes every timer out.
    TimerNode* advance(Duration now) noexcept;

    /// No timer is due before this; Duration::max() when there is none. May be earlier than the
    /// earliest deadline (a whole upper-level slot must be looked through), never later than a tick
    /// after it.
    Duration next_due() const noexcept;

    std::size_t size() const noexcept { return size_; }

private:
    struct Slot {
        TimerNode* first = nullptr;
        TimerNode* last = nullptr;
    };
    struct Occupied {
        std::size_t level;
        std::size_t slot;
        std::uint64_t tick;  // its first
    };

    void link(TimerNode& timer) noexcept;
    TimerNode* take(std::size_t level, std::size_t slot) noexcept;
    bool find_first(Occupied& found) const noexcept;

    std::uint64_t tick_ = 0;  // how far the wheel has moved; nothing hangs before it
    std::size_t size_ = 0;
    std::array<std::uint64_t, kLevels> occupied_{};  // a bit per slot
    std::array<std::array<Slot, kSlots>, kLevels> slots_{};
};

}  // namespace troupe::scheduler_internal
