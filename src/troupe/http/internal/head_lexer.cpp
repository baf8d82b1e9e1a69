#include <troupe/http/internal/byte_scan.hpp>
#include <troupe/http/internal/character_set.hpp>
#include <troupe/http/internal/head_lexer.hpp>

namespace troupe::http_internal {

namespace {

// The longest method anybody has registered has 17 characters.
constexpr std::size_t kMethodBytesMax = 32;

constexpr CharacterSet kToken("!#$%&'*+-.^_`|~");

Lexed refuse(ParseRefusal& refusal, int status, std::string_view sentence) {
    refusal.status = status;
    refusal.sentence = sentence;
    return Lexed::bad;
}

// What stands behind the target: "HTTP/1.1" and the line end.
Lexed lex_version(std::string_view text, RequestLine& line, ParseRefusal& refusal) {
    constexpr std::string_view kOurs = "HTTP/1.1\r\n";
    if (text.starts_with(kOurs)) {
        line.minor_version = 1;
        return Lexed::whole;
    }
    if (text.size() < kOurs.size() && text.find('\n') == std::string_view::npos) return Lexed::cut;

    auto digit = [](char c) { return c >= '0' && c <= '9'; };
    std::string_view end = text.size() > 8 ? text.substr(8, 2) : std::string_view();
    bool version = text.starts_with("HTTP/") && text.size() > 8 && digit(text[5]) &&
                   text[6] == '.' && digit(text[7]);
    if (version && end[0] == '\n') return refuse(refusal, 400, "A line does not end with CR LF.");
    if (!version || end != "\r\n") {
        return refuse(refusal, 400, "The request line does not end with an HTTP version.");
    }
    if (!text.starts_with("HTTP/1.0")) {
        return refuse(refusal, 505, "This server speaks HTTP/1.1 and HTTP/1.0.");
    }
    line.minor_version = 0;
    return Lexed::whole;
}

}  // namespace

bool is_token_character(char c) {
    return kToken.has(c);
}

std::size_t find_control(std::string_view text) {
    const char* begin = text.data();
    return static_cast<std::size_t>(find_low<0x20>(begin, begin + text.size()) - begin);
}

Lexed lex_request_line(std::string_view text, std::size_t target_bytes_max, RequestLine& line,
                       ParseRefusal& refusal) {
    const char* begin = text.data();
    const char* end = begin + text.size();
    const char* at = begin;
    while (at != end && kToken.has(*at))
        ++at;
    auto method_size = static_cast<std::size_t>(at - begin);
    if (method_size > kMethodBytesMax) {
        return refuse(refusal, 501, "This server knows no method of that length.");
    }
    if (at == end) return Lexed::cut;
    if (*at != ' ' || at == begin) {
        return refuse(refusal, 400, "A request begins with a method and a space.");
    }
    line.method = std::string_view(begin, method_size);

    const char* target = ++at;
    at = find_low_or_any<0x21, '?', '#', '%'>(at, end);
    line.plain_size = static_cast<std::size_t>(at - target);
    if (at != end && (*at == '?' || *at == '#' || *at == '%')) at = find_low<0x21>(at, end);
    auto target_size = static_cast<std::size_t>(at - target);
    if (target_size > target_bytes_max) {
        return refuse(refusal, 414, "The request target is longer than this server accepts.");
    }
    if (at == end) return Lexed::cut;
    if (target_size == 0) return refuse(refusal, 400, "The request target is missing.");
    if (*at == '\r' || *at == '\n') {
        return refuse(refusal, 400, "The request line does not end with an HTTP version.");
    }
    if (*at != ' ') return refuse(refusal, 400, "The request target holds a control character.");
    line.target = std::string_view(target, target_size);

    constexpr std::size_t kVersionSize = 10;
    ++at;
    std::string_view rest(at, static_cast<std::size_t>(end - at));
    Lexed lexed = lex_version(rest, line, refusal);
    if (lexed == Lexed::whole) line.size = static_cast<std::size_t>(at - begin) + kVersionSize;
    return lexed;
}

Lexed lex_field_line(std::string_view text, FieldLine& line, ParseRefusal& refusal) {
    const char* begin = text.data();
    const char* end = begin + text.size();
    const char* at = begin;
    while (at != end && kToken.has(*at))
        ++at;
    if (at == end) return Lexed::cut;
    if (*at != ':' || at == begin) {
        if (at != begin) {
            return refuse(refusal, 400, "A header line is not a name, a colon and a value.");
        }
        switch (*at) {
            case '\r':
                if (end - at < 2) return Lexed::cut;
                if (at[1] != '\n') break;
                line.size = 2;
                return Lexed::empty_line;
            case ' ':
            case '\t':
                return refuse(refusal, 400, "A header line is folded, which is obsolete.");
            case '\n':
                break;
            default:
                return refuse(refusal, 400, "A header line does not begin with a name.");
        }
        return refuse(refusal, 400, "A line does not end with CR LF.");
    }
    line.name = std::string_view(begin, static_cast<std::size_t>(at - begin));

    ++at;
    while (at != end && (*at == ' ' || *at == '\t'))
        ++at;
    const char* value = at;
    for (;; ++at) {
        at = find_low<0x20>(at, end);
        if (at == end) return Lexed::cut;
        if (*at != '\t') break;
    }
    if (*at == '\r' && end - at < 2) return Lexed::cut;
    if (*at == '\n' || (*at == '\r' && at[1] != '\n')) {
        return refuse(refusal, 400, "A line does not end with CR LF.");
    }
    if (*at != '\r') return refuse(refusal, 400, "A header line holds a control character.");
    line.size = static_cast<std::size_t>(at + 2 - begin);
    while (at != value && (at[-1] == ' ' || at[-1] == '\t'))
        --at;
    line.value = std::string_view(value, static_cast<std::size_t>(at - value));
    return Lexed::whole;
}

}  // namespace troupe::http_internal
