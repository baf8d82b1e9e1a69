#include <troupe/scheduler/cell_hold.hpp>
#include <troupe/scheduler/engine.hpp>

namespace troupe {

CellHold::CellHold(Cell& cell) noexcept : cell_(cell) {
    std::uint64_t old = cell.word();
    for (;;) {
        const std::uint64_t flag = old & (Cell::kIdle | Cell::kBlocked);
        if (flag == 0 || (old & Cell::kDead) != 0) return;
        // acquire: sees all that the last turn left; pairs with try_idle and try_block.
        if (cell.word_.compare_exchange_weak(old, old & ~flag, std::memory_order_acquire,
                                             std::memory_order_relaxed)) {
            flag_ = flag;
            return;
        }
    }
}

CellHold::~CellHold() {
    if (flag_ == 0) return;
    // Only on the deterministic engine does nothing happen meanwhile; elsewhere a blocked cell may
    // have missed that whom it waits for has begun to wait as well.
    const bool put_back = flag_ == Cell::kIdle || cell_.engine().deterministic();
    std::uint64_t old = cell_.word();
    while (put_back) {
        // A message that has come wakes an idle cell, a signal either.
        const bool awake =
            (old & Cell::kUrgent) != 0 || (flag_ == Cell::kIdle && Cell::node_of(old) != nullptr);
        if (awake) break;
        // release: what was read is read before the next turn writes; pairs with the pushes.
        if (cell_.word_.compare_exchange_weak(old, old | flag_, std::memory_order_release,
                                              std::memory_order_relaxed)) {
            return;
        }
    }
    schedule(cell_);
}

}  // namespace troupe
