#pragma once

#include <atomic>
#include <cstdint>

namespace troupe::net {

/// Who may end a connection, and when.
///
/// To stop an actor cuts its present wait short. That is wanted while a connection waits for a
/// request to begin, and not while a handler waits for an answer. So the connection and the
/// gatekeeper agree by one word, of which they hold a share each.
///
/// A server that stops first says so in every response, and only some time later ends those who
/// still wait: a request that was on its way to an idle connection is answered like any other.
class ConnectionPhase {
public:
    /// The connection: nothing is being handled. False when it is to end instead of waiting.
    bool begin_waiting() {
        // acq_rel: of this and end_waits, one sees the other; pairs with end_waits.
        return (bits_.fetch_or(kWaiting, std::memory_order_acq_rel) & kOver) == 0;
    }

    /// The connection: a request has begun. False when the connection is to end.
    bool end_waiting() {
        // acq_rel: of this and end_waits, one sees the other; pairs with end_waits.
        return (bits_.fetch_and(static_cast<std::uint8_t>(~kWaiting), std::memory_order_acq_rel) &
                kOver) == 0;
    }

    /// The connection: this response is the last one.
    bool closing() const { return (bits_.load(std::memory_order_relaxed) & kClosing) != 0; }

    /// The gatekeeper, before the connection begins: both ends have to agree on how they speak.
    void begin_to_agree() { bits_.fetch_or(kAgreeing, std::memory_order_relaxed); }
    /// The connection: they have, or will not.
    void end_agreeing() {
        bits_.fetch_and(static_cast<std::uint8_t>(~kAgreeing), std::memory_order_relaxed);
    }
    bool agreeing() const { return (bits_.load(std::memory_order_relaxed) & kAgreeing) != 0; }

    /// The gatekeeper: the connection ends after the response it is about to write.
    void close() { bits_.fetch_or(kClosing, std::memory_order_relaxed); }

    /// The gatekeeper: the connection waits for no further request. True when it does at this
    /// moment, which only a stop will end.
    bool end_waits() {
        // acq_rel: of this and the connection's, one sees the other; pairs with begin_waiting and
        // end_waiting.
        return (bits_.fetch_or(kClosing | kOver, std::memory_order_acq_rel) & kWaiting) != 0;
    }

private:
    static constexpr std::uint8_t kWaiting = 1;
    static constexpr std::uint8_t kClosing = 2;
    static constexpr std::uint8_t kOver = 4;
    static constexpr std::uint8_t kAgreeing = 8;

    std::atomic<std::uint8_t> bits_{0};  // the connection waits, the gatekeeper closes
};

}  // namespace troupe::net
