#pragma once

/// TLS over connections: 1.2 and 1.3, by OpenSSL, which no header of ours shows.
///
/// It is a layer of a Stream: `ListenOptions().tls(server)` makes a listener whose streams speak
/// it, `tls_over(stream, ...)` puts it on any stream, and whoever reads and writes sees no
/// difference. The handshake happens in steps on the way, in the turn of whoever waits for the
/// stream, or, for those who want to know, in `stream.handshake()`. docs/design/0036-tls.md has the
/// why.
///
///     auto server =
///     TlsServer::make(TlsServerOptions().certificate(*TlsCertificate::self_signed())); auto site =
///     co_await http::serve(system, routes, http::ServerOptions().tls(*server));

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/task/task.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

class Engine;

namespace io_internal {
class TlsServerState;
class TlsClientState;
}  // namespace io_internal

/// What is wrong with TLS itself; a connection that breaks is Errc::closed as without it.
enum class TlsErrc {
    bad_certificate = 1,  ///< of ours: a file, a certificate or a key that cannot be used
    handshake_failed,     ///< the two ends have nothing in common, or the peer speaks no TLS
    untrusted,            ///< the peer's certificate: of nobody we trust, too old, of another name
};

/// A certificate with those that vouch for it, and its private key: texts in PEM.
struct TlsCertificate {
    std::string chain;  ///< its own certificate first
    std::string key;    ///< not encrypted: there is nobody to ask for a password

    /// Reads both from files.
    ///
    /// Errors:  bad_certificate, with the path and what is wrong.
    /// Threads: any; blocks the thread while it reads two small files.
    static Result<TlsCertificate> read_blocking(const std::string& chain_path,
                                                const std::string& key_path);

    /// Makes one for development, which vouches for itself and which no browser trusts without a
    /// question. Valid for a year, for these names and addresses.
    ///
    /// Errors:  bad_certificate, for a name that is none.
    /// Threads: any; takes less than a millisecond.
    static Result<TlsCertificate> self_signed(const std::vector<std::string>& names = {
                                                  "localhost", "127.0.0.1", "::1"});
};

/// Whether those who connect have to say who they are.
enum class ClientCertificates { none, optional, required };

/// What one end knows of the other once they have agreed.
struct TlsInfo {
    std::string version;      ///< "TLSv1.3"
    std::string cipher;       ///< "TLS_AES_128_GCM_SHA256"
    std::string protocol;     ///< by ALPN, "http/1.1"; empty: none was agreed
    std::string server_name;  ///< that the client has asked for; empty: none
    std::string peer;         ///< the subject of the peer's certificate, "CN=ann"; empty: none
    bool resumed = false;     ///< the session goes on from an earlier connection
};

class TlsServerOptions {
public:
    TlsServerOptions() = default;

    /// Adds a certificate. Who asks for a name gets the first one that is for it, everybody else
    /// the first one of all.
    TlsServerOptions& certificate(TlsCertificate certificate) {
        certificates_.push_back(std::move(certificate));
        return *this;
    }
    /// In place of those before.
    TlsServerOptions& certificates(std::vector<TlsCertificate> certificates) {
        certificates_ = std::move(certificates);
        return *this;
    }
    /// Protocols to agree on (ALPN), the best first. A client that offers others only is refused;
    /// one that offers none is served.
    TlsServerOptions& protocols(std::vector<std::string> names) {
        protocols_ = std::move(names);
        return *this;
    }
    /// Asks clients for certificates that one of these authorities (PEM) has issued.
    TlsServerOptions& clients(ClientCertificates wanted, std::string authorities) {
        clients_ = wanted;
        authorities_ = std::move(authorities);
        return *this;
    }
    /// Who has not agreed by then is let go.
    TlsServerOptions& handshake_timeout(Duration timeout) {
        handshake_timeout_ = timeout;
        return *this;
    }

    const std::vector<TlsCertificate>& certificates() const { return certificates_; }
    const std::vector<std::string>& protocols() const { return protocols_; }
    ClientCertificates clients() const { return clients_; }
    const std::string& authorities() const { return authorities_; }
    Duration handshake_timeout() const { return handshake_timeout_; }

private:
    std::vector<TlsCertificate> certificates_;
    std::vector<std::string> protocols_;
    ClientCertificates clients_ = ClientCertificates::none;
    std::string authorities_;
    Duration handshake_timeout_ = std::chrono::seconds(10);
};

/// Who a server is, towards TLS clients. A cheap handle: copies share the certificates.
class TlsServer {
public:
    /// Errors:  bad_certificate, when there is none, or one that does not fit its key.
    /// Threads: any.
    static Result<TlsServer> make(const TlsServerOptions& options);

    /// One with a certificate of its own making: see TlsCertificate::self_signed.
    static Result<TlsServer> for_development();

    /// The same server for a component that speaks these protocols, the best first, where the
    /// options have named none. A reload of either is one of both.
    ///
    /// Errors:  bad_certificate, for a name that is none.
    /// Threads: any.
    Result<TlsServer> offering(const std::vector<std::string>& protocols) const;

    /// From now on new connections get these certificates; those that are open keep theirs, and
    /// sessions can still be resumed.
    ///
    /// Errors:  bad_certificate: nothing has changed.
    /// Threads: any.
    Result<void> reload(std::vector<TlsCertificate> certificates) const;

    const std::shared_ptr<io_internal::TlsServerState>& state() const { return state_; }
    const std::shared_ptr<const std::string>& offered() const { return offered_; }

private:
    explicit TlsServer(std::shared_ptr<io_internal::TlsServerState> state)
        : state_(std::move(state)) {}

    // Shared by the handles and by the connections that begin with it.
    std::shared_ptr<io_internal::TlsServerState> state_;
    // As ALPN writes them, for those who have named none. Shared the same way; null: none.
    std::shared_ptr<const std::string> offered_;
};

class TlsClientOptions {
public:
    TlsClientOptions() = default;

    /// Trusts servers whose certificates these authorities (PEM) have issued, and nobody else. The
    /// default are those the machine trusts.
    TlsClientOptions& authorities(std::string pem) {
        authorities_ = std::move(pem);
        return *this;
    }
    /// Says who we are to servers that ask.
    TlsClientOptions& certificate(TlsCertificate certificate) {
        certificate_ = std::move(certificate);
        return *this;
    }
    /// Protocols to offer (ALPN), the best first.
    TlsClientOptions& protocols(std::vector<std::string> names) {
        protocols_ = std::move(names);
        return *this;
    }
    /// Whether to keep sessions, so that the next connection to the same server costs less.
    TlsClientOptions& resumes(bool yes) {
        resumes_ = yes;
        return *this;
    }
    /// Believes every server. It takes the point out of TLS: for tests and experiments.
    TlsClientOptions& trust_anybody() {
        trusts_anybody_ = true;
        return *this;
    }
    /// Who has not agreed by then is given up.
    TlsClientOptions& handshake_timeout(Duration timeout) {
        handshake_timeout_ = timeout;
        return *this;
    }

    const std::string& authorities() const { return authorities_; }
    const TlsCertificate& certificate() const { return certificate_; }
    const std::vector<std::string>& protocols() const { return protocols_; }
    bool resumes() const { return resumes_; }
    bool trusts_anybody() const { return trusts_anybody_; }
    Duration handshake_timeout() const { return handshake_timeout_; }

private:
    std::string authorities_;
    TlsCertificate certificate_;
    std::vector<std::string> protocols_;
    bool resumes_ = true;
    bool trusts_anybody_ = false;
    Duration handshake_timeout_ = std::chrono::seconds(10);
};

/// Whom clients trust, and the sessions they can resume. A cheap handle: copies share them.
class TlsClient {
public:
    /// Errors:  bad_certificate.
    /// Threads: any. Without authorities of its own it reads the machine's, some milliseconds.
    static Result<TlsClient> make(const TlsClientOptions& options = TlsClientOptions());

    /// The one with default options, which the process shares; made when first asked for.
    static Result<TlsClient> standard();

    const std::shared_ptr<io_internal::TlsClientState>& state() const { return state_; }

private:
    explicit TlsClient(std::shared_ptr<io_internal::TlsClientState> state)
        : state_(std::move(state)) {}

    // Shared by the handles and by the connections that begin with it.
    std::shared_ptr<io_internal::TlsClientState> state_;
};

/// Speaks TLS over a connection on which nothing has been said yet, as its server or as its client.
/// `server_name` is what the certificate must be for: a name, or an address in numbers.
///
/// Everything goes on as with any stream, and in addition: an end that the peer has not announced
/// (close_notify) is an error, `closed`, because something may be missing; a failed handshake is
/// TlsErrc from whatever is awaited first.
///
/// Threads: in the turn of the actor or task that the stream belongs to.
Stream tls_over(Stream stream, const TlsServer& server);
Stream tls_over(Stream stream, const TlsClient& client, const std::string& server_name);

/// Connects, and agrees with the server.
///
/// Errors:  those of connect; TlsErrc.
/// Units:   `timeout` is engine time, for all of it.
Task<Result<Stream>> connect(Engine& engine, Endpoint endpoint, TlsClient client,
                             std::string server_name, Duration timeout = Duration::max());

}  // namespace troupe
