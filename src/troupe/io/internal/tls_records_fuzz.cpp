// Records of a peer that has the keys and says what it likes: of any kind, with padding, changed on
// the way, in the clear, or with new keys. How they are cut and how much room there is must not
// show, and what is heard is what was said before anything went wrong.

#include <troupe/base/assert.hpp>
#include <troupe/io/internal/tls_records.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace {

using troupe::io_internal::TlsRecords;
using troupe::io_internal::TlsSecret;
using troupe::io_internal::TlsStatus;
using troupe::io_internal::TlsStep;
using troupe::io_internal::TlsTraffic;

constexpr std::size_t kCuts = 3;
constexpr unsigned kSuite = 0x1301;
constexpr char kData = 23;

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

/// What a peer sends, and which text of it must arrive if nothing is held against the rest.
struct Said {
    std::string bytes;
    std::string text;
    bool honest = true;  // nothing but data so far
};

void say(Input& in, TlsTraffic& peer, Said& said) {
    const std::uint8_t how = in.byte();
    if (how % 16 == 0) {
        said.bytes += in.text(how / 16);
        said.honest = false;
        return;
    }
    const char kinds[] = {kData, kData, 22, 21, 22, 20, 0, 24};
    const char kind = kinds[how / 16 % 8];
    // Mostly short; now and then as long as a record may be, and longer.
    const std::size_t copies = how % 16 == 1 ? 260 : 1;
    const std::string part = in.text(in.byte() % 64);
    std::string text;
    for (std::size_t i = 0; i < copies; ++i)
        text += part;
    const std::size_t padding = how % 16 == 2 ? in.byte() * std::size_t{70} : 0;
    std::string record(TlsTraffic::kHeaderBytes, '\0');
    record.append(text).append(1, kind).append(padding + TlsTraffic::kTagBytes, '\0');
    TROUPE_ASSERT(peer.seal(record.data(), text.size() + 1 + padding), "a peer can seal");
    const bool too_long = record.size() > TlsTraffic::kHeaderBytes + TlsTraffic::kBodyMax;
    if (how % 16 == 3) {
        record[in.byte() % record.size()] ^= static_cast<char>(in.byte() | 1);
        said.honest = false;
    }
    if (how % 16 == 4) TROUPE_ASSERT(peer.renew(), "a peer can renew");
    said.bytes += record;
    said.honest = said.honest && kind == kData && !too_long;
    if (said.honest) said.text += text;
    if (how % 16 == 4) said.honest = false;
}

struct Heard {
    std::string text;
    TlsStatus status = TlsStatus::wants_input;
    std::string answer;
    std::string problem;

    bool operator==(const Heard&) const = default;
};

template <class Next>
Heard hear(std::string_view bytes, Next next_piece, Next next_room) {
    const std::unique_ptr<TlsRecords> records = TlsRecords::make(kSuite, secret('a'), secret('b'));
    Heard heard;
    while (!bytes.empty() && heard.status == TlsStatus::wants_input) {
        std::string_view received = bytes.substr(0, next_piece());
        bytes.remove_prefix(received.size());
        do {
            std::string room(next_room(), '?');
            const TlsStep step = records->read(received, room, heard.answer);
            TROUPE_ASSERT(step.bytes <= room.size(), "there is no more room than that");
            TROUPE_ASSERT(step.status == TlsStatus::done || step.bytes == 0, "one or the other");
            heard.text.append(room, 0, step.bytes);
            heard.status = step.status;
        } while (heard.status == TlsStatus::done);
        TROUPE_ASSERT(heard.status != TlsStatus::wants_input || received.empty(), "all is taken");
    }
    // What has been asked for comes with what is said next.
    records->write("well", heard.answer);
    records->finish(heard.answer);
    heard.problem = records->problem();
    return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < kCuts + 1) return 0;
    Input in(data + kCuts, size - kCuts);
    TlsTraffic peer;
    TROUPE_ASSERT(peer.start(kSuite, secret('b'), TlsTraffic::Use::seals), "a peer can start");
    Said said;
    while (!in.empty())
        say(in, peer, said);
    const Heard whole =
        hear(said.bytes, +[] { return std::size_t{1} << 30; }, +[] { return std::size_t{40'000}; });
    static std::size_t turn;
    static const std::uint8_t* cuts;
    turn = 0;
    cuts = data;
    const auto cut = +[] { return std::size_t{1} + cuts[turn++ % kCuts]; };
    TROUPE_ASSERT(hear(said.bytes, cut, cut) == whole, "the cuts do not show");
    TROUPE_ASSERT(whole.text.starts_with(said.text) || !whole.problem.empty(),
                  "what was said honestly is heard");
    TROUPE_ASSERT(said.text.starts_with(whole.text) || !said.honest, "and nothing else");
    return 0;
}
