#pragma once

/// A tree of supervisors as it was written, and where its children live.
///
/// Written once, then read by all supervisors of the tree, on any thread; only the addresses
/// change, rarely: a child that has ended for good, and is started again because a sibling's
/// failure or its supervisor's start wants all of them, gets a new one.

#include <troupe/actor/supervisor.hpp>
#include <troupe/base/mutex.hpp>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::actor_internal {

struct ChildPlan {
    std::string name;
    ChildPolicy::Settings policy;
    NewChild start;
    std::uint64_t number = 0;                // of its token
    std::unique_ptr<SupervisorPlan> nested;  // null for a worker
};

struct SupervisorPlan {
    std::string name;
    std::string path;  // "app/pool", once it is part of a tree that is started
    Strategy strategy = Strategy::one_for_one;
    std::size_t restarts_max = 3;
    Duration window = std::chrono::seconds(5);
    AutoShutdown auto_shutdown = AutoShutdown::never;
    std::optional<std::size_t> min_healthy;
    std::vector<ChildPlan> children;
    std::optional<ChildPolicy::Settings> group;  // of each child, when they come and go
    // Its children are the shards of a group, of which this is the policy: they have nothing to do
    // with each other, and are stopped all at once.
    std::optional<ChildPolicy::Settings> sharded;
};

class Tree : public std::enable_shared_from_this<Tree> {
public:
    explicit Tree(std::unique_ptr<SupervisorPlan> root) : root_(std::move(root)) {}
    Tree(const Tree&) = delete;
    Tree& operator=(const Tree&) = delete;

    /// Checks what was written and binds its parts together. Before anything starts.
    ///
    /// Errors:  start_failed, with the child's path and what is wrong.
    Result<void> prepare();

    const SupervisorPlan& root() const noexcept { return *root_; }
    /// The plan of a nested supervisor; null when no supervisor has this number.
    const SupervisorPlan* find(std::uint64_t number) const noexcept;

    /// Where the child of this number lives; the root has number 0. Any thread.
    Address address(std::uint64_t number) const;
    void set_address(std::uint64_t number, Address address);

private:
    std::unique_ptr<SupervisorPlan> root_;
    mutable Mutex mutex_{LockRank::supervision};
    std::unordered_map<std::uint64_t, Address> addresses_ TROUPE_GUARDED_BY(mutex_);
};

}  // namespace troupe::actor_internal
