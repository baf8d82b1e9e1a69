#include <troupe/base/error.hpp>
#include <troupe/io/internal/socket_address.hpp>

#include <arpa/inet.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::io_internal {

namespace {

constexpr std::string_view kUnix = "unix:";

Result<SocketAddress> to_path(std::string_view path) {
    SocketAddress address;
    // One byte stays 0 behind it.
    if (path.empty() || path.size() >= sizeof address.local.sun_path) {
        return error(Errc::failed,
                     "'" + std::string(path) + "' is no path of a Unix socket: it has 1 to " +
                         std::to_string(sizeof address.local.sun_path - 1) + " bytes");
    }
    address.local.sun_family = AF_UNIX;
    path.copy(address.local.sun_path, path.size());
    address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return address;
}

}  // namespace

Result<SocketAddress> to_address(const Endpoint& endpoint) {
    if (endpoint.is_unix()) return to_path(std::string_view(endpoint.host).substr(kUnix.size()));
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
        case AF_UNIX: {
            // Of those without a name there is not even an empty one.
            if (address.bytes <= offsetof(sockaddr_un, sun_path))
                return Endpoint(std::string(kUnix), 0);
            return Endpoint(std::string(kUnix) + address.local.sun_path, 0);
        }
        default:
            return Endpoint(text, 0);
    }
}

}  // namespace troupe::io_internal
