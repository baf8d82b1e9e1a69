#pragma once

// Cookies: what a request brings, and what a response sets (RFC 6265bis).
//
//     std::string_view who = http::cookie(request, "session").value_or("");
//     ...
//     auto set = http::set_cookie(response, http::SetCookie("__Host-session", token).max_age(24h));
//     if (!set) co_return http::from(set.error());

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::http {

/// The value of the request's first cookie of that name, exactly as it was sent; browsers send the
/// one with the longest path first. Valid as long as the Request is neither changed nor moved.
std::optional<std::string_view> cookie(const Request& request, std::string_view name);

struct Cookie {
    std::string_view name;
    std::string_view value;
};

/// All cookies of the request, in order; 100 at most. What has no name is left out.
std::vector<Cookie> cookies(const Request& request);

/// What a cookie goes along with when another site's page leads here: never, when somebody follows
/// a link, or always.
enum class SameSite : std::uint8_t { strict, lax, none };

/// A cookie to be set. Unless said otherwise it is for all of this site and nobody else: Path=/,
/// HttpOnly, Secure, SameSite=Lax, and gone with the browser's session. Browsers take Secure
/// cookies of http://localhost, too, so development needs no exception.
class SetCookie {
public:
    SetCookie(std::string name, std::string value)
        : name_(std::move(name)), value_(std::move(value)) {}

    /// Makes the browser forget a cookie; path and domain are to be those it was set with.
    static SetCookie removal(std::string name) {
        return SetCookie(std::move(name), std::string()).max_age(Duration::zero());
    }

    SetCookie& path(std::string path) {
        path_ = std::move(path);
        return *this;
    }
    /// Also for the domain's other hosts.
    SetCookie& domain(std::string domain) {
        domain_ = std::move(domain);
        return *this;
    }
    /// How long it is kept; whole seconds. Zero or less: it is forgotten at once.
    SetCookie& max_age(Duration age) {
        max_age_ = age;
        return *this;
    }
    /// Whether scripts of the page cannot read it.
    SetCookie& http_only(bool on) {
        http_only_ = on;
        return *this;
    }
    /// Whether it is sent over TLS only.
    SetCookie& secure(bool on) {
        secure_ = on;
        return *this;
    }
    SetCookie& same_site(SameSite same_site) {
        same_site_ = same_site;
        return *this;
    }

    /// The Set-Cookie line's value.
    ///
    /// Errors:  failed, saying what is wrong: a name that is no token; a value with a character
    /// that
    ///          no cookie holds (encode it: base64 or percent); a path or domain with one; more
    ///          than 4096 bytes; SameSite::none without secure; and what browsers ignore: a name
    ///          that begins with "__Secure-" without secure, or with "__Host-" without secure, with
    ///          a domain, or with another path than "/".
    Result<std::string> text() const;

private:
    std::string name_;
    std::string value_;
    std::string path_ = "/";
    std::string domain_;
    std::optional<Duration> max_age_;
    bool http_only_ = true;
    bool secure_ = true;
    SameSite same_site_ = SameSite::lax;
};

/// Appends a Set-Cookie line.
///
/// Errors: SetCookie::text's; the response is as it was then.
Result<void> set_cookie(Response& response, const SetCookie& cookie);

/// Signs values, so that a client can keep them and cannot make them up: HMAC-SHA256 over the
/// cookie's name and value. Everybody can read them, and an old one can be sent again: put into the
/// value until when it holds.
class CookieSigner {
public:
    /// The first key signs; all of them are believed, so that keys can be changed. Keys are secret
    /// and random, of 32 bytes.
    ///
    /// Errors: failed, when there is none or one has less than 16 bytes.
    static Result<CookieSigner> make(std::vector<std::string> keys);

    /// The value to set: what was given, ".", and the signature.
    std::string sign(std::string_view name, std::string_view value) const;

    /// The value that was signed; nothing when this text was not. Takes the same time for every
    /// wrong signature.
    std::optional<std::string> verify(std::string_view name, std::string_view text) const;

private:
    explicit CookieSigner(std::vector<std::string> keys) : keys_(std::move(keys)) {}

    std::vector<std::string> keys_;
};

}  // namespace troupe::http
