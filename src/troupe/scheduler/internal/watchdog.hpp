#pragma once

/// Looks after workers whose turn does not end.
///
/// The problem: a worker is in the hands of the turn it runs. While that turn computes or blocks,
/// its queue, its slot, its sockets and its timers have nobody; and a task that were to check this
/// would need a worker itself.
///
/// The answer: one thread of its own. Every millisecond it compares each worker's heartbeat, the
/// count of its turns, with what it was. Where a turn has not ended since the last look, the
/// watchdog stands in: it posts the worker's due timers, handles what its reactor reports (and
/// waits in that reactor as well as in its own, so sockets are not served in steps of a
/// millisecond), and gives half of its cells to a sleeper if there is one. After `stall_after` it
/// takes all the cells, reports the turn, and if all workers are stuck starts a spare one. What it
/// takes goes the way of outsiders' cells, so nothing here needs a second mechanism.
///
/// It watches while anybody is awake and parks when all sleep, so an idle process makes no
/// wake-ups. This must stay true: whoever wakes up clears its bit in the mask of sleepers and then
/// looks whether the watchdog watches; the watchdog says that it parks and then looks at the mask.
/// One of the two notices (internal/watch_model_test.cpp walks all interleavings).
///
/// A spare worker serves while no regular worker ends its turns, and leaves a while after that was
/// last so. The cell of a stuck turn is never taken from it, for C++ code cannot be preempted, and
/// cells pinned to its worker wait for it: that is what pinning means.
///
/// Dropped: a sleeping worker that looks every millisecond. It cannot help when all are stuck, or
/// where there is only one; and being both the watcher and a worker took a protocol twice as long.

#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/stall_log.hpp>
#include <troupe/scheduler/reactor.hpp>

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe::scheduler_internal {

struct CellChain;
class ThreadedEngine;
class Worker;

class Watchdog {
public:
    static constexpr Duration kLook = Duration(1'000'000);
    /// Between looks where no worker sleeps and none is slow: there is nobody to help, or be
    /// helped.
    static constexpr Duration kBusyLook = Duration(2'000'000);
    /// The same where there is one worker, until a spare one is needed. At most; and at most half
    /// of `stall_after`.
    static constexpr Duration kLoneLook = Duration(5'000'000);
    /// A spare worker leaves when it has not been needed for so long.
    static constexpr Duration kSpareLinger = Duration(1'000'000'000);

    Watchdog(ThreadedEngine& engine, Duration stall_after, bool backtraces);
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    void start();
    /// Waits for its end. Spare workers are left to the engine.
    void stop() noexcept;

    /// From now on somebody looks after the calling worker, which has just woken up.
    void watch() noexcept {
        // seq_cst, both: see the top of the file.
        if (watching_.load(std::memory_order_seq_cst)) return;
        if (!watching_.exchange(true, std::memory_order_seq_cst)) reactor_.wake();
    }

    void add_stats(EngineStats& stats) const noexcept;

private:
    /// What is known of one worker.
    struct Watched {
        std::uint64_t turns = 0;  // at the last look
        std::uint64_t step = 0;   // the same
        Duration since{};         // when this count was first seen
        Duration core_time{};     // the thread's, when it was first found slow
        bool slow = false;
        bool counted = false;  // among the stalls
        Duration next_report{};
        bool asked = false;  // where its thread stands
        Duration asked_at{};
        // The turn that is being reported.
        std::uint32_t slot = 0;
        std::uint32_t generation = 0;
        const CellType* type = nullptr;
        const std::string_view* doing = nullptr;
        std::uint64_t unreported = 0;
    };

    static void* thread_main(void* watchdog) noexcept;
    void run();
    Duration look();
    std::uint64_t everybody() const noexcept;
    bool all_asleep() const noexcept;
    void park(Duration longest) noexcept;
    Duration observe(Worker& worker, Watched& seen, bool asleep, Duration now);
    void begin_watching(Watched& seen, std::uint64_t turns, Duration now) noexcept;
    void stand_in(Worker& worker, Duration stuck_for, Duration now, bool help_sleeps);
    void hand_over(const CellChain& cells) noexcept;
    void look_closer(Worker& worker, Watched& seen, Duration stuck_for, Duration now);
    void ask(Worker& worker, Watched& seen, Duration stuck_for, Duration now);
    void report(Worker& worker, Watched& seen, Duration lasted, bool with_backtrace);
    bool spare_is_running(std::size_t index) const noexcept {
        return (running_spares_ >> index & 1) != 0;
    }
    void manage_spares(bool all_slow, bool all_stuck, bool spare_free, Duration now);
    void start_spare();
    void join_left();

    ThreadedEngine& engine_;
    const Duration stall_after_;
    const Duration lone_look_;
    const bool backtraces_;
    Reactor reactor_;
    std::vector<Watched> watched_;
    StallLog log_;
    std::uint64_t running_spares_ = 0;  // a bit each
    std::uint64_t leaving_spares_ = 0;
    Duration spares_needed_{};  // when they were last
    pthread_t thread_{};
    bool started_ = false;

    alignas(64) std::atomic<bool> watching_{true};  // workers set it, the watchdog both
    std::atomic<bool> stopping_{false};
    // The watchdog writes, stats reads.
    std::atomic<std::uint64_t> stalls_{0};
    std::atomic<std::uint64_t> handed_over_{0};
    std::atomic<std::uint64_t> spares_started_{0};
    std::atomic<std::uint64_t> spares_now_{0};
};

}  // namespace troupe::scheduler_internal
