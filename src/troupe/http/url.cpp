#include <troupe/http/internal/text.hpp>
#include <troupe/http/url.hpp>

#include <algorithm>
#include <charconv>

namespace troupe::http {

namespace {

// What servers commonly take in a request line, with the scheme and the host before it.
constexpr std::size_t kUrlBytesMax = 8 * 1024;

constexpr std::uint16_t kPortOfHttp = 80;
constexpr std::uint16_t kPortOfHttps = 443;

std::unexpected<Error> bad(std::string_view text, const std::string& why) {
    // What is too long to be an address is too long to be shown.
    constexpr std::size_t kShown = 100;
    std::string shown(text.substr(0, kShown));
    for (char& c : shown) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return error(ClientErrc::bad_url, "'" + shown + (text.size() > kShown ? "...'" : "'") +
                                          " is no address for a client: " + why);
}

/// The first place with a byte that no address may hold, or npos.
std::size_t find_illegal(std::string_view text) {
    const auto* const at = std::find_if(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte <= 0x20 || byte >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' ||
               c == '^' || c == '`' || c == '{' || c == '|' || c == '}';
    });
    return at == text.end() ? std::string_view::npos : static_cast<std::size_t>(at - text.begin());
}

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool is_ipv6_character(char c) {
    return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.';
}

/// A path as RFC 3986 (5.2.4) wants it resolved: without "." and "..".
std::string without_dots(std::string_view path) {
    std::string out;
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/', 1), path.size());
        const std::string_view segment = path.substr(0, end);
        path.remove_prefix(end);
        const bool last = path.empty();
        if (segment == "/.") {
            if (last) out += '/';
        } else if (segment == "/..") {
            out.resize(std::min(out.rfind('/'), out.size()));
            if (last) out += '/';
        } else {
            out += segment;
        }
    }
    return out.empty() ? "/" : out;
}

/// Reads `host:port` into the address.
Result<void> read_authority(std::string_view text, std::string_view authority, Url& url) {
    if (authority.find('@') != std::string_view::npos) {
        return bad(text, "a user name does not belong into it; use an Authorization line");
    }
    std::string_view port;
    const bool brackets = authority.starts_with('[');
    const std::size_t host_end = brackets ? authority.find(']') : authority.find(':');
    if (brackets && host_end == std::string_view::npos) return bad(text, "the ']' is missing");
    std::string_view host = authority.substr(brackets ? 1 : 0, brackets ? host_end - 1 : host_end);
    if (host_end != std::string_view::npos) {
        port = authority.substr(host_end + (brackets ? 1 : 0));
    }
    url.host.assign(host);
    std::transform(url.host.begin(), url.host.end(), url.host.begin(), http_internal::lower);
    const bool good = std::all_of(url.host.begin(), url.host.end(),
                                  brackets ? is_ipv6_character : is_name_character);
    if (host.empty() || !good) return bad(text, "the host is missing or malformed");

    url.port = url.secure ? kPortOfHttps : kPortOfHttp;
    if (port.empty() || port == ":") return {};
    port.remove_prefix(1);
    const char* const begin = port.data();
    const char* const end = begin + port.size();
    const auto [stopped, failed] = std::from_chars(begin, end, url.port);
    const bool number = failed == std::errc() && stopped == end && url.port != 0;
    if (authority[authority.size() - port.size() - 1] != ':' || !number) {
        return bad(text, "the port is no number from 1 to 65535");
    }
    return {};
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
    if (text.size() > kUrlBytesMax) {
        return bad(text, "it is longer than " + std::to_string(kUrlBytesMax) + " bytes");
    }
    if (const std::size_t place = find_illegal(text); place != std::string_view::npos) {
        return bad(text, "the character at " + std::to_string(place) + " must be percent-encoded");
    }
    const std::size_t scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos)
        return bad(text, "it begins with neither http:// nor https://");
    const std::string_view scheme = text.substr(0, scheme_end);
    const bool secure = http_internal::equals_ignoring_case(scheme, "https");
    if (!secure && !http_internal::equals_ignoring_case(scheme, "http")) {
        return bad(text, "it begins with neither http:// nor https://");
    }
    const std::string_view rest = text.substr(scheme_end + 3);
    const std::size_t authority_end = std::min(rest.find_first_of("/?#"), rest.size());
    Url url;
    url.secure = secure;
    TROUPE_TRY(read_authority(text, rest.substr(0, authority_end), url));

    // A fragment is the reader's own affair and is never sent.
    const std::size_t fragment = std::min(rest.find('#'), rest.size());
    url.target.assign(rest.substr(authority_end, fragment - authority_end));
    if (!url.target.starts_with('/')) url.target.insert(0, 1, '/');
    return url;
}

Result<Url> Url::resolve(std::string_view reference) const {
    const std::size_t colon = reference.find_first_of(":/?#");
    const bool absolute = colon != std::string_view::npos && colon > 0 && reference[colon] == ':';
    if (absolute) return parse(reference);
    const std::string here = origin();
    if (reference.starts_with("//")) {
        return parse(here.substr(0, here.find('/')) + std::string(reference));
    }
    const std::size_t query = std::min(target.find('?'), target.size());
    const std::string path = target.substr(0, query);
    if (reference.empty() || reference.starts_with('#')) return *this;
    if (reference.starts_with('?')) return parse(here + path + std::string(reference));

    const std::size_t path_end = std::min(reference.find_first_of("?#"), reference.size());
    std::string merged(reference.substr(0, path_end));
    if (!merged.starts_with('/')) merged.insert(0, path, 0, path.rfind('/') + 1);
    return parse(here + without_dots(merged) + std::string(reference.substr(path_end)));
}

std::string Url::authority() const {
    std::string out = host.find(':') != std::string::npos ? "[" + host + "]" : host;
    if (port != (secure ? kPortOfHttps : kPortOfHttp)) out += ":" + std::to_string(port);
    return out;
}

std::string Url::origin() const {
    return (secure ? "https://" : "http://") + authority();
}

std::string Url::text() const {
    return origin() + target;
}

}  // namespace troupe::http
