// Feeds arbitrary bytes to the decoder of frames: whole, and cut in pieces whose sizes the input's
// first bytes give. Both must see the same messages and the same end, within the limits.

#include <troupe/base/assert.hpp>
#include <troupe/websocket/internal/frame_decoder.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using troupe::websocket_internal::DeflateTerms;
using troupe::websocket_internal::FrameDecoder;
using troupe::websocket_internal::Opcode;
using troupe::websocket_internal::Role;

constexpr std::size_t kBytesMax = 3000;

/// All that can be seen from outside.
class Reader {
public:
    explicit Reader(std::uint8_t settings)
        : decoder_((settings & 1) != 0 ? Role::server : Role::client, kBytesMax) {
        DeflateTerms terms;
        terms.on = (settings & 2) != 0;
        terms.client_forgets = terms.server_forgets = (settings & 4) != 0;
        decoder_.use_deflate(terms);
    }

    void feed(std::string_view piece) {
        pending_ += piece;
        while (!over_) {
            const FrameDecoder::Step step = decoder_.advance(pending_.data(), pending_.size());
            TROUPE_ASSERT(step.consumed <= pending_.size(), "no more is used than there was");
            pending_.erase(0, step.consumed);
            if (step.status == FrameDecoder::Status::need_more) {
                TROUPE_ASSERT(pending_.size() < 14, "only a head is waited for");
                return;
            }
            note(step.status);
        }
    }

    const std::string& seen() const { return seen_; }

private:
    void note(FrameDecoder::Status status) {
        seen_ += std::to_string(static_cast<int>(status)) + " ";
        if (status == FrameDecoder::Status::failed || status == FrameDecoder::Status::close) {
            seen_ += std::to_string(decoder_.close_code());
            over_ = true;
        }
        if (status != FrameDecoder::Status::failed) {
            const std::string payload = decoder_.take_payload();
            TROUPE_ASSERT(payload.size() <= kBytesMax, "a message is capped");
            seen_ += payload + "\n";
        }
        decoder_.rest();
    }

    FrameDecoder decoder_;
    std::string pending_;
    std::string seen_;
    bool over_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kCuts = 4;
    if (size < kCuts + 1) return 0;
    std::string_view bytes(reinterpret_cast<const char*>(data) + kCuts + 1, size - kCuts - 1);

    Reader whole(data[0]);
    whole.feed(bytes);

    Reader pieces(data[0]);
    for (std::size_t i = 0; !bytes.empty(); ++i) {
        const std::size_t length =
            std::min<std::size_t>(data[1 + i % kCuts] % 64 + 1, bytes.size());
        pieces.feed(bytes.substr(0, length));
        bytes.remove_prefix(length);
    }
    TROUPE_ASSERT(whole.seen() == pieces.seen(), "the network's cuts do not show");
    return 0;
}
