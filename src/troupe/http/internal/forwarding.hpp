#pragma once

// What proxies have said of a request. The list of hops is read from its end, which the nearest
// proxy has written, and only as far as those who wrote it are trusted: what lies before that
// anybody may have said. A hop that is no address ends it, too.

#include <troupe/http/origin.hpp>
#include <troupe/http/request.hpp>
#include <troupe/io/ip_address.hpp>

#include <optional>
#include <string_view>

namespace troupe::http_internal {

/// Notes in the request where it has come from, given what its connection knows.
void note_origin(http::Request& request, const http::Origin& connection, const IpNetworks& trusted);

/// The host that the client has asked for, as trusted proxies say: a view into a header line.
std::optional<std::string_view> forwarded_host(const http::Request& request);

}  // namespace troupe::http_internal
