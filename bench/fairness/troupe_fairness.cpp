// Latency of the polite beside the busy: troupe_fairness [SECONDS] prints one line for each
// setting.
//
// 10,000 polite actors get 100,000 messages a second in all and handle each in an instant. Ten busy
// ones have always something to handle, 20 us each. What is measured is from send to the handler of
// the polite, with slices as they are, longer and shorter, and with priorities.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/counter.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/unique_function.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using troupe::Actor;
using troupe::Duration;
using troupe::Histogram;
using troupe::options;
using troupe::Priority;
using troupe::Ref;
using troupe::SpawnOptions;
using troupe::Task;

constexpr std::size_t kPolite = 10'000;
constexpr int kBusy = 10;
constexpr int kBatch = 100;
constexpr Duration kWork = 20us;

Duration now() {
    return std::chrono::steady_clock::now().time_since_epoch();
}

class Polite : public Actor {
public:
    explicit Polite(Histogram& latencies) : latencies_(latencies) {}
    void take(Duration sent) {
        const Duration waited = now() - sent;
        latencies_.add(static_cast<std::uint64_t>(waited.count()));
    }

private:
    Histogram& latencies_;
};

/// Has a few hundred messages in its mailbox at any time: each that it handles it sends itself
/// again.
class Busy : public Actor {
public:
    void begin() {
        for (int i = 0; i < 200; ++i)
            self(this).tell<&Busy::work>();
    }
    void work() {
        const Duration until = now() + kWork;
        while (now() < until) {
        }
        self(this).tell<&Busy::work>();
    }
};

class Sender : public Actor {
public:
    explicit Sender(std::vector<Ref<Polite>> polite) : polite_(std::move(polite)) {}

    Task<> run(int milliseconds) {
        std::size_t next = 0;
        Duration due = now();
        for (int tick = 0; tick < milliseconds; ++tick, due += 1ms) {
            const Duration early = due - now();
            troupe::Result<void> slept;
            if (early > Duration::zero()) slept = co_await troupe::sleep(early);
            if (!slept) co_return;
            for (int i = 0; i < kBatch; ++i) {
                polite_[next].tell<&Polite::take>(now());
                next = (next + 7) % polite_.size();
            }
        }
    }

private:
    std::vector<Ref<Polite>> polite_;
};

struct Setting {
    const char* name;
    SpawnOptions (*polite)();
    SpawnOptions (*busy)();
};

SpawnOptions plain() {
    return options();
}

constexpr Setting kSettings[] = {
    {"slices of 500 (10 ms)", &plain, [] { return options().slice(500, 1h); }},
    {"slices (64 or 200 us)", &plain, &plain},
    {"busy: slice of 2", &plain, [] { return options().slice(2, 50us); }},
    {"busy: low priority", &plain, [] { return options().priority(Priority::low); }},
    {"polite: high priority", [] { return options().priority(Priority::high); }, &plain},
    {"polite high, busy slice of 2", [] { return options().priority(Priority::high); },
     [] { return options().slice(2, 50us); }},
};

/// False when it could not be measured.
bool measure(const Setting& setting, int seconds) {
    Histogram latencies;
    troupe::OwnedSystem system;
    std::vector<Ref<Polite>> polite;
    polite.reserve(kPolite);
    for (std::size_t i = 0; i < kPolite; ++i)
        polite.push_back(system->spawn<Polite>(setting.polite(), latencies));
    std::vector<Ref<Busy>> busy;
    for (int i = 0; i < kBusy; ++i) {
        busy.push_back(system->spawn<Busy>(setting.busy()));
        busy.back().tell<&Busy::begin>();
    }
    // Whoever sends must get its turn as well, in every setting.
    auto sender = system->spawn<Sender>(options().priority(Priority::high), std::move(polite));
    const Duration began = now();
    const auto sent = system->block_on(sender.ask<&Sender::run>(seconds * 1000).within(10min));
    const double took = std::chrono::duration<double>(now() - began).count();
    if (!sent) return false;
    const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1000; };
    const troupe::EngineStats stats = system->engine().stats();
    std::printf(
        "%-30s p50 %9.1f us  p99 %9.1f us  p99.9 %9.1f us  max %9.1f us   %llu messages in "
        "%.1f s, %llu cells waited for more than 100 ms\n",
        setting.name, us(latencies.percentile(0.5)), us(latencies.percentile(0.99)),
        us(latencies.percentile(0.999)), us(latencies.max()),
        static_cast<unsigned long long>(latencies.count()), took,
        static_cast<unsigned long long>(stats.starved));
    for (const Ref<Busy>& one : busy)
        one.stop(troupe::Stop::kill);
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    const int seconds = argc > 1 ? std::atoi(argv[1]) : 3;
    troupe::set_log_sink([](troupe::LogLevel, std::string_view) {});
    for (const Setting& setting : kSettings) {
        if (!measure(setting, seconds)) return 1;
    }
    return 0;
}
