#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/base/assert.hpp>

#include <string>

namespace troupe {

std::string to_string(const Pid& pid) {
    return "<" + std::to_string(pid.node) + "." + std::to_string(pid.slot) + "." +
           std::to_string(pid.generation) + ">";
}

const char* name(ExitReason::Kind kind) noexcept {
    switch (kind) {
        case ExitReason::Kind::normal:
            return "normal";
        case ExitReason::Kind::shutdown:
            return "shutdown";
        case ExitReason::Kind::shutdown_with:
            return "shutdown_with";
        case ExitReason::Kind::failed:
            return "failed";
        case ExitReason::Kind::killed:
            return "killed";
        case ExitReason::Kind::noproc:
            return "noproc";
        case ExitReason::Kind::timeout:
            return "timeout";
        case ExitReason::Kind::node_down:
            return "node_down";
    }
    return "unknown";
}

std::string ExitReason::text() const {
    return text_.empty() ? name(kind_) : text_;
}

namespace actor_internal {

namespace {

void dead_letter(Cell* cell, DeadLetterReason reason, MailNode* message) noexcept {
    SystemCore* const core = SystemCore::find(cell);
    if (core != nullptr) core->count_dead_letter(reason);
    message->ops->drop(message, Error(reason == DeadLetterReason::overflow ? Errc::mailbox_full
                                                                           : Errc::actor_gone));
}

std::string describe(Cell* target, std::uint32_t generation) {
    if (target == nullptr) return "nobody (an empty Ref)";
    std::string text = to_string(pid_of(target, generation));
    const CellType* const type = target->type();
    if (type != nullptr && target->generation() == generation) {
        text += " (";
        text += type->name;
        text += ")";
    }
    return text;
}

}  // namespace

SendStatus post(Cell* cell, std::uint32_t generation, MailNode* message) noexcept {
    if (cell == nullptr || cell->generation() != generation) {
        dead_letter(cell, DeadLetterReason::gone, message);
        return SendStatus::gone;
    }
    message->generation = generation;
    switch (push(*cell, message)) {
        case PushResult::pushed:
            return SendStatus::sent;
        case PushResult::full:
            dead_letter(cell, DeadLetterReason::overflow, message);
            return SendStatus::full;
        case PushResult::gone:
            break;
    }
    dead_letter(cell, DeadLetterReason::gone, message);
    return SendStatus::gone;
}

void post_request(Cell* target, std::uint32_t generation, MailNode* request) noexcept {
    request->generation = generation;
    if (target == nullptr || target->generation() != generation ||
        push_past_bound(*target, request) != PushResult::pushed) {
        dead_letter(target, DeadLetterReason::gone, request);
    }
}

Pid pid_of(const Cell* cell, std::uint32_t generation) noexcept {
    return cell == nullptr ? Pid() : Pid{0, cell->slot(), generation};
}

AskStatus begin_ask(Cell* target, std::uint32_t generation, AskHeader* request, Awaiting& awaiting,
                    std::coroutine_handle<> self, Duration timeout) {
    if (target == nullptr || target->generation() != generation) return AskStatus::gone;
    Cell& cell = begin_await(awaiting, self);
    if (&cell == target) {
        cell.awaiting_ = nullptr;
        return AskStatus::asks_itself;
    }
    request->asker = &cell;
    request->asker_generation = cell.generation();
    request->await_number = cell.await_number_;
    request->generation = generation;
    // An ask may go past the bound: its sender waits for it, so there is one more at most per
    // asker. `within` bounds the wait.
    if (push_past_bound(*target, request) != PushResult::pushed) {
        cell.awaiting_ = nullptr;
        request->asker = nullptr;
        return AskStatus::gone;
    }
    // A long deadline is not worth reading the exact clock for (5 ns instead of 25).
    Engine& engine = cell.engine();
    const bool coarse = timeout >= std::chrono::seconds(1);
    const Duration now = coarse ? engine.coarse_now() + engine.coarse_lag() : engine.now();
    // "For ever" has no deadline, and must not overflow into one.
    if (timeout < Duration::max() - now) arm_deadline(cell, now + timeout);
    return AskStatus::sent;
}

Error timeout_error(Cell* target, std::uint32_t generation, std::string_view method,
                    Duration waited, std::source_location where) {
    std::string text(method);
    text += " of " + describe(target, generation) + " has not replied within " +
            std::to_string(waited.count() / 1'000'000) + " ms";
    if (target->generation() == generation) {
        const std::uint64_t word = target->word();
        const std::uint64_t depth = Cell::count_of(word);
        text += (word & Cell::kBlocked) != 0 ? "; its handler waits for something"
                                             : "; its handler is running";
        text += ", messages accepted and not handled: " + std::to_string(depth);
    } else {
        text += "; it has ended meanwhile";
    }
    return Error(Errc::timed_out, std::move(text), where);
}

Error unsent_error(AskStatus status, Cell* target, std::uint32_t generation,
                   std::string_view method, std::source_location where) {
    std::string text(method);
    if (status == AskStatus::asks_itself) {
        return Error(Errc::call_cycle,
                     text + " of " + describe(target, generation) +
                         " was called by the actor itself: it would wait for ever",
                     where);
    }
    return Error(Errc::actor_gone,
                 text + " was not called: the actor " + describe(target, generation) + " has ended",
                 where);
}

}  // namespace actor_internal
}  // namespace troupe
