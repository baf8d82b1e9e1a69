// Feeds arbitrary bytes to the client's parser: whole, and cut in pieces whose sizes the input's
// first bytes give. Both must see the same response and the same refusal.

#include <troupe/base/assert.hpp>
#include <troupe/http/internal/response_parser.hpp>
#include <troupe/http/internal/test_cuts.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using troupe::http_internal::expect_that_cuts_do_not_show;
using troupe::http_internal::ResponseHead;
using troupe::http_internal::ResponseLimits;
using troupe::http_internal::ResponseParser;

ResponseLimits small_limits() {
    ResponseLimits limits;
    limits.head_bytes_max = 1000;
    limits.header_count_max = 12;
    return limits;
}

/// All that can be seen from outside, as one string.
class Reader {
public:
    explicit Reader(bool head_only) : parser_(small_limits()) { parser_.begin(head_only); }

    void feed(std::string_view piece) {
        pending_ += piece;
        for (;;) {
            const ResponseParser::Step step = parser_.advance(pending_, head_);
            TROUPE_ASSERT(step.consumed <= pending_.size(), "no more is used than there was");
            TROUPE_ASSERT(step.data.size() <= step.consumed, "data is part of what is used");
            body_ += step.data;
            pending_.erase(0, step.consumed);
            const bool goes_on = step.status == ResponseParser::Status::head ||
                                 step.status == ResponseParser::Status::data;
            if (goes_on) continue;
            over_ = step.status != ResponseParser::Status::need_more;
            return;
        }
    }

    std::string seen() {
        if (!over_) parser_.end();
        std::string out = std::to_string(head_.status) + "\n";
        for (const auto* lines : {&head_.headers, &head_.trailers}) {
            for (std::size_t i = 0; i < lines->size(); ++i) {
                out += lines->at(i).name;
                out += "=";
                out += lines->at(i).value;
                out += "\n";
            }
        }
        // What is left behind a response is what was not consumed of it; how much of a refused one
        // is left depends on the cuts, and nobody looks at it again.
        if (parser_.keep_alive()) out += "keep " + pending_;
        return out + body_ + std::string(parser_.problem());
    }

private:
    ResponseParser parser_;
    ResponseHead head_;
    std::string pending_;
    std::string body_;
    bool over_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bool head_only = data[0] % 4 == 3;
    expect_that_cuts_do_not_show(data + 1, size - 1, [&] { return Reader(head_only); });
    return 0;
}
