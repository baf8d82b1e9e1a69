#include <troupe/base/block_pool.hpp>
#include <troupe/base/shared_text.hpp>

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace troupe {
namespace {

TEST(SharedText, HoldsWhatItWasGiven) {
    const std::string long_text(10'000, 'x');
    EXPECT_EQ(SharedText("short").view(), "short");
    EXPECT_EQ(SharedText(long_text).view(), long_text);
    EXPECT_EQ(SharedText(std::string_view("a\0b", 3)).view().size(), 3U);
}

TEST(SharedText, EmptyNeedsNoMemory) {
    const auto before = block_pool_stats().live_blocks;
    const SharedText empty;
    const SharedText also_empty("");
    EXPECT_EQ(block_pool_stats().live_blocks, before);
    EXPECT_TRUE(empty.empty());
    EXPECT_TRUE(also_empty.empty());
    EXPECT_EQ(empty.view(), "");
    EXPECT_EQ(empty, also_empty);
}

TEST(SharedText, CopiesShareAndTheLastFrees) {
    const auto before = block_pool_stats().live_blocks;
    {
        const SharedText text("because");
        std::vector<SharedText> copies(100, text);
        EXPECT_EQ(block_pool_stats().live_blocks, before + 1);
        EXPECT_EQ(copies[99].view().data(), text.view().data());
        const SharedText moved(std::move(copies[0]));
        EXPECT_TRUE(copies[0].empty());
        EXPECT_EQ(moved, text);
        copies[1] = SharedText("other");
        EXPECT_NE(copies[1], text);
        copies[2] = copies[2];
        EXPECT_EQ(copies[2], text);
    }
    EXPECT_EQ(block_pool_stats().live_blocks, before);
}

TEST(SharedText, EqualsByContent) {
    EXPECT_EQ(SharedText("same"), SharedText("same"));
    EXPECT_NE(SharedText("same"), SharedText("other"));
    EXPECT_NE(SharedText("same"), SharedText());
}

TEST(SharedText, MayBeDroppedByManyThreads) {
    const auto before = block_pool_stats().live_blocks;
    {
        const SharedText text("told to many");
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([copy = text] {
                for (int k = 0; k < 1000; ++k)
                    EXPECT_EQ(SharedText(copy).view(), "told to many");
            });
        }
        for (std::thread& thread : threads)
            thread.join();
    }
    EXPECT_EQ(block_pool_stats().live_blocks, before);
}

}  // namespace
}  // namespace troupe
