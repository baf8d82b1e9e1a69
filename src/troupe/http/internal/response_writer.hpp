#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/http/response.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::http_internal {

/// The Date line's text, made anew only when the second has changed.
///
/// It has no clock: the caller says what the wall clock shows, so that under the deterministic
/// engine two runs write the same bytes.
class DateCache {
public:
    /// For example "Sun, 06 Nov 1994 08:49:37 GMT".
    ///
    /// Units: `wall` counts from 1970-01-01T00:00:00Z; before that the answer is that instant.
    std::string_view at(Duration wall);

private:
    static constexpr std::size_t kSize = 29;

    std::int64_t second_ = -1;
    char text_[kSize] = {};
};

/// How the connection stands for one response.
struct Framing {
    bool keep_alive = true;
    bool head_only = false;  // answers a HEAD: the same lines, no body
    int minor_version = 1;   // of the request
};

/// Appends the response as it goes to the peer. Responses to pipelined requests are appended to
/// one string and leave in one write.
void append_response(std::string& out, const http::Response& response, const Framing& framing,
                     std::string_view date);

}  // namespace troupe::http_internal
