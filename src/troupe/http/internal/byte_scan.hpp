#pragma once

// Looking for bytes eight at a time: values and targets are most of what a server reads.
//
// Both searches mark bytes in their highest bit. A mark can be wrong only above a right one, so the
// lowest mark is always right.

#include <bit>
#include <cstdint>
#include <cstring>

namespace troupe::http_internal {

constexpr std::uint64_t in_every_byte(unsigned char byte) {
    return 0x0101010101010101U * byte;
}

constexpr std::uint64_t kHighBits = in_every_byte(0x80);

constexpr std::uint64_t mark_zero_bytes(std::uint64_t word) {
    return (word - in_every_byte(1)) & ~word & kHighBits;
}

/// The first byte for which a search of words or `is_one` says so; `end` when there is none.
template <class MarkWord, class IsOne>
const char* find_marked(const char* at, const char* end, MarkWord mark, IsOne is_one) {
    if constexpr (std::endian::native == std::endian::little) {
        for (; end - at >= 8; at += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, at, sizeof word);
            const std::uint64_t marks = mark(word);
            if (marks != 0) return at + std::countr_zero(marks) / 8;
        }
    }
    while (at != end && !is_one(static_cast<unsigned char>(*at)))
        ++at;
    return at;
}

/// The first byte below `Below`, equal to DEL, or one of these.
template <unsigned char Below, unsigned char... Bytes>
const char* find_low_or_any(const char* at, const char* end) {
    return find_marked(
        at, end,
        [](std::uint64_t word) {
            const std::uint64_t low = (word - in_every_byte(Below)) & ~word & kHighBits;
            return (mark_zero_bytes(word ^ in_every_byte(Bytes)) | ... |
                    (low | mark_zero_bytes(word ^ in_every_byte(0x7f))));
        },
        [](unsigned char byte) {
            return byte < Below || byte == 0x7f || ((byte == Bytes) || ...);
        });
}

/// The first byte below `Below` or equal to DEL.
template <unsigned char Below>
const char* find_low(const char* at, const char* end) {
    return find_low_or_any<Below>(at, end);
}

}  // namespace troupe::http_internal
