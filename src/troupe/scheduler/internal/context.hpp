#pragma once

#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/internal/cell_table.hpp>
#include <troupe/scheduler/worker_local.hpp>

namespace troupe {
class Engine;
}

namespace troupe::scheduler_internal {

class Worker;

/// What a thread that runs cells knows about itself. One per worker; the deterministic engine has
/// one in all. Touched by its own thread only, but for what RunningTurn says.
struct WorkerContext : RunningTurn {
    Engine* engine = nullptr;
    Worker* worker = nullptr;  ///< null on the deterministic engine and on an actor's own thread
    /// Queues a cell of this engine that became runnable during the current turn. Not a worker's:
    /// it has a queue.
    void (*schedule)(WorkerContext& self, Cell& cell) noexcept = nullptr;
    FreeCells free_cells;
    bool caches_cells = true;  ///< its thread stays: free cells may be kept with it
    LocalValues locals;
};

extern constinit thread_local WorkerContext* context_of_thread;
extern constinit thread_local Worker* worker_of_thread;  // its worker, or null

/// The calling thread's context, or null on a thread that runs no cells. Out of line: see
/// troupe::current_cell.
[[gnu::noinline]] WorkerContext* current_context() noexcept;
void set_current_context(WorkerContext* context) noexcept;

}  // namespace troupe::scheduler_internal
