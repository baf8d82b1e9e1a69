#include <troupe/actor/internal/call_cycle.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/look.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/scheduler/begin_wait.hpp>
#include <troupe/scheduler/scope.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <system_error>

namespace troupe {

std::string to_string(const Pid& pid) {
    return "<" + std::to_string(pid.node) + "." + std::to_string(pid.slot) + "." +
           std::to_string(pid.generation) + ">";
}

std::optional<Pid> pid_in(std::string_view text) noexcept {
    for (std::size_t begin = text.find('<'); begin != std::string_view::npos;
         begin = text.find('<', begin + 1)) {
        const char* at = text.data() + begin + 1;
        const char* const end = text.data() + text.size();
        const auto read = [&](auto& number, char behind) {
            const auto [next, failure] = std::from_chars(at, end, number);
            if (failure != std::errc() || next == end || *next != behind) return false;
            at = next + 1;
            return true;
        };
        Pid pid;
        if (read(pid.node, '.') && read(pid.slot, '.') && read(pid.generation, '>')) return pid;
    }
    return std::nullopt;
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
    return text_.empty() ? name(kind_) : std::string(text_.view());
}

namespace actor_internal {

namespace {

std::string describe(Cell* target, std::uint32_t generation) {
    if (target == nullptr) return "nobody (an empty Ref)";
    std::string text = to_string(pid_of(target, generation));
    const CellType* const type = target->type();
    if (type != nullptr && target->generation() == generation) {
        text += " (";
        text += shown(type->name);
        text += ")";
    }
    return text;
}

}  // namespace

namespace {

Error why_dropped(DeadLetterReason reason) {
    switch (reason) {
        case DeadLetterReason::overflow:
        case DeadLetterReason::conflated:
            return Error(Errc::mailbox_full);
        case DeadLetterReason::too_many:
            return Error(Errc::mailbox_full, "more messages came than the mailbox's rate allows");
        case DeadLetterReason::expired:
            return Error(Errc::timed_out);
        case DeadLetterReason::poison:
            return Error(Errc::failed);
        case DeadLetterReason::unrouted:
        case DeadLetterReason::gone:
        case DeadLetterReason::stopped:
        case DeadLetterReason::stale:
            break;
    }
    return Error(Errc::actor_gone);
}

}  // namespace

MailNode* carry_facts(MailNode* message) noexcept {
    message->context = Facts::carried();
    return message;
}

void dead_letter(Cell* cell, DeadLetterReason reason, MailNode* message) noexcept {
    SystemCore* const core = SystemCore::find(cell);
    if (core != nullptr) core->note_refused(cell, reason, message);
    message->ops->drop(message, why_dropped(reason));
}

void lose_unrouted(const Cell* of_system, MailNode* message) noexcept {
    SystemCore* const core = SystemCore::find(of_system);
    if (core != nullptr) core->note_refused(nullptr, DeadLetterReason::unrouted, message);
    message->ops->drop(message, why_dropped(DeadLetterReason::unrouted));
}

void lose_accepted(Cell* cell, DeadLetterReason reason, MailNode* message, Pid sender) noexcept {
    SystemCore* const core = SystemCore::find(cell);
    if (core != nullptr) core->note_lost(cell, reason, message, sender);
    message->ops->drop(message, why_dropped(reason));
}

namespace {

/// The way of mailboxes that keep their messages in a queue of their own.
Admission admit_managed(Cell& cell, std::uint32_t generation, MailNode* message,
                        Sender sender) noexcept {
    ManagedMailbox* const mailbox = ManagedMailbox::find(cell);
    std::vector<LostMessage> lost;
    const Admission admission = mailbox->admit(generation, message, sender, lost);
    for (const LostMessage& one : lost)
        lose_accepted(&cell, one.reason, one.message, one.sender);
    switch (admission) {
        case Admission::redirected: {
            const MailboxSettings settings = mailbox->settings();
            if (settings.redirect_to == &cell) return Admission::full;
            goes_elsewhere(message, settings.redirect_to);
            const Admission there =
                admit(settings.redirect_to, settings.redirect_generation, message, sender);
            return there == Admission::admitted ? Admission::redirected : there;
        }
        case Admission::failing:
            post_stop(&cell, generation, Stop::kill,
                      ExitReason(ExitReason::Kind::failed, "its mailbox has overflowed"));
            return Admission::full;
        default:
            return admission;
    }
}

Admission admit_uncounted(Cell& cell, std::uint32_t generation, MailNode* message,
                          Sender sender) noexcept {
    const PushResult result =
        sender == Sender::tells ? push(cell, message) : push_past_bound(cell, message);
    switch (result) {
        case PushResult::pushed:
            return Admission::admitted;
        case PushResult::full:
            return Admission::full;
        case PushResult::gone:
            return Admission::gone;
        case PushResult::managed:
            break;
    }
    const Admission admission = admit_managed(cell, generation, message, sender);
    if (admission == Admission::dropped) dead_letter(&cell, DeadLetterReason::overflow, message);
    return admission;
}

}  // namespace

Admission admit(Cell* cell, std::uint32_t generation, MailNode* message, Sender sender) noexcept {
    message->generation = generation;
    if (cell == nullptr || cell->generation() != generation) return Admission::gone;
    if (!SystemCore::counting_messages()) [[likely]]
        return admit_uncounted(*cell, generation, message, sender);
    Engine& engine = cell->engine();
    if (engine.deterministic()) engine.note_sent(*cell, message, false);
    const MailOps* const ops = message->ops;  // once it is admitted it may be gone
    const Admission admission = admit_uncounted(*cell, generation, message, sender);
    // A drain is no message: it is neither handled nor lost.
    if (admission == Admission::admitted && ops != &StopSignal::kDrainOps) {
        SystemCore::of(*cell).count_accepted();
    }
    return admission;
}

bool force(Cell& cell, std::uint32_t generation, MailNode* message) noexcept {
    return admit(&cell, generation, message, Sender::forces) == Admission::admitted;
}

namespace {

SendStatus post_slowly(Cell* cell, std::uint32_t generation, MailNode* message) noexcept {
    switch (admit(cell, generation, message, Sender::tells)) {
        case Admission::admitted:
        case Admission::redirected:
            return SendStatus::sent;
        case Admission::dropped:
            return SendStatus::full;
        case Admission::full:
        case Admission::failing:
            dead_letter(cell, DeadLetterReason::overflow, message);
            return SendStatus::full;
        case Admission::too_many:
            dead_letter(cell, DeadLetterReason::too_many, message);
            return SendStatus::full;
        case Admission::gone:
            break;
    }
    dead_letter(cell, DeadLetterReason::gone, message);
    return SendStatus::gone;
}

}  // namespace

SendStatus post(Cell* cell, std::uint32_t generation, MailNode* message) noexcept {
    if (post_plainly(cell, generation, message)) [[likely]]
        return SendStatus::sent;
    return post_slowly(cell, generation, message);
}

void post_request(Cell* target, std::uint32_t generation, AskHeader* request) noexcept {
    const BlockedCell asker{request->piped ? nullptr : request->asker, request->asker_generation,
                            request->await_number};
    WaitsFor* const edge = asker.cell != nullptr ? WaitsFor::find(*asker.cell) : nullptr;
    goes_elsewhere(request, target);
    switch (admit(target, generation, request, Sender::asks)) {
        case Admission::admitted:
        case Admission::redirected:
            // The asker has waited for long, so nobody else looks whether this closes a cycle.
            if (edge != nullptr) look_after_blocking(asker, *edge);
            return;
        case Admission::dropped:
            return;
        case Admission::full:
        case Admission::failing:
            return dead_letter(target, DeadLetterReason::overflow, request);
        case Admission::too_many:
            return dead_letter(target, DeadLetterReason::too_many, request);
        case Admission::gone:
            return dead_letter(target, DeadLetterReason::gone, request);
    }
}

Pid pid_of(const Cell* cell, std::uint32_t generation) noexcept {
    return cell == nullptr ? Pid() : Pid{0, cell->slot(), generation};
}

AskStatus why_refused(Admission admission) noexcept {
    switch (admission) {
        case Admission::gone:
            return AskStatus::gone;
        case Admission::too_many:
            return AskStatus::too_many;
        case Admission::full:
        case Admission::failing:
            return AskStatus::refused;
        case Admission::admitted:
        case Admission::dropped:
        case Admission::redirected:
            break;
    }
    return AskStatus::sent;
}

void tell_listener(Cell* cell, std::uint32_t generation, MailNode* message) noexcept {
    if (why_refused(admit(cell, generation, message, Sender::tells)) == AskStatus::sent) return;
    message->ops->drop(message, Error(Errc::mailbox_full));
}

namespace {

/// As arm_deadline: the timer of an earlier ask mostly is on the clock still, and early enough.
inline void arm_in_time(Cell& cell, Awaiting& awaiting, Duration deadline) {
    const Extension* const extension = existing_extension(cell);
    if (extension != nullptr && is_actor(cell)) [[likely]] {
        const TimerNode* const timer = extension->deadline.timer;
        const Duration until = std::min(deadline, awaiting.scope_deadline);
        if (timer != nullptr && timer->deadline <= until) [[likely]] {
            awaiting.deadline = until;
            return;
        }
    }
    arm_deadline(cell, awaiting, deadline);
}

}  // namespace

AskStatus begin_ask(Cell* target, std::uint32_t generation, AskHeader* request, Awaiting& awaiting,
                    std::coroutine_handle<> self, Duration timeout) {
    if (target == nullptr || target->generation() != generation) return AskStatus::gone;
    const RunningTurn* const turn = scheduler_internal::running_turn_of_thread;
    Cell* const asker = turn != nullptr ? turn->cell.load(std::memory_order_relaxed) : nullptr;
    if (asker == nullptr) [[unlikely]] {
        static_cast<void>(begin_wait(awaiting, self));  // says what is wrong
        return AskStatus::cancelled;
    }
    const RunningTurn& running = *turn;
    Cell& cell = *asker;
    if (!begin_wait_in(running, cell, awaiting, self)) return AskStatus::cancelled;
    if (&cell == target) {
        cell.awaiting_ = nullptr;
        return AskStatus::asks_itself;
    }
    const WaitOutcome outcome = begin_waiting(cell, *target, request->ops);
    if (outcome == WaitOutcome::cycle) {
        cell.awaiting_ = nullptr;
        return AskStatus::cycle;
    }
    // A long deadline is not worth reading the exact clock for (5 ns instead of 25).
    Engine& engine = cell.engine();
    const bool coarse = timeout >= std::chrono::seconds(1);
    const Duration now = coarse ? engine.coarse_now() + engine.coarse_lag() : engine.now();
    // "For ever" has no deadline, and must not overflow into one.
    Duration deadline = timeout < Duration::max() - now ? now + timeout : Duration::max();
    if (running.handling != nullptr && running.handling->ops->timed) {
        // Whoever asked for what this handler does waits no longer, so neither does the handler.
        deadline = std::min(deadline, static_cast<const TimedNode*>(running.handling)->deadline);
    }
    request->asker = &cell;
    request->asker_generation = cell.generation();
    request->await_number = cell.await_number_;
    request->deadline = std::min(deadline, awaiting.scope_deadline);
    // An ask may go past the bound: its sender waits for it, so there is one more at most per
    // asker. `within` bounds the wait.
    const Admission admission = post_plainly(target, generation, request)
                                    ? Admission::admitted
                                    : admit(target, generation, request, Sender::asks);
    if (const AskStatus refused = why_refused(admission); refused != AskStatus::sent) {
        forget_waiting(cell);
        request->asker = nullptr;
        return refused;
    }
    if (outcome == WaitOutcome::reenters) send_nested(cell, *target);
    if (deadline != Duration::max()) arm_in_time(cell, awaiting, deadline);
    return AskStatus::sent;
}

Error timeout_error(Cell* target, std::uint32_t generation, std::string_view method,
                    Duration waited, std::source_location where) {
    const std::optional<ActorInfo> info = look_at(*target, generation);
    std::string text = shown(method) + " was not answered within " +
                       std::to_string(waited.count() / 1'000'000) + " ms by ";
    text += info ? to_string(*info)
                 : to_string(pid_of(target, generation)) + ", which has ended meanwhile";
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
    if (status == AskStatus::cancelled) return Error(Errc::cancelled, {}, where);
    if (status == AskStatus::cycle) return cycle_error(*current_cell(), where);
    if (status == AskStatus::too_many) {
        return Error(Errc::mailbox_full,
                     text + " was not called: more messages come for " +
                         describe(target, generation) + " than its mailbox's rate allows",
                     where);
    }
    if (status == AskStatus::refused) {
        return Error(Errc::mailbox_full,
                     text + " was not called: the mailbox of " + describe(target, generation) +
                         " is full, and its policy refuses more",
                     where);
    }
    return Error(Errc::actor_gone,
                 text + " was not called: the actor " + describe(target, generation) + " has ended",
                 where);
}

}  // namespace actor_internal
}  // namespace troupe
