#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/cell_table.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

class CellTableTest : public testing::Test {
protected:
    /// Cells that nobody runs; given back at the end of the test.
    Cell& acquire() {
        Cell& cell = table->acquire(cache);
        cell.state_.store(CellState::running, std::memory_order_relaxed);
        return cell;
    }
    std::set<Cell*> visited() const {
        std::set<Cell*> cells;
        table->for_each([&](Cell& cell) { cells.insert(&cell); });
        return cells;
    }

    RandomChooser chooser{1};
    std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    std::unique_ptr<CellTable> table = std::make_unique<CellTable>(*engine);
    FreeCells* cache = nullptr;
};

TEST_F(CellTableTest, HandsOutClosedCellsOfItsEngine) {
    Cell& cell = acquire();
    EXPECT_EQ(cell.word(), Cell::kClosed);
    EXPECT_EQ(&cell.engine(), engine.get());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&cell) % 128, 0u);
    NumberMail* const mail = TestCell::make_message(1);
    EXPECT_EQ(push(cell, mail), PushResult::gone);
    delete mail;
    table->release(cell, cache);
}

TEST_F(CellTableTest, NeverHandsOutOneCellTwice) {
    std::set<Cell*> cells;
    std::set<std::uint32_t> slots;
    const std::size_t many = CellChunk::kCells * 2 + 7;
    while (cells.size() < many) {
        Cell& cell = acquire();
        ASSERT_TRUE(cells.insert(&cell).second);
        ASSERT_TRUE(slots.insert(cell.slot()).second);
        ASSERT_NE(cell.slot(), 0u) << "0 is nobody";
        ASSERT_EQ(table->find(cell.slot()), &cell);
    }
    EXPECT_EQ(visited(), cells);
    for (Cell* cell : cells)
        table->release(*cell, cache);
    EXPECT_TRUE(visited().empty());
    EXPECT_EQ(table->find(*slots.begin()), nullptr) << "not in use any more";
    EXPECT_EQ(table->find(0), nullptr);
    EXPECT_EQ(table->find(~std::uint32_t{0}), nullptr);
}

TEST_F(CellTableTest, GivesEachOwnerOfASlotAGenerationOfItsOwn) {
    Cell& cell = acquire();
    const std::uint32_t generation = cell.generation();
    table->release(cell, cache);
    Cell& again = acquire();
    ASSERT_EQ(&again, &cell);
    EXPECT_EQ(again.generation(), generation + 1);
    table->release(again, cache);
}

TEST_F(CellTableTest, RetiresACellWhoseGenerationsAreUsedUp) {
    Cell& cell = acquire();
    cell.generation_.store(~std::uint32_t{0}, std::memory_order_relaxed);
    table->release(cell, cache);
    EXPECT_EQ(cell.generation(), 0u);
    std::vector<Cell*> others;
    for (std::size_t i = 0; i < CellChunk::kCells; ++i) {
        others.push_back(&acquire());
        EXPECT_NE(others.back(), &cell);
    }
    for (Cell* other : others)
        table->release(*other, cache);

    // The next engine must not bring it back either.
    table = std::make_unique<CellTable>(*engine);
    others.clear();
    for (std::size_t i = 0; i < CellChunk::kCells * 4; ++i) {
        others.push_back(&acquire());
        EXPECT_NE(others.back(), &cell);
    }
    for (Cell* other : others)
        table->release(*other, cache);
}

TEST_F(CellTableTest, ServesAWorkerFromItsCache) {
    FreeCells own;
    cache = &own;
    std::vector<Cell*> cells;
    std::set<Cell*> distinct;
    for (int i = 0; i < 1000; ++i) {
        cells.push_back(&acquire());
        distinct.insert(cells.back());
    }
    EXPECT_EQ(distinct.size(), cells.size());
    const std::set<Cell*> used(cells.begin(), cells.end());
    for (Cell* cell : cells)
        table->release(*cell, cache);
    EXPECT_LT(own.count, 200u) << "the rest went back to the table";

    // What one worker gave back, another thread gets; nothing is handed out twice.
    distinct.clear();
    for (int i = 0; i < 1000; ++i) {
        cache = i % 2 == 0 ? &own : nullptr;
        Cell& cell = acquire();
        EXPECT_TRUE(distinct.insert(&cell).second);
    }
    for (Cell* cell : distinct)
        table->release(*cell, nullptr);
}

TEST_F(CellTableTest, GivesTheChunksOfAnEndedEngineToTheNextInTheSameOrder) {
    std::vector<Cell*> cells;
    for (std::size_t i = 0; i < CellChunk::kCells * 3; ++i)
        cells.push_back(&acquire());
    std::vector<std::uint32_t> slots;
    for (Cell* cell : cells)
        slots.push_back(cell->slot());
    for (Cell* cell : cells)
        table->release(*cell, cache);

    table.reset();
    table = std::make_unique<CellTable>(*engine);
    cells.clear();
    for (std::size_t i = 0; i < slots.size(); ++i) {
        cells.push_back(&acquire());
        ASSERT_EQ(cells.back()->slot(), slots[i]) << i;
    }
    for (Cell* cell : cells)
        table->release(*cell, cache);
}

// An address of an actor that was alive when its engine was stopped must not reach the next owner.
TEST_F(CellTableTest, EndsTheGenerationOfCellsThatWereNeverGivenBack) {
    Cell& forgotten = acquire();
    const std::uint32_t generation = forgotten.generation();
    table.reset();
    EXPECT_EQ(forgotten.state(), CellState::free);
    EXPECT_EQ(forgotten.generation(), generation + 1);
    table = std::make_unique<CellTable>(*engine);
    Cell& first = acquire();
    EXPECT_EQ(visited(), std::set<Cell*>{&first});
    table->release(first, cache);
}

TEST_F(CellTableTest, KnowsNoEngineForAnAddressThatOutlivesIt) {
    Cell& cell = acquire();
    EXPECT_EQ(cell.find_engine(), engine.get());
    table->release(cell, cache);
    table.reset();
    EXPECT_EQ(cell.find_engine(), nullptr);
    table = std::make_unique<CellTable>(*engine);
    EXPECT_EQ(&acquire(), &cell);
    EXPECT_EQ(cell.find_engine(), engine.get());
    table->release(cell, cache);
}

TEST(CellTableDeathTest, RefusesToEndWhileACellIsAlive) {
    RandomChooser chooser(1);
    auto engine = make_deterministic_engine(chooser);
    CellTable table(*engine);
    Cell& cell = table.acquire(nullptr);
    EXPECT_DEATH(
        {
            CellTable other(*engine);
            other.acquire(nullptr).open_mailbox(Cell::kIdle);
        },
        "while actors or tasks were alive");
    table.release(cell, nullptr);
}

}  // namespace
}  // namespace troupe::scheduler_internal
