#pragma once

/// What a proxy says first. No I/O: bytes in, an address out.

#include <troupe/io/endpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::io_internal {

struct ProxyHeader {
    enum class Status : std::uint8_t { need_more, done, refused };

    Status status = Status::need_more;
    std::size_t bytes = 0;           ///< done: of the header; what lies behind them is the peer's
    std::optional<Endpoint> source;  ///< done: none, when the proxy speaks for itself
    std::string_view problem;        ///< refused: a sentence without its end
};

/// Longer ones are refused. An address takes 36 bytes of it and certificates of clients, which some
/// proxies pass on, the rest; nobody who is just slow makes us hold more.
inline constexpr std::size_t kProxyHeaderMax = 4096;

/// Reads the header at the beginning of all that has come so far. The same bytes give the same,
/// however they were cut: the first one that is wrong decides.
ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace troupe::io_internal
