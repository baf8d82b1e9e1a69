#include <troupe/base/clock.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/run_queue.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
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
#include <iterator>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using scheduler_internal::TestCell;

std::unique_ptr<Engine> engine_of(std::size_t workers) {
    ThreadedOptions options;
    options.workers = workers;
    return make_threaded_engine(options);
}

/// Opens its latch when it has been counted down; any thread.
class CountDown {
public:
    explicit CountDown(std::int64_t count) : left_(count) {}
    void count() noexcept {
        // acq_rel: what was done before a count is seen by whoever waits for the last one.
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) latch_.open();
    }
    Latch& latch() noexcept { return latch_; }

private:
    std::atomic<std::int64_t> left_;
    Latch latch_;
};

/// A cell whose turn does not end before it is released.
class Hog {
public:
    explicit Hog(Engine& engine, TestCell::OnMail before = {})
        : before_(std::move(before)), cell_(engine, [this](TestCell& self, int number) {
              if (before_) before_(self, number);
              holding_.open();
              release_.wait();
              released_.open();
          }) {}
    ~Hog() { EXPECT_TRUE(released_.is_open()) << "a hog was never released"; }
    Hog(const Hog&) = delete;
    Hog& operator=(const Hog&) = delete;

    void start() { cell_.send(0); }
    void wait_until_it_holds() { holding_.wait(); }
    void release() {
        release_.open();
        released_.wait();
    }

private:
    TestCell::OnMail before_;
    Latch holding_;
    Latch release_;
    Latch released_;
    TestCell cell_;
};

std::size_t entries_of(const char* folder) {
    const std::filesystem::directory_iterator entries(folder);
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

/// Some work that no compiler takes away.
std::uint64_t work(std::uint64_t steps) {
    std::uint64_t value = steps;
    for (std::uint64_t i = 0; i < steps; ++i)
        value = value * 6364136223846793005U + 1442695040888963407U;
    return value;
}

// ---- running cells ------------------------------------------------------------------------------

TEST(ThreadedEngine, HasTheWorkersItWasAskedFor) {
    EXPECT_EQ(engine_of(3)->workers(), 3U);
    EXPECT_GE(engine_of(0)->workers(), 1U);
    EXPECT_EQ(engine_of(100)->workers(), 64U);  // the mask of sleepers has no more bits
}

TEST(ThreadedEngine, RunsACellOnOneWorkerAtATimeAndOncePerMessage) {
    constexpr int kCells = 50;
    constexpr int kSenders = 3;
    constexpr int kMessages = 200;
    for (const auto kind : {scheduler_internal::BiasedLocks::by_membarrier,
                            scheduler_internal::BiasedLocks::by_ordered_stores}) {
        scheduler_internal::use_biased_locks_for_test(kind);
        auto engine = engine_of(4);
        CountDown all(kCells * kSenders * kMessages);
        std::array<int, kCells> handled{};  // no atomics: the thread sanitizer watches the turns
        std::atomic<int> overlaps{0};
        std::array<std::atomic<bool>, kCells> inside{};
        std::deque<TestCell> cells;
        for (std::size_t i = 0; i < kCells; ++i) {
            cells.emplace_back(*engine, [&, i](TestCell&, int number) {
                if (inside[i].exchange(true)) overlaps.fetch_add(1);
                ++handled[i];
                // Some come from outsiders, some from other cells.
                if (number > 0) cells[(i + 1) % kCells].send(number - 1);
                inside[i].store(false);
                all.count();
            });
        }
        std::vector<std::thread> senders;
        for (int sender = 0; sender < kSenders; ++sender) {
            senders.emplace_back([&] {
                for (int i = 0; i < kMessages / 2; ++i) {
                    for (TestCell& cell : cells)
                        cell.send(1);
                }
            });
        }
        for (std::thread& sender : senders)
            sender.join();
        engine->run_until(all.latch());
        engine->stop();
        EXPECT_EQ(overlaps.load(), 0);
        for (int count : handled)
            EXPECT_EQ(count, kSenders * kMessages);
        std::size_t turns = 0;
        for (const TestCell& cell : cells)
            turns += cell.turns();
        EXPECT_EQ(engine->stats().turns, turns);
    }
    scheduler_internal::use_biased_locks_for_test(scheduler_internal::BiasedLocks::by_membarrier);
}

// Goal: no wake-up is lost between a worker that goes to sleep and an outsider that has work for
// it. Method: the outsider waits for each answer, so that the workers are about to sleep each time.
TEST(ThreadedEngine, WakesForEveryCellFromOutside) {
    constexpr int kRounds = 3000;
    auto engine = engine_of(2);
    std::atomic<int> answered{0};
    TestCell cell(*engine, [&](TestCell&, int number) { answered.store(number); });
    for (int round = 1; round <= kRounds; ++round) {
        cell.send(round);
        while (answered.load() != round)
            ::sched_yield();
    }
    engine->stop();
    EXPECT_EQ(cell.turns(), static_cast<std::size_t>(kRounds));
}

TEST(ThreadedEngine, CarriesMailFromOneEngineToAnother) {
    constexpr int kRounds = 2000;
    auto left = engine_of(2);
    auto right = engine_of(2);
    Latch done;
    TestCell* back = nullptr;
    TestCell ping(*left, [&](TestCell& self, int number) {
        EXPECT_EQ(current_engine(), left.get());
        EXPECT_EQ(current_cell(), &self.cell());
        if (number == 0) {
            done.open();
        } else {
            back->send(number - 1);
        }
    });
    TestCell pong(*right, [&](TestCell&, int number) {
        EXPECT_EQ(current_engine(), right.get());
        ping.send(number);
    });
    back = &pong;
    ping.send(kRounds);
    left->run_until(done);
    left->stop();
    right->stop();
}

// Goal: a flooded worker is relieved. Method: one turn makes a thousand cells runnable on its own
// worker, again and again until some of them were run by another.
TEST(ThreadedEngine, StealsFromAFloodedWorker) {
    constexpr int kCells = 1000;
    auto engine = engine_of(2);
    std::atomic<std::uint64_t> sum{0};
    std::atomic<int> left{0};
    std::deque<TestCell> cells;
    for (int i = 0; i < kCells; ++i) {
        cells.emplace_back(*engine, [&](TestCell&, int) {
            sum.fetch_add(work(20'000), std::memory_order_relaxed);
            left.fetch_sub(1);
        });
    }
    TestCell flood(*engine, [&](TestCell&, int) {
        for (TestCell& cell : cells)
            cell.send(1);
    });
    do {
        left.store(kCells);
        flood.send(1);
        while (left.load() != 0)
            ::sched_yield();
    } while (engine->stats().steals == 0);
    engine->stop();
}

// ---- a turn that does not end -------------------------------------------------------------------

// Goal: cells behind a stuck turn run elsewhere while the hog still holds its worker. Method: the
// hog itself makes them runnable and is released by the last of them; many rounds, because the
// other workers are on their way to sleep, asleep or just woken each time.
TEST(ThreadedEngine, RunsTheCellsBehindAStuckTurnElsewhere) {
    constexpr int kRounds = 60;
    constexpr int kBehind = 5;
    for (int round = 0; round < kRounds; ++round) {
        auto engine = engine_of(2);
        CountDown all(kBehind);
        std::deque<TestCell> behind;
        for (int i = 0; i < kBehind; ++i)
            behind.emplace_back(*engine, [&](TestCell&, int) { all.count(); });
        Hog hog(*engine, [&](TestCell&, int) {
            for (TestCell& cell : behind)
                cell.send(1);
        });
        hog.start();
        hog.wait_until_it_holds();
        all.latch().wait();
        hog.release();
        engine->stop();
    }
}

// The same, with all workers asleep before it begins.
TEST(ThreadedEngine, RunsTheCellsBehindAStuckTurnAfterASleep) {
    for (int round = 0; round < 20; ++round) {
        auto engine = engine_of(3);
        while (engine->stats().parks < 3)
            ::sched_yield();
        Latch ran;
        TestCell behind(*engine, [&](TestCell&, int) { ran.open(); });
        Hog hog(*engine, [&](TestCell&, int) { behind.send(1); });
        hog.start();
        ran.wait();
        hog.release();
        engine->stop();
    }
}

// Goal: one worker left is enough for all. Method: three hogs on four workers, each with a cell
// behind it, started one after the other, so that each time the one who looked may become the next.
TEST(ThreadedEngine, SparesOneWorkerAmongManyHogs) {
    constexpr std::size_t kHogs = 3;
    for (int round = 0; round < 20; ++round) {
        auto engine = engine_of(kHogs + 1);
        std::deque<Latch> ran(kHogs);
        std::deque<TestCell> behind;
        std::deque<Hog> hogs;
        for (std::size_t i = 0; i < kHogs; ++i) {
            behind.emplace_back(*engine, [&ran, i](TestCell&, int) { ran[i].open(); });
            hogs.emplace_back(*engine, [&behind, i](TestCell&, int) { behind[i].send(1); });
        }
        for (Hog& hog : hogs)
            hog.start();
        for (Hog& hog : hogs)
            hog.wait_until_it_holds();
        for (Latch& latch : ran)
            latch.wait();
        // Outsiders are heard as well.
        Latch heard;
        TestCell outsider(*engine, [&](TestCell&, int) { heard.open(); });
        outsider.send(1);
        heard.wait();
        for (Hog& hog : hogs)
            hog.release();
        engine->stop();
    }
}

// Goal: a worker that is never idle relieves a stuck one too. Method: the other worker is kept busy
// by two cells that never stop sending to each other.
TEST(ThreadedEngine, RunsTheCellsBehindAStuckTurnOnABusyWorker) {
    auto engine = engine_of(2);
    std::atomic<bool> enough{false};
    TestCell* other = nullptr;
    TestCell ping(*engine, [&](TestCell&, int) {
        if (!enough.load()) other->send(1);
    });
    TestCell pong(*engine, [&](TestCell&, int) {
        if (!enough.load()) ping.send(1);
    });
    other = &pong;
    Latch busy;
    Latch ran;
    Latch fired;
    TestCell first(*engine, [&](TestCell&, int) {
        busy.open();
        ping.send(1);
    });
    TestCell behind(*engine, [&](TestCell&, int number) { (number == 1 ? ran : fired).open(); });
    Hog hog(*engine, [&](TestCell&, int) {
        first.send(1);  // rescued, and then its rescuer is never idle again
        busy.wait();
        behind.send(1);
        behind.start_timer(engine->now(), 2);
    });
    hog.start();
    ran.wait();
    fired.wait();
    enough.store(true);
    hog.release();
    engine->stop();
}

TEST(ThreadedEngine, FiresTheTimersOfAStuckWorker) {
    for (int round = 0; round < 20; ++round) {
        auto engine = engine_of(2);
        CountDown fired(2);
        TestCell early(*engine, [&](TestCell&, int) { fired.count(); });
        TestCell late(*engine, [&](TestCell&, int) { fired.count(); });
        Hog hog(*engine, [&](TestCell&, int) {
            early.start_timer(engine->now(), 1);
            late.start_timer(engine->now() + 3ms, 1);
        });
        hog.start();
        hog.wait_until_it_holds();
        fired.latch().wait();
        hog.release();
        engine->stop();
    }
}

// Timers of outsiders are kept by one worker: it may be the stuck one.
TEST(ThreadedEngine, FiresTheTimersThatOutsidersGiveToAStuckWorker) {
    for (int round = 0; round < 10; ++round) {
        auto engine = engine_of(2);
        Latch fired;
        TestCell cell(*engine, [&](TestCell&, int) { fired.open(); });
        Hog hog(*engine);
        hog.start();
        hog.wait_until_it_holds();
        cell.start_timer(engine->now() + 1ms, 1);
        fired.wait();
        hog.release();
        engine->stop();
    }
}

/// One end is watched on one of the engine's reactors, the other is the test's.
class WatchedPair {
public:
    WatchedPair(Engine& engine, TestCell::OnMail on_ready)
        : cell_(engine, [this, ready = std::move(on_ready)](TestCell& self, int number) {
              if (number == TestCell::kAwaitEnded) {
                  ready(self, number);
                  return;
              }
              self.begin();
              watch_->wait_for(IoWatch::kReadable, self.cell());
              waiting_.open();
          }) {
        EXPECT_EQ(
            ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_.data()), 0);
        watch_ = engine.reactor()->open(ends_[0]).value();
    }
    ~WatchedPair() {
        cell_.close();
        watch_->close();
        ::close(ends_[1]);
    }
    WatchedPair(const WatchedPair&) = delete;
    WatchedPair& operator=(const WatchedPair&) = delete;

    void wait_for_it() {
        cell_.send(0);
        waiting_.wait();
    }
    void write() { EXPECT_EQ(::write(ends_[1], "x", 1), 1); }

private:
    std::array<int, 2> ends_{};
    IoWatch* watch_ = nullptr;
    Latch waiting_;
    TestCell cell_;
};

// Goal: whoever's reactor a socket is watched by, it is served while a hog holds a worker. Method:
// as many sockets as workers, since reactors are given out in turn.
TEST(ThreadedEngine, ServesTheSocketsOfAStuckWorker) {
    for (int round = 0; round < 20; ++round) {
        auto engine = engine_of(2);
        CountDown ready(2);
        std::deque<WatchedPair> pairs;
        for (int i = 0; i < 2; ++i)
            pairs.emplace_back(*engine, [&](TestCell&, int) { ready.count(); });
        for (WatchedPair& pair : pairs)
            pair.wait_for_it();
        Hog hog(*engine);
        hog.start();
        hog.wait_until_it_holds();
        for (WatchedPair& pair : pairs)
            pair.write();
        ready.latch().wait();
        hog.release();
        engine->stop();
    }
}

// Goal: whoever looks after the sockets of another worker does not swallow what was meant to wake
// that one. Method: short stuck turns with a watched socket, so that the other worker polls just
// when the first goes back to sleep, and an outsider who waits for an answer each time.
TEST(ThreadedEngine, LosesNoWakeUpToTheOneWhoPollsForAnother) {
    constexpr int kRounds = 300;
    auto engine = engine_of(2);
    CountDown never(1);
    std::deque<WatchedPair> pairs;
    for (int i = 0; i < 2; ++i)
        pairs.emplace_back(*engine, [&](TestCell&, int) { never.count(); });
    std::atomic<int> answered{0};
    std::atomic<std::uint64_t> sum{0};
    std::deque<TestCell> cells;
    for (int i = 0; i < 2; ++i) {
        cells.emplace_back(*engine, [&](TestCell&, int number) {
            const Duration until = monotonic_now() + 50us * (number % 41);
            while (monotonic_now() < until)
                sum.fetch_add(work(100), std::memory_order_relaxed);
            answered.fetch_add(1);
        });
    }
    for (int round = 0; round < kRounds; ++round) {
        answered.store(0);
        for (TestCell& cell : cells)
            cell.send(round);
        while (answered.load() != 2)
            ::sched_yield();
    }
    engine->stop();
}

// ---- stopping -----------------------------------------------------------------------------------

// Goal: stop() joins all threads and gives all descriptors back, whatever the workers were doing.
// Method: two hundred engines, some idle, some with mail on the way.
TEST(ThreadedEngine, LeavesNoThreadAndNoDescriptorBehind) {
    constexpr int kEngines = 200;
    const auto live = [](int round) {
        auto engine = engine_of(2);
        std::deque<TestCell> cells;
        for (int i = 0; i < 4; ++i) {
            cells.emplace_back(*engine, [&, i](TestCell&, int number) {
                cells[static_cast<std::size_t>(i + 1) % 4].send(number + 1);
            });
        }
        if (round % 2 != 0) {
            for (TestCell& cell : cells)
                cell.send(1);
        }
        engine->stop();
        engine->stop();  // the second does nothing
    };
    live(1);
    const std::size_t threads = entries_of("/proc/self/task");
    const std::size_t descriptors = entries_of("/proc/self/fd");
    for (int round = 0; round < kEngines; ++round)
        live(round);
    EXPECT_EQ(entries_of("/proc/self/fd"), descriptors);
    // A joined thread may be listed for a moment longer.
    while (entries_of("/proc/self/task") > threads)
        ::sched_yield();
}

TEST(ThreadedEngine, DropsItsTimersWhenItStops) {
    auto engine = engine_of(2);
    Latch set;
    TestCell cell(*engine, [&](TestCell& self, int) {
        self.start_timer(self.engine().now() + 1h, 1);
        set.open();
    });
    cell.start_timer(engine->now() + 1h, 2);
    cell.send(0);
    set.wait();
    engine->stop();  // the address sanitizer sees what is left behind
    EXPECT_EQ(cell.turns(), 1U);
}

TEST(ThreadedEngine, DoesNotRunWhatIsSentAfterItHasStopped) {
    auto engine = engine_of(2);
    TestCell cell(*engine, [](TestCell&, int) { ADD_FAILURE() << "ran on a stopped engine"; });
    engine->stop();
    EXPECT_EQ(cell.send(1), PushResult::pushed);
    EXPECT_EQ(cell.turns(), 0U);
}

TEST(ThreadedEngineDeathTest, RefusesToBlockItsWorkers) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            auto engine = engine_of(1);
            Latch never;
            TestCell cell(*engine, [&](TestCell&, int) { engine->run_until(never); });
            cell.send(1);
            never.wait();
        },
        "it would block all actors there");
    EXPECT_DEATH(
        {
            auto engine = engine_of(1);
            Latch never;
            TestCell cell(*engine, [&](TestCell&, int) { engine->stop(); });
            cell.send(1);
            never.wait();
        },
        "a worker cannot wait for its own end");
    EXPECT_DEATH(engine_of(1)->run_for(1ms), "deterministic engine only");
    EXPECT_DEATH(engine_of(1)->settle(), "only the deterministic engine");
}

// ---- timers -------------------------------------------------------------------------------------

TEST(ThreadedEngine, FiresEveryTimerOfManyThreadsOnceAndNeverEarly) {
    constexpr int kThreads = 3;
    constexpr int kTimers = 300;
    auto engine = engine_of(2);
    CountDown all(kThreads * kTimers);
    std::deque<TestCell> cells;
    std::array<std::vector<Duration>, kThreads> deadlines;
    for (std::size_t i = 0; i < kThreads; ++i) {
        cells.emplace_back(*engine, [&, i](TestCell& self, int number) {
            Duration& deadline = deadlines[i][static_cast<std::size_t>(number)];
            EXPECT_GE(self.engine().now(), deadline);
            EXPECT_NE(deadline, Duration::max()) << "fired twice";
            deadline = Duration::max();
            all.count();
        });
    }
    for (std::size_t i = 0; i < kThreads; ++i) {
        for (int number = 0; number < kTimers; ++number)
            deadlines[i].push_back(engine->now() + 37us * (number % 200));
    }
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (int number = 0; number < kTimers; ++number)
                cells[i].start_timer(deadlines[i][static_cast<std::size_t>(number)], number);
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    engine->run_until(all.latch());
    engine->stop();
}

// A timer far away must not keep the worker asleep when an earlier one comes from outside.
TEST(ThreadedEngine, WakesForAnEarlierTimerFromOutside) {
    auto engine = engine_of(1);
    Latch fired;
    TestCell cell(*engine, [&](TestCell&, int) { fired.open(); });
    cell.start_timer(engine->now() + 1h, 1);
    while (engine->stats().parks == 0)
        ::sched_yield();
    cell.start_timer(engine->now() + 1ms, 2);
    fired.wait();
    engine->stop();
}

// Goal: a timer is either taken back or arrives, never both and never neither. Method: timers that
// fire at about the moment at which their cell, which may have moved to another worker, cancels.
TEST(ThreadedEngine, EitherCancelsATimerOrLetsItArrive) {
    constexpr int kCells = 4;
    constexpr int kRounds = 500;
    auto engine = engine_of(3);
    CountDown all(kCells);
    std::deque<TestCell> cells;
    struct Tally {
        TimerNode* timer = nullptr;
        int round = 0;
        int cancelled = 0;
        int arrived = 0;
    };
    std::array<Tally, kCells> tallies;
    for (std::size_t i = 0; i < kCells; ++i) {
        cells.emplace_back(*engine, [&, i](TestCell& self, int number) {
            Tally& tally = tallies[i];
            if (number == 1) {  // the timer
                ++tally.arrived;
                tally.timer = nullptr;
            } else if (tally.timer != nullptr && self.cancel(tally.timer)) {
                ++tally.cancelled;
                tally.timer = nullptr;
            } else if (tally.timer != nullptr) {
                return;  // it is on its way
            }
            if (tally.timer != nullptr) return;
            if (tally.round == kRounds) {
                if (tally.round++ == kRounds) all.count();
                return;
            }
            if (tally.round > kRounds) return;
            ++tally.round;
            tally.timer = self.start_timer(self.engine().now() + 10us * (tally.round % 30), 1);
            self.send(0);
            // Somewhere else, later, and perhaps too late.
            cells[(i + 1) % kCells].send(0);
        });
    }
    for (TestCell& cell : cells)
        cell.send(0);
    engine->run_until(all.latch());
    engine->stop();
    int arrived = 0;
    for (const Tally& tally : tallies) {
        EXPECT_EQ(tally.cancelled + tally.arrived, kRounds);
        arrived += tally.arrived;
    }
    RecordProperty("arrived", arrived);
}

// ---- the rest -----------------------------------------------------------------------------------

struct AnswerJob : Job {
    TestCell* cell = nullptr;
    int number = 0;
    std::atomic<int>* dropped = nullptr;
};

AnswerJob* make_job(TestCell& cell, int number, std::atomic<int>& dropped) {
    auto* const job = new AnswerJob;
    job->cell = &cell;
    job->number = number;
    job->dropped = &dropped;
    job->run = [](Job* self) noexcept {
        auto* const mine = static_cast<AnswerJob*>(self);
        EXPECT_EQ(current_engine(), nullptr) << "ran on a worker";
        mine->cell->signal(mine->number);
        delete mine;
    };
    job->drop = [](Job* self) noexcept {
        auto* const mine = static_cast<AnswerJob*>(self);
        mine->dropped->fetch_add(1);
        delete mine;
    };
    return job;
}

TEST(ThreadedEngine, RunsBlockingJobsElsewhereAndHearsOfTheirEnd) {
    constexpr int kJobs = 100;
    auto engine = engine_of(2);
    CountDown all(kJobs);
    std::atomic<int> dropped{0};
    std::set<int> answered;
    TestCell asker(*engine, [&](TestCell& self, int number) {
        if (number == 0) {
            for (int i = 1; i <= kJobs; ++i)
                EXPECT_TRUE(self.engine().offload(make_job(self, i, dropped)));
            return;
        }
        EXPECT_TRUE(answered.insert(number).second);
        all.count();
    });
    asker.send(0);
    engine->run_until(all.latch());
    engine->stop();
    EXPECT_EQ(answered.size(), static_cast<std::size_t>(kJobs));
    EXPECT_EQ(dropped.load(), 0);
    AnswerJob* const late = make_job(asker, 0, dropped);
    const Result<void> refused = engine->offload(late);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::closed);
    late->drop(late);  // it stayed ours
}

TEST(ThreadedEngine, DrawsNumbersOnAnyThread) {
    ThreadedOptions options;
    options.workers = 1;
    options.seed = 7;
    auto engine = make_threaded_engine(options);
    auto twin = make_threaded_engine(options);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(engine->random(), twin->random());
        EXPECT_LT(engine->choose(3, ChoiceKind::random_draw, "test"), 3U);
        twin->random();
    }
    Latch drawn;
    TestCell cell(*engine, [&](TestCell& self, int) {
        EXPECT_NE(self.engine().random(), self.engine().random());
        drawn.open();
    });
    cell.send(1);
    drawn.wait();
    engine->stop();
}

}  // namespace
}  // namespace troupe
