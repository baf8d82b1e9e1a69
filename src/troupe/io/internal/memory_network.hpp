#pragma once

/// The network of the deterministic engine.

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/internal/core.hpp>
#include <troupe/io/network_conditions.hpp>

namespace troupe::io_internal {

Result<ListenerCore*> listen_in_memory(Engine& engine, const Endpoint& endpoint,
                                       const ListenOptions& options);

Task<Result<Stream>> connect_in_memory(Engine* engine, Endpoint endpoint, Duration timeout);

const NetworkConditions& network_conditions(Engine& engine);

}  // namespace troupe::io_internal
