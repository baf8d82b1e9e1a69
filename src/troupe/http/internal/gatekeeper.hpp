#pragma once

#include <troupe/http/internal/server_state.hpp>
#include <troupe/net/gatekeeper.hpp>

#include <memory>
#include <utility>

namespace troupe::http_internal {

/// Makes an HTTP connection of every stream.
class Gatekeeper final : public net::Gatekeeper {
public:
    explicit Gatekeeper(std::shared_ptr<const ServerState> server)
        : net::Gatekeeper(server->options.connections_max()), server_(std::move(server)) {}

private:
    net::Guest welcome(Stream stream) override;

    std::shared_ptr<const ServerState> server_;  // shared as ServerState says
};

}  // namespace troupe::http_internal
