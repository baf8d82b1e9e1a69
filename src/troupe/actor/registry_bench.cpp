// What it costs to look a name up, alone and while another thread registers and frees names, and
// what registering costs.

#include <troupe/actor/internal/registry.hpp>
#include <troupe/base/hash.hpp>

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
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

void come_and_go(benchmark::State& state, World& there) {
    std::uint32_t number = 0;
    for (auto _ : state) {
        const std::string name = "session/" + std::to_string(number++ % 1000);
        NamedAddress holder;
        NameEntry* const entry =
            there.registry.add(name, fnv1a_64(name), {nullptr, 1, 0, &kType}, holder);
        there.registry.remove(entry);
    }
    state.SetItemsProcessed(state.iterations());
}

void find_by_constant(benchmark::State& state) {
    look(state, world(), true);
}
BENCHMARK(find_by_constant)->Threads(1)->Threads(2);

void find_by_text(benchmark::State& state) {
    look(state, world(), false);
}
BENCHMARK(find_by_text)->Threads(1)->Threads(2);

void register_and_free(benchmark::State& state) {
    come_and_go(state, world());
}
BENCHMARK(register_and_free)->Threads(1);

/// One thread registers and frees without a pause, the other looks up; the times are of both.
void find_while_another_registers(benchmark::State& state) {
    if (state.thread_index() == 0) {
        look(state, world(), true);
    } else {
        come_and_go(state, world());
    }
}
BENCHMARK(find_while_another_registers)->Threads(2);

}  // namespace
}  // namespace troupe::actor_internal
