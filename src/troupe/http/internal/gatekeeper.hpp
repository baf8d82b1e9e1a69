#pragma once

#include <troupe/http/internal/request_rate.hpp>
#include <troupe/http/internal/server_state.hpp>
#include <troupe/http/takeover.hpp>
#include <troupe/net/gatekeeper.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace troupe::http_internal {

/// Makes an HTTP connection of every stream.
class Gatekeeper final : public net::Gatekeeper {
public:
    explicit Gatekeeper(std::shared_ptr<const ServerState> server)
        : net::Gatekeeper(server->options.connections_max()), server_(std::move(server)) {
        const http::ServerOptions& options = server_->options;
        if (options.requests_per_second_max() == 0) return;
        rates_.emplace(RateLimit{options.requests_per_second_max(), options.requests_burst()});
    }

    /// A connection speaks another protocol from now on: the actor for it is made here, and stays
    /// one of ours.
    void take_over(std::unique_ptr<http::Takeover> next, Stream stream, std::string received);

private:
    net::Guest welcome(Stream stream) override;

    std::shared_ptr<const ServerState> server_;  // shared as ServerState says
    std::optional<RequestRates> rates_;
};

}  // namespace troupe::http_internal
