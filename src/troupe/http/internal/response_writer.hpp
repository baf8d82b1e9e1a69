#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/http/internal/byte_buffer.hpp>
#include <troupe/http/response.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::http_internal {

/// The Date line's text, made anew only when the second has changed.
///
/// It has no clock: the caller says what the wall clock shows, so that under the deterministic
/// engine two runs write the same bytes.
class DateCache {
public:
    using Text = std::array<char, 29>;

    /// For example "Sun, 06 Nov 1994 08:49:37 GMT".
    ///
    /// Units: `wall` counts from 1970-01-01T00:00:00Z; before that the answer is that instant.
    const Text& at(Duration wall);

private:
    std::int64_t second_ = -1;
    Text text_{};
};

/// Nobody has a use for a status that does not have three digits; a peer could not read it either.
int status_on_wire(const http::Response& response);

/// How long the body is, where that is said: not where there is none, nor where nobody knows.
std::optional<std::uint64_t> length_on_wire(const http::Response& response);

/// How the connection stands for one response.
struct Framing {
    bool keep_alive = true;
    bool head_only = false;  // answers a HEAD: the same lines, no body
    int minor_version = 1;   // of the request
};

/// Where the peer finds the end of a body.
enum class BodyEnd : std::uint8_t {
    nothing_follows,  // for this status, or because only the head was asked for
    length,
    chunks,
    close,
};

/// How the body of this response is told to end. A streamed one of unknown length goes in chunks,
/// or up to the end of the connection for a peer that does not know chunks.
BodyEnd body_end(const http::Response& response, const Framing& framing);

/// Appends the response's head. Responses to pipelined requests are appended to one buffer and
/// leave in one write.
void append_head(ByteBuffer& out, const http::Response& response, const Framing& framing,
                 const DateCache::Text& date);

/// The same, and the body of a response that is not streamed.
void append_response(ByteBuffer& out, const http::Response& response, const Framing& framing,
                     const DateCache::Text& date);

}  // namespace troupe::http_internal
