#pragma once

// Turns the fields of a log line into text. Whatever the values hold, the result is one line of
// valid UTF-8, so that nobody can forge a line by logging a name with a line break in it.

#include <troupe/base/log.hpp>

#include <source_location>
#include <string>
#include <string_view>

namespace troupe::base_internal {

/// Appends `"text"` as JSON wants it; bytes that are not UTF-8 become U+FFFD.
void append_json_text(std::string& out, std::string_view text);

/// Appends `1.5ms`: the largest unit in which the number is 1 or more.
void append_duration(std::string& out, Duration duration);

/// `message key=value key="two words"`, and for warnings and errors the place.
std::string text_line(LogLevel level, std::string_view message, LogFields fields,
                      const std::source_location& location);

/// `"level":"info","message":"…","key":value,"at":"file:line"}`: a JSON object without its first
/// member, the time, which the writer puts before it.
std::string json_line(LogLevel level, std::string_view message, LogFields fields,
                      const std::source_location& location);

}  // namespace troupe::base_internal
