#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/log.hpp>
#include <troupe/scheduler/begin_wait.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/context.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/scheduler/timer.hpp>
#include <troupe/scheduler/waiting_report.hpp>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

namespace troupe {

using scheduler_internal::current_context;

namespace {

// So many waits of a cancelled scope are what cleaning up may need; more is named in the log. After
// the first number each lets the others go first.
constexpr std::uint32_t kWaitsUntilYield = 32;
constexpr std::uint32_t kWaitsUntilReport = 128;

/// Of a whole handler or task: at the bottom of its stack, a block of its own.
class RootScope final : public Scope {
public:
    RootScope() noexcept : Scope(Kind::root) {}
};

bool is_scope(const Context& context) noexcept {
    return context.kind() == Context::Kind::scope || context.kind() == Context::Kind::root;
}

/// In the frame of a coroutine, which takes it away itself.
bool in_frame(const Context& context) noexcept {
    return context.kind() == Context::Kind::scope || context.kind() == Context::Kind::shown;
}

/// The scope of everything `handling` does; made on the first call.
Scope& root_scope(MailNode& handling) {
    Context** at = &handling.context;
    while (*at != nullptr && in_frame(**at))
        at = &(*at)->outer;
    for (Context* below = *at; below != nullptr; below = below->outer) {
        if (below->kind() == Context::Kind::root) return static_cast<Scope&>(*below);
    }
    auto* const root = ::new (allocate_block(sizeof(RootScope))) RootScope;
    root->outer = *at;
    *at = root;
    return *root;
}

bool still_waits(const Awaiting* record) noexcept {
    return record != nullptr && record->cancellable && record->arrived == nullptr &&
           !record->timed_out && !record->cancelled && !record->in_cycle;
}

}  // namespace

void Scope::enter() {
    MailNode* const handling = handled_now();
    TROUPE_ASSERT(handling != nullptr,
                  "a deadline, a shield or a group outside an actor or task: start the coroutine "
                  "with system.block_on(...) or inside an actor");
    handling_ = handling;
    outer = handling->context;
    handling->context = this;
}

void Scope::leave() noexcept {
    if (handling_ == nullptr) return;
    TROUPE_ASSERT(handling_->context == this, "scopes are left in the reverse order");
    handling_->context = outer;
    handling_ = nullptr;
}

void Scope::cancel(const Error& why) {
    if (cancelled_) return;
    cancelled_ = true;
    reason_ = why;
    const auto* const context = current_context();
    since_ = context != nullptr ? context->engine->now() : Duration::zero();
}

ScopeView ScopeView::of(Context* innermost, Duration now) noexcept {
    ScopeView view;
    for (Context* at = innermost; at != nullptr; at = at->outer) {
        if (!is_scope(*at)) continue;
        auto& scope = static_cast<Scope&>(*at);
        if (!scope.cancelled_ && scope.deadline <= now) {
            scope.cancelled_ = true;
            scope.since_ = scope.deadline;
            scope.reason_ = Error(Errc::timed_out, "the time set for it has passed");
        }
        if (scope.cancelled_) return {&scope, now};
        view.deadline = std::min(view.deadline, scope.deadline);
        if (scope.grace < Duration::zero()) continue;
        const ScopeView outside = of(scope.outer, now);
        const Duration cancelled_at =
            outside.cancelled_by != nullptr ? outside.cancelled_by->since_ : outside.deadline;
        if (cancelled_at == Duration::max()) return view;
        const Duration felt_at = scope.grace < Duration::max() - cancelled_at
                                     ? cancelled_at + scope.grace
                                     : Duration::max();
        if (outside.cancelled_by != nullptr && felt_at <= now) return outside;
        view.deadline = std::min(view.deadline, felt_at);
        return view;
    }
    return view;
}

MailNode* handled_now() noexcept {
    const auto* const context = current_context();
    return context != nullptr ? context->handling : nullptr;
}

ScopeView scope_now() noexcept {
    const auto* const context = current_context();
    if (context == nullptr || context->handling == nullptr ||
        context->handling->context == nullptr) {
        return {};
    }
    return ScopeView::of(context->handling->context, context->engine->now());
}

// ---- facts --------------------------------------------------------------------------------------

Facts* Facts::now() noexcept {
    const MailNode* const handled = handled_now();
    for (Context* at = handled != nullptr ? handled->context : nullptr; at != nullptr;
         at = at->outer) {
        if (at->kind() == Kind::facts) return static_cast<Facts*>(at);
        if (at->kind() == Kind::shown) return &static_cast<ShownFacts*>(at)->facts();
    }
    return nullptr;
}

Facts* Facts::carry() noexcept {
    Facts* const facts = now();
    if (facts != nullptr) facts->retain();
    return facts;
}

Facts* Facts::copy_of_now() {
    in_use_.store(true, std::memory_order_relaxed);
    auto* const copy = ::new (allocate_block(sizeof(Facts))) Facts;
    if (const Facts* const held = now()) {
        copy->trace = held->trace;
        copy->baggage = held->baggage;
    }
    return copy;
}

void Facts::release() noexcept {
    // acq_rel: whoever frees it has seen all that the others did with it; pairs with itself.
    if (users_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    this->~Facts();
    free_block(this, sizeof(Facts));
}

ShownFacts::ShownFacts(Facts* facts) noexcept
    : Context(Kind::shown), facts_(facts), handling_(handled_now()) {
    TROUPE_ASSERT(handling_ != nullptr, "baggage outside an actor or task has nobody to carry it");
    outer = handling_->context;
    handling_->context = this;
}

ShownFacts::~ShownFacts() {
    TROUPE_ASSERT(handling_->context == this, "contexts are left in the reverse order");
    handling_->context = outer;
    facts_->release();
}

namespace {

/// Another wait has begun in a scope that is cancelled. True when the others are to go first.
bool lets_others_go_first(const Cell& cell, const Awaiting& record, std::uint32_t waits) {
    if (waits == kWaitsUntilReport) {
        const CellType* const type = cell.type();
        log_warn("what was cancelled goes on waiting: does it look at its results?",
                 {{"who", type != nullptr ? std::string(type->name) : std::string()},
                  {"slot", static_cast<std::int64_t>(cell.slot())},
                  {"waits", static_cast<std::int64_t>(waits)},
                  {"at", place_of(record.where)},
                  {"what", record.what}});
    }
    return waits > kWaitsUntilYield;
}

}  // namespace

bool begin_wait(Awaiting& record, std::coroutine_handle<> leaf) noexcept {
    Cell& cell = begin_await(record, leaf);  // asserts that there is a turn
    return wait_in_scopes(running_turn(), cell, record);
}

bool wait_in_scopes(Cell& cell, Awaiting& record, Context& innermost) noexcept {
    const ScopeView view = ScopeView::of(&innermost, cell.engine().now());
    if (view.cancelled_by == nullptr) {
        record.scope_deadline = view.deadline;
        if (view.deadline != Duration::max()) arm_deadline(cell, record, view.deadline);
        return true;
    }
    record.cancelled = true;
    view.cancelled_by->note_wait_ended();
    record.yielding = lets_others_go_first(cell, record, view.cancelled_by->waits_ended());
    if (!record.yielding) cell.awaiting_ = nullptr;
    return false;
}

Error cancelled_error(const Awaiting& record) {
    const ScopeView view = scope_now();
    std::string text = std::string(record.what) + " was cancelled: ";
    if (view.cancelled_by == nullptr) {
        return Error(Errc::cancelled, text + "the actor was asked to stop", record.where);
    }
    const Error& reason = view.cancelled_by->reason();
    // It came during the wait: begin_wait has not counted it.
    if (view.cancelled_by->waits_ended() == 0) view.cancelled_by->note_wait_ended();
    return Error(Errc::cancelled, text + reason.text(), record.where).with_cause(reason);
}

void cancel_handling(MailNode& handling, const Error& why) {
    root_scope(handling).cancel(why);
}

bool look_at_scope_again(Cell& cell, Awaiting* record, const MailNode* handling) noexcept {
    if (handling == nullptr || handling->context == nullptr || !still_waits(record)) return false;
    const ScopeView view = ScopeView::of(handling->context, cell.engine().now());
    if (view.cancelled_by != nullptr) {
        record->cancelled = true;
        return true;
    }
    record->scope_deadline = view.deadline;
    if (view.deadline != Duration::max()) {
        arm_deadline(cell, *record, std::min(view.deadline, record->deadline));
    }
    return false;
}

void release_context_slowly(MailNode& message) noexcept {
    Context* at = std::exchange(message.context, nullptr);
    while (at != nullptr) {
        Context* const outer = at->outer;
        TROUPE_ASSERT(!in_frame(*at), "a handler has ended before the scopes in its frames");
        if (at->kind() == Context::Kind::facts) {
            static_cast<Facts*>(at)->release();
        } else {
            auto* const root = static_cast<RootScope*>(at);
            root->~RootScope();
            free_block(root, sizeof(RootScope));
        }
        at = outer;
    }
}

}  // namespace troupe
