#pragma once

// Memory for envelopes, coroutine frames and other blocks that live for a message or two.
//
// This is the hottest code of the project: each message allocates one block, often on one thread,
// and frees it on another. So each thread keeps free blocks by size and touches nothing shared;
// only when it has too many or none does it exchange 64 of them at a time with a global depot.
//
// Both functions are out of line on purpose. They read thread-local data, and a coroutine that is
// resumed on another thread must not keep using an address the compiler computed before.

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

/// What is handed out and what is held, for tests and gauges.
struct BlockPoolStats {
    std::uint64_t live_blocks = 0;     // allocated and not freed yet
    std::uint64_t live_bytes = 0;      // of those, rounded up to their size classes
    std::uint64_t reserved_bytes = 0;  // taken from the machine for pooled blocks; never given back
};

/// Threads: any. Approximate while others allocate, exact when all are quiet.
BlockPoolStats block_pool_stats() noexcept;

}  // namespace troupe
