// Any bytes as a form whose boundary is "b": whole, and cut in pieces whose sizes the input's first
// bytes give. Both must see the same parts and the same end.

#include <troupe/base/assert.hpp>
#include <troupe/http/internal/multipart_parser.hpp>
#include <troupe/http/internal/test_cuts.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using troupe::http_internal::MultipartLimits;
using troupe::http_internal::MultipartParser;
using troupe::http_internal::PartHead;
using troupe::http_internal::safe_file_name;
using Status = MultipartParser::Status;

constexpr std::size_t kHeadBytesMax = 200;

/// All that can be seen from outside.
class Reader {
public:
    void feed(std::string_view piece) {
        held_ += piece;
        while (!ended_) {
            const MultipartParser::Step step = parser_.step(held_, head_);
            TROUPE_ASSERT(step.consumed <= held_.size(), "no more is consumed than there is");
            TROUPE_ASSERT((step.status == Status::data) == !step.data.empty(), "data is something");
            if (step.status == Status::part) see_part();
            if (step.status == Status::data) seen_ += step.data;
            if (step.status == Status::part_end) seen_ += "</>";
            held_.erase(0, step.consumed);
            if (step.status == Status::need_more) {
                TROUPE_ASSERT(held_.size() <= kHeadBytesMax, "little is held");
                return;
            }
            ended_ = step.status >= Status::end;
            if (ended_) seen_ += step.status == Status::end ? "end" : parser_.problem();
        }
    }
    const std::string& seen() const { return seen_; }

private:
    void see_part() {
        seen_ += "<" + head_.name + "|" + head_.file_name.value_or("none") + "|";
        seen_ += std::to_string(head_.headers.size()) + ">";
        const std::string name = safe_file_name(head_.file_name.value_or(""));
        constexpr std::string_view kNever("/\\\0\r\n", 5);
        TROUPE_ASSERT(!name.empty() && name[0] != '.', "a safe name is one, and not hidden");
        TROUPE_ASSERT(name.find_first_of(kNever) == std::string::npos, "and leads nowhere");
    }

    MultipartParser parser_{"b", MultipartLimits{.parts_max = 8, .head_bytes_max = kHeadBytesMax}};
    PartHead head_;
    std::string held_;
    std::string seen_;
    bool ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    troupe::http_internal::expect_that_cuts_do_not_show(data, size, [] { return Reader(); });
    return 0;
}
