#pragma once

/// For tests of protocols: the transport they run on. With TROUPE_TEST_TLS set it is TLS, and the
/// same tests make the same promises; ctest runs them both ways.

#include <troupe/io/internal/test_tls.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/task/task.hpp>

#include <cstdlib>
#include <string>
#include <utility>

namespace troupe::net_internal {

inline bool over_tls() {
    static const bool set = std::getenv("TROUPE_TEST_TLS") != nullptr;
    return set;
}

/// The options of a server, a listener or a client, on the transport under test.
///
/// A client is made anew each time: what it remembers of one run is not to show in the next.
template <class Options>
Options on_transport(Options options = Options()) {
    if (!over_tls()) return options;
    static const TlsServer server = io_internal::test_tls_server();
    if constexpr (requires { options.tls(server); }) {
        options.tls(server);
    } else {
        options.tls(io_internal::test_tls_client());
    }
    return options;
}

/// "http" or "https", "ws" or "wss".
inline std::string scheme_of(std::string plain) {
    return over_tls() ? plain + "s" : plain;
}

/// A connection on the transport under test. Over TLS the handshake comes with the first use: a
/// server that accepts nobody at present would keep us waiting.
inline Task<Result<Stream>> connect_on_transport(Engine& engine, Endpoint endpoint) {
    static const TlsClient client = io_internal::test_tls_client(TlsClientOptions().resumes(false));
    Result<Stream> stream = co_await connect(engine, std::move(endpoint));
    if (stream && over_tls()) co_return tls_over(std::move(*stream), client, "localhost");
    co_return stream;
}

}  // namespace troupe::net_internal
