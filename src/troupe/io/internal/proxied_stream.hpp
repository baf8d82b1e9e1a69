#pragma once

#include <troupe/io/proxy_protocol.hpp>
#include <troupe/io/stream.hpp>

namespace troupe::io_internal {

/// The stream of whom a proxy speaks for, once its header is read; the same stream, if whoever has
/// connected is none of the proxies. In a turn.
Stream proxied(Stream stream, const ProxyProtocol& options);

}  // namespace troupe::io_internal
