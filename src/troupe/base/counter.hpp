#pragma once

// Numbers that are always counted and seldom read: messages, bytes, waiting times. Writing costs
// one locked instruction on a cache line that is mostly our own; reading adds up.

#include <troupe/base/atomics.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace troupe {
namespace base_internal {

// A number of this thread's own, given out in turn. Inline on purpose, although a coroutine may
// change threads and keep the old thread's address: any shard is right, ours is only faster.
std::uint32_t assign_thread_number() noexcept;
inline constinit thread_local std::uint32_t t_thread_number = 0;  // 0: not assigned yet

inline std::uint32_t thread_number() noexcept {
    std::uint32_t number = t_thread_number;
    return number != 0 ? number : assign_thread_number();
}

}  // namespace base_internal

/// Counts events. A kilobyte each: for the few counters of a component, not for each actor.
///
/// Threads: any. A reading that runs beside additions may miss the latest of them.
class Counter {
public:
    constexpr Counter() noexcept = default;
    Counter(const Counter&) = delete;
    Counter& operator=(const Counter&) = delete;

    void add(std::uint64_t amount = 1) noexcept {
        Shard& shard = shards_[base_internal::thread_number() % kShards];
        shard.value.fetch_add(amount, std::memory_order_relaxed);
    }

    std::uint64_t value() const noexcept {
        std::uint64_t sum = 0;
        for (const Shard& shard : shards_)
            sum += shard.value.load(std::memory_order_relaxed);
        return sum;
    }

private:
    // Two workers rarely share a line on up to 16 cores, and sharing is slow but not wrong.
    static constexpr std::uint32_t kShards = 16;
    struct alignas(64) Shard {
        std::atomic<std::uint64_t> value{0};  // any thread adds, any thread reads
    };
    Shard shards_[kShards];
};

/// A number that goes up and down: connections, queue length.
///
/// Threads: any.
class Gauge {
public:
    constexpr Gauge() noexcept = default;
    Gauge(const Gauge&) = delete;
    Gauge& operator=(const Gauge&) = delete;

    void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t amount) noexcept { value_.fetch_add(amount, std::memory_order_relaxed); }
    std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};  // any thread writes, any thread reads
};

/// Counts values by size, so that one can ask for the median or the 99th percentile.
///
/// The buckets are log-linear: 32 to each power of two, so a value read back is off by at most one
/// part in 32 (3 %), in a fixed 11 KB. Values from 2^48 up, three days in nanoseconds, count as
/// 2^48 - 1, but for max().
///
/// Threads: any. A reading that runs beside additions may miss the latest of them.
class Histogram {
public:
    constexpr Histogram() noexcept = default;
    Histogram(const Histogram&) = delete;
    Histogram& operator=(const Histogram&) = delete;

    void add(std::uint64_t value) noexcept {
        buckets_[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
        raise_to(max_, value);
    }

    std::uint64_t count() const noexcept;

    /// The largest value, exactly.
    std::uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }

    /// The mean, computed from the buckets; 0 when there are no values.
    double mean() const noexcept;

    /// The value that this share of the values does not exceed, 0.5 for the median: the upper end
    /// of its bucket, and max() at most. 0 when there are no values.
    std::uint64_t percentile(double share) const noexcept;

    /// Adds all values of the other one.
    void merge(const Histogram& other) noexcept;

private:
    static constexpr int kLinearBits = 5;  // 32 buckets to a power of two
    static constexpr int kMaxBits = 48;
    static constexpr std::size_t kBuckets = static_cast<std::size_t>(kMaxBits - kLinearBits + 1)
                                            << kLinearBits;

    static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
        if (value >> kMaxBits != 0) return kBuckets - 1;
        // Small values have a bucket each; then the exponent chooses a group of 32 and the five
        // bits below the leading one a bucket in it.
        int exponent = std::bit_width(value) - 1 - kLinearBits;
        if (exponent < 0) return static_cast<std::size_t>(value);
        return (static_cast<std::size_t>(exponent) << kLinearBits) +
               static_cast<std::size_t>(value >> exponent);
    }

    // The largest value that falls into the bucket, and the smallest.
    static constexpr std::uint64_t upper_end(std::size_t bucket) noexcept {
        return lower_end(bucket + 1) - 1;
    }
    static constexpr std::uint64_t lower_end(std::size_t bucket) noexcept {
        std::size_t group = bucket >> kLinearBits;
        if (group < 2) return bucket;
        std::uint64_t mantissa = (bucket & ((1u << kLinearBits) - 1)) | (1u << kLinearBits);
        return mantissa << (group - 1);
    }

    std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};  // any thread adds and reads
    std::atomic<std::uint64_t> max_{0};                           // any thread raises and reads
};

}  // namespace troupe
