#pragma once

#include <troupe/base/duration.hpp>
#include <troupe/http/middleware.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/task.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace troupe::http {

/// What responses say to browsers for their users' safety. The defaults suit pages that nobody else
/// shows in a frame.
class SecurityHeadersOptions {
public:
    SecurityHeadersOptions() = default;

    /// For how long a browser that was here over TLS comes back by TLS only; zero: nothing is said.
    /// A year unless said, without the names below this one. Never said over a plain connection.
    SecurityHeadersOptions& strict_transport(Duration max_age, bool with_subdomains = false) {
        strict_transport_ = max_age;
        with_subdomains_ = with_subdomains;
        return *this;
    }
    /// Who may show our pages in a frame, as CSP's frame-ancestors: "'none'", which is the default,
    /// "'self'", or origins. Old browsers are told by X-Frame-Options, if it can say so.
    SecurityHeadersOptions& frame_ancestors(std::string who) {
        frame_ancestors_ = std::move(who);
        return *this;
    }
    /// strict-origin-when-cross-origin unless said.
    SecurityHeadersOptions& referrer_policy(std::string policy) {
        referrer_policy_ = std::move(policy);
        return *this;
    }
    /// What pages may load and run, without frame-ancestors: only you know. Nothing unless said.
    SecurityHeadersOptions& content_security_policy(std::string policy) {
        content_security_policy_ = std::move(policy);
        return *this;
    }

private:
    friend class SecurityHeaders;

    Duration strict_transport_ = std::chrono::hours(24 * 365);
    bool with_subdomains_ = false;
    std::string frame_ancestors_ = "'none'";
    std::string referrer_policy_ = "strict-origin-when-cross-origin";
    std::string content_security_policy_;
};

/// The middleware: see security_headers().
class SecurityHeaders {
public:
    explicit SecurityHeaders(SecurityHeadersOptions options);

    Task<Response> operator()(Request request, Next next) const;

private:
    struct Texts {
        std::string strict_transport;
        std::string frame_options;
        std::string policy;
        std::string referrer;
    };
    std::shared_ptr<const Texts> texts_;  // shared by copies of the middleware
};

/// `router.use(security_headers())`: Strict-Transport-Security, X-Content-Type-Options,
/// Content-Security-Policy with frame-ancestors, X-Frame-Options and Referrer-Policy in every
/// response. What a handler has said by itself stays as it is.
inline SecurityHeaders security_headers(SecurityHeadersOptions options = SecurityHeadersOptions()) {
    return SecurityHeaders(std::move(options));
}

}  // namespace troupe::http
