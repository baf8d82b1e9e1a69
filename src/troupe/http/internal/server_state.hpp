#pragma once

#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/router.hpp>
#include <troupe/http/server.hpp>

#include <atomic>
#include <cstdint>
#include <utility>

namespace troupe::http_internal {

/// What the actors of one server share and never change. None of them outlives the others in a
/// fixed order, so each holds a share: the gatekeeper and all connections.
struct ServerState {
    ServerState(http::Router the_router, http::ServerOptions the_options)
        : router(std::move(the_router)), options(std::move(the_options)) {
        limits.target_bytes_max = options.target_bytes_max();
        limits.head_bytes_max = options.head_bytes_max();
        limits.body_bytes_max = options.body_bytes_max();
    }

    const http::Router router;
    const http::ServerOptions options;
    RequestLimits limits;
};

/// Who may end a connection, and when.
///
/// To stop an actor cuts its present wait short. That is wanted while a connection waits for a
/// request to begin, and not while a handler waits for an answer. So the connection and the
/// gatekeeper agree by one word, of which they hold a share each.
class ConnectionPhase {
public:
    /// The connection: nothing is being handled. False when it is to end instead of waiting.
    bool begin_waiting() { return move(Phase::busy, Phase::waiting); }

    /// The connection: a request has begun. False when the connection is to end.
    bool end_waiting() { return move(Phase::waiting, Phase::busy); }

    /// The connection: this response is the last one.
    bool closing() const { return phase_.load(std::memory_order_relaxed) == Phase::closing; }

    /// The gatekeeper: the connection ends after what it is doing. True when that is nothing but
    /// waiting, which only a stop will end.
    bool close() {
        // acq_rel: of this and begin_waiting, one sees the other; pairs with move.
        return phase_.exchange(Phase::closing, std::memory_order_acq_rel) == Phase::waiting;
    }

private:
    enum class Phase : std::uint8_t { busy, waiting, closing };

    bool move(Phase from, Phase to) {
        // acq_rel: of this and close, one sees the other; pairs with close.
        return phase_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
    }

    std::atomic<Phase> phase_{Phase::busy};  // the connection moves it, the gatekeeper closes it
};

}  // namespace troupe::http_internal
