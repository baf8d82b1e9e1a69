// What an actor pays to set a timer and to cancel it, with a million of them on the clock.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>

#include <benchmark/benchmark.h>

#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;

class Setter : public Actor {
public:
    void set(int count) {
        timers_.reserve(static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i)
            timers_.push_back(after<&Setter::never>(1h + Duration(i) * 1'000, i));
    }
    void cancel() {
        for (Timer& timer : timers_)
            timer.cancel();
        timers_.clear();
    }
    void set_and_cancel(int count) {
        for (int i = 0; i < count; ++i)
            after<&Setter::never>(1s, i).cancel();
    }
    void replace(int count) {
        const TimerKey key("retry");
        for (int i = 0; i < count; ++i)
            after<&Setter::never>(key, 1s, i);
    }

private:
    void never(int) {}
    std::vector<Timer> timers_;
};

constexpr int kMillion = 1'000'000;

template <class... Asks>
void run_all(benchmark::State& state, OwnedSystem& system, Asks... asks) {
    const auto run_one = [&](auto ask) {
        const auto done = system->block_on(std::move(ask).within(10min));
        if (!done) state.SkipWithError("the actor has not answered");
    };
    (run_one(std::move(asks)), ...);
}

void set_a_million_then_cancel_them(benchmark::State& state) {
    OwnedSystem system;
    auto setter = system->spawn<Setter>();
    for (auto _ : state)
        run_all(state, system, setter.ask<&Setter::set>(kMillion), setter.ask<&Setter::cancel>());
    state.SetItemsProcessed(state.iterations() * kMillion);
}
BENCHMARK(set_a_million_then_cancel_them)->Unit(benchmark::kMillisecond)->UseRealTime();

void set_and_cancel_at_once(benchmark::State& state) {
    OwnedSystem system;
    auto setter = system->spawn<Setter>();
    for (auto _ : state)
        run_all(state, system, setter.ask<&Setter::set_and_cancel>(kMillion));
    state.SetItemsProcessed(state.iterations() * kMillion);
}
BENCHMARK(set_and_cancel_at_once)->Unit(benchmark::kMillisecond)->UseRealTime();

void replace_under_a_key(benchmark::State& state) {
    OwnedSystem system;
    auto setter = system->spawn<Setter>();
    for (auto _ : state)
        run_all(state, system, setter.ask<&Setter::replace>(kMillion));
    state.SetItemsProcessed(state.iterations() * kMillion);
}
BENCHMARK(replace_under_a_key)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace troupe
