#pragma once

// Memory for envelopes, coroutine frames and other blocks that live for a message or two.
//
// This is the hottest code of the project: each message allocates one block, often on one thread,
// and frees it on another. So each thread keeps free blocks by size and touches nothing shared;
// only when it has too many or none does it exchange 64 of them at a time with a global depot.
//
// Both functions are out of line on purpose. They read thread-local data, and a coroutine that is
// resumed on another thread must not keep using an address the compiler computed before. What each
// message does once is a third shorter in line (take_block_here), in functions that see to it
// themselves.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace troupe {

/// The largest block the pool keeps; larger ones go to the global allocator.
inline constexpr std::size_t kPooledBytesMax = 4096;

/// Every block begins at a multiple of this, one cache line.
inline constexpr std::size_t kBlockAlignment = 64;

/// Returns memory of at least this many bytes, aligned to a cache line.
///
/// Errors:  throws std::bad_alloc when the machine is out of memory, as operator new does.
/// Threads: any, also while a thread or the process ends.
[[nodiscard]] [[gnu::noinline]] [[gnu::returns_nonnull]] [[gnu::malloc]] [[gnu::assume_aligned(
    kBlockAlignment)]] void*
allocate_block(std::size_t bytes);

/// Takes a block back. `bytes` is what was asked for; a null pointer is ignored.
///
/// Threads: any, not only the one that allocated; also while a thread or the process ends.
[[gnu::noinline]] void free_block(void* block, std::size_t bytes) noexcept;

namespace block_pool_internal {

/// Up to here one class of blocks is one cache line larger than the one before.
inline constexpr std::size_t kEvenBytesMax = 512;
inline constexpr std::size_t kClasses = 24;

struct FreeBlock {
    FreeBlock* next;        // within its stack
    FreeBlock* next_batch;  // set in the first block of a batch only: in the depot, or spare
    std::uint32_t count;    // of its batch, in the depot
};
static_assert(sizeof(FreeBlock) <= kBlockAlignment);

// One size class on one thread. Only the owner touches it, except for the three counts, which
// block_pool_stats() reads from elsewhere: they are relaxed atomics, plain moves for the machine.
// A bin starts with no room, and so leads all to the slow path, where the thread registers itself;
// it ends that way, too, and stays so where blocks come from the global allocator.
struct alignas(64) Bin {
    FreeBlock* stack;                       // a batch - room blocks
    std::atomic<std::uint32_t> room;        // written by the owner, read by block_pool_stats
    std::atomic<std::uint32_t> fresh_left;  // the same
    std::atomic<std::uint32_t> spares;      // the same; so many blocks in whole batches
    FreeBlock* spare;                       // the first of these batches
    char* fresh;
};

// Trivial: neither a guard before its use nor a destructor that could run too early.
extern constinit thread_local Bin bins_of_thread[kClasses];

[[nodiscard]] [[gnu::noinline]] [[gnu::returns_nonnull]] [[gnu::malloc]] [[gnu::assume_aligned(
    kBlockAlignment)]] void*
allocate_of_class(std::size_t index, std::size_t bytes);
[[gnu::noinline]] void free_of_class(void* block, std::size_t index, std::size_t bytes) noexcept;

}  // namespace block_pool_internal

/// allocate_block of a size that is known when compiling: a third of its instructions are saved.
template <std::size_t kBytes>
[[nodiscard]] inline void* allocate_block_of() {
    if constexpr (kBytes > block_pool_internal::kEvenBytesMax) {
        return allocate_block(kBytes);
    } else {
        return block_pool_internal::allocate_of_class((kBytes - 1) / kBlockAlignment, kBytes);
    }
}

/// The same of free_block. Not for null.
template <std::size_t kBytes>
inline void free_block_of(void* block) noexcept {
    if constexpr (kBytes > block_pool_internal::kEvenBytesMax) {
        free_block(block, kBytes);
    } else {
        block_pool_internal::free_of_class(block, (kBytes - 1) / kBlockAlignment, kBytes);
    }
}

/// A block of at least this many bytes if the thread has one at hand, else null. In line: only in
/// an ordinary function that is marked noinline, never in one that may become part of a coroutine.
template <std::size_t kBytes>
[[nodiscard]] [[gnu::always_inline]] inline void* take_block_here() noexcept {
    if constexpr (kBytes > block_pool_internal::kEvenBytesMax) {
        return nullptr;
    } else {
        block_pool_internal::Bin& bin =
            block_pool_internal::bins_of_thread[(kBytes - 1) / kBlockAlignment];
        block_pool_internal::FreeBlock* const block = bin.stack;
        if (block == nullptr) [[unlikely]]
            return nullptr;
        bin.stack = block->next;
        bin.room.store(bin.room.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return block;
    }
}

/// free_block_of in line, as take_block_here.
template <std::size_t kBytes>
[[gnu::always_inline]] inline void free_block_here(void* memory) noexcept {
    if constexpr (kBytes > block_pool_internal::kEvenBytesMax) {
        free_block(memory, kBytes);
    } else {
        constexpr std::size_t kClass = (kBytes - 1) / kBlockAlignment;
        block_pool_internal::Bin& bin = block_pool_internal::bins_of_thread[kClass];
        const std::uint32_t room = bin.room.load(std::memory_order_relaxed);
        if (room == 0) [[unlikely]]
            return block_pool_internal::free_of_class(memory, kClass, kBytes);
        auto* const block = static_cast<block_pool_internal::FreeBlock*>(memory);
        block->next = bin.stack;
        bin.stack = block;
        bin.room.store(room - 1, std::memory_order_relaxed);
    }
}

/// What is handed out and what is held, for tests and gauges.
struct BlockPoolStats {
    std::uint64_t live_blocks = 0;     // allocated and not freed yet
    std::uint64_t live_bytes = 0;      // of those, rounded up to their size classes
    std::uint64_t reserved_bytes = 0;  // taken from the machine for pooled blocks; never given back
};

/// Threads: any. Approximate while others allocate, exact when all are quiet.
BlockPoolStats block_pool_stats() noexcept;

}  // namespace troupe
