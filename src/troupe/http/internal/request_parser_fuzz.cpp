// Feeds arbitrary bytes to the parser: whole, and cut in pieces whose sizes the input's first bytes
// give. Both must see the same requests and the same refusal, and neither may crash or hang.

#include <troupe/base/assert.hpp>
#include <troupe/http/internal/request_parser.hpp>
#include <troupe/http/internal/test_cuts.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using troupe::http_internal::RequestLimits;
using troupe::http_internal::RequestParser;

RequestLimits small_limits() {
    RequestLimits limits;
    limits.target_bytes_max = 200;
    limits.head_bytes_max = 1000;
    limits.header_count_max = 12;
    limits.body_bytes_max = 3000;
    return limits;
}

/// All that can be seen from outside, as one string.
class Reader {
public:
    Reader() : parser_(small_limits()) {}

    void feed(std::string_view piece) {
        pending_ += piece;
        for (;;) {
            RequestParser::Step step = parser_.body_follows()
                                           ? parser_.read_body(pending_, request_)
                                           : parser_.read_head(pending_, request_);
            request_.body += step.data;
            TROUPE_ASSERT(step.consumed <= pending_.size(), "no more is used than there was");
            pending_.erase(0, step.consumed);
            if (step.status == RequestParser::Status::need_more) return;
            if (step.status == RequestParser::Status::refused) {
                refused_ = std::to_string(parser_.refusal().status);
                return;
            }
            TROUPE_ASSERT(request_.body.size() <= small_limits().body_bytes_max,
                          "a body is capped");
            if (parser_.body_follows()) continue;
            seen_ += request_.method + " " + request_.path + "?" + request_.query + "\n";
            note(request_.headers());
            note(request_.trailers());
            seen_ += request_.body + (request_.keep_alive ? "\nkeep\n" : "\nclose\n");
        }
    }

    std::string seen() const { return seen_ + refused_; }

private:
    void note(const troupe::http::Headers& lines) {
        for (std::size_t i = 0; i < lines.size(); ++i) {
            seen_ += lines.at(i).name;
            seen_ += "=";
            seen_ += lines.at(i).value;
            seen_ += "\n";
        }
    }

    RequestParser parser_;
    troupe::http::Request request_;
    std::string pending_;
    std::string seen_;
    std::string refused_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    troupe::http_internal::expect_that_cuts_do_not_show(data, size, [] { return Reader(); });
    return 0;
}
