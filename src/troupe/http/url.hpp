#pragma once

#include <troupe/base/result.hpp>
#include <troupe/http/client_errc.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::http {

/// An http or https address, taken apart: what a client connects to and what it asks for there.
///
/// Strict, because two readers of one address must not see two servers in it: no spaces or control
/// characters, no user names, and what is not ASCII comes percent-encoded.
struct Url {
    std::string host = "127.0.0.1";  ///< in lower case; an IPv6 address without its brackets
    std::uint16_t port = 80;
    std::string target = "/";  ///< path and query as they go into the request line
    bool secure = false;       ///< https

    /// Errors:  ClientErrc::bad_url, and where it goes wrong.
    static Result<Url> parse(std::string_view text);

    /// What a reference in a document of this address, or in its Location line, points to.
    ///
    /// Errors:  as for parse.
    Result<Url> resolve(std::string_view reference) const;

    /// "example.com", "[::1]:8080": what goes into the Host line.
    std::string authority() const;
    /// "https://example.com:8443": whom a connection is to. The port as in authority().
    std::string origin() const;
    /// "http://example.com:8080/path?query"; the port only where it is not the scheme's.
    std::string text() const;

    friend bool operator==(const Url&, const Url&) = default;
};

}  // namespace troupe::http
