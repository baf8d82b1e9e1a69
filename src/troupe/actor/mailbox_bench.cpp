// What a message costs in a plain mailbox and in those with a policy, from tell to the end of the
// handler: one actor tells another, a few hundred at a time, on one worker. The process's own time
// is counted, so that a busy machine changes little.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>

#include <benchmark/benchmark.h>

#include <string_view>

namespace troupe {
namespace {

constexpr int kBatch = 250;   // fits every mailbox here
constexpr int kBatches = 40;  // in one round
constexpr int kItems = 1'000;

class Sink : public Actor {
public:
    void take(int n) { sum_ += n; }
    void urgent(int n) { sum_ -= n; }
    long sum() const { return sum_; }

private:
    long sum_ = 0;
};

class Source : public Actor {
public:
    Task<long> run(Ref<Sink> sink) {
        for (int batch = 0; batch < kBatches; ++batch) {
            for (int i = 0; i < kBatch; ++i)
                sink.tell<&Sink::take>((batch * kBatch + i) % kItems);
            ignore(co_await sink.ask<&Sink::sum>(), "it is there");
        }
        co_return kBatch* kBatches;
    }
};

void tell(benchmark::State& state, const MailboxOptions& mailbox) {
    set_log_sink([](LogLevel, std::string_view) {});  // conflation loses messages on purpose
    OwnedSystem system(make_threaded_engine({.workers = 1}));
    auto sink = system->spawn<Sink>(options().mailbox(mailbox));
    auto source = system->spawn<Source>();
    long told = 0;
    for (auto _ : state)
        told += system->block_on(source.ask<&Source::run>(sink)).value_or(0);
    state.SetItemsProcessed(told);
}

constexpr auto kItemOf = [](int n) { return n; };

BENCHMARK_CAPTURE(tell, plain, bounded(1000))->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(tell, unbounded, unbounded())->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(tell, reject, bounded(1000).reject())->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(tell, drop_oldest, bounded(1000).drop_oldest())->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(tell, high_priority, bounded(1000).high_priority<&Sink::urgent>())
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(tell, byte_budget, bounded(1000).bytes(1 << 20))->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(tell, conflate, bounded(1000).conflate<&Sink::take>())->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(tell, conflate_by_key, bounded(1000).conflate<&Sink::take>(kItemOf))
    ->MeasureProcessCPUTime();

}  // namespace
}  // namespace troupe
