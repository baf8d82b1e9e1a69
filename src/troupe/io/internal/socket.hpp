#pragma once

/// The network of the threaded engine: non-blocking sockets, watched edge-triggered.

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/internal/core.hpp>

namespace troupe::io_internal {

Result<ListenerCore*> listen_socket(Engine& engine, const Endpoint& endpoint,
                                    const ListenOptions& options);

Task<Result<Stream>> connect_socket(Engine* engine, Endpoint endpoint, Duration timeout);

}  // namespace troupe::io_internal
