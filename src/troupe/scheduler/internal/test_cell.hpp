#pragma once

/// A cell for the scheduler's own tests: calls a function for each piece of mail, one message a
/// turn, and owns what it sends as plain heap objects. It may also await, as a coroutine would; the
/// function hears of the answer then.

#include <troupe/base/assert.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/engine.hpp>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <functional>
#include <limits>
#include <utility>

namespace troupe::scheduler_internal {

/// Mail with a number in it.
struct NumberMail : MailNode {
    int number = 0;
};

class TestCell {
public:
    using OnMail = std::function<void(TestCell& self, int number)>;

    /// What the function is called with when the await that was begun has ended.
    static constexpr int kAwaitEnded = std::numeric_limits<int>::min();

    explicit TestCell(Engine& engine, OnMail on_mail = {},
                      std::uint16_t capacity = Cell::kUnbounded, const Placement& placement = {})
        : engine_(engine), cell_(engine.acquire_cell()), on_mail_(std::move(on_mail)) {
        cell_.type_.store(&kType, std::memory_order_relaxed);
        cell_.state_.store(CellState::running, std::memory_order_relaxed);
        cell_.capacity_.store(capacity, std::memory_order_relaxed);
        cell_.extension_ = this;
        cell_.awaiting_ = nullptr;  // an earlier owner may have ended while it waited
        const Result<void> placed = engine.place(cell_, placement);
        TROUPE_ASSERT(placed, "the test's cell has no place");
        cell_.open_mailbox(Cell::kIdle);
    }
    /// The cell must not be in a turn, and its engine does not run it again.
    ~TestCell() {
        close();
        engine_.release_cell(cell_);
    }
    TestCell(const TestCell&) = delete;
    TestCell& operator=(const TestCell&) = delete;

    Engine& engine() noexcept { return engine_; }
    Cell& cell() noexcept { return cell_; }

    /// How many turns it has begun. Threads: any; that is all it says to others than its own.
    std::size_t turns() const noexcept { return turns_.load(std::memory_order_relaxed); }

    PushResult send(int number) {
        NumberMail* const mail = make_message(number);
        const PushResult result = push(cell_, mail);
        if (result != PushResult::pushed) delete mail;
        return result;
    }

    void signal(int number) { post_signal(cell_, cell_.generation(), make_signal(number)); }

    /// Starts a timer that arrives as the number it is given; it belongs to the clock.
    TimerNode* start_timer(Duration deadline, int number) {
        auto* const timer = new NumberTimer;
        timer->ops = &kTimerOps;
        timer->target = &cell_;
        timer->generation = cell_.generation();
        timer->deadline = deadline;
        timer->number = number;
        engine_.start_timer(timer);
        return timer;
    }

    /// Takes a timer off the clock again and frees it. False when it was too late.
    bool cancel(TimerNode* timer) noexcept {
        if (!engine_.cancel_timer(timer)) return false;
        delete static_cast<NumberTimer*>(timer);
        return true;
    }

    /// Waits for something from now on, in a turn of its own; mail goes on arriving. How it ended
    /// is in `awaiting()`.
    Awaiting& begin() {
        awaiting_ = Awaiting();
        begin_await(awaiting_, std::noop_coroutine());
        return awaiting_;
    }
    const Awaiting& awaiting() const noexcept { return awaiting_; }
    DeadlineSlot& deadline() noexcept { return deadline_; }

    /// Refuses mail from now on and drops what lies there.
    void close() noexcept {
        disarm_deadline(deadline_);
        for (MailNode* node = cell_.close_mailbox(nullptr); node != nullptr;) {
            MailNode* const next = node->next;
            node->ops->drop(node, Error(Errc::actor_gone));
            node = next;
        }
    }

    static NumberMail* make_message(int number) { return make(number, kMessageOps); }
    static NumberMail* make_signal(int number) { return make(number, kSignalOps); }

private:
    struct NumberTimer : TimerNode {
        int number = 0;
    };

    static NumberMail* make(int number, const MailOps& ops) {
        auto* const mail = new NumberMail;
        mail->ops = &ops;
        mail->number = number;
        return mail;
    }

    static TestCell& of(Cell& cell) { return *static_cast<TestCell*>(cell.extension_); }

    void receive(int number) {
        if (on_mail_) on_mail_(*this, number);
    }

    static TurnEnd run(Cell& cell) {
        TestCell& self = of(cell);
        ++self.turns_;
        for (MailNode* signal = cell.take_mail(nullptr, 0); signal != nullptr;) {
            MailNode* const next = signal->next;
            if (signal->ops->arrive(signal, cell)) {
                end_await(cell);
                self.receive(kAwaitEnded);
            }
            signal = next;
        }
        if (MailNode* const message = cell.pop_batch()) {
            self.receive(static_cast<NumberMail*>(message)->number);
            delete static_cast<NumberMail*>(message);
            cell.release(1);
        }
        if (cell.batch_ != nullptr || !cell.try_idle(nullptr)) return TurnEnd::yielded;
        return TurnEnd::released;
    }

    static void drop_mail(MailNode* node, const Error&) noexcept {
        delete static_cast<NumberMail*>(node);
    }
    static bool signal_arrived(MailNode* node, Cell& cell) {
        of(cell).receive(static_cast<NumberMail*>(node)->number);
        delete static_cast<NumberMail*>(node);
        return false;
    }
    static void drop_timer(MailNode* node, const Error&) noexcept {
        delete static_cast<NumberTimer*>(node);
    }
    static bool timer_arrived(MailNode* node, Cell& cell) {
        of(cell).receive(static_cast<NumberTimer*>(node)->number);
        delete static_cast<NumberTimer*>(node);
        return false;
    }

    static constexpr MailOps kMessageOps{MailKind::message, &drop_mail, nullptr};
    static constexpr MailOps kSignalOps{MailKind::signal, &drop_mail, &signal_arrived};
    static constexpr MailOps kTimerOps{MailKind::signal, &drop_timer, &timer_arrived};
    static DeadlineSlot& deadline_slot(Cell& cell) { return of(cell).deadline_; }
    static constexpr CellType kType{&run, "test cell", &deadline_slot};

    Engine& engine_;
    Cell& cell_;
    OnMail on_mail_;
    std::atomic<std::size_t> turns_{0};  // its turns write, tests read
    Awaiting awaiting_;
    DeadlineSlot deadline_;
};

}  // namespace troupe::scheduler_internal
