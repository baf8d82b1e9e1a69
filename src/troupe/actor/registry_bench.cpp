// What it costs to look a name up, alone and while another thread registers and frees names, and
// what registering costs.

#include <troupe/actor/internal/registry.hpp>
#include <troupe/base/hash.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace troupe::actor_internal {
namespace {

constexpr std::string_view kType = "Thing";
constexpr std::uint32_t kNames = 10'000;

struct World {
    World() {
        for (std::uint32_t i = 0; i < kNames; ++i) {
            names.push_back("service/" + std::to_string(i));
            hashes.push_back(fnv1a_64(names.back()));
            NamedAddress holder;
            registry.add(names[i], hashes[i], {nullptr, i, 0, &kType}, holder);
        }
    }
    Registry registry;
    std::vector<std::string> names;
    std::vector<std::uint64_t> hashes;
};

World& world() {
    static World* const made = new World;
    return *made;
}

void look(benchmark::State& state, World& there, bool hash_known) {
    std::uint32_t at = static_cast<std::uint32_t>(state.thread_index()) * 4711;
    std::uint64_t found_all = 0;
    for (auto _ : state) {
        at = (at + 7919) % kNames;
        NamedAddress found;
        const std::uint64_t hash = hash_known ? there.hashes[at] : fnv1a_64(there.names[at]);
        found_all += there.registry.find(there.names[at], hash, found) ? 1 : 0;
    }
    if (found_all != static_cast<std::uint64_t>(state.iterations())) {
        state.SkipWithError("a name that is registered was not found");
    }
    state.SetItemsProcessed(state.iterations());
}

void register_and_free(World& there, std::uint64_t number) {
    const std::string name = "session/" + std::to_string(number % 1000);
    NamedAddress holder;
    NameEntry* const entry =
        there.registry.add(name, fnv1a_64(name), {nullptr, 1, 0, &kType}, holder);
    there.registry.remove(entry);
}

void find_by_constant(benchmark::State& state) {
    look(state, world(), true);
}
BENCHMARK(find_by_constant)->Threads(1)->Threads(2);

void find_by_text(benchmark::State& state) {
    look(state, world(), false);
}
BENCHMARK(find_by_text)->Threads(1)->Threads(2);

void come_and_go(benchmark::State& state) {
    std::uint64_t number = 0;
    for (auto _ : state)
        register_and_free(world(), number++);
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(come_and_go);

/// Registers and frees names without a pause on a thread of its own.
class Registrar {
public:
    explicit Registrar(World& there) : thread_([this, &there] { run(there); }) {}
    ~Registrar() {
        done_.store(true, std::memory_order_relaxed);
        thread_.join();
    }
    Registrar(const Registrar&) = delete;
    Registrar& operator=(const Registrar&) = delete;

    std::uint64_t registered() const noexcept {
        return registered_.load(std::memory_order_relaxed);
    }

private:
    void run(World& there) {
        while (!done_.load(std::memory_order_relaxed))
            register_and_free(there, registered_.fetch_add(1, std::memory_order_relaxed));
    }

    std::atomic<bool> done_{false};             // the bench writes, the thread reads
    std::atomic<std::uint64_t> registered_{0};  // the thread writes, the bench reads
    std::thread thread_;
};

/// The time is that of a look-up. items_per_second counts look-ups; registrations are those of the
/// other thread meanwhile, each freed again.
void find_while_another_registers(benchmark::State& state) {
    const Registrar registrar(world());
    const std::uint64_t before = registrar.registered();
    look(state, world(), true);
    state.counters["registrations"] = benchmark::Counter(
        static_cast<double>(registrar.registered() - before), benchmark::Counter::kIsRate);
}
BENCHMARK(find_while_another_registers)->UseRealTime();

}  // namespace
}  // namespace troupe::actor_internal
