#include <troupe/actor/internal/call_cycle.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/schedule.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/log.hpp>

#include <new>
#include <utility>
#include <vector>

namespace troupe::actor_internal {

namespace {

// A chain that changes while it is walked could lead on and on. One that is longer than this is
// taken for such a one.
constexpr std::size_t kChainMax = 1 << 20;

/// Whom a blocked cell waits for; 0 when it is not blocked, or waits for no other cell.
WaitsFor::Edge edge_of(const Cell& cell) noexcept {
    if (!is_blocked(cell)) return 0;
    const WaitsFor* const waits_for = WaitsFor::find(cell);
    return waits_for != nullptr ? waits_for->get() : 0;
}

/// Whether the edges lead from `first` to `goal`. They may lead round in a circle without it: the
/// turtle waits there (Brent's algorithm).
bool leads_to(const Cell& first, const Cell& goal) noexcept {
    const Cell* turtle = &first;
    std::size_t steps = 0;
    std::size_t turtle_waits = 1;
    for (const Cell* at = &first; at != &goal;) {
        const WaitsFor::Edge edge = edge_of(*at);
        if (edge == 0) return false;
        at = WaitsFor::target_of(edge);
        if (at == turtle) return false;
        if (++steps == turtle_waits) {
            turtle = at;
            steps = 0;
            turtle_waits *= 2;
        }
    }
    return true;
}

/// Those who wait for each other, as a walk has seen them.
struct Link {
    const Cell* cell;
    WaitsFor::Edge edge;
    const MailOps* request;
    std::uint32_t generation;
    friend bool operator==(const Link&, const Link&) = default;
};
using Chain = std::vector<Link>;

/// The way from `first` to `goal`, without goal's own edge; empty when it has come apart.
Chain walk(const Cell& first, const Cell& goal) {
    Chain chain;
    for (const Cell* at = &first; at != &goal;) {
        const WaitsFor::Edge edge = edge_of(*at);
        if (edge == 0 || chain.size() > kChainMax) return {};
        chain.push_back({at, edge, WaitsFor::find(*at)->request(), at->generation()});
        at = WaitsFor::target_of(edge);
    }
    return chain;
}

std::string describe(const Cell& cell, std::uint32_t generation) {
    return to_string(pid_of(&cell, generation)) + " (" + std::string(cell.type()->name) + ")";
}

std::string describe_wait(const MailOps* request, const Cell& target) {
    const std::string whom = describe(target, target.generation());
    if (request == nullptr) return "waits for the start of " + whom;
    const auto& ops = *static_cast<const MessageOps*>(request);
    return (ops.asked ? "asks " : "waits for room to send ") + std::string(ops.method) +
           (ops.asked ? " of " : " to ") + whom;
}

/// "<0.3.1> (C) asks A::m of <0.1.1> (A), which asks B::n of <0.2.1> (B), which ...".
std::string describe_cycle(const Link& first, const Chain& rest) {
    std::string text = describe(*first.cell, first.generation) + " " +
                       describe_wait(first.request, *WaitsFor::target_of(first.edge));
    for (const Link& link : rest) {
        text += ", which ";
        text += describe_wait(link.request, *WaitsFor::target_of(link.edge));
    }
    return text;
}

/// The text of the cycle that the edge of `first` closes; empty when there is none. Two walks that
/// have seen the same prove that all waited between them.
std::string find_cycle(const Link& first) {
    const Cell& target = *WaitsFor::target_of(first.edge);
    if (!leads_to(target, *first.cell)) return {};
    const Chain chain = walk(target, *first.cell);
    if (chain.empty()) return {};
    std::string text = describe_cycle(first, chain);
    return walk(target, *first.cell) == chain ? text : std::string();
}

/// Whether the current cell handles calls that come back to it while it waits. Not in a hook: mail
/// waits until the actor has started.
bool handles_nested(const Cell& cell) noexcept {
    const auto* const extension = static_cast<const Extension*>(cell.extension_);
    return extension != nullptr && extension->reentrant &&
           (cell.flags_ & (kInStartHook | kInStopHook)) == 0;
}

/// Whether the request may be handled nested by one that waits so.
bool can_nest(const MailOps* request, WaitsFor::Edge target_edge) noexcept {
    return WaitsFor::is_reentrant(target_edge) && request != nullptr &&
           static_cast<const MessageOps*>(request)->asked;
}

/// Whether what is sent to the cell may go to another one instead.
bool may_redirect(const Cell& cell) {
    if (cell.capacity_.load(std::memory_order_relaxed) != Cell::kManaged) return false;
    return ManagedMailbox::find(cell)->settings().overflow == Overflow::redirect;
}

void keep_cycle(Cell& cell, std::string text) {
    ties_of(cell).cycle = std::move(text);
}

/// News for one of those who wait in a cycle. Sent to the one who is to hear of it; or before that
/// to the one it waits for, which may handle the request nested in its own handler.
struct CycleSignal : MailNode {
    Cell* waiting = nullptr;  // who is to hear of it
    std::uint32_t waiting_generation = 0;
    std::uint32_t await_number = 0;
    WaitsFor::Edge seen = 0;  // how the other one waited
    std::string text;

    static const MailOps kOps;
    static const MailOps kNestedOps;

    static void free(MailNode* node) noexcept {
        auto* const signal = static_cast<CycleSignal*>(node);
        signal->~CycleSignal();
        free_block(signal, sizeof(CycleSignal));
    }
    void post() noexcept {
        ops = &kOps;
        post_signal(*waiting, waiting_generation, this);
    }
};

const MailOps CycleSignal::kOps{
    MailKind::signal, [](MailNode* node, const Error&) noexcept { free(node); },
    [](MailNode* node, Cell& cell) {
        auto* const signal = static_cast<CycleSignal*>(node);
        Awaiting* const record = cell.awaiting_;
        const bool waits = record != nullptr && record->number == signal->await_number &&
                           record->arrived == nullptr;
        if (waits) {
            keep_cycle(cell, std::move(signal->text));
            record->in_cycle = true;
        }
        free(signal);
        return waits;
    }};

const MailOps CycleSignal::kNestedOps{
    MailKind::signal, [](MailNode* node, const Error&) noexcept { free(node); },
    [](MailNode* node, Cell& cell) {
        auto* const signal = static_cast<CycleSignal*>(node);
        Awaiting* const record = cell.awaiting_;
        // When it does not wait as it did, it comes to the request in time.
        if (record == nullptr || record->edge == nullptr || record->edge->get() != signal->seen) {
            free(signal);
            return false;
        }
        MailNode* const request = take_request(cell, signal->waiting, signal->await_number);
        if (request == nullptr) {
            // It is the one being handled, and cannot be handled any sooner.
            signal->post();
            return false;
        }
        MailNode** end = &ties_of(cell).nested;
        while (*end != nullptr)
            end = &(*end)->next;
        *end = request;
        record->call_waits = true;
        free(signal);
        return false;
    }};

/// What becomes of a wait for one that is itself blocked.
WaitOutcome close_cycle(Cell& cell, const Cell& target, WaitsFor::Edge edge,
                        const MailOps* request) {
    std::string text = find_cycle({&cell, edge, request, cell.generation()});
    // Who it is that it waits for is not known before it is sent; look_for_cycle knows.
    if (text.empty() || may_redirect(target)) return WaitOutcome::may_wait;
    const bool nested = can_nest(request, edge_of(target));
    if (!nested) log_error("actors wait for each other", {{"cycle", text}});
    keep_cycle(cell, std::move(text));
    return nested ? WaitOutcome::reenters : WaitOutcome::cycle;
}

CycleSignal* make_signal(Cell& waiting, std::uint32_t generation, std::uint32_t await_number,
                         std::string text) {
    auto* const signal = ::new (allocate_block(sizeof(CycleSignal))) CycleSignal;
    signal->waiting = &waiting;
    signal->waiting_generation = generation;
    signal->await_number = await_number;
    signal->text = std::move(text);
    return signal;
}

void post_nested(CycleSignal* signal, Cell& target, WaitsFor::Edge seen) noexcept {
    signal->seen = seen;
    signal->ops = &CycleSignal::kNestedOps;
    post_signal(target, target.generation(), signal);
}

}  // namespace

bool is_request_of(const MailNode* message, const Cell* asker,
                   std::uint32_t await_number) noexcept {
    if (!ops_of(message).asked) return false;
    const auto* const request = static_cast<const AskHeader*>(message);
    return request->asker == asker && request->await_number == await_number && !request->piped;
}

MailNode* take_request(Cell& cell, const Cell* asker, std::uint32_t await_number) {
    if (Schedule* const schedule = existing_schedule(cell)) {
        if (schedule->held != nullptr && is_request_of(schedule->held, asker, await_number)) {
            return std::exchange(schedule->held, nullptr);
        }
    }
    if (cell.capacity_.load(std::memory_order_relaxed) == Cell::kManaged) {
        return ManagedMailbox::find(cell)->take_request(asker, await_number);
    }
    if (cell.batch_ == nullptr) return nullptr;
    MailNode* before = cell.batch_;  // the youngest, which the oldest follows
    do {
        MailNode* const message = before->next;
        if (is_request_of(message, asker, await_number)) {
            before->next = message->next;
            if (cell.batch_ == message) cell.batch_ = before == message ? nullptr : before;
            message->next = nullptr;
            return message;
        }
        before = message;
    } while (before != cell.batch_);
    return nullptr;
}

WaitOutcome begin_waiting(Cell& cell, Cell& target, const MailOps* request) noexcept {
    if (!is_actor(cell)) return WaitOutcome::may_wait;  // nobody waits for a task
    // One that handles others meanwhile waits for several, and closes no cycle by that.
    if (const Schedule* const schedule = existing_schedule(cell);
        schedule != nullptr && schedule->interleaves()) {
        return WaitOutcome::may_wait;
    }
    const WaitsFor::Edge edge = WaitsFor::edge(target, cell.await_number_, handles_nested(cell));
    WaitOutcome outcome = WaitOutcome::may_wait;
    if (is_blocked(target)) [[unlikely]] {
        outcome = close_cycle(cell, target, edge, request);
    }
    if (outcome == WaitOutcome::cycle) return outcome;
    WaitsFor& waits_for = WaitsFor::of(cell);
    waits_for.set(edge, request);
    cell.awaiting_->edge = &waits_for;
    return outcome;
}

void wait_for_start(Cell& cell, const Cell* started) noexcept {
    if (started == nullptr || !is_actor(cell)) return;
    WaitsFor& waits_for = WaitsFor::of(cell);
    waits_for.set(WaitsFor::edge(*started, cell.await_number_, false), nullptr);
    cell.awaiting_->edge = &waits_for;
}

void forget_waiting(Cell& cell) noexcept {
    if (cell.awaiting_->edge != nullptr) clear_edge(*cell.awaiting_);
    cell.awaiting_ = nullptr;
}

Error cycle_error(const Cell& cell, std::source_location where) {
    return Error(Errc::call_cycle, "actors wait for each other: " + existing_ties(cell)->cycle,
                 where);
}

void send_nested(Cell& cell, Cell& target) noexcept {
    const WaitsFor::Edge seen = edge_of(target);
    if (seen == 0) return;  // it goes on by itself
    post_nested(make_signal(cell, cell.generation(), cell.await_number_,
                            std::exchange(ties_of(cell).cycle, {})),
                target, seen);
}

void look_for_cycle(const BlockedCell& blocked, WaitsFor& waits_for) noexcept {
    Cell& cell = *blocked.cell;
    const WaitsFor::Edge edge = waits_for.get();
    if (!WaitsFor::is_await(edge, blocked.await_number)) return;
    Cell& target = *WaitsFor::target_of(edge);
    if (!leads_to(target, cell)) return;
    CycleSignal* signal = nullptr;
    WaitsFor::Edge target_edge = 0;
    bool nested = false;
    {
        LockGuard lock(SystemCore::of(cell).cycle_mutex());
        const MailOps* const request = waits_for.request();
        std::string text = find_cycle({&cell, edge, request, blocked.generation});
        // The cell itself must be one of those who waited all the while.
        if (text.empty() || edge_of(cell) != edge) return;
        target_edge = edge_of(target);
        nested = can_nest(request, target_edge);
        // Without its edge the cycle is open, and nobody else finds it.
        if (!nested && !waits_for.redirect(edge, nullptr)) return;
        signal = make_signal(cell, blocked.generation, blocked.await_number, std::move(text));
    }
    if (nested) return post_nested(signal, target, target_edge);
    log_error("actors wait for each other", {{"cycle", signal->text}});
    signal->post();
}

namespace {

void answerer_is(const Cell* waiting, std::uint32_t await_number, const Cell* target) noexcept {
    WaitsFor* const waits_for = waiting != nullptr ? WaitsFor::find(*waiting) : nullptr;
    if (waits_for == nullptr) return;
    const WaitsFor::Edge edge = waits_for->get();
    if (WaitsFor::is_await(edge, await_number)) waits_for->redirect(edge, target);
}

}  // namespace

void goes_elsewhere(const MailNode* message, const Cell* target) noexcept {
    if (message->ops == &WaitingSend::kOps) {
        const auto* const waiting = static_cast<const WaitingSend*>(message);
        answerer_is(waiting->sender, waiting->await_number, target);
    } else if (ops_of(message).asked) {
        const auto* const request = static_cast<const AskHeader*>(message);
        if (request->piped) return;  // its asker goes on
        answerer_is(request->asker, request->await_number, target);
    }
}

void answered_by_anybody(const AskHeader& request) noexcept {
    if (!request.piped) answerer_is(request.asker, request.await_number, nullptr);
}

MailNode* pop_nested(Cell& cell) noexcept {
    Ties* const ties = existing_ties(cell);
    MailNode* const message = ties != nullptr ? ties->nested : nullptr;
    if (message == nullptr) return nullptr;
    ties->nested = std::exchange(message->next, nullptr);
    return message;
}

}  // namespace troupe::actor_internal
