// Tail latency: troupe_latency [SECONDS] prints one JSON line.
//
// First 100,000 messages a second go to 1,000 actors, in batches of 100 that are due each
// millisecond, and each message carries the moment of its sending. Then 1,000 actors sleep 10 ms
// again and again. What is measured is from send to handler, and how late a sleep ends.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/counter.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using troupe::Actor;
using troupe::Duration;
using troupe::Histogram;
using troupe::Ref;
using troupe::Task;

constexpr std::size_t kActors = 1000;
constexpr int kBatch = 100;
constexpr Duration kSleep = 10ms;

Duration now() {
    return std::chrono::steady_clock::now().time_since_epoch();
}

void add(Histogram& histogram, Duration duration) {
    histogram.add(duration > Duration::zero() ? static_cast<std::uint64_t>(duration.count()) : 0);
}

class Receiver : public Actor {
public:
    explicit Receiver(Histogram& latencies) : latencies_(latencies) {}
    void take(Duration sent) { add(latencies_, now() - sent); }

private:
    Histogram& latencies_;
};

class Sender : public Actor {
public:
    explicit Sender(std::vector<Ref<Receiver>> receivers) : receivers_(std::move(receivers)) {}

    Task<> run(int milliseconds) {
        std::size_t next = 0;
        Duration due = now();
        for (int tick = 0; tick < milliseconds; ++tick, due += 1ms) {
            const Duration early = due - now();
            troupe::Result<void> slept;
            if (early > Duration::zero()) slept = co_await troupe::sleep(early);
            if (!slept) co_return;
            for (int i = 0; i < kBatch; ++i) {
                receivers_[next].tell<&Receiver::take>(now());
                next = (next + 7) % receivers_.size();
            }
        }
    }

private:
    std::vector<Ref<Receiver>> receivers_;
};

class Sleeper : public Actor {
public:
    explicit Sleeper(Histogram& lateness) : lateness_(lateness) {}
    Task<> run(int times) {
        for (int i = 0; i < times; ++i) {
            const Duration due = now() + kSleep;
            const auto slept = co_await troupe::sleep(kSleep);
            if (!slept) co_return;
            add(lateness_, now() - due);
        }
    }

private:
    Histogram& lateness_;
};

void print(const char* name, const Histogram& histogram) {
    const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1000; };
    std::printf("\"%s\":{\"count\":%llu,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}",
                name, static_cast<unsigned long long>(histogram.count()),
                us(histogram.percentile(0.5)), us(histogram.percentile(0.99)),
                us(histogram.percentile(0.999)), us(histogram.max()));
}

}  // namespace

int main(int argc, char** argv) {
    const int seconds = argc > 1 ? std::atoi(argv[1]) : 5;
    Histogram messages;
    Histogram timers;
    {
        troupe::OwnedSystem system;
        std::vector<Ref<Receiver>> receivers;
        receivers.reserve(kActors);
        for (std::size_t i = 0; i < kActors; ++i)
            receivers.push_back(system->spawn<Receiver>(messages));
        auto sender = system->spawn<Sender>(receivers);
        auto sent = system->block_on(sender.ask<&Sender::run>(seconds * 1000).within(10min));
        if (!sent) return 1;
    }
    {
        troupe::OwnedSystem system;
        for (std::size_t i = 0; i < kActors; ++i) {
            auto sleeper = system->spawn<Sleeper>(timers);
            sleeper.tell<&Sleeper::run>(seconds * 100);
            sleeper.stop(troupe::Stop::drain);
        }
        while (!system->actors().empty())
            std::this_thread::sleep_for(100ms);
    }
    std::printf("{\"peer\":\"troupe\",");
    print("messages", messages);
    std::printf(",");
    print("timers", timers);
    std::printf("}\n");
    return messages.count() == static_cast<std::uint64_t>(seconds) * 1000 * kBatch ? 0 : 1;
}
