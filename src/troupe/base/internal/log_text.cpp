#include <troupe/base/error.hpp>
#include <troupe/base/internal/log_text.hpp>

#include <charconv>
#include <cmath>

namespace troupe::base_internal {
namespace {

template <class Number>
void append_number(std::string& out, Number number) {
    char digits[32];  // the longest double in its shortest form has 24 characters
    auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out.append(digits, end);
}

// The length of the well-formed UTF-8 sequence at the beginning, or 0. Overlong forms, surrogates
// and what lies beyond U+10FFFF are not well-formed (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text) {
    auto byte = [text](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    auto in = [](unsigned value, unsigned low, unsigned high) {
        return value >= low && value <= high;
    };
    unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (in(first, 0xc2, 0xdf)) return in(byte(1), 0x80, 0xbf) ? 2 : 0;
    if (in(first, 0xe0, 0xef)) {
        unsigned low = first == 0xe0 ? 0xa0 : 0x80;
        unsigned high = first == 0xed ? 0x9f : 0xbf;
        return in(byte(1), low, high) && in(byte(2), 0x80, 0xbf) ? 3 : 0;
    }
    if (in(first, 0xf0, 0xf4)) {
        unsigned low = first == 0xf0 ? 0x90 : 0x80;
        unsigned high = first == 0xf4 ? 0x8f : 0xbf;
        bool valid = in(byte(1), low, high) && in(byte(2), 0x80, 0xbf) && in(byte(3), 0x80, 0xbf);
        return valid ? 4 : 0;
    }
    return 0;
}

// The inside of a JSON text. The text format uses the same escapes.
void append_escaped(std::string& out, std::string_view text) {
    constexpr char kHex[] = "0123456789abcdef";
    while (!text.empty()) {
        char c = text[0];
        auto value = static_cast<unsigned char>(c);
        std::size_t length = utf8_length(text);
        if (length == 0) {
            out += "\xef\xbf\xbd";  // U+FFFD, the replacement character
            length = 1;
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == '\r') {
            out += "\\r";
        } else if (value < 0x20 || value == 0x7f) {
            out += "\\u00";
            out += kHex[value >> 4];
            out += kHex[value & 15];
        } else {
            out.append(text, 0, length);
        }
        text.remove_prefix(length);
    }
}

bool needs_quotes(std::string_view text) {
    if (text.empty()) return true;
    for (char c : text) {
        auto value = static_cast<unsigned char>(c);
        if (value <= ' ' || value >= 0x7f || c == '"' || c == '=' || c == '\\') return true;
    }
    return false;
}

void append_place(std::string& out, const std::source_location& location) {
    std::string_view path = location.file_name();
    // The last two parts: component and file.
    std::size_t slash = path.rfind('/');
    if (slash != std::string_view::npos && slash != 0) slash = path.rfind('/', slash - 1);
    if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
    append_escaped(out, path);
    out += ':';
    append_number(out, location.line());
}

std::string_view level_name(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return "debug";
        case LogLevel::info:
            return "info";
        case LogLevel::warn:
            return "warn";
        case LogLevel::error:
            return "error";
    }
    return "unknown";
}

void append_text_value(std::string& out, const LogValue& value) {
    auto text = [&out](std::string_view it) {
        if (needs_quotes(it)) return append_json_text(out, it);
        out += it;
    };
    switch (value.kind()) {
        case LogValue::Kind::boolean:
            out += value.of().boolean ? "true" : "false";
            break;
        case LogValue::Kind::integer:
            append_number(out, value.of().integer);
            break;
        case LogValue::Kind::natural:
            append_number(out, value.of().natural);
            break;
        case LogValue::Kind::real:
            append_number(out, value.of().real);
            break;
        case LogValue::Kind::text:
            text(value.of().text);
            break;
        case LogValue::Kind::duration:
            append_duration(out, Duration(value.of().integer));
            break;
        case LogValue::Kind::error:
            text(value.of().error->message());
            break;
    }
}

void append_json_value(std::string& out, const LogValue& value) {
    switch (value.kind()) {
        case LogValue::Kind::text:
            append_json_text(out, value.of().text);
            break;
        case LogValue::Kind::error:
            append_json_text(out, value.of().error->message());
            break;
        case LogValue::Kind::duration:  // in seconds, the unit every collector assumes
            append_number(out, static_cast<double>(value.of().integer) / 1e9);
            break;
        case LogValue::Kind::real:
            if (!std::isfinite(value.of().real)) {  // JSON has no such numbers
                out += '"';
                append_number(out, value.of().real);
                out += '"';
                break;
            }
            [[fallthrough]];
        default:
            append_text_value(out, value);
    }
}

}  // namespace

void append_json_text(std::string& out, std::string_view text) {
    out += '"';
    append_escaped(out, text);
    out += '"';
}

void append_duration(std::string& out, Duration duration) {
    auto count = static_cast<double>(duration.count());
    double size = std::fabs(count);
    if (size >= 1e9) {
        append_number(out, count / 1e9);
        out += 's';
    } else if (size >= 1e6) {
        append_number(out, count / 1e6);
        out += "ms";
    } else if (size >= 1e3) {
        append_number(out, count / 1e3);
        out += "us";
    } else {
        append_number(out, duration.count());
        out += "ns";
    }
}

std::string text_line(LogLevel level, std::string_view message, LogFields fields,
                      const std::source_location& location) {
    std::string out;
    out.reserve(128);
    append_escaped(out, message);
    for (const LogField& field : fields) {
        out += ' ';
        append_escaped(out, field.key());
        out += '=';
        append_text_value(out, field.value());
    }
    if (level >= LogLevel::warn) {
        out += " (";
        append_place(out, location);
        out += ')';
    }
    return out;
}

std::string json_line(LogLevel level, std::string_view message, LogFields fields,
                      const std::source_location& location) {
    std::string out;
    out.reserve(192);
    out += "\"level\":\"";
    out += level_name(level);
    out += "\",\"message\":";
    append_json_text(out, message);
    for (const LogField& field : fields) {
        out += ',';
        append_json_text(out, field.key());
        out += ':';
        append_json_value(out, field.value());
    }
    out += ",\"at\":\"";
    append_place(out, location);
    out += "\"}";
    return out;
}

}  // namespace troupe::base_internal
