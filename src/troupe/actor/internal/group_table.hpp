#pragma once

/// Which actors belong to which groups.
///
/// A table in shards by the group's name, each under a lock of its own: joining, leaving and
/// reading are some tens of nanoseconds in the caller's own turn, so there is no process that could
/// become the bottleneck. A seat is linked into its group's list and into its actor's: leaving
/// costs the same in a group of ten as in one of a million, and an actor that ends leaves all its
/// groups before anybody can hear that it has ended.

#include <troupe/actor/group.hpp>
#include <troupe/base/intrusive_list.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/scheduler/cell.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe::actor_internal {

struct GroupState;

struct GroupKeyHash {
    std::size_t operator()(const GroupKey& key) const noexcept;
};

/// What ties one actor to one group: a membership, or the wish to hear of the others'.
struct GroupSeat {
    ListHook hook;                       // in the group; under the shard's lock
    GroupSeat* next_of_actor = nullptr;  // in the actor's list; its turn only
    GroupState* group = nullptr;
    GroupMember who;
    MakeGroupChange make_change = nullptr;  // of a watcher; null for a member
    std::ptrdiff_t offset = 0;              // of the watcher's method's class in its object
};

struct GroupState {
    explicit GroupState(GroupKey the_key) : key(std::move(the_key)) {}

    const GroupKey key;
    IntrusiveList<GroupSeat, &GroupSeat::hook> members;
    IntrusiveList<GroupSeat, &GroupSeat::hook> watchers;
};

class GroupTable {
public:
    GroupTable() = default;
    GroupTable(const GroupTable&) = delete;
    GroupTable& operator=(const GroupTable&) = delete;
    ~GroupTable();

    // ---- the actor's turn, or its constructor -------------------------------------------------

    void join(Cell& cell, const GroupKey& key, std::uint16_t offset,
              std::shared_ptr<const void> value);
    /// Gives up one membership. False when it has none.
    bool leave(Cell& cell, const GroupKey& key);
    /// The members of this moment; the watcher hears of every change from then on.
    std::vector<GroupMember> watch(Cell& cell, const GroupKey& key, std::ptrdiff_t offset,
                                   MakeGroupChange make_change);
    bool unwatch(Cell& cell, const GroupKey& key);
    /// Gives up all that ties it to any group.
    void leave_all(Cell& cell) noexcept;

    // ---- any thread ---------------------------------------------------------------------------

    /// In the order in which they joined; once for each time.
    std::vector<GroupMember> members(const GroupKey& key) const;

private:
    static constexpr std::size_t kShards = 32;

    struct alignas(64) Shard {
        mutable Mutex mutex{LockRank::groups};
        std::unordered_map<GroupKey, std::unique_ptr<GroupState>, GroupKeyHash> groups
            TROUPE_GUARDED_BY(mutex);

        GroupState& group_at(const GroupKey& key) TROUPE_REQUIRES(mutex);
    };

    Shard& shard_of(const GroupKey& key) const noexcept;
    static GroupSeat* take_seat(Cell& cell, const GroupKey& key, bool watcher) noexcept;
    void give_up(GroupSeat* seat) noexcept;

    mutable std::array<Shard, kShards> shards_;
};

/// Leaves all groups, before anybody can hear that the actor has ended.
void leave_groups(Cell& cell) noexcept;

}  // namespace troupe::actor_internal
