#pragma once

#include <troupe/actor/pid.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

/// Why a message was not handled.
enum class DeadLetterReason : std::uint8_t {
    overflow,   ///< the mailbox was full, or held as many calls of the method as it may
    gone,       ///< the actor had ended before it was sent
    stopped,    ///< the actor ended before it was handled
    stale,      ///< it was meant for an earlier owner of the slot
    conflated,  ///< a newer call of the same method took its place
    expired,    ///< its asker's deadline had passed before it was handled
    poison,     ///< it has ended its actor as often as the child's policy allows
    unrouted,   ///< a router had nobody to give it to: no member, or no key to find one by
    too_many,   ///< more messages came in a time than the mailbox takes
};
inline constexpr std::size_t kDeadLetterReasons = 9;
const char* name(DeadLetterReason reason) noexcept;

/// How many messages were not handled, by reason.
struct DeadLetters {
    std::array<std::uint64_t, kDeadLetterReasons> by_reason{};
    std::uint64_t operator[](DeadLetterReason reason) const noexcept {
        return by_reason[static_cast<std::size_t>(reason)];
    }
    std::uint64_t total() const noexcept {
        std::uint64_t sum = 0;
        for (const std::uint64_t count : by_reason)
            sum += count;
        return sum;
    }
};

/// One message that was not handled.
struct DeadLetter {
    Pid target;
    std::string_view method;  ///< lives as long as the program
    DeadLetterReason reason = DeadLetterReason::gone;
    /// Who sent it, when that was an actor and is known: of a `tell` when it was refused, or has
    /// lost its place to a newer one (drop_oldest, conflate). Else the empty Pid.
    Pid sender;
};

/// The dead letters of all actors of one class.
struct DeadLettersOfType {
    std::string type;  ///< "(others)" for those beyond the first 64 classes, and unknown ones
    DeadLetters letters;
};

}  // namespace troupe
