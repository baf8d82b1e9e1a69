#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/http/headers.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::http {

/// A request to be sent by a Client. What is not said here, the client's options say.
///
/// Framing is the client's: Host, Content-Length, Transfer-Encoding, Connection and the like are
/// written by it, and a request that brings its own is refused when it is sent. So is one with a
/// header line that could be read as two.
class ClientRequest {
public:
    ClientRequest(std::string method, std::string url)
        : method_(std::move(method)), url_(std::move(url)) {}

    ClientRequest& header(std::string_view name, std::string_view value) {
        headers_.add(name, value);
        return *this;
    }
    ClientRequest& body(std::string body) {
        body_ = std::move(body);
        return *this;
    }
    /// See ClientOptions::timeout.
    ClientRequest& within(Duration timeout) {
        timeout_ = timeout;
        return *this;
    }
    /// See ClientOptions::body_bytes_max.
    ClientRequest& body_bytes_max(std::size_t bytes) {
        body_bytes_max_ = bytes;
        return *this;
    }
    /// See ClientOptions::redirects_max.
    ClientRequest& redirects_max(int redirects) {
        redirects_max_ = redirects;
        return *this;
    }
    /// See ClientOptions::retries.
    ClientRequest& retries(int retries) {
        retries_ = retries;
        return *this;
    }
    /// Whether it does no harm when the server gets it twice. The methods of which HTTP says so are
    /// GET, HEAD, OPTIONS, TRACE, PUT and DELETE.
    ClientRequest& idempotent(bool idempotent) {
        idempotent_ = idempotent;
        return *this;
    }

    const std::string& method() const { return method_; }
    const std::string& url() const { return url_; }
    const Headers& headers() const { return headers_; }
    const std::string& body() const { return body_; }
    std::optional<Duration> timeout() const { return timeout_; }
    std::optional<std::size_t> body_bytes_max() const { return body_bytes_max_; }
    std::optional<int> redirects_max() const { return redirects_max_; }
    std::optional<int> retries() const { return retries_; }
    bool idempotent() const;

    /// What RFC 9110 (15.4) makes of the request when its answer was a redirect with this status:
    /// after 303, and after 301 and 302 to a POST, it asks with GET and without its body.
    void redirect(int status, std::string url, bool same_origin);

private:
    std::string method_;
    std::string url_;
    Headers headers_;
    std::string body_;
    std::optional<Duration> timeout_;
    std::optional<std::size_t> body_bytes_max_;
    std::optional<int> redirects_max_;
    std::optional<int> retries_;
    std::optional<bool> idempotent_;
};

}  // namespace troupe::http
