#pragma once

#include <troupe/io/internal/tls_context.hpp>
#include <troupe/io/stream.hpp>

#include <memory>
#include <string>

namespace troupe {
class Engine;
}

namespace troupe::io_internal {

/// TLS over a stream, which may be a closed one, as its server or as its client.
/// Of `offered` see TlsServer.
Stream tls_over(Stream stream, const std::shared_ptr<TlsServerState>& server,
                std::shared_ptr<const std::string> offered, Engine& engine);
Stream tls_over(Stream stream, std::shared_ptr<TlsClientState> client,
                const std::string& server_name, Engine& engine);

}  // namespace troupe::io_internal
