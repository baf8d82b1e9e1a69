#include <troupe/base/atomics.hpp>
#include <troupe/scheduler/internal/cell_table.hpp>
#include <troupe/scheduler/waits_for.hpp>

#include <memory>

namespace troupe {

using scheduler_internal::CellChunk;

static_assert(sizeof(Cell) == 128 && alignof(CellChunk) == 128, "see WaitsFor::kNumberMask");

namespace {

inline WaitsFor* find_in_chunk(const Cell& cell) noexcept {
    CellChunk& chunk = CellChunk::of(cell);
    // acquire: sees the table as it was made; pairs with of().
    WaitsFor* const table = chunk.waits_for.load(std::memory_order_acquire);
    return table != nullptr ? table + chunk.index_of(cell) : nullptr;
}

}  // namespace

WaitsFor* WaitsFor::find(const Cell& cell) noexcept {
    return find_in_chunk(cell);
}

WaitsFor& WaitsFor::of(const Cell& cell) {
    if (WaitsFor* const found = find_in_chunk(cell)) [[likely]]
        return *found;
    CellChunk& chunk = CellChunk::of(cell);
    return publish_first(chunk.waits_for,
                         std::make_unique<WaitsFor[]>(CellChunk::kCells))[chunk.index_of(cell)];
}

}  // namespace troupe
