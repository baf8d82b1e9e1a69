#include <troupe/actor/internal/group_actor.hpp>
#include <troupe/task/sleep.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace troupe::actor_internal {

using State = ChildRecord::State;

namespace {
// A listing is for people and their tools: of a hundred thousand it shows the first.
constexpr std::size_t kListedMax = 1000;
// Of children that are asked to stop: about half a millisecond's worth.
constexpr std::size_t kAskedPerTurn = 1000;
}  // namespace

GroupActor::GroupActor(std::shared_ptr<Tree> tree, const SupervisorPlan* plan)
    : Supervising(plan->path, RestartLimit(plan->restarts_max, plan->window)),
      tree_(std::move(tree)),
      plan_(*plan) {}

GroupActor::~GroupActor() {
    for (auto& [number, record] : records_)
        forget_timer(record);
}

ChildRecord* GroupActor::find(std::uint64_t child) {
    const auto at = records_.find(child);
    return at != records_.end() ? &at->second : nullptr;
}

GroupActor::Record* GroupActor::find(const Address& at) {
    const auto known = by_pid_.find(pid_of(at.cell, at.generation));
    return known != by_pid_.end() ? &records_.find(known->second)->second : nullptr;
}

void GroupActor::forget(std::uint64_t child) {
    const auto at = records_.find(child);
    by_pid_.erase(pid_of(at->second.at.cell, at->second.at.generation));
    records_.erase(at);
}

// ---- starting -----------------------------------------------------------------------------------

Reply<Address> GroupActor::start_child(NewChild child) {
    const ChildPolicy::Settings& policy = *plan_.group;
    if (policy.max_children != 0 && records_.size() >= policy.max_children) {
        return error(SupervisorErrc::max_children, "\"" + path() +
                                                       "\" has as many children as it may have: " +
                                                       std::to_string(records_.size()));
    }
    if (!child.blueprint->tokens().empty()) {
        return error(Errc::start_failed,
                     "a Child<B> is for a tree that is being written: give a child of the group "
                     "\"" +
                         path() + "\" the Ref, running.ref(token)");
    }
    auto supervised = std::make_unique<Supervised>();
    supervised->blueprint = std::move(child.blueprint);
    supervised->restart = policy.restart;
    supervised->poison_after = policy.poison_after;
    const Result<Cell*> taken = take_address(*RefAccess::cell(self(this)), *child.type, child.spawn,
                                             child.seen_as, std::move(supervised));
    if (!taken) return std::unexpected(taken.error());
    Cell* const cell = *taken;
    open_address(*cell);

    const std::uint64_t number = ++started_;
    Record& record = records_[number];
    record.text = std::to_string(number);
    record.name = record.text;
    record.policy = &policy;
    record.at = {cell, cell->generation()};
    by_pid_[pid_of(cell, cell->generation())] = number;
    start(number, record);
    return later(record.starter);
}

void GroupActor::has_started(std::uint64_t, ChildRecord& record) {
    static_cast<Record&>(record).starter.send(record.at);
}

bool GroupActor::was_refused(std::uint64_t child, ChildRecord& record) {
    ReplyTo<Address>& starter = static_cast<Record&>(record).starter;
    if (!starter.pending()) return false;
    starter.send(
        error(Errc::start_failed, "a child of \"" + path() + "\": " + record.reason.text()));
    stop(child, record, Stop::stop, After::end);  // its address, which may have stayed
    forget(child);
    return true;
}

Task<void> GroupActor::restart(std::uint64_t child, ChildRecord& record) {
    start(child, record);
    return {};
}

// ---- ending -------------------------------------------------------------------------------------

Reply<void> GroupActor::stop_child(Address child) {
    Record* const record = find(child);
    if (record == nullptr) {
        return error(Errc::not_found, to_string(pid_of(child.cell, child.generation)) +
                                          " is no child of \"" + path() + "\"");
    }
    const std::uint64_t number = by_pid_[pid_of(child.cell, child.generation)];
    stop_and_kill_late(number, *record);
    if (record->state == State::stopping) return later(record->stoppers.emplace_back());
    forget(number);
    return {};
}

void GroupActor::has_stopped(std::uint64_t child, ChildRecord& record) {
    auto& mine = static_cast<Record&>(record);
    mine.starter.send(error(Errc::start_failed, "it was stopped before it had started"));
    for (ReplyTo<void>& stopper : mine.stoppers)
        stopper.send();
    forget_timer(record);
    forget(child);
}

void GroupActor::finished(std::uint64_t child, ChildRecord&) {
    forget(child);
}

/// All at once, and each with its patience. A hundred thousand are asked in many turns, so that
/// nobody else's worker is kept.
Task<void> GroupActor::on_stop(const ExitReason&) {
    std::vector<std::uint64_t> all;
    all.reserve(records_.size());
    for (const auto& [number, record] : records_)
        all.push_back(number);
    std::size_t asked = 0;
    for (const std::uint64_t number : all) {
        const auto at = records_.find(number);
        if (at == records_.end()) continue;  // it has ended meanwhile
        stop_and_kill_late(number, at->second);
        if (at->second.state != State::stopping) forget(number);
        if (++asked % kAskedPerTurn == 0) co_await yield();
    }
    while (!records_.empty())
        ignore(co_await change_until(kForever), "the records say it");
}

// ---- questions ----------------------------------------------------------------------------------

Listing GroupActor::list() const {
    Listing listing;
    listing.path = path();
    listing.min_healthy = plan_.group->min_healthy;
    std::vector<std::uint64_t> numbers;
    numbers.reserve(records_.size());
    for (const auto& [number, record] : records_) {
        if (record.state == State::running) ++listing.healthy;
        numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    if (numbers.size() > kListedMax) numbers.resize(kListedMax);
    for (const std::uint64_t number : numbers)
        fill(listing.children.emplace_back(), records_.at(number));
    return listing;
}

}  // namespace troupe::actor_internal
