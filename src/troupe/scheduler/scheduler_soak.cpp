/// Runs the threaded engine for half a minute and prints what no unit test may depend on: how late
/// a ticker, a socket and ten thousand polite cells are, with and without hogs on one worker or all
/// of them; how often an idle process wakes up (never), and what timers cost by the million.
///
/// Usage: scheduler_soak [seconds of idleness, 10]
/// It fails when an idle engine wakes up, when a tick is early or lost, when somebody polite has no
/// turn, and when no report names the hog.

#include <troupe/base/clock.hpp>
#include <troupe/base/internal/test_arguments.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/scheduler/reactor.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
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

/// How late, or how long, things were.
class Latencies {
public:
    void add(Duration duration) { all_.push_back(duration); }
    bool any_negative() const { return !all_.empty() && *std::ranges::min_element(all_) < 0ns; }
    std::size_t count() const { return all_.size(); }
    void print(const char* what) {
        std::ranges::sort(all_);
        const auto at = [&](double share) {
            const auto last = static_cast<double>(all_.size() - 1);
            return microseconds(all_[static_cast<std::size_t>(share * last)]);
        };
        if (all_.empty()) return;
        std::printf("    %-28s %7zu   median %6ld us   99 %% %6ld us   most %7ld us\n", what,
                    all_.size(), at(0.5), at(0.99), at(1.0));
    }

private:
    std::vector<Duration> all_;
};

/// Keeps the names of those who stalled.
class Names final : public StallListener {
public:
    explicit Names(std::atomic<int>& hogs) : hogs_(hogs) {}
    void stalled(const StallReport& report) noexcept override {
        if (report.method != "Hog::work") return;
        if (hogs_.fetch_add(1) != 0) return;
        std::printf("    reported: %s %s, worker %zu, %ld us, %zu frames\n", report.type.c_str(),
                    report.method.c_str(), report.worker, microseconds(report.lasted),
                    report.backtrace.size());
    }

private:
    std::atomic<int>& hogs_;
};

enum class HogKind : std::uint8_t { computes, blocks };

/// A hundred milliseconds a turn, again and again.
void hog_turn(HogKind kind) {
    static constexpr std::string_view kMethod = "Hog::work";
    running_turn().doing.store(&kMethod, std::memory_order_relaxed);
    const Duration until = monotonic_now() + 100ms;
    while (monotonic_now() < until) {
        if (kind == HogKind::blocks) ::usleep(100'000);  // a report cuts it short
    }
}

/// A ticker of a millisecond, a socket that is written to every millisecond, and ten thousand
/// polite cells with ten turns a second each, beside so many hogs. True when all was as it should.
bool measure_pace(const char* what, std::size_t workers, std::size_t hogs, HogKind kind) {
    constexpr Duration kLength = 3s;
    constexpr Duration kPeriod = 1ms;
    constexpr std::size_t kPolite = 10'000;
    constexpr Duration kPolitePeriod = 100ms;
    std::printf("%s\n", what);
    auto engine = make_engine(workers);
    std::atomic<int> reported{0};
    engine->on_stall(std::make_unique<Names>(reported));
    std::atomic<bool> over{false};
    Latch done;

    Latencies ticks;
    Duration due{};
    TestCell ticker(*engine, [&](TestCell& self, int) {
        const Duration now = engine->now();
        if (due != 0ns) ticks.add(now - due);
        if (over.load()) return done.open();
        due = now + kPeriod;
        self.start_timer(due, 1);
    });

    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    IoWatch* const watch = engine->reactor()->open(ends[0]).value();
    Latencies reads;
    std::atomic<Duration::rep> written{0};
    TestCell reader(*engine, [&](TestCell& self, int number) {
        if (number == TestCell::kAwaitEnded) {
            char bytes[64];
            watch->take_ready(IoWatch::kReadable);
            if (::read(ends[0], bytes, sizeof bytes) > 0) {
                reads.add(engine->now() - Duration(written.load()));
                written.store(0);
            }
        }
        self.begin();
        watch->wait_for(IoWatch::kReadable, self.cell());
    });
    std::thread writer([&] {
        while (!over.load()) {
            if (written.load() == 0) {
                written.store(engine->now().count());
                if (::write(ends[1], "x", 1) != 1) break;
            }
            ::usleep(1000);
        }
    });

    struct Polite {
        std::unique_ptr<TestCell> cell;
        Duration due{};
        Duration latest{};
        int turns = 0;
    };
    std::vector<Polite> polite(kPolite);
    for (std::size_t i = 0; i < kPolite; ++i) {
        polite[i].cell = std::make_unique<TestCell>(*engine, [&, i](TestCell& self, int) {
            Polite& mine = polite[i];
            const Duration now = engine->now();
            if (mine.due != 0ns) mine.latest = std::max(mine.latest, now - mine.due);
            ++mine.turns;
            mine.due = now + kPolitePeriod;
            self.start_timer(mine.due, 1);
        });
    }
    std::vector<std::unique_ptr<TestCell>> all_hogs;
    for (std::size_t i = 0; i < hogs; ++i) {
        all_hogs.push_back(std::make_unique<TestCell>(*engine, [&](TestCell& self, int) {
            hog_turn(kind);
            if (!over.load()) self.send(1);
        }));
    }

    reader.send(1);
    ticker.send(1);
    for (Polite& one : polite)
        one.cell->send(1);
    for (auto& hog : all_hogs)
        hog->send(1);
    std::this_thread::sleep_for(kLength);
    over.store(true);
    engine->run_until(done);
    writer.join();
    const EngineStats stats = engine->stats();
    engine->stop();

    Latencies worst;
    int least_turns = std::numeric_limits<int>::max();
    for (const Polite& one : polite) {
        worst.add(one.latest);
        least_turns = std::min(least_turns, one.turns);
    }
    const bool early = ticks.any_negative();
    ticks.print("ticks of 1 ms, late by");
    reads.print("bytes read after");
    worst.print("polite cells, late at worst");
    std::printf(
        "    turns of the slowest polite cell %d, stalls %llu, cells handed over %llu, "
        "spare workers %llu\n",
        least_turns, static_cast<unsigned long long>(stats.stalls),
        static_cast<unsigned long long>(stats.handed_over),
        static_cast<unsigned long long>(stats.spares_started));
    reader.close();
    watch->close();
    ::close(ends[1]);
    return !early && (hogs == 0 || reported.load() > 0) && least_turns > 0;
}

/// A hundred thousand timers over a second, all of them started by one cell.
bool measure_many_timers() {
    constexpr int kTimers = 100'000;
    auto engine = make_engine(2);
    Latch done;
    Latencies late;
    std::vector<Duration> deadlines(kTimers);
    TestCell cell(*engine, [&](TestCell& self, int number) {
        if (number < 0) {
            for (int i = 0; i < kTimers; ++i) {
                deadlines[static_cast<std::size_t>(i)] = engine->now() + 100ms + i * 10us;
                self.start_timer(deadlines[static_cast<std::size_t>(i)], i);
            }
            return;
        }
        late.add(engine->now() - deadlines[static_cast<std::size_t>(number)]);
        if (late.count() == kTimers) done.open();
    });
    cell.send(-1);
    engine->run_until(done);
    engine->stop();
    const bool early = late.any_negative();
    std::puts("100,000 timers, two workers");
    late.print("fired, late by");
    return !early;
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
    const auto seconds =
        static_cast<unsigned>(base_internal::count_argument(argc, argv, 1, "idle seconds", 10));
    bool good = measure_pace("two workers, no hog", 2, 0, HogKind::computes);
    good = measure_pace("two workers, one hog that computes", 2, 1, HogKind::computes) && good;
    good = measure_pace("two workers, two hogs that block", 2, 2, HogKind::blocks) && good;
    good = measure_pace("one worker, no hog", 1, 0, HogKind::computes) && good;
    good = measure_pace("one worker, a hog that blocks", 1, 1, HogKind::blocks) && good;
    good = measure_pace("one worker, a hog that computes", 1, 1, HogKind::computes) && good;
    good = measure_many_timers() && good;
    measure_timers();
    good = measure_idleness(seconds) && good;
    std::puts(good ? "scheduler_soak: good" : "scheduler_soak: FAILED");
    return good ? 0 : 1;
}
