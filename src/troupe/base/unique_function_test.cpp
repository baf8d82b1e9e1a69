#include <troupe/base/unique_function.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace troupe {
namespace {

TEST(UniqueFunction, CallsWhatItHolds) {
    UniqueFunction<int(int, int)> add = [](int a, int b) { return a + b; };
    EXPECT_EQ(add(2, 3), 5);
    UniqueFunction<std::string(std::unique_ptr<int>)> show = [](std::unique_ptr<int> p) {
        return std::to_string(*p);
    };
    EXPECT_EQ(show(std::make_unique<int>(7)), "7");
    int seen = 0;
    UniqueFunction<void(int&)> raise = [](int& value) { return ++value; };  // the answer is dropped
    raise(seen);
    EXPECT_EQ(seen, 1);
}

TEST(UniqueFunction, HoldsWhatCannotBeCopied) {
    UniqueFunction<int()> first = [p = std::make_unique<int>(5)] { return *p; };
    UniqueFunction<int()> second = std::move(first);
    EXPECT_FALSE(first);
    ASSERT_TRUE(second);
    EXPECT_EQ(second(), 5);
    first = std::move(second);
    EXPECT_EQ(first(), 5);
}

TEST(UniqueFunction, KeepsItsStateBetweenCalls) {
    UniqueFunction<int()> count = [n = 0]() mutable { return ++n; };
    count();
    EXPECT_EQ(count(), 2);
}

template <std::size_t Bytes>
struct Load {
    std::shared_ptr<int> owner;
    char bytes[Bytes - sizeof(std::shared_ptr<int>)] = {};
    int operator()() const { return *owner; }
};

TEST(UniqueFunction, UsesThePoolBeyondItsBuffer) {
    auto owner = std::make_shared<int>(3);
    auto before = block_pool_stats().live_blocks;
    UniqueFunction<int()> small = Load<32>{owner};
    EXPECT_EQ(block_pool_stats().live_blocks, before);
    UniqueFunction<int()> large = Load<40>{owner};
    EXPECT_EQ(block_pool_stats().live_blocks, before + 1);
    EXPECT_EQ(small(), 3);
    EXPECT_EQ(large(), 3);
    UniqueFunction<int()> moved = std::move(large);
    EXPECT_EQ(moved(), 3);
    EXPECT_EQ(owner.use_count(), 3);
    moved = nullptr;
    EXPECT_EQ(block_pool_stats().live_blocks, before);
    EXPECT_EQ(owner.use_count(), 2);
    small = std::move(moved);
    EXPECT_FALSE(small);
    EXPECT_EQ(owner.use_count(), 1);
}

struct alignas(64) Aligned {
    int operator()() const { return reinterpret_cast<std::uintptr_t>(this) % 64 == 0; }
};

TEST(UniqueFunction, KeepsTheAlignmentOfWhatItHolds) {
    UniqueFunction<int()> aligned = Aligned{};
    EXPECT_EQ(aligned(), 1);
}

struct ThrowsWhenMade {
    ThrowsWhenMade() = default;
    ThrowsWhenMade(const ThrowsWhenMade&) { throw std::runtime_error("no copy today"); }
    void operator()() const {}
};

TEST(UniqueFunction, LeaksNothingWhenTheCallableCannotBeCopied) {
    auto before = block_pool_stats().live_blocks;
    ThrowsWhenMade callable;
    EXPECT_THROW(UniqueFunction<void()>{callable}, std::runtime_error);
    EXPECT_EQ(block_pool_stats().live_blocks, before);
}

TEST(UniqueFunctionDeathTest, IsNotCalledWhenEmpty) {
    UniqueFunction<void()> empty;
    EXPECT_DEATH(empty(), "an empty function is not called");
}

}  // namespace
}  // namespace troupe
