#pragma once

// The lines that requests and responses begin with, cut into their parts.
//
// Strict on purpose: a lexer that forgives is half of a request smuggling attack, the other half
// being the next server in line, which forgives something else. So a line ends with CR LF and
// nothing else, a name is a token directly before its colon, a value holds no control character
// but the tab, and nothing is folded.
//
// A line is looked at byte by byte from its start, and the first byte that cannot stand where it
// stands decides. Therefore the verdict on a line that is cut somewhere is the verdict on the whole
// line, only earlier, or none yet.

#include <cstddef>
#include <string_view>

namespace troupe::http_internal {

/// Why a message is refused: the status a server answers, and a sentence for whoever sent it.
struct ParseRefusal {
    int status = 0;
    std::string_view sentence;  // points to a literal
};

enum class Lexed {
    whole,       // a line, with its end
    empty_line,  // the line that ends a head
    cut,         // good so far, and not at its end
    bad,
};

/// `GET /path HTTP/1.1`
struct RequestLine {
    std::string_view method;
    std::string_view target;
    std::size_t plain_size = 0;  // of the target: what stands before the first "?", "#" or "%"
    int minor_version = 1;
    std::size_t size = 0;  // with the line end
};

/// Reads the request line at the start of `text`. A target beyond `target_bytes_max` is bad.
Lexed lex_request_line(std::string_view text, std::size_t target_bytes_max, RequestLine& line,
                       ParseRefusal& refusal);

/// `Name: value`
struct FieldLine {
    std::string_view name;
    std::string_view value;  // without white space around it
    std::size_t size = 0;    // with the line end
};

/// Reads the header line at the start of `text`; after `empty_line` only `size` is set.
Lexed lex_field_line(std::string_view text, FieldLine& line, ParseRefusal& refusal);

/// Whether a character may stand in a method or in a header line's name.
bool is_token_character(char c);

/// The first control character, tabs and line ends among them, or DEL; text.size() when there is
/// none.
std::size_t find_control(std::string_view text);

}  // namespace troupe::http_internal
