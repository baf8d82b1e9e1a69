#include <troupe/base/error.hpp>
#include <troupe/io/internal/socket_address.hpp>

#include <arpa/inet.h>

#include <string>

namespace troupe::io_internal {

Result<SocketAddress> to_address(const Endpoint& endpoint) {
    const char* const host = endpoint.host == "localhost" ? "127.0.0.1" : endpoint.host.c_str();
    SocketAddress address;
    if (::inet_pton(AF_INET6, host, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(endpoint.port);
        address.bytes = sizeof address.v6;
        return address;
    }
    address.v4 = sockaddr_in();
    if (::inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(endpoint.port);
        address.bytes = sizeof address.v4;
        return address;
    }
    return error(Errc::failed, "'" + endpoint.host +
                                   "' is not an address: write it in numbers (127.0.0.1, ::1), or "
                                   "localhost");
}

Endpoint to_endpoint(const SocketAddress& address) {
    char text[INET6_ADDRSTRLEN] = {};
    switch (address.any.sa_family) {
        case AF_INET:
            ::inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
            return Endpoint(text, ntohs(address.v4.sin_port));
        case AF_INET6:
            ::inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text);
            return Endpoint(text, ntohs(address.v6.sin6_port));
        default:
            return Endpoint(text, 0);
    }
}

}  // namespace troupe::io_internal
