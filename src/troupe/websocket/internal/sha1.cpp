#include <troupe/websocket/internal/sha1.hpp>

#include <bit>
#include <cstddef>

namespace troupe::websocket_internal {

namespace {

constexpr std::size_t kBlockBytes = 64;
constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

using State = std::array<std::uint32_t, 5>;

/// Mixes one block into the state (FIPS 180-4, section 6.1.2).
void mix(State& state, std::string_view block) noexcept {
    std::array<std::uint32_t, 80> words;
    for (std::size_t i = 0; i < 16; ++i) {
        words[i] = 0;
        for (std::size_t k = 0; k < 4; ++k)
            words[i] = words[i] << 8 | static_cast<std::uint8_t>(block[4 * i + k]);
    }
    for (std::size_t i = 16; i < words.size(); ++i) {
        words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    }
    auto [a, b, c, d, e] = state;
    for (std::size_t i = 0; i < words.size(); ++i) {
        std::uint32_t chosen = 0;
        std::uint32_t constant = 0;
        if (i < 20) {
            chosen = (b & c) | (~b & d);
            constant = 0x5A827999;
        } else if (i < 40) {
            chosen = b ^ c ^ d;
            constant = 0x6ED9EBA1;
        } else if (i < 60) {
            chosen = (b & c) | (b & d) | (c & d);
            constant = 0x8F1BBCDC;
        } else {
            chosen = b ^ c ^ d;
            constant = 0xCA62C1D6;
        }
        const std::uint32_t next = std::rotl(a, 5) + chosen + e + constant + words[i];
        e = d;
        d = c;
        c = std::rotl(b, 30);
        b = a;
        a = next;
    }
    const State sum{a, b, c, d, e};
    for (std::size_t i = 0; i < state.size(); ++i)
        state[i] += sum[i];
}

}  // namespace

std::array<std::uint8_t, 20> sha1(std::string_view data) {
    State state{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    const std::uint64_t bits = std::uint64_t{data.size()} * 8;
    while (data.size() >= kBlockBytes) {
        mix(state, data.substr(0, kBlockBytes));
        data.remove_prefix(kBlockBytes);
    }
    // The rest, a one bit, zeros, and the length at the end of a block.
    std::string last(data);
    last.push_back('\x80');
    while (last.size() % kBlockBytes != kBlockBytes - 8)
        last.push_back('\0');
    for (int shift = 56; shift >= 0; shift -= 8)
        last.push_back(static_cast<char>(bits >> shift));
    for (std::size_t at = 0; at < last.size(); at += kBlockBytes)
        mix(state, std::string_view(last).substr(at, kBlockBytes));

    std::array<std::uint8_t, 20> digest;
    for (std::size_t i = 0; i < digest.size(); ++i)
        digest[i] = static_cast<std::uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
    return digest;
}

std::string base64(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::string_view three = bytes.substr(at, 3);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8 | (i < three.size() ? static_cast<std::uint8_t>(three[i]) : 0U);
        for (std::size_t i = 0; i < 4; ++i)
            text.push_back(i <= three.size() ? kDigits[bits >> (18 - 6 * i) & 63] : '=');
    }
    return text;
}

int base64_size(std::string_view text) noexcept {
    if (text.size() % 4 != 0) return -1;
    std::size_t padding = 0;
    while (padding < 2 && text.ends_with('=')) {
        text.remove_suffix(1);
        ++padding;
    }
    if (text.find_first_not_of(kDigits) != std::string_view::npos) return -1;
    return static_cast<int>((text.size() + padding) / 4 * 3 - padding);
}

}  // namespace troupe::websocket_internal
