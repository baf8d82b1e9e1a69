#include <troupe/http/internal/request_rate.hpp>

#include <algorithm>
#include <chrono>

namespace troupe::http_internal {

RequestRate::RequestRate(const RateLimit& limit)
    : each_(Duration(std::chrono::seconds(1)).count() /
            static_cast<std::int64_t>(limit.per_second)),
      all_but_one_(each_ * static_cast<std::int64_t>(limit.burst - 1)) {}

Duration RequestRate::take(Duration now) {
    std::int64_t full_at = full_at_.load(std::memory_order_relaxed);
    for (;;) {
        const std::int64_t from = std::max(full_at, now.count());
        const std::int64_t too_early = from - now.count() - all_but_one_;
        if (too_early > 0) return Duration(too_early);
        if (full_at_.compare_exchange_weak(full_at, from + each_, std::memory_order_relaxed)) {
            return Duration::zero();
        }
    }
}

bool RequestRate::is_full(Duration now) const {
    return full_at_.load(std::memory_order_relaxed) <= now.count();
}

}  // namespace troupe::http_internal
