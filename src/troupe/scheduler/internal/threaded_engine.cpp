#include <troupe/base/assert.hpp>
#include <troupe/base/clock.hpp>
#include <troupe/scheduler/idle_workers.hpp>
#include <troupe/scheduler/internal/threaded_engine.hpp>
#include <troupe/scheduler/latch.hpp>

#include <sched.h>

#include <algorithm>
#include <bit>
#include <random>
#include <utility>

namespace troupe::scheduler_internal {

using namespace std::chrono_literals;

namespace {

std::uint64_t machine_seed() {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32 | device();
}

std::size_t usable_cores() noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

std::size_t regular_count(const ThreadedOptions& options) noexcept {
    const std::size_t wanted = options.workers != 0 ? options.workers : usable_cores();
    return std::min(wanted, ThreadedEngine::kWorkersMax);
}

}  // namespace

ThreadedEngine::ThreadedEngine(const ThreadedOptions& options)
    : Engine(false),
      began_(monotonic_now()),
      coarse_lag_(coarse_monotonic_lag()),
      regular_(regular_count(options)),
      regular_mask_(regular_ == kWorkersMax ? ~std::uint64_t{0}
                                            : (std::uint64_t{1} << regular_) - 1),
      starvation_(*this, options.starving_after, options.starving_badly_after),
      workers_(regular_ + std::min(options.spare_workers_max, kWorkersMax - regular_)),
      pool_(BlockingPoolOptions{.threads_max = options.blocking_threads_max,
                                .jobs_max = options.blocking_jobs_max}),
      own_threads_(*this, options.own_threads_max),
      outside_random_(options.seed != 0 ? options.seed : machine_seed()),
      watchdog_(*this, options.stall_after, options.stall_backtraces) {
    prepare_biased_locks();
    for (std::size_t i = 0; i < regular_; ++i) {
        workers_[i] =
            std::make_unique<Worker>(*this, static_cast<std::uint32_t>(i), false, random());
    }
    made_.store(regular_, std::memory_order_relaxed);
    for (std::size_t i = 0; i < regular_; ++i) {
        const bool started = workers_[i]->start();
        TROUPE_ASSERT(started, "the machine has no thread left for the scheduler");
    }
    watchdog_.start();
}

ThreadedEngine::~ThreadedEngine() {
    stop();
}

// ---- time, chance, threads ----------------------------------------------------------------------

Duration ThreadedEngine::clock() const noexcept {
    return monotonic_now() - began_;
}

Duration ThreadedEngine::now() const noexcept {
    return clock();
}

Duration ThreadedEngine::coarse_now() const noexcept {
    // The coarse clock may still show a time before the engine began.
    return std::max(Duration::zero(), coarse_monotonic_now() - began_);
}

Duration ThreadedEngine::wall_now() const noexcept {
    return troupe::wall_now();
}

/// The worker whose thread this is, or null.
Worker* ThreadedEngine::own_worker() const noexcept {
    const WorkerContext* const context = current_context();
    return context != nullptr && context->engine == this ? context->worker : nullptr;
}

std::uint64_t ThreadedEngine::random() {
    if (Worker* const own = own_worker()) return own->random();
    LockGuard lock(random_mutex_);
    return outside_random_.next();
}

std::uint64_t ThreadedEngine::choose(std::uint64_t n, ChoiceKind, const char*) {
    TROUPE_ASSERT(n != 0, "choose among no alternatives");
    // The bias of the remainder is below 2^-32 for the small n that choices have.
    return random() % n;
}

void ThreadedEngine::start_timer(TimerNode* timer) {
    const Worker* const own = own_worker();
    // A spare worker leaves one day, and an outsider has no wheel: theirs are kept by others.
    workers_[own != nullptr ? own->index() % regular_ : 0]->start_timer(timer);
}

bool ThreadedEngine::cancel_timer(TimerNode* timer) noexcept {
    return workers_[timer->wheel]->cancel_timer(timer);
}

Result<void> ThreadedEngine::offload(Job* job) {
    return pool_.submit(job);
}

Reactor* ThreadedEngine::reactor() noexcept {
    // Sockets are spread over the workers in turn; each runs its owner where it is watched.
    const std::uint32_t index = next_reactor_.fetch_add(1, std::memory_order_relaxed);
    return &workers_[index % regular_]->reactor();
}

bool ThreadedEngine::run_until(Latch& latch) {
    TROUPE_ASSERT(current_context() == nullptr,
                  "block_on was called on a worker: it would block all actors there; use co_await");
    {
        LockGuard lock(waiters_mutex_);
        if (has_ended_) return latch.is_open();
        waiters_.push_back(&latch);
    }
    const bool opened = latch.wait_unless_given_up();
    LockGuard lock(waiters_mutex_);
    waiters_.erase(std::find(waiters_.begin(), waiters_.end(), &latch));
    return opened;
}

bool ThreadedEngine::stopped() const noexcept {
    LockGuard lock(waiters_mutex_);
    return has_ended_;
}

void ThreadedEngine::run_for(Duration) {
    TROUPE_ASSERT(false, "virtual time can be moved on the deterministic engine only");
}

void ThreadedEngine::settle() {
    TROUPE_ASSERT(false, "only the deterministic engine knows when everything has settled");
}

void ThreadedEngine::stop() {
    if (stopped_) return;
    const WorkerContext* const context = current_context();
    TROUPE_ASSERT(context == nullptr || context->engine != this,
                  "stop() was called on a worker of the engine: a worker cannot wait for its own "
                  "end");
    stopped_ = true;
    pool_.stop();
    own_threads_.stop();
    // Before the workers: it starts, interrupts and joins them.
    watchdog_.stop();
    // seq_cst: a worker about to sleep sees it or is woken below.
    stopping_.store(true, std::memory_order_seq_cst);
    const std::size_t made = workers_made();
    for (std::size_t i = 0; i < made; ++i)
        workers_[i]->reactor().wake();
    for (std::size_t i = 0; i < made; ++i)
        workers_[i]->join();
    end_services();
    for (std::size_t i = 0; i < made; ++i)
        workers_[i]->drop_timers();
    LockGuard lock(waiters_mutex_);
    has_ended_ = true;
    for (Latch* const latch : waiters_)
        latch->give_up();
}

Engine::Running ThreadedEngine::running(const Cell& cell) const noexcept {
    const std::size_t made = workers_made();
    for (std::size_t i = 0; i < made; ++i) {
        const Worker& worker = *workers_[i];
        if (worker.cell.load(std::memory_order_relaxed) != &cell) continue;
        return {true, worker.doing.load(std::memory_order_relaxed), worker.step_lasts(clock())};
    }
    return own_threads_.running(cell);
}

EngineStats ThreadedEngine::stats() const noexcept {
    EngineStats stats;
    const std::size_t made = workers_made();
    for (std::size_t i = 0; i < made; ++i)
        workers_[i]->add_stats(stats);
    watchdog_.add_stats(stats);
    starvation_.add_stats(stats);
    stats.turns += own_threads_.turns();
    stats.own_threads = own_threads_.count();
    stats.blocking = pool_.stats();
    return stats;
}

// ---- cells from outside -------------------------------------------------------------------------

void ThreadedEngine::inject(Cell& cell) noexcept {
    injected_.push(cell);
    wake_one_if_asleep();
}

void ThreadedEngine::inject(const CellChain& cells) noexcept {
    injected_.push(cells);
    wake_one_if_asleep();
}

// ---- placed cells -------------------------------------------------------------------------------

Result<void> ThreadedEngine::place(Cell& cell, const Placement& placement) {
    std::size_t worker = 0;
    switch (placement.kind) {
        case Placement::Kind::anywhere:
            break;
        case Placement::Kind::own_thread:
            if (Result<void> started = own_threads_.start(cell); !started) return started;
            break;
        case Placement::Kind::near:
        case Placement::Kind::pinned:
            worker = placement.shard != Placement::kAnyShard
                         ? placement.shard
                         : next_shard_.fetch_add(1, std::memory_order_relaxed);
    }
    cell.set_place(placement.kind, worker % regular_);
    return {};
}

void ThreadedEngine::schedule_placed(Cell& cell) noexcept {
    if (cell.placed() == Placement::Kind::own_thread) return own_threads_.schedule(cell);
    Worker& worker = *workers_[cell.worker()];
    if (own_worker() == &worker) return worker.keep(cell);
    worker.receive(cell);
    wake(worker);
}

void ThreadedEngine::leave_place(Cell& cell) noexcept {
    if (cell.placed() == Placement::Kind::own_thread) own_threads_.end(cell);
}

// ---- sleepers -----------------------------------------------------------------------------------

void ThreadedEngine::note_asleep(const Worker& worker) noexcept {
    // seq_cst: first the bit, then another look for work; whoever makes work does it the other way
    // round. One of the two notices.
    asleep_.fetch_or(worker.bit(), std::memory_order_seq_cst);
}

bool ThreadedEngine::note_awake(const Worker& worker) noexcept {
    // seq_cst: first the bit, then a look whether the watchdog watches; see watchdog.hpp.
    return (asleep_.fetch_and(~worker.bit(), std::memory_order_seq_cst) & worker.bit()) == 0;
}

bool ThreadedEngine::any_busy_but(const Worker& worker) const noexcept {
    const std::uint64_t others = regular_mask_ & ~worker.bit();
    return (asleep_.load(std::memory_order_relaxed) & others) != others;
}

void ThreadedEngine::wake_one_if_asleep() noexcept {
    if (asleep() != 0) wake_one();
}

void ThreadedEngine::wake_one() noexcept {
    // Regular workers first: they have the lower bits.
    const std::uint64_t awakable = regular_mask_ | serving_.load(std::memory_order_relaxed);
    std::uint64_t mask = asleep() & awakable;
    while (mask != 0) {
        if (wake(*workers_[static_cast<std::size_t>(std::countr_zero(mask))])) return;
        mask &= mask - 1;
    }
}

/// True when it slept and nobody else has woken it.
bool ThreadedEngine::wake(Worker& worker) noexcept {
    if ((asleep() & worker.bit()) == 0) return false;
    // acq_rel: one waker per sleeper.
    if ((asleep_.fetch_and(~worker.bit(), std::memory_order_acq_rel) & worker.bit()) == 0) {
        return false;
    }
    worker.count_wake();
    worker.reactor().wake();
    return true;
}

Worker& ThreadedEngine::make_spare(std::size_t index) {
    if (workers_[index] == nullptr) {
        // Spare workers are made in order, so those made are always the first ones.
        workers_[index] =
            std::make_unique<Worker>(*this, static_cast<std::uint32_t>(index), true, random());
        // release: publishes the worker; pairs with workers_made.
        made_.store(index + 1, std::memory_order_release);
    }
    return *workers_[index];
}

}  // namespace troupe::scheduler_internal

namespace troupe {

bool anybody_idle(const Engine& engine) noexcept {
    if (engine.deterministic()) return false;
    const auto& threads = static_cast<const scheduler_internal::ThreadedEngine&>(engine);
    return (threads.asleep() & threads.regular_workers()) != 0;
}

std::unique_ptr<Engine> make_threaded_engine(const ThreadedOptions& options) {
    return std::make_unique<scheduler_internal::ThreadedEngine>(options);
}

}  // namespace troupe
