#include <troupe/base/assert.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/waiting_report.hpp>
#include <troupe/task/block_on.hpp>

#include <cstdio>

namespace troupe::task_internal {

/// What the cell of a root task points to.
struct RootTask::Root {
    Task<void> body;
    Latch finished;
    DeadlineSlot deadline;
    bool abandoned = false;  // whoever waits for it gives up
};

namespace {

using Root = RootTask::Root;

Root& root_of(Cell& cell) noexcept {
    return *static_cast<Root*>(cell.extension_);
}

TurnEnd end_root(Cell& cell) noexcept {
    Root& root = root_of(cell);
    root.body.reset();
    disarm_deadline(root.deadline);
    for (MailNode* mail = cell.close_mailbox(nullptr); mail != nullptr;) {
        MailNode* const next = mail->next;
        mail->ops->drop(mail, Error(Errc::actor_gone));
        mail = next;
    }
    cell.extension_ = nullptr;
    cell.engine().release_cell(cell);
    root.finished.open();  // the last touch: block_on returns
    return TurnEnd::released;
}

TurnEnd run_root(Cell& cell) {
    running_turn().handling = nullptr;  // no message: a coroutine
    Root& root = root_of(cell);
    // acquire: sees what the last turn, perhaps on another worker, left behind; pairs with
    // try_block.
    static_cast<void>(cell.word_.load(std::memory_order_acquire));
    if (cell.state() == CellState::starting) {
        cell.state_.store(CellState::running, std::memory_order_relaxed);
        root.body.start();
    } else if (cell.awaiting_->yielding) {
        resume_chain(end_await(cell).leaf);
    }
    for (;;) {
        if (root.abandoned && cell.awaiting_ != nullptr) end_await(cell);
        if (root.body.finished() || root.abandoned) return end_root(cell);
        if (cell.awaiting_->yielding) return TurnEnd::yielded;
        if (cell.urgent()) {
            if (handle_signals(cell, cell.take_mail(nullptr, 0))) {
                resume_chain(end_await(cell).leaf);
            }
        } else if (cell.try_block(nullptr, 0)) {
            return TurnEnd::released;
        }
    }
}

DeadlineSlot& root_deadline(Cell& cell) {
    return root_of(cell).deadline;
}

constexpr CellType kRootType{&run_root, "block_on", &root_deadline};

/// Says who waits for what: nothing can run, so nothing changes while we look.
[[noreturn]] void report_deadlock(Engine& engine) {
    std::fprintf(
        stderr,
        "troupe: block_on waits for ever: nothing can run and no timer is due. Waiting:\n%s",
        waiting_report(engine).c_str());
    TROUPE_ASSERT(false, "deadlock under block_on: see the list above");
    __builtin_unreachable();
}

}  // namespace

RootTask::RootTask(Engine& engine, Task<void> body)
    : engine_(engine), root_(new Root{std::move(body), {}, {}}), cell_(engine.acquire_cell()) {
    cell_.type_.store(&kRootType, std::memory_order_relaxed);
    cell_.capacity_.store(1, std::memory_order_relaxed);
    cell_.extension_ = root_.get();
    cell_.awaiting_ = nullptr;
    cell_.state_.store(CellState::starting, std::memory_order_relaxed);
    cell_.open_mailbox(0);
    schedule(cell_);
}

RootTask::~RootTask() = default;

Latch& RootTask::finished() noexcept {
    return root_->finished;
}

void RootTask::abandon() {
    static const MailOps kOps{MailKind::signal, [](MailNode*, const Error&) noexcept {},
                              [](MailNode*, Cell&) { return false; }};
    root_->abandoned = true;
    MailNode signal;
    signal.ops = &kOps;
    post_signal(cell_, cell_.generation(), &signal);
    engine_.settle();
    TROUPE_ASSERT(root_->finished.is_open(), "a task was given up that could still run");
}

void RootTask::take_back() {
    TROUPE_ASSERT(cell_.state() == CellState::starting,
                  "the engine was stopped while a task of block_on waited on it: stop the system, "
                  "which waits for such tasks, and not the engine below it");
    // Stopped after we had looked. Nothing runs any more, so the cell is ours.
    static_cast<void>(cell_.close_mailbox(nullptr));
    cell_.extension_ = nullptr;
    engine_.release_cell(cell_);
}

void RootTask::forget() noexcept {
    Root* const left = root_.release();
    static_cast<void>(left);
}

bool run_as_root(Engine& engine, Task<void> body) {
    if (engine.stopped()) return false;
    RootTask root(engine, std::move(body));
    if (engine.run_until(root.finished())) return true;
    if (!engine.stopped()) report_deadlock(engine);
    root.take_back();
    return false;
}

void refuse_after_stop() {
    TROUPE_ASSERT(false,
                  "block_on was called after the engine had stopped: nothing can run there. A task "
                  "that gives a Result would hear of it as Errc::closed");
    __builtin_unreachable();
}

}  // namespace troupe::task_internal
