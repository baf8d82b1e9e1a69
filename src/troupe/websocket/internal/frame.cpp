#include <troupe/websocket/internal/frame.hpp>
#include <troupe/websocket/internal/utf8.hpp>

#include <cstring>

namespace troupe::websocket_internal {

namespace {

char* put_big_endian(char* at, std::uint64_t value, int bytes) noexcept {
    for (int i = bytes - 1; i >= 0; --i)
        *at++ = static_cast<char>(value >> (8 * i));
    return at;
}

}  // namespace

std::size_t write_head(char (&out)[kFrameHeadBytesMax], const FrameHead& head,
                       const MaskKey* mask) noexcept {
    const unsigned masked = mask != nullptr ? 0x80 : 0;
    char* at = out;
    *at++ = first_byte(head.opcode, head.final, head.compressed);
    if (head.payload_bytes <= kControlBytesMax) {
        *at++ = static_cast<char>(masked | static_cast<unsigned>(head.payload_bytes));
    } else if (head.payload_bytes <= 0xFFFF) {
        *at++ = static_cast<char>(masked | 126);
        at = put_big_endian(at, head.payload_bytes, 2);
    } else {
        *at++ = static_cast<char>(masked | 127);
        at = put_big_endian(at, head.payload_bytes, 8);
    }
    if (mask != nullptr) {
        std::memcpy(at, mask->data(), mask->size());
        at += mask->size();
    }
    return static_cast<std::size_t>(at - out);
}

std::string close_payload(unsigned code, std::string_view reason) {
    std::string payload;
    if (!is_sendable_close_code(code)) return payload;
    payload.push_back(static_cast<char>(code >> 8));
    payload.push_back(static_cast<char>(code & 0xFF));
    payload += cut_utf8(reason, kReasonBytesMax);
    return payload;
}

}  // namespace troupe::websocket_internal
