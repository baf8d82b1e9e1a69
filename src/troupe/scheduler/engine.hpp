#pragma once

/// The engine: what a system asks for time, randomness, threads and I/O.
///
/// There are two. The threaded one has workers that steal from each other, a reactor and a timer
/// wheel per worker, and a blocking pool. The deterministic one has one thread, virtual time and an
/// in-memory world, and every choice it makes (which cell runs next, which of two timers is first,
/// every random draw) goes through one function, `choose`; the answers given are the schedule, so
/// the same answers give the same run. Nothing above this component asks the machine directly.

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/stall.hpp>
#include <troupe/scheduler/timer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {

class Latch;
class MailStats;
class Reactor;
struct MailNode;
namespace scheduler_internal {
class CellTable;
class Worker;
}  // namespace scheduler_internal

/// A piece of blocking work. Owned by the engine from `offload` on; `run` is called once, on a
/// thread of the blocking pool, and posts whatever answers it.
struct Job {
    Job* next = nullptr;
    void (*run)(Job* job) noexcept = nullptr;
    void (*drop)(Job* job) noexcept = nullptr;  ///< the engine ends before the job could run
};

/// One thing that belongs to an engine for as long as it lives: the way higher components (the
/// in-memory network) hang their world on it without the engine knowing them.
class EngineService {
public:
    EngineService() = default;
    EngineService(const EngineService&) = delete;
    EngineService& operator=(const EngineService&) = delete;
    virtual ~EngineService() = default;
};

/// The blocking pool, a moment ago. On the deterministic engine there are no threads.
struct BlockingStats {
    std::size_t threads = 0;    ///< busy or idle
    std::size_t idle = 0;       ///< of these
    std::size_t waiting = 0;    ///< jobs accepted that no thread has taken yet
    std::uint64_t done = 0;     ///< jobs that have run to their end
    std::uint64_t refused = 0;  ///< jobs that were not accepted
};

struct EngineStats {
    std::uint64_t turns = 0;           ///< how many times a cell was run
    std::uint64_t steals = 0;          ///< cells taken from another worker
    std::uint64_t parks = 0;           ///< how often a worker went to sleep
    std::uint64_t wakes = 0;           ///< how often a sleeping worker was woken by another thread
    std::uint64_t stalls = 0;          ///< turns that kept their worker for too long
    std::uint64_t handed_over = 0;     ///< cells taken from behind such a turn
    std::uint64_t starved = 0;         ///< cells that waited too long for a worker
    Duration longest_wait{};           ///< of such a cell
    std::size_t spares = 0;            ///< spare workers there are now
    std::uint64_t spares_started = 0;  ///< and that were ever started
    std::size_t own_threads = 0;       ///< threads that run one cell each
    BlockingStats blocking;
};

class Engine {
public:
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    virtual ~Engine();

    /// Whether this is the deterministic engine. Not virtual: every turn asks.
    bool deterministic() const noexcept { return deterministic_; }

    /// How many workers run cells.
    virtual std::size_t workers() const noexcept = 0;

    /// Time since the engine began; on a worker it may lag by less than a turn.
    virtual Duration now() const noexcept = 0;

    /// The same for long deadlines: some milliseconds late at most, and much cheaper to ask.
    virtual Duration coarse_now() const noexcept = 0;
    /// How much coarse_now() may lag behind now().
    virtual Duration coarse_lag() const noexcept = 0;

    /// The wall clock, as time since 1970. Virtual, with a fixed start, on the deterministic
    /// engine.
    virtual Duration wall_now() const noexcept = 0;

    /// One of `n` (at least 1) alternatives. `site` names the place that asks, for reports.
    virtual std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) = 0;

    /// 64 random bits; on the deterministic engine from its seed.
    virtual std::uint64_t random() = 0;

    /// Posts `timer` to its target at its deadline, never before. Any thread. Takes the node over.
    virtual void start_timer(TimerNode* timer) = 0;

    /// Takes a timer off the clock: true when it had not fired, and the node is the caller's again.
    /// After false the node is on its way to the target's mailbox. Only the target's turn may ask.
    virtual bool cancel_timer(TimerNode* timer) noexcept = 0;

    /// Runs `job` on the blocking pool. Errors: closed, when the engine is stopping; mailbox_full,
    /// when as many jobs wait as the options allow. The job stays the caller's then.
    virtual Result<void> offload(Job* job) = 0;

    /// The reactor that watches new sockets of the calling thread, or null on the deterministic
    /// engine, which has no sockets.
    virtual Reactor* reactor() noexcept = 0;

    /// Blocks the calling thread, which is none of the workers, until the latch is set. The
    /// deterministic engine runs meanwhile; false when nothing can run any more, and on both when
    /// the engine has stopped.
    virtual bool run_until(Latch& latch) = 0;

    /// The deterministic engine runs until nothing is runnable and no timer is due before `end`;
    /// virtual time is `end` then. The threaded engine may not be asked.
    virtual void run_for(Duration duration) = 0;
    /// The deterministic engine runs until nothing is runnable at the present virtual time.
    virtual void settle() = 0;

    /// Ends the threads: cells still alive do not run again. Idempotent. Not from a worker.
    virtual void stop() = 0;

    /// Whether stop() has ended. Any thread.
    virtual bool stopped() const noexcept = 0;

    /// A hash over every step taken so far, deterministic engine only.
    virtual std::uint64_t event_hash() const noexcept { return 0; }
    /// Adds an event to that hash. Costs nothing on the threaded engine.
    virtual void note_event(std::uint64_t) noexcept {}
    /// The same for what the running turn is about to handle, and for mail and whatever else
    /// several may use at once: what a simulator must know of each step. To be called on the
    /// deterministic engine only; `method` is a constant of the program.
    virtual void note_handling(const std::string_view& /*method*/, const MailNode*) noexcept {}
    virtual void note_sent(Cell&, const MailNode*, bool /*is_signal*/) noexcept {}
    virtual void note_touched(const void*) noexcept {}

    virtual EngineStats stats() const noexcept = 0;

    /// Whether some thread is running the cell, and what its turn is at; out of date at once. Any
    /// thread.
    struct Running {
        bool now = false;
        const std::string_view* doing = nullptr;  ///< a method's name; null when it has not said
        /// For how long it has been at the same message, at least: the watchdog looks every 1 to
        /// 5 ms, and an own thread reads the coarse clock.
        Duration lasted{};
    };
    virtual Running running(const Cell& cell) const noexcept = 0;

    /// Tells `listener` of turns that keep their worker for too long, until the engine ends: of one
    /// of each kind in ten seconds. The log hears of them anyway. The deterministic engine has
    /// none. Threads: any.
    void on_stall(std::unique_ptr<StallListener> listener);
    /// For the scheduler.
    void tell_stall_listeners(const StallReport& report) noexcept;
    void tell_stall_listeners(const StarvationReport& report) noexcept;

    /// What runs on the engine: set once by the layer above before anything does.
    void* host() const noexcept { return host_; }
    void set_host(void* host) noexcept { host_ = host; }

    /// What is known of the mail of its cells, by their types. Any thread.
    MailStats& mail_stats() noexcept { return *mail_stats_; }
    const MailStats& mail_stats() const noexcept { return *mail_stats_; }

    /// The cell's first fields are set by the caller before it opens the mailbox.
    Cell& acquire_cell();
    void release_cell(Cell& cell) noexcept;

    /// Calls `visit(cell, data)` for every cell in use. Any thread; cells come and go meanwhile.
    void for_each_cell(void (*visit)(Cell& cell, void* data), void* data) const;

    /// The cell with this slot number if it is one of ours and in use, or null.
    Cell* find_cell(std::uint32_t slot) const noexcept;

    /// The service made by `Service(Engine&)` on the first call. Its constructor may ask for other
    /// services, which then end after it. Any thread.
    template <class Service>
    Service& service() {
        static const char key = 0;
        return static_cast<Service&>(
            service(&key, [](Engine& engine) -> EngineService* { return new Service(engine); }));
    }

    /// Says where a new cell runs, before its mailbox opens. Any thread.
    ///
    /// Errors:  failed, when no more threads may be had for own_thread; closed, when the engine is
    ///          stopping.
    virtual Result<void> place(Cell& cell, const Placement& placement) = 0;

    /// For the scheduler: a cell that became runnable outside the engine's own workers.
    virtual void inject(Cell& cell) noexcept = 0;
    /// For the scheduler: a placed cell that became runnable, anywhere.
    virtual void schedule_placed(Cell& cell) noexcept = 0;

protected:
    explicit Engine(bool deterministic);
    /// A placed cell has ended.
    virtual void leave_place(Cell& cell) noexcept = 0;
    /// Ends the services, newest first. To be called by stop() once nothing runs any more.
    void end_services() noexcept;

private:
    EngineService& service(const void* key, EngineService* (*make)(Engine&));

    struct Services;
    struct StallListeners;
    const bool deterministic_;
    void* host_ = nullptr;
    std::unique_ptr<MailStats> mail_stats_;  // before the cells, which are in it by their types
    std::unique_ptr<scheduler_internal::CellTable> cells_;
    std::unique_ptr<Services> services_;
    std::unique_ptr<StallListeners> stall_listeners_;
};

struct ThreadedOptions {
    std::size_t workers = 0;                 ///< 0: as many as this process may use cores
    std::size_t blocking_threads_max = 64;   ///< of the blocking pool; started when needed
    std::size_t blocking_jobs_max = 10'000;  ///< waiting; more are refused
    std::uint64_t seed = 0;                  ///< of `random`; 0: from the machine

    /// Actors with a thread of their own; more are refused.
    std::size_t own_threads_max = 256;

    /// A turn that lasts longer is reported, and all that waits behind it is served by others. From
    /// a millisecond on; whoever sleeps helps sooner.
    Duration stall_after = std::chrono::milliseconds(10);
    /// What could run and waits for a worker for longer is starving: it is counted, and one in ten
    /// seconds is reported.
    Duration starving_after = std::chrono::milliseconds(100);
    Duration starving_badly_after = std::chrono::seconds(1);
    /// Workers that are started when all others are stuck. They leave when they are not needed.
    std::size_t spare_workers_max = 8;
    /// Reports say where the turn is at. Its thread is interrupted for that by SIGURG, which ends
    /// sleeps and some other blocking system calls with EINTR.
    bool stall_backtraces = true;
};

std::unique_ptr<Engine> make_threaded_engine(const ThreadedOptions& options = ThreadedOptions());

/// `chooser` must outlive the engine.
std::unique_ptr<Engine> make_deterministic_engine(Chooser& chooser);

}  // namespace troupe
