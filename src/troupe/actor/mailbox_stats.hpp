#pragma once

#include <troupe/base/duration.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe {

/// What has been seen of the mailboxes of all actors of one class since the system began.
///
/// Waits are from the moment a message was sent until its handler began. Of a plain mailbox not
/// each message is looked at: the oldest one of every 256th turn of a worker, and of every turn
/// where turns are long; of a mailbox with a policy, priorities or a budget every one. Where a
/// message came while the actor was at another, the wait may be up to two milliseconds longer than
/// is said here. Source: docs/design/0054-how-long-messages-wait.md
struct MailboxesOfType {
    std::string type;
    std::size_t most = 0;        ///< messages in one mailbox at the same time: the high-water mark
    std::uint64_t measured = 0;  ///< messages that were looked at
    Duration median{};           ///< half of them waited less than this, or as long
    Duration p95{};              ///< and 95 of 100
    Duration p99{};              ///< and 99 of 100
    Duration longest{};
};

}  // namespace troupe
