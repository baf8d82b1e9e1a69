// Feeds arbitrary bytes to the decoder of chunked bodies: whole, and cut in pieces whose sizes the
// input's first bytes give. Both must see the same body, trailers and refusal.

#include <troupe/base/assert.hpp>
#include <troupe/http/internal/chunk_decoder.hpp>
#include <troupe/http/internal/test_cuts.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using troupe::http_internal::ChunkDecoder;

constexpr std::uint64_t kBodyBytesMax = 3000;

/// All that can be seen from outside.
class Reader {
public:
    Reader() {
        decoder_.begin();
        decoder_.limit(kBodyBytesMax);
    }

    void feed(std::string_view piece) {
        pending_ += piece;
        while (end_.empty()) {
            ChunkDecoder::Step step = decoder_.advance(pending_, trailers_);
            TROUPE_ASSERT(step.consumed <= pending_.size(), "no more is used than there was");
            body_ += step.data;
            TROUPE_ASSERT(body_.size() <= kBodyBytesMax, "a body is capped");
            pending_.erase(0, step.consumed);
            if (step.status == ChunkDecoder::Status::need_more) return;
            if (step.status == ChunkDecoder::Status::done) {
                end_ = "done, left: ";
            } else if (step.status == ChunkDecoder::Status::refused) {
                end_ = "refused " + std::to_string(decoder_.refusal().status);
                pending_.clear();
            } else {
                TROUPE_ASSERT(!step.data.empty(), "a piece is never empty");
            }
        }
    }

    std::string seen() const {
        std::string out = body_ + "\n";
        for (std::size_t i = 0; i < trailers_.size(); ++i) {
            out += trailers_.at(i).name;
            out += "=";
            out += trailers_.at(i).value;
            out += "\n";
        }
        // What stands behind the end is not the decoder's, and stays whole however it was cut.
        return end_.starts_with("refused") ? end_ : out + end_ + pending_;
    }

private:
    ChunkDecoder decoder_;
    troupe::http::Headers trailers_;
    std::string pending_;
    std::string body_;
    std::string end_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    troupe::http_internal::expect_that_cuts_do_not_show(data, size, [] { return Reader(); });
    return 0;
}
