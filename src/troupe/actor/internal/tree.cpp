#include <troupe/actor/internal/tree.hpp>

#include <string_view>
#include <unordered_set>
#include <utility>

namespace troupe::actor_internal {

namespace {

using Numbers = std::unordered_set<std::uint64_t>;

void collect(const SupervisorPlan& plan, Numbers& numbers) {
    for (const ChildPlan& child : plan.children) {
        numbers.insert(child.number);
        if (child.nested != nullptr) collect(*child.nested, numbers);
    }
}

const SupervisorPlan* find_below(const SupervisorPlan& plan, std::uint64_t number) noexcept {
    for (const ChildPlan& child : plan.children) {
        if (child.nested == nullptr) continue;
        if (child.number == number) return child.nested.get();
        if (const SupervisorPlan* const found = find_below(*child.nested, number)) return found;
    }
    return nullptr;
}

/// What is wrong with a child, or nothing.
std::string_view mistake_in(const SupervisorPlan& plan, const ChildPlan& child,
                            const Numbers& numbers) {
    for (const std::uint64_t token : child.start.blueprint->tokens()) {
        if (!numbers.contains(token)) return "an argument is a child of another tree";
    }
    const bool sharded = child.nested != nullptr && child.nested->sharded;
    if (sharded && child.nested->sharded->min_healthy != 0) {
        return "a group in shards has no min_healthy: each shard knows its own children only";
    }
    if (!child.policy.significant) return "";
    if (child.policy.restart == Restart::permanent) {
        return "a permanent child never ends, so it cannot be significant";
    }
    if (plan.auto_shutdown == AutoShutdown::never) {
        return "it is significant, but its supervisor has no auto_shutdown";
    }
    return "";
}

Result<void> bind(SupervisorPlan& plan, const std::string& path, const Numbers& numbers,
                  Tree* tree) {
    plan.path = path;
    std::unordered_set<std::string_view> names;
    for (ChildPlan& child : plan.children) {
        const std::string child_path = path + "/" + child.name;
        std::string_view mistake = mistake_in(plan, child, numbers);
        if (!names.insert(child.name).second) mistake = "another child has the same name";
        if (!mistake.empty()) {
            return error(Errc::start_failed,
                         "child \"" + child_path + "\": " + std::string(mistake));
        }
        child.start.blueprint->tree = tree;
        if (child.nested == nullptr) continue;
        Result<void> bound = bind(*child.nested, child_path, numbers, tree);
        if (!bound) return bound;
    }
    return {};
}

}  // namespace

Result<void> Tree::prepare() {
    Numbers numbers;
    collect(*root_, numbers);
    return bind(*root_, root_->name, numbers, this);
}

const SupervisorPlan* Tree::find(std::uint64_t number) const noexcept {
    return find_below(*root_, number);
}

Address Tree::address(std::uint64_t number) const {
    LockGuard lock(mutex_);
    const auto at = addresses_.find(number);
    return at != addresses_.end() ? at->second : Address();
}

void Tree::set_address(std::uint64_t number, Address address) {
    LockGuard lock(mutex_);
    addresses_[number] = address;
}

Address address_in(const Tree& tree, std::uint64_t number) {
    return tree.address(number);
}

}  // namespace troupe::actor_internal
