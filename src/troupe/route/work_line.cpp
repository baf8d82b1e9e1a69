#include <troupe/actor/own_message.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/log.hpp>
#include <troupe/route/work_line.hpp>

#include <algorithm>
#include <string>

namespace troupe::route_internal {

using task_internal::Waiter;
using task_internal::WaitList;

namespace {

Pid pid_of_puller() noexcept {
    const Cell* const cell = current_cell();
    return cell != nullptr ? actor_internal::pid_of(cell, cell->generation()) : Pid();
}

Error is_closed() {
    return Error(Errc::closed,
                 "this work queue takes no more work: it was closed, or the owner "
                 "it was made with has ended");
}

}  // namespace

// ---- what follows a change ----------------------------------------------------------------------

void WorkLine::After::wakes(Waiter* served) noexcept {
    if (served == nullptr) return;
    (last == nullptr ? first : last->after) = served;
    last = served;
    while (last->after != nullptr)
        last = last->after;
}

void WorkLine::carry_out(const After& after) {
    task_internal::wake(after.first);
    if (after.to_be_told.empty() && !after.keep_time) return;
    std::shared_ptr<OnDead> on_dead;
    Ref<LeaseKeeper> keeper;
    {
        LockGuard lock(mutex_);
        on_dead = on_dead_;
        keeper = keeper_;
    }
    if (after.keep_time) keeper.tell<&LeaseKeeper::look>();
    for (const WorkItemPtr& item : after.to_be_told) {
        if ((*on_dead)(item)) continue;
        LockGuard lock(mutex_);
        keep_dead(item);
    }
}

void WorkLine::keep_dead(const WorkItemPtr& item) {
    if (settings_.dead_kept == 0) return;
    if (dead_.size() == settings_.dead_kept) dead_.pop_front();
    dead_.push_back(item);
}

bool WorkLine::has_room() const {
    return held_ < settings_.capacity;
}
std::size_t WorkLine::free_pieces() const {
    return waiting_.size() > promised_ ? waiting_.size() - promised_ : 0;
}
/// Nothing is there to be pulled, and nothing will be.
bool WorkLine::over() const {
    return ended_ || (closed_ && held_ == 0);
}

void WorkLine::serve_puller(After& after) {
    if (pullers_.empty() || free_pieces() == 0) return;
    ++promised_;
    after.wakes(pullers_.serve());
}

void WorkLine::enter(const WorkItemPtr& item, After& after) {
    waiting_.push_back(item);
    serve_puller(after);
}

/// They find nothing, and hear that it is over.
void WorkLine::let_all_go(WaitList& list, std::size_t& count, After& after) {
    count += list.size();
    after.wakes(list.serve_all());
}

/// A piece is done or dead, or somebody has no use for the room he was promised.
void WorkLine::make_room(After& after) {
    --held_;
    if (has_room() && !putters_.empty() && !closed_) {
        ++held_;
        after.wakes(putters_.serve());
    }
    if (held_ != 0) return;
    after.wakes(drainers_.serve_all());
    if (closed_) let_all_go(pullers_, promised_, after);
}

// ---- putting ------------------------------------------------------------------------------------

WorkLine::Put WorkLine::try_put(const WorkItemPtr& item) {
    After after;
    {
        LockGuard lock(mutex_);
        if (closed_) return Put::closed;
        if (!putters_.empty() || !has_room()) return Put::full;
        ++held_;
        ++counts_.put;
        item->put_at = engine_.now();
        enter(item, after);
    }
    carry_out(after);
    return Put::done;
}

bool WorkLine::Putting::await_ready() {
    const Put put = line_->try_put(item_);
    if (put == Put::full) return false;
    outcome_ = put;
    return true;
}

bool WorkLine::Putting::suspend(std::coroutine_handle<> self) {
    if (!begin(self)) return record().yielding;
    LockGuard lock(line_->mutex_);
    if (line_->closed_ || (line_->putters_.empty() && line_->has_room())) {
        call_off();
        if (!line_->closed_) ++line_->held_;
        outcome_ = line_->closed_ ? Put::closed : Put::full;  // full: the room is promised
        return false;
    }
    line_->putters_.push(waiter());
    return true;
}

Result<void> WorkLine::Putting::await_resume() {
    if (!outcome_) {
        const Outcome outcome = leave(line_->mutex_, line_->putters_);
        if (outcome != Outcome::served) return std::unexpected(why_cancelled());
        outcome_ = Put::full;
    }
    if (*outcome_ == Put::full) {
        After after;
        {
            LockGuard lock(line_->mutex_);
            outcome_ = line_->closed_ ? Put::closed : Put::done;
            if (line_->closed_) {
                line_->make_room(after);
            } else {
                ++line_->counts_.put;
                item_->put_at = line_->engine_.now();
                line_->enter(item_, after);
            }
        }
        line_->carry_out(after);
    }
    if (*outcome_ == Put::closed) return std::unexpected(is_closed());
    return {};
}

WorkLine::Putting::~Putting() {
    const bool served = leave(line_->mutex_, line_->putters_) == Outcome::served;
    if (!served && outcome_ != Put::full) return;
    After after;
    {
        LockGuard lock(line_->mutex_);
        line_->make_room(after);  // promised, and nobody there to use it
    }
    line_->carry_out(after);
}

// ---- pulling ------------------------------------------------------------------------------------

void WorkLine::deliver(std::size_t count, std::vector<WorkItemPtr>& to, After& after) {
    const Duration now = ended_ ? Duration::zero() : engine_.now();
    const Pid worker = pid_of_puller();
    for (; count > 0; --count) {
        WorkItemPtr item = std::move(waiting_.front());
        waiting_.pop_front();
        ++item->attempts;
        item->in_flight = true;
        item->place = in_flight_.size();
        item->delivered_at = now;
        item->lease_until =
            settings_.lease < Duration::max() - now ? now + settings_.lease : Duration::max();
        item->worker = worker;
        in_flight_.push_back(item);
        to.push_back(std::move(item));
    }
    if (!to.empty() && !time_is_kept_) after.keep_time = time_is_kept_ = true;
}

std::vector<WorkItemPtr> WorkLine::try_pull(std::size_t most) {
    std::vector<WorkItemPtr> items;
    After after;
    {
        LockGuard lock(mutex_);
        if (pullers_.empty()) deliver(std::min(most, free_pieces()), items, after);
    }
    carry_out(after);
    return items;
}

bool WorkLine::Pulling::await_ready() {
    items_ = line_->try_pull(most_);
    ready_ = !items_.empty();
    return ready_;
}

bool WorkLine::Pulling::suspend(std::coroutine_handle<> self) {
    if (!begin(self)) return record().yielding;
    LockGuard lock(line_->mutex_);
    const bool free = line_->pullers_.empty() && line_->free_pieces() > 0;
    if (line_->over() || free) {
        call_off();
        ++line_->promised_;
        ready_ = true;
        return false;
    }
    line_->pullers_.push(waiter());
    return true;
}

Result<std::vector<WorkItemPtr>> WorkLine::Pulling::resume() {
    if (!ready_) {
        const Outcome outcome = leave(line_->mutex_, line_->pullers_);
        if (outcome != Outcome::served) return std::unexpected(why_cancelled());
    }
    ready_ = false;
    if (items_.empty()) {
        After after;
        {
            LockGuard lock(line_->mutex_);
            --line_->promised_;
            // The one that was promised; more only where nobody waits for it.
            const std::size_t most = line_->pullers_.empty() ? most_ : 1;
            line_->deliver(std::min(most, line_->free_pieces()), items_, after);
        }
        line_->carry_out(after);
    }
    if (items_.empty()) {
        return error(Errc::closed,
                     "this work queue has no more work: it was closed, and all of it "
                     "is done or dead",
                     record().where);
    }
    return std::move(items_);
}

WorkLine::Pulling::~Pulling() {
    const bool served = leave(line_->mutex_, line_->pullers_) == Outcome::served;
    for (const WorkItemPtr& item : items_) {
        line_->give_back(item, item->attempts,
                         Error(Errc::cancelled, "whoever pulled it was gone before it came"));
    }
    if (!served && !(ready_ && items_.empty())) return;
    After after;
    {
        LockGuard lock(line_->mutex_);
        --line_->promised_;
        line_->serve_puller(after);  // promised, and nobody there to take it
    }
    line_->carry_out(after);
}

// ---- with a worker ------------------------------------------------------------------------------

bool WorkLine::is_with_its_worker(const WorkItem& item, unsigned attempt) const {
    return item.in_flight && item.attempts == attempt;
}

void WorkLine::take_from_worker(WorkItem& item) {
    WorkItemPtr& last = in_flight_.back();
    last->place = item.place;
    item.in_flight = false;
    std::swap(in_flight_[item.place], last);
    in_flight_.pop_back();
}

bool WorkLine::acknowledge(WorkItem& item, unsigned attempt) {
    After after;
    {
        LockGuard lock(mutex_);
        if (!is_with_its_worker(item, attempt)) return false;
        take_from_worker(item);
        ++counts_.done;
        make_room(after);
    }
    carry_out(after);
    return true;
}

bool WorkLine::give_back(const WorkItemPtr& item, unsigned attempt, const Error& why) {
    After after;
    {
        LockGuard lock(mutex_);
        if (!is_with_its_worker(*item, attempt)) return false;
        come_back(item, why, after);
    }
    carry_out(after);
    return true;
}

bool WorkLine::renew(WorkItem& item, unsigned attempt) {
    LockGuard lock(mutex_);
    if (!is_with_its_worker(item, attempt) || ended_) return false;
    const Duration now = engine_.now();
    if (settings_.lease < Duration::max() - now) item.lease_until = now + settings_.lease;
    return true;
}

void WorkLine::come_back(const WorkItemPtr& item, const Error& why, After& after) {
    take_from_worker(*item);
    if (ended_ || item->attempts >= settings_.attempts) return bury(item, why, after);
    ++counts_.redelivered;
    enter(item, after);
}

void WorkLine::bury(const WorkItemPtr& item, Error why, After& after) {
    item->why_dead = std::move(why);
    ++counts_.dead;
    if (on_dead_ != nullptr) {
        after.to_be_told.push_back(item);
    } else {
        keep_dead(item);
    }
    make_room(after);
}

Duration WorkLine::take_back_expired() {
    After after;
    Duration next = Duration::max();
    {
        LockGuard lock(mutex_);
        const Duration now = engine_.now();
        std::vector<WorkItemPtr> late;
        for (const WorkItemPtr& item : in_flight_) {
            if (item->lease_until <= now) {
                late.push_back(item);
            } else {
                next = std::min(next, item->lease_until);
            }
        }
        for (const WorkItemPtr& item : late) {
            ++counts_.expired;
            come_back(item,
                      Error(Errc::timed_out,
                            "its worker " + to_string(item->worker) +
                                " neither acknowledged it nor renewed its lease in time"),
                      after);
        }
        time_is_kept_ = next != Duration::max();
    }
    carry_out(after);
    return next;
}

// ---- ending -------------------------------------------------------------------------------------

void WorkLine::close() {
    After after;
    {
        LockGuard lock(mutex_);
        closed_ = true;
        let_all_go(putters_, held_, after);
        if (held_ == 0) let_all_go(pullers_, promised_, after);
    }
    carry_out(after);
}

void WorkLine::end() {
    After after;
    std::size_t left = 0;
    {
        LockGuard lock(mutex_);
        closed_ = ended_ = true;
        let_all_go(putters_, held_, after);
        left = waiting_.size();
        while (!waiting_.empty()) {
            const WorkItemPtr item = std::move(waiting_.front());
            waiting_.pop_front();
            bury(item, Error(Errc::closed, "the owner of its work queue has ended"), after);
        }
        let_all_go(pullers_, promised_, after);
    }
    if (left != 0) {
        log_warn("a work queue has ended with work left",
                 {{"count", static_cast<std::int64_t>(left)}});
    }
    carry_out(after);
}

bool WorkLine::Draining::await_ready() {
    LockGuard lock(line_->mutex_);
    return line_->held_ == 0;
}

bool WorkLine::Draining::suspend(std::coroutine_handle<> self) {
    if (!begin(self)) return record().yielding;
    LockGuard lock(line_->mutex_);
    if (line_->held_ == 0) {
        call_off();
        return false;
    }
    line_->drainers_.push(waiter());
    return true;
}

Result<void> WorkLine::Draining::await_resume() {
    return leave_with_result(line_->mutex_, line_->drainers_);
}

WorkLine::Draining::~Draining() {
    leave(line_->mutex_, line_->drainers_);
}

// ---- looking ------------------------------------------------------------------------------------

WorkQueueInfo WorkLine::info() const {
    LockGuard lock(mutex_);
    WorkQueueInfo info = counts_;
    info.depth = waiting_.size();
    info.in_flight = in_flight_.size();
    info.capacity = settings_.capacity;
    info.putting = putters_.size();
    info.pulling = pullers_.size();
    info.closed = closed_;
    if (ended_) return info;
    const Duration now = engine_.now();
    const auto look = [&](const WorkItemPtr& item) {
        info.oldest = std::max(info.oldest, now - item->put_at);
    };
    std::ranges::for_each(waiting_, look);
    std::ranges::for_each(in_flight_, look);
    return info;
}

std::vector<WorkInFlight> WorkLine::in_flight() const {
    LockGuard lock(mutex_);
    const Duration now = ended_ ? Duration::zero() : engine_.now();
    std::vector<WorkInFlight> all;
    all.reserve(in_flight_.size());
    for (const WorkItemPtr& item : in_flight_) {
        all.push_back({item->worker, item->attempts, now - item->delivered_at,
                       item->lease_until - now, now - item->put_at});
    }
    return all;
}

std::vector<WorkItemPtr> WorkLine::take_dead() {
    LockGuard lock(mutex_);
    std::vector<WorkItemPtr> all(dead_.begin(), dead_.end());
    dead_.clear();
    return all;
}

void WorkLine::on_dead(OnDead hears) {
    auto shared = std::make_shared<OnDead>(std::move(hears));
    LockGuard lock(mutex_);
    on_dead_ = std::move(shared);
}

// ---- keeping time -------------------------------------------------------------------------------

void WorkLine::kept_by(const Ref<LeaseKeeper>& keeper) {
    LockGuard lock(mutex_);
    keeper_ = keeper;
}

LeaseKeeper::LeaseKeeper(std::shared_ptr<WorkLine> line) : line_(std::move(line)) {
    line_->kept_by(self(this));
}

LeaseKeeper::~LeaseKeeper() {
    line_->end();
}

void LeaseKeeper::look() {
    const Duration next = line_->take_back_expired();
    const Duration now = system().now();
    if (next != Duration::max()) {
        after<&LeaseKeeper::look>(next > now ? next - now : Duration::zero());
    }
}

std::shared_ptr<WorkLine> make_work_line(Engine& engine, Cell* owner,
                                         const WorkQueueOptions::Settings& settings) {
    TROUPE_ASSERT(settings.capacity > 0 && settings.attempts > 0,
                  "a work queue has room for one piece at least, and tries it once at least");
    auto line = std::make_shared<WorkLine>(settings, engine);
    const Ref<LeaseKeeper> keeper = actor_internal::spawn<LeaseKeeper>(engine, owner, line);
    if (keeper == Ref<LeaseKeeper>()) line->end();  // nobody is spawned any more
    return line;
}

}  // namespace troupe::route_internal
