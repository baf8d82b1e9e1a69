#include <troupe/base/block_pool.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace troupe {
namespace {

struct Block {
    unsigned char* memory;
    std::size_t bytes;
};

Block make_block(std::size_t bytes, unsigned char fill) {
    auto* memory = static_cast<unsigned char*>(allocate_block(bytes));
    std::memset(memory, fill, bytes);
    return {memory, bytes};
}

bool holds(const Block& block, unsigned char fill) {
    for (std::size_t i = 0; i < block.bytes; ++i) {
        if (block.memory[i] != fill) return false;
    }
    return true;
}

TEST(BlockPool, AlignsEveryBlockToACacheLine) {
    for (std::size_t bytes : {0, 1, 63, 64, 65, 500, 513, 1024, 1025, 4096, 4097, 100000}) {
        void* block = allocate_block(bytes);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % kBlockAlignment, 0u) << bytes;
        free_block(block, bytes);
    }
}

TEST(BlockPool, IgnoresANullPointer) {
    auto before = block_pool_stats();
    free_block(nullptr, 64);
    free_block(nullptr, 100000);
    EXPECT_EQ(block_pool_stats().live_blocks, before.live_blocks);
}

// Out of line, as who uses them must be.
template <std::size_t kBytes>
[[gnu::noinline]] void* take_here() {
    return take_block_here<kBytes>();
}
template <std::size_t kBytes>
[[gnu::noinline]] void free_here(void* block) {
    free_block_here<kBytes>(block);
}

TEST(BlockPool, GivesInLineWhatItWasGivenEitherWay) {
    constexpr std::size_t kBytes = 100;
    auto before = block_pool_stats();
    std::set<void*> freed;
    std::vector<void*> blocks;
    for (int i = 0; i < 1000; ++i)
        blocks.push_back(allocate_block(kBytes));
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        freed.insert(blocks[i]);
        if (i % 2 == 0) {
            free_block(blocks[i], kBytes);
        } else {
            free_here<kBytes>(blocks[i]);
        }
    }
    EXPECT_EQ(block_pool_stats().live_blocks, before.live_blocks);
    std::set<void*> taken;
    for (void* block = take_here<kBytes>(); block != nullptr; block = take_here<kBytes>())
        EXPECT_TRUE(taken.insert(block).second);
    EXPECT_EQ(block_pool_stats().live_blocks, before.live_blocks + taken.size());
    EXPECT_TRUE(std::ranges::includes(freed, taken));
    for (void* block : taken)
        free_here<kBytes>(block);
    EXPECT_EQ(block_pool_stats().live_blocks, before.live_blocks);
}

TEST(BlockPool, HasNothingAtHandOfWhatIsLarge) {
    void* block = allocate_block(1000);
    free_here<1000>(block);
    EXPECT_EQ(take_here<1000>(), nullptr);
}

// Each block of each size is filled to its end; if two overlapped, one would find a foreign byte.
TEST(BlockPool, GivesEachBlockMemoryOfItsOwn) {
    std::vector<Block> blocks;
    unsigned char fill = 1;
    for (int round = 0; round < 3; ++round) {
        for (std::size_t bytes = 1; bytes <= 4200; bytes += 37) {
            blocks.push_back(make_block(bytes, fill));
            fill = static_cast<unsigned char>(fill % 250 + 1);
        }
    }
    fill = 1;
    for (const Block& block : blocks) {
        EXPECT_TRUE(holds(block, fill)) << block.bytes;
        fill = static_cast<unsigned char>(fill % 250 + 1);
        free_block(block.memory, block.bytes);
    }
}

TEST(BlockPool, CountsWhatIsLive) {
    auto before = block_pool_stats();
    std::vector<void*> blocks;
    for (int i = 0; i < 1000; ++i)
        blocks.push_back(allocate_block(100));
    void* large = allocate_block(10000);
    auto during = block_pool_stats();
    EXPECT_EQ(during.live_blocks, before.live_blocks + 1001);
    EXPECT_GE(during.live_bytes, before.live_bytes + 1000 * 100 + 10000);
    for (void* block : blocks)
        free_block(block, 100);
    free_block(large, 10000);
    auto after = block_pool_stats();
    EXPECT_EQ(after.live_blocks, before.live_blocks);
    EXPECT_EQ(after.live_bytes, before.live_bytes);
}

TEST(BlockPool, UsesMemoryAgain) {
    auto use = [] {
        std::vector<void*> blocks;
        for (int i = 0; i < 5000; ++i)
            blocks.push_back(allocate_block(200));
        for (void* block : blocks)
            free_block(block, 200);
    };
    use();
    auto reserved = block_pool_stats().reserved_bytes;
    for (int i = 0; i < 20; ++i)
        use();
    EXPECT_EQ(block_pool_stats().reserved_bytes, reserved);
}

TEST(BlockPool, TakesBlocksBackOnAnotherThread) {
    auto before = block_pool_stats();
    for (int round = 0; round < 5; ++round) {
        std::vector<Block> blocks;
        for (int i = 0; i < 1000; ++i)
            blocks.push_back(make_block(300, 7));
        std::thread([&] {
            for (const Block& block : blocks) {
                EXPECT_TRUE(holds(block, 7));
                free_block(block.memory, block.bytes);
            }
        }).join();
    }
    EXPECT_EQ(block_pool_stats().live_blocks, before.live_blocks);
}

TEST(BlockPool, LosesNothingWhenAThreadEnds) {
    auto work = [] {
        std::vector<Block> blocks;
        for (std::size_t bytes = 64; bytes <= 4096; bytes += 64) {
            for (int i = 0; i < 3; ++i)
                blocks.push_back(make_block(bytes, 1));
        }
        for (const Block& block : blocks)
            free_block(block.memory, block.bytes);
    };
    auto before = block_pool_stats();
    std::thread(work).join();
    auto reserved = block_pool_stats().reserved_bytes;
    for (int i = 0; i < 50; ++i)
        std::thread(work).join();
    auto after = block_pool_stats();
    EXPECT_EQ(after.live_blocks, before.live_blocks);
    EXPECT_EQ(after.reserved_bytes, reserved);
}

// Destructors of thread-local objects run in the reverse order of their construction, so this one,
// built before the thread's first block, frees and allocates after the pool's cache was returned.
struct LateUser {
    std::vector<Block> blocks;
    ~LateUser() {
        for (const Block& block : blocks)
            free_block(block.memory, block.bytes);
        for (int i = 0; i < 200; ++i) {
            Block block = make_block(256, 3);
            Block other = make_block(256, 4);
            EXPECT_TRUE(holds(block, 3));
            free_block(block.memory, block.bytes);
            free_block(other.memory, other.bytes);
        }
    }
};

TEST(BlockPool, WorksWhileAThreadEnds) {
    auto run = [] {
        std::thread([] {
            static thread_local LateUser late;
            for (int i = 0; i < 200; ++i)
                late.blocks.push_back(make_block(256, 9));
        }).join();
    };
    auto before = block_pool_stats();
    run();
    auto reserved = block_pool_stats().reserved_bytes;
    for (int i = 0; i < 20; ++i)
        run();
    EXPECT_EQ(block_pool_stats().live_blocks, before.live_blocks);
    EXPECT_EQ(block_pool_stats().reserved_bytes, reserved);
}

// Several threads hand blocks around in a ring, each checks the bytes it was given.
TEST(BlockPool, SurvivesTradeBetweenManyThreads) {
    constexpr int kThreads = 4;
    constexpr int kRounds = 40;
    auto before = block_pool_stats();
    std::vector<Block> shelves[kThreads];
    for (int round = 0; round < kRounds; ++round) {
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&shelf = shelves[(t + round) % kThreads], t, round] {
                for (const Block& block : shelf) {
                    EXPECT_TRUE(holds(block, block.memory[0]));
                    free_block(block.memory, block.bytes);
                }
                shelf.clear();
                for (int i = 0; i < 500; ++i) {
                    auto bytes = static_cast<std::size_t>(1 + (i * 131 + t * 17 + round) % 1500);
                    shelf.push_back(make_block(bytes, static_cast<unsigned char>(1 + i % 200)));
                }
            });
        }
        for (std::thread& thread : threads)
            thread.join();
    }
    for (auto& shelf : shelves) {
        for (const Block& block : shelf)
            free_block(block.memory, block.bytes);
    }
    EXPECT_EQ(block_pool_stats().live_blocks, before.live_blocks);
}

}  // namespace
}  // namespace troupe
