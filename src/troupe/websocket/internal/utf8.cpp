#include <troupe/websocket/internal/utf8.hpp>

#include <cstddef>
#include <cstring>

namespace troupe::websocket_internal {

namespace {

/// How many bytes at the beginning are ASCII, counted in steps of 32: a compiler makes two vector
/// instructions of each.
std::size_t skip_ascii(const char* at, std::size_t size) noexcept {
    constexpr std::size_t kStep = 32;
    constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080;
    std::size_t done = 0;
    for (; size - done >= kStep; done += kStep) {
        std::uint64_t words[kStep / sizeof(std::uint64_t)];
        std::memcpy(words, at + done, kStep);
        if (((words[0] | words[1] | words[2] | words[3]) & kHighBits) != 0) break;
    }
    return done;
}

}  // namespace

bool Utf8Checker::add(std::string_view piece) noexcept {
    const char* at = piece.data();
    const char* const end = at + piece.size();
    while (at != end) {
        if (missing_ == 0) {
            at += skip_ascii(at, static_cast<std::size_t>(end - at));
            if (at == end) break;
        }
        const auto byte = static_cast<std::uint8_t>(*at++);
        if (missing_ != 0) {
            if (byte < low_ || byte > high_) return false;
            --missing_;
            low_ = 0x80;
            high_ = 0xBF;
        } else if (byte < 0x80) {
            continue;
        } else if (byte >= 0xC2 && byte <= 0xDF) {
            missing_ = 1;
        } else if (byte >= 0xE0 && byte <= 0xEF) {
            missing_ = 2;
            if (byte == 0xE0) low_ = 0xA0;   // shorter forms exist below
            if (byte == 0xED) high_ = 0x9F;  // surrogates lie above
        } else if (byte >= 0xF0 && byte <= 0xF4) {
            missing_ = 3;
            if (byte == 0xF0) low_ = 0x90;   // shorter forms exist below
            if (byte == 0xF4) high_ = 0x8F;  // nothing is beyond U+10FFFF
        } else {
            return false;
        }
    }
    return true;
}

std::string_view cut_utf8(std::string_view text, std::size_t bytes_max) noexcept {
    if (text.size() <= bytes_max) return text;
    std::size_t size = bytes_max;
    while (size > 0 && (static_cast<std::uint8_t>(text[size]) & 0xC0) == 0x80)
        --size;
    return text.substr(0, size);
}

}  // namespace troupe::websocket_internal
