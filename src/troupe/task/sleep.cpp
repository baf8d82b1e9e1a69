#include <troupe/base/error.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/task/sleep.hpp>

#include <utility>

namespace troupe::task_internal {

namespace {

void free_timer(MailNode* node) noexcept {
    free_block(static_cast<TimerNode*>(node), sizeof(TimerNode));
}

const MailOps kTimerOps{MailKind::signal,
                        [](MailNode* node, const Error&) noexcept { free_timer(node); },
                        &arrive_as_answer};

}  // namespace

Sleep::Sleep(Duration duration, std::source_location where) noexcept : duration_(duration) {
    awaiting_.what = "sleep";
    awaiting_.where = where;
}

Sleep::~Sleep() {
    let_go();
}

/// Must not wait for the end of the statement that sleeps: by then the timer may have arrived and
/// be freed.
void Sleep::let_go() noexcept {
    TimerNode* const timer = std::exchange(timer_, nullptr);
    if (timer == nullptr) return;
    // Destroyed while suspended, or resumed by a cancellation. A timer that is under way already
    // finds the await over and frees itself.
    if (awaiting_.arrived == timer || timer->target->engine().cancel_timer(timer)) {
        free_timer(timer);
    }
}

bool Sleep::suspend(std::coroutine_handle<> self) {
    awaiting_.interruptible = true;
    if (!begin_wait(awaiting_, self)) return awaiting_.yielding;
    Cell& cell = *current_cell();
    Engine& engine = cell.engine();
    auto* const timer = ::new (allocate_block(sizeof(TimerNode))) TimerNode;
    timer->ops = &kTimerOps;
    timer->target = &cell;
    timer->generation = cell.generation();
    timer->tag = cell.await_number_;
    timer->deadline = engine.now() + (duration_ > Duration::zero() ? duration_ : Duration::zero());
    timer_ = timer;
    engine.start_timer(timer);
    return true;
}

Result<void> Sleep::await_resume() noexcept {
    let_go();
    if (awaiting_.cancelled) return std::unexpected(cancelled_error(awaiting_));
    return {};
}

Yield::Yield(std::source_location where) noexcept {
    awaiting_.what = "yield";
    awaiting_.where = where;
    awaiting_.yielding = true;
}

const MailOps OffloadBase::kOps{MailKind::signal,
                                [](MailNode* node, const Error&) noexcept {
                                    auto* const call = static_cast<OffloadBase*>(node);
                                    call->destroy(call);
                                },
                                &arrive_as_answer};

void OffloadBase::answer() noexcept {
    post_signal(*asker, asker_generation, this);
}

Result<void> begin_offload(OffloadBase& call, Awaiting& awaiting, std::coroutine_handle<> self) {
    if (scope_now().cancelled_by != nullptr) return std::unexpected(cancelled_error(awaiting));
    Cell& cell = begin_await(awaiting, self);
    call.ops = &OffloadBase::kOps;
    call.asker = &cell;
    call.asker_generation = cell.generation();
    call.tag = cell.await_number_;
    call.drop = [](Job* job) noexcept {
        auto* const dropped = static_cast<OffloadBase*>(job);
        dropped->thrown = nullptr;
        dropped->destroy(dropped);
    };
    Result<void> accepted = cell.engine().offload(&call);
    if (!accepted) cell.awaiting_ = nullptr;
    return accepted;
}

}  // namespace troupe::task_internal
