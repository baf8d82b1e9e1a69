#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace troupe::websocket_internal {

using MaskKey = std::array<std::uint8_t, 4>;

/// Masks or unmasks, which is the same: combines each byte with one of the key, in turn, as if
/// `offset` bytes of the frame had gone before.
inline void apply_mask(char* bytes, std::size_t size, const MaskKey& key,
                       std::size_t offset) noexcept {
    MaskKey turned;
    for (std::size_t i = 0; i < turned.size(); ++i)
        turned[i] = key[(offset + i) % key.size()];
    std::uint64_t wide = 0;
    std::memcpy(&wide, turned.data(), turned.size());
    std::memcpy(reinterpret_cast<char*>(&wide) + turned.size(), turned.data(), turned.size());

    std::size_t i = 0;
    for (; i + sizeof wide <= size; i += sizeof wide) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes + i, sizeof word);
        word ^= wide;
        std::memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < size; ++i)
        bytes[i] = static_cast<char>(static_cast<std::uint8_t>(bytes[i]) ^ turned[i % 4]);
}

}  // namespace troupe::websocket_internal
