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

std::shared_ptr<RequestRate> RequestRates::of(const std::string& address, Duration now) {
    if (const auto known = rates_.find(address); known != rates_.end()) return known->second;
    if (rates_.size() >= std::min(sweep_at_, addresses_max_)) forget_the_full(now);
    if (rates_.size() >= addresses_max_) {
        if (!crowd_) crowd_ = std::make_shared<RequestRate>(limit_);
        return crowd_;
    }
    auto rate = std::make_shared<RequestRate>(limit_);
    rates_.emplace(address, rate);
    return rate;
}

/// Forgets the addresses without a connection whose bucket is full: a new one is as good.
void RequestRates::forget_the_full(Duration now) {
    std::erase_if(rates_, [&](const auto& entry) {
        return entry.second.use_count() == 1 && entry.second->is_full(now);
    });
    sweep_at_ = std::max<std::size_t>(64, rates_.size() * 2);
}

}  // namespace troupe::http_internal
