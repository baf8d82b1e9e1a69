#include <troupe/http/internal/forwarding.hpp>
#include <troupe/http/internal/text.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace troupe::http_internal {

namespace {

// Longer chains are cut at their far end, which nobody trusts.
constexpr std::size_t kHopsMax = 32;

/// The text behind the last separator that is not within quotes; it and the separator go. Read from
/// the end: what trusted proxies have appended is well-formed, and what they have appended it to,
/// which may open a quote and never close it, is not to swallow it.
std::string_view take_last(std::string_view& list, char separator, bool quotes) {
    std::size_t begins = list.size();
    for (bool quoted = false; begins > 0; --begins) {
        const char c = list[begins - 1];
        if (c == separator && !quoted) break;
        if (c != '"' || !quotes) continue;
        std::size_t escapes = 0;
        while (begins - 1 > escapes && list[begins - 2 - escapes] == '\\')
            ++escapes;
        if (escapes % 2 == 0) quoted = !quoted;
    }
    const std::string_view last = trimmed(list.substr(begins));
    list = list.substr(0, begins == 0 ? 0 : begins - 1);
    return last;
}

/// The elements of all lines of this name, the last one first.
std::vector<std::string_view> elements(const http::Request& request, std::string_view name,
                                       bool quotes) {
    std::vector<std::string_view> found;
    for (std::size_t i = request.headers().size(); i-- > 0;) {
        const http::HeaderField field = request.headers().at(i);
        if (!equals_ignoring_case(field.name, name)) continue;
        std::string_view list = field.value;
        do {
            if (found.size() == kHopsMax) return found;
            found.push_back(take_last(list, ',', quotes));
        } while (!list.empty());
    }
    return found;
}

std::optional<std::string_view> last_element(const http::Request& request, std::string_view name) {
    const auto all = elements(request, name, false);
    return all.empty() || all.front().empty() ? std::nullopt : std::optional(all.front());
}

/// "1.2.3.4", "1.2.3.4:80", "[::1]:80", "[::1]", "::1". Names and "unknown" are none.
std::optional<IpAddress> address_of(std::string_view node) {
    if (node.starts_with('[')) {
        const std::size_t end = node.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view rest = node.substr(end + 1);
        if (!rest.empty() && rest.front() != ':') return std::nullopt;
        return IpAddress::parse(node.substr(1, end - 1));
    }
    const bool has_port = std::count(node.begin(), node.end(), ':') == 1;
    return IpAddress::parse(has_port ? node.substr(0, node.find(':')) : node);
}

/// The value of a parameter of one element of Forwarded. Escapes within quotes are for what no
/// address, scheme or host has.
std::optional<std::string_view> parameter(std::string_view element, std::string_view name) {
    while (!element.empty()) {
        const std::string_view pair = take_last(element, ';', true);
        const std::size_t equals = pair.find('=');
        if (equals == std::string_view::npos) continue;
        if (!equals_ignoring_case(trimmed(pair.substr(0, equals)), name)) continue;
        std::string_view value = trimmed(pair.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
            value = value.substr(1, value.size() - 2);
        }
        if (value.empty() || value.find_first_of("\"\\") != std::string_view::npos) {
            return std::nullopt;
        }
        return value;
    }
    return std::nullopt;
}

}  // namespace

void note_origin(http::Request& request, const http::Origin& connection,
                 const IpNetworks& trusted) {
    http::Origin& origin = request.origin();
    origin = connection;
    if (!origin.proxied) return;
    const bool rfc = origin.forwarding == http::Forwarding::forwarded;
    const auto hops = elements(request, rfc ? "Forwarded" : "X-Forwarded-For", rfc);
    std::optional<std::string_view> proto;
    for (std::size_t i = 0; i < hops.size(); ++i) {
        const auto node = rfc ? parameter(hops[i], "for") : std::optional(hops[i]);
        const std::optional<IpAddress> hop = node ? address_of(*node) : std::nullopt;
        // Also when the hop hides itself: whoever wrote the element is trusted.
        origin.hop = static_cast<std::uint8_t>(i);
        if (rfc) proto = parameter(hops[i], "proto");
        if (!hop) break;
        origin.client = *hop;
        if (!trusted.contains(*hop)) break;
    }
    if (!rfc) proto = last_element(request, "X-Forwarded-Proto");
    if (!proto) return;
    origin.secure = equals_ignoring_case(*proto, "https") || equals_ignoring_case(*proto, "wss");
}

std::optional<std::string_view> forwarded_host(const http::Request& request) {
    const http::Origin& origin = request.origin();
    if (!origin.proxied) return std::nullopt;
    if (origin.forwarding == http::Forwarding::x_forwarded) {
        return last_element(request, "X-Forwarded-Host");
    }
    const auto hops = elements(request, "Forwarded", true);
    return origin.hop < hops.size() ? parameter(hops[origin.hop], "host") : std::nullopt;
}

}  // namespace troupe::http_internal
