// What a block costs, beside the global allocator: alone, in groups, and handed to another thread.

#include <troupe/base/block_pool.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <thread>

namespace troupe {
namespace {

struct Pool {
    static void* allocate(std::size_t bytes) { return allocate_block(bytes); }
    static void release(void* block, std::size_t bytes) { free_block(block, bytes); }
};

struct Global {
    static void* allocate(std::size_t bytes) { return ::operator new(bytes); }
    static void release(void* block, std::size_t) { ::operator delete(block); }
};

template <class Allocator>
void one_at_a_time(benchmark::State& state) {
    auto bytes = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        void* block = Allocator::allocate(bytes);
        benchmark::DoNotOptimize(block);
        Allocator::release(block, bytes);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(one_at_a_time<Pool>)->Arg(64)->Arg(192)->Arg(1024)->Arg(4096);
BENCHMARK(one_at_a_time<Global>)->Arg(64)->Arg(192)->Arg(1024)->Arg(4096);

// So many blocks live at once, freed in the order they came.
template <class Allocator>
void in_groups(benchmark::State& state) {
    constexpr std::size_t kBytes = 128;
    constexpr int kMost = 1000;
    auto group = static_cast<int>(state.range(0));
    void* blocks[kMost];
    for (auto _ : state) {
        for (int i = 0; i < group; ++i) {
            blocks[i] = Allocator::allocate(kBytes);
            *static_cast<std::uint64_t*>(blocks[i]) = 1;
        }
        for (int i = 0; i < group; ++i)
            Allocator::release(blocks[i], kBytes);
    }
    state.SetItemsProcessed(state.iterations() * group);
}
BENCHMARK(in_groups<Pool>)->Arg(30)->Arg(100)->Arg(1000);
BENCHMARK(in_groups<Global>)->Arg(30)->Arg(100)->Arg(1000);

// A bounded ring between one producer and one consumer, as a mailbox would be.
struct Ring {
    static constexpr std::uint64_t kSlots = 1024;
    void* slots[kSlots];
    alignas(64) std::atomic<std::uint64_t> written{0};  // by the producer
    alignas(64) std::atomic<std::uint64_t> read{0};     // by the consumer
    alignas(64) std::atomic<bool> done{false};          // by the producer
};

template <class Allocator>
void freed_by_another_thread(benchmark::State& state) {
    constexpr std::size_t kBytes = 128;
    Ring ring;
    std::thread consumer([&ring] {
        std::uint64_t read = 0;
        for (;;) {
            // acquire: sees the slots; pairs with the producer's store of written.
            std::uint64_t written = ring.written.load(std::memory_order_acquire);
            if (read == written) {
                // acquire: pairs with the producer's last store.
                if (ring.done.load(std::memory_order_acquire)) break;
                std::this_thread::yield();
            }
            while (read != written) {
                void* block = ring.slots[read % Ring::kSlots];
                benchmark::DoNotOptimize(*static_cast<std::uint64_t*>(block));
                Allocator::release(block, kBytes);
                ++read;
            }
            // release: the slots are free again; pairs with the producer's load of read.
            ring.read.store(read, std::memory_order_release);
        }
    });
    std::uint64_t written = 0;
    std::uint64_t read = 0;
    for (auto _ : state) {
        while (written - read == Ring::kSlots) {
            std::this_thread::yield();
            read = ring.read.load(std::memory_order_acquire);  // pairs with the consumer's store
        }
        void* block = Allocator::allocate(kBytes);
        *static_cast<std::uint64_t*>(block) = written;
        ring.slots[written % Ring::kSlots] = block;
        ++written;
        // release: publishes the slot; pairs with the consumer's load of written. In groups, so
        // that the bench measures the allocator and not the ring.
        if (written % 32 == 0) ring.written.store(written, std::memory_order_release);
    }
    ring.written.store(written, std::memory_order_release);  // the rest of the last group
    ring.done.store(true, std::memory_order_release);        // pairs with the consumer's load
    consumer.join();
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(freed_by_another_thread<Pool>)->UseRealTime();
BENCHMARK(freed_by_another_thread<Global>)->UseRealTime();

}  // namespace
}  // namespace troupe
