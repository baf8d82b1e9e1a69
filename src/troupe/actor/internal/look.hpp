#pragma once

#include <troupe/actor/actor_info.hpp>
#include <troupe/scheduler/cell.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace troupe::actor_internal {

/// What there is to know of an actor; nothing when it has ended. Any thread.
std::optional<ActorInfo> look_at(Cell& cell, std::uint32_t generation);

/// The same for a task.
std::optional<TaskInfo> look_at_task(Cell& cell, std::uint32_t generation);

/// Where it waits, in words, and who waits for it.
struct WaitStep {
    std::string line;
    Cell* waited_by = nullptr;  // null: nobody, or nobody knows
    std::uint32_t generation = 0;
};
/// Nothing when it does not wait. Any thread.
std::optional<WaitStep> look_at_wait(Cell& cell, std::uint32_t generation);

/// A name, shortened where an error's text must be bounded.
std::string shown(std::string_view name);

}  // namespace troupe::actor_internal
