#pragma once

#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace troupe::io_internal {

/// An Endpoint as the machine writes it.
struct SocketAddress {
    union {
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6;
        sockaddr_un local;
    };
    socklen_t bytes = sizeof local;  // what there is room for, until it is filled in

    SocketAddress() noexcept : local{} {}
};

/// Errors: failed, for a host that is neither a numeric address nor "localhost", and for the path
///         of a Unix socket that is empty or too long.
Result<SocketAddress> to_address(const Endpoint& endpoint);

/// The empty host for an address of another family.
Endpoint to_endpoint(const SocketAddress& address);

}  // namespace troupe::io_internal
