#include <troupe/base/counter.hpp>
#include <troupe/base/random.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

namespace troupe {
namespace {

TEST(Counter, AddsUpWhatAllThreadsCount) {
    Counter counter;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&counter] {
            for (int i = 0; i < 1000; ++i)
                counter.add();
            counter.add(5);
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(counter.value(), 4020u);
}

TEST(Gauge, GoesUpAndDown) {
    Gauge gauge;
    gauge.add(5);
    gauge.add(-7);
    EXPECT_EQ(gauge.value(), -2);
    gauge.set(9);
    EXPECT_EQ(gauge.value(), 9);
}

TEST(Histogram, SaysNothingOfNoValues) {
    Histogram histogram;
    EXPECT_EQ(histogram.count(), 0u);
    EXPECT_EQ(histogram.percentile(0.5), 0u);
    EXPECT_EQ(histogram.max(), 0u);
    EXPECT_EQ(histogram.mean(), 0);
}

TEST(Histogram, KeepsSmallValuesExactly) {
    Histogram histogram;
    for (std::uint64_t value = 1; value <= 60; ++value)
        histogram.add(value);
    EXPECT_EQ(histogram.percentile(0), 1u);
    EXPECT_EQ(histogram.percentile(0.5), 30u);
    EXPECT_EQ(histogram.percentile(0.9), 54u);
    EXPECT_EQ(histogram.percentile(1), 60u);
    EXPECT_DOUBLE_EQ(histogram.mean(), 30.5);
}

// Draws values over all magnitudes and compares with the sorted list.
TEST(Histogram, IsOffByOnePartIn32AtMost) {
    auto histogram = std::make_unique<Histogram>();
    Random random(11);
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 20000; ++i) {
        std::uint64_t value = random.next() >> (16 + random.below(48));
        values.push_back(value);
        histogram->add(value);
    }
    std::sort(values.begin(), values.end());
    EXPECT_EQ(histogram->count(), values.size());
    EXPECT_EQ(histogram->max(), values.back());
    for (double share : {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
        auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size()));
        std::uint64_t exact = values[std::max<std::size_t>(rank, 1) - 1];
        std::uint64_t read = histogram->percentile(share);
        EXPECT_GE(read, exact) << share;
        EXPECT_LE(read, exact + exact / 32 + 1) << share;
    }
}

TEST(Histogram, CountsValuesBeyondItsRangeAsItsLargest) {
    Histogram histogram;
    histogram.add(1);
    histogram.add(~std::uint64_t{0});
    histogram.add(std::uint64_t{1} << 48);
    EXPECT_EQ(histogram.count(), 3u);
    EXPECT_EQ(histogram.max(), ~std::uint64_t{0});
    EXPECT_EQ(histogram.percentile(0.6), (std::uint64_t{1} << 48) - 1);
}

TEST(Histogram, MergesAnother) {
    auto one = std::make_unique<Histogram>();
    auto other = std::make_unique<Histogram>();
    for (std::uint64_t value = 1; value <= 10; ++value)
        one->add(value);
    for (std::uint64_t value = 11; value <= 20; ++value)
        other->add(value);
    one->merge(*other);
    EXPECT_EQ(one->count(), 20u);
    EXPECT_EQ(one->percentile(0.5), 10u);
    EXPECT_EQ(one->max(), 20u);
}

TEST(Histogram, LosesNothingUnderManyThreads) {
    auto histogram = std::make_unique<Histogram>();
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&histogram, t] {
            for (std::uint64_t i = 0; i < 1000; ++i)
                histogram->add(i * 4 + t);
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(histogram->count(), 4000u);
    EXPECT_EQ(histogram->max(), 3999u);
}

}  // namespace
}  // namespace troupe
