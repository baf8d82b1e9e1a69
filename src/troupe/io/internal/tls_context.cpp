#include <troupe/base/error.hpp>
#include <troupe/io/internal/tls_context.hpp>
#include <troupe/io/internal/tls_random.hpp>
#include <troupe/io/internal/tls_session.hpp>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace troupe::io_internal {

void FreeTlsContext::operator()(ssl_ctx_st* context) const noexcept {
    SSL_CTX_free(context);
}

void FreeTlsSession::operator()(ssl_session_st* session) const noexcept {
    SSL_SESSION_free(session);
}

std::string tls_problem(std::string_view otherwise) {
    const unsigned long code = ERR_peek_error();
    const char* const reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    std::string text(reason != nullptr ? std::string_view(reason) : otherwise);
    ERR_clear_error();
    return text;
}

namespace {

// 1.2 with forward secrecy and authenticated encryption only; of 1.3 everything is.
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// The smallest first, which is strong enough and costs the least.
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384";

// Tickets of one of our servers are of no use at another program's that shares the keys by
// accident.
constexpr std::string_view kSessionContext = "troupe";

struct FreeBio {
    void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;

struct FreeX509 {
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, FreeX509>;

struct FreeKey {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};

std::unexpected<Error> bad_certificate(const std::string& what) {
    return error(TlsErrc::bad_certificate, what + ": " + tls_problem("it cannot be used"));
}

Bio reader_of(std::string_view text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// There is nobody to ask for a password.
int no_password(char*, int, int, void*) {
    return 0;
}

Certificate read_certificate(BIO* in) {
    return Certificate(PEM_read_bio_X509_AUX(in, nullptr, &no_password, nullptr));
}

Result<void> use_certificate(SSL_CTX* context, const TlsCertificate& certificate) {
    ERR_clear_error();
    const Bio chain = reader_of(certificate.chain);
    const Certificate own = read_certificate(chain.get());
    if (own == nullptr || SSL_CTX_use_certificate(context, own.get()) != 1) {
        return bad_certificate("the certificate is no PEM that begins with one");
    }
    while (Certificate next = read_certificate(chain.get())) {
        if (SSL_CTX_add0_chain_cert(context, next.get()) != 1) {
            return bad_certificate("the certificate's chain");
        }
        ignore(next.release(), "the context's now");
    }
    ERR_clear_error();  // the end of the text
    const Bio in = reader_of(certificate.key);
    const std::unique_ptr<EVP_PKEY, FreeKey> key(
        PEM_read_bio_PrivateKey(in.get(), nullptr, &no_password, nullptr));
    if (key == nullptr) return bad_certificate("the private key is no PEM, or encrypted");
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return bad_certificate("the private key does not belong to the certificate");
    }
    return {};
}

/// Those whose certificates are believed. `names`: tells clients whose certificates are wanted.
Result<void> trust(SSL_CTX* context, const std::string& authorities, bool names) {
    ERR_clear_error();
    const Bio in = reader_of(authorities);
    int count = 0;
    while (const Certificate authority = read_certificate(in.get())) {
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1 ||
            (names && SSL_CTX_add_client_CA(context, authority.get()) != 1)) {
            return bad_certificate("an authority's certificate");
        }
        ++count;
    }
    if (count == 0) return bad_certificate("the authorities are no certificates in PEM");
    ERR_clear_error();  // the end of the text
    return {};
}

Result<TlsContext> modern_context(const SSL_METHOD* method) {
    ERR_clear_error();
    const OpenSslAsks asks;
    const ChanceOf chance(simulating_engine());
    TlsContext context(SSL_CTX_new(method));
    if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context.get(), kCiphers12) != 1 ||
        SSL_CTX_set_ciphersuites(context.get(), kCiphers13) != 1 ||
        SSL_CTX_set1_groups_list(context.get(), kGroups) != 1) {
        return bad_certificate("OpenSSL cannot do what this program needs");
    }
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_PRIORITIZE_CHACHA);
    // A silent connection holds no buffers. A write is of one piece with its retry here, wherever
    // its bytes lie.
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

TlsSession& session_of(const SSL* ssl) {
    return *static_cast<TlsSession*>(SSL_get_app_data(ssl));
}

int choose_certificate(SSL* ssl, int*, void*) {
    const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, session_of(ssl).identities()->find(name));
    return SSL_TLSEXT_ERR_OK;
}

/// The first of ours that is among theirs, with its length in front; empty: none is.
std::string_view choose(std::string_view ours, std::string_view theirs) {
    const auto next = [](std::string_view& rest) {
        const auto size = 1 + static_cast<std::size_t>(static_cast<unsigned char>(rest[0]));
        const std::string_view name = rest.substr(0, size);
        rest.remove_prefix(name.size());
        return name;
    };
    while (!ours.empty()) {
        const std::string_view wanted = next(ours);
        for (std::string_view rest = theirs; !rest.empty();) {
            if (next(rest) == wanted) return wanted;
        }
    }
    return {};
}

int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_bytes,
                    const unsigned char* offered, unsigned bytes, void*) {
    const std::string_view ours = session_of(ssl).protocols();
    if (ours.empty()) return SSL_TLSEXT_ERR_NOACK;
    const std::string_view chosen =
        choose(ours, std::string_view(reinterpret_cast<const char*>(offered), bytes));
    if (chosen.empty()) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = reinterpret_cast<const unsigned char*>(chosen.data()) + 1;
    *out_bytes = static_cast<unsigned char>(chosen.size() - 1);
    return SSL_TLSEXT_ERR_OK;
}

void tell_secret(const SSL* ssl, const char* line) noexcept {
    session_of(ssl).learn(line);
}

/// Of each record that is sealed OpenSSL shows the header.
void tell_record(int writes, int, int what, const void*, std::size_t, SSL* ssl, void*) noexcept {
    if (writes == 1 && what == SSL3_RT_HEADER) session_of(ssl).count_sealed();
}

/// One more session for a further connection. Answers whether it keeps it.
int save_session(SSL* ssl, SSL_SESSION* session) noexcept {
    session_of(ssl).save(TlsSavedSession(session));
    return 1;
}

}  // namespace

/// Names as ALPN writes them: each behind its length.
Result<std::string> protocols_on_wire(const std::vector<std::string>& protocols) {
    std::string wire;
    for (const std::string& name : protocols) {
        if (name.empty() || name.size() > 255) {
            return error(TlsErrc::bad_certificate, "a protocol's name has 1 to 255 bytes");
        }
        wire += static_cast<char>(name.size());
        wire += name;
    }
    return wire;
}

// ---- a server -----------------------------------------------------------------------------------

Result<std::shared_ptr<const TlsIdentities>> TlsIdentities::make(const TlsServerOptions& options,
                                                                 const TlsIdentities* before) {
    if (options.certificates().empty()) {
        return error(TlsErrc::bad_certificate, "a server needs a certificate");
    }
    auto made = std::make_shared<TlsIdentities>();
    TROUPE_TRY(made->protocols_, protocols_on_wire(options.protocols()));
    for (const TlsCertificate& certificate : options.certificates())
        TROUPE_TRY(made->add(options, certificate));
    if (before != nullptr) {
        // Tickets are opened with the keys of the context a connection begins with.
        std::array<unsigned char, 80> keys{};
        const auto bytes = static_cast<long>(keys.size());
        if (SSL_CTX_get_tlsext_ticket_keys(before->first(), keys.data(), bytes) == 1) {
            SSL_CTX_set_tlsext_ticket_keys(made->first(), keys.data(), bytes);
        }
        OPENSSL_cleanse(keys.data(), keys.size());
    }
    return made;
}

Result<void> TlsIdentities::add(const TlsServerOptions& options,
                                const TlsCertificate& certificate) {
    TROUPE_TRY(TlsContext context, modern_context(TLS_server_method()));
    SSL_CTX* const raw = context.get();
    TROUPE_TRY(use_certificate(raw, certificate));
    if (options.clients() != ClientCertificates::none) {
        TROUPE_TRY(trust(raw, options.authorities(), true));
        int mode = SSL_VERIFY_PEER;
        if (options.clients() == ClientCertificates::required) {
            mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        }
        SSL_CTX_set_verify(raw, mode, nullptr);
    }
    // Sessions are the clients' to keep, as tickets, which TlsSession sends.
    SSL_CTX_set_num_tickets(raw, 0);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(raw,
                                   reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                   static_cast<unsigned>(kSessionContext.size()));
    SSL_CTX_set_tlsext_servername_callback(raw, &choose_certificate);
    SSL_CTX_set_alpn_select_cb(raw, &choose_protocol, nullptr);
    // It goes to nobody's log: the records are the session's after the handshake.
    SSL_CTX_set_keylog_callback(raw, &tell_secret);
    SSL_CTX_set_msg_callback(raw, &tell_record);
    contexts_.push_back(std::move(context));
    return {};
}

ssl_ctx_st* TlsIdentities::find(const char* name) const noexcept {
    for (const TlsContext& context : contexts_) {
        X509* const certificate = SSL_CTX_get0_certificate(context.get());
        if (X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) ==
            1) {
            return context.get();
        }
    }
    return first();
}

std::shared_ptr<const TlsIdentities> TlsServerState::identities() const {
    LockGuard lock(mutex_);
    return identities_;
}

Result<void> TlsServerState::reload(std::vector<TlsCertificate> certificates) {
    TlsServerOptions options = options_;
    options.certificates(std::move(certificates));
    const std::shared_ptr<const TlsIdentities> before = identities();
    TROUPE_TRY(std::shared_ptr<const TlsIdentities> made,
               TlsIdentities::make(options, before.get()));
    LockGuard lock(mutex_);
    identities_.swap(made);  // the earlier ones are freed outside
    return {};
}

// ---- a client -----------------------------------------------------------------------------------

Result<std::shared_ptr<TlsClientState>> TlsClientState::make(const TlsClientOptions& options) {
    std::shared_ptr<TlsClientState> state(new TlsClientState(options));
    TROUPE_TRY(state->context_, modern_context(TLS_client_method()));
    SSL_CTX* const raw = state->context_.get();
    if (!options.trusts_anybody()) {
        SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
        if (!options.authorities().empty()) {
            TROUPE_TRY(trust(raw, options.authorities(), false));
        } else if (SSL_CTX_set_default_verify_paths(raw) != 1) {
            return bad_certificate("the authorities that this machine trusts");
        }
    }
    if (!options.certificate().chain.empty()) {
        TROUPE_TRY(use_certificate(raw, options.certificate()));
    }
    TROUPE_TRY(const std::string protocols, protocols_on_wire(options.protocols()));
    if (!protocols.empty() &&
        SSL_CTX_set_alpn_protos(raw, reinterpret_cast<const unsigned char*>(protocols.data()),
                                static_cast<unsigned>(protocols.size())) != 0) {
        return bad_certificate("the protocols to offer");
    }
    if (options.resumes()) {
        SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(raw, &save_session);
    }
    return state;
}

void TlsClientState::remember(const std::string& peer, TlsSavedSession session) {
    std::list<Saved> node;
    node.emplace_back(peer, std::move(session));
    std::list<Saved> forgotten;
    LockGuard lock(mutex_);
    sessions_.splice(sessions_.begin(), node);
    if (sessions_.size() <= kSessionsMax) return;
    forgotten.splice(forgotten.begin(), sessions_, std::prev(sessions_.end()));
}

TlsSavedSession TlsClientState::recall(const std::string& peer) {
    LockGuard lock(mutex_);
    const auto at = std::find_if(sessions_.begin(), sessions_.end(),
                                 [&](const Saved& saved) { return saved.first == peer; });
    if (at == sessions_.end()) return nullptr;
    TlsSavedSession session = std::move(at->second);
    sessions_.erase(at);
    return session;
}

}  // namespace troupe::io_internal
