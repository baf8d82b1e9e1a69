#include <troupe/base/error.hpp>
#include <troupe/http/cookies.hpp>
#include <troupe/http/internal/character_set.hpp>
#include <troupe/http/internal/head_lexer.hpp>
#include <troupe/http/internal/text.hpp>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

namespace troupe::http {

namespace {

using http_internal::cut_before;

constexpr std::size_t kCookiesMax = 100;
constexpr std::size_t kCookieBytesMax = 4096;  // browsers ignore larger ones

/// Calls visit(name, value) for each until it returns false.
template <class Visit>
void for_each_cookie(const Request& request, const Visit& visit) {
    const Headers& headers = request.headers();
    for (std::size_t i = 0; i < headers.size(); ++i) {
        const HeaderField line = headers.at(i);
        if (!same_name(line.name, "Cookie")) continue;
        std::string_view list = line.value;
        while (!list.empty()) {
            const std::string_view pair = cut_before(list, ';');
            const std::size_t equals = pair.find('=');
            if (equals == std::string_view::npos || equals == 0) continue;
            const std::string_view name = http_internal::trimmed(pair.substr(0, equals));
            const std::string_view value = http_internal::trimmed(pair.substr(equals + 1));
            if (!visit(name, value)) return;
        }
    }
}

/// RFC 6265's cookie-octet: what every reader takes for part of a value.
bool is_value_character(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

/// What may stand in a path or domain.
bool is_attribute_character(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte < 0x7f && c != ';';
}

bool is_name(std::string_view name) {
    return !name.empty() &&
           std::all_of(name.begin(), name.end(), http_internal::is_token_character);
}

bool has_prefix(std::string_view name, std::string_view prefix) {
    return http_internal::equals_ignoring_case(name.substr(0, prefix.size()), prefix);
}

std::string_view name_of(SameSite same_site) {
    if (same_site == SameSite::strict) return "Strict";
    return same_site == SameSite::lax ? "Lax" : "None";
}

// ---- signatures ---------------------------------------------------------------------------------

constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kSignatureCharacters = 43;  // of base64, without the padding

std::string signature(const std::string& key, std::string_view name, std::string_view value) {
    // No name holds an "=", so no two pairs give the same text.
    std::string text(name);
    text += '=';
    text += value;
    std::array<unsigned char, kDigestBytes> digest{};
    unsigned int size = 0;
    ::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
    std::array<unsigned char, 48> encoded{};
    ::EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
    std::string out(reinterpret_cast<const char*>(encoded.data()), kSignatureCharacters);
    std::replace(out.begin(), out.end(), '+', '-');
    std::replace(out.begin(), out.end(), '/', '_');
    return out;
}

}  // namespace

std::optional<std::string_view> cookie(const Request& request, std::string_view name) {
    std::optional<std::string_view> found;
    for_each_cookie(request, [&](std::string_view each, std::string_view value) {
        if (each == name) found = value;
        return !found.has_value();
    });
    return found;
}

std::vector<Cookie> cookies(const Request& request) {
    std::vector<Cookie> all;
    for_each_cookie(request, [&](std::string_view name, std::string_view value) {
        all.push_back(Cookie{name, value});
        return all.size() < kCookiesMax;
    });
    return all;
}

Result<std::string> SetCookie::text() const {
    const auto wrong = [&](const char* what) {
        return error(Errc::failed, "the cookie \"" + name_ + "\" " + what);
    };
    if (!is_name(name_)) return error(Errc::failed, "a cookie's name is not a token");
    if (!std::all_of(value_.begin(), value_.end(), is_value_character)) {
        return wrong("has a value with a space or another character that no cookie holds");
    }
    if (name_.size() + value_.size() > kCookieBytesMax) return wrong("has more than 4096 bytes");
    const bool path_is_plain =
        path_.starts_with('/') && std::all_of(path_.begin(), path_.end(), is_attribute_character);
    if (!path_is_plain) return wrong("has a path that is none");
    if (!std::all_of(domain_.begin(), domain_.end(), is_attribute_character)) {
        return wrong("has a domain that is none");
    }
    if (path_.size() > 1024 || domain_.size() > 1024) return wrong("has a path that is too long");
    if (same_site_ == SameSite::none && !secure_) return wrong("is SameSite=None and not Secure");
    const bool is_of_host = has_prefix(name_, "__Host-");
    if ((is_of_host || has_prefix(name_, "__Secure-")) && !secure_) {
        return wrong("is not Secure, as its name says");
    }
    if (is_of_host && (!domain_.empty() || path_ != "/")) {
        return wrong("has a domain or a path, though it is for one host as its name says");
    }

    std::string out = name_ + "=" + value_ + "; Path=" + path_;
    if (!domain_.empty()) out += "; Domain=" + domain_;
    if (max_age_) {
        const auto seconds = std::chrono::floor<std::chrono::seconds>(*max_age_).count();
        out += "; Max-Age=" + std::to_string(std::max<std::int64_t>(seconds, 0));
    }
    if (secure_) out += "; Secure";
    if (http_only_) out += "; HttpOnly";
    out += "; SameSite=";
    out += name_of(same_site_);
    return out;
}

Result<void> set_cookie(Response& response, const SetCookie& cookie) {
    TROUPE_TRY(const std::string text, cookie.text());
    response.header("Set-Cookie", text);
    return Result<void>();
}

Result<CookieSigner> CookieSigner::make(std::vector<std::string> keys) {
    constexpr std::size_t kKeyBytesMin = 16;
    if (keys.empty()) return error(Errc::failed, "signing cookies needs a key");
    for (const std::string& key : keys) {
        if (key.size() < kKeyBytesMin) {
            return error(Errc::failed, "a key that signs cookies has less than 16 bytes");
        }
    }
    return CookieSigner(std::move(keys));
}

std::string CookieSigner::sign(std::string_view name, std::string_view value) const {
    return std::string(value) + "." + signature(keys_.front(), name, value);
}

std::optional<std::string> CookieSigner::verify(std::string_view name,
                                                std::string_view text) const {
    if (text.size() < kSignatureCharacters + 1) return std::nullopt;
    const std::string_view value = text.substr(0, text.size() - kSignatureCharacters - 1);
    const std::string_view given = text.substr(text.size() - kSignatureCharacters);
    if (text[value.size()] != '.') return std::nullopt;
    bool right = false;
    for (const std::string& key : keys_) {
        const std::string wanted = signature(key, name, value);
        right |= ::CRYPTO_memcmp(wanted.data(), given.data(), wanted.size()) == 0;
    }
    return right ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace troupe::http
