/// An asker that was cancelled cancels what it has asked for: the request that waits in a mailbox
/// is dropped, and the handler that is at it hears of it in whatever it awaits.

#include <troupe/actor/ask.hpp>
#include <troupe/actor/internal/call_cycle.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/scheduler/scope.hpp>

#include <new>

namespace troupe::actor_internal {

namespace {

struct CancelRequest final : CancelSignal {
    using CancelSignal::CancelSignal;
    static const MailOps kOps;
};

/// The request has not been begun: nobody wants it any more.
void drop_request(Cell& cell, MailNode* request, const Error& why) noexcept {
    SystemCore::of(cell).note_lost(&cell, DeadLetterReason::expired, request);
    request->ops->drop(request, why);
    cell.release(1);
}

/// True when the handler that waits in the cell can go on.
bool cancel_request(Cell& cell, const CancelRequest& signal) noexcept {
    for (Awaiting* at = cell.awaiting_; at != nullptr; at = at->outer) {
        MailNode* const message = at->message;
        if (message == nullptr || !is_request_of(message, signal.asker, signal.await_number)) {
            continue;
        }
        cancel_handling(*message, signal.reason);
        // One that waits below another goes on when its turn comes.
        return look_at_scope_again(cell, at, message) && at == cell.awaiting_;
    }
    MailNode* const request = take_request(cell, signal.asker, signal.await_number);
    if (request != nullptr) drop_request(cell, request, signal.reason);
    return false;  // or it is done, and the answer on its way
}

const MailOps CancelRequest::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<CancelRequest*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const signal = static_cast<CancelRequest*>(node);
        const bool can_go_on = cancel_request(cell, *signal);
        free_node(signal);
        return can_go_on;
    }};

}  // namespace

void cancel_ask(Cell* target, std::uint32_t generation, const Awaiting& awaiting) noexcept {
    if (awaiting.timed_out || awaiting.in_cycle || target->generation() != generation) return;
    const Scope* const scope = scope_now().cancelled_by;
    const Error why(Errc::cancelled, scope != nullptr
                                         ? "whoever asked was cancelled: " + scope->reason().text()
                                         : "whoever asked has ended");
    auto* const signal = ::new (allocate_block(sizeof(CancelRequest))) CancelRequest(why);
    signal->ops = &CancelRequest::kOps;
    signal->asker = current_cell();
    signal->await_number = awaiting.number;
    post_signal(*target, generation, signal);
}

}  // namespace troupe::actor_internal
