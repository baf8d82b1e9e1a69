// A peer that has the keys and says what it likes: records of any kind, with padding, changed on
// the way, in the clear, alerts, changes of keys whole and in pieces; and an end of ours that
// writes, finishes or says nothing in between, behind tickets that somebody else has sealed. How
// the records are cut and how much room there is must not show, what is heard is what was said
// before anything went wrong, and what we have sealed is opened by counting from the first ticket.

#include <troupe/base/assert.hpp>
#include <troupe/io/internal/tls_records.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using troupe::io_internal::tls_records_in;
using troupe::io_internal::TlsRecords;
using troupe::io_internal::TlsSecret;
using troupe::io_internal::TlsStatus;
using troupe::io_internal::TlsStep;
using troupe::io_internal::TlsTraffic;

constexpr std::size_t kCuts = 3;
constexpr unsigned kSuite = 0x1301;
constexpr char kAlert = 21;
constexpr char kHandshake = 22;
constexpr char kData = 23;
constexpr std::string_view kKeyUpdate("\x18\0\0\1", 4);

TlsSecret secret(char digit) {
    TlsSecret made;
    TROUPE_ASSERT(made.parse(std::string(64, digit)), "that is hexadecimal");
    return made;
}

class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
    bool empty() const { return size_ == 0; }
    std::uint8_t byte() {
        if (size_ == 0) return 0;
        --size_;
        return *data_++;
    }
    std::string text(std::size_t bytes) {
        std::string all;
        while (all.size() < bytes && size_ != 0)
            all += static_cast<char>(byte());
        return all;
    }

private:
    const std::uint8_t* data_;
    std::size_t size_;
};

std::string sealed(TlsTraffic& by, std::string_view text, char kind, std::size_t padding = 0) {
    std::string record(TlsTraffic::kHeaderBytes, '\0');
    record.append(text).append(1, kind).append(padding + TlsTraffic::kTagBytes, '\0');
    TROUPE_ASSERT(by.seal(record.data(), text.size() + 1 + padding), "a key can seal");
    return record;
}

enum class Ours : std::uint8_t { nothing, writes, writes_much, finishes };

/// Some bytes of the peer, and what our end does once it has read them.
struct Turn {
    std::string bytes;
    Ours then = Ours::nothing;
};

/// What a peer sends, and which text of it must arrive if nothing is held against the rest.
struct Said {
    std::vector<Turn> turns{1};
    std::string text;
    bool honest = true;  // nothing but data and changes of keys so far
};

void say_data_or_rubbish(Input& in, TlsTraffic& peer, Said& said, std::uint8_t how) {
    std::string& bytes = said.turns.back().bytes;
    if (how % 16 == 0) {
        bytes += in.text(how / 16);
        said.honest = false;
        return;
    }
    const char kinds[] = {kData, kData, kHandshake, kAlert, kHandshake, 20, 0, 24};
    const char kind = kinds[how / 16 % 8];
    // Mostly short; now and then as long as a record may be, and longer.
    const std::size_t copies = how % 16 == 1 ? 260 : 1;
    const std::string part = in.text(in.byte() % 64);
    std::string text;
    for (std::size_t i = 0; i < copies; ++i)
        text += part;
    const std::size_t padding = how % 16 == 2 ? in.byte() * std::size_t{70} : 0;
    std::string record = sealed(peer, text, kind, padding);
    const bool too_long = record.size() > TlsTraffic::kHeaderBytes + TlsTraffic::kBodyMax;
    if (how % 16 == 3) {
        record[in.byte() % record.size()] ^= static_cast<char>(in.byte() | 1);
        said.honest = false;
    }
    bytes += record;
    said.honest = said.honest && kind == kData && !too_long;
    if (said.honest) said.text += text;
}

void change_keys(TlsTraffic& peer, Said& said, std::uint8_t how) {
    std::string& bytes = said.turns.back().bytes;
    const std::string message = std::string(kKeyUpdate) + static_cast<char>(how / 16 % 4);
    const std::size_t cut = how / 64;  // 0: it is in one piece
    if (cut != 0) bytes += sealed(peer, message.substr(0, cut), kHandshake);
    bytes += sealed(peer, message.substr(cut), kHandshake);
    TROUPE_ASSERT(peer.renew(), "a peer can renew");
    said.honest = said.honest && how / 16 % 4 < 2;
}

void say(Input& in, TlsTraffic& peer, Said& said) {
    const std::uint8_t how = in.byte();
    switch (how % 16) {
        case 4:
        case 5:
            change_keys(peer, said, how);
            break;
        case 6:
        case 7: {
            const char what[] = {0, 0, 90, 20};
            const char alert[] = {1, what[how / 16 % 4]};
            said.turns.back().bytes += sealed(peer, std::string_view(alert, 2), kAlert);
            said.honest = false;
            break;
        }
        case 8:
        case 9:
        case 10:
            said.turns.back().then = static_cast<Ours>(how / 16 % 4);
            said.turns.emplace_back();
            break;
        default:
            say_data_or_rubbish(in, peer, said, how);
    }
}

/// Records of whoever had our key before, as OpenSSL had.
std::string tickets(std::size_t count) {
    TlsTraffic before;
    TROUPE_ASSERT(before.start(kSuite, secret('a'), TlsTraffic::Use::seals), "it can start");
    std::string all;
    for (std::size_t i = 0; i < count; ++i)
        all += sealed(before, "a ticket", kHandshake);
    return all;
}

struct Heard {
    std::string text;
    TlsStatus status = TlsStatus::wants_input;
    std::string answer;
    std::string written;
    std::string problem;

    bool operator==(const Heard&) const = default;
};

void act(TlsRecords& records, Ours what, Heard& heard) {
    if (what == Ours::nothing) return;
    if (what == Ours::finishes) return records.finish(heard.answer);
    const std::string text(what == Ours::writes_much ? TlsTraffic::kPlainMax + 1 : 4, 'w');
    const std::size_t before = heard.answer.size();
    if (records.write(text, heard.answer).status == TlsStatus::done) {
        heard.written += text;
    } else {
        TROUPE_ASSERT(heard.answer.size() == before, "who cannot write says nothing");
    }
}

template <class Next>
Heard hear(const std::vector<Turn>& turns, std::size_t ahead, Next next_piece, Next next_room) {
    const std::unique_ptr<TlsRecords> records = TlsRecords::make(kSuite, secret('a'), secret('b'));
    records->start_behind(ahead, tickets(ahead));
    Heard heard;
    for (const Turn& turn : turns) {
        std::string_view bytes = turn.bytes;
        while (!bytes.empty() && heard.status == TlsStatus::wants_input) {
            std::string_view received = bytes.substr(0, next_piece());
            bytes.remove_prefix(received.size());
            do {
                std::string room(next_room(), '?');
                const TlsStep step = records->read(received, room, heard.answer);
                TROUPE_ASSERT(step.bytes <= room.size(), "there is no more room than that");
                TROUPE_ASSERT(step.status == TlsStatus::done || step.bytes == 0, "one or other");
                heard.text.append(room, 0, step.bytes);
                heard.status = step.status;
            } while (heard.status == TlsStatus::done);
            TROUPE_ASSERT(heard.status != TlsStatus::wants_input || received.empty(),
                          "all is taken");
        }
        act(*records, turn.then, heard);
    }
    // What has been asked for comes with what is said next.
    act(*records, Ours::writes, heard);
    act(*records, Ours::finishes, heard);
    heard.problem = records->problem();
    return heard;
}

/// Opens all that has left, as a client does: by counting.
void check(const Heard& heard, std::size_t ahead) {
    TlsTraffic client;
    TROUPE_ASSERT(client.start(kSuite, secret('a'), TlsTraffic::Use::opens), "a client can start");
    std::string written;
    bool ended = false;
    std::size_t number = 0;
    for (std::string_view left = heard.answer; !left.empty(); ++number) {
        const std::size_t bytes = TlsTraffic::kHeaderBytes +
                                  static_cast<unsigned char>(left[3]) * std::size_t{256} +
                                  static_cast<unsigned char>(left[4]);
        TROUPE_ASSERT(bytes <= left.size() && !ended, "whole records, and none behind an alert");
        std::string text(bytes - TlsTraffic::kHeaderBytes - TlsTraffic::kTagBytes, '\0');
        std::string rest;
        TROUPE_ASSERT(client.open(left.substr(0, bytes), text, rest), "each by its own number");
        left.remove_prefix(bytes);
        const char kind = text.back();
        text.pop_back();
        TROUPE_ASSERT((number < ahead) == (text == "a ticket"), "those before us go first");
        if (number >= ahead && kind == kHandshake) {
            TROUPE_ASSERT(text == std::string(kKeyUpdate) + '\0', "which asks for nothing");
            TROUPE_ASSERT(client.renew(), "a client can renew");
        }
        ended = kind == kAlert;
        if (kind == kData) written += text;
    }
    TROUPE_ASSERT(written == heard.written, "all that was written has arrived");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < kCuts + 1) return 0;
    Input in(data + kCuts, size - kCuts);
    const std::size_t ahead = data[0] % 3;
    TlsTraffic peer;
    TROUPE_ASSERT(peer.start(kSuite, secret('b'), TlsTraffic::Use::seals), "a peer can start");
    Said said;
    while (!in.empty())
        say(in, peer, said);
    const Heard whole = hear(
        said.turns, ahead, +[] { return std::size_t{1} << 30; },
        +[] { return std::size_t{40'000}; });
    static std::size_t turn;
    static const std::uint8_t* cuts;
    turn = 0;
    cuts = data;
    const auto cut = +[] { return std::size_t{1} + cuts[turn++ % kCuts]; };
    TROUPE_ASSERT(hear(said.turns, ahead, cut, cut) == whole, "the cuts do not show");
    check(whole, ahead);
    TROUPE_ASSERT(whole.text.starts_with(said.text) || !whole.problem.empty(),
                  "what was said honestly is heard");
    TROUPE_ASSERT(said.text.starts_with(whole.text) || !said.honest, "and nothing else");
    return 0;
}
