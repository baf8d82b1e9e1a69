#pragma once

#include <troupe/http/internal/head_lexer.hpp>
#include <troupe/http/response.hpp>

#include <string>

namespace troupe::http_internal {

// What a server answers by itself, in whatever version of HTTP.

inline constexpr ParseRefusal kTooSlow{408, "The request took too long to arrive."};
inline constexpr ParseRefusal kBodyTooLarge{413, "The body is larger than this server accepts."};

/// What is written down of a request whose peer has left in the middle of it: nobody is answered.
inline constexpr int kCutShort = 400;

/// What a function hears that writes more of a body than it has said.
inline constexpr const char* kBodyTooLong = "the body is longer than its length() says";

inline http::Response refusal_of(const ParseRefusal& refusal) {
    http::Response response = http::text(refusal.status, std::string(refusal.sentence));
    response.close();
    return response;
}

inline http::Response failed_handler() {
    http::Response response = http::text(500, "The handler of this request failed.");
    response.close();
    return response;
}

}  // namespace troupe::http_internal
