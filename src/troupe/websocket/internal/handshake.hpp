#pragma once

// How an HTTP connection becomes a WebSocket (RFC 6455, section 4).

#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/websocket/internal/deflate_terms.hpp>
#include <troupe/websocket/options.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace troupe::websocket_internal {

/// What the two ends have agreed on.
struct Agreement {
    std::string protocol;  // empty: none
    DeflateTerms deflate;
};

/// What proves that a server has read this key.
std::string accept_key(std::string_view key);

DeflateWishes deflate_wishes(const websocket::Options& options);

/// Judges a request for an upgrade: the refusal, or nothing and what was agreed on.
std::optional<http::Response> judge_upgrade(const http::Request& request,
                                            const websocket::Options& options,
                                            Agreement& agreement);

/// The response that accepts it: what RFC 6455 asks for and nothing else.
std::string upgrade_response(std::string_view key, const Agreement& agreement);

/// What a client sends.
std::string upgrade_request(std::string_view host, std::string_view target, std::string_view key,
                            const websocket::Options& options, std::string_view more_lines);

/// Without the spaces and tabs at both ends.
std::string_view trimmed(std::string_view text) noexcept;

/// Whether one of a header's comma-separated tokens is `token`, in any letter case. All lines of
/// that name count.
bool has_token(const http::Headers& headers, std::string_view name, std::string_view token);

/// The values of all lines of that name, with commas between.
std::string joined_lines(const http::Headers& headers, std::string_view name);

}  // namespace troupe::websocket_internal
