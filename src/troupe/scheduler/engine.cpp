#include <troupe/base/assert.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/cell_table.hpp>
#include <troupe/scheduler/internal/context.hpp>
#include <troupe/scheduler/internal/worker.hpp>
#include <troupe/scheduler/mail_stats.hpp>

#include <pthread.h>

#include <utility>
#include <vector>

namespace troupe {

using scheduler_internal::CellTable;
using scheduler_internal::FreeCells;
using scheduler_internal::WorkerContext;

/// Services are made one at a time and without the lock, because a constructor may ask for others.
struct Engine::Services {
    struct Entry {
        const void* key;
        std::unique_ptr<EngineService> service;
    };

    EngineService* find(const void* key) const noexcept TROUPE_REQUIRES(mutex) {
        for (const Entry& entry : entries) {
            if (entry.key == key) return entry.service.get();
        }
        return nullptr;
    }

    /// Waits until the calling thread may make services.
    void begin_making() noexcept TROUPE_REQUIRES(mutex) {
        while (!making.empty() && ::pthread_equal(maker, ::pthread_self()) == 0)
            made.wait(mutex);
    }

    Mutex mutex{LockRank::engine_services};
    CondVar made;
    std::vector<Entry> entries TROUPE_GUARDED_BY(mutex);       // in the order they were finished
    std::vector<const void*> making TROUPE_GUARDED_BY(mutex);  // each asked for by the one before
    pthread_t maker TROUPE_GUARDED_BY(mutex) = {};             // whose thread makes them
};

struct Engine::StallListeners {
    Mutex mutex{LockRank::stall_listeners};
    std::vector<std::unique_ptr<StallListener>> all TROUPE_GUARDED_BY(mutex);
};

Engine::Engine(bool deterministic)
    : deterministic_(deterministic),
      mail_stats_(std::make_unique<MailStats>()),
      cells_(std::make_unique<CellTable>(*this)),
      services_(std::make_unique<Services>()),
      stall_listeners_(std::make_unique<StallListeners>()) {}

Engine::~Engine() = default;

EngineService& Engine::service(const void* key, EngineService* (*make)(Engine&)) {
    Services& services = *services_;
    {
        LockGuard lock(services.mutex);
        if (EngineService* const found = services.find(key)) return *found;
        services.begin_making();
        // Somebody else may have made it while we waited.
        if (EngineService* const found = services.find(key)) return *found;
        for (const void* const asked_for : services.making) {
            TROUPE_ASSERT(asked_for != key,
                          "the constructor of an engine's service asks for the service itself, "
                          "perhaps through another one");
        }
        services.maker = ::pthread_self();
        services.making.push_back(key);
    }
    std::unique_ptr<EngineService> service(make(*this));
    LockGuard lock(services.mutex);
    services.making.pop_back();
    services.made.notify_all();
    services.entries.push_back({key, std::move(service)});
    return *services.entries.back().service;
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

void Engine::on_stall(std::unique_ptr<StallListener> listener) {
    LockGuard lock(stall_listeners_->mutex);
    stall_listeners_->all.push_back(std::move(listener));
}

void Engine::tell_stall_listeners(const StallReport& report) noexcept {
    LockGuard lock(stall_listeners_->mutex);
    for (const auto& listener : stall_listeners_->all)
        listener->stalled(report);
}

void Engine::tell_stall_listeners(const StarvationReport& report) noexcept {
    LockGuard lock(stall_listeners_->mutex);
    for (const auto& listener : stall_listeners_->all)
        listener->starved(report);
}

namespace {

/// The calling thread's context when it is a worker of this engine.
WorkerContext* own_context(const Engine& engine) noexcept {
    WorkerContext* const context = scheduler_internal::current_context();
    return context != nullptr && context->engine == &engine ? context : nullptr;
}

FreeCells* own_cache(WorkerContext* own) noexcept {
    return own != nullptr && own->caches_cells ? &own->free_cells : nullptr;
}

}  // namespace

Cell& Engine::acquire_cell() {
    WorkerContext* const own = own_context(*this);
    Cell& cell = cells_->acquire(own_cache(own));
    cell.set_started(own != nullptr ? own->now : coarse_now());
    return cell;
}

void Engine::release_cell(Cell& cell) noexcept {
    if (cell.placed() != Placement::Kind::anywhere) [[unlikely]] {
        leave_place(cell);
        cell.set_place(Placement::Kind::anywhere, 0);
    }
    cells_->release(cell, own_cache(own_context(*this)));
}

void Engine::for_each_cell(void (*visit)(Cell& cell, void* data), void* data) const {
    cells_->for_each([&](Cell& cell) { visit(cell, data); });
}

Cell* Engine::find_cell(std::uint32_t slot) const noexcept {
    return cells_->find(slot);
}

namespace scheduler_internal {

constinit thread_local WorkerContext* context_of_thread = nullptr;
constinit thread_local Worker* worker_of_thread = nullptr;
constinit thread_local RunningTurn* running_turn_of_thread = nullptr;

WorkerContext* current_context() noexcept {
    return context_of_thread;
}

void set_current_context(WorkerContext* context) noexcept {
    context_of_thread = context;
    worker_of_thread = context != nullptr ? context->worker : nullptr;
    running_turn_of_thread = context;
}

}  // namespace scheduler_internal

Cell* current_cell() noexcept {
    WorkerContext* const context = scheduler_internal::context_of_thread;
    return context != nullptr ? context->cell.load(std::memory_order_relaxed) : nullptr;
}

Engine* current_engine() noexcept {
    WorkerContext* const context = scheduler_internal::context_of_thread;
    return context != nullptr ? context->engine : nullptr;
}

namespace {

[[gnu::noinline]] void schedule_otherwise(Cell& cell, Engine& engine) noexcept {
    WorkerContext* const context = scheduler_internal::context_of_thread;
    if (cell.placed() != Placement::Kind::anywhere) {
        engine.schedule_placed(cell);
    } else if (context == nullptr || context->engine != &engine) {
        engine.inject(cell);
    } else {
        context->schedule(*context, cell);
    }
}

}  // namespace

void schedule(Cell& cell) noexcept {
    Engine* const engine =
        scheduler_internal::CellChunk::of(cell).engine.load(std::memory_order_relaxed);
    scheduler_internal::Worker* const worker = scheduler_internal::worker_of_thread;
    if (worker != nullptr && worker->engine == engine && cell.placed() == Placement::Kind::anywhere)
        [[likely]] {
        return worker->run_next(cell);
    }
    schedule_otherwise(cell, *engine);
}

}  // namespace troupe
