#include <troupe/base/assert.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/cell_table.hpp>
#include <troupe/scheduler/internal/context.hpp>

#include <utility>
#include <vector>

namespace troupe {

using scheduler_internal::CellTable;
using scheduler_internal::FreeCells;
using scheduler_internal::WorkerContext;

struct Engine::Services {
    struct Entry {
        const void* key;
        std::unique_ptr<EngineService> service;
    };
    Mutex mutex{LockRank::engine_services};
    std::vector<Entry> entries TROUPE_GUARDED_BY(mutex);
};

Engine::Engine(bool deterministic)
    : deterministic_(deterministic),
      cells_(std::make_unique<CellTable>(*this)),
      services_(std::make_unique<Services>()) {}

Engine::~Engine() = default;

EngineService& Engine::service(const void* key, EngineService* (*make)(Engine&)) {
    LockGuard lock(services_->mutex);
    for (auto& entry : services_->entries) {
        if (entry.key == key) return *entry.service;
    }
    services_->entries.push_back({key, std::unique_ptr<EngineService>(make(*this))});
    return *services_->entries.back().service;
}

void Engine::end_services() noexcept {
    std::vector<Services::Entry> ending;
    {
        LockGuard lock(services_->mutex);
        ending.swap(services_->entries);
    }
    while (!ending.empty())
        ending.pop_back();
}

namespace {

/// The calling thread's context when it is a worker of this engine.
WorkerContext* own_context(const Engine& engine) noexcept {
    WorkerContext* const context = scheduler_internal::current_context();
    return context != nullptr && context->engine == &engine ? context : nullptr;
}

FreeCells* own_cache(WorkerContext* own) noexcept {
    return own != nullptr ? &own->free_cells : nullptr;
}

}  // namespace

Cell& Engine::acquire_cell() {
    WorkerContext* const own = own_context(*this);
    Cell& cell = cells_->acquire(own_cache(own));
    cell.set_started(own != nullptr ? own->now : coarse_now());
    return cell;
}

void Engine::release_cell(Cell& cell) noexcept {
    cells_->release(cell, own_cache(own_context(*this)));
}

void Engine::for_each_cell(void (*visit)(Cell& cell, void* data), void* data) const {
    cells_->for_each([&](Cell& cell) { visit(cell, data); });
}

Cell* Engine::find_cell(std::uint32_t slot) const noexcept {
    return cells_->find(slot);
}

bool Engine::sent_enough() noexcept {
    WorkerContext* const context = scheduler_internal::current_context();
    return context != nullptr && context->sent_enough != nullptr && context->sent_enough(*context);
}

namespace scheduler_internal {

namespace {
constinit thread_local WorkerContext* context_of_thread = nullptr;
}  // namespace

WorkerContext* current_context() noexcept {
    return context_of_thread;
}

void set_current_context(WorkerContext* context) noexcept {
    context_of_thread = context;
}

}  // namespace scheduler_internal

Cell* current_cell() noexcept {
    WorkerContext* const context = scheduler_internal::context_of_thread;
    return context != nullptr ? context->current : nullptr;
}

Engine* current_engine() noexcept {
    WorkerContext* const context = scheduler_internal::context_of_thread;
    return context != nullptr ? context->engine : nullptr;
}

void schedule(Cell& cell) noexcept {
    WorkerContext* const context = scheduler_internal::context_of_thread;
    Engine& engine = cell.engine();
    if (context != nullptr && context->engine == &engine) {
        context->schedule(*context, cell);
    } else {
        engine.inject(cell);
    }
}

}  // namespace troupe
