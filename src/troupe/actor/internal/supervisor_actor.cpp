#include <troupe/actor/internal/group_actor.hpp>
#include <troupe/actor/internal/supervisor_actor.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace troupe::actor_internal {

using State = ChildRecord::State;

namespace {

/// A temporary child does not come back while its supervisor lives.
bool gone_for_good(const ChildRecord& record) noexcept {
    return record.has_ended && record.policy->restart == Restart::temporary;
}
/// A child that has ended and is not started again by itself.
bool is_done(const ChildRecord& record) noexcept {
    return record.state == State::down && record.address_ended;
}

}  // namespace

void SupervisorBlueprint::build(void* object) const {
    std::shared_ptr<Tree> shared = tree->shared_from_this();
    if (plan_->group) {
        ::new (object) GroupActor(std::move(shared), plan_);
    } else {
        ::new (object) SupervisorActor(std::move(shared), plan_);
    }
}

SupervisorActor::SupervisorActor(std::shared_ptr<Tree> tree, const SupervisorPlan* plan)
    : Supervising(plan->path, RestartLimit(plan->restarts_max, plan->window)),
      tree_(std::move(tree)),
      plan_(*plan),
      records_(plan->children.size()) {
    for (std::size_t i = 0; i < records_.size(); ++i) {
        records_[i].name = plan_.children[i].name;
        records_[i].policy = &plan_.children[i].policy;
    }
}

SupervisorActor::~SupervisorActor() {
    for (ChildRecord& record : records_)
        forget_timer(record);
}

// ---- addresses ----------------------------------------------------------------------------------

/// Takes the address of a child that has none, or none any more, and those of all below it.
Result<void> SupervisorActor::take_address_of(const ChildPlan& child, const SupervisorPlan& parent,
                                              Cell& keeper, std::vector<Cell*>& taken) {
    auto supervised = std::make_unique<Supervised>();
    // Aliased: what its address needs is kept by the tree.
    supervised->blueprint = std::shared_ptr<const Blueprint>(tree_, child.start.blueprint.get());
    supervised->restart = child.policy.restart;
    supervised->poison_after = child.policy.poison_after;
    supervised->outlives_keeper = true;
    const Result<Cell*> cell = take_address(keeper, *child.start.type, child.start.spawn,
                                            child.start.seen_as, std::move(supervised));
    if (!cell) {
        return error(Errc::start_failed, "child \"" + child.name + "\" of \"" + parent.path +
                                             "\": " + cell.error().text());
    }
    tree_->set_address(child.number, {*cell, (*cell)->generation()});
    taken.push_back(*cell);
    if (child.nested == nullptr) return {};
    for (const ChildPlan& below : child.nested->children) {
        Result<void> had = take_address_of(below, *child.nested, **cell, taken);
        if (!had) return had;
    }
    return {};
}

/// Sees to it that the children from this one on have addresses. All are taken before the first is
/// opened, and opened before the first child starts: a constructor may send to any of them.
Result<void> SupervisorActor::take_addresses(std::size_t first) {
    Cell& me = *RefAccess::cell(self(this));
    std::vector<Cell*> taken;
    Result<void> result;
    for (std::size_t i = first; i < records_.size() && result; ++i) {
        if (gone_for_good(records_[i])) continue;
        const Address known = tree_->address(plan_.children[i].number);
        const bool lives = known.cell != nullptr && known.cell->generation() == known.generation;
        if (!lives) result = take_address_of(plan_.children[i], plan_, me, taken);
        records_[i].at = tree_->address(plan_.children[i].number);
    }
    // Those that were taken in vain, too: they end when this supervisor does.
    for (Cell* const cell : taken)
        open_address(*cell);
    return result;
}

// ---- starting and stopping ----------------------------------------------------------------------

Task<Result<void>> SupervisorActor::on_start() {
    Result<void> started = co_await start_from(0);
    if (was_overtaken_ && !ending()) {
        co_await attend();
        started = {};
        if (ending()) {
            const auto failed = std::ranges::find_if(records_, [](const ChildRecord& record) {
                return record.state == State::down && record.has_ended;
            });
            started = failed != records_.end() ? not_started(*failed) : error(Errc::cancelled);
        }
    }
    if (!started) {
        const ExitReason reason(ExitReason::Kind::failed);
        const bool comes_back = address_stays(*RefAccess::cell(self(this)), reason);
        co_await stop_down_to(0, comes_back ? After::keep : After::end);
    }
    co_return started;
}

Task<void> SupervisorActor::on_stop(const ExitReason& reason) {
    const bool comes_back = address_stays(*RefAccess::cell(self(this)), reason);
    co_await stop_down_to(0, comes_back ? After::keep : After::end);
}

/// Starts the children from this one on, in order, each when the one before has started.
Task<Result<void>> SupervisorActor::start_from(std::size_t first) {
    was_overtaken_ = false;
    Result<void> started = take_addresses(first);
    for (std::size_t i = first; i < records_.size() && started; ++i) {
        if (!gone_for_good(records_[i])) started = co_await start_one(i);
    }
    co_return started;
}

Task<Result<void>> SupervisorActor::start_one(std::size_t child) {
    ChildRecord& record = records_[child];
    for (;;) {
        start(child, record);
        while (record.state == State::starting && !ending()) {
            if (!overtaken(child)) {
                co_await change();
            } else if (plan_.strategy == Strategy::one_for_one) {
                co_await attend();
            } else {
                // It is started again with that one. It has not begun its work, and may not hear.
                was_overtaken_ = true;
                stop(child, record, Stop::kill, After::keep);
                break;
            }
        }
        while (record.state == State::stopping && !ending())
            co_await change();
        if (ending()) co_return error(Errc::cancelled);
        if (record.state == State::running) co_return Result<void>();
        if (was_overtaken_) co_return error(Errc::start_failed);
        const bool was_nobody =
            record.address_ended && record.reason.kind() == ExitReason::Kind::noproc;
        if (!was_nobody) break;
        // It had ended for good while nobody kept it: it gets another address.
        Result<void> taken = take_addresses(child);
        if (!taken) co_return taken;
    }
    co_return not_started(record);
}

std::unexpected<Error> SupervisorActor::not_started(const ChildRecord& record) const {
    return error(Errc::start_failed, "child \"" + std::string(record.name) + "\" of \"" + path() +
                                         "\": " + record.reason.text());
}

/// Whether one that has started before this one has failed since, and waits to be started again.
/// This one may wait for it, at an address that stays: whoever waited for this one would wait for
/// ever.
bool SupervisorActor::overtaken(std::size_t child) const noexcept {
    if (!has_to_attend()) return false;
    const auto end = records_.begin() + static_cast<std::ptrdiff_t>(child);
    return std::any_of(records_.begin(), end, [](const ChildRecord& record) {
        return record.state == State::down && record.has_ended && !is_done(record);
    });
}

/// Stops the children from the last to this one, each when the one after it has ended. The shards
/// of a group have no order: they are asked all at once, and then waited for.
Task<void> SupervisorActor::stop_down_to(std::size_t first, After after) {
    if (plan_.sharded) {
        for (std::size_t i = first; i < records_.size(); ++i)
            stop(i, records_[i], Stop::stop, after);
    }
    for (std::size_t i = records_.size(); i-- > first;) {
        // A temporary child does not come back, whoever stops it.
        const bool temporary = records_[i].policy->restart == Restart::temporary;
        co_await stop_in_time(i, records_[i], temporary ? After::end : after);
    }
}

Task<void> SupervisorActor::restart(std::uint64_t child, ChildRecord& record) {
    switch (plan_.strategy) {
        case Strategy::one_for_one:
            start(child, record);
            return {};
        case Strategy::one_for_all:
            return restart_from(0);
        case Strategy::rest_for_one:
            break;
    }
    return restart_from(child);
}

Task<void> SupervisorActor::restart_from(std::size_t first) {
    co_await stop_down_to(first, After::keep);
    // A child that cannot be started is news of its own, and tried again as such.
    if (!ending()) ignore(co_await start_from(first), "its news says why");
}

void SupervisorActor::finished(std::uint64_t, ChildRecord& record) {
    if (!record.policy->significant || plan_.auto_shutdown == AutoShutdown::never) return;
    const bool another = std::any_of(records_.begin(), records_.end(), [](const ChildRecord& r) {
        return r.policy->significant && !is_done(r);
    });
    if (another && plan_.auto_shutdown == AutoShutdown::all_significant) return;
    end_itself(ExitReason(ExitReason::Kind::shutdown));
}

// ---- questions ----------------------------------------------------------------------------------

std::size_t SupervisorActor::healthy() const noexcept {
    return static_cast<std::size_t>(
        std::count_if(records_.begin(), records_.end(),
                      [](const ChildRecord& record) { return record.state == State::running; }));
}

Listing SupervisorActor::list() const {
    Listing listing;
    listing.path = path();
    listing.healthy = healthy();
    // Who has ended for good is not missed.
    const auto wanted = records_.size() - static_cast<std::size_t>(std::count_if(
                                              records_.begin(), records_.end(), is_done));
    listing.min_healthy = plan_.min_healthy.value_or(wanted);
    for (std::size_t i = 0; i < records_.size(); ++i) {
        ChildInfo& info = listing.children.emplace_back();
        fill(info, records_[i]);
        info.is_supervisor = plan_.children[i].nested != nullptr;
        if (info.is_supervisor) listing.supervisors.push_back({records_[i].at, info.path});
    }
    return listing;
}

}  // namespace troupe::actor_internal
