#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using scheduler_internal::TestCell;

/// Everything here holds for both engines.
class EngineTest : public testing::TestWithParam<bool> {
protected:
    EngineTest() {
        ThreadedOptions options;
        options.workers = 2;
        engine = GetParam() ? make_deterministic_engine(chooser) : make_threaded_engine(options);
    }

    RandomChooser chooser{1};
    std::unique_ptr<Engine> engine;
};

/// What the services of a test write down; one test at a time.
std::vector<std::string>& journal() {
    static std::vector<std::string> entries;
    return entries;
}

template <int kNumber>
class NotingService : public EngineService {
public:
    explicit NotingService(Engine& engine) : engine_(engine) {
        journal().push_back("begin " + std::to_string(kNumber));
    }
    ~NotingService() override { journal().push_back("end " + std::to_string(kNumber)); }
    Engine& engine() noexcept { return engine_; }

private:
    Engine& engine_;
};

TEST_P(EngineTest, MakesAServiceOnTheFirstCallOnly) {
    journal().clear();
    auto& first = engine->service<NotingService<1>>();
    EXPECT_EQ(&first.engine(), engine.get());
    EXPECT_EQ(&engine->service<NotingService<1>>(), &first);
    EXPECT_EQ(journal(), std::vector<std::string>{"begin 1"});
}

TEST_P(EngineTest, EndsItsServicesWhenItStopsTheNewestFirst) {
    journal().clear();
    engine->service<NotingService<1>>();
    engine->service<NotingService<2>>();
    engine->service<NotingService<3>>();
    engine->stop();
    EXPECT_EQ(journal(), (std::vector<std::string>{"begin 1", "begin 2", "begin 3", "end 3",
                                                   "end 2", "end 1"}));
    engine.reset();
    EXPECT_EQ(journal().size(), 6U);
}

/// Needs another service while it is made, and uses it until its own end.
class NeedyService : public EngineService {
public:
    explicit NeedyService(Engine& engine) : needed_(engine.service<NotingService<1>>()) {
        journal().push_back("needy");
    }
    ~NeedyService() override { journal().push_back("end needy"); }
    NotingService<1>& needed() noexcept { return needed_; }

private:
    NotingService<1>& needed_;
};

TEST_P(EngineTest, MakesTheServicesThatAServiceNeedsAndEndsThemAfterIt) {
    journal().clear();
    NotingService<1>& needed = engine->service<NeedyService>().needed();
    EXPECT_EQ(&engine->service<NotingService<1>>(), &needed);
    engine->stop();
    EXPECT_EQ(journal(), (std::vector<std::string>{"begin 1", "needy", "end needy", "end 1"}));
}

struct SelfishService : EngineService {
    explicit SelfishService(Engine& engine) { engine.service<SelfishService>(); }
};

TEST(EngineDeathTest, RefusesAServiceThatNeedsItself) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(make_threaded_engine()->service<SelfishService>(), "asks for the service itself");
}

TEST_P(EngineTest, KeepsServicesOfTwoEnginesApart) {
    journal().clear();
    RandomChooser other_chooser(2);
    auto other = make_deterministic_engine(other_chooser);
    EXPECT_NE(&engine->service<NotingService<1>>(), &other->service<NotingService<1>>());
    other->stop();
    EXPECT_EQ(journal().back(), "end 1");
    EXPECT_EQ(journal().size(), 3U);
}

class CountedService : public EngineService {
public:
    explicit CountedService(Engine&) { made.fetch_add(1); }
    static inline std::atomic<int> made{0};
};

// Goal: threads that ask at once get the same one. Method: all wait for one gate.
TEST(Engine, MakesAServiceOnceWhenManyThreadsAsk) {
    constexpr std::size_t kThreads = 4;
    ThreadedOptions options;
    options.workers = 2;
    auto engine = make_threaded_engine(options);
    CountedService::made.store(0);
    Latch gate;
    std::vector<CountedService*> seen(kThreads, nullptr);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            gate.wait();
            seen[i] = &engine->service<CountedService>();
        });
    }
    gate.open();
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(CountedService::made.load(), 1);
    EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [&](auto* one) { return one == seen[0]; }));
}

TEST_P(EngineTest, FindsItsCellsByTheirNumber) {
    TestCell cell(*engine);
    const std::uint32_t slot = cell.cell().slot();
    EXPECT_EQ(engine->find_cell(slot), &cell.cell());
    EXPECT_EQ(&cell.cell().engine(), engine.get());
    EXPECT_EQ(engine->find_cell(0), nullptr);
    EXPECT_EQ(engine->find_cell(0xFFFF'FFFF), nullptr);
    RandomChooser other_chooser(2);
    auto other = make_deterministic_engine(other_chooser);
    EXPECT_EQ(other->find_cell(slot), nullptr) << "a cell of another engine was found";
    engine->stop();
}

TEST_P(EngineTest, FindsNoCellThatWasGivenBack) {
    std::uint32_t slot = 0;
    {
        TestCell cell(*engine);
        slot = cell.cell().slot();
    }
    EXPECT_EQ(engine->find_cell(slot), nullptr);
}

TEST_P(EngineTest, VisitsTheCellsInUse) {
    TestCell first(*engine);
    TestCell second(*engine);
    {
        TestCell gone(*engine);
    }
    std::vector<Cell*> visited;
    engine->for_each_cell(
        [](Cell& cell, void* data) { static_cast<std::vector<Cell*>*>(data)->push_back(&cell); },
        &visited);
    EXPECT_EQ(visited, (std::vector<Cell*>{&first.cell(), &second.cell()}));
    engine->stop();
}

// Goal: listing needs no lock that those who come and go would feel. Method: one thread lists while
// workers acquire and give back; the thread sanitizer watches.
TEST(Engine, ListsCellsWhileTheyComeAndGo) {
    constexpr int kRounds = 2000;
    ThreadedOptions options;
    options.workers = 2;
    auto engine = make_threaded_engine(options);
    Latch done;
    TestCell maker(*engine, [&](TestCell& self, int left) {
        {
            std::vector<std::unique_ptr<TestCell>> cells;
            for (int i = 0; i < 5; ++i)
                cells.push_back(std::make_unique<TestCell>(self.engine()));
        }
        if (left == 0) {
            done.open();
        } else {
            self.send(left - 1);
        }
    });
    maker.send(kRounds);
    while (!done.is_open()) {
        int seen = 0;
        engine->for_each_cell([](Cell&, void* count) { ++*static_cast<int*>(count); }, &seen);
        EXPECT_GE(seen, 1);
        EXPECT_LE(seen, 6);
        EXPECT_EQ(engine->find_cell(maker.cell().slot()), &maker.cell());
    }
    engine->stop();
}

// Goal: a hundred thousand timers need no thread of their own, all of them fire and none is early.
// Method: set from outside and in turns, all over a fifth of a second.
TEST_P(EngineTest, KeepsAHundredThousandTimersWithoutAThread) {
    constexpr std::size_t kTimers = 100'000;
    const auto threads = [] {
        const std::filesystem::directory_iterator entries("/proc/self/task");
        return std::distance(begin(entries), end(entries));
    };
    const auto before = threads();
    std::vector<Duration> deadlines(kTimers);
    std::atomic<std::size_t> fired{0};
    std::atomic<std::size_t> early{0};
    Latch all;
    std::deque<TestCell> cells;
    for (int i = 0; i < 4; ++i) {
        cells.emplace_back(*engine, [&](TestCell& self, int number) {
            if (number < 0) {  // its half is set here
                const auto first = static_cast<std::size_t>(-number - 1);
                for (std::size_t timer = first; timer < kTimers; timer += 8) {
                    deadlines[timer] = self.engine().now() + Duration(timer % 100'000) * 2'000;
                    self.start_timer(deadlines[timer], static_cast<int>(timer));
                }
                return;
            }
            const Duration deadline =
                std::exchange(deadlines[static_cast<std::size_t>(number)], Duration::max());
            if (self.engine().now() < deadline) early.fetch_add(1);
            if (fired.fetch_add(1) + 1 == kTimers) all.open();
        });
    }
    for (std::size_t first = 0; first < 4; ++first) {
        cells[first].send(-static_cast<int>(first) - 1);
        for (std::size_t timer = first + 4; timer < kTimers; timer += 8) {
            deadlines[timer] = engine->now() + Duration(timer % 100'000) * 2'000;
            cells[first].start_timer(deadlines[timer], static_cast<int>(timer));
        }
    }
    // On a busy machine the watchdog may have started spare workers and reported long turns.
    constexpr std::ptrdiff_t kFew = 12;
    EXPECT_LE(threads(), before + kFew);
    EXPECT_TRUE(engine->run_until(all));
    EXPECT_LE(threads(), before + kFew);
    EXPECT_EQ(early.load(), 0U) << "a timer is never early, and fires once";
    engine->stop();
}

TEST_P(EngineTest, CountsItsBlockingJobs) {
    struct OpenJob : Job {
        explicit OpenJob(Latch& its_latch) : latch(its_latch) {
            run = [](Job* job) noexcept { static_cast<OpenJob*>(job)->latch.open(); };
            drop = [](Job*) noexcept {};
        }
        Latch& latch;
    };
    Latch ran;
    OpenJob job(ran);
    EXPECT_EQ(engine->stats().blocking.done, 0U);
    EXPECT_TRUE(engine->offload(&job));
    EXPECT_TRUE(engine->run_until(ran));
    while (engine->stats().blocking.done != 1)
        ::sched_yield();
    EXPECT_EQ(engine->stats().blocking.waiting, 0U);
    EXPECT_EQ(engine->stats().blocking.refused, 0U);
    engine->stop();
    EXPECT_EQ(engine->offload(&job).error(), Errc::closed);
    EXPECT_EQ(engine->stats().blocking.refused, 1U);
    EXPECT_EQ(engine->stats().blocking.threads, 0U);
}

TEST_P(EngineTest, SaysWhenNothingRunsAnyMore) {
    EXPECT_FALSE(engine->stopped());
    engine->stop();
    EXPECT_TRUE(engine->stopped());
    Latch never;
    EXPECT_FALSE(engine->run_until(never));
}

// A thread that waits for something when the engine stops is let go.
TEST(Engine, LetsWaitersGoWhenItStops) {
    auto engine = make_threaded_engine({.workers = 1});
    Latch never;
    Latch about_to_wait;
    bool opened = true;
    std::thread waiter([&] {
        about_to_wait.open();
        opened = engine->run_until(never);
    });
    about_to_wait.wait();
    engine->stop();
    waiter.join();
    EXPECT_FALSE(opened);
}

TEST_P(EngineTest, RemembersItsHost) {
    int host = 0;
    EXPECT_EQ(engine->host(), nullptr);
    engine->set_host(&host);
    EXPECT_EQ(engine->host(), &host);
}

TEST_P(EngineTest, KnowsNothingOfThreadsThatAreNoWorkers) {
    EXPECT_EQ(current_engine(), nullptr);
    EXPECT_EQ(current_cell(), nullptr);
    EXPECT_FALSE(sent_enough());
}

// A turn that sends much is asked to let its receivers run, and asked again in the next turn.
TEST(Engine, AsksATurnThatSendsMuchToLetOthersRun) {
    ThreadedOptions options;
    options.workers = 1;
    auto engine = make_threaded_engine(options);
    Latch done;
    std::vector<int> sent;
    TestCell sender(*engine, [&](TestCell&, int number) {
        int count = 1;
        while (!sent_enough())
            ++count;
        sent.push_back(count);
        if (number == 2) done.open();
    });
    sender.send(1);
    sender.send(2);
    engine->run_until(done);
    engine->stop();
    EXPECT_EQ(sent, (std::vector<int>{1024, 1024}));
}

INSTANTIATE_TEST_SUITE_P(, EngineTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& deterministic) {
                             return std::string(deterministic.param ? "Deterministic" : "Threaded");
                         });

}  // namespace
}  // namespace troupe
