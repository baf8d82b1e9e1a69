#pragma once

#include <troupe/actor/internal/supervising.hpp>
#include <troupe/actor/internal/tree.hpp>

#include <memory>
#include <vector>

namespace troupe::actor_internal {

/// A supervisor whose children were written down: internal/supervising.hpp says how it hears.
class SupervisorActor final : public Supervising {
public:
    SupervisorActor(std::shared_ptr<Tree> tree, const SupervisorPlan* plan);
    ~SupervisorActor() override;

    Listing list() const override;

private:
    Task<Result<void>> on_start() override;
    Task<void> on_stop(const ExitReason& reason) override;

    ChildRecord* find(std::uint64_t child) override { return &records_[child]; }
    Task<void> restart(std::uint64_t child, ChildRecord& record) override;
    void finished(std::uint64_t child, ChildRecord& record) override;

    Task<void> restart_from(std::size_t first);
    Task<Result<void>> start_from(std::size_t first);
    Task<void> stop_down_to(std::size_t first, After after);
    Task<Result<void>> start_one(std::size_t child);
    std::unexpected<Error> not_started(const ChildRecord& record) const;
    bool overtaken(std::size_t child) const noexcept;
    Result<void> take_address_of(const ChildPlan& child, const SupervisorPlan& parent, Cell& keeper,
                                 std::vector<Cell*>& taken);
    Result<void> take_addresses(std::size_t first);
    std::size_t healthy() const noexcept;

    std::shared_ptr<Tree> tree_;  // shared with all addresses of the tree
    const SupervisorPlan& plan_;
    std::vector<ChildRecord> records_;  // as in the plan
    bool was_overtaken_ = false;        // the last start_from
};

/// Builds the supervisor of a plan, or that of a dynamic group.
class SupervisorBlueprint final : public Blueprint {
public:
    explicit SupervisorBlueprint(const SupervisorPlan* plan) : plan_(plan) {}
    void build(void* object) const override;

private:
    const SupervisorPlan* plan_;
};

}  // namespace troupe::actor_internal
