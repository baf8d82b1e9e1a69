#include <troupe/actor/internal/ending.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/pipes.hpp>
#include <troupe/base/assert.hpp>

#include <utility>

namespace troupe::actor_internal {

namespace {

Pipes& pipes_of(Cell& cell) {
    Ties& ties = ties_of(cell);
    if (ties.pipes == nullptr) ties.pipes = make_node<Pipes>();
    return *ties.pipes;
}

Pipes* existing_pipes(Cell& cell) noexcept {
    Ties* const ties = existing_ties(cell);
    return ties != nullptr ? ties->pipes : nullptr;
}

void free_timer(TimerNode* timer) noexcept {
    free_node(timer);
}

/// One that has left the clock frees itself when it arrives.
void cancel_deadline(Cell& cell, Pipe& pipe) noexcept {
    TimerNode* const timer = std::exchange(pipe.deadline, nullptr);
    if (timer != nullptr && cell.engine().cancel_timer(timer)) free_timer(timer);
}

/// Into the actor's own mailbox, behind what waits there, whatever its bound.
void deliver(Cell& cell, MailNode* message) noexcept {
    if (!force(cell, message->generation, message)) {
        dead_letter(&cell, DeadLetterReason::gone, message);
    }
}

/// Takes the pipe away: whoever comes later finds none.
bool take_pipe(Cell& cell, std::uint32_t number, Pipe& pipe) {
    Pipes* const pipes = existing_pipes(cell);
    if (pipes == nullptr) return false;
    const auto at = pipes->open.find(number);
    if (at == pipes->open.end()) return false;
    pipe = at->second;
    pipes->open.erase(at);
    return true;
}

void fail_pipe(Cell& cell, std::uint32_t number, Error why) {
    Pipe pipe;
    if (!take_pipe(cell, number, pipe)) return;
    cancel_deadline(cell, pipe);
    pipe.ops->set_error(pipe.message, std::move(why));
    deliver(cell, pipe.message);
}

bool deadline_arrived(MailNode* node, Cell& cell) {
    auto* const timer = static_cast<TimerNode*>(node);
    Pipe pipe;
    if (take_pipe(cell, timer->tag, pipe)) {
        pipe.ops->set_error(pipe.message,
                            timeout_error(pipe.target, pipe.generation, pipe.method, pipe.timeout,
                                          std::source_location::current()));
        deliver(cell, pipe.message);
    }
    free_timer(timer);
    return false;
}

const MailOps kDeadlineOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_timer(static_cast<TimerNode*>(node)); },
    &deadline_arrived};

/// "For ever" has no deadline, and must not overflow into one.
Duration deadline_of(Cell& cell, Duration timeout) {
    const Duration now = cell.engine().now();
    return timeout < Duration::max() - now ? now + timeout : Duration::max();
}

void start_deadline(Cell& cell, std::uint32_t number, Pipe& pipe, Duration deadline) {
    if (deadline == Duration::max()) return;
    auto* const timer = make_node<TimerNode>();
    timer->ops = &kDeadlineOps;
    timer->target = &cell;
    timer->generation = cell.generation();
    timer->tag = number;
    timer->deadline = deadline;
    pipe.deadline = timer;
    cell.engine().start_timer(timer);
}

}  // namespace

bool piped_reply_arrived(MailNode* reply, Cell& cell) {
    Pipe pipe;
    if (!take_pipe(cell, reply->tag, pipe)) {
        reply->ops->drop(reply, Error(Errc::timed_out));
        return false;
    }
    cancel_deadline(cell, pipe);
    pipe.ops->set_reply(pipe.message, reply);
    deliver(cell, pipe.message);
    return false;
}

void begin_pipe(Cell& cell, std::uint32_t cell_generation, MailNode* message, const PipeOps& ops,
                Cell* target, std::uint32_t generation, AskHeader* request, Duration timeout) {
    TROUPE_ASSERT(cell.generation() == cell_generation &&
                      (current_cell() == &cell || cell.state() == CellState::starting),
                  "pipe_to(self(this)) is for the actor's own turn");
    message->generation = cell_generation;
    Pipes& pipes = pipes_of(cell);
    do {
        ++pipes.made;
    } while (pipes.open.contains(pipes.made));
    const std::uint32_t number = pipes.made;
    Pipe& pipe = pipes.open[number];
    pipe.message = message;
    pipe.ops = &ops;
    pipe.target = target;
    pipe.generation = generation;
    pipe.method = ops_of(request).method;
    pipe.timeout = timeout;

    request->asker = &cell;
    request->asker_generation = cell_generation;
    request->await_number = number;
    request->piped = true;
    const Duration deadline = deadline_of(cell, timeout);
    request->deadline = deadline;
    const Duration now = cell.engine().now();
    if (timeout < Duration::max() - now) request->deadline = now + timeout;
    // Its asker goes on and may ask again, so it respects the bound, as a tell does.
    const Admission admission = admit(target, generation, request, Sender::tells);
    const AskStatus status = why_refused(admission);
    if (status == AskStatus::sent) {
        start_deadline(cell, number, pipe, deadline);
        return;
    }
    request->asker = nullptr;
    request->ops->drop(request, Error(Errc::cancelled));
    fail_pipe(
        cell, number,
        unsent_error(status, target, generation, pipe.method, std::source_location::current()));
}

void end_pipes(Cell& cell) noexcept {
    Pipes* const pipes = existing_pipes(cell);
    if (pipes == nullptr) return;
    for (auto& [number, pipe] : pipes->open) {
        cancel_deadline(cell, pipe);
        dead_letter(&cell, DeadLetterReason::gone, pipe.message);
    }
    pipes->open.clear();
}

// ---- blocking work ------------------------------------------------------------------------------

void PipedJob::deliver() noexcept {
    actor_internal::deliver(*cell, std::exchange(message, nullptr));
}

Error PipedJob::thrown() {
    return Error(Errc::failed, text_of_current_exception());
}

bool begin_piped_job(PipedJob& job, const PipeOps& ops) {
    job.message->generation = job.generation;
    Result<void> accepted = job.cell->engine().offload(&job);
    if (accepted) return true;
    ops.set_error(job.message, std::move(accepted).error());
    job.deliver();
    return false;
}

}  // namespace troupe::actor_internal
