#include <troupe/base/counter.hpp>

namespace troupe {
namespace base_internal {

std::uint32_t assign_thread_number() noexcept {
    static constinit std::atomic<std::uint32_t> given{0};  // every thread, once
    std::uint32_t number = given.fetch_add(1, std::memory_order_relaxed) + 1;
    t_thread_number = number != 0 ? number : 1;  // after four billion threads, a doubled number
    return t_thread_number;
}

}  // namespace base_internal

std::uint64_t Histogram::count() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& bucket : buckets_)
        sum += bucket.load(std::memory_order_relaxed);
    return sum;
}

double Histogram::mean() const noexcept {
    double sum = 0;
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
        std::uint64_t values = buckets_[i].load(std::memory_order_relaxed);
        auto middle = (static_cast<double>(lower_end(i)) + static_cast<double>(upper_end(i))) / 2;
        sum += static_cast<double>(values) * middle;
        count += values;
    }
    return count == 0 ? 0 : sum / static_cast<double>(count);
}

std::uint64_t Histogram::percentile(double share) const noexcept {
    std::uint64_t total = count();
    if (total == 0) return 0;
    // The rank of the value asked for, from 1 to total.
    double exact = share * static_cast<double>(total);
    auto rank = exact <= 1 ? std::uint64_t{1} : static_cast<std::uint64_t>(exact);
    if (static_cast<double>(rank) < exact) ++rank;
    if (rank >= total) return max();
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
        seen += buckets_[i].load(std::memory_order_relaxed);
        if (seen >= rank) return upper_end(i) < max() ? upper_end(i) : max();
    }
    return max();
}

void Histogram::merge(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < kBuckets; ++i) {
        std::uint64_t values = other.buckets_[i].load(std::memory_order_relaxed);
        if (values != 0) buckets_[i].fetch_add(values, std::memory_order_relaxed);
    }
    raise_to(max_, other.max());
}

}  // namespace troupe
