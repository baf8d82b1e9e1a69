#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace troupe {

/// A place on the network: a host and a port.
///
/// The host is a numeric IPv4 or IPv6 address, or "localhost", which is 127.0.0.1; or "unix:" and
/// the path of a Unix domain socket, which has no port. Whoever connects over one of those has no
/// address: "unix:".
struct Endpoint {
    Endpoint() = default;
    Endpoint(std::string the_host, std::uint16_t the_port)
        : host(std::move(the_host)), port(the_port) {}

    /// A Unix domain socket: a place on this machine with the permissions of a file.
    static Endpoint unix_socket(const std::string& path) { return Endpoint("unix:" + path, 0); }
    bool is_unix() const { return host.starts_with("unix:"); }

    friend bool operator==(const Endpoint&, const Endpoint&) = default;

    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
};

/// "127.0.0.1:8080", "[::1]:8080", "unix:/run/service.sock".
std::string to_string(const Endpoint& endpoint);

}  // namespace troupe
