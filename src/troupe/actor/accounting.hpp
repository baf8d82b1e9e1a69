#pragma once

#include <troupe/base/duration.hpp>

#include <cstddef>
#include <cstdint>

namespace troupe {

class System;

/// What became of the messages of a system. Once nothing is queued any more, each that was accepted
/// was handled or lost: `accepted == handled + lost`.
struct MessageAccounts {
    std::uint64_t accepted = 0;
    std::uint64_t handled = 0;  ///< by actors that have ended
    std::uint64_t lost = 0;     ///< accepted and then a dead letter
    std::uint64_t refused = 0;  ///< dead letters that were never accepted

    bool add_up() const noexcept { return accepted == handled + lost; }
};

/// Counts every message of this process from now on, for tests and simulators: it costs some
/// nanoseconds a message. Threads: any, before the systems are made.
void count_messages() noexcept;

/// A supervisor starts a child again.
struct RestartNews {
    std::uint64_t supervisor = 0;  ///< tells it, in this life, apart from all others
    Duration time{};
    std::size_t max = 0;  ///< so many are allowed
    Duration window{};    ///< within this
};

/// For simulators: calls `hook` of each restart, in the supervisor's turn; null: nobody. Threads:
/// any, before the systems are made.
void watch_restarts(void (*hook)(const RestartNews& news) noexcept) noexcept;
/// For supervisors: calls it.
void tell_of_restart(const RestartNews& news) noexcept;

/// What has been counted. Threads: any.
MessageAccounts message_accounts(const System& system) noexcept;

}  // namespace troupe
