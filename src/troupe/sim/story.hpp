#pragma once

/// A run told as a sequence of messages, for people.

#include <troupe/sim/history.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe::sim {

struct StoryOptions {
    std::size_t lines_max = 60;   ///< the last so many
    std::uint64_t last_step = 0;  ///< what happened after this one is left out; 0: nothing
};

/// Who told whom what, up to the failure: only what happened before it and could have led to it,
/// by the order that messages give. A text, one line a step, actors as columns of names.
std::string story(const History& history, const StoryOptions& options = {});

/// The same as a Mermaid sequence diagram.
std::string mermaid(const History& history, const StoryOptions& options = {});

}  // namespace troupe::sim
