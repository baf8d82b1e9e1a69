/// Runs the threaded engine for half a minute and prints what no unit test may depend on: how late
/// a ticker is with and without a hog on one of the workers, how often an idle process wakes up
/// (never), and what setting and cancelling a timer costs among a million.
///
/// Usage: scheduler_soak [seconds of idleness, 10]
/// It fails when an idle engine wakes up or when a tick is early or lost.

#include <troupe/base/clock.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace troupe;
using scheduler_internal::TestCell;

std::unique_ptr<Engine> make_engine(std::size_t workers) {
    ThreadedOptions options;
    options.workers = workers;
    return make_threaded_engine(options);
}

long microseconds(Duration duration) {
    return static_cast<long>(duration.count() / 1000);
}

/// Sleeps of all threads of this process so far, as the kernel counts them.
std::uint64_t voluntary_switches() {
    std::uint64_t sum = 0;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream status(thread.path() / "status");
        for (std::string line; std::getline(status, line);) {
            constexpr const char* kKey = "voluntary_ctxt_switches:";
            if (line.rfind(kKey, 0) == 0) sum += std::stoull(line.substr(std::string(kKey).size()));
        }
    }
    return sum;
}

/// Prints how late a tick of one millisecond is. True when none was early.
bool measure_ticker(const char* what, bool with_hog) {
    constexpr int kTicks = 2000;
    constexpr Duration kPeriod = 1ms;
    auto engine = make_engine(2);
    Latch done;
    Latch release;
    Latch released;
    std::vector<Duration> late;
    late.reserve(kTicks);
    Duration due{};
    TestCell ticker(*engine, [&](TestCell& self, int) {
        const Duration now = engine->now();
        if (due != Duration::zero()) late.push_back(now - due);
        if (late.size() == kTicks) {
            done.open();
            return;
        }
        due = now + kPeriod;
        self.start_timer(due, 1);
    });
    // It waits behind the hog as well: the ticker's first turn comes from the hog's own worker.
    TestCell hog(*engine, [&](TestCell&, int) {
        ticker.send(1);
        release.wait();
        released.open();
    });
    if (with_hog) {
        hog.send(1);
    } else {
        ticker.send(1);
    }
    engine->run_until(done);
    if (with_hog) {
        release.open();
        released.wait();
    }
    engine->stop();
    std::sort(late.begin(), late.end());
    const auto at = [&](double share) {
        return microseconds(late[static_cast<std::size_t>(share * (kTicks - 1))]);
    };
    std::printf("ticker, %-22s late by %ld us (median), %ld us (99 %%), %ld us (most)\n", what,
                at(0.5), at(0.99), at(1.0));
    return late.front() >= Duration::zero();
}

/// True when nothing woke up.
bool measure_idleness(unsigned seconds) {
    auto engine = make_engine(0);
    // Let it have worked before.
    Latch worked;
    TestCell cell(*engine, [&](TestCell& self, int left) {
        if (left == 0) {
            worked.open();
        } else {
            self.send(left - 1);
        }
    });
    cell.send(10'000);
    engine->run_until(worked);
    ::sleep(1);
    const std::uint64_t before = voluntary_switches();
    ::sleep(seconds);
    const std::uint64_t after = voluntary_switches();
    engine->stop();
    // This thread slept once.
    const std::uint64_t wakes = after - before - 1;
    std::printf("idle for %u s: %llu wake-ups\n", seconds, static_cast<unsigned long long>(wakes));
    return wakes == 0;
}

void measure_timers() {
    constexpr int kTimers = 1'000'000;
    auto engine = make_engine(1);
    Latch done;
    std::vector<TimerNode*> timers;
    timers.reserve(kTimers);
    Duration set{};
    Duration cancelled{};
    TestCell cell(*engine, [&](TestCell& self, int) {
        const Duration began = monotonic_now();
        for (int i = 0; i < kTimers; ++i)
            timers.push_back(self.start_timer(began + 1h + i * 37us, 1));
        const Duration half = monotonic_now();
        for (TimerNode* timer : timers)
            self.cancel(timer);
        const Duration end = monotonic_now();
        set = (half - began) / kTimers;
        cancelled = (end - half) / kTimers;
        done.open();
    });
    cell.send(1);
    engine->run_until(done);
    engine->stop();
    std::printf("a million timers: %ld ns to set one, %ld ns to cancel one, allocation included\n",
                static_cast<long>(set.count()), static_cast<long>(cancelled.count()));
}

}  // namespace

int main(int argc, char** argv) {
    const unsigned seconds =
        argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 10;
    bool good = measure_ticker("all workers free:", false);
    good = measure_ticker("a hog on one worker:", true) && good;
    measure_timers();
    good = measure_idleness(seconds) && good;
    std::puts(good ? "scheduler_soak: good" : "scheduler_soak: FAILED");
    return good ? 0 : 1;
}
