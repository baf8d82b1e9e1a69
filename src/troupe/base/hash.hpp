#pragma once

#include <cstdint>
#include <string_view>

namespace troupe {

/// The FNV-1a hash of a text, the same on every machine and at compile time.
///
/// For names and table keys of our own making. It does not resist somebody who chooses the keys.
constexpr std::uint64_t fnv1a_64(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;  // offset basis and prime are those of the algorithm
    for (char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3;
    }
    return hash;
}

/// The 32-bit FNV-1a hash of a text, the same on every machine and at compile time.
constexpr std::uint32_t fnv1a_32(std::string_view text) {
    std::uint32_t hash = 0x811c9dc5;
    for (char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x01000193;
    }
    return hash;
}

/// Spreads a number over all 64 bits: neighbouring inputs give unrelated outputs. A bijection.
constexpr std::uint64_t mix_64(std::uint64_t value) {
    // The finaliser of splitmix64 (Steele, Lea, Flood 2014).
    value ^= value >> 30;
    value *= 0xbf58476d1ce4e5b9;
    value ^= value >> 27;
    value *= 0x94d049bb133111eb;
    value ^= value >> 31;
    return value;
}

/// One hash out of two, where the order of the two matters.
constexpr std::uint64_t hash_combine(std::uint64_t first, std::uint64_t second) {
    return mix_64(first + 0x9e3779b97f4a7c15 + mix_64(second));
}

}  // namespace troupe
