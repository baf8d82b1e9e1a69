#include <troupe/base/error.hpp>
#include <troupe/io/internal/tls_context.hpp>
#include <troupe/io/internal/tls_stream.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace troupe {

namespace {

Result<std::string> read_file(const std::string& path) {
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (in && !text.empty()) return text;
    return error(TlsErrc::bad_certificate,
                 path + ": " + (errno != 0 ? std::strerror(errno) : "the file is empty"));
}

}  // namespace

Result<TlsCertificate> TlsCertificate::read_blocking(const std::string& chain_path,
                                                     const std::string& key_path) {
    TlsCertificate certificate;
    TROUPE_TRY(certificate.chain, read_file(chain_path));
    TROUPE_TRY(certificate.key, read_file(key_path));
    // That they fit is known once OpenSSL has taken them.
    const Result<TlsServer> usable = TlsServer::make(TlsServerOptions().certificate(certificate));
    if (usable) return certificate;
    return error(TlsErrc::bad_certificate,
                 chain_path + ", " + key_path + ": " + usable.error().text());
}

Result<TlsServer> TlsServer::make(const TlsServerOptions& options) {
    TROUPE_TRY(auto identities, io_internal::TlsIdentities::make(options, nullptr));
    return TlsServer(std::make_shared<io_internal::TlsServerState>(options, std::move(identities)));
}

Result<TlsServer> TlsServer::for_development() {
    TROUPE_TRY(TlsCertificate certificate, TlsCertificate::self_signed());
    return make(TlsServerOptions().certificate(std::move(certificate)));
}

Result<TlsServer> TlsServer::offering(const std::vector<std::string>& protocols) const {
    TROUPE_TRY(std::string wire, io_internal::protocols_on_wire(protocols));
    TlsServer server(state_);
    server.offered_ = std::make_shared<const std::string>(std::move(wire));
    return server;
}

Result<void> TlsServer::reload(std::vector<TlsCertificate> certificates) const {
    return state_->reload(std::move(certificates));
}

Result<TlsClient> TlsClient::make(const TlsClientOptions& options) {
    TROUPE_TRY(auto state, io_internal::TlsClientState::make(options));
    return TlsClient(std::move(state));
}

Result<TlsClient> TlsClient::standard() {
    static const Result<TlsClient> client = make();
    return client;
}

Stream tls_over(Stream stream, const TlsServer& server) {
    return io_internal::tls_over(std::move(stream), server.state(), server.offered(),
                                 current_cell()->engine());
}

Stream tls_over(Stream stream, const TlsClient& client, const std::string& server_name) {
    return io_internal::tls_over(std::move(stream), client.state(), server_name,
                                 current_cell()->engine());
}

Task<Result<Stream>> connect(Engine& engine, Endpoint endpoint, TlsClient client,
                             std::string server_name, Duration timeout) {
    Engine* const where = &engine;
    const Duration begun = where->now();
    Stream plain = co_await or_return(co_await connect(*where, std::move(endpoint), timeout));
    Stream stream = tls_over(std::move(plain), client, server_name);
    Duration left = timeout;
    if (timeout != Duration::max()) {
        left = std::max(timeout - (where->now() - begun), Duration::zero());
    }
    co_await or_return(co_await stream.handshake(Interruptible::yes).within(left));
    co_return stream;
}

}  // namespace troupe
