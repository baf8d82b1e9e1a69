#include <troupe/base/atomics.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/cell_table.hpp>
#include <troupe/scheduler/mail_mark.hpp>

#include <algorithm>
#include <atomic>
#include <memory>

namespace troupe {

using scheduler_internal::CellChunk;

namespace {

// A mark: the moment in the upper half, in units of 2^20 ns (a millisecond; 32 bits of them are 52
// days), and the number of messages in the lower one. Zero is no mark.
using Mark = std::uint64_t;
constexpr int kUnitShift = 20;

Mark make_mark(Duration now, std::uint32_t handled_then) noexcept {
    // Rounded up: an age is said to be too low rather than too high.
    const auto units = static_cast<std::uint64_t>((now.count() >> kUnitShift) + 1);
    return units << 32 | handled_then;
}

/// Whether more messages than those in hand are left of the marked ones.
bool stands(Mark mark, std::uint32_t handled, std::uint32_t in_hand) noexcept {
    const auto left = static_cast<std::int32_t>(static_cast<std::uint32_t>(mark) - handled);
    return mark != 0 && left > static_cast<std::int32_t>(in_hand);
}

std::atomic<Mark>* find_mark(const Cell& cell) noexcept {
    CellChunk& chunk = CellChunk::of(cell);
    // acquire: sees the table as it was made; pairs with mark_of.
    std::atomic<Mark>* const table = chunk.mail_marks.load(std::memory_order_acquire);
    return table != nullptr ? table + chunk.index_of(cell) : nullptr;
}

std::atomic<Mark>& mark_of(const Cell& cell) {
    if (std::atomic<Mark>* const found = find_mark(cell)) [[likely]]
        return *found;
    CellChunk& chunk = CellChunk::of(cell);
    return publish_first(chunk.mail_marks, std::make_unique<std::atomic<Mark>[]>(
                                               CellChunk::kCells))[chunk.index_of(cell)];
}

}  // namespace

void mark_mail(Cell& cell, std::uint64_t unhandled) noexcept {
    if (unhandled == 0) return;
    std::atomic<Mark>& mark = mark_of(cell);
    const std::uint32_t handled = cell.handled();
    if (stands(mark.load(std::memory_order_relaxed), handled, 0)) return;
    mark.store(
        make_mark(cell.engine().coarse_now(), handled + static_cast<std::uint32_t>(unhandled)),
        std::memory_order_relaxed);
}

Duration marked_mail_age(const Cell& cell, std::uint32_t in_hand) noexcept {
    const std::atomic<Mark>* const mark = find_mark(cell);
    if (mark == nullptr) return Duration::zero();
    const Mark seen = mark->load(std::memory_order_relaxed);
    if (!stands(seen, cell.handled(), in_hand)) return Duration::zero();
    const Duration since(static_cast<Duration::rep>(seen >> 32) << kUnitShift);
    return std::max(cell.engine().coarse_now() - since, Duration::zero());
}

void forget_mail_mark(Cell& cell) noexcept {
    if (std::atomic<Mark>* const mark = find_mark(cell)) mark->store(0, std::memory_order_relaxed);
}

}  // namespace troupe
