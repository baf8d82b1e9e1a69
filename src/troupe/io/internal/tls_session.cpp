#include <troupe/base/assert.hpp>
#include <troupe/io/internal/tls_random.hpp>
#include <troupe/io/internal/tls_session.hpp>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace troupe::io_internal {

// ---- OpenSSL's hooks ----------------------------------------------------------------------------

std::size_t TlsSession::take(char* out, std::size_t bytes) noexcept {
    if (received_ == nullptr || received_->empty()) return 0;
    const std::size_t part = std::min(bytes, received_->size());
    std::memcpy(out, received_->data(), part);
    received_->remove_prefix(part);
    return part;
}

namespace {

// None of the hooks throws: what OpenSSL was about would be left half done.

int bio_read(BIO* bio, char* out, int bytes) noexcept {
    BIO_clear_retry_flags(bio);
    auto& session = *static_cast<TlsSession*>(BIO_get_data(bio));
    const std::size_t taken = session.take(out, static_cast<std::size_t>(bytes));
    if (taken != 0) return static_cast<int>(taken);
    BIO_set_retry_read(bio);
    return -1;
}

int bio_write(BIO* bio, const char* bytes, int size) noexcept {
    BIO_clear_retry_flags(bio);
    static_cast<TlsSession*>(BIO_get_data(bio))->give(bytes, static_cast<std::size_t>(size));
    return size;
}

long bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/// Made once and kept: OpenSSL counts the kinds there are.
const BIO_METHOD* bio_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* const made =
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "troupe stream");
        BIO_meth_set_read(made, &bio_read);
        BIO_meth_set_write(made, &bio_write);
        BIO_meth_set_ctrl(made, &bio_control);
        return made;
    }();
    return method;
}

bool is_address(const std::string& name) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
           inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

}  // namespace

/// What holds for one call into OpenSSL.
class TlsSession::Call {
public:
    Call(TlsSession& session, std::string_view* received, std::string& to_send) noexcept
        : session_(session), chance_(session.chance_) {
        TROUPE_ASSERT(session.records_ == nullptr, "one of the two seals, OpenSSL or records_");
        session.received_ = received;
        session.to_send_ = &to_send;
        ERR_clear_error();
    }
    ~Call() {
        session_.received_ = nullptr;
        session_.to_send_ = nullptr;
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

private:
    TlsSession& session_;
    ChanceOf chance_;
    OpenSslAsks asks_;
};

// ---- a session ----------------------------------------------------------------------------------

void TlsSession::FreeSsl::operator()(ssl_st* ssl) const noexcept {
    SSL_free(ssl);
}

TlsSession::TlsSession(std::shared_ptr<const TlsIdentities> identities,
                       std::shared_ptr<const std::string> offered)
    : ssl_(SSL_new(identities->first())),
      identities_(std::move(identities)),
      offered_(std::move(offered)) {
    attach();
    SSL_set_accept_state(ssl_.get());
}

TlsSession::TlsSession(std::shared_ptr<TlsClientState> client, const std::string& server_name,
                       std::string peer)
    : ssl_(SSL_new(client->context())), client_(std::move(client)), peer_(std::move(peer)) {
    attach();
    SSL* const ssl = ssl_.get();
    SSL_set_connect_state(ssl);
    if (is_address(server_name)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name.c_str());
    } else {
        SSL_set_tlsext_host_name(ssl, server_name.c_str());
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        SSL_set1_host(ssl, server_name.c_str());
    }
    if (const TlsSavedSession saved = client_->recall(peer_)) SSL_set_session(ssl, saved.get());
}

TlsSession::~TlsSession() = default;

void TlsSession::attach() {
    BIO* const bio = BIO_new(bio_method());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_app_data(ssl_.get(), this);
}

TlsSession::Step TlsSession::handshake(std::string_view& received, std::string& to_send) {
    if (failed_) return {Status::failed};
    if (agreed_) return {};
    {
        const Call call(*this, &received, to_send);
        const int outcome = SSL_do_handshake(ssl_.get());
        if (outcome != 1) return {judge(outcome)};
    }
    agreed_ = true;
    if (identities_ != nullptr && !take_over()) return {Status::failed};
    return {};
}

/// Secrets are named in a key log: by whom they are used, for what, and in which generation.
void TlsSession::learn(std::string_view of_key_log) {
    const bool own = of_key_log.starts_with("SERVER_TRAFFIC_SECRET_0 ");
    if (!own && !of_key_log.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) return;
    if (secrets_ == nullptr) secrets_ = std::make_unique<Secrets>();
    TlsSecret& secret = own ? secrets_->own : secrets_->peers;
    if (!secret.parse(of_key_log.substr(of_key_log.rfind(' ') + 1))) secret = TlsSecret();
}

/// Null: OpenSSL has to go on.
std::unique_ptr<TlsRecords> TlsSession::make_records() {
    SSL* const ssl = ssl_.get();
    // OpenSSL reads no byte that it does not need, so nothing of a record is with it already.
    if (secrets_ == nullptr || SSL_version(ssl) != TLS1_3_VERSION || SSL_has_pending(ssl) != 0) {
        return nullptr;
    }
    // A small device wants small records (RFC 6066, 4). There are few of them.
    if (SSL_SESSION_get_max_fragment_length(SSL_get0_session(ssl)) !=
        TLSEXT_max_fragment_length_DISABLED) {
        return nullptr;
    }
    return TlsRecords::make(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)), secrets_->own,
                            secrets_->peers);
}

/// From here on the records are ours, if they can be. False: nothing works any more.
bool TlsSession::take_over() {
    std::unique_ptr<TlsRecords> records = make_records();
    ERR_clear_error();
    if (records == nullptr) {
        secrets_.reset();
        SSL_set_msg_callback(ssl_.get(), nullptr);
        return true;
    }
    std::string tickets;
    if (!say_tickets(tickets)) return false;
    // Counted twice, as it is sealed and as it comes out: of a record that we have not seen here
    // the number would be used again.
    const std::uint64_t sealed = std::exchange(secrets_, nullptr)->sealed;
    if (tls_records_in(tickets) != sealed) {
        failed_ = true;
        problem_ = Error(Errc::closed, "TLS: OpenSSL has sealed more than it says");
        return false;
    }
    info_ = std::make_unique<const TlsInfo>(info());
    // OpenSSL takes a session out of its store, under a lock, when nobody has said its end.
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ssl_.reset();
    records->start_behind(sealed, std::move(tickets));
    records_ = std::move(records);
    return true;
}

TlsSession::Step TlsSession::judge_records(Step step) {
    if (step.status == Status::failed) {
        failed_ = true;
        problem_ = Error(Errc::closed, "TLS: " + records_->problem());
    }
    return step;
}

/// The last that OpenSSL has to say are tickets. False: it has failed.
bool TlsSession::say_tickets(std::string& to_send) {
    const Call call(*this, nullptr, to_send);
    add_tickets();
    if (SSL_do_handshake(ssl_.get()) == 1) return true;
    fail();
    return false;
}

TlsSession::Step TlsSession::read(std::string_view& received, std::span<char> plain,
                                  std::string& to_send) {
    Step step = handshake(received, to_send);
    if (step.status != Status::done) return step;
    if (records_ != nullptr) return judge_records(records_->read(received, plain, to_send));
    const Call call(*this, &received, to_send);
    while (step.bytes < plain.size()) {
        const std::span<char> room = plain.subspan(step.bytes);
        std::size_t got = 0;
        const int outcome = SSL_read_ex(ssl_.get(), room.data(), room.size(), &got);
        step.bytes += got;
        if (outcome == 1) {
            if (received.empty() && reads_nothing_more()) break;
            continue;
        }
        const Status status = judge(outcome);
        // What came before an end or a failure counts; it comes up again.
        if (step.bytes == 0) step.status = status;
        break;
    }
    return step;
}

bool TlsSession::reads_nothing_more() const noexcept {
    if (records_ != nullptr) return records_->reads_nothing_more();
    return agreed_ && !failed_ && SSL_has_pending(ssl_.get()) == 0 &&
           (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) == 0;
}

TlsSession::Step TlsSession::write(std::string_view plain, std::string& to_send) {
    if (failed_) return {Status::failed};
    if (records_ != nullptr) return judge_records(records_->write(plain, to_send));
    const Call call(*this, nullptr, to_send);
    add_tickets();
    std::size_t written = 0;
    const int outcome = SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written);
    if (outcome != 1) return {judge(outcome)};
    return {Status::done, written};
}

/// Tickets leave with the first bytes a server has to say, and not by themselves: a client that
/// only writes does not read them, and closing over them would reset the connection and lose what
/// it wrote. OpenSSL would send as many.
void TlsSession::add_tickets() {
    if (identities_ == nullptr || std::exchange(tickets_sent_, true)) return;
    const bool resumed = SSL_session_reused(ssl_.get()) == 1;
    for (int i = resumed ? 1 : 0; i < 2; ++i)
        SSL_new_session_ticket(ssl_.get());  // does nothing before 1.3, which has sent one already
    ERR_clear_error();
}

void TlsSession::finish(std::string& to_send) {
    if (failed_ || !agreed_ || std::exchange(finished_, true)) return;
    if (records_ != nullptr) return records_->finish(to_send);
    const Call call(*this, nullptr, to_send);
    SSL_shutdown(ssl_.get());  // what the peer answers is read with the rest
    ERR_clear_error();
}

TlsSession::Status TlsSession::judge(int outcome) {
    switch (SSL_get_error(ssl_.get(), outcome)) {
        case SSL_ERROR_WANT_READ:
            return Status::wants_input;
        case SSL_ERROR_ZERO_RETURN:
            return Status::ended;
        default:
            fail();
            return Status::failed;
    }
}

void TlsSession::fail() {
    failed_ = true;
    const unsigned long code = ERR_peek_error();
    const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    const bool before = agreed_;
    std::string text = tls_problem("OpenSSL does not say why");
    if (before) {
        problem_ = Error(Errc::closed, "TLS: " + text);
        return;
    }
    TlsErrc what = TlsErrc::handshake_failed;
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        what = TlsErrc::untrusted;
        text = X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get()));
    } else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        what = TlsErrc::untrusted;
    } else if (reason == SSL_R_HTTP_REQUEST || reason == SSL_R_WRONG_VERSION_NUMBER) {
        text += ": perhaps the peer does not speak TLS";
    }
    problem_ = Error(what, std::move(text));
}

void TlsSession::save(TlsSavedSession session) {
    if (client_ != nullptr) client_->remember(peer_, std::move(session));
}

TlsInfo TlsSession::info() const {
    if (info_ != nullptr) return *info_;
    TlsInfo info;
    if (!agreed_) return info;
    SSL* const ssl = ssl_.get();
    info.version = SSL_get_version(ssl);
    info.cipher = SSL_get_cipher_name(ssl);
    const unsigned char* protocol = nullptr;
    unsigned bytes = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &bytes);
    if (protocol != nullptr) info.protocol.assign(reinterpret_cast<const char*>(protocol), bytes);
    const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name != nullptr) info.server_name = name;
    if (X509* const peer = SSL_get0_peer_certificate(ssl)) {
        BIO* const out = BIO_new(BIO_s_mem());
        X509_NAME_print_ex(out, X509_get_subject_name(peer), 0,
                           XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
        char* text = nullptr;
        const long size = BIO_get_mem_data(out, &text);
        if (size > 0) info.peer.assign(text, static_cast<std::size_t>(size));
        BIO_free(out);
    }
    info.resumed = SSL_session_reused(ssl) == 1;
    return info;
}

}  // namespace troupe::io_internal
