#pragma once

#include <troupe/base/counter.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/http/internal/addresses.hpp>
#include <troupe/http/internal/overload.hpp>
#include <troupe/http/internal/request_rate.hpp>
#include <troupe/http/origin.hpp>
#include <troupe/http/overload.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/http/server.hpp>
#include <troupe/io/stream.hpp>

#include <memory>
#include <optional>

namespace troupe {
class Engine;
}

namespace troupe::http_internal {

/// Who a server lets in and whom it turns away, whatever protocol they speak.
///
/// Threads: any.
class Admission {
public:
    explicit Admission(const http::ServerOptions& options);

    /// A place for a new connection, whose peer is known already if no proxy is to name it. Null:
    /// there are too many from there, and one more has been counted.
    std::shared_ptr<Place> enter(const IpAddress& peer, Duration now);

    /// A handshake was ended for another's sake.
    void count_ended_handshake() { handshakes_ended_.add(); }

    Overload& overload() { return overload_; }
    /// HTTP/2 streams that are under way.
    Gauge& http2_streams() { return http2_streams_; }
    http::LoadStats stats() const;

private:
    friend class Visitor;

    std::optional<http::Response> refuse(const http::Request& request,
                                         const std::shared_ptr<Address>& address, Engine& engine);

    const IpNetworks trusted_;
    const http::Forwarding forwarding_;
    const Duration retry_after_;
    Addresses addresses_;
    std::optional<RequestRate> all_;
    Overload overload_;
    const bool watches_overload_;
    Counter over_rate_;
    Counter crowded_out_;
    Counter handshakes_ended_;
    Counter http1_requests_;
    Counter http2_requests_;
    Counter http2_connections_;
    Gauge http2_streams_;
    Counter malformed_;
};

/// One connection, as Admission sees it: where its requests come from, and what is counted.
///
/// Threads: the turn of its connection.
class Visitor {
public:
    /// `place` is null when the peer is not known before arrive().
    Visitor(Admission& admission, std::shared_ptr<Place> place)
        : admission_(admission), place_(std::move(place)) {}

    /// The connection is ready for requests: its handshakes are done. False: there are too many
    /// from where it comes, and it is to be closed.
    bool arrive(const Stream& stream, bool http2, Duration now);

    /// Notes in a request, whose head is here, where it has come from. Gives what is to be answered
    /// in place of having it handled, if anything.
    std::optional<http::Response> admit(http::Request& request, Engine& engine);

    /// The rest of an admitted request is malformed, or does not come: no handler will see it.
    void count_malformed() { admission_.malformed_.add(); }
    /// The same for one whose head could not be read. Notes in what there is of it that it has come
    /// from the peer: of what a proxy says about it, not all may be there.
    void count_unread(http::Request& request);

    /// For whoever takes the connection over; counted as long as somebody has it.
    const std::shared_ptr<Place>& place() const { return place_; }

private:
    Admission& admission_;
    std::shared_ptr<Place> place_;  // shared with whoever takes the connection over
    http::Origin origin_;
    IpAddress last_client_;          // of requests by way of a proxy
    std::shared_ptr<Address> last_;  // what that address shares, with all its connections
};

/// The peer's address; none over a Unix socket.
IpAddress address_of_peer(const Stream& stream);

}  // namespace troupe::http_internal
