#include <troupe/base/assert.hpp>
#include <troupe/io/internal/tls_records.hpp>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace troupe::io_internal {

// ---- secrets and keys ---------------------------------------------------------------------------

TlsSecret::~TlsSecret() {
    OPENSSL_cleanse(value.data(), value.size());
}

bool TlsSecret::parse(std::string_view hex) noexcept {
    const auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    bytes = 0;
    if (hex.size() % 2 != 0 || hex.size() / 2 > value.size()) return false;
    for (std::size_t i = 0; i < hex.size() / 2; ++i) {
        const int high = digit(hex[2 * i]);
        const int low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        value[i] = static_cast<unsigned char>(high * 16 + low);
    }
    bytes = hex.size() / 2;
    return true;
}

struct TlsSuite {
    unsigned number;
    const char* name;
    const EVP_MD* (*hash)();
    std::size_t key_bytes;
    const EVP_CIPHER* cipher;  // found once, for the process; null: it cannot be had
};

namespace {

constexpr std::size_t kKeyBytesMax = 32;

/// What records need of a cipher: that it makes one byte of one byte.
const EVP_CIPHER* cipher_called(const char* name) {
    EVP_CIPHER* const found = EVP_CIPHER_fetch(nullptr, name, nullptr);
    if (found == nullptr || EVP_CIPHER_get_block_size(found) == 1) return found;
    EVP_CIPHER_free(found);
    return nullptr;
}

const TlsSuite* suite_of(unsigned number) {
    static const std::array<TlsSuite, 3> suites{{
        {0x1301, "AES-128-GCM", &EVP_sha256, 16, cipher_called("AES-128-GCM")},
        {0x1302, "AES-256-GCM", &EVP_sha384, 32, cipher_called("AES-256-GCM")},
        {0x1303, "ChaCha20-Poly1305", &EVP_sha256, 32, cipher_called("ChaCha20-Poly1305")},
    }};
    const auto* const suite = std::find_if(
        suites.begin(), suites.end(), [&](const TlsSuite& one) { return one.number == number; });
    return suite == suites.end() || suite->cipher == nullptr ? nullptr : &*suite;
}

/// HKDF-Expand-Label with an empty context (RFC 8446, 7.1), for no more than one hash.
bool expand(const TlsSuite& suite, const TlsSecret& secret, std::string_view label,
            std::span<unsigned char> out) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> made{};
    std::string info{'\0', static_cast<char>(out.size()), static_cast<char>(6 + label.size())};
    info.append("tls13 ").append(label).append("\0\1", 2);  // no context; the first block
    unsigned bytes = 0;
    const bool good = HMAC(suite.hash(), secret.value.data(), static_cast<int>(secret.bytes),
                           reinterpret_cast<const unsigned char*>(info.data()), info.size(),
                           made.data(), &bytes) != nullptr &&
                      out.size() <= bytes;
    if (good) std::memcpy(out.data(), made.data(), out.size());
    OPENSSL_cleanse(made.data(), made.size());
    return good;
}

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes_of(char* text) {
    return reinterpret_cast<unsigned char*>(text);
}

/// Of a header that is there.
std::size_t body_bytes(std::string_view record) {
    return static_cast<std::size_t>(bytes_of(record)[3]) << 8 | bytes_of(record)[4];
}

}  // namespace

std::uint64_t tls_records_in(std::string_view bytes) noexcept {
    std::uint64_t count = 0;
    for (; bytes.size() >= TlsTraffic::kHeaderBytes; ++count)
        bytes.remove_prefix(std::min(TlsTraffic::kHeaderBytes + body_bytes(bytes), bytes.size()));
    return count;
}

// ---- one direction ------------------------------------------------------------------------------

void TlsTraffic::forget() noexcept {
    EVP_CIPHER_CTX_free(std::exchange(context_, nullptr));  // which wipes its key
    OPENSSL_cleanse(iv_.data(), iv_.size());
    OPENSSL_cleanse(secret_.value.data(), secret_.value.size());
}

bool TlsTraffic::start(unsigned suite, const TlsSecret& secret, Use use) {
    suite_ = suite_of(suite);
    secret_ = secret;
    use_ = use;
    if (suite_ == nullptr) return false;
    if (static_cast<std::size_t>(EVP_MD_get_size(suite_->hash())) != secret.bytes) return false;
    context_ = EVP_CIPHER_CTX_new();
    return context_ != nullptr && take_key();
}

bool TlsTraffic::renew() {
    TlsSecret next;
    next.bytes = secret_.bytes;
    if (!expand(*suite_, secret_, "traffic upd", std::span(next.value).first(next.bytes))) {
        return false;
    }
    secret_ = next;
    return take_key();
}

bool TlsTraffic::take_key() {
    std::array<unsigned char, kKeyBytesMax> key{};
    const bool good = expand(*suite_, secret_, "key", std::span(key).first(suite_->key_bytes)) &&
                      expand(*suite_, secret_, "iv", iv_) &&
                      EVP_CipherInit_ex2(context_, suite_->cipher, key.data(), iv_.data(),
                                         use_ == Use::seals ? 1 : 0, nullptr) == 1;
    OPENSSL_cleanse(key.data(), key.size());
    if (good) sequence_ = 0;
    return good;
}

/// Never twice the same under one key: it is the record's number, turned by a part of the secret.
std::array<unsigned char, 12> TlsTraffic::nonce() const noexcept {
    std::array<unsigned char, 12> made = iv_;
    for (unsigned i = 0; i < 8; ++i)
        made[11 - i] ^= static_cast<unsigned char>(sequence_ >> (8 * i));
    return made;
}

bool TlsTraffic::seal(char* record, std::size_t bytes) {
    TROUPE_ASSERT(context_ != nullptr, "there is a key");
    TROUPE_ASSERT(sequence_ <= kRecordsOfOneKey, "a worn key seals one more record, its last");
    const std::size_t body = bytes + kTagBytes;
    // Data of an application by TLS 1.2, whatever it is: that is what every record looks like.
    const std::array<char, kHeaderBytes> header{23, 3, 3, static_cast<char>(body >> 8),
                                                static_cast<char>(body)};
    std::memcpy(record, header.data(), header.size());
    unsigned char* const text = bytes_of(record + kHeaderBytes);
    OSSL_PARAM tag[] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, text + bytes, kTagBytes),
        OSSL_PARAM_END};
    const std::array<unsigned char, 12> number = nonce();
    ++sequence_;
    int made = 0;
    return EVP_EncryptInit_ex2(context_, nullptr, nullptr, number.data(), nullptr) == 1 &&
           EVP_EncryptUpdate(context_, nullptr, &made, bytes_of(record), kHeaderBytes) == 1 &&
           EVP_EncryptUpdate(context_, text, &made, text, static_cast<int>(bytes)) == 1 &&
           EVP_EncryptFinal_ex(context_, text + bytes, &made) == 1 &&
           EVP_CIPHER_CTX_get_params(context_, tag) == 1;
}

bool TlsTraffic::open(std::string_view record, std::span<char> plain, std::string& rest) {
    const std::size_t bytes = record.size() - kHeaderBytes - kTagBytes;
    const std::size_t fits = std::min(bytes, plain.size());
    const unsigned char* const body = bytes_of(record) + kHeaderBytes;
    std::array<unsigned char, kTagBytes> sealed{};
    std::memcpy(sealed.data(), body + bytes, kTagBytes);
    const OSSL_PARAM tag[] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, sealed.data(), kTagBytes),
        OSSL_PARAM_END};
    rest.resize(bytes - fits);
    const std::array<unsigned char, 12> number = nonce();
    ++sequence_;
    std::array<unsigned char, kTagBytes> nothing{};  // no cipher here holds anything back
    int made = 0;
    const bool good =
        EVP_DecryptInit_ex2(context_, nullptr, nullptr, number.data(), tag) == 1 &&
        EVP_DecryptUpdate(context_, nullptr, &made, bytes_of(record), kHeaderBytes) == 1 &&
        EVP_DecryptUpdate(context_, bytes_of(plain.data()), &made, body, static_cast<int>(fits)) ==
            1 &&
        (rest.empty() || EVP_DecryptUpdate(context_, bytes_of(rest.data()), &made, body + fits,
                                           static_cast<int>(rest.size())) == 1) &&
        EVP_DecryptFinal_ex(context_, nothing.data(), &made) == 1;
    if (good) return true;
    OPENSSL_cleanse(plain.data(), fits);
    OPENSSL_cleanse(rest.data(), rest.size());
    rest.clear();
    return false;
}

// ---- both directions ----------------------------------------------------------------------------

enum class TlsRecords::Alert : std::uint8_t {
    close_notify = 0,
    unexpected_message = 10,
    bad_record_mac = 20,
    record_overflow = 22,
    illegal_parameter = 47,
    decode_error = 50,
    internal_error = 80,
    user_canceled = 90,
};

namespace {

// OpenSSL's limit, too. Such records cost a peer nothing to speak of and us a decryption.
constexpr unsigned kSilentMax = 32;

constexpr std::string_view kKeyUpdate("\x18\0\0\1", 4);  // and whether the other end should, too

}  // namespace

std::unique_ptr<TlsRecords> TlsRecords::make(unsigned suite, const TlsSecret& own,
                                             const TlsSecret& peers) {
    auto made = std::make_unique<TlsRecords>();
    if (!made->writing_.start(suite, own, TlsTraffic::Use::seals) ||
        !made->reading_.start(suite, peers, TlsTraffic::Use::opens)) {
        return nullptr;
    }
    return made;
}

void TlsRecords::start_behind(std::uint64_t sealed, std::string unsent) {
    TROUPE_ASSERT(!std::exchange(started_, true), "numbers are passed on once");
    TROUPE_ASSERT(tls_records_in(unsent) <= sealed, "what was sealed has a number");
    writing_.skip(sealed);
    unsent_ = std::move(unsent);
}

TlsStep TlsRecords::read(std::string_view& received, std::span<char> plain, std::string& to_send) {
    TlsStep step;
    while (step.bytes < plain.size()) {
        const std::span<char> room = plain.subspan(step.bytes);
        if (rest_at_ != rest_.size()) {
            step.bytes += hand_out(room);
            continue;
        }
        step.status = read_record(received, room, step.bytes, to_send);
        if (step.status != TlsStatus::done) break;
    }
    // What came before an end or a failure counts; it comes up again.
    if (step.bytes != 0) step.status = TlsStatus::done;
    return step;
}

std::size_t TlsRecords::hand_out(std::span<char> plain) noexcept {
    const std::size_t bytes = std::min(plain.size(), rest_.size() - rest_at_);
    std::memcpy(plain.data(), rest_.data() + rest_at_, bytes);
    rest_at_ += bytes;
    if (rest_at_ == rest_.size()) {
        rest_ = std::string();  // a silent connection holds no buffers
        rest_at_ = 0;
    }
    return bytes;
}

/// Goes on with the beginning of a record until so much of it is there.
void TlsRecords::gather(std::string_view& received, std::size_t bytes) {
    if (partial_.size() >= bytes) return;
    const std::string_view part = received.substr(0, bytes - partial_.size());
    partial_ += part;
    received.remove_prefix(part.size());
}

/// Opens a record, which need not have anything to say. `bytes` grows by what it said.
TlsStatus TlsRecords::read_record(std::string_view& received, std::span<char> plain,
                                  std::size_t& bytes, std::string& to_send) {
    if (!problem_.empty()) return TlsStatus::failed;
    if (ended_) return TlsStatus::ended;
    const bool goes_on = !partial_.empty();
    if (goes_on) gather(received, TlsTraffic::kHeaderBytes);
    std::string_view record = goes_on ? std::string_view(partial_) : received;
    std::size_t whole = TlsTraffic::kHeaderBytes;
    if (record.size() >= whole) {
        // An alert in the clear, too: whoever is on the way could have said that.
        if (record[0] != static_cast<char>(Kind::data)) {
            return fail(Alert::unexpected_message, "unexpected record", to_send);
        }
        whole += body_bytes(record);
        if (whole > TlsTraffic::kHeaderBytes + TlsTraffic::kBodyMax) {
            return fail(Alert::record_overflow, "record too long", to_send);
        }
        if (whole <= TlsTraffic::kHeaderBytes + TlsTraffic::kTagBytes) {
            return fail(Alert::bad_record_mac, "record too short", to_send);
        }
        if (goes_on) {
            gather(received, whole);
            record = partial_;
        }
    }
    if (record.size() < whole) {
        if (!goes_on) partial_.assign(std::exchange(received, {}));
        return TlsStatus::wants_input;
    }
    const TlsStatus status = open_record(record.substr(0, whole), plain, bytes, to_send);
    if (goes_on) {
        partial_ = std::string();
    } else {
        received.remove_prefix(whole);
    }
    return status;
}

TlsStatus TlsRecords::open_record(std::string_view record, std::span<char> plain,
                                  std::size_t& bytes, std::string& to_send) {
    if (!reading_.open(record, plain, rest_)) {
        return fail(Alert::bad_record_mac, "decryption failed or bad record mac", to_send);
    }
    // Its kind is the last byte that is not zero: behind it is padding.
    std::size_t text =
        std::min(plain.size(), record.size() - TlsTraffic::kHeaderBytes - TlsTraffic::kTagBytes);
    rest_.resize(rest_.find_last_not_of('\0') + 1);
    char kind = '\0';
    if (!rest_.empty()) {
        kind = rest_.back();
        rest_.pop_back();
    } else {
        while (text != 0 && kind == '\0')
            kind = plain[--text];
    }
    if (rest_.empty()) rest_ = std::string();  // there may have been much padding
    const bool is_data = kind == static_cast<char>(Kind::data);
    if (!key_update_.empty() && kind != static_cast<char>(Kind::handshake)) {
        return fail(Alert::unexpected_message, "a message was interrupted", to_send);
    }
    silent_ = is_data && text != 0 ? 0 : silent_ + 1;
    if (silent_ > kSilentMax) {
        return fail(Alert::unexpected_message, "too many records with nothing to say", to_send);
    }
    if (is_data) {
        bytes += text;
        return TlsStatus::done;
    }
    const std::string said = std::string(plain.data(), text) + std::exchange(rest_, {});
    if (kind == static_cast<char>(Kind::alert)) return take_alert(said, to_send);
    if (kind == static_cast<char>(Kind::handshake)) return take_handshake(said, to_send);
    return fail(Alert::unexpected_message, "unexpected kind of record", to_send);
}

TlsStatus TlsRecords::take_alert(std::string_view text, std::string& to_send) {
    if (text.size() != 2) return fail(Alert::decode_error, "bad alert", to_send);
    switch (const auto alert = static_cast<Alert>(text[1])) {
        case Alert::close_notify:
            ended_ = true;
            return TlsStatus::ended;
        case Alert::user_canceled:  // says why a close_notify follows
            return TlsStatus::done;
        default:  // each is fatal, whatever it says of itself, and wants no answer
            return give_up(std::string("alert of the peer: ") +
                           SSL_alert_desc_string_long(static_cast<int>(alert)));
    }
}

/// After the handshake a client may say one thing by this protocol: that its keys change.
TlsStatus TlsRecords::take_handshake(std::string_view text, std::string& to_send) {
    const std::size_t whole = kKeyUpdate.size() + 1;
    // A new key is for the next record, so nothing stands behind the message.
    if (text.empty() || text.size() > whole - key_update_.size()) {
        return fail(Alert::unexpected_message, "unexpected message", to_send);
    }
    key_update_ += text;
    if (!kKeyUpdate.starts_with(std::string_view(key_update_).substr(0, kKeyUpdate.size()))) {
        return fail(Alert::unexpected_message, "unexpected message", to_send);
    }
    if (key_update_.size() < whole) return TlsStatus::done;
    const char asks = key_update_.back();
    key_update_.clear();
    if (asks != 0 && asks != 1) return fail(Alert::illegal_parameter, "bad key update", to_send);
    if (!reading_.renew()) return fail(Alert::internal_error, "no further key", to_send);
    // Our answer waits for what we say next, and is one for all that were asked for till then.
    if (asks == 1) owes_update_ = true;
    return TlsStatus::done;
}

TlsStep TlsRecords::write(std::string_view plain, std::string& to_send) {
    TlsStep step;
    if (problem_.empty() && finished_) give_up("the end has been said already");
    if (!problem_.empty()) return {TlsStatus::failed, 0};
    while (step.bytes < plain.size()) {
        const std::string_view part = plain.substr(step.bytes, TlsTraffic::kPlainMax);
        if (((owes_update_ || writing_.worn()) && !renew_own(to_send)) ||
            !seal(Kind::data, part, to_send)) {
            return {give_up("the cipher failed"), 0};
        }
        step.bytes += part.size();
    }
    return step;
}

bool TlsRecords::renew_own(std::string& to_send) {
    owes_update_ = false;
    return seal(Kind::handshake, std::string(kKeyUpdate) + '\0', to_send) && writing_.renew();
}

bool TlsRecords::seal(Kind kind, std::string_view text, std::string& to_send) {
    TROUPE_ASSERT(started_, "nobody else seals with our key any more");
    if (!unsent_.empty()) to_send += std::exchange(unsent_, std::string());
    const std::size_t at = to_send.size();
    const std::size_t bytes = text.size() + 1;
    to_send.append(TlsTraffic::kHeaderBytes, '\0').append(text);
    to_send.append(1, static_cast<char>(kind)).append(TlsTraffic::kTagBytes, '\0');
    if (writing_.seal(to_send.data() + at, bytes)) return true;
    OPENSSL_cleanse(to_send.data() + at, to_send.size() - at);  // it may be in the clear
    to_send.resize(at);
    ERR_clear_error();
    return false;
}

void TlsRecords::finish(std::string& to_send) {
    if (std::exchange(finished_, true) || !problem_.empty()) return;
    const char warning[] = {1, static_cast<char>(Alert::close_notify)};
    if (!seal(Kind::alert, std::string_view(warning, sizeof warning), to_send)) {
        give_up("the cipher failed");
    }
}

TlsStatus TlsRecords::fail(Alert alert, const char* why, std::string& to_send) {
    ERR_clear_error();
    rest_.clear();  // of the record that is refused
    const char fatal[] = {2, static_cast<char>(alert)};
    // Nothing comes after an end that was said; and nobody is worse off when this fails, too.
    if (!finished_) {
        static_cast<void>(seal(Kind::alert, std::string_view(fatal, sizeof fatal), to_send));
    }
    return give_up(why);
}

/// The keys of a connection that has failed are not kept (RFC 8446, 6.2).
TlsStatus TlsRecords::give_up(std::string why) {
    problem_ = std::move(why);
    reading_.forget();
    writing_.forget();
    return TlsStatus::failed;
}

}  // namespace troupe::io_internal
