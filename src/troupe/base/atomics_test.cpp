#include <troupe/base/atomics.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace troupe {
namespace {

constexpr int kThreads = 4;

template <class Body>
void on_threads(Body body) {
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i)
        threads.emplace_back(body, i);
    for (std::thread& thread : threads)
        thread.join();
}

TEST(RaiseTo, LeavesTheLargestOfAllValues) {
    constexpr int kValues = 10'000;
    std::atomic<int> most{5};
    raise_to(most, 3);
    EXPECT_EQ(most, 5);
    on_threads([&](int thread) {
        for (int i = 0; i < kValues; ++i)
            raise_to(most, kThreads * i + thread);
    });
    EXPECT_EQ(most, kThreads * kValues - 1);
}

TEST(PublishFirst, GivesEverybodyTheOneThatWasFirst) {
    std::atomic<int*> place{nullptr};
    std::array<int*, kThreads> given{};
    on_threads([&](int thread) {
        given[static_cast<std::size_t>(thread)] =
            publish_first(place, std::make_unique<int>(thread));
    });
    const std::unique_ptr<int> kept(place.load());
    for (const int* const one : given)
        EXPECT_EQ(one, kept.get());
    EXPECT_EQ(*publish_first(place, std::make_unique<int>(kThreads)), *kept) << "and it stays";
}

TEST(PublishFirst, TakesArrays) {
    std::atomic<int*> place{nullptr};
    const std::unique_ptr<int[]> kept(publish_first(place, std::make_unique<int[]>(3)));
    EXPECT_EQ(kept[2], 0);
    EXPECT_EQ(place, kept.get());
}

}  // namespace
}  // namespace troupe
