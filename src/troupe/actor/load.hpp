#pragma once

/// What whoever hands out work asks about those it has: as cheap as sending a message.

#include <troupe/actor/ref.hpp>

#include <cstddef>
#include <cstdint>

namespace troupe {

class Engine;
struct MailNode;

/// How busy an actor was a moment ago.
struct Load {
    bool there = false;       ///< its address is somebody's; else it has ended, for good
    bool up = false;          ///< and not between two lives
    std::size_t waiting = 0;  ///< messages accepted and not yet handled, about
};

namespace actor_internal {

Load load_of(const Cell* cell, std::uint32_t generation) noexcept;
/// A number from 0 to n - 1, drawn by the engine of the actor's. n is not 0.
std::uint64_t draw_below(const Cell* cell, std::uint64_t n) noexcept;
/// Makes a message a dead letter that found nobody to be given to. `of_system`: somebody of the
/// system that is to hear of it, who may have ended; null for that of the calling worker.
void lose_unrouted(const Cell* of_system, MailNode* message) noexcept;

}  // namespace actor_internal

/// Threads: any. Takes no lock, unless the mailbox has a policy or priorities.
template <class A>
Load load_of(const Ref<A>& ref) noexcept {
    return actor_internal::load_of(actor_internal::RefAccess::cell(ref),
                                   actor_internal::RefAccess::generation(ref));
}

}  // namespace troupe
