// What a line of the log costs its caller: left out, taken, and dropped at the burst limit.

#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>

#include <benchmark/benchmark.h>

namespace troupe {
namespace {

void below_the_level(benchmark::State& state) {
    for (auto _ : state)
        log_debug("not written", {{"number", 7}});
}
BENCHMARK(below_the_level);

void beyond_the_burst(benchmark::State& state) {
    set_log_sink([](LogLevel, std::string_view) {});
    for (auto _ : state)
        log_info("again and again", {{"number", 7}});
}
BENCHMARK(beyond_the_burst);

// A clock that jumps a second at each line, so that no line exceeds its second's limit.
Duration jumping_clock() noexcept {
    static thread_local std::int64_t seconds = 0;
    return std::chrono::seconds(++seconds);
}

void written(benchmark::State& state) {
    set_log_clock(&jumping_clock);
    set_log_sink([](LogLevel, std::string_view) {});
    for (auto _ : state)
        log_info("connection accepted", {{"peer", "::1"}, {"open", 7}});
    log_flush();
    set_log_clock(nullptr);
}
BENCHMARK(written)->UseRealTime();

}  // namespace
}  // namespace troupe
