#pragma once

#include <troupe/base/duration.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

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
    std::atomic<std::int64_t> full_at_{0};  // taken from by connections, looked at by Addresses
};

}  // namespace troupe::http_internal
