#pragma once

#include <troupe/actor/internal/supervising.hpp>
#include <troupe/actor/internal/tree.hpp>

#include <memory>
#include <string>
#include <unordered_map>

namespace troupe::actor_internal {

/// The supervisor of children that come and go. It never waits for one of them to start or to end,
/// so that a slow one is in nobody's way.
class GroupActor final : public Supervising {
public:
    GroupActor(std::shared_ptr<Tree> tree, const SupervisorPlan* plan);
    ~GroupActor() override;

    Reply<Address> start_child(NewChild child);
    Reply<void> stop_child(Address child);
    std::size_t count() const { return records_.size(); }
    Listing list() const override;

private:
    struct Record : ChildRecord {
        std::string text;                     // its name: a number
        ReplyTo<Address> starter;             // waits for its first start
        std::vector<ReplyTo<void>> stoppers;  // wait for its end
    };

    Task<void> on_stop(const ExitReason& reason) override;

    ChildRecord* find(std::uint64_t child) override;
    void has_started(std::uint64_t child, ChildRecord& record) override;
    bool was_refused(std::uint64_t child, ChildRecord& record) override;
    Task<void> restart(std::uint64_t child, ChildRecord& record) override;
    void finished(std::uint64_t child, ChildRecord& record) override;
    void has_stopped(std::uint64_t child, ChildRecord& record) override;
    void forget(std::uint64_t child);
    Record* find(const Address& at);

    std::shared_ptr<Tree> tree_;  // shared with all addresses of the tree, keeps the plan
    const SupervisorPlan& plan_;
    std::unordered_map<std::uint64_t, Record> records_;  // by number
    std::unordered_map<Pid, std::uint64_t> by_pid_;
    std::uint64_t started_ = 0;
};

}  // namespace troupe::actor_internal
