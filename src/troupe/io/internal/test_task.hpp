#pragma once

/// A task with a cell of its own, for tests that need several at once: what block_on is for one.
/// It can be stopped and killed as an actor can.

#include <troupe/base/error.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/task/task.hpp>

#include <utility>

namespace troupe::io_internal {

class TestTask {
public:
    enum class Start : bool { now, later };

    TestTask(Engine& engine, Task<void> body, Start when = Start::now)
        : cell_(engine.acquire_cell()),
          generation_(cell_.generation()),
          engine_(engine),
          body_(std::move(body)) {
        cell_.type_.store(&kType, std::memory_order_relaxed);
        cell_.extension_ = this;
        cell_.awaiting_ = nullptr;
        cell_.state_.store(CellState::starting, std::memory_order_relaxed);
        cell_.open_mailbox(0);
        if (when == Start::now) start();
    }
    /// For those made with Start::later, once.
    void start() { schedule(cell_); }

    /// It has ended, or its engine runs nothing any more.
    ~TestTask() {
        if (!ended_.is_open()) end();
    }
    TestTask(const TestTask&) = delete;
    TestTask& operator=(const TestTask&) = delete;

    /// Waits until it has ended. False: nothing can run any more and it has not.
    bool join() { return engine_.run_until(ended_); }
    bool ended() const noexcept { return ended_.is_open(); }
    bool waits() const noexcept { return cell_.awaiting_ != nullptr; }

    /// What a stop and a kill do to an actor's handler.
    void stop() { post_signal(cell_, generation_, new Order(&kStopOps)); }
    void kill() { post_signal(cell_, generation_, new Order(&kKillOps)); }

private:
    struct Order : MailNode {
        explicit Order(const MailOps* what) noexcept { ops = what; }
    };

    static TestTask& of(Cell& cell) noexcept { return *static_cast<TestTask*>(cell.extension_); }

    static void drop(MailNode* node, const Error&) noexcept { delete static_cast<Order*>(node); }
    static bool stop_arrives(MailNode* node, Cell& cell) {
        delete static_cast<Order*>(node);
        Awaiting* const record = cell.awaiting_;
        if (record == nullptr || !record->interruptible || record->arrived != nullptr) return false;
        record->cancelled = true;
        return true;
    }
    static bool kill_arrives(MailNode* node, Cell& cell) {
        delete static_cast<Order*>(node);
        of(cell).killed_ = true;
        return false;
    }

    void end() noexcept {
        cell_.awaiting_ = nullptr;
        body_.reset();
        disarm_deadline(deadline_);
        for (MailNode* mail = cell_.close_mailbox(nullptr); mail != nullptr;) {
            MailNode* const next = mail->next;
            mail->ops->drop(mail, Error(Errc::actor_gone));
            mail = next;
        }
        cell_.extension_ = nullptr;
        engine_.release_cell(cell_);
        ended_.open();  // the last touch
    }

    static TurnEnd run(Cell& cell) {
        TestTask& self = of(cell);
        // acquire: sees what the last turn, perhaps on another worker, left behind; pairs with
        // try_block.
        static_cast<void>(cell.word_.load(std::memory_order_acquire));
        if (cell.state() == CellState::starting) {
            cell.state_.store(CellState::running, std::memory_order_relaxed);
            self.body_.start();
        } else if (cell.awaiting_->yielding) {
            task_internal::resume_chain(end_await(cell).leaf);
        }
        for (;;) {
            if (self.killed_ || self.body_.finished()) {
                self.end();
                return TurnEnd::released;
            }
            if (cell.awaiting_->yielding) return TurnEnd::yielded;
            if (cell.urgent()) {
                const bool can_go_on = handle_signals(cell, cell.take_mail(nullptr, 0));
                if (can_go_on && !self.killed_) {
                    task_internal::resume_chain(end_await(cell).leaf);
                }
            } else if (cell.try_block(nullptr, 0)) {
                return TurnEnd::released;
            }
        }
    }
    static DeadlineSlot& deadline_slot(Cell& cell) { return of(cell).deadline_; }

    static constexpr CellType kType{&run, "test task", &deadline_slot};
    static constexpr MailOps kStopOps{MailKind::signal, &drop, &stop_arrives};
    static constexpr MailOps kKillOps{MailKind::signal, &drop, &kill_arrives};

    Cell& cell_;
    const std::uint32_t generation_;
    Engine& engine_;
    Task<void> body_;
    DeadlineSlot deadline_;
    Latch ended_;
    bool killed_ = false;  // its turn only
};

}  // namespace troupe::io_internal
