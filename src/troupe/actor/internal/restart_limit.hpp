#pragma once

#include <troupe/actor/child_policy.hpp>
#include <troupe/base/duration.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>

namespace troupe::actor_internal {

/// Counts restarts: more than `max` within the window, which slides, are too many.
class RestartLimit {
public:
    RestartLimit(std::size_t max, Duration window) : max_(max), window_(window) {}

    /// Notes a restart. False when it is one too many.
    bool allow(Duration now) {
        while (!times_.empty() && now - times_.front() > window_)
            times_.pop_front();
        if (times_.size() >= max_) return false;
        times_.push_back(now);
        return true;
    }

    /// How many restarts would be allowed at once.
    std::size_t left(Duration now) const noexcept {
        std::size_t counted = 0;
        for (const Duration time : times_) {
            if (now - time <= window_) ++counted;
        }
        return max_ - counted;
    }

    std::size_t max() const noexcept { return max_; }
    Duration window() const noexcept { return window_; }

private:
    std::size_t max_;
    Duration window_;
    std::deque<Duration> times_;  // of those in the window, the oldest first
};

/// How long a child waits before its next start, when its starts before have failed so often in a
/// row. `random` is drawn for the jitter: all that failed together do not come back together.
inline Duration backoff_delay(const ChildPolicy::Settings& policy, unsigned failures,
                              std::uint64_t random) noexcept {
    if (policy.backoff_first <= Duration::zero() || failures == 0) return Duration::zero();
    Duration delay = policy.backoff_first;
    for (unsigned i = 1; i < failures && delay < policy.backoff_max; ++i) {
        delay = delay > policy.backoff_max / 2 ? policy.backoff_max : delay * 2;
    }
    // Between 80 % and 120 %, in steps of a thousandth.
    constexpr std::uint64_t kSteps = 401;
    return delay / 1000 * static_cast<std::int64_t>(800 + random % kSteps);
}

/// Whether a child that has lived from its start until now may begin its backoff anew.
inline bool backoff_resets(const ChildPolicy::Settings& policy, Duration lived,
                           bool said_healthy) noexcept {
    const Duration enough =
        policy.reset_after > Duration::zero() ? policy.reset_after : policy.backoff_max;
    return said_healthy || lived >= enough;
}

}  // namespace troupe::actor_internal
