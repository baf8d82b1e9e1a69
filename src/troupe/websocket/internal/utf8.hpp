#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::websocket_internal {

/// Checks UTF-8 piece by piece: a character may be cut anywhere, and the first byte that cannot
/// belong to one is found when it comes, not at the end.
class Utf8Checker {
public:
    /// False when something was wrong; then the checker is of no further use until reset().
    bool add(std::string_view piece) noexcept;

    /// Whether no character is unfinished.
    bool whole() const noexcept { return missing_ == 0; }

    void reset() noexcept { *this = Utf8Checker(); }

private:
    std::uint8_t missing_ = 0;  // bytes of the present character
    // Where the next of them must lie. Narrower than 80 to BF only for a second byte: that is how
    // overlong forms, surrogates and what is beyond U+10FFFF are told.
    std::uint8_t low_ = 0x80;
    std::uint8_t high_ = 0xBF;
};

inline bool is_utf8(std::string_view text) noexcept {
    Utf8Checker checker;
    return checker.add(text) && checker.whole();
}

/// The longest beginning of valid UTF-8 that has at most so many bytes and cuts no character.
std::string_view cut_utf8(std::string_view text, std::size_t bytes_max) noexcept;

}  // namespace troupe::websocket_internal
