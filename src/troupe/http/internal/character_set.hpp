#pragma once

#include <array>
#include <string_view>

namespace troupe::http_internal {

/// Letters, digits, and some others.
class CharacterSet {
public:
    constexpr explicit CharacterSet(std::string_view others) {
        for (unsigned char c = '0'; c <= '9'; ++c)
            has_[c] = true;
        for (unsigned char c = 'a'; c <= 'z'; ++c)
            has_[c] = true;
        for (unsigned char c = 'A'; c <= 'Z'; ++c)
            has_[c] = true;
        for (char c : others)
            has_[static_cast<unsigned char>(c)] = true;
    }

    constexpr bool has(char c) const { return has_[static_cast<unsigned char>(c)]; }

private:
    std::array<bool, 256> has_{};
};

}  // namespace troupe::http_internal
