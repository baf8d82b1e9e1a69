#include <troupe/base/assert.hpp>
#include <troupe/scheduler/internal/cell_table.hpp>

#include <new>
#include <utility>

namespace troupe::scheduler_internal {

namespace {

// Memory is asked for so many chunks at a time. What the allocator writes around a block aligned
// like ours is two pages, which for a chunk of its own were 16 bytes for each cell.
constexpr std::size_t kChunksTogether = 16;

/// Chunks between two engines, kept for the life of the process.
struct SpareChunks {
    Mutex mutex{LockRank::spare_chunks};
    std::vector<CellChunk*> chunks TROUPE_GUARDED_BY(mutex);
    // Room that nobody has touched yet.
    std::byte* fresh TROUPE_GUARDED_BY(mutex) = nullptr;
    std::size_t fresh_chunks TROUPE_GUARDED_BY(mutex) = 0;
    std::uint32_t next_number TROUPE_GUARDED_BY(mutex) = 0;
};

SpareChunks& spare_chunks() {
    // Never destroyed: an address may be used by other static destructors.
    static SpareChunks* const spare = new SpareChunks;
    return *spare;
}

CellChunk* take_chunk(Engine& engine) {
    SpareChunks& spare = spare_chunks();
    LockGuard lock(spare.mutex);
    CellChunk* chunk = nullptr;
    if (!spare.chunks.empty()) {
        chunk = spare.chunks.back();
        spare.chunks.pop_back();
    } else {
        if (spare.fresh_chunks == 0) {
            spare.fresh = static_cast<std::byte*>(::operator new(
                kChunksTogether * CellChunk::kBytes, std::align_val_t{CellChunk::kBytes}));
            spare.fresh_chunks = kChunksTogether;
        }
        std::byte* const memory = spare.fresh;
        spare.fresh += CellChunk::kBytes;
        --spare.fresh_chunks;
        // The mailbox word holds addresses of 48 bits (docs/design/0005-mailbox-word.md).
        TROUPE_ASSERT((reinterpret_cast<std::uintptr_t>(memory) & ~Cell::kPointer) == 0,
                      "this machine's addresses are wider than 48 bits");
        chunk = ::new (memory) CellChunk;
        chunk->number = spare.next_number++;
        for (std::size_t i = 0; i < CellChunk::kCells; ++i)
            ::new (&chunk->cell(i)) Cell;
    }
    chunk->engine.store(&engine, std::memory_order_relaxed);
    return chunk;
}

}  // namespace

CellTable::~CellTable() {
    LockGuard lock(mutex_);
    SpareChunks& spare = spare_chunks();
    LockGuard spare_lock(spare.mutex);
    // The last chunk first, so that the next engine takes them in our order: with one engine after
    // the other, a run that is repeated sees the same slots.
    for (auto at = chunks_.rbegin(); at != chunks_.rend(); ++at) {
        for (std::size_t i = 0; i < CellChunk::kCells; ++i) {
            Cell& cell = (*at)->cell(i);
            TROUPE_ASSERT((cell.word() & Cell::kDead) != 0,
                          "an engine was destroyed while actors or tasks were alive on it");
            cell.next_runnable_ = nullptr;
            if (cell.state() == CellState::free) continue;
            // Ended but never given back: its address must not reach the slot's next owner.
            cell.state_.store(CellState::free, std::memory_order_relaxed);
            cell.generation_.store(cell.generation() + 1, std::memory_order_relaxed);
        }
        // An address that outlives us must find no engine rather than a destroyed one.
        (*at)->engine.store(nullptr, std::memory_order_relaxed);
        spare.chunks.push_back(*at);
    }
}

std::vector<CellChunk*> CellTable::chunks() const {
    LockGuard lock(mutex_);
    return chunks_;
}

Cell* CellTable::find(std::uint32_t slot) const noexcept {
    if (slot == 0) return nullptr;
    const std::uint32_t number = (slot - 1) / CellChunk::kCells;
    for (CellChunk* chunk : chunks()) {
        if (chunk->number != number) continue;
        Cell& cell = chunk->cell((slot - 1) % CellChunk::kCells);
        return cell.state() != CellState::free ? &cell : nullptr;
    }
    return nullptr;
}

void CellTable::add_chunk() {
    chunks_.push_back(take_chunk(engine_));
    fresh_ = 0;
}

Cell& CellTable::acquire(FreeCells* cache) {
    if (cache != nullptr && cache->top != nullptr) {
        Cell* const cell = cache->top;
        cache->top = std::exchange(cell->next_runnable_, nullptr);
        --cache->count;
        return *cell;
    }
    LockGuard lock(mutex_);
    Cell* first = nullptr;
    const std::uint32_t wanted = cache != nullptr ? kBatch : 1;
    std::uint32_t taken = 0;
    while (taken < wanted) {
        Cell* cell = nullptr;
        if (free_ != nullptr) {
            cell = free_;
            free_ = cell->next_runnable_;
        } else {
            if (fresh_ == CellChunk::kCells) {
                if (first != nullptr) break;
                add_chunk();
            }
            cell = &chunks_.back()->cell(fresh_++);
        }
        if (cell->generation() == 0) continue;  // retired by an earlier engine
        ++taken;
        cell->next_runnable_ = nullptr;
        if (first == nullptr) {
            first = cell;
        } else {
            cell->next_runnable_ = cache->top;
            cache->top = cell;
            ++cache->count;
        }
    }
    return *first;
}

void CellTable::release(Cell& cell, FreeCells* cache) noexcept {
    cell.state_.store(CellState::free, std::memory_order_relaxed);
    const std::uint32_t next_generation = cell.generation() + 1;
    // release: whoever finds the owner ended sees all that it did; pairs with Cell::generation.
    cell.generation_.store(next_generation, std::memory_order_release);
    if (next_generation == 0) return;
    if (cache != nullptr) {
        cell.next_runnable_ = cache->top;
        cache->top = &cell;
        if (++cache->count < 2 * kBatch) return;
        Cell* const first = cache->top;
        Cell* last = first;
        for (std::uint32_t i = 1; i < kBatch; ++i)
            last = last->next_runnable_;
        cache->top = last->next_runnable_;
        cache->count -= kBatch;
        LockGuard lock(mutex_);
        last->next_runnable_ = free_;
        free_ = first;
        return;
    }
    LockGuard lock(mutex_);
    cell.next_runnable_ = free_;
    free_ = &cell;
}

}  // namespace troupe::scheduler_internal
