#pragma once

/// The process table: chunks of cells that are never given back while the process lives.
///
/// An address may outlive its actor and even its system, so the memory behind it must stay a cell
/// for ever. A chunk belongs to one engine at a time; when that engine ends, all its cells are dead
/// and the chunk goes to the next engine that needs one, generations going on where they were.

#include <troupe/base/annotations.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/cell.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe {
class Engine;
class WaitsFor;
}  // namespace troupe

namespace troupe::scheduler_internal {

/// 64 KiB aligned to its size: the first cell's room holds the header.
struct alignas(128) CellChunk {
    static constexpr std::size_t kBytes = 65536;
    // 128 bytes for a cell and 4 for when it started, and 128 for the head.
    static constexpr std::size_t kCells = 496;

    std::atomic<Engine*> engine{nullptr};  // written while no cell of the chunk is alive
    std::uint32_t number = 0;              // in the process, from 0
    // A pointer per cell, made when the first one is needed; never taken away.
    std::atomic<std::atomic<void*>*> attachments{nullptr};
    std::atomic<WaitsFor*> waits_for{nullptr};  // one per cell; the same
    // One per cell; the same: mail_mark.hpp.
    std::atomic<std::atomic<std::uint64_t>*> mail_marks{nullptr};
    // When its owner began: Cell::started. Written when a cell is taken, read by listings.
    std::atomic<std::uint32_t> started[kCells] = {};
    alignas(128) std::byte cells[kCells * sizeof(Cell)];

    static CellChunk& of(const Cell& cell) noexcept {
        return *reinterpret_cast<CellChunk*>(reinterpret_cast<std::uintptr_t>(&cell) &
                                             ~std::uintptr_t{kBytes - 1});
    }
    Cell& cell(std::size_t index) noexcept { return reinterpret_cast<Cell*>(cells)[index]; }
    std::size_t index_of(const Cell& cell) const noexcept {
        return static_cast<std::size_t>(&cell - reinterpret_cast<const Cell*>(cells));
    }
    std::uint32_t slot_of(const Cell& cell) const noexcept {
        return number * static_cast<std::uint32_t>(kCells) +
               static_cast<std::uint32_t>(index_of(cell)) + 1;
    }
};
static_assert(sizeof(CellChunk) == CellChunk::kBytes);

/// Free cells kept by one worker so that spawning takes no lock. Used by that worker only.
struct FreeCells {
    Cell* top = nullptr;
    std::uint32_t count = 0;
};

/// The cells of one engine.
class CellTable {
public:
    explicit CellTable(Engine& engine) : engine_(engine) {}
    ~CellTable();
    CellTable(const CellTable&) = delete;
    CellTable& operator=(const CellTable&) = delete;

    /// A closed cell in state `free`. `cache` is the calling worker's, or null on other threads.
    Cell& acquire(FreeCells* cache);

    /// Takes a closed cell back and ends its generation; a cell whose generations are used up is
    /// retired: 4 billion owners, after which an old address could be taken for a new one.
    void release(Cell& cell, FreeCells* cache) noexcept;

    /// Calls `visit(Cell&)` for every cell that was ever used. Any thread; cells come and go
    /// meanwhile.
    template <class Visit>
    void for_each(Visit visit) const {
        for (CellChunk* chunk : chunks()) {
            for (std::size_t i = 0; i < CellChunk::kCells; ++i) {
                Cell& cell = chunk->cell(i);
                if (cell.state() != CellState::free) visit(cell);
            }
        }
    }

    /// The cell of this number, if it is ours and in use. Any thread.
    Cell* find(std::uint32_t slot) const noexcept;

private:
    static constexpr std::uint32_t kBatch = 64;  // cells moved between cache and table at once

    std::vector<CellChunk*> chunks() const;
    void add_chunk() TROUPE_REQUIRES(mutex_);

    Engine& engine_;
    mutable Mutex mutex_{LockRank::cell_table};
    std::vector<CellChunk*> chunks_ TROUPE_GUARDED_BY(mutex_);
    Cell* free_ TROUPE_GUARDED_BY(mutex_) = nullptr;
    // Cells of the newest chunk are handed out in order, so that untouched pages stay untouched.
    std::size_t fresh_ TROUPE_GUARDED_BY(mutex_) = CellChunk::kCells;
};

}  // namespace troupe::scheduler_internal
