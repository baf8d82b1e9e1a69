#pragma once

/// Looking into a cell that nobody runs, from any thread.
///
/// The problem: where a cell's coroutine waits, and what the layer above keeps about it, is written
/// without locks by the worker whose turn it is, so nobody else may read it. Copies of it that
/// others may read would cost every suspension some stores, for the sake of somebody who looks once
/// an hour.
///
/// The answer: a cell that is idle or blocked belongs to whoever clears that flag, and an onlooker
/// can be that one for an instant. Whoever pushes mail meanwhile sees neither flag and so does not
/// schedule the cell; the onlooker does it in his place when he lets go. The price is paid by those
/// who look: a cell that is being run or stands in a run queue cannot be held, and one that was
/// blocked has a turn more, in which it finds out itself that it still waits.

#include <troupe/scheduler/cell.hpp>

#include <cstdint>

namespace troupe {

/// Keeps a cell from being run for as long as this lives, which must be short.
///
/// Threads: any, but not in the turn of the cell itself.
class CellHold {
public:
    /// Holds the cell when it is idle or blocked.
    explicit CellHold(Cell& cell) noexcept;
    ~CellHold();
    CellHold(const CellHold&) = delete;
    CellHold& operator=(const CellHold&) = delete;

    /// Whether it is held; then its fields may be read, and its owner does not end.
    bool held() const noexcept { return flag_ != 0; }
    /// Whether its coroutine waits, or it has none to run.
    bool blocked() const noexcept { return flag_ == Cell::kBlocked; }

private:
    Cell& cell_;
    std::uint64_t flag_ = 0;  // the one that was cleared
};

}  // namespace troupe
