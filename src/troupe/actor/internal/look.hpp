#pragma once

#include <troupe/actor/actor_info.hpp>
#include <troupe/scheduler/cell.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace troupe::actor_internal {

/// What there is to know of an actor; nothing when it has ended. Any thread.
std::optional<ActorInfo> look_at(Cell& cell, std::uint32_t generation);

/// A name, shortened where an error's text must be bounded.
std::string shown(std::string_view name);

}  // namespace troupe::actor_internal
