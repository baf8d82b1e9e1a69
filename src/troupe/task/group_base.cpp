#include <troupe/base/assert.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/scheduler/shared_use.hpp>
#include <troupe/task/group_base.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace troupe::task_internal {

// ---- children -----------------------------------------------------------------------------------

void ChildBase::ended() noexcept {
    group_.child_ended(*this);
}

bool ChildBase::stopping() const noexcept {
    return group_.stopping();
}

void ChildBase::enter_scope() {
    if (group_.until_ == Duration::max()) return;
    scope_ = std::make_unique<Scope>();
    scope_->deadline = group_.until_;
    scope_->enter();
}

TaskCell::Owner ChildBase::owner() const noexcept {
    return {group_.owner_, group_.owner_generation_};
}

// ---- the group ----------------------------------------------------------------------------------

const MailOps GroupBase::Wake::kAllEndedOps{MailKind::signal,
                                            [](MailNode*, const Error&) noexcept {},
                                            [](MailNode* node, Cell& cell) {
                                                GroupBase& group = *static_cast<Wake*>(node)->group;
                                                group.all_ended_ = true;
                                                return wakes(group, node, cell);
                                            }};

const MailOps GroupBase::Wake::kOneEndedOps{MailKind::signal,
                                            [](MailNode*, const Error&) noexcept {},
                                            [](MailNode* node, Cell& cell) {
                                                GroupBase& group = *static_cast<Wake*>(node)->group;
                                                {
                                                    // Only now may the node be sent again.
                                                    LockGuard lock(group.mutex_);
                                                    group.one_ended_sent_ = false;
                                                }
                                                return wakes(group, node, cell);
                                            }};

bool GroupBase::wakes(GroupBase& group, MailNode* node, Cell& cell) noexcept {
    Join::Record* const record = group.record_;
    if (record == nullptr) return false;
    record->arrived = node;
    return record == cell.awaiting_;  // an outer one goes on when the inner ones have ended
}

GroupBase::GroupBase() noexcept {
    all_ended_node_.ops = &Wake::kAllEndedOps;
    all_ended_node_.group = this;
    one_ended_node_.ops = &Wake::kOneEndedOps;
    one_ended_node_.group = this;
}

GroupBase::~GroupBase() {
    TROUPE_ASSERT(!running_ || all_ended_, "a group was destroyed while its children ran");
    if (facts_ != nullptr) facts_->release();
    while (first_ != nullptr)
        std::exchange(first_, first_->next_)->free();
}

bool GroupBase::stopping() const noexcept {
    return stopping_.load(std::memory_order_relaxed) ||
           (owner_task_ != nullptr && owner_task_->stopping());
}

void GroupBase::add_child(ChildBase* child) noexcept {
    LockGuard lock(mutex_);
    child->index_ = count_++;
    (last_ == nullptr ? first_ : last_->next_) = child;
    last_ = child;
    if (!running_) return;
    // Whoever adds is a child that has not ended, so the count cannot have come to its end.
    left_.fetch_add(weight(*child), std::memory_order_relaxed);
    start_child(*child);
}

void GroupBase::start_child(ChildBase& child) noexcept {
    if (refused_) {
        child.refuse(*refused_);
        left_.fetch_sub(weight(child), std::memory_order_relaxed);
        return;
    }
    child.deadline = asked_until_;
    if (facts_ != nullptr) {
        facts_->retain();
        child.context = facts_;
    }
    Cell& cell = take_cell_for(*engine_, child.type(), child);
    child.cell_ = &cell;
    child.generation_ = cell.generation();
    schedule(cell);
}

void GroupBase::start(bool in_order_of_ending) noexcept {
    TROUPE_ASSERT(!running_, "a group runs once");
    owner_ = current_cell();
    TROUPE_ASSERT(owner_ != nullptr, "a group runs in an actor or task: co_await group.run()");
    owner_generation_ = owner_->generation();
    owner_task_ = task_now();
    engine_ = &owner_->engine();
    in_order_of_ending_ = in_order_of_ending;
    const ScopeView outside = scope_now();
    const MailNode* const handled = handled_now();
    if (handled->ops->timed) asked_until_ = static_cast<const TimedNode*>(handled)->deadline;
    until_ = outside.deadline;
    facts_ = Facts::carried();
    if (longest_ != Duration::max()) {
        const Duration now = engine_->now();
        deadline_ = longest_ < Duration::max() - now ? now + longest_ : Duration::max();
        until_ = std::min(until_, deadline_);
    }
    constexpr std::size_t kLockedAtOnce = 64;  // a child that ends may want the lock
    ChildBase* child = first_;
    for (bool first = true; first || child != nullptr; first = false) {
        LockGuard lock(mutex_);
        running_ = true;
        for (std::size_t i = 0; i < kLockedAtOnce && child != nullptr; ++i) {
            ChildBase& starting = *std::exchange(child, child->next_);
            if (starting.cell_ != nullptr) continue;  // one that runs already has added it
            left_.fetch_add(weight(starting), std::memory_order_relaxed);
            start_child(starting);
        }
    }
    all_ended_ = take_off(kOrdinary);
}

void GroupBase::child_ended(ChildBase& child) noexcept {
    note_shared_use(this);
    if (wants_to_see(child)) {
        LockGuard lock(mutex_);
        if (!decided_ && enough(child, count_)) {
            decided_ = true;
            decided_by_ = child.index_;
            cancel_all(Error(Errc::cancelled, "the group has what it needs"), false, false);
        }
    }
    if (in_order_of_ending_ && !child.service_) {
        LockGuard lock(mutex_);
        (done_last_ == nullptr ? done_first_ : done_last_->next_done_) = &child;
        done_last_ = &child;
        if (!std::exchange(one_ended_sent_, true)) {
            post_signal(*owner_, owner_generation_, &one_ended_node_);
        }
    }
    if (take_off(weight(child))) post_signal(*owner_, owner_generation_, &all_ended_node_);
}

/// True when nothing is left. Until then the group is there, after that perhaps not.
bool GroupBase::take_off(std::uint64_t weight) noexcept {
    std::uint64_t left = left_.load(std::memory_order_relaxed);
    for (;;) {
        if (weight == kOrdinary && left >> 32 == 1 && left != kOrdinary) {
            // The last but for services: they end as well, and we stay until they have been told.
            LockGuard lock(mutex_);
            cancel_all(Error(Errc::cancelled, "the rest of the group has ended"), false, true);
            left_.fetch_sub(kOrdinary - kOne, std::memory_order_relaxed);
            weight = kOne;
            left = left_.load(std::memory_order_relaxed);
        }
        // acq_rel: whoever takes off the last sees what all have written; pairs with itself.
        if (left_.compare_exchange_weak(left, left - weight, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
            return left == weight;
        }
    }
}

void GroupBase::cancel_all(const Error& why, bool kill, bool services_only) noexcept {
    if (!services_only && !refused_) refused_ = why;
    for (ChildBase* child = first_; child != nullptr; child = child->next_) {
        if (child->cell_ == nullptr || (services_only && !child->service_)) continue;
        cancel_task(*child->cell_, child->generation_, why, kill);
    }
}

void GroupBase::cancel(const Error& why) noexcept {
    note_shared_use(this);
    LockGuard lock(mutex_);
    if (!cut_short_) cut_short_ = why;
    cancel_all(why, false, false);
}

void GroupBase::cancel_child(ChildBase& child, const Error& why) noexcept {
    note_shared_use(this);
    LockGuard lock(mutex_);
    if (child.cell_ != nullptr) cancel_task(*child.cell_, child.generation_, why, false);
}

ChildBase* GroupBase::next_done() noexcept {
    LockGuard lock(mutex_);
    ChildBase* const child = done_first_;
    if (child == nullptr) return nullptr;
    done_first_ = child->next_done_;
    if (done_first_ == nullptr) done_last_ = nullptr;
    return child;
}

// ---- the owner's wait ---------------------------------------------------------------------------

GroupBase::Join::Join(GroupBase& group, std::source_location where) noexcept : group_(group) {
    record_.group = &group;
    record_.what = "group";
    record_.where = where;
    group.run_at_ = where;
    record_.let_go = &GroupBase::let_go;
}

bool GroupBase::Join::suspend(std::coroutine_handle<> self) {
    if (group_.cutting_) {
        begin_await(record_, self);
    } else {
        record_.interruptible = true;
        if (!begin_wait(record_, self)) return record_.yielding;
        if (group_.deadline_ != Duration::max()) arm_deadline(*current_cell(), group_.deadline_);
    }
    group_.record_ = &record_;
    return true;
}

bool GroupBase::Join::resumed() {
    group_.record_ = nullptr;
    if (record_.timed_out) {
        group_.cut(group_.out_of_time());
    } else if (record_.cancelled) {
        const ScopeView outside = scope_now();
        group_.cut(outside.cancelled_by != nullptr ? outside.cancelled_by->reason()
                                                   : cancelled_error(record_));
    }
    return false;
}

Error GroupBase::out_of_time() const {
    return Error(
        Errc::timed_out,
        "the group was to end within " + std::to_string(longest_.count() / 1'000'000) + " ms",
        run_at_);
}

/// The children may have felt the deadline before the owner has.
std::optional<Error> GroupBase::cut_short() const {
    if (cut_short_ || until_ == Duration::max() || engine_->now() < until_) return cut_short_;
    if (until_ == deadline_) return out_of_time();
    return Error(Errc::timed_out, "the time set for it has passed", run_at_);
}

void GroupBase::cut(const Error& why) noexcept {
    cutting_ = true;
    cancel(why);
}

void GroupBase::kill() noexcept {
    if (std::exchange(killing_, true)) return;
    LockGuard lock(mutex_);
    cancel_all(Error(Errc::cancelled, "whoever ran the group was killed"), true, false);
}

/// The frame that the group lives in is to be destroyed: not before its children.
bool GroupBase::let_go(Awaiting& record) noexcept {
    GroupBase& group = *static_cast<Join::Record&>(record).group;
    if (group.all_ended_) return true;
    group.kill();
    return false;
}

}  // namespace troupe::task_internal

namespace troupe {

bool stopping() noexcept {
    const task_internal::TaskCell* const task = task_internal::task_now();
    return task != nullptr && task->stopping();
}

}  // namespace troupe
