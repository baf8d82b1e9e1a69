#include <troupe/http/internal/text.hpp>

#include <cstddef>

namespace troupe::http_internal {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t";
    const std::size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return std::string_view();
    return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string_view cut_before(std::string_view& list, char mark) {
    const std::size_t end = list.find(mark);
    const std::string_view piece = list.substr(0, end);
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
    return trimmed(piece);
}

bool holds_token(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        if (equals_ignoring_case(cut_before(list, ','), token)) return true;
    }
    return false;
}

std::optional<char> decode_escape(char high, char low) {
    int h = hex_digit(high);
    int l = hex_digit(low);
    if (h < 0 || l < 0) return std::nullopt;
    return static_cast<char>(h * 16 + l);
}

void append_decoded(std::string& out, std::string_view text, bool plus_is_space) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out += ' ';
            continue;
        }
        if (text[i] == '%' && i + 2 < text.size()) {
            if (auto decoded = decode_escape(text[i + 1], text[i + 2])) {
                out += *decoded;
                i += 2;
                continue;
            }
        }
        out += text[i];
    }
}

PathDecoding append_decoded_path(std::string& out, std::string_view text) {
    std::size_t at = text.find('%');
    if (at == std::string_view::npos) {
        out += text;
        return PathDecoding::done;
    }
    out += text.substr(0, at);
    for (; at < text.size(); ++at) {
        if (text[at] != '%') {
            out += text[at];
            continue;
        }
        if (at + 2 >= text.size()) return PathDecoding::bad_escape;
        auto decoded = decode_escape(text[at + 1], text[at + 2]);
        if (!decoded) return PathDecoding::bad_escape;
        if (*decoded == '\0') return PathDecoding::holds_nul;
        if (*decoded == '/') {
            out += "%2F";
        } else if (*decoded == '%') {
            out += "%25";
        } else {
            out += *decoded;
        }
        at += 2;
    }
    return PathDecoding::done;
}

void append_parameter(std::string& out, std::string_view segment) {
    for (std::size_t i = 0; i < segment.size(); ++i) {
        std::string_view here = segment.substr(i, 3);
        if (here == "%2F" || here == "%25") {
            out += here == "%2F" ? '/' : '%';
            i += 2;
        } else {
            out += segment[i];
        }
    }
}

void append_encoded(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_letter = lower(c) >= 'a' && lower(c) <= 'z';
        const bool is_digit = c >= '0' && c <= '9';
        if (is_letter || is_digit || c == '-' || c == '.' || c == '_' || c == '~') {
            out += c;
        } else {
            out += '%';
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        }
    }
}

}  // namespace troupe::http_internal
