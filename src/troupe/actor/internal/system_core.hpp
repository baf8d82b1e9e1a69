#pragma once

#include <troupe/actor/internal/crash_reports.hpp>
#include <troupe/actor/internal/dead_letter_table.hpp>
#include <troupe/actor/internal/group_table.hpp>
#include <troupe/actor/internal/registry.hpp>
#include <troupe/actor/internal/shutdown_plan.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/counter.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/mail_stats.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <vector>

namespace troupe::actor_internal {

/// The actor whose turn runs on this thread; the empty Pid when there is none.
Pid sending_actor() noexcept;
/// Who waits for the message to be handled, or for room; a `tell` does not say who sent it.
Pid sender_of(const MailNode* message) noexcept;

/// What a system is besides its engine. The engine's host.
class SystemCore {
public:
    explicit SystemCore(std::unique_ptr<Engine> engine);
    SystemCore(const SystemCore&) = delete;
    SystemCore& operator=(const SystemCore&) = delete;

    static SystemCore& of(const Cell& cell) noexcept {
        return *static_cast<SystemCore*>(cell.engine().host());
    }

    /// The same for an address that may be nobody's: then the system of the calling thread, if any.
    static SystemCore* find(const Cell* cell) noexcept;

    Engine& engine() noexcept { return *engine_; }
    Registry& registry() noexcept { return registry_; }
    GroupTable& groups() noexcept { return groups_; }
    ShutdownPlan& shutdown_plan() noexcept { return shutdown_plan_; }

    static bool is_alive(const Cell& cell) noexcept;
    /// Calls `visit(Cell&)` for every actor that has not ended. Any thread.
    template <class Visit>
    void for_each_living(Visit visit) const {
        engine_->for_each_cell(
            [](Cell& cell, void* data) {
                if (is_alive(cell)) (*static_cast<Visit*>(data))(cell);
            },
            &visit);
    }

    /// Counts a message that was refused, and tells of it: those who listen hear of each, the log
    /// of the first and then once a second how many there were. Any thread.
    void note_refused(const Cell* target, DeadLetterReason reason,
                      const MailNode* message) noexcept;
    /// The same for one that was accepted and will not be handled after all. `sender`: where the
    /// mailbox knows who told it.
    void note_lost(Cell* target, DeadLetterReason reason, const MailNode* message,
                   Pid sender = Pid()) noexcept;
    DeadLetters dead_letters() const noexcept;
    std::vector<DeadLettersOfType> dead_letters_by_type() const;
    std::uint64_t slow_handlers() const noexcept { return slow_handlers_.value(); }
    /// Counts it and says so in the log, once a second at most.
    void note_slow_handler(const Cell& cell, const SlowHandler& slow) noexcept;

    /// What the tests add up: accepted = handled + lost, once nothing is queued any more. Counted
    /// only after `count_messages_for_test`, since it would cost each message some nanoseconds.
    struct MessageCounts {
        std::uint64_t accepted = 0;
        std::uint64_t handled = 0;  // by actors that have ended
        std::uint64_t lost = 0;
    };
    static void count_messages_for_test() noexcept {
        counting_messages_.store(true, std::memory_order_relaxed);
    }
    static bool counting_messages() noexcept {
        return counting_messages_.load(std::memory_order_relaxed);
    }
    void count_accepted() noexcept { accepted_.add(1); }
    void count_handled(std::uint64_t messages) noexcept { handled_.add(messages); }
    MessageCounts message_counts() const noexcept {
        return {accepted_.value(), handled_.value(), lost_.value()};
    }

    /// Held while one of those who wait for each other is chosen to hear of it.
    Mutex& cycle_mutex() noexcept { return cycle_mutex_; }

    struct DeadLetterListener {
        Cell* cell = nullptr;
        std::uint32_t generation = 0;
        std::ptrdiff_t offset = 0;  // of the method's class in the listener's object
        MailNode* (*make_call)(std::ptrdiff_t offset, DeadLetter letter) = nullptr;
    };
    void add_dead_letter_listener(const DeadLetterListener& listener);

    CrashReports& crashes() noexcept { return crashes_; }

    void request_stop() noexcept;
    bool stop_requested() const noexcept {
        // acquire: sees what led to the request; pairs with request_stop.
        return stop_requested_.load(std::memory_order_acquire);
    }
    /// A waiter is posted `node` when the system is asked to stop. False when it has been.
    bool add_stop_waiter(Cell& cell, MailNode* node);
    /// False when the node is on its way.
    bool remove_stop_waiter(const MailNode* node) noexcept;

    /// Stops the actors and then the engine. True when all have ended in time.
    bool stop(Duration grace);
    bool stopped() const noexcept { return stopped_; }

private:
    friend class SpawnLeave;

    struct Waiter {
        Cell* cell;
        std::uint32_t generation;
        MailNode* node;
    };

    void ask_all_to_stop(Stop strength);
    std::size_t alive() const;
    bool all_have_ended() const;
    std::size_t tasks_waited_for() const;
    void pause(Duration& length);
    bool wait_until_none(Duration longest, Stop strength);

    void log_remaining();
    void note_dead_letter(const Cell* target, DeadLetterReason reason, const MailNode* message,
                          Pid sender) noexcept;
    void log_dead_letter(const DeadLetter& letter) noexcept;
    void tell_dead_letter(const DeadLetter& letter) noexcept;

    Registry registry_;  // before the engine, as the next: actors end with it
    GroupTable groups_;
    ShutdownPlan shutdown_plan_;
    std::unique_ptr<Engine> engine_;
    static inline constinit std::atomic<bool> counting_messages_{false};  // tests write, all read
    Counter accepted_;
    Counter handled_;
    Counter lost_;
    std::array<Counter, kDeadLetterReasons> dead_letters_;
    Counter slow_handlers_;
    std::atomic<Duration::rep> next_slow_log_{0};  // whoever logs moves it on
    std::atomic<std::uint64_t> unlogged_slow_handlers_{0};
    DeadLetterTable dead_letters_by_type_;
    std::atomic<Duration::rep> next_dead_letter_log_{0};  // whoever lost a message reads and writes
    std::atomic<std::uint64_t> unlogged_dead_letters_{0};  // the same
    std::atomic<bool> dead_letters_heard_{false};          // set once there is a listener
    CrashReports crashes_;
    std::atomic<bool> closed_{false};                 // stop writes, spawners read
    std::atomic<std::uint32_t> spawning_outside_{0};  // threads from outside write, stop reads
    std::atomic<bool> stop_requested_{false};         // any thread writes, once; any reads
    bool stopped_ = false;                            // stop() only
    bool stopped_in_time_ = true;                     // stop() only
    Mutex cycle_mutex_{LockRank::call_cycle};
    Mutex mutex_{LockRank::system};
    CondVar pause_;
    std::vector<Waiter> stop_waiters_ TROUPE_GUARDED_BY(mutex_);
    std::vector<DeadLetterListener> dead_letter_listeners_ TROUPE_GUARDED_BY(mutex_);
};

/// Leave to spawn, held until the new cell's mailbox is open and stop() can reach it. Any thread.
///
/// A worker spawns in the turn of somebody whom stop() sees alive. A thread from outside may be
/// held up anywhere on its way to an open cell, so stop() must know of it.
class SpawnLeave {
public:
    explicit SpawnLeave(SystemCore& core) noexcept;
    ~SpawnLeave();
    SpawnLeave(const SpawnLeave&) = delete;
    SpawnLeave& operator=(const SpawnLeave&) = delete;

    /// The system is stopping: nobody is spawned any more.
    bool refused() const noexcept { return refused_; }

private:
    SystemCore& core_;
    bool outside_;
    bool refused_;
};

/// Takes a cell for a new actor, closed and without its name. Null when the system is stopping.
Cell* take_cell(const SpawnLeave& leave, Engine& engine, Cell* parent, const ActorType& type,
                const SpawnSettings* settings);

/// Whether the message may go the way of nearly all: link_plainly.
inline bool may_go_plainly(const Cell* cell, std::uint32_t generation) noexcept {
    return cell != nullptr && cell->generation() == generation && !SystemCore::counting_messages();
}

/// The way of nearly all messages: into a mailbox that has room. False, and nothing has happened,
/// when there is more to it.
inline bool post_plainly(Cell* cell, std::uint32_t generation, MailNode* message) noexcept {
    message->generation = generation;
    if (const RunningTurn* const sending = scheduler_internal::running_turn_of_thread) [[likely]]
        stamp(*message, sending->mail_stamp);
    return may_go_plainly(cell, generation) && push_plainly(*cell, message);
}

}  // namespace troupe::actor_internal
