#pragma once

#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

namespace troupe::io_internal {

/// An Endpoint as the machine writes it.
struct SocketAddress {
    union {
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6;
    };
    socklen_t bytes = sizeof v6;  // what there is room for, until it is filled in

    SocketAddress() noexcept : v6{} {}
};

/// Errors: failed, for a host that is neither a numeric address nor "localhost".
Result<SocketAddress> to_address(const Endpoint& endpoint);

/// The empty host for an address of another family.
Endpoint to_endpoint(const SocketAddress& address);

}  // namespace troupe::io_internal
