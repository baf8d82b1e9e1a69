#pragma once

#include <troupe/io/ip_address.hpp>

#include <cstdint>

namespace troupe::http {

/// How trusted proxies say whom they ask for. One of them, and the one that they write themselves:
/// a proxy passes on what else its clients have said.
enum class Forwarding : std::uint8_t {
    x_forwarded,  ///< X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host
    forwarded,    ///< Forwarded (RFC 7239)
};

/// Where a request has come from. Filled in by the server; tests may.
struct Origin {
    /// The other end of the connection, which a PROXY header may have named. None: it is over a
    /// Unix socket.
    IpAddress peer;
    std::uint16_t peer_port = 0;
    /// Whom it is for, as trusted proxies say; else the peer.
    IpAddress client;
    bool tls = false;      ///< the connection is encrypted
    bool secure = false;   ///< it is, or trusted proxies say that the client's is
    bool http2 = false;    ///< it speaks HTTP/2
    bool proxied = false;  ///< the peer is a trusted proxy
    Forwarding forwarding = Forwarding::x_forwarded;  ///< and says whom it is for in these lines
    std::uint8_t hop = 0;                             ///< in so many elements from their end
};

}  // namespace troupe::http
