#pragma once

/// A work queue: whoever has time pulls, so that nobody is given more than he can do.
///
///     WorkQueue<Order> orders(*this, work_queue().capacity(100));
///     co_await or_return(co_await orders.put(std::move(order)));      // waits for room
///
///     auto work = co_await orders.pull();                             // a worker, anywhere
///     if (!work) co_return;                                           // closed, or cancelled
///     ... **work ...
///     ignore(work->done(), "...");                                    // or it comes back
///
/// Each piece is done at least once: it comes back when its handle goes unacknowledged, whatever
/// has become of the worker, and when its lease ends. Order is not promised. Source:
/// docs/design/0043-work-queues.md

#include <troupe/actor/own_message.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>
#include <troupe/route/members.hpp>
#include <troupe/route/work_line.hpp>
#include <troupe/task/task.hpp>
#include <troupe/task/within.hpp>

#include <cstddef>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

namespace route_internal {

template <class T>
struct WorkItemOf final : WorkItem {
    explicit WorkItemOf(T&& work) : value(std::move(work)) {}
    const T value;

    static const T& in(const WorkItemPtr& item) noexcept {
        return static_cast<const WorkItemOf*>(item.get())->value;
    }
};

}  // namespace route_internal

/// A piece of work that is somebody's: goes back to the queue when it goes unacknowledged. Moves
/// along, also in a message.
///
/// Threads: one at a time.
template <class T>
class [[nodiscard("a piece of work that is dropped goes back to its queue")]] Work {
public:
    Work(Work&& other) noexcept = default;
    Work& operator=(Work&& other) noexcept {
        if (this != &other) {
            go_back();
            line_ = std::move(other.line_);
            item_ = std::move(other.item_);
            attempt_ = other.attempt_;
        }
        return *this;
    }
    ~Work() { go_back(); }

    /// Good as long as the handle, also when the lease has ended; then somebody else may read it
    /// too.
    const T& operator*() const noexcept { return route_internal::WorkItemOf<T>::in(item_); }
    const T* operator->() const noexcept { return &**this; }

    /// How often it has been given out by now, this time included: 1, unless it came back.
    unsigned attempt() const noexcept { return attempt_; }

    /// It is done, and goes from the queue.
    ///
    /// Errors:  RouteErrc::lease_ended, when it was taken back meanwhile: somebody else does it, or
    ///          has done it, as well.
    [[nodiscard("it may have been taken back: check the Result, or ignore it aloud")]] Result<void>
    done() {
        if (line_ != nullptr && line_->acknowledge(*item_, attempt_)) {
            line_ = nullptr;
            return {};
        }
        line_ = nullptr;
        return error(RouteErrc::lease_ended,
                     "attempt " + std::to_string(attempt_) +
                         " of a piece of work is over: it was acknowledged or given back before, "
                         "or its lease had ended");
    }
    /// It could not be done: somebody else gets it, or it is dead, with this error.
    void fail(const Error& why) {
        if (line_ != nullptr) line_->give_back(item_, attempt_, why);
        line_ = nullptr;
    }
    /// The lease begins anew. False when it has ended.
    bool renew() { return line_ != nullptr && line_->renew(*item_, attempt_); }

private:
    template <class>
    friend class WorkQueue;
    Work(std::shared_ptr<route_internal::WorkLine> line, route_internal::WorkItemPtr item)
        : line_(std::move(line)), item_(std::move(item)), attempt_(item_->attempts) {}

    void go_back() {
        if (line_ == nullptr) return;
        fail(Error(Errc::failed,
                   "its worker let go of it without a word: it has failed, was "
                   "cancelled or killed, or forgot to acknowledge"));
    }

    // Shared with the queue's handles: work may be acknowledged when they are gone.
    std::shared_ptr<route_internal::WorkLine> line_;
    // Shared with the queue, and with whoever has it after its lease has ended.
    route_internal::WorkItemPtr item_;
    unsigned attempt_;
};

/// A piece of work that was given up: tried as often as it may be, or left when the queue's owner
/// ended.
template <class T>
struct DeadWork {
    // Shared with workers whose lease has ended.
    std::shared_ptr<const T> work;
    unsigned attempts = 0;
    Error why = Error(Errc::failed);  ///< of the last attempt
};

/// A handle: cheap to copy. The queue ends with its owner; what is left then is dead.
///
/// Threads: any.
template <class T>
class WorkQueue {
public:
    /// Ends with the system.
    explicit WorkQueue(const System& system, const WorkQueueOptions& options = {})
        : line_(route_internal::make_work_line(system.engine(), nullptr, options.settings())) {}
    /// Ends with `owner`, in whose turn this is, or in whose constructor: `orders_(*this)`.
    explicit WorkQueue(const Actor& owner, const WorkQueueOptions& options = {})
        : line_(made_by(actor_internal::cell_of(owner), options)) {}

    /// Waits for room and puts it in, first come, first served.
    ///
    /// Errors:  closed; cancelled, and it was not put.
    /// Threads: in an actor or task.
    auto put(T work, std::source_location where = std::source_location::current()) const {
        return route_internal::WorkLine::Putting(line_, item_of(std::move(work)), where);
    }
    /// The same, for so long at most.
    ///
    /// Errors:  timed_out as well.
    /// Units:   engine time.
    Task<Result<void>> put_within(Duration longest, T work) const {
        auto wait = [](WorkQueue queue, T piece) -> Task<Result<void>> {
            co_return co_await queue.put(std::move(piece));
        };
        return within(longest, wait, *this, std::move(work));
    }
    /// Does not wait: `sent`; `full`; `gone`, when it is closed. What does not go in is destroyed.
    SendStatus try_put(T work) const {
        switch (line_->try_put(item_of(std::move(work)))) {
            case route_internal::WorkLine::Put::done:
                return SendStatus::sent;
            case route_internal::WorkLine::Put::full:
                return SendStatus::full;
            case route_internal::WorkLine::Put::closed:
                break;
        }
        return SendStatus::gone;
    }

    class [[nodiscard]] Pull : public route_internal::WorkLine::Pulling {
    public:
        using value_type = Work<T>;
        using Pulling::Pulling;
        [[nodiscard("there may be no more work: check the Result")]] Result<Work<T>>
        await_resume() {
            auto items = resume();
            if (!items) return std::unexpected(std::move(items).error());
            return Work<T>(line(), std::move(items->front()));
        }
    };
    class [[nodiscard]] PullSeveral : public route_internal::WorkLine::Pulling {
    public:
        using value_type = std::vector<Work<T>>;
        using Pulling::Pulling;
        [[nodiscard("there may be no more work: check the Result")]] Result<std::vector<Work<T>>>
        await_resume() {
            auto items = resume();
            if (!items) return std::unexpected(std::move(items).error());
            std::vector<Work<T>> all;
            all.reserve(items->size());
            for (route_internal::WorkItemPtr& item : *items)
                all.push_back(Work<T>(line(), std::move(item)));
            return all;
        }
    };

    /// Waits for a piece of work, first come, first served.
    ///
    /// Errors:  closed, when the queue is, and all is done or dead; cancelled.
    /// Threads: in an actor or task, of any class.
    /// Order:   none is promised: what came back waits behind the others.
    auto pull(std::source_location where = std::source_location::current()) const {
        return Pull(line_, 1, where);
    }
    /// The same for up to `most` pieces, as many as are there: one at least.
    auto pull_several(std::size_t most,
                      std::source_location where = std::source_location::current()) const {
        TROUPE_ASSERT(most > 0, "whoever pulls wants one piece of work at least");
        return PullSeveral(line_, most, where);
    }

    /// Takes no more work. What is there is still done; then `pull` says closed.
    void close() const { line_->close(); }
    /// Waits until nothing waits and nobody has anything.
    ///
    /// Errors:  cancelled.
    auto drained(std::source_location where = std::source_location::current()) const {
        return route_internal::WorkLine::Draining(line_, where);
    }

    WorkQueueInfo info() const { return line_->info(); }
    /// Who has what, since when.
    std::vector<WorkInFlight> in_flight() const { return line_->in_flight(); }

    /// Tells `listener` of every piece that dies from now on: `M(DeadWork<T>)`. What it does not
    /// take is kept, as without a listener.
    template <auto M, class A>
    void on_dead(const Ref<A>& listener) const {
        line_->on_dead([listener](const route_internal::WorkItemPtr& item) {
            return listener.template tell<M>(dead(item)) == SendStatus::sent;
        });
    }
    /// Takes the dead that nobody was told of: the last ones, as many as are kept.
    std::vector<DeadWork<T>> take_dead() const {
        std::vector<DeadWork<T>> all;
        for (const route_internal::WorkItemPtr& item : line_->take_dead())
            all.push_back(dead(item));
        return all;
    }

private:
    static std::shared_ptr<route_internal::WorkLine> made_by(Cell* owner,
                                                             const WorkQueueOptions& options) {
        TROUPE_ASSERT(owner != nullptr, "the owner of a work queue is an actor that runs");
        return route_internal::make_work_line(owner->engine(), owner, options.settings());
    }
    static route_internal::WorkItemPtr item_of(T&& work) {
        return std::make_shared<route_internal::WorkItemOf<T>>(std::move(work));
    }
    static DeadWork<T> dead(const route_internal::WorkItemPtr& item) {
        DeadWork<T> dead;
        dead.work = std::shared_ptr<const T>(item, &route_internal::WorkItemOf<T>::in(item));
        dead.attempts = item->attempts;
        if (item->why_dead) dead.why = *item->why_dead;
        return dead;
    }

    // Shared by the handles, by those who have work, and by whoever keeps the time.
    std::shared_ptr<route_internal::WorkLine> line_;
};

}  // namespace troupe
