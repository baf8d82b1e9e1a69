#pragma once

// Agreeing on permessage-deflate: the lines Sec-WebSocket-Extensions of both sides (RFC 7692,
// section 7.1).

#include <troupe/websocket/internal/deflate.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace troupe::websocket_internal {

/// What a server would like.
struct DeflateWishes {
    bool on = true;
    bool context_takeover = true;   // on our own side; the client's is its choice
    std::uint8_t window_bits = 15;  // of either side, at most
};

/// The first of a client's offers that the server can take: `line` is the value of the header, or
/// the values of all of them with commas between. Off, when there is none, or none that is well
/// formed.
DeflateTerms choose_deflate(std::string_view line, const DeflateWishes& wishes);

/// What the server answers to say so.
std::string deflate_response(const DeflateTerms& terms);

/// What a client asks for.
std::string deflate_offer(const DeflateWishes& wishes);

/// What a server has made of the client's offer; nothing, when it answers what was not asked for.
std::optional<DeflateTerms> accept_deflate(std::string_view line, const DeflateWishes& wishes);

}  // namespace troupe::websocket_internal
