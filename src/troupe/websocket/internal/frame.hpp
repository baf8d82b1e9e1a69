#pragma once

// What a frame looks like on the wire (RFC 6455, section 5.2), and how one is written.

#include <troupe/websocket/internal/mask.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::websocket_internal {

enum class Opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10,
};

constexpr bool is_control(Opcode opcode) noexcept {
    return (static_cast<std::uint8_t>(opcode) & 8U) != 0;
}

inline constexpr std::size_t kControlBytesMax = 125;
inline constexpr std::size_t kReasonBytesMax = kControlBytesMax - 2;  // behind the code
inline constexpr std::size_t kFrameHeadBytesMax = 14;

/// Which end of the connection we are: clients mask what they send, servers never do.
enum class Role : std::uint8_t { server, client };

/// What a frame begins with.
constexpr char first_byte(Opcode opcode, bool final, bool compressed) noexcept {
    return static_cast<char>(static_cast<unsigned>(opcode) | (final ? 0x80U : 0U) |
                             (compressed ? 0x40U : 0U));
}

/// Whether this code may stand in a close frame. 1004, 1005, 1006 and 1015 mean something that is
/// never sent, and those below 3000 that nobody has defined mean nothing.
constexpr bool is_sendable_close_code(unsigned code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

struct FrameHead {
    Opcode opcode = Opcode::binary;
    bool final = true;
    bool compressed = false;  // RSV1: on the first frame of a message
    std::uint64_t payload_bytes = 0;
};

/// Writes a head, with the shortest form of the length. Gives its size.
std::size_t write_head(char (&out)[kFrameHeadBytesMax], const FrameHead& head,
                       const MaskKey* mask) noexcept;

/// The payload of a close frame. The reason is cut where a character ends if it is too long.
std::string close_payload(unsigned code, std::string_view reason);

}  // namespace troupe::websocket_internal
