#pragma once

/// Cells that threads hand to another one: pushed one by one, taken all at once.

#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/internal/run_queue.hpp>

#include <atomic>

namespace troupe::scheduler_internal {

class CellStack {
public:
    /// Threads: any.
    void push(Cell& cell) noexcept { push_chain(cell, cell); }

    /// The cells of the chain, in its order. Threads: any.
    void push(const CellChain& cells) noexcept {
        // Linked oldest first; the top of the stack is the youngest.
        Cell* younger = nullptr;
        for (Cell* cell = cells.first; cell != nullptr;) {
            Cell* const next = cell->next_runnable_;
            cell->next_runnable_ = younger;
            younger = cell;
            cell = next;
        }
        if (younger != nullptr) push_chain(*younger, *cells.first);
    }

    bool empty() const noexcept {
        // seq_cst: whoever goes to sleep says so and then looks here; pairs with push_chain.
        return top_.load(std::memory_order_seq_cst) == nullptr;
    }

    /// All there are, in the order they came. Threads: any.
    CellChain take_all() noexcept {
        // acquire: sees the cells as those who pushed them left them; pairs with push_chain.
        Cell* youngest = top_.exchange(nullptr, std::memory_order_acquire);
        Cell* oldest = nullptr;
        while (youngest != nullptr) {
            Cell* const older = youngest->next_runnable_;
            youngest->next_runnable_ = oldest;
            oldest = youngest;
            youngest = older;
        }
        CellChain chain;
        while (oldest != nullptr) {
            Cell* const younger = oldest->next_runnable_;
            chain.append(*oldest);
            oldest = younger;
        }
        return chain;
    }

private:
    void push_chain(Cell& youngest, Cell& oldest) noexcept {
        Cell* top = top_.load(std::memory_order_relaxed);
        do {
            oldest.next_runnable_ = top;
            // seq_cst: published before the mask of sleepers is read; also releases the cells.
        } while (!top_.compare_exchange_weak(top, &youngest, std::memory_order_seq_cst,
                                             std::memory_order_relaxed));
    }

    std::atomic<Cell*> top_{nullptr};  // any thread
};

}  // namespace troupe::scheduler_internal
