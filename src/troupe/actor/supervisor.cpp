#include <troupe/actor/internal/group_actor.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/supervisor_actor.hpp>
#include <troupe/actor/internal/tree.hpp>
#include <troupe/actor/supervisor.hpp>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

using namespace std::chrono_literals;
using actor_internal::Address;
using actor_internal::ChildPlan;
using actor_internal::EndWaiter;
using actor_internal::GroupActor;
using actor_internal::Listing;
using actor_internal::NewChild;
using actor_internal::ref_to;
using actor_internal::Supervising;
using actor_internal::SupervisorActor;
using actor_internal::SupervisorBlueprint;
using actor_internal::SupervisorPlan;
using actor_internal::Tree;

namespace {

// Long enough for a supervisor that has a lot to do, short enough for whoever looks.
constexpr Duration kListingPatience = 1s;

/// Of a token: 0 is the root's.
std::uint64_t next_number() noexcept {
    // Unlike numbers of two trees tell their tokens apart; nothing else depends on them.
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

const char* name(ChildInfo::State state) noexcept {
    switch (state) {
        case ChildInfo::State::down:
            return "down";
        case ChildInfo::State::waiting:
            return "waiting";
        case ChildInfo::State::starting:
            return "starting";
        case ChildInfo::State::running:
            return "running";
        case ChildInfo::State::stopping:
            return "stopping";
    }
    return "unknown";
}

// ---- writing a tree -----------------------------------------------------------------------------

Supervisor::Supervisor(std::string name) : plan_(std::make_unique<SupervisorPlan>()) {
    plan_->name = std::move(name);
}
Supervisor::Supervisor(Supervisor&&) noexcept = default;
Supervisor& Supervisor::operator=(Supervisor&&) noexcept = default;
Supervisor::~Supervisor() = default;

Supervisor& Supervisor::strategy(Strategy strategy) {
    plan_->strategy = strategy;
    return *this;
}

Supervisor& Supervisor::intensity(std::size_t restarts, Duration window) {
    plan_->restarts_max = restarts;
    plan_->window = window;
    return *this;
}

Supervisor& Supervisor::auto_shutdown(AutoShutdown when) {
    plan_->auto_shutdown = when;
    return *this;
}

Supervisor& Supervisor::min_healthy(std::size_t count) {
    plan_->min_healthy = count;
    return *this;
}

std::uint64_t Supervisor::add_child(std::string name, const ChildPolicy& policy, NewChild start) {
    ChildPlan& child = plan_->children.emplace_back();
    child.name = std::move(name);
    child.policy = policy.settings();
    child.start = std::move(start);
    child.number = next_number();
    return child.number;
}

void Supervisor::child(Supervisor nested, ChildPolicy policy) {
    std::unique_ptr<SupervisorPlan> plan = std::move(nested.plan_);
    if (!policy.settings().shutdown_is_set) policy = policy.shutdown(kForever);
    NewChild start;
    start.type = plan->group ? &actor_internal::kActorType<GroupActor>
                             : &actor_internal::kActorType<SupervisorActor>;
    start.blueprint = std::make_shared<SupervisorBlueprint>(plan.get());
    add_child(plan->name, policy, std::move(start));
    plan_->children.back().nested = std::move(plan);
}

Supervisor Supervisor::make_group(std::string name, const ChildPolicy& policy) {
    Supervisor group(std::move(name));
    group.plan_->group = policy.settings();
    group.plan_->restarts_max = policy.settings().restarts_max;
    group.plan_->window = policy.settings().window;
    return group;
}

Supervisor Supervisor::make_sharded_group(std::string name, const ChildPolicy& policy) {
    Supervisor group(std::move(name));
    group.plan_->sharded = policy.settings();
    const std::size_t max_children = policy.settings().max_children;
    // A shard that may have none would be one that may have any number.
    const std::size_t shards = max_children == 0 ? policy.settings().shards
                                                 : std::min(policy.settings().shards, max_children);
    for (std::size_t i = 0; i < shards; ++i) {
        const std::size_t share = max_children / shards + (i < max_children % shards ? 1 : 0);
        group.child(make_group(std::to_string(i + 1), policy.max_children(share)));
    }
    return group;
}

std::uint64_t Supervisor::add_group(std::string name, const ChildPolicy& policy) {
    const bool sharded = policy.settings().shards > 1;
    child(sharded ? make_sharded_group(std::move(name), policy)
                  : make_group(std::move(name), policy));
    return plan_->children.back().number;
}

// ---- starting it --------------------------------------------------------------------------------

namespace actor_internal {

Task<Result<SupervisorRef>> start_tree(Engine& engine, Cell* parent, Supervisor tree) {
    auto running = std::make_shared<Tree>(std::move(tree.plan_));
    Result<void> fine = running->prepare();
    if (!fine) co_return std::unexpected(std::move(fine).error());
    Result<Ref<SupervisorActor>> started =
        co_await start<SupervisorActor>(engine, parent, SpawnOptions(), running, &running->root());
    if (!started) co_return std::unexpected(std::move(started).error());
    running->set_address(0, {RefAccess::cell(*started), RefAccess::generation(*started)});
    co_return SupervisorRef(running);
}

}  // namespace actor_internal

Task<Result<SupervisorRef>> System::start(Supervisor tree) const {
    return actor_internal::start_tree(engine(), nullptr, std::move(tree));
}

void mark_healthy() noexcept {
    Cell* const cell = current_cell();
    if (cell == nullptr || !actor_internal::is_actor(*cell)) return;
    const auto* const supervised = actor_internal::supervised_of(*cell);
    if (supervised == nullptr) return;
    if (auto* const life = supervised->current) life->was_healthy = true;
}

// ---- a dynamic group ----------------------------------------------------------------------------

namespace actor_internal {

/// The supervisors of the shards: good for as long as the tree runs.
struct GroupShards {
    std::vector<Address> all;
    std::atomic<std::size_t> next{0};  // whoever starts a child: whose turn it is
    std::string path;                  // of the group
};

GroupAddress group_in(const Tree& tree, std::uint64_t number) {
    GroupAddress group;
    group.at = tree.address(number);
    const SupervisorPlan* const plan = tree.find(number);
    if (plan == nullptr || !plan->sharded) return group;
    group.shards = std::make_shared<GroupShards>();
    group.shards->path = plan->path;
    for (const ChildPlan& shard : plan->children)
        group.shards->all.push_back(tree.address(shard.number));
    return group;
}

namespace {

Task<Result<Address>> start_in(Address group, NewChild child) {
    // The answer comes when it has started, failed, or the group has ended: no need of a deadline.
    co_return co_await ref_to<GroupActor>(group)
        .ask<&GroupActor::start_child>(std::move(child))
        .within(kForever);
}

Task<Result<void>> stop_in(Address group, Address child) {
    co_return co_await ref_to<GroupActor>(group).ask<&GroupActor::stop_child>(child).within(
        kForever);
}

Task<Result<std::size_t>> count_in(Address group) {
    co_return co_await ref_to<GroupActor>(group).ask<&GroupActor::count>();
}

/// In the shard whose turn it is; when that is full, in the next one that has room.
Task<Result<Address>> start_in_a_shard(std::shared_ptr<GroupShards> shards, NewChild child) {
    const std::size_t count = shards->all.size();
    const std::size_t first = shards->next.fetch_add(1, std::memory_order_relaxed);
    for (std::size_t i = 0; i < count; ++i) {
        NewChild copy = child;
        Result<Address> started =
            co_await start_in(shards->all[(first + i) % count], std::move(copy));
        const bool full = !started && started.error() == SupervisorErrc::max_children;
        if (!full) co_return started;
    }
    co_return error(SupervisorErrc::max_children,
                    "\"" + shards->path + "\" has as many children as it may have");
}

/// Nobody outside knows which shard a child belongs to, so all are asked until one knows it.
Task<Result<void>> stop_in_its_shard(std::shared_ptr<GroupShards> shards, Address child) {
    for (const Address& shard : shards->all) {
        Result<void> stopped = co_await stop_in(shard, child);
        const bool stranger = !stopped && stopped.error() == Errc::not_found;
        if (!stranger) co_return stopped;
    }
    co_return error(Errc::not_found, to_string(pid_of(child.cell, child.generation)) +
                                         " is no child of \"" + shards->path + "\"");
}

Task<Result<std::size_t>> count_all(std::shared_ptr<GroupShards> shards) {
    std::size_t all = 0;
    for (const Address& shard : shards->all)
        all += co_await or_return(co_await count_in(shard));
    co_return all;
}

}  // namespace

Task<Result<Address>> start_in_group(GroupAddress group, NewChild child) {
    return group.shards != nullptr ? start_in_a_shard(std::move(group.shards), std::move(child))
                                   : start_in(group.at, std::move(child));
}

Task<Result<void>> stop_in_group(GroupAddress group, Address child) {
    return group.shards != nullptr ? stop_in_its_shard(std::move(group.shards), child)
                                   : stop_in(group.at, child);
}

Task<Result<std::size_t>> count_group(GroupAddress group) {
    return group.shards != nullptr ? count_all(std::move(group.shards)) : count_in(group.at);
}

}  // namespace actor_internal

// ---- a running tree -----------------------------------------------------------------------------

namespace {

struct TreeListing {
    std::vector<Listing> supervisors;  // the root first
    std::vector<std::string> silent;   // paths of those that did not answer
};

Task<Result<TreeListing>> list_tree(Address root) {
    TreeListing tree;
    std::vector<Listing::Nested> waiting;
    waiting.push_back({root, std::string()});
    for (std::size_t i = 0; i < waiting.size(); ++i) {
        Result<Listing> listing = co_await ref_to<Supervising>(waiting[i].at)
                                      .ask<&Supervising::list>()
                                      .within(kListingPatience);
        if (listing) {
            waiting.insert(waiting.end(), listing->supervisors.begin(), listing->supervisors.end());
            tree.supervisors.push_back(std::move(*listing));
        } else if (i == 0) {
            co_return std::unexpected(std::move(listing).error());
        } else {
            tree.silent.push_back(waiting[i].path);
        }
    }
    co_return tree;
}

Task<Result<std::vector<ChildInfo>>> children_of(Address root) {
    const Result<TreeListing> tree = co_await list_tree(root);
    if (!tree) co_return std::unexpected(tree.error());
    std::vector<ChildInfo> all;
    for (const Listing& listing : tree->supervisors)
        all.insert(all.end(), listing.children.begin(), listing.children.end());
    co_return all;
}

Task<Result<ChildCounts>> counts_of(Address root) {
    const Result<std::vector<ChildInfo>> children = co_await children_of(root);
    if (!children) co_return std::unexpected(children.error());
    ChildCounts counts;
    for (const ChildInfo& child : *children) {
        ++counts.all;
        ++(child.is_supervisor ? counts.supervisors : counts.workers);
        if (child.state == ChildInfo::State::running) ++counts.running;
    }
    co_return counts;
}

Task<Result<Readiness>> readiness_of(Address root) {
    const Result<TreeListing> tree = co_await list_tree(root);
    if (!tree) co_return std::unexpected(tree.error());
    Readiness readiness;
    for (const Listing& listing : tree->supervisors) {
        if (listing.healthy >= listing.min_healthy) continue;
        readiness.missing.push_back(listing.path + ": " + std::to_string(listing.healthy) +
                                    " healthy of at least " + std::to_string(listing.min_healthy));
    }
    for (const std::string& path : tree->silent)
        readiness.missing.push_back(path + ": does not answer");
    readiness.ready = readiness.missing.empty();
    co_return readiness;
}

/// Asks a supervisor to end and waits until it has, whatever it is about.
class [[nodiscard]] StopAndWait {
public:
    explicit StopAndWait(Address at) noexcept : at_(at) {}
    StopAndWait(const StopAndWait&) = delete;
    StopAndWait& operator=(const StopAndWait&) = delete;
    ~StopAndWait() {
        if (awaiting_.arrived != nullptr) {
            actor_internal::free_node(static_cast<EndWaiter*>(awaiting_.arrived));
        }
    }
    bool await_ready() const noexcept { return false; }
    template <task_internal::OurPromise P>
    void await_suspend(std::coroutine_handle<P> self,
                       std::source_location where = std::source_location::current()) {
        awaiting_.what = "the end of a supervisor";
        awaiting_.where = where;
        Cell& cell = begin_await(awaiting_, self);
        auto* const waiter = actor_internal::make_node<EndWaiter>();
        waiter->ops = &EndWaiter::kOps;
        waiter->waits = &cell;
        waiter->waits_generation = cell.generation();
        waiter->await_number = cell.await_number_;
        post_signal(*at_.cell, at_.generation, waiter);
        actor_internal::post_stop(at_.cell, at_.generation, Stop::stop,
                                  ExitReason(ExitReason::Kind::shutdown));
    }
    void await_resume() const noexcept {}

private:
    Address at_;
    Awaiting awaiting_;
};

Task<Result<void>> stop_tree(Address root) {
    co_await StopAndWait(root);
    co_return Result<void>();
}

}  // namespace

SupervisorRef::SupervisorRef(std::shared_ptr<const Tree> tree) noexcept : tree_(std::move(tree)) {}

Ref<Actor> SupervisorRef::actor() const noexcept {
    return ref_to<Supervising>(tree_->address(0));
}

Task<Result<void>> SupervisorRef::stop() const {
    return stop_tree(tree_->address(0));
}

Task<Result<std::vector<ChildInfo>>> SupervisorRef::children() const {
    return children_of(tree_->address(0));
}

Task<Result<ChildCounts>> SupervisorRef::count() const {
    return counts_of(tree_->address(0));
}

Task<Result<Readiness>> SupervisorRef::readiness() const {
    return readiness_of(tree_->address(0));
}

}  // namespace troupe
