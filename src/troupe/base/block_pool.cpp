#include <troupe/base/block_pool.hpp>
#include <troupe/base/mutex.hpp>

#include <array>
#include <atomic>
#include <iterator>
#include <new>

// How it works. Each size class has, per thread, a bin: a stack of free blocks with room for 64,
// some full spare stacks of 64, and a range of fresh memory that was never handed out. Allocating
// pops the stack, freeing pushes. At the edges whole stacks change hands: an empty stack is
// replaced by a spare, by fresh memory, by a batch from the depot, in this order; a full one
// becomes a spare, and where there are as many as may be another of them goes to the depot. So the
// depot's lock is taken once per 64 blocks at most, nobody walks a list, and a thread whose blocks
// come and go by the mailbox, a thousand messages at a time, does not touch the depot.
//
// Dropped: returning each block to its owner's own list (one locked instruction per block instead
// of one lock per 64); one central list per class without batches (the list's walk misses the
// cache); fetching the next block's line ahead of its use (4 % slower alone, no gain seen across
// two threads). Fresh memory is not linked in advance, so a page is touched when it is needed.
//
// Under the address sanitizer each block comes from the global allocator: use after free is seen.

#if defined(__SANITIZE_ADDRESS__)
#define TROUPE_INTERNAL_POOL_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TROUPE_INTERNAL_POOL_BLOCKS 0
#endif
#endif
#if !defined(TROUPE_INTERNAL_POOL_BLOCKS)
#define TROUPE_INTERNAL_POOL_BLOCKS 1
#endif

namespace troupe {

constinit thread_local block_pool_internal::Bin block_pool_internal::bins_of_thread[kClasses]{};

namespace {

// Blocks that come from the global allocator, one by one.
constinit std::atomic<std::uint64_t> g_direct_blocks{0};  // written and read by any thread
constinit std::atomic<std::uint64_t> g_direct_bytes{0};   // written and read by any thread

// Out of line, so that the fast paths need no stack frame.
[[gnu::noinline]] void* allocate_direct(std::size_t bytes) {
    void* block = ::operator new(bytes, std::align_val_t{kBlockAlignment});
    g_direct_blocks.fetch_add(1, std::memory_order_relaxed);
    g_direct_bytes.fetch_add(bytes, std::memory_order_relaxed);
    return block;
}

[[gnu::noinline]] void free_direct(void* block, std::size_t bytes) noexcept {
    g_direct_blocks.fetch_sub(1, std::memory_order_relaxed);
    g_direct_bytes.fetch_sub(bytes, std::memory_order_relaxed);
    ::operator delete(block, std::align_val_t{kBlockAlignment});
}

}  // namespace

#if TROUPE_INTERNAL_POOL_BLOCKS

namespace {

using block_pool_internal::Bin;
using block_pool_internal::bins_of_thread;
using block_pool_internal::FreeBlock;
using block_pool_internal::kClasses;

constexpr std::uint32_t kBatch = 64;               // blocks that change hands at once
constexpr std::size_t kChunkBytes = 256 * 1024;    // taken from the machine at once
constexpr std::size_t kChunkAlignment = 4096;      // a page
constexpr std::size_t kFreshBytesMax = 16 * 1024;  // fresh memory one thread reserves at once

// What one thread keeps in spare stacks of one size, or one stack where that is more: the envelopes
// that fill a mailbox of the default size once.
constexpr std::size_t kSpareBytesMax = 64 * 1024;

// Steps of 64 up to 512, of 128 up to 1024, of 256 up to 4096: at most a fifth is wasted.
constexpr std::uint16_t kClassBytes[] = {64,   128,  192,  256,  320,  384,  448,  512,
                                         640,  768,  896,  1024, 1280, 1536, 1792, 2048,
                                         2304, 2560, 2816, 3072, 3328, 3584, 3840, 4096};
static_assert(std::size(kClassBytes) == kClasses);
constexpr std::size_t kUnitsMax = kPooledBytesMax / kBlockAlignment;

// From a size in cache lines, rounded up, to its class.
constexpr auto kClassOfUnits = [] {
    std::array<std::uint8_t, kUnitsMax + 1> table{};
    std::size_t index = 0;
    for (std::size_t units = 0; units <= kUnitsMax; ++units) {
        if (units * kBlockAlignment > kClassBytes[index]) ++index;
        table[units] = static_cast<std::uint8_t>(index);
    }
    return table;
}();

// For bytes up to kPooledBytesMax.
constexpr std::size_t class_of(std::size_t bytes) {
    return kClassOfUnits[(bytes + kBlockAlignment - 1) / kBlockAlignment];
}

enum class CacheState : std::uint8_t { unregistered, open, closed };

struct ThreadCache {
    Bin* bins;  // the thread's, once it is registered
    CacheState state;
    ThreadCache* next;      // guarded by g_threads.mutex
    ThreadCache* previous;  // guarded by g_threads.mutex
};

// Trivial, as the bins are.
constinit thread_local ThreadCache t_cache{};

struct alignas(64) Depot {
    Mutex mutex{LockRank::block_pool_depot};
    FreeBlock* batches TROUPE_GUARDED_BY(mutex) = nullptr;
    std::uint64_t blocks TROUPE_GUARDED_BY(mutex) = 0;  // in all batches
    std::uint64_t carved TROUPE_GUARDED_BY(mutex) = 0;  // ever made of this class

    void put(FreeBlock* batch, std::uint32_t count) noexcept {
        batch->count = count;
        LockGuard lock(mutex);
        batch->next_batch = batches;
        batches = batch;
        blocks += count;
    }

    FreeBlock* take() noexcept {
        LockGuard lock(mutex);
        FreeBlock* batch = batches;
        if (batch == nullptr) return nullptr;
        batches = batch->next_batch;
        blocks -= batch->count;
        return batch;
    }
};

struct Chunk {  // the head of each chunk; keeps them reachable for leak checkers
    Chunk* next;
};

struct Chunks {
    Mutex mutex{LockRank::block_pool_chunks};
    char* cursor TROUPE_GUARDED_BY(mutex) = nullptr;
    char* end TROUPE_GUARDED_BY(mutex) = nullptr;
    Chunk* all TROUPE_GUARDED_BY(mutex) = nullptr;
    std::uint64_t reserved TROUPE_GUARDED_BY(mutex) = 0;

    // Fresh memory for at most `wanted` blocks of this size; says how many it is.
    char* carve(std::size_t block_bytes, std::uint32_t wanted, std::uint32_t& got) {
        LockGuard lock(mutex);
        if (static_cast<std::size_t>(end - cursor) < block_bytes) refill();
        std::size_t fitting = static_cast<std::size_t>(end - cursor) / block_bytes;
        got = fitting < wanted ? static_cast<std::uint32_t>(fitting) : wanted;
        char* begin = cursor;
        cursor += got * block_bytes;
        return begin;
    }

    // The rest of the old chunk, less than one block, is given up.
    void refill() TROUPE_REQUIRES(mutex) {
        void* memory = ::operator new(kChunkBytes, std::align_val_t{kChunkAlignment});
        all = new (memory) Chunk{all};
        cursor = static_cast<char*>(memory) + kBlockAlignment;
        end = static_cast<char*>(memory) + kChunkBytes;
        reserved += kChunkBytes;
    }
};

struct Threads {
    Mutex mutex{LockRank::block_pool_threads};
    ThreadCache* first TROUPE_GUARDED_BY(mutex) = nullptr;
};

constinit Depot g_depots[kClasses];
constinit Chunks g_chunks;
constinit Threads g_threads;

// The order of memory: the counts are only statistics, all else has one owner.
std::uint32_t get(const std::atomic<std::uint32_t>& count) noexcept {
    return count.load(std::memory_order_relaxed);
}
void set(std::atomic<std::uint32_t>& count, std::uint32_t value) noexcept {
    count.store(value, std::memory_order_relaxed);
}

/// A full stack, or null.
FreeBlock* take_spare(Bin& bin) noexcept {
    FreeBlock* const spare = bin.spare;
    if (spare == nullptr) return nullptr;
    bin.spare = spare->next_batch;
    set(bin.spares, get(bin.spares) - kBatch);
    return spare;
}

/// How many blocks may lie in spare stacks of this class.
constexpr std::uint32_t spares_max(std::size_t index) noexcept {
    const auto fitting = static_cast<std::uint32_t>(kSpareBytesMax / kClassBytes[index]);
    return fitting > kBatch ? fitting - fitting % kBatch : kBatch;
}

void close_cache(ThreadCache& cache) noexcept {
    {
        LockGuard lock(g_threads.mutex);
        (cache.previous != nullptr ? cache.previous->next : g_threads.first) = cache.next;
        if (cache.next != nullptr) cache.next->previous = cache.previous;
    }
    cache.state = CacheState::closed;
    for (std::size_t index = 0; index < kClasses; ++index) {
        Bin& bin = cache.bins[index];
        if (bin.stack != nullptr) g_depots[index].put(bin.stack, kBatch - get(bin.room));
        while (FreeBlock* const spare = take_spare(bin))
            g_depots[index].put(spare, kBatch);
        FreeBlock* fresh = nullptr;
        std::uint32_t fresh_count = get(bin.fresh_left);
        for (std::uint32_t i = fresh_count; i > 0; --i) {
            fresh = new (bin.fresh + (i - 1) * kClassBytes[index]) FreeBlock{fresh, nullptr, 0};
        }
        if (fresh != nullptr) g_depots[index].put(fresh, fresh_count);
        bin.stack = nullptr;
        set(bin.room, 0);
        set(bin.fresh_left, 0);
    }
}

// Lives apart from the cache, so that the cache itself stays trivial.
struct CacheReturner {
    ThreadCache* cache = nullptr;
    ~CacheReturner() {
        if (cache != nullptr) close_cache(*cache);
    }
};
thread_local CacheReturner t_returner;

void open_cache(ThreadCache& cache) noexcept {
    t_returner.cache = &cache;  // the first touch has the destructor called at thread exit
    cache.bins = bins_of_thread;
    for (Bin& bin : bins_of_thread)
        set(bin.room, kBatch);
    cache.state = CacheState::open;
    LockGuard lock(g_threads.mutex);
    cache.next = g_threads.first;
    if (cache.next != nullptr) cache.next->previous = &cache;
    g_threads.first = &cache;
}

void* take_fresh(Bin& bin, std::size_t index) noexcept {
    void* block = bin.fresh;
    bin.fresh += kClassBytes[index];
    set(bin.fresh_left, get(bin.fresh_left) - 1);
    return block;
}

// The bin has no free block in its stack.
[[gnu::noinline]] void* allocate_slowly(std::size_t index) {
    ThreadCache& cache = t_cache;
    if (cache.state == CacheState::unregistered) open_cache(cache);
    Bin& bin = cache.bins[index];
    Depot& depot = g_depots[index];

    if (FreeBlock* const block = take_spare(bin)) {
        bin.stack = block->next;
        set(bin.room, 1);
        return block;
    }
    if (get(bin.fresh_left) != 0) return take_fresh(bin, index);
    if (FreeBlock* block = depot.take()) {
        std::uint32_t count = block->count;
        if (cache.state == CacheState::open) {
            bin.stack = block->next;
            set(bin.room, kBatch - (count - 1));
        } else if (block->next != nullptr) {  // the thread is ending and keeps nothing
            depot.put(block->next, count - 1);
        }
        return block;
    }

    std::size_t bytes = kClassBytes[index];
    std::size_t fitting = kFreshBytesMax / bytes;
    std::uint32_t wanted = fitting < kBatch ? static_cast<std::uint32_t>(fitting) : kBatch;
    if (cache.state != CacheState::open) wanted = 1;
    std::uint32_t got = 0;
    bin.fresh = g_chunks.carve(bytes, wanted, got);
    {
        LockGuard lock(depot.mutex);
        depot.carved += got;
    }
    set(bin.fresh_left, got);
    return take_fresh(bin, index);
}

// The bin has no room in its stack.
[[gnu::noinline]] void free_slowly(FreeBlock* block, std::size_t index) noexcept {
    ThreadCache& cache = t_cache;
    if (cache.state == CacheState::unregistered) open_cache(cache);
    Bin& bin = cache.bins[index];
    block->next = nullptr;
    if (cache.state == CacheState::closed) {
        g_depots[index].put(block, 1);
        return;
    }
    if (bin.stack != nullptr) {
        if (get(bin.spares) >= spares_max(index)) g_depots[index].put(take_spare(bin), kBatch);
        bin.stack->next_batch = bin.spare;
        bin.spare = bin.stack;
        set(bin.spares, get(bin.spares) + kBatch);
    }
    bin.stack = block;
    set(bin.room, kBatch - 1);
}

}  // namespace

namespace {

[[gnu::always_inline]] inline void* allocate_from_bin(std::size_t index) {
    Bin& bin = bins_of_thread[index];
    FreeBlock* block = bin.stack;
    if (block == nullptr) [[unlikely]]
        return allocate_slowly(index);
    bin.stack = block->next;
    set(bin.room, get(bin.room) + 1);
    return block;
}

[[gnu::always_inline]] inline void free_to_bin(void* memory, std::size_t index) noexcept {
    Bin& bin = bins_of_thread[index];
    auto* block = static_cast<FreeBlock*>(memory);
    std::uint32_t room = get(bin.room);
    if (room == 0) [[unlikely]]
        return free_slowly(block, index);
    block->next = bin.stack;
    bin.stack = block;
    set(bin.room, room - 1);
}

}  // namespace

void* allocate_block(std::size_t bytes) {
    if (bytes > kPooledBytesMax) [[unlikely]]
        return allocate_direct(bytes);
    return allocate_from_bin(class_of(bytes));
}

void free_block(void* memory, std::size_t bytes) noexcept {
    if (memory == nullptr) return;
    if (bytes > kPooledBytesMax) [[unlikely]]
        return free_direct(memory, bytes);
    free_to_bin(memory, class_of(bytes));
}

static_assert(class_of(block_pool_internal::kEvenBytesMax) ==
              block_pool_internal::kEvenBytesMax / kBlockAlignment - 1);

void* block_pool_internal::allocate_of_class(std::size_t index, std::size_t /*bytes*/) {
    return allocate_from_bin(index);
}

void block_pool_internal::free_of_class(void* block, std::size_t index,
                                        std::size_t /*bytes*/) noexcept {
    free_to_bin(block, index);
}

BlockPoolStats block_pool_stats() noexcept {
    std::int64_t live[kClasses] = {};  // a count that moves while we add may pass below zero
    LockGuard lock(g_threads.mutex);
    for (std::size_t index = 0; index < kClasses; ++index) {
        LockGuard depot_lock(g_depots[index].mutex);
        live[index] = static_cast<std::int64_t>(g_depots[index].carved - g_depots[index].blocks);
    }
    for (const ThreadCache* cache = g_threads.first; cache != nullptr; cache = cache->next) {
        for (std::size_t index = 0; index < kClasses; ++index) {
            const Bin& bin = cache->bins[index];
            live[index] -= kBatch - get(bin.room) + get(bin.spares) + get(bin.fresh_left);
        }
    }
    BlockPoolStats stats;
    stats.live_blocks = g_direct_blocks.load(std::memory_order_relaxed);
    stats.live_bytes = g_direct_bytes.load(std::memory_order_relaxed);
    for (std::size_t index = 0; index < kClasses; ++index) {
        std::uint64_t blocks = live[index] > 0 ? static_cast<std::uint64_t>(live[index]) : 0;
        stats.live_blocks += blocks;
        stats.live_bytes += blocks * kClassBytes[index];
    }
    LockGuard chunks_lock(g_chunks.mutex);
    stats.reserved_bytes = g_chunks.reserved;
    return stats;
}

#else

void* allocate_block(std::size_t bytes) {
    return allocate_direct(bytes);
}

void free_block(void* memory, std::size_t bytes) noexcept {
    if (memory != nullptr) free_direct(memory, bytes);
}

void* block_pool_internal::allocate_of_class(std::size_t /*index*/, std::size_t bytes) {
    return allocate_direct(bytes);
}

void block_pool_internal::free_of_class(void* block, std::size_t /*index*/,
                                        std::size_t bytes) noexcept {
    free_direct(block, bytes);
}

BlockPoolStats block_pool_stats() noexcept {
    BlockPoolStats stats;
    stats.live_blocks = g_direct_blocks.load(std::memory_order_relaxed);
    stats.live_bytes = g_direct_bytes.load(std::memory_order_relaxed);
    return stats;
}

#endif

}  // namespace troupe
