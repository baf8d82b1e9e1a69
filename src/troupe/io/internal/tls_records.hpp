#pragma once

/// The records of TLS 1.3 once both ends have agreed: plain text in, sealed records out, and back.
///
/// OpenSSL makes the handshake and could go on, but it walks through its state machines, takes
/// buffers and asks for parameters by name for each record: 16,500 instructions to read 64 bytes
/// and to answer them, of which its ciphers are 5,700. So after the handshake of a server its
/// traffic secrets come here (they are what a key log holds), and a record is a header, a nonce and
/// four calls of the cipher. That is small because little is left then: alerts, and new keys when
/// a peer asks for them or ours have sealed enough.
///
/// Nothing is cryptography of our own: ciphers and hashes are OpenSSL's. docs/design/0060 says what
/// was weighed.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_cipher_ctx_st;

namespace troupe::io_internal {

enum class TlsStatus : std::uint8_t {
    done,         // what was asked for; a read may have filled only a part of the buffer
    wants_input,  // nothing goes on without more bytes of the peer
    ended,        // the peer has said that nothing more comes
    failed,       // nothing works any more, but what is to be sent should go
};

struct TlsStep {
    TlsStatus status = TlsStatus::done;
    std::size_t bytes = 0;  // of plain text
};

/// What one direction is sealed under: a secret of the handshake's, or one that followed from it.
struct TlsSecret {
    std::array<unsigned char, 48> value{};  // the longest is a hash of SHA-384
    std::size_t bytes = 0;                  // 0: not known

    TlsSecret() = default;
    TlsSecret(const TlsSecret&) = default;
    TlsSecret& operator=(const TlsSecret&) = default;
    ~TlsSecret();

    std::span<const unsigned char> view() const noexcept { return {value.data(), bytes}; }
    /// What a key log says; false: it is too long, or not in hexadecimal.
    bool parse(std::string_view hex) noexcept;
};

/// How many records these are, of which the last is whole.
std::uint64_t tls_records_in(std::string_view bytes) noexcept;

struct TlsSuite;

/// The cipher of one direction, its key, and how many records it has been used for.
class TlsTraffic {
public:
    static constexpr std::size_t kHeaderBytes = 5;
    static constexpr std::size_t kTagBytes = 16;  // of each cipher there is
    static constexpr std::size_t kPlainMax = std::size_t{16} * 1024;
    // Behind the text stands what kind of text it is.
    static constexpr std::size_t kBodyMax = kPlainMax + 1 + kTagBytes;
    // AES-GCM is good for 2^24.5 full records (RFC 8446, 5.5).
    static constexpr std::uint64_t kRecordsOfOneKey = std::uint64_t{1} << 24;

    enum class Use : std::uint8_t { seals, opens };

    TlsTraffic() = default;
    ~TlsTraffic() { forget(); }
    TlsTraffic(const TlsTraffic&) = delete;
    TlsTraffic& operator=(const TlsTraffic&) = delete;

    /// Called once. `suite` is the cipher's number in the protocol. False, here and below: that
    /// cannot be done, and nothing may go on.
    [[nodiscard]] bool start(unsigned suite, const TlsSecret& secret, Use use);
    /// Goes on with the next secret and a key of it.
    [[nodiscard]] bool renew();

    /// Seals a record in place: a header, which is written here, `bytes` of text with their kind
    /// behind it, and room for the tag.
    [[nodiscard]] bool seal(char* record, std::size_t bytes);

    /// Opens a whole record. What does not fit into `plain` is in `rest`. False: it is not what the
    /// peer has sealed, and nothing of it is left.
    [[nodiscard]] bool open(std::string_view record, std::span<char> plain, std::string& rest);

    /// Nothing is sealed or opened any more.
    void forget() noexcept;

    bool worn() const noexcept { return sequence_ >= kRecordsOfOneKey; }
    /// So many records were sealed, or opened, elsewhere.
    void skip(std::uint64_t records) noexcept { sequence_ += records; }

private:
    [[nodiscard]] bool take_key();
    std::array<unsigned char, 12> nonce() const noexcept;

    evp_cipher_ctx_st* context_ = nullptr;
    const TlsSuite* suite_ = nullptr;
    TlsSecret secret_;
    std::array<unsigned char, 12> iv_{};
    std::uint64_t sequence_ = 0;
    Use use_ = Use::seals;
};

/// Both directions of a connection.
///
/// A number that two records share gives their texts and the key of their tags away, and OpenSSL
/// has sealed with the same key before. So nothing is sealed until start_behind() has been told how
/// far OpenSSL has come, which then must not seal any more: whoever calls it has freed it.
class TlsRecords {
public:
    /// Null: OpenSSL has to go on by itself, because it is none of the ciphers known here, or
    /// cannot be used this way.
    static std::unique_ptr<TlsRecords> make(unsigned suite, const TlsSecret& own,
                                            const TlsSecret& peers);

    /// Called once, before all else. So many records have been sealed with our key. Those in
    /// `unsent` have not left and go in front of the first of ours, whatever that says.
    void start_behind(std::uint64_t sealed, std::string unsent);

    /// Takes of `received` what it needs, which is all of it as long as there is room in `plain`.
    TlsStep read(std::string_view& received, std::span<char> plain, std::string& to_send);
    TlsStep write(std::string_view plain, std::string& to_send);
    /// Tells the peer that nothing more comes.
    void finish(std::string& to_send);

    /// Whether read() would find nothing without more bytes of the peer.
    bool reads_nothing_more() const noexcept {
        return problem_.empty() && !ended_ && rest_at_ == rest_.size();
    }
    /// What went wrong; empty: nothing.
    const std::string& problem() const noexcept { return problem_; }

private:
    enum class Kind : std::uint8_t { alert = 21, handshake = 22, data = 23 };
    enum class Alert : std::uint8_t;

    TlsStatus read_record(std::string_view& received, std::span<char> plain, std::size_t& bytes,
                          std::string& to_send);
    TlsStatus open_record(std::string_view record, std::span<char> plain, std::size_t& bytes,
                          std::string& to_send);
    TlsStatus take_alert(std::string_view text, std::string& to_send);
    TlsStatus take_handshake(std::string_view text, std::string& to_send);
    void gather(std::string_view& received, std::size_t bytes);
    std::size_t hand_out(std::span<char> plain) noexcept;
    [[nodiscard]] bool renew_own(std::string& to_send);
    [[nodiscard]] bool seal(Kind kind, std::string_view text, std::string& to_send);
    TlsStatus fail(Alert alert, const char* why, std::string& to_send);
    TlsStatus give_up(std::string why);

    TlsTraffic reading_;
    TlsTraffic writing_;
    std::string unsent_;        // records that OpenSSL has sealed
    std::string partial_;       // the beginning of a record
    std::string rest_;          // plain text that did not fit
    std::size_t rest_at_ = 0;   // so much of it has been handed out
    std::string key_update_;    // the beginning of that message
    std::string problem_;       // nothing works any more
    unsigned silent_ = 0;       // records in a row that had nothing to say
    bool started_ = false;      // nobody else seals with our key any more
    bool owes_update_ = false;  // of our key, before we say anything more
    bool ended_ = false;        // the peer has
    bool finished_ = false;     // we have
};

}  // namespace troupe::io_internal
