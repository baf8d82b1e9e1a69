// What it costs to run things at the same time and to wait for all of them: one, ten, a million.
// Prints one JSON line, in nanoseconds per child, all but the smallest of five runs left out.

#include <troupe/actor/system.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/task_group.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace {

using Clock = std::chrono::steady_clock;

troupe::Task<int> child(int n) {
    co_return n;
}

/// `rounds` groups, one after the other, of so many children each.
troupe::Task<long> run_groups(int rounds, int children) {
    long sum = 0;
    for (int round = 0; round < rounds; ++round) {
        auto group = troupe::task_group<int>(troupe::all_successful());
        for (int i = 0; i < children; ++i)
            group.add(child, 1);
        const auto all = co_await group.run();
        for (const int one : *all)
            sum += one;
    }
    co_return sum;
}

/// The same without a group: a child that is awaited where it is made.
troupe::Task<long> await_tasks(int rounds) {
    long sum = 0;
    for (int round = 0; round < rounds; ++round)
        sum += co_await child(1);
    co_return sum;
}

template <class Make>
double best_of_five(troupe::OwnedSystem& system, long children, Make make) {
    double best = 1e18;
    for (int i = 0; i < 5; ++i) {
        const auto begin = Clock::now();
        const long sum = system->block_on(make());
        const std::chrono::duration<double, std::nano> took = Clock::now() - begin;
        if (sum != children) {
            std::fprintf(stderr, "wrong: %ld of %ld children\n", sum, children);
            std::exit(1);
        }
        best = std::min(best, took.count() / static_cast<double>(children));
    }
    return best;
}

}  // namespace

int main() {
    troupe::OwnedSystem system;
    constexpr int kMany = 1'000'000;
    const double awaited = best_of_five(system, kMany, [] { return await_tasks(kMany); });
    const double one = best_of_five(system, 200'000, [] { return run_groups(200'000, 1); });
    const double ten = best_of_five(system, 1'000'000, [] { return run_groups(100'000, 10); });
    const double million = best_of_five(system, kMany, [] { return run_groups(1, kMany); });
    std::printf(
        "{\"peer\":\"troupe\",\"awaited\":%.1f,\"group_of_1\":%.1f,\"group_of_10\":%.1f,"
        "\"group_of_1M\":%.1f}\n",
        awaited, one, ten, million);
    return 0;
}
