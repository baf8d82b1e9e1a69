#pragma once

#include <troupe/http/headers.hpp>
#include <troupe/http/origin.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::http {

/// A request as a handler sees it. It owns everything it shows, so it may be moved into a coroutine
/// or into a message. It can be made by hand and given to Router::handle, which is how handlers are
/// tested without a socket.
///
/// The members are plain because a request is plain data; only what has an index (header lines,
/// route parameters) sits behind functions. Buffers keep their capacity over clear(), so one
/// Request that is filled again and again stops allocating.
class Request {
public:
    std::string method = "GET";

    /// The path with its percent-encoding undone, except for %2F and %25: a "/" that was encoded
    /// does not separate segments, and what is left encoded can still be told from what never was.
    /// parameter() undoes those two as well.
    std::string path = "/";

    /// What follows the "?" of the target, still encoded. See query_parameter.
    std::string query;

    /// The body, with any chunked coding removed.
    std::string body;

    /// The minor version: 1 for HTTP/1.1, 0 for HTTP/1.0. Of HTTP/2 see protocol().
    int minor_version = 1;

    /// True when an HTTP/2 request is to become a WebSocket (RFC 8441). It comes as a GET.
    bool opens_websocket = false;

    /// True when the peer allows a further request on the same connection.
    bool keep_alive = true;

    Request() = default;

    /// The target as it was received. Empty in a request made by hand.
    std::string_view target() const { return headers_.held_beside(); }

    /// The value of the first header line of that name, in any letter case; nothing when there is
    /// none.
    std::optional<std::string_view> header(std::string_view name) const {
        return headers_.find(name);
    }

    /// All header lines, in the order they were received.
    const Headers& headers() const { return headers_; }
    Headers& headers() { return headers_; }

    /// The lines behind a chunked body. They are kept apart from the header lines, which were
    /// judged before the body and are not to be replaced behind it.
    const Headers& trailers() const { return trailers_; }
    Headers& trailers() { return trailers_; }

    /// Where it has come from; empty in a request made by hand.
    const Origin& origin() const { return origin_; }
    Origin& origin() { return origin_; }

    /// Whose request it is: the peer of the connection, or whom trusted proxies name; see
    /// ServerOptions::trusted_proxies. None over a Unix socket.
    const IpAddress& client_address() const { return origin_.client; }
    /// Whether the client's connection is encrypted.
    bool secure() const { return origin_.secure; }
    /// The host, perhaps with a port, that the client has asked for: the Host line, or what trusted
    /// proxies say. Empty when there is none. Anybody may write anything there.
    std::string_view host() const;
    /// "HTTP/1.0", "HTTP/1.1", "HTTP/2".
    std::string_view protocol() const;

    /// Appends a header line. Nothing is checked: the parser does that for what peers send.
    void add_header(std::string_view name, std::string_view value) { headers_.add(name, value); }

    /// What the route's `:name` matched, decoded, or what its trailing `*` matched for "*". Empty
    /// when the route has no such parameter. Valid as long as the Request is neither changed nor
    /// moved.
    std::string_view parameter(std::string_view name) const;

    /// Remembers what a route's parameter matched. The router does this; tests may.
    void set_parameter(std::string_view name, std::string_view value);

    void clear_parameters() { parameters_.clear(); }

    /// The decoded value of the first `name=value` in the query, where "+" means a space; nothing
    /// when the name does not appear. A name without "=" has an empty value.
    std::optional<std::string> query_parameter(std::string_view name) const;

    /// Back to an empty "GET /", keeping the memory (of the body, up to 64 KiB).
    void clear();

    /// The same, but keeps the header lines and what a request line gives, all of which the parser
    /// compares with what comes next, and replaces. For parsers.
    void clear_but_headers();

private:
    Headers headers_;
    Headers trailers_;
    Headers parameters_;  // names and values, as the others
    Origin origin_;
};

}  // namespace troupe::http
