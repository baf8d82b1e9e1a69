#include <troupe/http/internal/byte_ranges.hpp>
#include <troupe/http/internal/text.hpp>

#include <algorithm>
#include <limits>
#include <optional>

namespace troupe::http_internal {

namespace {

/// A number of digits; one that is too large for us is the largest there is.
std::optional<std::uint64_t> number_in(std::string_view digits) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
    if (digits.empty()) return std::nullopt;
    std::uint64_t number = 0;
    for (char c : digits) {
        if (c < '0' || c > '9') return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        number = number > (kMost - digit) / 10 ? kMost : number * 10 + digit;
    }
    return number;
}

/// Nothing when it is malformed; a size of 0 when there is nothing of it in the body.
std::optional<ByteRange> parse_one(std::string_view text, std::uint64_t size) {
    const std::size_t dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const std::string_view last_digits = text.substr(dash + 1);
    const auto last = number_in(last_digits);
    if (dash == 0) {
        if (!last) return std::nullopt;
        const std::uint64_t suffix = std::min(*last, size);
        return ByteRange{size - suffix, suffix};
    }
    const auto first = number_in(text.substr(0, dash));
    if (!first || (!last && !last_digits.empty()) || (last && *last < *first)) return std::nullopt;
    if (*first >= size) return ByteRange{};
    const std::uint64_t end = last ? std::min(*last, size - 1) : size - 1;
    return ByteRange{*first, end - *first + 1};
}

bool overlap(std::vector<ByteRange> ranges) {
    std::sort(ranges.begin(), ranges.end(),
              [](const ByteRange& a, const ByteRange& b) { return a.first < b.first; });
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        if (ranges[i].first < ranges[i - 1].first + ranges[i - 1].size) return true;
    }
    return false;
}

}  // namespace

ByteRanges parse_byte_ranges(std::string_view value, std::uint64_t size, std::size_t ranges_max) {
    constexpr std::string_view kUnit = "bytes=";
    ByteRanges result;
    if (size == 0 || !equals_ignoring_case(value.substr(0, kUnit.size()), kUnit)) return result;
    std::string_view rest = value.substr(kUnit.size());
    std::size_t count = 0;
    while (!rest.empty()) {
        const std::string_view text = cut_before(rest, ',');
        if (text.empty()) continue;  // lists may have gaps
        const std::optional<ByteRange> range = parse_one(text, size);
        if (!range || ++count > ranges_max) return ByteRanges();
        if (range->size > 0) result.ranges.push_back(*range);
    }
    if (count == 0 || overlap(result.ranges)) return ByteRanges();
    result.kind = result.ranges.empty() ? ByteRanges::Kind::unsatisfiable : ByteRanges::Kind::some;
    return result;
}

}  // namespace troupe::http_internal
