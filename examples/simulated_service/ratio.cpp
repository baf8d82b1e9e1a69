// How much faster than real time three machines are simulated: a shop's front and its two back ends
// over HTTP, customers, a crash and a restart each ten seconds, a partition each fifteen.

#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/sim/run.hpp>

#include "world.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>

namespace {

using namespace std::chrono_literals;
using troupe::Duration;

std::shared_ptr<shop::Seen> seen;

void ten_minutes(troupe::Sim& sim) {
    seen = std::make_shared<shop::Seen>();
    const shop::Machines machines = shop::open_shop(sim);
    sim.settle();
    for (const char* const name : {"ann", "bob", "cyd", "dan"})
        sim.spawn<shop::Customer>(name, Duration(50ms), seen);
    for (int second = 1; second <= 600; ++second) {
        sim.advance(1s);
        if (second % 10 == 0) machines.stock->crash();
        if (second % 10 == 1 && !machines.stock->up()) machines.stock->start();
        if (second % 15 == 0) sim.partition("front", "prices");
        if (second % 15 == 2) sim.mend_partition("front", "prices");
    }
}

double run(std::uint64_t seed) {
    troupe::RandomChooser random(seed);
    troupe::sim::RunOptions options;
    options.steps_max = 100'000'000;
    const auto begin = std::chrono::steady_clock::now();
    const auto result = troupe::sim::run_once({"shop", &ten_minutes, {}}, random, options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const double simulated = static_cast<double>(result.time.count()) / 1e9;
    std::printf(
        "seed %llu: %.0f s of three machines in %.2f s, %.0f times real time; %llu answers, %llu "
        "refusals, %zu sold; %.2f M steps, %.2f M a second%s\n",
        static_cast<unsigned long long>(seed), simulated, took.count(), simulated / took.count(),
        static_cast<unsigned long long>(seen->answers),
        static_cast<unsigned long long>(seen->refusals), seen->sold.size(),
        static_cast<double>(result.steps) / 1e6,
        static_cast<double>(result.steps) / took.count() / 1e6,
        result.failure ? (" FAILED: " + result.failure->text).c_str() : "");
    return result.failure ? 0 : simulated / took.count();
}

}  // namespace

int main() {
    troupe::set_log_sink([](troupe::LogLevel, std::string_view) {});  // each crash would be told
    bool fast = true;
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
        fast = run(seed) >= 100 && fast;
    if (!fast) std::printf("slower than 100 times real time\n");
    return fast ? 0 : 1;
}
