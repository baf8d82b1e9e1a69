#include <troupe/base/block_pool.hpp>
#include <troupe/base/hash.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/mail_mark.hpp>
#include <troupe/task/task.hpp>
#include <troupe/task/task_cell.hpp>

#include <new>

namespace troupe::task_internal {

namespace {

// Of Cell::flags_, which belong to the layer that runs the cell.
constexpr std::uint8_t kKilled = 1;

TaskCell& task_of(Cell& cell) noexcept {
    return *static_cast<TaskCell*>(cell.extension_);
}

TurnEnd end_task(Cell& cell, TaskCell& task, TaskCell::End how) noexcept {
    task.finish(how);
    running_turn().handling = nullptr;
    release_context(task);
    disarm_deadline(task.deadline_slot);
    cell.state_.store(CellState::ended, std::memory_order_relaxed);
    for (MailNode* mail = cell.close_mailbox(nullptr); mail != nullptr;) {
        MailNode* const next = mail->next;
        mail->ops->drop(mail, Error(Errc::actor_gone));
        mail = next;
    }
    cell.extension_ = nullptr;
    cell.engine().release_cell(cell);
    task.ended();
    return TurnEnd::released;
}

bool killed(const Cell& cell) noexcept {
    return (cell.flags_ & kKilled) != 0;
}

/// Whether the coroutine may be destroyed where it waits.
bool lets_go(Awaiting& record) noexcept {
    return record.let_go == nullptr || record.let_go(record);
}

/// Whether a turn that has not looked at its mail yet may resume the coroutine.
bool may_go_on(const Awaiting& record) noexcept {
    return record.yielding || record.arrived != nullptr;  // see post_answer
}

TurnEnd go_on(Cell& cell, TaskCell& task, bool can_resume) {
    for (;;) {
        if (cell.awaiting_ == nullptr) return end_task(cell, task, TaskCell::End::finished);
        if (cell.urgent() && handle_signals(cell, cell.take_mail(nullptr, 0))) can_resume = true;
        if (killed(cell)) {
            if (lets_go(*cell.awaiting_)) {
                end_await(cell);
                return end_task(cell, task, TaskCell::End::killed);
            }
        } else if (can_resume) {
            can_resume = false;
            resume_chain(end_await(cell).leaf);
            continue;
        } else if (cell.awaiting_->yielding) {
            return TurnEnd::yielded;
        }
        if (cell.try_block(nullptr, 0)) return TurnEnd::released;
    }
}

TurnEnd begin_task(Cell& cell, TaskCell& task) {
    // A cancellation may have been faster than the first turn.
    if (cell.urgent()) handle_signals(cell, cell.take_mail(nullptr, 0));
    cell.state_.store(CellState::running, std::memory_order_relaxed);
    if (killed(cell) || scope_now().cancelled_by != nullptr) {
        return end_task(cell, task, TaskCell::End::not_begun);
    }
    if (!task.begin()) return end_task(cell, task, TaskCell::End::finished);
    return go_on(cell, task, false);
}

struct CancelTask final : CancelSignal {
    using CancelSignal::CancelSignal;
    static const MailOps kOps;
    static void free(MailNode* node) noexcept {
        auto* const signal = static_cast<CancelTask*>(node);
        signal->~CancelTask();
        free_block(signal, sizeof(CancelTask));
    }
};

const MailOps CancelTask::kOps{MailKind::signal,
                               [](MailNode* node, const Error&) noexcept { free(node); },
                               [](MailNode* node, Cell& cell) {
                                   auto* const signal = static_cast<CancelTask*>(node);
                                   TaskCell& task = task_of(cell);
                                   if (signal->kill) cell.flags_ |= kKilled;
                                   cancel_handling(task, signal->reason);
                                   free(node);
                                   return look_at_scope_again(cell, cell.awaiting_, &task);
                               }};

}  // namespace

const MailOps TaskCell::kOps{MailKind::message, nullptr, nullptr, true};

bool is_task(const Cell& cell) noexcept {
    const CellType* const type = cell.type();
    const CellState state = cell.state();
    return type != nullptr && type->run == &run_task && state != CellState::free &&
           state != CellState::ended;
}

TaskCell* task_in(Cell& cell) noexcept {
    return is_task(cell) ? &task_of(cell) : nullptr;
}

TaskCell* task_now() noexcept {
    Cell* const cell = current_cell();
    return cell != nullptr ? task_in(*cell) : nullptr;
}

TurnEnd run_task(Cell& cell) {
    // acquire: sees what the last turn, perhaps on another worker, left behind; pairs with
    // try_block.
    static_cast<void>(cell.word_.load(std::memory_order_acquire));
    RunningTurn& running = running_turn();
    TaskCell& task = task_of(cell);
    running.handling = &task;
    running.doing.store(&cell.type()->name, std::memory_order_relaxed);
    if (running.deterministic) cell.engine().note_event(fnv1a_32(cell.type()->name));
    const TurnEnd end = cell.state() == CellState::starting
                            ? begin_task(cell, task)
                            : go_on(cell, task, may_go_on(*cell.awaiting_));
    running.handling = nullptr;  // the task's next turn may be anywhere, or it may be gone
    return end;
}

DeadlineSlot& task_deadline(Cell& cell) {
    return task_of(cell).deadline_slot;
}

Cell& take_cell_for(Engine& engine, const CellType& type, TaskCell& task) {
    Cell& cell = engine.acquire_cell();
    cell.type_.store(&type, std::memory_order_relaxed);
    cell.capacity_.store(1, std::memory_order_relaxed);
    cell.extension_ = &task;
    cell.awaiting_ = nullptr;
    cell.flags_ = 0;
    const Cell* const beginner = current_cell();
    cell.set_priority(beginner != nullptr ? beginner->priority() : Priority::normal);
    cell.handled_.store(0, std::memory_order_relaxed);
    forget_mail_mark(cell);
    cell.state_.store(CellState::starting, std::memory_order_relaxed);
    cell.open_mailbox(0);
    return cell;
}

void cancel_task(Cell& cell, std::uint32_t generation, const Error& why, bool kill) noexcept {
    if (cell.generation() != generation) return;
    auto* const signal = ::new (allocate_block(sizeof(CancelTask))) CancelTask(why);
    signal->ops = &CancelTask::kOps;
    signal->kill = kill;
    post_signal(cell, generation, signal);
}

}  // namespace troupe::task_internal
