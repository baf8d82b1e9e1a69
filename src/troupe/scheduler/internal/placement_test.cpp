#include <troupe/base/clock.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/explore.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/scheduler/placement.hpp>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using scheduler_internal::TestCell;

Placement pinned(std::uint32_t shard) {
    return {Placement::Kind::pinned, shard};
}
Placement near(std::uint32_t shard) {
    return {Placement::Kind::near, shard};
}

std::unique_ptr<Engine> engine_of(std::size_t workers) {
    ThreadedOptions options;
    options.workers = workers;
    return make_threaded_engine(options);
}

// Goal: no thief, rescuer or waker ever makes another thread run a pinned cell. Method: pinned
// cells on three workers are sent to by each other, by cells that run anywhere and are stolen, by
// timers and from outside; each notes the threads it has seen.
TEST(Placement, RunsAPinnedCellOnOneThreadOnly) {
    constexpr std::size_t kWorkers = 3;
    constexpr std::size_t kCells = 9;
    constexpr int kRounds = 400;
    auto engine = engine_of(kWorkers);
    std::array<pid_t, kCells> seen{};  // the cell's own
    std::array<int, kCells> turns{};
    std::atomic<int> moves{0};
    std::atomic<std::size_t> left{kCells};
    Latch done;
    std::deque<TestCell> cells;
    std::deque<TestCell> anywhere;
    for (std::size_t i = 0; i < kCells; ++i) {
        cells.emplace_back(
            *engine,
            [&, i](TestCell& self, int number) {
                const pid_t thread = ::gettid();
                if (seen[i] != 0 && seen[i] != thread) moves.fetch_add(1);
                seen[i] = thread;
                if (++turns[i] == kRounds && left.fetch_sub(1) == 1) done.open();
                if (number == 1) anywhere[i].send(1);
                if (number == 2) self.start_timer(engine->now() + 50us, 3);
            },
            64, pinned(static_cast<std::uint32_t>(i)));
    }
    for (std::size_t i = 0; i < kCells; ++i)
        anywhere.emplace_back(*engine, [&, i](TestCell&, int) { cells[(i + 1) % kCells].send(2); });
    // One round: a message from here, one from a cell anywhere, and a timer.
    while (!done.is_open()) {
        for (TestCell& cell : cells)
            cell.send(1);  // refused when there is much already
        ::sched_yield();
    }
    done.wait();
    engine->stop();
    EXPECT_EQ(moves.load(), 0);
    for (std::size_t i = 0; i < kCells; ++i) {
        EXPECT_EQ(seen[i], seen[i % kWorkers]) << "two cells of one shard, on two workers";
    }
}

// Goal: a pinned cell waits for its stuck worker, and only it does: what is merely near runs
// elsewhere. Method: a hog pinned to the same worker.
TEST(Placement, LetsOnlyPinnedCellsWaitForAStuckWorker) {
    auto engine = engine_of(2);
    Latch holding;
    Latch release;
    Latch near_ran;
    Latch near_ran_later;
    Latch pinned_ran;
    TestCell hog(
        *engine,
        [&](TestCell&, int) {
            holding.open();
            release.wait();
        },
        Cell::kUnbounded, pinned(0));
    TestCell waits(
        *engine, [&](TestCell&, int) { pinned_ran.open(); }, Cell::kUnbounded, pinned(0));
    TestCell close_by(
        *engine, [&](TestCell&, int number) { (number == 1 ? near_ran : near_ran_later).open(); },
        Cell::kUnbounded, near(0));
    hog.send(1);
    holding.wait();
    waits.send(1);
    close_by.send(1);
    near_ran.wait();
    close_by.send(2);
    near_ran_later.wait();
    EXPECT_FALSE(pinned_ran.is_open());
    release.open();
    pinned_ran.wait();
    engine->stop();
}

TEST(Placement, RunsACellNearItsWorkerWhileThatOneKeepsUp) {
    constexpr int kTries = 200;
    auto engine = engine_of(2);
    std::atomic<pid_t> home{0};
    std::atomic<int> at_home{0};
    std::atomic<int> answered{0};
    TestCell anchor(
        *engine,
        [&](TestCell&, int) {
            home.store(::gettid());
            answered.fetch_add(1);
        },
        Cell::kUnbounded, pinned(1));
    TestCell close_by(
        *engine,
        [&](TestCell&, int) {
            if (::gettid() == home.load()) at_home.fetch_add(1);
            answered.fetch_add(1);
        },
        Cell::kUnbounded, near(1));
    anchor.send(1);
    while (answered.load() != 1)
        ::sched_yield();
    for (int i = 0; i < kTries; ++i) {
        close_by.send(1);
        while (answered.load() != i + 2)
            ::sched_yield();
    }
    engine->stop();
    // On a busy machine a worker may be without a core for long, and others help out.
    EXPECT_GT(at_home.load(), kTries / 4);
}

// Pinned cells and the others take turns: neither lets the other wait for ever.
TEST(Placement, LetsPinnedCellsAndOthersTakeTurns) {
    auto engine = engine_of(1);
    std::atomic<bool> enough{false};
    std::array<std::atomic<int>, 2> turns{};
    Latch both;
    const auto spin = [&](std::size_t which) {
        return [&, which](TestCell& self, int) {
            turns[which].fetch_add(1);
            if (turns[0].load() > 100 && turns[1].load() > 100) both.open();
            if (!enough.load()) self.send(1);
        };
    };
    TestCell fixed(*engine, spin(0), Cell::kUnbounded, pinned(0));
    TestCell loose(*engine, spin(1));
    fixed.send(1);
    loose.send(1);
    both.wait();
    enough.store(true);
    engine->stop();
}

TEST(Placement, SpreadsPinnedCellsThatDoNotSayWhere) {
    auto engine = engine_of(4);
    std::deque<TestCell> cells;
    std::array<int, 4> count{};
    for (int i = 0; i < 40; ++i) {
        cells.emplace_back(*engine, TestCell::OnMail(), Cell::kUnbounded,
                           Placement{Placement::Kind::pinned, Placement::kAnyShard});
        ++count.at(cells.back().cell().worker());
    }
    EXPECT_EQ(count, (std::array<int, 4>{10, 10, 10, 10}));
    engine->stop();
}

TEST(Placement, ChangesNothingOnTheDeterministicEngine) {
    for (const auto kind :
         {Placement::Kind::near, Placement::Kind::pinned, Placement::Kind::own_thread}) {
        RandomChooser chooser(1);
        auto engine = make_deterministic_engine(chooser);
        int handled = 0;
        TestCell cell(
            *engine, [&](TestCell&, int number) { handled += number; }, Cell::kUnbounded,
            Placement{kind, 3});
        cell.send(1);
        cell.start_timer(1s, 10);
        engine->run_for(2s);
        EXPECT_EQ(handled, 11);
        engine->stop();
    }
}

}  // namespace
}  // namespace troupe
