#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// The identity of an actor as people and logs see it: `<node.slot.generation>`. A slot is used by
/// one actor after the other; the generation tells them apart.
struct Pid {
    std::uint16_t node = 0;
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;

    friend bool operator==(const Pid&, const Pid&) = default;
    friend auto operator<=>(const Pid&, const Pid&) = default;
};

/// `<0.17.3>`
std::string to_string(const Pid& pid);

/// The first pid written in a text, such as that of an already_registered.
std::optional<Pid> pid_in(std::string_view text) noexcept;

}  // namespace troupe

template <>
struct std::hash<troupe::Pid> {
    std::size_t operator()(const troupe::Pid& pid) const noexcept {
        std::uint64_t bits = std::uint64_t{pid.generation} << 32 | pid.slot;
        bits ^= std::uint64_t{pid.node} << 48;
        // The finaliser of splitmix64: neighbouring slots land far apart.
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9u;
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EBu;
        return static_cast<std::size_t>(bits ^ bits >> 31);
    }
};
