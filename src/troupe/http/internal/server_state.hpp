#pragma once

#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/router.hpp>
#include <troupe/http/server.hpp>

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

}  // namespace troupe::http_internal
