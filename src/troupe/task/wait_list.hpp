#pragma once

/// Waiting in line: what semaphores, events, channels and the others have in common.
///
/// A waiter is a record that hangs in the list of what it waits for, under that thing's lock, in
/// the order in which they came. Whoever lets it go on takes it out and posts it to its cell;
/// whoever stops waiting takes himself out. Exactly one of the two succeeds, so nothing is given to
/// somebody who has left, and nothing is lost on the way: a waiter that was let go on and cannot
/// use it, as its coroutine was destroyed or cancelled in the same instant, gives it back.

#include <troupe/base/mutex.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/scheduler/shared_use.hpp>
#include <troupe/task/task.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <source_location>

namespace troupe::task_internal {

/// One who waits. A block of its own: it may be on its way when its coroutine has gone.
struct Waiter : MailNode {
    Cell* cell = nullptr;
    std::uint32_t cell_generation = 0;
    std::uint64_t wanted = 1;  // how much of it; a semaphore's
    Waiter* before = nullptr;
    Waiter* after = nullptr;
    bool waits = false;  // in a list; under its lock

    static const MailOps kOps;
};

/// In the order of coming. Under the lock of what is waited for.
class WaitList {
public:
    bool empty() const noexcept { return first_ == nullptr; }
    std::size_t size() const noexcept { return size_; }
    Waiter* first() const noexcept { return first_; }
    void push(Waiter& waiter) noexcept;
    void remove(Waiter& waiter) noexcept;
    /// Takes the first out, to be woken; null when nobody waits.
    Waiter* serve() noexcept;
    /// The same for all, who hang together by `after`.
    Waiter* serve_all() noexcept;

private:
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
    std::size_t size_ = 0;
};

/// Lets those go on who were served and hang together by `after`, the first first. Better outside
/// of the lock.
void wake(Waiter* served) noexcept;

/// What is waited for. Lives longer than whoever waits for it.
class Waitable {
public:
    Waitable() noexcept = default;
    Waitable(const Waitable&) = delete;
    Waitable& operator=(const Waitable&) = delete;

    /// Whoever uses it takes this, and says so with it.
    Mutex& mutex() noexcept {
        note_shared_use(this);
        return mutex_;
    }
    WaitList& waiters() noexcept { return waiters_; }

protected:
    ~Waitable();

private:
    Mutex mutex_{LockRank::wait_list};
    WaitList waiters_;  // under the lock
};

/// The awaitable half: suspends in a list and sees to it that the record outlives what must.
class InLine {
public:
    InLine(const char* what, std::source_location where) noexcept;
    InLine(const InLine&) = delete;
    InLine& operator=(const InLine&) = delete;

protected:
    ~InLine();  // the derived class has called `leave`

    /// Begins the wait: false when it is cancelled already, and await_suspend returns
    /// `record().yielding`. Then the waiter is to be pushed into a list under its lock.
    bool begin(std::coroutine_handle<> self);
    /// It need not wait after all: nothing has happened.
    void call_off() noexcept;

    /// It need not wait at all. True when the others are to go first all the same: this turn has
    /// gone straight on so often.
    static bool others_go_first() noexcept;
    /// They do, and it goes on afterwards: nothing ends this wait. True, for await_suspend.
    bool let_others_go(std::coroutine_handle<> self);

    enum class Outcome : std::uint8_t {
        served,     ///< it has what it waited for
        cancelled,  ///< it has left the line
        untouched,  ///< it has not waited
    };
    /// How the wait came to its end, taking the waiter out of the list if it is still there. Once
    /// after each wait: in await_resume, or in the destructor.
    Outcome leave(Mutex& mutex, WaitList& list) noexcept;
    /// The same in words, for a wait that gives nothing but its end.
    Result<void> leave_with_result(Mutex& mutex, WaitList& list);

    Awaiting& record() noexcept { return record_; }
    Waiter& waiter() noexcept { return *waiter_; }
    Error why_cancelled() const { return cancelled_error(record_); }

private:
    Awaiting record_;
    Waiter* waiter_ = nullptr;
};

}  // namespace troupe::task_internal
