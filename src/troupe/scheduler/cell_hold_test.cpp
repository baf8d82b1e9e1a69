#include <troupe/scheduler/cell_hold.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

namespace troupe {
namespace {

using scheduler_internal::TestCell;

struct DeterministicWorld {
    RandomChooser chooser{1};
    std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
};

TEST(CellHold, HoldsAnIdleCellAndLetsItGoAsItWas) {
    DeterministicWorld world;
    TestCell idle(*world.engine);
    {
        const CellHold hold(idle.cell());
        EXPECT_TRUE(hold.held());
        EXPECT_FALSE(hold.blocked());
        const CellHold second(idle.cell());
        EXPECT_FALSE(second.held()) << "one at a time";
    }
    EXPECT_EQ(Cell::flags_of(idle.cell().word()), Cell::kIdle);
    world.engine->settle();
    EXPECT_EQ(idle.turns(), 0U);
}

TEST(CellHold, WhatArrivesMeanwhileIsHandledAfterwards) {
    DeterministicWorld world;
    int heard = 0;
    TestCell idle(*world.engine, [&](TestCell&, int number) { heard = number; });
    {
        const CellHold hold(idle.cell());
        ASSERT_TRUE(hold.held());
        EXPECT_EQ(idle.send(7), PushResult::pushed);
        world.engine->settle();
        EXPECT_EQ(heard, 0) << "it is held";
    }
    world.engine->settle();
    EXPECT_EQ(heard, 7);
}

TEST(CellHold, ABlockedCellIsWokenByASignalOnly) {
    DeterministicWorld world;
    TestCell waiting(*world.engine);
    waiting.cell().open_mailbox(Cell::kBlocked);
    {
        const CellHold hold(waiting.cell());
        EXPECT_TRUE(hold.held());
        EXPECT_TRUE(hold.blocked());
        waiting.send(2);
    }
    EXPECT_EQ(Cell::flags_of(waiting.cell().word()), Cell::kBlocked);
    world.engine->settle();
    EXPECT_EQ(waiting.turns(), 0U) << "a message does not wake it";
    {
        const CellHold hold(waiting.cell());
        waiting.signal(3);
    }
    world.engine->settle();
    EXPECT_GT(waiting.turns(), 0U);
}

TEST(CellHold, HoldsNeitherWhoIsQueuedNorWhoIsClosed) {
    DeterministicWorld world;
    TestCell queued(*world.engine);
    queued.send(1);
    EXPECT_FALSE(CellHold(queued.cell()).held());
    world.engine->settle();
    queued.close();
    EXPECT_FALSE(CellHold(queued.cell()).held());
}

// Each round sends until an onlooker has held the cell while mail was on its way, however the
// machine shares its cores out: a busy cell is seldom idle, and a late onlooker sees an idle one.
TEST(CellHold, LosesNoMailWhileManyLook) {
    constexpr int kRounds = 200;
    constexpr int kBurst = 100;
    auto engine = make_threaded_engine({.workers = 2});
    std::atomic<int> heard{0};  // the cell writes, the test reads
    std::atomic<int> looks{0};  // the onlooker writes, the test reads
    int sent = 0;
    {
        TestCell busy(*engine, [&](TestCell&, int) { heard.fetch_add(1); });
        std::atomic<bool> done{false};  // the test writes, the onlooker reads
        std::thread onlooker([&] {
            while (!done.load()) {
                const CellHold hold(busy.cell());
                if (hold.held()) looks.fetch_add(1);
            }
        });
        for (int round = 0; round < kRounds; ++round) {
            const int looks_before = looks.load();
            do {
                for (int i = 0; i < kBurst; ++i, ++sent)
                    EXPECT_EQ(busy.send(sent), PushResult::pushed);
                while (heard.load() < sent)
                    std::this_thread::yield();
            } while (looks.load() == looks_before);
        }
        done.store(true);
        onlooker.join();
        engine->stop();
    }
    EXPECT_EQ(heard.load(), sent);
    EXPECT_GE(looks.load(), kRounds);
}

}  // namespace
}  // namespace troupe
