#pragma once

/// The half of a work queue that does not depend on what the work is: who waits, who has what, and
/// since when.
///
/// A piece of work is somebody's own: whoever pulled it holds a handle, and what a handle was not
/// acknowledged for comes back when it goes, whether its worker has failed, was killed, was
/// cancelled or has forgotten it. Only for those who hold on to one and do nothing there is a
/// clock.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/pid.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/result.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/wait_list.hpp>

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <source_location>
#include <utility>
#include <vector>

namespace troupe {

/// What may be said about a work queue: `work_queue().capacity(100).lease(10s)`.
class WorkQueueOptions {
public:
    struct Settings {
        std::size_t capacity = 1000;
        Duration lease = std::chrono::seconds(30);
        unsigned attempts = 5;
        std::size_t dead_kept = 100;
    };

    /// So many pieces of work at most, waiting or with a worker: 1000. Whoever puts more waits.
    WorkQueueOptions& capacity(std::size_t pieces) {
        settings_.capacity = pieces;
        return *this;
    }
    /// A worker that neither acknowledges nor renews for so long has lost its piece: 30 s.
    WorkQueueOptions& lease(Duration longest) {
        settings_.lease = longest;
        return *this;
    }
    /// A piece that was given out so often and never acknowledged is dead: 5.
    WorkQueueOptions& attempts(unsigned most) {
        settings_.attempts = most;
        return *this;
    }
    /// So many of the dead are kept to be looked at, the youngest, if nobody else takes them: 100.
    WorkQueueOptions& dead_kept(std::size_t pieces) {
        settings_.dead_kept = pieces;
        return *this;
    }

    const Settings& settings() const noexcept { return settings_; }

private:
    Settings settings_;
};

inline WorkQueueOptions work_queue() {
    return {};
}

/// A work queue, as it was a moment ago.
struct WorkQueueInfo {
    std::size_t depth = 0;      ///< pieces that wait for a worker
    std::size_t in_flight = 0;  ///< pieces that a worker has
    std::size_t capacity = 0;
    std::size_t putting = 0;  ///< those who wait for room
    std::size_t pulling = 0;  ///< those who wait for work
    Duration oldest{};        ///< since when the oldest piece that is not done has been here
    bool closed = false;

    // Since the beginning:
    std::uint64_t put = 0;
    std::uint64_t done = 0;         ///< acknowledged
    std::uint64_t redelivered = 0;  ///< came back and wait, or waited, once more
    std::uint64_t expired = 0;      ///< of these, and of the dead, because the lease had ended
    std::uint64_t dead = 0;
};

/// A piece of work that somebody has.
struct WorkInFlight {
    Pid worker;            ///< the actor or task that has pulled it
    unsigned attempt = 0;  ///< the first is 1
    Duration held{};       ///< for how long
    Duration lease_left{};
    Duration age{};  ///< since it was put
};

namespace route_internal {

/// One piece of work. Shared by the queue and whoever has it: one whose lease has ended may still
/// be read.
struct WorkItem {
    WorkItem() = default;
    WorkItem(const WorkItem&) = delete;
    WorkItem& operator=(const WorkItem&) = delete;
    virtual ~WorkItem() = default;

    // Under the queue's lock:
    unsigned attempts = 0;  // deliveries; the last one's number
    bool in_flight = false;
    std::size_t place = 0;  // among those in flight
    Duration put_at{};
    Duration delivered_at{};
    Duration lease_until{};
    Pid worker;
    std::optional<Error> why_dead;
};
using WorkItemPtr = std::shared_ptr<WorkItem>;

class LeaseKeeper;

class WorkLine {
public:
    using OnDead = UniqueFunction<bool(const WorkItemPtr&)>;

    WorkLine(const WorkQueueOptions::Settings& settings, Engine& engine)
        : settings_(settings), engine_(engine) {}
    WorkLine(const WorkLine&) = delete;
    WorkLine& operator=(const WorkLine&) = delete;

    enum class Put : std::uint8_t { done, full, closed };
    Put try_put(const WorkItemPtr& item);
    std::vector<WorkItemPtr> try_pull(std::size_t most);

    /// False, and nothing happens, when that delivery is over.
    bool acknowledge(WorkItem& item, unsigned attempt);
    bool give_back(const WorkItemPtr& item, unsigned attempt, const Error& why);
    bool renew(WorkItem& item, unsigned attempt);

    void close();
    /// Nobody looks after it any more: what is left is dead.
    void end();

    WorkQueueInfo info() const;
    std::vector<WorkInFlight> in_flight() const;
    std::vector<WorkItemPtr> take_dead();
    void on_dead(OnDead hears);

    void kept_by(const Ref<LeaseKeeper>& keeper);
    /// Takes back what was held for too long. When the next lease ends; max() when none does.
    Duration take_back_expired();

    /// Waits for room, and puts.
    class [[nodiscard]] Putting : task_internal::InLine {
    public:
        using value_type = void;
        Putting(std::shared_ptr<WorkLine> line, WorkItemPtr item, std::source_location where)
            : InLine("work queue (waits for room)", where),
              line_(std::move(line)),
              item_(std::move(item)) {}
        ~Putting();
        bool await_ready();
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        [[nodiscard("the queue may be closed: check the Result")]] Result<void> await_resume();

    private:
        bool suspend(std::coroutine_handle<> self);
        // Shared with the handles: the line may have lost all others by now.
        std::shared_ptr<WorkLine> line_;
        WorkItemPtr item_;
        std::optional<Put> outcome_;
    };

    /// Waits for work, and takes up to so many pieces. None: there will be no more.
    class Pulling : task_internal::InLine {
    public:
        Pulling(std::shared_ptr<WorkLine> line, std::size_t most, std::source_location where)
            : InLine("work queue", where), line_(std::move(line)), most_(most) {}
        ~Pulling();
        bool await_ready();
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        const std::shared_ptr<WorkLine>& line() const noexcept { return line_; }

    protected:
        Result<std::vector<WorkItemPtr>> resume();

    private:
        bool suspend(std::coroutine_handle<> self);
        // As Putting's.
        std::shared_ptr<WorkLine> line_;
        const std::size_t most_;
        std::vector<WorkItemPtr> items_;
        bool ready_ = false;
    };

    /// Waits until nothing is left that waits or that somebody has.
    class [[nodiscard]] Draining : task_internal::InLine {
    public:
        using value_type = void;
        Draining(std::shared_ptr<WorkLine> line, std::source_location where)
            : InLine("work queue (until it is empty)", where), line_(std::move(line)) {}
        ~Draining();
        bool await_ready();
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        [[nodiscard("the wait may have been cancelled: check the Result")]] Result<void>
        await_resume();

    private:
        bool suspend(std::coroutine_handle<> self);
        // As Putting's.
        std::shared_ptr<WorkLine> line_;
    };

private:
    /// What is to be done once the lock has been let go.
    struct After {
        void wakes(task_internal::Waiter* served) noexcept;
        task_internal::Waiter* first = nullptr;
        task_internal::Waiter* last = nullptr;
        std::vector<WorkItemPtr> to_be_told;  // dead
        bool keep_time = false;
    };
    void carry_out(const After& after);

    bool has_room() const TROUPE_REQUIRES(mutex_);
    std::size_t free_pieces() const TROUPE_REQUIRES(mutex_);
    bool over() const TROUPE_REQUIRES(mutex_);
    void enter(const WorkItemPtr& item, After& after) TROUPE_REQUIRES(mutex_);
    void serve_puller(After& after) TROUPE_REQUIRES(mutex_);
    void make_room(After& after) TROUPE_REQUIRES(mutex_);
    void let_all_go(task_internal::WaitList& list, std::size_t& count, After& after)
        TROUPE_REQUIRES(mutex_);
    void deliver(std::size_t count, std::vector<WorkItemPtr>& to, After& after)
        TROUPE_REQUIRES(mutex_);
    bool is_with_its_worker(const WorkItem& item, unsigned attempt) const TROUPE_REQUIRES(mutex_);
    void take_from_worker(WorkItem& item) TROUPE_REQUIRES(mutex_);
    void come_back(const WorkItemPtr& item, const Error& why, After& after) TROUPE_REQUIRES(mutex_);
    void keep_dead(const WorkItemPtr& item) TROUPE_REQUIRES(mutex_);
    void bury(const WorkItemPtr& item, Error why, After& after) TROUPE_REQUIRES(mutex_);

    const WorkQueueOptions::Settings settings_;
    Engine& engine_;  // until it has ended
    mutable Mutex mutex_{LockRank::wait_list};
    task_internal::WaitList putters_;  // under the lock, as the next
    task_internal::WaitList pullers_;
    task_internal::WaitList drainers_;
    std::deque<WorkItemPtr> waiting_ TROUPE_GUARDED_BY(mutex_);
    std::vector<WorkItemPtr> in_flight_ TROUPE_GUARDED_BY(mutex_);
    std::deque<WorkItemPtr> dead_ TROUPE_GUARDED_BY(mutex_);
    // Pieces that wait or are in flight, and room that was promised to somebody who waits.
    std::size_t held_ TROUPE_GUARDED_BY(mutex_) = 0;
    // Pieces, or news of the end, promised to those who wait for work.
    std::size_t promised_ TROUPE_GUARDED_BY(mutex_) = 0;
    bool closed_ TROUPE_GUARDED_BY(mutex_) = false;
    bool ended_ TROUPE_GUARDED_BY(mutex_) = false;
    bool time_is_kept_ TROUPE_GUARDED_BY(mutex_) = false;
    Ref<LeaseKeeper> keeper_ TROUPE_GUARDED_BY(mutex_);
    // Shared with whoever calls it at this moment, without the lock.
    std::shared_ptr<OnDead> on_dead_ TROUPE_GUARDED_BY(mutex_);
    WorkQueueInfo counts_ TROUPE_GUARDED_BY(mutex_);
};

/// Lives as long as the queue's owner, and keeps the time of the leases.
class LeaseKeeper final : public Actor {
public:
    explicit LeaseKeeper(std::shared_ptr<WorkLine> line);
    ~LeaseKeeper() override;
    void look();

private:
    // Shared with the handles.
    const std::shared_ptr<WorkLine> line_;
};

/// The keeper is a child of `owner`, or nobody's when that is null.
std::shared_ptr<WorkLine> make_work_line(Engine& engine, Cell* owner,
                                         const WorkQueueOptions::Settings& settings);

}  // namespace route_internal
}  // namespace troupe
