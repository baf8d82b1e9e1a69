// What it costs to start, to restart and to stop supervised actors, ten thousand of them.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/scheduler/latch.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kChildren = 10'000;
constexpr std::size_t kRestartsMax = 1'000'000'000;

/// Says when so many have started.
struct Tally {
    std::atomic<std::size_t> starts{0};  // the children write and read
    std::unique_ptr<Latch> all;
};

class Member : public Actor {
public:
    explicit Member(Tally* tally) {
        if (tally->starts.fetch_add(1, std::memory_order_relaxed) + 1 == kChildren) {
            tally->all->open();
        }
    }
    void fail() { throw std::runtime_error("on purpose"); }
};

/// Each failure writes two lines: formatting them is part of the cost, what a terminal takes is
/// not.
class NoTerminal {
public:
    NoTerminal() {
        set_log_sink([](LogLevel, std::string_view) {});
    }
    ~NoTerminal() { set_log_sink({}); }
    NoTerminal(const NoTerminal&) = delete;
    NoTerminal& operator=(const NoTerminal&) = delete;
};

void expect_all(Tally& tally) {
    tally.starts.store(0, std::memory_order_relaxed);
    tally.all = std::make_unique<Latch>();
}

void fail_all(benchmark::State& state, OwnedSystem& system, Tally& tally,
              const std::vector<Ref<Member>>& workers) {
    for (auto _ : state) {
        expect_all(tally);
        for (const Ref<Member>& worker : workers)
            worker.tell<&Member::fail>();
        system->engine().run_until(*tally.all);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kChildren));
}

Supervisor written_tree(Tally& tally, std::vector<Child<Member>>& children) {
    auto tree = supervisor("bench");
    tree.intensity(kRestartsMax, 1ns);
    for (std::size_t i = 0; i < kChildren; ++i)
        children.push_back(tree.child<Member>(std::to_string(i), &tally));
    return tree;
}

void restart_written_children(benchmark::State& state) {
    const NoTerminal quiet;
    Tally tally;
    OwnedSystem system;
    expect_all(tally);
    std::vector<Child<Member>> children;
    const auto running = system->block_on(system->start(written_tree(tally, children)));
    std::vector<Ref<Member>> workers;
    for (const auto& child : children)
        workers.push_back(running->ref(child));
    fail_all(state, system, tally, workers);
}
BENCHMARK(restart_written_children)->UseRealTime()->Unit(benchmark::kMillisecond);

Task<std::vector<Ref<Member>>> start_all(Children<Member> group, Tally* tally) {
    std::vector<Ref<Member>> workers;
    for (std::size_t i = 0; i < kChildren; ++i)
        workers.push_back(*co_await group.start(tally));
    co_return workers;
}

void restart_children_of_a_group(benchmark::State& state) {
    const NoTerminal quiet;
    Tally tally;
    OwnedSystem system;
    expect_all(tally);
    auto tree = supervisor("bench");
    auto group = tree.dynamic<Member>("group", permanent().intensity(kRestartsMax, 1ns));
    const auto running = system->block_on(system->start(std::move(tree)));
    const auto workers = system->block_on(start_all(running->ref(group), &tally));
    fail_all(state, system, tally, workers);
}
BENCHMARK(restart_children_of_a_group)->UseRealTime()->Unit(benchmark::kMillisecond);

void start_and_stop_a_written_tree(benchmark::State& state) {
    const NoTerminal quiet;
    Tally tally;
    OwnedSystem system;
    for (auto _ : state) {
        expect_all(tally);
        std::vector<Child<Member>> children;
        const auto running = system->block_on(system->start(written_tree(tally, children)));
        ignore(system->block_on(running->stop()), "a bench");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kChildren));
}
BENCHMARK(start_and_stop_a_written_tree)->UseRealTime()->Unit(benchmark::kMillisecond);

void start_and_stop_a_group(benchmark::State& state) {
    const NoTerminal quiet;
    Tally tally;
    OwnedSystem system;
    for (auto _ : state) {
        expect_all(tally);
        auto tree = supervisor("bench");
        auto group = tree.dynamic<Member>("group", temporary());
        const auto running = system->block_on(system->start(std::move(tree)));
        benchmark::DoNotOptimize(system->block_on(start_all(running->ref(group), &tally)));
        ignore(system->block_on(running->stop()), "a bench");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kChildren));
}
BENCHMARK(start_and_stop_a_group)->UseRealTime()->Unit(benchmark::kMillisecond);

class Starter : public Actor {
public:
    Task<> start(Children<Member> group, Tally* tally, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
            ignore(co_await group.start(tally), "the tally counts those that start");
    }
};
}  // namespace

template <>
inline constexpr bool kSendable<Tally*> = true;

namespace {

/// A hundred actors start ten thousand children between them, in a group of so many shards; then
/// the group is stopped.
void start_from_many_sides_and_stop(benchmark::State& state) {
    const NoTerminal quiet;
    constexpr std::size_t kStarters = 100;
    Tally tally;
    OwnedSystem system;
    std::vector<Ref<Starter>> starters;
    for (std::size_t i = 0; i < kStarters; ++i)
        starters.push_back(system->spawn<Starter>());
    for (auto _ : state) {
        expect_all(tally);
        auto tree = supervisor("bench");
        auto token = tree.dynamic<Member>(
            "group", temporary().shards(static_cast<std::size_t>(state.range(0))));
        const auto running = system->block_on(system->start(std::move(tree)));
        const Children<Member> group = running->ref(token);
        for (const Ref<Starter>& starter : starters)
            starter.tell<&Starter::start>(group, &tally, kChildren / kStarters);
        system->engine().run_until(*tally.all);
        ignore(system->block_on(running->stop()), "a bench");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kChildren));
}
BENCHMARK(start_from_many_sides_and_stop)
    ->ArgName("shards")
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace troupe
