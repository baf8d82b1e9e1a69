#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/base/log.hpp>

#include <gtest/gtest.h>
#include <sched.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

namespace troupe {
namespace {

using namespace std::chrono_literals;

std::size_t entries_of(const char* folder) {
    const std::filesystem::directory_iterator entries(folder);
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

std::size_t mappings() {
    std::ifstream maps("/proc/self/maps");
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);)
        ++count;
    return count;
}

/// Does a little of everything a system has threads or memory for.
class Busy : public Actor {
public:
    explicit Busy(int children) {
        for (int i = 0; i < children; ++i)
            spawn<Busy>(0);
    }
    Task<int> work(int left) {
        ignore(co_await sleep(10us), "it may be stopped meanwhile");
        auto square = [left] { return left * left; };
        const Result<int> squared = co_await offload(std::move(square));
        co_return squared.value_or(0);
    }
};

Task<int> ask_all(System system) {
    const auto busy = system.spawn<Busy>(3);
    const auto own = system.spawn<Busy>(options().own_thread(), 0);
    const auto pinned = system.spawn<Busy>(options().pinned(), 0);
    const auto first = co_await busy.ask<&Busy::work>(3);
    const auto second = co_await own.ask<&Busy::work>(4);
    const auto third = co_await pinned.ask<&Busy::work>(5);
    // Left behind on purpose: a timer, a message and an answer that nobody waits for.
    busy.tell<&Busy::work>(6);
    co_return first.value_or(0) + second.value_or(0) + third.value_or(0);
}

void live() {
    OwnedSystem system(make_threaded_engine({.workers = 2}));
    EXPECT_EQ(system->block_on(ask_all(*system)), 9 + 16 + 25);
}

// Goal: a system can be started and stopped any number of times, and nothing grows. Method: 200
// lives, after a few in which the process takes what it keeps for good (its pools, its log).
TEST(Restart, LeavesNoThreadDescriptorOrMappingBehind) {
    constexpr int kWarmUp = 20;
    constexpr int kLives = 200;
    log_info("the log has a thread, which is there from the first line on");
    for (int i = 0; i < kWarmUp; ++i)
        live();
    const std::size_t threads = entries_of("/proc/self/task");
    const std::size_t descriptors = entries_of("/proc/self/fd");
    const std::size_t mapped = mappings();
    const std::uint64_t blocks = block_pool_stats().live_blocks;
    for (int i = 0; i < kLives && !HasFailure(); ++i)
        live();
    EXPECT_EQ(entries_of("/proc/self/fd"), descriptors);
    EXPECT_EQ(block_pool_stats().live_blocks, blocks);
    // A joined thread may be listed for a moment longer, and its stack is kept for the next one.
    while (entries_of("/proc/self/task") > threads)
        ::sched_yield();
    // On a busy machine there are more threads at a time, each with a few mappings that stay.
    EXPECT_LT(mappings(), mapped + kLives) << "memory is mapped anew in each life";
}

TEST(Restart, WorksOnTheDeterministicEngineToo) {
    actor_internal::on_seeds(50, [](OwnedSystem& system) {
        EXPECT_EQ(system->block_on(ask_all(*system)), 9 + 16 + 25);
    });
}

Task<int> answer() {
    co_return 42;
}
Task<Result<int>> answer_or_error() {
    co_return 42;
}

// Goal: whoever comes too late hears of it instead of waiting for ever.
TEST(Restart, RefusesToBlockOnASystemThatHasStopped) {
    actor_internal::on_both_engines(
        [](OwnedSystem& system) {
            const auto busy = system->spawn<Busy>(0);
            EXPECT_EQ(system->block_on(answer_or_error()).value(), 42);
            system.stop();
            EXPECT_EQ(system->block_on(answer_or_error()).error(), Errc::closed);
            EXPECT_EQ(system->block_on(busy.ask<&Busy::work>(1)).error(), Errc::closed);
        },
        3);
}

TEST(RestartDeathTest, StopsLoudlyWhereATaskCannotHearOfIt) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            OwnedSystem system;
            system.stop();
            static_cast<void>(system->block_on(answer()));
        },
        "after the engine had stopped");
}

}  // namespace
}  // namespace troupe
