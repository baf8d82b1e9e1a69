#pragma once

#include <troupe/base/duration.hpp>

#include <cstdint>

namespace troupe {

class Cell;
class Context;
class Error;
struct MailNode;

/// How a piece of mail behaves once it is taken out of a mailbox.
enum class MailKind : std::uint8_t {
    message,  ///< waits its turn behind older messages and counts against the bound
    signal,   ///< handled before every message, never bounded, never refused by a living cell
};

/// What is the same for all mail of one type. One constant per type, so a node pays one pointer.
struct MailOps {
    MailKind kind = MailKind::message;

    /// Gets rid of a node that will not be handled. `why` says what the sender should hear.
    void (*drop)(MailNode* node, const Error& why) noexcept = nullptr;

    /// Signals only: acts on `cell` inside its turn and takes the node over. Returns true when the
    /// coroutine suspended in the cell can go on.
    bool (*arrive)(MailNode* node, Cell& cell) = nullptr;

    /// Whether it is a TimedNode.
    bool timed = false;
};

/// The head of everything that can lie in a mailbox.
///
/// A node is linked into at most one mailbox at a time and belongs to that mailbox until it is
/// taken out. The address is 16-byte aligned: its low four bits carry flags in the mailbox word.
struct alignas(16) MailNode {
    MailNode* next = nullptr;

    /// The generation of the cell this node was meant for; mail for an earlier owner of the slot is
    /// dropped when it is taken out.
    std::uint32_t generation = 0;

    /// Signals: the await this node answers. Messages: the lower half is free for the layer above,
    /// the upper one says when it was sent: mail_stats.hpp.
    std::uint32_t tag = 0;

    const MailOps* ops = nullptr;

    /// What its handler runs under, the innermost first: scope.hpp. Null where there is nothing.
    Context* context = nullptr;
};

/// Something done for somebody who waits for it until a time.
struct TimedNode : MailNode {
    Duration deadline = Duration::max();  ///< engine time: nobody waits for it after that
};

}  // namespace troupe
