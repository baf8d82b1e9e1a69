#include <troupe/websocket/internal/handshake.hpp>
#include <troupe/websocket/internal/sha1.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace troupe::websocket_internal {

namespace {

constexpr std::string_view kVersion = "13";
constexpr int kKeyBytes = 16;

/// Calls `visit` with each part between commas until it returns true.
template <class Visit>
bool any_part(std::string_view list, Visit visit) {
    for (;;) {
        const std::size_t comma = list.find(',');
        if (visit(trimmed(list.substr(0, comma)))) return true;
        if (comma == std::string_view::npos) return false;
        list.remove_prefix(comma + 1);
    }
}

http::Response refused(int status, std::string sentence) {
    return http::text(status, std::move(sentence));
}

/// Of the client's subprotocols the first that we have.
std::string choose_protocol(const http::Request& request, const websocket::Options& options) {
    std::string chosen;
    const std::vector<std::string>& ours = options.protocols();
    any_part(joined_lines(request.headers(), "Sec-WebSocket-Protocol"), [&](std::string_view name) {
        if (std::find(ours.begin(), ours.end(), name) == ours.end()) return false;
        chosen = name;
        return true;
    });
    return chosen;
}

/// What an HTTP/1.1 request says that wants to become a WebSocket.
std::optional<http::Response> judge_lines(const http::Request& request) {
    if (!request.header("Upgrade")) {
        http::Response response = refused(426, "There is a WebSocket here, and nothing else.");
        response.header("Upgrade", "websocket");
        response.header("Sec-WebSocket-Version", kVersion);
        return response;
    }
    if (request.minor_version < 1) return refused(400, "An upgrade needs HTTP/1.1.");
    if (!has_token(request.headers(), "Upgrade", "websocket")) {
        return refused(400, "The request does not ask for an upgrade to websocket.");
    }
    if (!has_token(request.headers(), "Connection", "upgrade")) {
        return refused(400, "The request's Connection line does not say Upgrade.");
    }
    return std::nullopt;
}

bool origin_allowed(const http::Request& request, const websocket::Options& options) {
    const auto origin = request.header("Origin");
    if (!origin || options.origins().empty()) return true;
    return std::any_of(options.origins().begin(), options.origins().end(),
                       [&](const std::string& one) { return http::same_name(one, *origin); });
}

}  // namespace

std::string accept_key(std::string_view key) {
    // The text that RFC 6455, section 1.3, has chosen so that nothing else would use it.
    constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const std::array<std::uint8_t, 20> digest = sha1(std::string(key).append(kGuid));
    return base64(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

DeflateWishes deflate_wishes(const websocket::Options& options) {
    DeflateWishes wishes;
    wishes.on = options.deflate();
    wishes.context_takeover = options.context_takeover();
    wishes.window_bits = options.window_bits();
    return wishes;
}

std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view kSpace = " \t";
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool has_token(const http::Headers& headers, std::string_view name, std::string_view token) {
    for (std::size_t i = 0; i < headers.size(); ++i) {
        const http::HeaderField line = headers.at(i);
        const bool found =
            http::same_name(line.name, name) && any_part(line.value, [&](std::string_view part) {
                return http::same_name(part, token);
            });
        if (found) return true;
    }
    return false;
}

std::string joined_lines(const http::Headers& headers, std::string_view name) {
    std::string all;
    for (std::size_t i = 0; i < headers.size(); ++i) {
        const http::HeaderField line = headers.at(i);
        if (!http::same_name(line.name, name)) continue;
        if (!all.empty()) all += ",";
        all += line.value;
    }
    return all;
}

std::optional<http::Response> judge_upgrade(const http::Request& request,
                                            const websocket::Options& options,
                                            Agreement& agreement) {
    if (request.method != "GET") {
        http::Response response = refused(405, "A WebSocket begins with GET.");
        response.header("Allow", "GET");
        return response;
    }
    // Over HTTP/2 the request's method asks for it (RFC 8441), and nothing else is needed.
    if (!request.opens_websocket) {
        if (auto refusal = judge_lines(request)) return refusal;
    }
    const std::string version = joined_lines(request.headers(), "Sec-WebSocket-Version");
    if (version.empty()) return refused(400, "The request has no Sec-WebSocket-Version.");
    if (version != kVersion) {
        http::Response response = refused(426, "This server speaks version 13.");
        response.header("Sec-WebSocket-Version", kVersion);
        return response;
    }
    if (!request.opens_websocket &&
        base64_size(joined_lines(request.headers(), "Sec-WebSocket-Key")) != kKeyBytes) {
        return refused(400, "The request has no proper Sec-WebSocket-Key: 16 bytes in base64.");
    }
    if (!request.body.empty()) return refused(400, "A request for an upgrade has no body.");
    if (!origin_allowed(request, options)) {
        return refused(403, "Pages of this origin may not connect here.");
    }
    agreement.protocol = choose_protocol(request, options);
    agreement.deflate = choose_deflate(joined_lines(request.headers(), "Sec-WebSocket-Extensions"),
                                       deflate_wishes(options));
    return std::nullopt;
}

std::string upgrade_response(std::string_view key, const Agreement& agreement) {
    std::string head =
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: ";
    head.append(accept_key(key)).append("\r\n");
    if (!agreement.protocol.empty()) {
        head.append("Sec-WebSocket-Protocol: ").append(agreement.protocol).append("\r\n");
    }
    if (agreement.deflate.on) {
        head.append("Sec-WebSocket-Extensions: ").append(deflate_response(agreement.deflate));
        head.append("\r\n");
    }
    return head.append("\r\n");
}

std::string upgrade_request(std::string_view host, std::string_view target, std::string_view key,
                            const websocket::Options& options, std::string_view more_lines) {
    std::string head = "GET ";
    head.append(target).append(" HTTP/1.1\r\nHost: ").append(host);
    head.append("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
    head.append(key).append("\r\nSec-WebSocket-Version: ").append(kVersion).append("\r\n");
    std::string names;
    for (const std::string& name : options.protocols()) {
        if (!names.empty()) names += ", ";
        names += name;
    }
    if (!names.empty()) head.append("Sec-WebSocket-Protocol: ").append(names).append("\r\n");
    const DeflateWishes wishes = deflate_wishes(options);
    if (wishes.on) {
        head.append("Sec-WebSocket-Extensions: ").append(deflate_offer(wishes)).append("\r\n");
    }
    return head.append(more_lines).append("\r\n");
}

}  // namespace troupe::websocket_internal
