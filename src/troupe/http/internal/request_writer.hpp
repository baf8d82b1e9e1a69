#pragma once

#include <troupe/base/result.hpp>
#include <troupe/http/client_request.hpp>
#include <troupe/http/url.hpp>

#include <cstdint>
#include <string>

namespace troupe::http_internal {

/// How the body of a request is framed.
enum class RequestBody : std::uint8_t { whole, chunked };

/// The request line and the header lines of a request, as they travel.
///
/// Errors: ClientErrc::bad_request, for what could be read as another request than the one meant,
///         and for header lines that are the client's own affair.
Result<std::string> write_request_head(const http::ClientRequest& request, const http::Url& url,
                                       RequestBody body);

}  // namespace troupe::http_internal
