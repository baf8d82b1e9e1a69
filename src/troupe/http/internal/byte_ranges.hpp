#pragma once

// What a Range line asks for: RFC 9110 §14.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe::http_internal {

struct ByteRange {
    std::uint64_t first = 0;
    std::uint64_t size = 0;
    friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

struct ByteRanges {
    enum class Kind : std::uint8_t {
        whole,          // the line asks for nothing we understand or wish to give: as without it
        some,           // at least one
        unsatisfiable,  // all of them begin behind the end: 416
    };
    Kind kind = Kind::whole;
    std::vector<ByteRange> ranges;
};

/// Reads the value of a Range line for a body of that size. More than `ranges_max` of them, or such
/// that overlap, are a way to make a server send a body many times over: then the whole is given
/// once. Of an empty body, too, which has no ranges.
ByteRanges parse_byte_ranges(std::string_view value, std::uint64_t size, std::size_t ranges_max);

}  // namespace troupe::http_internal
