#pragma once

// For tests: requests and frames made by hand, and a strict reader of what a server sends.

#include <troupe/websocket/internal/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::websocket_internal {

inline constexpr std::string_view kTestKey = "dGhlIHNhbXBsZSBub25jZQ==";

/// A proper request for an upgrade, with more header lines if there are any.
inline std::string upgrade_text(std::string_view path, std::string_view lines = "") {
    std::string text = "GET ";
    text.append(path).append(" HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n");
    text.append("Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
    return text.append(kTestKey).append("\r\n").append(lines).append("\r\n");
}

/// A frame as its parts say, right or wrong: a masked one, as clients send them.
struct RawFrame {
    unsigned first = 0x81;  // FIN and text
    std::string payload;
    bool masked = true;
    MaskKey key{0x12, 0xA4, 0x00, 0xFE};
    int length_bytes = -1;                        // 0, 2, 8; -1: the shortest form
    std::uint64_t announced = ~std::uint64_t{0};  // that: the payload's own length

    std::string bytes() const {
        const std::uint64_t size = announced == ~std::uint64_t{0} ? payload.size() : announced;
        int extra = length_bytes;
        if (extra < 0) extra = size <= 125 ? 0 : size <= 0xFFFF ? 2 : 8;
        std::string out;
        out.push_back(static_cast<char>(first));
        const unsigned marker = extra == 0 ? static_cast<unsigned>(size) : extra == 2 ? 126 : 127;
        out.push_back(static_cast<char>((masked ? 0x80U : 0U) | marker));
        for (int i = extra - 1; i >= 0; --i)
            out.push_back(static_cast<char>(size >> (8 * i)));
        if (!masked) return out + payload;
        for (const std::uint8_t byte : key)
            out.push_back(static_cast<char>(byte));
        for (std::size_t i = 0; i < payload.size(); ++i)
            out.push_back(static_cast<char>(static_cast<std::uint8_t>(payload[i]) ^ key[i % 4]));
        return out;
    }
};

inline std::string raw_frame(unsigned first, std::string payload) {
    RawFrame frame;
    frame.first = first;
    frame.payload = std::move(payload);
    return frame.bytes();
}
/// As a server sends it.
inline std::string server_frame(unsigned first, std::string payload) {
    RawFrame frame;
    frame.first = first;
    frame.payload = std::move(payload);
    frame.masked = false;
    return frame.bytes();
}
inline std::string text_frame(std::string text) {
    return raw_frame(0x81, std::move(text));
}
inline std::string binary_frame(std::string bytes) {
    return raw_frame(0x82, std::move(bytes));
}
inline std::string ping_frame(std::string payload = std::string()) {
    return raw_frame(0x89, std::move(payload));
}
inline std::string close_frame(unsigned code, std::string_view reason = std::string_view()) {
    std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
    payload += reason;
    return raw_frame(0x88, std::move(payload));
}

}  // namespace troupe::websocket_internal
