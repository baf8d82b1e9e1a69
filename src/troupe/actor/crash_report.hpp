#pragma once

#include <troupe/actor/pid.hpp>
#include <troupe/base/duration.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

/// What there is to say about an actor that has failed: that of its own accord, not one that died
/// with another. Bounded in size; what its messages carried is never part of it.
struct CrashReport {
    Pid pid;
    Pid parent;               ///< Pid() when it has none
    std::string name;         ///< empty when it has none
    std::string_view type;    ///< lives as long as the program
    std::string_view method;  ///< of the message or hook in which it failed; the same
    std::string reason;       ///< kCrashTextMax characters at most
    std::size_t mailbox_depth = 0;
    std::uint64_t handled = 0;      ///< messages
    std::uint32_t incarnation = 1;  ///< which of a supervised actor's lives this was
    Duration uptime{};              ///< of its address
};

/// A longer reason is cut here: an exception's text may hold a whole request.
inline constexpr std::size_t kCrashTextMax = 500;
/// So many reports a second are logged; the others are counted. Listeners hear of all.
inline constexpr unsigned kCrashesLoggedPerSecond = 10;

}  // namespace troupe
