#include <troupe/base/clock.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/internal/test_sanitizer.hpp>
#include <troupe/scheduler/internal/watchdog.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/scheduler/reactor.hpp>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using scheduler_internal::kThreadSanitizer;
using scheduler_internal::TestCell;

std::unique_ptr<Engine> engine_of(std::size_t workers, std::size_t spares = 8) {
    ThreadedOptions options;
    options.workers = workers;
    options.spare_workers_max = spares;
    return make_threaded_engine(options);
}

std::size_t threads_of_process() {
    const std::filesystem::directory_iterator entries("/proc/self/task");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

/// Opens its latch when it has been counted down; any thread.
class CountDown {
public:
    explicit CountDown(std::int64_t count) : left_(count) {}
    void count() noexcept {
        // acq_rel: what was done before a count is seen by whoever waits for the last one.
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) latch_.open();
    }
    void wait() noexcept { latch_.wait(); }

private:
    std::atomic<std::int64_t> left_;
    Latch latch_;
};

/// Cells whose turns do not end before they are released, one for each worker.
class Hogs {
public:
    Hogs(Engine& engine, std::size_t count, TestCell::OnMail before = {})
        : before_(std::move(before)), holding_(static_cast<std::int64_t>(count)) {
        for (std::size_t i = 0; i < count; ++i) {
            latches_.emplace_back();
            cells_.emplace_back(engine, [this, i](TestCell& self, int number) {
                if (before_) before_(self, number);
                holding_.count();
                release_.wait();
                latches_[i].open();
            });
        }
        for (TestCell& cell : cells_)
            cell.send(0);
        holding_.wait();
    }
    void release() {
        release_.open();
        for (Latch& latch : latches_)
            latch.wait();
    }

private:
    TestCell::OnMail before_;
    CountDown holding_;
    Latch release_;
    std::deque<Latch> latches_;
    std::deque<TestCell> cells_;
};

/// Keeps what it hears.
class Listener final : public StallListener {
public:
    struct Heard {
        std::vector<StallReport> reports;  // no lock: told one at a time, read after the stop
        Latch any;
    };
    explicit Listener(Heard& heard) : heard_(heard) {}
    void stalled(const StallReport& report) noexcept override {
        heard_.reports.push_back(report);
        heard_.any.open();
    }

private:
    Heard& heard_;
};

// ---- nobody waits for a turn that does not end --------------------------------------------------

// Goal: one worker, and a turn that never ends: all else goes on. Method: the hog itself makes
// cells runnable and starts timers, and is released by the last of them; then outsiders send.
TEST(Watchdog, StartsASpareWorkerWhenTheOnlyOneIsStuck) {
    constexpr int kBehind = 200;
    for (int round = 0; round < 5; ++round) {
        auto engine = engine_of(1);
        CountDown all(kBehind + 1);
        std::deque<TestCell> behind;
        for (int i = 0; i < kBehind; ++i)
            behind.emplace_back(*engine, [&](TestCell&, int) { all.count(); });
        TestCell ticker(*engine, [&](TestCell& self, int number) {
            if (number == 20) {
                all.count();
            } else {
                self.start_timer(self.engine().now() + 500us, number + 1);
            }
        });
        Hogs hog(*engine, 1, [&](TestCell&, int) {
            for (TestCell& cell : behind)
                cell.send(1);
            ticker.send(1);
        });
        all.wait();
        Latch heard;
        TestCell outsider(*engine, [&](TestCell&, int) { heard.open(); });
        outsider.send(1);
        heard.wait();
        hog.release();
        EXPECT_GE(engine->stats().spares_started, 1U);
        EXPECT_GE(engine->stats().stalls, 1U);
        engine->stop();
    }
}

TEST(Watchdog, ServesSocketsTimersAndCellsWhileAllWorkersAreStuck) {
    auto engine = engine_of(2);
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    IoWatch* const watch = engine->reactor()->open(ends[0]).value();
    constexpr int kRounds = 50;
    CountDown all(kRounds);
    Latch waiting;
    // Each byte is read in a turn of its own, and answered by the next one.
    TestCell reader(*engine, [&](TestCell& self, int number) {
        if (number == TestCell::kAwaitEnded) {
            char byte = 0;
            watch->take_ready(IoWatch::kReadable);
            if (::read(ends[0], &byte, 1) == 1) all.count();
        }
        self.begin();
        watch->wait_for(IoWatch::kReadable, self.cell());
        waiting.open();
    });
    reader.send(0);
    waiting.wait();
    Hogs hogs(*engine, 2);
    for (int i = 0; i < kRounds; ++i)
        ASSERT_EQ(::write(ends[1], "x", 1), 1);
    CountDown fired(1);
    TestCell timer(*engine, [&](TestCell&, int) { fired.count(); });
    timer.start_timer(engine->now() + 2ms, 1);
    fired.wait();
    CountDown pinged(1000);
    TestCell* other = nullptr;
    TestCell ping(*engine, [&](TestCell&, int) {
        pinged.count();
        other->send(1);
    });
    TestCell pong(*engine, [&](TestCell&, int) { ping.send(1); });
    other = &pong;
    ping.send(1);
    pinged.wait();
    hogs.release();
    engine->stop();
    reader.close();
    watch->close();
    ::close(ends[1]);
}

// Goal: what a spare worker runs may stall as well, up to the cap, and the cap is one.
TEST(Watchdog, StartsNoMoreSpareWorkersThanItMay) {
    constexpr std::size_t kSpares = 3;
    const std::size_t before = threads_of_process();
    auto engine = engine_of(1, kSpares);
    Hogs hogs(*engine, 1 + kSpares);  // they hold: the last one on the last spare worker
    TestCell waits(*engine, [](TestCell&, int) {});
    waits.send(1);
    const Duration until = monotonic_now() + 50ms;
    while (monotonic_now() < until)
        ::sched_yield();
    EXPECT_EQ(engine->stats().spares, kSpares);
    EXPECT_EQ(engine->stats().spares_started, kSpares);
    // Besides these the worker, the watchdog, and those of the blocking pool that report, one of
    // which may have ended and wait to be joined.
    EXPECT_LE(threads_of_process(), before + kSpares + 3 + engine->stats().blocking.threads)
        << "more threads than the engine was allowed";
    hogs.release();
    while (waits.turns() == 0)
        ::sched_yield();
    engine->stop();
}

// Goal: a spare worker leaves when its worker is back, also when there is much to do. Method: the
// first time nothing else runs, the second time a cell is never idle.
TEST(Watchdog, LetsSpareWorkersGoWhenTheyAreNotNeeded) {
    auto engine = engine_of(1);
    std::atomic<bool> enough{false};
    TestCell busy(*engine, [&](TestCell& self, int) {
        if (!enough.load()) self.send(1);
    });
    // All of these are still there when the engine has stopped: one may just be ending its turn.
    std::deque<Latch> ran;
    std::deque<TestCell> behind;
    std::deque<Hogs> hogs;
    for (std::size_t round = 0; round < 2; ++round) {
        ran.emplace_back();
        behind.emplace_back(*engine, [&, round](TestCell&, int) { ran[round].open(); });
        hogs.emplace_back(*engine, 1, [&, round](TestCell&, int) { behind[round].send(1); });
        ran[round].wait();
        hogs[round].release();
        if (round == 1) busy.send(1);
        while (engine->stats().spares != 0)
            ::sched_yield();
        EXPECT_GT(engine->stats().spares_started, round);
    }
    enough.store(true);
    engine->stop();
}

TEST(Watchdog, WorksWithoutSpareWorkers) {
    auto engine = engine_of(1, 0);
    Latch ran;
    TestCell behind(*engine, [&](TestCell&, int) { ran.open(); });
    Hogs hog(*engine, 1, [&](TestCell&, int) { behind.send(1); });
    const Duration until = monotonic_now() + 30ms;
    while (monotonic_now() < until)
        ::sched_yield();
    EXPECT_FALSE(ran.is_open());
    EXPECT_EQ(engine->stats().spares, 0U);
    hog.release();
    ran.wait();
    engine->stop();
}

// Goal: stopping while spare workers run, start and leave. Method: many short lives in which hogs
// are released at about the moment of the stop.
TEST(Watchdog, StopsWhileSpareWorkersComeAndGo) {
    for (int round = 0; round < 20; ++round) {
        auto engine = engine_of(1 + static_cast<std::size_t>(round) % 2, 2);
        std::deque<TestCell> behind;
        for (int i = 0; i < 100; ++i)
            behind.emplace_back(*engine, [&](TestCell& self, int) { self.send(1); });
        Hogs hogs(*engine, engine->workers(), [&](TestCell&, int) {
            for (TestCell& cell : behind)
                cell.send(1);
        });
        if (round % 4 != 0) {
            while (engine->stats().spares_started == 0)
                ::sched_yield();
        }
        hogs.release();
        engine->stop();
    }
}

// ---- reports ------------------------------------------------------------------------------------

[[gnu::noinline]] void hold_the_worker(Latch& release) {
    while (!release.is_open())
        ::sched_yield();
}

TEST(Watchdog, ReportsWhoKeepsAWorkerWhatItIsAtAndWhere) {
    static constexpr std::string_view kMethod = "Hog::hold";
    Listener::Heard heard;
    auto engine = engine_of(2, 0);  // a spare worker might be the one, on a busy machine
    engine->on_stall(std::make_unique<Listener>(heard));
    Latch release;
    Latch released;
    TestCell hog(*engine, [&](TestCell&, int) {
        running_turn().doing.store(&kMethod, std::memory_order_relaxed);
        hold_the_worker(release);
        released.open();
    });
    hog.send(1);
    heard.any.wait();
    release.open();
    released.wait();
    engine->stop();
    const StallReport& report = heard.reports.front();
    EXPECT_EQ(report.slot, hog.cell().slot());
    EXPECT_EQ(report.generation, hog.cell().generation());
    EXPECT_EQ(report.type, "test cell");
    EXPECT_EQ(report.method, kMethod);
    EXPECT_GE(report.lasted, ThreadedOptions().stall_after);
    EXPECT_LT(report.worker, 2U);
    std::string text;
    for (const std::string& frame : report.backtrace)
        text += frame + "\n";
    // The thread sanitizer keeps signals back while a thread computes: then there is none, or one
    // without the innermost function of ours.
    if (!report.backtrace.empty()) {
        EXPECT_TRUE(text.find("hold_the_worker") != std::string::npos ||
                    (kThreadSanitizer && text.find("watchdog_test.cpp") != std::string::npos))
            << text;
    }
}

// Goal: a turn that stalls again and again is one line, and all of it is counted.
TEST(Watchdog, ReportsOneOfManyStallsOfAKindAndCountsAll) {
    constexpr int kStalls = 5;
    Listener::Heard heard;
    auto engine = engine_of(2);
    engine->on_stall(std::make_unique<Listener>(heard));
    TestCell hog(*engine, [&](TestCell&, int number) {
        const std::uint64_t before = engine->stats().stalls;
        while (engine->stats().stalls == before)
            ::sched_yield();
        if (number < kStalls) hog.send(number + 1);
        if (number == kStalls) heard.any.open();
    });
    hog.send(1);
    while (engine->stats().stalls < kStalls)
        ::sched_yield();
    engine->stop();
    EXPECT_GE(engine->stats().stalls, static_cast<std::uint64_t>(kStalls));
    // Another one would have to last ten times longer than the first.
    EXPECT_LT(heard.reports.size(), static_cast<std::size_t>(kStalls));
}

// Goal: whoever looks hears how long a message has been in the works, and nothing of the ones
// before it: the clock of the turn is not the clock of the message.
TEST(Watchdog, KnowsForHowLongAMessageHasBeenHandled) {
    auto engine = engine_of(1);
    Latch release;
    Latch ended;
    TestCell hog(*engine, [&](TestCell&, int number) {
        if (number == 0) return;
        release.wait();
        ended.open();
    });
    EXPECT_FALSE(engine->running(hog.cell()).now);
    const Duration before = engine->now();
    hog.send(0);
    hog.send(1);
    while (engine->running(hog.cell()).lasted < 20ms)
        ::sched_yield();
    const Duration lasted = engine->running(hog.cell()).lasted;
    EXPECT_LE(lasted, engine->now() - before);
    release.open();
    ended.wait();
    while (engine->running(hog.cell()).now)
        ::sched_yield();
    EXPECT_EQ(engine->running(hog.cell()).lasted, 0ns);
    engine->stop();
}

// Method: several tries, since on a busy machine even a short turn may last, without the core.
TEST(Watchdog, DoesNotCallShortTurnsStalls) {
    std::uint64_t stalls = 1;
    for (int tries = 0; tries < 20 && stalls != 0; ++tries) {
        auto engine = engine_of(2);
        CountDown all(20'000);
        std::deque<TestCell> cells;
        for (std::size_t i = 0; i < 10; ++i) {
            cells.emplace_back(*engine, [&, i](TestCell&, int number) {
                if (number > 0) cells[(i + 1) % 10].send(number - 1);
                all.count();
            });
        }
        for (TestCell& cell : cells)
            cell.send(1999);
        all.wait();
        stalls = engine->stats().stalls;
        engine->stop();
    }
    EXPECT_EQ(stalls, 0U);
}

// ---- idleness -----------------------------------------------------------------------------------

// Goal: a process with nothing to do makes no wake-ups at all, the watchdog's included. Method: the
// kernel's counts of how often each thread has gone to sleep. This is about real time, so this one
// test waits for it.
TEST(Watchdog, LetsAnIdleProcessSleepForTenSeconds) {
    std::size_t threads = 0;
    const auto sleeps_of_ours = [&] {
        threads = 0;
        std::uint64_t sum = 0;
        for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
            // Not this one, and not what a sanitizer has.
            std::string name;
            std::getline(std::ifstream(thread.path() / "comm"), name);
            if (!name.starts_with("troupe-")) continue;
            ++threads;
            std::ifstream status(thread.path() / "status");
            const std::string key = "voluntary_ctxt_switches:";
            for (std::string line; std::getline(status, line);) {
                if (line.starts_with(key)) sum += std::stoull(line.substr(key.size()));
            }
        }
        return sum;
    };
    auto engine = engine_of(2);
    CountDown worked(10'000);
    TestCell cell(*engine, [&](TestCell& self, int left) {
        worked.count();
        if (left > 1) self.send(left - 1);
    });
    cell.send(10'000);
    worked.wait();
    // On a busy machine it takes a while until all have gone to sleep.
    std::uint64_t before = 0;
    std::uint64_t after = sleeps_of_ours();
    for (int tries = 0; before != after && tries < 20; ++tries) {
        before = after;
        ::sleep(1);
        after = sleeps_of_ours();
    }
    EXPECT_EQ(after, before) << "something wakes up every second";
    EXPECT_GE(threads, 3U) << "two workers and the watchdog";
    ::sleep(10);
    EXPECT_EQ(sleeps_of_ours(), after) << "something wakes up within ten seconds";
    engine->stop();
}

}  // namespace
}  // namespace troupe
