#pragma once

#include <troupe/http/internal/admission.hpp>
#include <troupe/http/internal/peer_watch.hpp>
#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/router.hpp>
#include <troupe/http/server.hpp>

#include <memory>
#include <utility>

namespace troupe::http_internal {

/// What the actors of one server share and never change. None of them outlives the others in a
/// fixed order, so each holds a share: the gatekeeper and all connections.
struct ServerState {
    ServerState(http::Router the_router, http::ServerOptions the_options)
        : router(std::move(the_router)),
          options(std::move(the_options)),
          admission(std::make_shared<Admission>(options)) {
        limits.target_bytes_max = options.target_bytes_max();
        limits.head_bytes_max = options.head_bytes_max();
        limits.body_bytes_max = options.body_bytes_max();
    }

    const http::Router router;
    const http::ServerOptions options;
    RequestLimits limits;
    // The one thing that counts and changes; shared with handles of the server.
    const std::shared_ptr<Admission> admission;
    const std::unique_ptr<EndlessBodies> endless_bodies = std::make_unique<EndlessBodies>();
};

}  // namespace troupe::http_internal
