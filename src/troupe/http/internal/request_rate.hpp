#pragma once

#include <troupe/base/duration.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

namespace troupe::http_internal {

/// So many requests at once, and so many a second after that.
struct RateLimit {
    std::size_t per_second = 1;  // at least 1
    std::size_t burst = 1;       // at least 1
};

/// How many requests may come from one place: a bucket with room for a burst, which fills again at
/// the rate. All of it is one instant, the one at which the bucket will be full again; so those who
/// share a bucket need no lock.
///
/// Threads: any.
class RequestRate {
public:
    explicit RequestRate(const RateLimit& limit);

    /// Takes a request out of the bucket. Zero; or how long the bucket stays empty, when it is.
    ///
    /// Units: `now` is engine time.
    Duration take(Duration now);

    bool is_full(Duration now) const;

private:
    const std::int64_t each_;  // nanoseconds in which one request comes back
    const std::int64_t all_but_one_;
    std::atomic<std::int64_t> full_at_{0};  // taken from by connections, looked at by RequestRates
};

/// The buckets of all addresses there are connections from, and of those that were there just now:
/// to hang up and call again fills no bucket.
///
/// Threads: one at a time.
class RequestRates {
public:
    /// Beyond so many addresses the new ones share a bucket, which is hard on them and bounds what
    /// they make us hold.
    static constexpr std::size_t kAddressesMax = 65'536;

    explicit RequestRates(const RateLimit& limit, std::size_t addresses_max = kAddressesMax)
        : limit_(limit), addresses_max_(addresses_max) {}

    /// The bucket of an address, shared by its connections and us.
    std::shared_ptr<RequestRate> of(const std::string& address, Duration now);

    std::size_t addresses() const { return rates_.size(); }

private:
    void forget_the_full(Duration now);

    const RateLimit limit_;
    const std::size_t addresses_max_;
    std::size_t sweep_at_ = 64;  // addresses, so that a sweep is paid for by as many new ones
    std::unordered_map<std::string, std::shared_ptr<RequestRate>> rates_;  // only looked up
    std::shared_ptr<RequestRate> crowd_;  // of those beyond the bound
};

}  // namespace troupe::http_internal
