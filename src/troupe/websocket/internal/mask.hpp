#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace troupe::websocket_internal {

using MaskKey = std::array<std::uint8_t, 4>;

/// Masks or unmasks, which is the same: combines each byte with one of the key, in turn, as if
/// `offset` bytes of the frame had gone before.
inline void apply_mask(char* bytes, std::size_t size, const MaskKey& key,
                       std::size_t offset) noexcept {
    static_assert(std::endian::native == std::endian::little);
    std::uint32_t turned = 0;
    std::memcpy(&turned, key.data(), sizeof turned);
    turned = std::rotr(turned, static_cast<int>(8 * (offset % key.size())));
    std::uint64_t wide = static_cast<std::uint64_t>(turned) << 32 | turned;

    const std::size_t in_words = size - size % sizeof wide;
    std::size_t i = 0;
    for (; i != in_words; i += sizeof wide) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes + i, sizeof word);
        word ^= wide;
        std::memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < size; ++i, wide >>= 8)
        bytes[i] = static_cast<char>(static_cast<std::uint8_t>(bytes[i]) ^ (wide & 0xFF));
}

}  // namespace troupe::websocket_internal
