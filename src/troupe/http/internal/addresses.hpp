#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/http/internal/request_rate.hpp>
#include <troupe/io/ip_address.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

namespace troupe::http_internal {

/// What those from one address share.
struct Address {
    explicit Address(const std::optional<RateLimit>& limit) {
        if (limit) rate.emplace(*limit);
    }

    std::optional<RequestRate> rate;          // none: no limit
    std::atomic<std::size_t> connections{0};  // places add and take away; Addresses reads
};

/// The place of a connection among those of its address, until it lets go of it.
class Place {
public:
    /// Null: over a Unix socket, where nothing is counted.
    explicit Place(std::shared_ptr<Address> address) : address_(std::move(address)) {
        if (address_) address_->connections.fetch_add(1, std::memory_order_relaxed);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
        if (address_) address_->connections.fetch_sub(1, std::memory_order_relaxed);
    }

    const std::shared_ptr<Address>& address() const { return address_; }

private:
    std::shared_ptr<Address> address_;  // shared by all places of the address, and Addresses
};

/// The addresses there are connections from, and those that were there just now: to hang up and
/// call again fills no bucket. IPv6 is counted by the /64, see IpAddress::group.
///
/// Threads: any. Its lock is taken for each new connection, and for a request whose client is
///          another than the one before it on the same connection.
class Addresses {
public:
    /// Beyond so many addresses the new ones share a bucket, which is hard on them and bounds what
    /// they make us hold. Their connections are not counted by address then.
    static constexpr std::size_t kAddressesMax = 65'536;

    /// Without a rate, or a number of connections (0), there is no limit on it.
    Addresses(std::optional<RateLimit> rate, std::size_t connections_max,
              std::size_t addresses_max = kAddressesMax)
        : rate_(rate), connections_max_(connections_max), addresses_max_(addresses_max) {}

    bool limits_anything() const { return rate_.has_value() || connections_max_ != 0; }

    /// What the address shares, which whoever asks keeps for as long as it is needed. Null for
    /// none.
    std::shared_ptr<Address> of(const IpAddress& address, Duration now) TROUPE_EXCLUDES(mutex_);

    /// A place for one more connection. Null: there are too many from there.
    std::shared_ptr<Place> enter(const IpAddress& address, Duration now) TROUPE_EXCLUDES(mutex_);

    std::size_t size() const TROUPE_EXCLUDES(mutex_);

private:
    std::shared_ptr<Address> find(const IpAddress& address, Duration now) TROUPE_REQUIRES(mutex_);
    void forget_the_gone(Duration now) TROUPE_REQUIRES(mutex_);

    const std::optional<RateLimit> rate_;
    const std::size_t connections_max_;
    const std::size_t addresses_max_;
    mutable Mutex mutex_{LockRank::http_addresses};
    // So that a sweep is paid for by as many new addresses.
    std::size_t sweep_at_ TROUPE_GUARDED_BY(mutex_) = 64;
    std::unordered_map<IpAddress, std::shared_ptr<Address>> addresses_
        TROUPE_GUARDED_BY(mutex_);                              // only looked up
    std::shared_ptr<Address> crowd_ TROUPE_GUARDED_BY(mutex_);  // of those beyond the bound
};

}  // namespace troupe::http_internal
