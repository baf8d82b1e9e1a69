#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/group_table.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/hash.hpp>
#include <troupe/scheduler/shared_use.hpp>

#include <utility>

namespace troupe::actor_internal {

namespace {

void assert_own(const Cell& cell) {
    TROUPE_ASSERT(current_cell() == &cell || cell.state() == CellState::starting,
                  "an actor joins, watches and leaves groups itself, in its own turn");
}

GroupSeat* make_seat(Cell& cell, GroupState& group) {
    Ties& ties = ties_of(cell);
    auto* const seat = make_node<GroupSeat>();
    seat->next_of_actor = std::exchange(ties.seats, seat);
    seat->group = &group;
    seat->who.cell = &cell;
    seat->who.generation = cell.generation();
    return seat;
}

/// Past the bound of the watchers' mailboxes, as news of ends: a change that was lost would leave
/// the watcher with a wrong picture for ever.
void tell_watchers(GroupState& group, const GroupMember& member, bool joined) noexcept {
    for (const GroupSeat& watcher : group.watchers) {
        MailNode* const change = watcher.make_change(watcher.offset, member, joined);
        if (!force(*watcher.who.cell, watcher.who.generation, change)) {
            change->ops->drop(change, Error(Errc::actor_gone));
        }
    }
}

std::vector<GroupMember> members_of(GroupState& group) {
    std::vector<GroupMember> members;
    for (const GroupSeat& seat : group.members)
        members.push_back(seat.who);
    return members;
}

}  // namespace

std::size_t GroupKeyHash::operator()(const GroupKey& key) const noexcept {
    return static_cast<std::size_t>(fnv1a_64(key.name));
}

GroupTable::~GroupTable() {
    for (Shard& shard : shards_) {
        LockGuard lock(shard.mutex);
        TROUPE_ASSERT(shard.groups.empty(), "a system has ended before its actors");
    }
}

GroupTable::Shard& GroupTable::shard_of(const GroupKey& key) const noexcept {
    const std::uint64_t hash = fnv1a_64(key.name);
    note_shared_use(thing_of(~hash));  // an actor's name is another thing
    return shards_[hash >> 40 & (kShards - 1)];
}

GroupState& GroupTable::Shard::group_at(const GroupKey& key) {
    auto& group = groups[key];
    if (group == nullptr) group = std::make_unique<GroupState>(key);
    return *group;
}

void GroupTable::join(Cell& cell, const GroupKey& key, std::uint16_t offset,
                      std::shared_ptr<const void> value) {
    assert_own(cell);
    Shard& shard = shard_of(key);
    LockGuard lock(shard.mutex);
    GroupState& group = shard.group_at(key);
    GroupSeat* const seat = make_seat(cell, group);
    seat->who.offset = offset;
    seat->who.value = std::move(value);
    group.members.push_back(*seat);
    tell_watchers(group, seat->who, true);
}

std::vector<GroupMember> GroupTable::watch(Cell& cell, const GroupKey& key, std::ptrdiff_t offset,
                                           MakeGroupChange make_change) {
    assert_own(cell);
    Shard& shard = shard_of(key);
    LockGuard lock(shard.mutex);
    GroupState& group = shard.group_at(key);
    GroupSeat* const seat = make_seat(cell, group);
    seat->make_change = make_change;
    seat->offset = offset;
    group.watchers.push_back(*seat);
    return members_of(group);
}

/// Takes the actor's newest seat of this kind out of its own list. Null when there is none.
GroupSeat* GroupTable::take_seat(Cell& cell, const GroupKey& key, bool watcher) noexcept {
    Ties* const ties = existing_ties(cell);
    if (ties == nullptr) return nullptr;
    for (GroupSeat** at = &ties->seats; *at != nullptr; at = &(*at)->next_of_actor) {
        GroupSeat* const seat = *at;
        // A group's key never changes, and the group stays while there is a seat in it.
        if ((seat->make_change != nullptr) != watcher || !(seat->group->key == key)) continue;
        *at = seat->next_of_actor;
        return seat;
    }
    return nullptr;
}

void GroupTable::give_up(GroupSeat* seat) noexcept {
    std::unique_ptr<GroupState> emptied;  // goes when the lock is open again, as the seat does
    {
        Shard& shard = shard_of(seat->group->key);
        LockGuard lock(shard.mutex);
        GroupState& group = *seat->group;
        if (seat->make_change != nullptr) {
            group.watchers.erase(*seat);
        } else {
            group.members.erase(*seat);
            tell_watchers(group, seat->who, false);
        }
        if (group.members.empty() && group.watchers.empty()) {
            const auto at = shard.groups.find(group.key);
            emptied = std::move(at->second);
            shard.groups.erase(at);
        }
    }
    free_node(seat);
}

bool GroupTable::leave(Cell& cell, const GroupKey& key) {
    assert_own(cell);
    GroupSeat* const seat = take_seat(cell, key, false);
    if (seat != nullptr) give_up(seat);
    return seat != nullptr;
}

bool GroupTable::unwatch(Cell& cell, const GroupKey& key) {
    assert_own(cell);
    GroupSeat* const seat = take_seat(cell, key, true);
    if (seat != nullptr) give_up(seat);
    return seat != nullptr;
}

void GroupTable::leave_all(Cell& cell) noexcept {
    GroupSeat* seat = std::exchange(existing_ties(cell)->seats, nullptr);
    // What it watches first: of its own leaving it need not hear.
    GroupSeat* members = nullptr;
    while (seat != nullptr) {
        GroupSeat* const next = seat->next_of_actor;
        if (seat->make_change != nullptr) {
            give_up(seat);
        } else {
            seat->next_of_actor = std::exchange(members, seat);
        }
        seat = next;
    }
    while (members != nullptr)
        give_up(std::exchange(members, members->next_of_actor));
}

std::vector<GroupMember> GroupTable::members(const GroupKey& key) const {
    const Shard& shard = shard_of(key);
    LockGuard lock(shard.mutex);
    const auto at = shard.groups.find(key);
    return at != shard.groups.end() ? members_of(*at->second) : std::vector<GroupMember>();
}

void leave_groups(Cell& cell) noexcept {
    const Ties* const ties = existing_ties(cell);
    if (ties == nullptr || ties->seats == nullptr) return;
    SystemCore::of(cell).groups().leave_all(cell);
}

GroupTable& groups_of(Engine& engine) noexcept {
    return static_cast<SystemCore*>(engine.host())->groups();
}
void join_group(GroupTable& table, Cell& cell, const GroupKey& key, std::uint16_t offset,
                std::shared_ptr<const void> value) {
    table.join(cell, key, offset, std::move(value));
}
bool leave_group(GroupTable& table, Cell& cell, const GroupKey& key) {
    return table.leave(cell, key);
}
std::vector<GroupMember> watch_group(GroupTable& table, Cell& cell, const GroupKey& key,
                                     std::ptrdiff_t offset, MakeGroupChange make_change) {
    return table.watch(cell, key, offset, make_change);
}
bool unwatch_group(GroupTable& table, Cell& cell, const GroupKey& key) {
    return table.unwatch(cell, key);
}
std::vector<GroupMember> members_of_group(const GroupTable& table, const GroupKey& key) {
    return table.members(key);
}

}  // namespace troupe::actor_internal
