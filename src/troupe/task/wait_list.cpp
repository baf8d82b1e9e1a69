#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/task/wait_list.hpp>

#include <new>
#include <utility>

namespace troupe::task_internal {

namespace {

void free_waiter(Waiter* waiter) noexcept {
    free_block(waiter, sizeof(Waiter));
}

}  // namespace

const MailOps Waiter::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_waiter(static_cast<Waiter*>(node)); },
    &arrive_as_answer};

void WaitList::push(Waiter& waiter) noexcept {
    waiter.before = last_;
    waiter.after = nullptr;
    (last_ == nullptr ? first_ : last_->after) = &waiter;
    last_ = &waiter;
    waiter.waits = true;
    ++size_;
}

void WaitList::remove(Waiter& waiter) noexcept {
    (waiter.before == nullptr ? first_ : waiter.before->after) = waiter.after;
    (waiter.after == nullptr ? last_ : waiter.after->before) = waiter.before;
    waiter.waits = false;
    --size_;
}

Waiter* WaitList::serve() noexcept {
    Waiter* const waiter = first_;
    if (waiter == nullptr) return nullptr;
    remove(*waiter);
    waiter->after = nullptr;
    return waiter;
}

Waiter* WaitList::serve_all() noexcept {
    for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->after)
        waiter->waits = false;
    last_ = nullptr;
    size_ = 0;
    return std::exchange(first_, nullptr);
}

void wake(Waiter* served) noexcept {
    while (served != nullptr) {
        Waiter& waiter = *std::exchange(served, served->after);
        post_signal(*waiter.cell, waiter.cell_generation, &waiter);
    }
}

Waitable::~Waitable() {
    TROUPE_ASSERT(waiters_.empty(),
                  "something was destroyed that others wait for: it must live longer than they");
}

InLine::InLine(const char* what, std::source_location where) noexcept {
    record_.what = what;
    record_.where = where;
}

InLine::~InLine() {
    TROUPE_ASSERT(waiter_ == nullptr, "a wait in a line was not left");
}

bool InLine::begin(std::coroutine_handle<> self) {
    if (!begin_wait(record_, self)) return false;
    Cell& cell = *current_cell();
    waiter_ = ::new (allocate_block(sizeof(Waiter))) Waiter;
    waiter_->ops = &Waiter::kOps;
    waiter_->tag = record_.number;
    waiter_->cell = &cell;
    waiter_->cell_generation = cell.generation();
    return true;
}

void InLine::call_off() noexcept {
    waiter_->cell->awaiting_ = nullptr;
    free_waiter(std::exchange(waiter_, nullptr));
}

bool InLine::others_go_first() noexcept {
    return running_turn().goes_on_too_long();
}

bool InLine::let_others_go(std::coroutine_handle<> self) {
    begin_await(record_, self);
    record_.yielding = true;
    record_.cancellable = false;
    return true;
}

InLine::Outcome InLine::leave(Mutex& mutex, WaitList& list) noexcept {
    Waiter* const waiter = std::exchange(waiter_, nullptr);
    if (waiter == nullptr) return Outcome::untouched;
    if (record_.arrived == waiter) {
        record_.arrived = nullptr;
        free_waiter(waiter);
        return Outcome::served;
    }
    LockGuard lock(mutex);
    // Served, and on its way: it finds this wait over and is freed where it arrives.
    if (!waiter->waits) return Outcome::served;
    list.remove(*waiter);
    free_waiter(waiter);
    return Outcome::cancelled;
}

Result<void> InLine::leave_with_result(Mutex& mutex, WaitList& list) {
    const Outcome outcome = leave(mutex, list);
    if (outcome == Outcome::cancelled || (outcome == Outcome::untouched && record_.cancelled)) {
        return std::unexpected(why_cancelled());
    }
    return {};
}

}  // namespace troupe::task_internal
