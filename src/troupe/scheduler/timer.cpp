#include <troupe/base/block_pool.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/timer.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace troupe {

namespace {

void free_timer(MailNode* node) noexcept {
    free_block(static_cast<TimerNode*>(node), sizeof(TimerNode));
}

bool waits_until_a_time(const Awaiting& record) noexcept {
    return record.deadline != Duration::max() && record.arrived == nullptr && !record.timed_out &&
           !record.cancelled;
}

bool deadline_arrived(MailNode* node, Cell& cell) {
    auto* const timer = static_cast<TimerNode*>(node);
    DeadlineSlot& slot = cell.type()->deadline_slot(cell);
    slot.timer = nullptr;
    Engine& engine = cell.engine();
    const Duration now = engine.now();
    bool can_go_on = false;
    Duration next = Duration::max();
    for (Awaiting* record = cell.awaiting_; record != nullptr; record = record->outer) {
        if (!waits_until_a_time(*record)) continue;
        if (now < record->deadline) {
            next = std::min(next, record->deadline);
            continue;
        }
        // Of two deadlines at the same time the scope's goes first: its owner is to hear of it.
        const bool of_scope = record->deadline == record->scope_deadline;
        (of_scope ? record->cancelled : record->timed_out) = true;
        if (record == cell.awaiting_) can_go_on = true;  // another goes on when its turn comes
    }
    if (next == Duration::max()) {
        free_timer(timer);
        return can_go_on;
    }
    slot.timer = timer;
    timer->deadline = next;
    engine.start_timer(timer);
    return can_go_on;
}

const MailOps kDeadlineOps{MailKind::signal,
                           [](MailNode* node, const Error&) noexcept { free_timer(node); },
                           &deadline_arrived};

}  // namespace

void arm_deadline(Cell& cell, Awaiting& record, Duration deadline) {
    deadline = std::min(deadline, record.scope_deadline);
    record.deadline = deadline;
    DeadlineSlot& slot = cell.type()->deadline_slot(cell);
    TimerNode* timer = slot.timer;
    if (timer != nullptr) {
        // It fires in time, or is about to arrive and will look.
        if (timer->deadline <= deadline || !cell.engine().cancel_timer(timer)) return;
    } else {
        timer = ::new (allocate_block(sizeof(TimerNode))) TimerNode;
        timer->ops = &kDeadlineOps;
        timer->target = &cell;
        timer->generation = cell.generation();
        slot.timer = timer;
    }
    timer->deadline = deadline;
    cell.engine().start_timer(timer);
}

void disarm_deadline(DeadlineSlot& slot) noexcept {
    TimerNode* const timer = std::exchange(slot.timer, nullptr);
    if (timer != nullptr && timer->target->engine().cancel_timer(timer)) free_timer(timer);
}

}  // namespace troupe
