#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::http_internal {

inline char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

/// What a hexadecimal digit stands for, or -1.
int hex_digit(char c);

/// Compares as header names and tokens are compared: ASCII letters in any case, and no locale.
bool equals_ignoring_case(std::string_view a, std::string_view b);

/// Without the spaces and tabs at both ends.
std::string_view trimmed(std::string_view text);

/// Takes what stands before the next `mark` off a list, and the mark; all of it when there is none.
/// Gives it trimmed.
std::string_view cut_before(std::string_view& list, char mark);

/// Whether the token is among those of a list, which commas separate; in any letter case.
bool holds_token(std::string_view list, std::string_view token);

/// What "%4a" stands for in one place, or nothing when the two digits are not hexadecimal.
std::optional<char> decode_escape(char high, char low);

/// Appends `text` with every valid escape undone. Invalid ones stay as they are. `plus_is_space`
/// is for queries, where forms write a space as "+".
void append_decoded(std::string& out, std::string_view text, bool plus_is_space);

enum class PathDecoding { done, bad_escape, holds_nul };

/// Appends `text` with its escapes undone, except %2F and %25, which are kept (in capitals). A bad
/// escape and an encoded NUL are reported: neither has one meaning that every reader agrees on.
PathDecoding append_decoded_path(std::string& out, std::string_view text);

/// Undoes exactly the two escapes that append_decoded_path keeps. What is not one of them stays,
/// so a path made by hand may hold a bare "%".
void append_parameter(std::string& out, std::string_view segment);

/// Appends `text` with everything escaped that is not a letter, a digit or one of "-._~": fit for
/// any part of a URL.
void append_encoded(std::string& out, std::string_view text);

}  // namespace troupe::http_internal
