#pragma once

#include <string>
#include <string_view>

namespace troupe::http {

/// Appends `text` as a JSON string, with its quotation marks.
///
/// Bytes that are not UTF-8 become U+FFFD: a name that came from outside cannot make the document
/// unreadable. "<" is escaped as well, so the document may stand within an HTML script.
void append_json_string(std::string& out, std::string_view text);

/// The same, as a string of its own.
std::string json_string(std::string_view text);

}  // namespace troupe::http
