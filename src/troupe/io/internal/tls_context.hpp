#pragma once

/// What the connections of one server, or of one client, have in common: certificates, rules, and
/// sessions that can be resumed.

#include <troupe/base/mutex.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/tls.hpp>

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;

namespace troupe::io_internal {

struct FreeTlsContext {
    void operator()(ssl_ctx_st* context) const noexcept;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, FreeTlsContext>;

struct FreeTlsSession {
    void operator()(ssl_session_st* session) const noexcept;
};
using TlsSavedSession = std::unique_ptr<ssl_session_st, FreeTlsSession>;

/// The certificates a server has at present. Never changed: a reload makes another one.
class TlsIdentities {
public:
    /// `before` gives the keys of the tickets its clients hold; null: fresh ones.
    static Result<std::shared_ptr<const TlsIdentities>> make(const TlsServerOptions& options,
                                                             const TlsIdentities* before);

    /// For connections that have not said a name yet.
    ssl_ctx_st* first() const noexcept { return contexts_.front().get(); }
    /// The certificate for this name.
    ssl_ctx_st* find(const char* name) const noexcept;

    /// That were named for this server, as ALPN writes them.
    std::string_view protocols() const noexcept { return protocols_; }

private:
    Result<void> add(const TlsServerOptions& options, const TlsCertificate& certificate);

    std::vector<TlsContext> contexts_;
    std::string protocols_;  // as ALPN writes them
};

class TlsServerState {
public:
    TlsServerState(TlsServerOptions options, std::shared_ptr<const TlsIdentities> identities)
        : options_(std::move(options)), identities_(std::move(identities)) {}

    Duration handshake_timeout() const { return options_.handshake_timeout(); }
    std::shared_ptr<const TlsIdentities> identities() const;
    Result<void> reload(std::vector<TlsCertificate> certificates);

private:
    const TlsServerOptions options_;
    mutable Mutex mutex_{LockRank::tls_identities};
    // Shared by the connections that have begun with it.
    std::shared_ptr<const TlsIdentities> identities_ TROUPE_GUARDED_BY(mutex_);
};

class TlsClientState {
public:
    static Result<std::shared_ptr<TlsClientState>> make(const TlsClientOptions& options);

    Duration handshake_timeout() const { return handshake_timeout_; }
    bool trusts_anybody() const { return trusts_anybody_; }
    ssl_ctx_st* context() const noexcept { return context_.get(); }

    /// Sessions, each for one more connection to the same peer. The oldest are forgotten.
    void remember(const std::string& peer, TlsSavedSession session);
    TlsSavedSession recall(const std::string& peer);

private:
    using Saved = std::pair<std::string, TlsSavedSession>;

    explicit TlsClientState(const TlsClientOptions& options)
        : handshake_timeout_(options.handshake_timeout()),
          trusts_anybody_(options.trusts_anybody()) {}

    // As many as a client has idle connections, several times.
    static constexpr std::size_t kSessionsMax = 256;

    const Duration handshake_timeout_;
    const bool trusts_anybody_;
    TlsContext context_;
    Mutex mutex_{LockRank::tls_sessions};
    std::list<Saved> sessions_ TROUPE_GUARDED_BY(mutex_);  // the newest in front
};

/// Names as ALPN writes them: each behind its length.
Result<std::string> protocols_on_wire(const std::vector<std::string>& protocols);

/// What OpenSSL last found wrong, in words; `otherwise`, when it does not say.
std::string tls_problem(std::string_view otherwise);

}  // namespace troupe::io_internal
