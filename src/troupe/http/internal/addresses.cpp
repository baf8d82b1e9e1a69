#include <troupe/http/internal/addresses.hpp>

#include <algorithm>

namespace troupe::http_internal {

std::shared_ptr<Address> Addresses::of(const IpAddress& address, Duration now) {
    const LockGuard lock(mutex_);
    return find(address, now);
}

std::shared_ptr<Place> Addresses::enter(const IpAddress& address, Duration now) {
    const LockGuard lock(mutex_);
    std::shared_ptr<Address> shared = find(address, now);
    if (shared && shared != crowd_ && connections_max_ != 0 &&
        shared->connections.load(std::memory_order_relaxed) >= connections_max_) {
        return nullptr;
    }
    return std::make_shared<Place>(std::move(shared));
}

std::shared_ptr<Address> Addresses::find(const IpAddress& address, Duration now) {
    if (address.empty()) return nullptr;
    const IpAddress group = address.group();
    if (const auto known = addresses_.find(group); known != addresses_.end()) return known->second;
    if (addresses_.size() >= std::min(sweep_at_, addresses_max_)) forget_the_gone(now);
    if (addresses_.size() >= addresses_max_) {
        if (!crowd_) crowd_ = std::make_shared<Address>(rate_);
        return crowd_;
    }
    auto fresh = std::make_shared<Address>(rate_);
    addresses_.emplace(group, fresh);
    return fresh;
}

std::size_t Addresses::size() const {
    const LockGuard lock(mutex_);
    return addresses_.size();
}

/// Forgets the addresses that nobody is connected from and whose bucket is full: a new one is as
/// good.
void Addresses::forget_the_gone(Duration now) {
    std::erase_if(addresses_, [&](const auto& entry) {
        const std::shared_ptr<Address>& address = entry.second;
        return address.use_count() == 1 && (!address->rate || address->rate->is_full(now));
    });
    sweep_at_ = std::max<std::size_t>(64, addresses_.size() * 2);
}

}  // namespace troupe::http_internal
