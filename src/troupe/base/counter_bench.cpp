// What it costs to count, by one thread and by two.

#include <troupe/base/clock.hpp>
#include <troupe/base/counter.hpp>

#include <benchmark/benchmark.h>

namespace troupe {
namespace {

Counter g_counter;
Histogram g_histogram;

void counter_add(benchmark::State& state) {
    for (auto _ : state)
        g_counter.add();
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(counter_add)->Threads(1)->Threads(2);

void histogram_add(benchmark::State& state) {
    std::uint64_t value = 1;
    for (auto _ : state) {
        g_histogram.add(value & 0xfffff);
        value = value * 6364136223846793005u + 1442695040888963407u;
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(histogram_add)->Threads(1)->Threads(2);

void clock_read(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(monotonic_now());
}
BENCHMARK(clock_read);

}  // namespace
}  // namespace troupe
