#pragma once

#include <troupe/http/client_request.hpp>
#include <troupe/http/headers.hpp>

#include <string>
#include <string_view>

namespace troupe::http_internal {

/// The key under which the tracestate of a trace goes along.
inline constexpr std::string_view kTraceState = "tracestate";

/// All tracestate lines as one, as far as they are well-formed: at most 32 members and 512 bytes, a
/// longer list loses its last members, which are the oldest. Empty when anything is malformed.
std::string join_tracestate(const http::Headers& lines);

/// Appends the lines that carry the ambient trace on, unless there are some. In a turn.
void add_trace_lines(http::ClientRequest& request);

}  // namespace troupe::http_internal
