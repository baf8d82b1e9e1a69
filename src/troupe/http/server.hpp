#pragma once

// An HTTP server, 1.1 and 2: `co_await http::serve(system, std::move(router), options)`.
//
// Every connection is an actor of its own, and the handler of a request runs within it: what it
// holds, a handler's crash, and its end concern nobody else. Handlers that need shared state ask
// the actor that owns it.

#include <troupe/actor/ref.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/http2_options.hpp>
#include <troupe/http/origin.hpp>
#include <troupe/http/overload.hpp>
#include <troupe/http/router.hpp>
#include <troupe/io/ip_address.hpp>
#include <troupe/io/proxy_protocol.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/net/serve_stats.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace troupe {

namespace net {
class Gatekeeper;
}

namespace http_internal {
class Admission;
}

namespace http {

/// What a server may be told. The defaults suit a service behind a proxy or in a local network.
class ServerOptions {
public:
    ServerOptions() = default;

    /// Where to listen; 127.0.0.1 unless said otherwise, so that nothing is open to the world by
    /// accident. "0.0.0.0" or "::" listen everywhere.
    ServerOptions& host(std::string host) {
        host_ = std::move(host);
        return *this;
    }
    /// 0, the default, takes a free port: see Server::port.
    ServerOptions& port(std::uint16_t port) {
        port_ = port;
        return *this;
    }
    /// Listens at a Unix socket instead, whose file it makes and removes. `permissions` are those
    /// of the file: who may write to it may connect. Nothing is counted by address there.
    ServerOptions& unix_socket(std::string path, std::uint32_t permissions = 0660) {
        host_ = "unix:" + std::move(path);
        port_ = 0;
        unix_permissions_ = permissions;
        return *this;
    }
    /// Listens beside others that say the same: see ListenOptions::reuse_port.
    ServerOptions& reuse_port(bool reuse) {
        reuse_port_ = reuse;
        return *this;
    }
    /// Connections come by way of a balancer that passes bytes on: see io/proxy_protocol.hpp. Who
    /// it names is the peer in everything here.
    ServerOptions& proxy_protocol(ProxyProtocol proxy) {
        proxy_protocol_ = std::move(proxy);
        return *this;
    }
    /// Requests come by way of proxies at these addresses, which say for whom in header lines of
    /// this kind; see Request::client_address, secure and host. Whoever else writes such lines is
    /// not believed.
    ServerOptions& trusted_proxies(IpNetworks proxies,
                                   Forwarding forwarding = Forwarding::x_forwarded) {
        trusted_proxies_ = std::move(proxies);
        forwarding_ = forwarding;
        return *this;
    }
    /// Speaks TLS, as this server: https, and wss. See io/tls.hpp for certificates.
    ServerOptions& tls(TlsServer server) {
        tls_ = std::move(server);
        return *this;
    }
    /// About HTTP/2, which clients may speak unless it says otherwise.
    ServerOptions& http2(Http2Options options) {
        http2_ = options;
        return *this;
    }
    /// While so many connections are open no further one is accepted; they wait in the kernel.
    ServerOptions& connections_max(std::size_t connections) {
        connections_max_ = connections;
        return *this;
    }
    /// A body beyond this is refused with 413 as soon as its length is known. It is the most a
    /// request holds; handlers that read the body themselves hold none and decide for themselves.
    ServerOptions& body_bytes_max(std::size_t bytes) {
        body_bytes_max_ = bytes;
        return *this;
    }
    /// Beyond so many connections from one address, further ones are closed at once. No limit
    /// unless said. Of IPv6 a /64 counts as one address, here and below.
    ServerOptions& connections_per_address_max(std::size_t connections) {
        connections_per_address_max_ = connections;
        return *this;
    }
    /// While so many connections are within their TLS handshake, a further one ends the oldest of
    /// them if that has taken a second already, and else is closed itself. 10,000 unless said.
    ServerOptions& handshakes_max(std::size_t handshakes) {
        handshakes_max_ = handshakes == 0 ? 1 : handshakes;
        return *this;
    }
    /// So many requests a second are answered for each client, by its address, after a burst of so
    /// many; the rest with 429 and when to try again. No limit unless said. Behind a proxy all
    /// addresses are one unless it is among the trusted_proxies().
    ServerOptions& requests_per_second_max(std::size_t requests, std::size_t burst) {
        requests_per_second_max_ = requests;
        requests_burst_ = burst == 0 ? 1 : burst;
        return *this;
    }
    /// The same for all of them together; the rest are answered with 503.
    ServerOptions& all_requests_per_second_max(std::size_t requests, std::size_t burst) {
        all_requests_per_second_max_ = requests;
        all_requests_burst_ = burst == 0 ? 1 : burst;
        return *this;
    }
    /// When there is too much to do, and what happens then.
    ServerOptions& overload(OverloadOptions overload) {
        overload_ = std::move(overload);
        return *this;
    }
    /// Request line and header lines together; beyond it 431.
    ServerOptions& head_bytes_max(std::size_t bytes) {
        head_bytes_max_ = bytes;
        return *this;
    }
    /// The request target; beyond it 414.
    ServerOptions& target_bytes_max(std::size_t bytes) {
        target_bytes_max_ = bytes;
        return *this;
    }
    /// How long in all a request that has begun may let us wait for its bytes, or it is answered
    /// with 408. What arrives of a body earns more time, see below, up to this much.
    ServerOptions& request_timeout(Duration timeout) {
        request_timeout_ = timeout;
        return *this;
    }
    /// A body that arrives at this rate or faster may take as long as it likes. At least 1.
    ServerOptions& body_bytes_per_second_min(std::size_t bytes) {
        body_bytes_per_second_min_ = bytes;
        return *this;
    }
    /// A connection is closed when no request has begun for this long.
    ServerOptions& idle_timeout(Duration timeout) {
        idle_timeout_ = timeout;
        return *this;
    }
    /// A peer that takes less than 64 KiB of a response in this time, though there is more, is
    /// given up.
    ServerOptions& write_timeout(Duration timeout) {
        write_timeout_ = timeout;
        return *this;
    }

    const std::string& host() const { return host_; }
    std::uint16_t port() const { return port_; }
    const std::optional<TlsServer>& tls() const { return tls_; }
    const Http2Options& http2() const { return http2_; }
    std::size_t connections_max() const { return connections_max_; }
    std::uint32_t unix_permissions() const { return unix_permissions_; }
    bool reuse_port() const { return reuse_port_; }
    const std::optional<ProxyProtocol>& proxy_protocol() const { return proxy_protocol_; }
    const IpNetworks& trusted_proxies() const { return trusted_proxies_; }
    Forwarding forwarding() const { return forwarding_; }
    std::size_t connections_per_address_max() const { return connections_per_address_max_; }
    std::size_t handshakes_max() const { return handshakes_max_; }
    std::size_t all_requests_per_second_max() const { return all_requests_per_second_max_; }
    std::size_t all_requests_burst() const { return all_requests_burst_; }
    const OverloadOptions& overload() const { return overload_; }
    std::size_t body_bytes_max() const { return body_bytes_max_; }
    std::size_t requests_per_second_max() const { return requests_per_second_max_; }
    std::size_t requests_burst() const { return requests_burst_; }
    std::size_t head_bytes_max() const { return head_bytes_max_; }
    std::size_t target_bytes_max() const { return target_bytes_max_; }
    Duration request_timeout() const { return request_timeout_; }
    Duration idle_timeout() const { return idle_timeout_; }
    Duration write_timeout() const { return write_timeout_; }
    std::size_t body_bytes_per_second_min() const { return body_bytes_per_second_min_; }

    /// How long so many bytes of a body may take.
    Duration time_for_body_bytes(std::size_t bytes) const {
        return Duration(std::chrono::seconds(1)) * bytes / body_bytes_per_second_min_;
    }

private:
    std::string host_ = "127.0.0.1";
    std::uint16_t port_ = 0;
    std::optional<TlsServer> tls_;
    Http2Options http2_;
    std::size_t connections_max_ = 100'000;
    std::size_t body_bytes_max_ = 1024 * 1024;
    std::size_t requests_per_second_max_ = 0;
    std::size_t requests_burst_ = 1;
    std::size_t all_requests_per_second_max_ = 0;
    std::size_t all_requests_burst_ = 1;
    std::size_t connections_per_address_max_ = 0;
    std::size_t handshakes_max_ = 10'000;
    std::uint32_t unix_permissions_ = 0660;
    bool reuse_port_ = false;
    std::optional<ProxyProtocol> proxy_protocol_;
    IpNetworks trusted_proxies_;
    Forwarding forwarding_ = Forwarding::x_forwarded;
    OverloadOptions overload_;
    std::size_t head_bytes_max_ = 16 * 1024;
    std::size_t target_bytes_max_ = 8 * 1024;
    std::size_t body_bytes_per_second_min_ = 1024;
    Duration request_timeout_ = std::chrono::seconds(30);
    Duration idle_timeout_ = std::chrono::seconds(75);
    Duration write_timeout_ = std::chrono::seconds(30);
};

/// A server that runs. A cheap handle: the server's own actors run until stop(), or until the
/// system ends; letting go of the handle changes nothing.
class Server {
public:
    /// The port it listens on, also when options said 0. 0 at a Unix socket.
    std::uint16_t port() const { return port_; }

    /// How many connections are open, were accepted, and ended by a handler that threw.
    ///
    /// Errors: actor_gone, once the server has stopped.
    Task<Result<net::ServeStats>> stats() const;

    /// What it has let in and turned away, and whether it has too much to do.
    ///
    /// Threads: any.
    LoadStats load() const;

    /// Stops: accepts nothing more, closes idle connections, ends responses of events (events.hpp),
    /// lets requests that are being handled finish, and ends those that have not finished within
    /// `drain`. When it returns, all
    /// connections are closed and every handler has ended. A second call does nothing.
    ///
    /// Errors:  cancelled, when the caller is; the server stops all the same.
    /// Threads: in an actor or task.
    Task<Result<void>> stop(Duration drain = std::chrono::seconds(5));

private:
    friend Task<Result<Server>> serve(System system, Router router, ServerOptions options);

    Server(Ref<net::Gatekeeper> gatekeeper, std::uint16_t port,
           std::shared_ptr<const http_internal::Admission> admission)
        : gatekeeper_(gatekeeper), port_(port), admission_(std::move(admission)) {}

    Ref<net::Gatekeeper> gatekeeper_;
    std::uint16_t port_;
    std::shared_ptr<const http_internal::Admission> admission_;  // shared with the server's actors
};

/// Listens and serves. The router is the server's from now on; its connections share it.
///
/// Errors:  failed, when the address cannot be listened on; start_failed.
/// Threads: in an actor or task.
Task<Result<Server>> serve(System system, Router router, ServerOptions options = ServerOptions());

}  // namespace http
}  // namespace troupe
