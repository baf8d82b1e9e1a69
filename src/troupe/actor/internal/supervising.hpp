#pragma once

/// What supervisors of a written tree and of a dynamic group have in common: ordering starts and
/// stops, hearing the news, counting restarts, waiting out backoffs, giving up.
///
/// News arrives as signals, at any time, also while a handler waits; it changes the child's record
/// at once. What is to be done about it, a message of its own does, one after the other, so that it
/// reads as one story and a supervisor that is asked to end is never in the middle of two.

#include <troupe/actor/internal/news.hpp>
#include <troupe/actor/internal/restart_limit.hpp>
#include <troupe/actor/internal/supervised.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/scheduler/timer.hpp>

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::actor_internal {

/// The end of a backoff, or of the patience with a child that is stopped.
struct ChildTimer : TimerNode {
    std::uint64_t child = 0;
    std::uint64_t order = 0;  // the last one when it was set

    static const MailOps kOps;
};

/// To a supervisor itself: there is something to be done.
struct AttendNews : News {
    std::ptrdiff_t offset = 0;  // of the Supervising in the object

    static const NewsOps kOps;
};

/// Waits with a supervisor until it has ended, then goes back to whoever waits for that.
struct EndWaiter : MailNode {
    Cell* waits = nullptr;
    std::uint32_t waits_generation = 0;
    std::uint32_t await_number = 0;
    EndWaiter* next_waiter = nullptr;

    static const MailOps kOps;      // on the way there
    static const MailOps kBackOps;  // on the way back
    void go_back() noexcept;
};

/// What a supervisor knows of one child.
struct ChildRecord {
    using State = ChildInfo::State;

    std::string_view name;
    const ChildPolicy::Settings* policy = nullptr;
    Address at;
    State state = State::down;
    std::uint64_t order = 0;  // the last one
    unsigned failures = 0;    // in a row
    std::uint64_t restarts = 0;
    Duration started_at{};
    ChildTimer* timer = nullptr;

    // Of its last end:
    ExitReason reason;
    bool has_ended = false;
    bool was_started = false;
    bool address_ended = false;
};

/// What `Supervising::list` answers.
struct Listing {
    struct Nested {
        Address at;
        std::string path;
    };
    std::string path;
    std::size_t healthy = 0;
    std::size_t min_healthy = 0;
    std::vector<ChildInfo> children;
    std::vector<Nested> supervisors;
};

class Supervising : public Keeper {
public:
    virtual Listing list() const = 0;

protected:
    Supervising(std::string_view path, RestartLimit limit);
    ~Supervising() override;

    virtual ChildRecord* find(std::uint64_t child) = 0;
    /// It failed and is to be started again, perhaps with others. Empty when nothing is to be
    /// waited for.
    virtual Task<void> restart(std::uint64_t child, ChildRecord& record) = 0;
    virtual void has_started(std::uint64_t, ChildRecord&) {}
    /// Whether somebody was told that it could not be started, so that it is not tried again.
    virtual bool was_refused(std::uint64_t, ChildRecord&) { return false; }
    /// It has ended as it was told to. The record may be forgotten.
    virtual void has_stopped(std::uint64_t, ChildRecord&) {}
    /// It has ended for good by itself. The record may be forgotten.
    virtual void finished(std::uint64_t child, ChildRecord& record) = 0;

    void start(std::uint64_t child, ChildRecord& record);
    void stop(std::uint64_t child, ChildRecord& record, Stop strength, After after);
    /// Stops it, and it is killed if it has not ended in time: `has_stopped` says when it has.
    void stop_and_kill_late(std::uint64_t child, ChildRecord& record);
    /// Stops it and waits until it has ended, however little it likes that.
    Task<void> stop_in_time(std::uint64_t child, ChildRecord& record, After after);
    /// Takes its timer off the clock.
    static void forget_timer(ChildRecord& record) noexcept;
    /// Does what there is to be done about children that have ended, or have waited long enough.
    Task<void> attend();
    bool has_to_attend() const noexcept { return !events_.empty(); }
    /// Ends the supervisor: it has done what it had to, or cannot go on.
    void end_itself(ExitReason reason);
    bool ending() const noexcept { return ending_; }
    Duration now() const noexcept { return system().now(); }

    /// Waits until a child has news, or the deadline has passed.
    class [[nodiscard]] Change {
    public:
        enum class Came : std::uint8_t { news, deadline, stop };
        Change(Supervising& supervisor, Duration deadline, bool interruptible) noexcept
            : supervisor_(supervisor), deadline_(deadline) {
            awaiting_.what = "a child";
            awaiting_.interruptible = interruptible;
        }
        Change(const Change&) = delete;
        Change& operator=(const Change&) = delete;
        ~Change() { supervisor_.waiting_ = false; }
        bool await_ready() const noexcept { return false; }
        template <task_internal::OurPromise P>
        void await_suspend(std::coroutine_handle<P> self,
                           std::source_location where = std::source_location::current()) {
            awaiting_.where = where;
            suspend(self);
        }
        Came await_resume() noexcept;

    private:
        void suspend(std::coroutine_handle<> self);

        Supervising& supervisor_;
        Duration deadline_;
        Awaiting awaiting_;
    };
    /// The wait of a supervisor that may be asked to end meanwhile: check `ending()` after it.
    Change change() noexcept { return Change(*this, kForever, true); }
    Change change_until(Duration deadline) noexcept { return Change(*this, deadline, false); }

    void fill(ChildInfo& info, const ChildRecord& record) const;
    const std::string& path() const noexcept { return path_; }

private:
    friend struct AttendNews;
    friend struct ChildTimer;
    friend struct EndWaiter;

    struct Event {
        std::uint64_t child;
        std::uint64_t order;
    };

    bool child_started(const StartedNews& news) final;
    bool child_ended(const StartOrder& news) final;
    void time_is_up(const ChildTimer& timer);
    void note(std::uint64_t child, std::uint64_t order);

    bool wants_restart(std::uint64_t child, ChildRecord& record);
    bool count_restart(ChildRecord& record);
    void set_timer(std::uint64_t child, ChildRecord& record, Duration delay);

    std::string path_;
    RestartLimit limit_;
    const std::uint64_t number_;  // of all supervisors of the process
    std::deque<Event> events_;    // one per child at most
    bool attending_ = false;      // the message that deals with them is on its way, or at it
    bool waiting_ = false;        // in Change
    bool ending_ = false;
    EndWaiter* end_waiters_ = nullptr;
};

}  // namespace troupe::actor_internal
