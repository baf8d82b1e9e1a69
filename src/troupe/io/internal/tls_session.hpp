#pragma once

/// One end of TLS without any I/O: bytes of the peer in, bytes for the peer out, plain text on the
/// other side.
///
/// OpenSSL reads and writes through a pair of hooks (a BIO) that take from the view and append to
/// the string of the call under way, so a connection that is silent holds no buffers at all.

#include <troupe/base/error.hpp>
#include <troupe/io/internal/tls_context.hpp>
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
    enum class Status : std::uint8_t {
        done,         // what was asked for; a read may have filled only a part of the buffer
        wants_input,  // nothing goes on without more bytes of the peer
        ended,        // the peer has said that nothing more comes
        failed,  // problem() says why; nothing works any more, but what is to be sent should go
    };
    struct Step {
        Status status = Status::done;
        std::size_t bytes = 0;  // of plain text
    };

    /// The server's end.
    explicit TlsSession(std::shared_ptr<const TlsIdentities> identities);
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

    bool agreed() const noexcept { return agreed_; }
    bool finished() const noexcept { return finished_; }
    const Error& problem() const noexcept { return problem_; }
    TlsInfo info() const;

    // For OpenSSL's hooks.
    std::size_t take(char* out, std::size_t bytes) noexcept;
    void give(const char* bytes, std::size_t size) { to_send_->append(bytes, size); }
    const TlsIdentities* identities() const noexcept { return identities_.get(); }
    void save(TlsSavedSession session);

private:
    struct FreeSsl {
        void operator()(ssl_st* ssl) const noexcept;
    };

    class Call;
    void attach();
    void add_tickets();
    Status judge(int outcome);
    void fail();

    std::unique_ptr<ssl_st, FreeSsl> ssl_;
    std::shared_ptr<const TlsIdentities> identities_;  // shared as TlsServerState says
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
