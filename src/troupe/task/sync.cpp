#include <troupe/base/error.hpp>
#include <troupe/task/sync.hpp>

#include <string>
#include <utility>

namespace troupe {

using task_internal::Waiter;

// ---- semaphore ----------------------------------------------------------------------------------

void Permit::release() noexcept {
    if (of_ != nullptr) std::exchange(of_, nullptr)->give_back(count_);
}

bool Semaphore::take(std::uint64_t count) noexcept {
    if (!waiters().empty() || available_ < count) return false;
    available_ -= count;
    return true;
}

void Semaphore::give_back(std::uint64_t count) noexcept {
    Waiter* first = nullptr;
    Waiter* last = nullptr;
    {
        LockGuard lock(mutex());
        available_ += count;
        while (!waiters().empty() && waiters().first()->wanted <= available_) {
            available_ -= waiters().first()->wanted;
            Waiter* const served = waiters().serve();
            (last == nullptr ? first : last->after) = served;
            last = served;
        }
    }
    task_internal::wake(first);
}

bool Semaphore::try_acquire(Permit& permit, std::uint64_t count) noexcept {
    {
        LockGuard lock(mutex());
        if (!take(count)) return false;
    }
    permit = Permit(*this, count);
    return true;
}

std::uint64_t Semaphore::available() noexcept {
    LockGuard lock(mutex());
    return available_;
}

bool Semaphore::Acquire::await_ready() noexcept {
    if (count_ > semaphore_.all_) return true;
    LockGuard lock(semaphore_.mutex());
    ready_ = semaphore_.take(count_);
    return ready_ && !others_go_first();
}

bool Semaphore::Acquire::suspend(std::coroutine_handle<> self) {
    if (ready_) return let_others_go(self);
    if (!begin(self)) return record().yielding;
    LockGuard lock(semaphore_.mutex());
    ready_ = semaphore_.take(count_);
    if (ready_) {
        call_off();
        return false;
    }
    waiter().wanted = count_;
    semaphore_.waiters().push(waiter());
    return true;
}

Result<Permit> Semaphore::Acquire::await_resume() {
    if (!ready_ && count_ > semaphore_.all_) {
        return error(Errc::unreachable,
                     std::to_string(count_) + " of a semaphore of " +
                         std::to_string(semaphore_.all_) + " were wanted",
                     record().where);
    }
    if (!ready_) ready_ = leave(semaphore_.mutex(), semaphore_.waiters()) == Outcome::served;
    if (!ready_) {
        // Whoever stood behind may be content with less.
        semaphore_.give_back(0);
        return std::unexpected(why_cancelled());
    }
    ready_ = false;
    return Permit(semaphore_, count_);
}

Semaphore::Acquire::~Acquire() {
    const Outcome outcome = leave(semaphore_.mutex(), semaphore_.waiters());
    if (ready_ || outcome == Outcome::served) {
        semaphore_.give_back(count_);  // served, and nobody there to take it
    } else if (outcome == Outcome::cancelled) {
        semaphore_.give_back(0);
    }
}

// ---- event --------------------------------------------------------------------------------------

void Event::set() noexcept {
    Waiter* served = nullptr;
    {
        LockGuard lock(mutex());
        set_ = true;
        served = waiters().serve_all();
    }
    task_internal::wake(served);
}

void Event::reset() noexcept {
    LockGuard lock(mutex());
    set_ = false;
}

bool Event::is_set() noexcept {
    LockGuard lock(mutex());
    return set_;
}

bool Event::Wait::suspend(std::coroutine_handle<> self) {
    if (event_.is_set()) return let_others_go(self);
    if (!begin(self)) return record().yielding;
    LockGuard lock(event_.mutex());
    if (event_.set_) {
        call_off();
        return false;
    }
    event_.waiters().push(waiter());
    return true;
}

// ---- barrier ------------------------------------------------------------------------------------

/// Arrives as the last, if it is the last.
bool Barrier::complete() noexcept {
    Waiter* served = nullptr;
    {
        LockGuard lock(mutex());
        if (waiters().size() + 1 < parties_) return false;
        served = waiters().serve_all();
    }
    task_internal::wake(served);
    return true;
}

bool Barrier::Arrive::suspend(std::coroutine_handle<> self) {
    if (!begin(self)) return record().yielding;
    Waiter* served = nullptr;
    {
        LockGuard lock(barrier_.mutex());
        if (barrier_.waiters().size() + 1 < barrier_.parties_) {
            barrier_.waiters().push(waiter());
            return true;
        }
        served = barrier_.waiters().serve_all();
    }
    call_off();
    task_internal::wake(served);
    return false;
}

}  // namespace troupe
