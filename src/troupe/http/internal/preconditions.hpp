#pragma once

// Conditional requests: RFC 9110 §13.

#include <troupe/http/request.hpp>

#include <cstdint>
#include <string>

namespace troupe::http_internal {

/// What tells one state of a resource from another.
struct Validators {
    std::string tag;            // with its quotes: "\"1f-5e\""; W/ in front of one that is weak
    std::int64_t modified = 0;  // seconds since 1970
};

enum class Precondition : std::uint8_t {
    holds,
    not_modified,  // the client has it: 304
    failed,        // 412
};

/// Looks at If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since of a GET or HEAD, in
/// the order of RFC 9110 §13.2.2. Dates that are none are no conditions.
Precondition check_preconditions(const http::Request& request, const Validators& current);

/// Whether a Range line counts: there is no If-Range, or it names exactly this state. A date does
/// so only once a second is over in which nothing changed any more; `now` in seconds since 1970.
bool range_is_welcome(const http::Request& request, const Validators& current, std::int64_t now);

}  // namespace troupe::http_internal
