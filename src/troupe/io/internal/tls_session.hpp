#pragma once

/// One end of TLS without any I/O: bytes of the peer in, bytes for the peer out, plain text on the
/// other side.
///
/// OpenSSL reads and writes through a pair of hooks (a BIO) that take from the view and append to
/// the string of the call under way, so a connection that is silent holds no buffers at all.
///
/// A server's connection by TLS 1.3 is OpenSSL's for the handshake only, which ends with the
/// tickets. Then its part of the connection is freed, and TlsRecords has what follows: there is no
/// time at which both could seal. Clients stay with OpenSSL, which knows what to do with the
/// tickets they get.

#include <troupe/base/error.hpp>
#include <troupe/io/internal/tls_context.hpp>
#include <troupe/io/internal/tls_records.hpp>
#include <troupe/io/tls.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace troupe {
class Engine;
}

namespace troupe::io_internal {

class TlsSession {
public:
    // Of a failure problem() says why.
    using Status = TlsStatus;
    using Step = TlsStep;

    /// The server's end. Of `offered` see TlsServer.
    explicit TlsSession(std::shared_ptr<const TlsIdentities> identities,
                        std::shared_ptr<const std::string> offered = nullptr);
    /// The client's. `peer` is who sessions are kept for.
    TlsSession(std::shared_ptr<TlsClientState> client, const std::string& server_name,
               std::string peer);
    ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    /// Chance comes from this engine from now on, so that a run can be replayed.
    void draw_from(Engine& engine) noexcept { chance_ = &engine; }

    // Each takes of `received` what it needs and appends what must go to the peer to `to_send`.

    Step handshake(std::string_view& received, std::string& to_send);
    /// As much as is there and fits.
    Step read(std::string_view& received, std::span<char> plain, std::string& to_send);
    /// All of `plain`. Only once the handshake is done.
    Step write(std::string_view plain, std::string& to_send);
    /// Tells the peer that nothing more comes.
    void finish(std::string& to_send);

    /// Whether read() would find nothing without more bytes of the peer. Much cheaper to ask.
    bool reads_nothing_more() const noexcept;

    bool agreed() const noexcept { return agreed_; }
    bool finished() const noexcept { return finished_; }
    /// Whether nothing of OpenSSL's is left here.
    bool has_parted_with_openssl() const noexcept { return ssl_ == nullptr; }
    const Error& problem() const noexcept { return problem_; }
    TlsInfo info() const;

    // For OpenSSL's hooks.
    std::size_t take(char* out, std::size_t bytes) noexcept;
    void give(const char* bytes, std::size_t size) { to_send_->append(bytes, size); }
    const TlsIdentities* identities() const noexcept { return identities_.get(); }
    void save(TlsSavedSession session);
    void learn(std::string_view of_key_log);
    void count_sealed() noexcept {
        if (secrets_ != nullptr && secrets_->own.bytes != 0) ++secrets_->sealed;
    }
    /// What this server's end agrees to, as ALPN writes it; empty: it does not care.
    std::string_view protocols() const noexcept {
        const std::string_view named = identities_->protocols();
        return named.empty() && offered_ != nullptr ? std::string_view(*offered_) : named;
    }

private:
    struct FreeSsl {
        void operator()(ssl_st* ssl) const noexcept;
    };

    class Call;
    void attach();
    void add_tickets();
    std::unique_ptr<TlsRecords> make_records();
    bool take_over();
    bool say_tickets(std::string& to_send);
    Step judge_records(Step step);
    Status judge(int outcome);
    void fail();

    /// What a server's handshake agrees on for the time after it.
    struct Secrets {
        TlsSecret own;
        TlsSecret peers;
        std::uint64_t sealed = 0;  // records, since our secret is known
    };

    // One of them is there, and the other null.
    std::unique_ptr<ssl_st, FreeSsl> ssl_;
    std::unique_ptr<TlsRecords> records_;
    std::unique_ptr<const TlsInfo> info_;              // beside records_
    std::unique_ptr<Secrets> secrets_;                 // in a server's handshake
    std::shared_ptr<const TlsIdentities> identities_;  // shared as TlsServerState says
    std::shared_ptr<const std::string> offered_;       // the same
    std::shared_ptr<TlsClientState> client_;           // shared as TlsClient says
    std::string peer_;
    Engine* chance_ = nullptr;
    std::string_view* received_ = nullptr;  // of the call under way
    std::string* to_send_ = nullptr;        // the same
    Error problem_{Errc::closed};
    bool agreed_ = false;
    bool finished_ = false;
    bool failed_ = false;
    bool tickets_sent_ = false;
};

}  // namespace troupe::io_internal
