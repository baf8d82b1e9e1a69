#pragma once

#include <troupe/base/error.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/mail.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/scheduler/timer.hpp>

#include <cstdint>
#include <string_view>

namespace troupe::task_internal {

/// A task with a cell of its own: it runs beside whoever started it, and is no actor, so nobody can
/// send it messages. Whoever made it keeps it until `ended`.
class TaskCell : public TimedNode {
public:
    TaskCell() noexcept { ops = &kOps; }
    TaskCell(const TaskCell&) = delete;
    TaskCell& operator=(const TaskCell&) = delete;

    /// How it came to its end.
    enum class End : std::uint8_t {
        finished,   ///< its coroutine has
        not_begun,  ///< it was cancelled before its first turn
        killed,     ///< its coroutine is to be destroyed where it waits
    };

    /// Makes the coroutine and runs it until it waits or has finished. False when it has finished.
    virtual bool begin() = 0;
    /// Keeps the result and destroys the coroutine.
    virtual void finish(End how) noexcept = 0;
    /// Nothing of it is left but this object. The last the cell's turn does with it.
    virtual void ended() noexcept = 0;
    /// Who waits for it, in which generation; nobody's cell is null. While it has not ended.
    struct Owner {
        Cell* cell = nullptr;
        std::uint32_t generation = 0;
    };
    virtual Owner owner() const noexcept { return {}; }
    /// Whether what it is part of was asked to come to an end by itself.
    virtual bool stopping() const noexcept { return false; }

    DeadlineSlot deadline_slot;

protected:
    virtual ~TaskCell() = default;

private:
    static const MailOps kOps;
};

/// The task that a cell belongs to now; null for an actor's. Whoever holds the cell.
TaskCell* task_in(Cell& cell) noexcept;
/// Whether a task has the cell. Any thread.
bool is_task(const Cell& cell) noexcept;

/// The task that runs in this turn; null in an actor and outside.
TaskCell* task_now() noexcept;

TurnEnd run_task(Cell& cell);
DeadlineSlot& task_deadline(Cell& cell);

/// What is the same for all tasks of one kind.
constexpr CellType task_type(std::string_view name) noexcept {
    return CellType{&run_task, name, &task_deadline};
}

/// Takes a cell for the task. Its first turn comes with `schedule`.
Cell& take_cell_for(Engine& engine, const CellType& type, TaskCell& task);

/// Cancels the task that this cell had in this generation. With `kill` it is not resumed any more.
void cancel_task(Cell& cell, std::uint32_t generation, const Error& why, bool kill) noexcept;

}  // namespace troupe::task_internal
