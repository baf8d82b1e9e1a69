#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/http/internal/admission.hpp>
#include <troupe/http/internal/server_state.hpp>
#include <troupe/http/takeover.hpp>
#include <troupe/net/connection_phase.hpp>
#include <troupe/net/gatekeeper.hpp>

#include <deque>
#include <memory>
#include <string>
#include <utility>

namespace troupe::http_internal {

/// Makes an HTTP connection of every stream.
class Gatekeeper final : public net::Gatekeeper {
public:
    explicit Gatekeeper(std::shared_ptr<const ServerState> server);

    /// A connection speaks another protocol from now on: the actor for it is made here, and stays
    /// one of ours, with the place that it had.
    void take_over(std::unique_ptr<http::Takeover> next, Stream stream, std::string received,
                   std::shared_ptr<Place> place);
    /// The same for one that speaks HTTP/2.
    void go_on_in_http2(Stream stream, std::string received, std::shared_ptr<Place> place);

private:
    net::Guest welcome(Stream stream) override;
    void on_drain() override;
    bool has_room_for_a_handshake();

    /// One that may be within its handshake still.
    struct Agreeing {
        Ref<Actor> connection;
        std::shared_ptr<net::ConnectionPhase> phase;  // shared with the connection
        Duration since{};
    };

    std::shared_ptr<const ServerState> server_;  // shared as ServerState says
    std::deque<Agreeing> agreeing_;              // the oldest first
};

}  // namespace troupe::http_internal
