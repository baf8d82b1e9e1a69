#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::http_internal {

/// The instant of a date in any of the three forms of RFC 9110 §5.6.7, the present one and the two
/// that are only read; nothing when it is none.
///
/// Units: seconds since 1970-01-01T00:00:00Z.
std::optional<std::int64_t> parse_http_date(std::string_view text);

/// For example "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::int64_t seconds);

}  // namespace troupe::http_internal
