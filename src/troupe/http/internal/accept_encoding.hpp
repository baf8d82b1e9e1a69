#pragma once

#include <troupe/http/request.hpp>

namespace troupe::http_internal {

/// Whether the client would rather have the body compressed with gzip than plain: it takes gzip
/// (or "*"), and does not like "identity" better. RFC 9110 §12.5.3.
bool prefers_gzip(const http::Request& request);

}  // namespace troupe::http_internal
