#include <troupe/actor/system.hpp>
#include <troupe/http/client_errc.hpp>
#include <troupe/http/headers.hpp>
#include <troupe/io/resolve.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/websocket/internal/dialer.hpp>
#include <troupe/websocket/internal/sha1.hpp>
#include <troupe/websocket/internal/socket_core.hpp>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace troupe::websocket_internal {

namespace {

constexpr std::size_t kHeadBytesMax = std::size_t{16} * 1024;
constexpr std::string_view kLineEnd = "\r\n";

std::string new_key(Engine& engine) {
    std::string bytes(16, '\0');
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
        const std::uint64_t random = engine.random();
        std::memcpy(bytes.data() + at, &random, sizeof random);
    }
    return base64(bytes);
}

/// The first line of `text`, which is taken off it with its end.
std::string_view take_line(std::string_view& text) {
    const std::size_t end = std::min(text.find(kLineEnd), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + kLineEnd.size(), text.size()));
    return line;
}

std::unexpected<Error> bad_answer(std::string sentence) {
    return error(http::ClientErrc::bad_response, std::move(sentence));
}

/// The further lines of a request. Errors: ClientErrc::bad_request.
Result<std::string> header_lines(const websocket::ClientOptions& options) {
    std::string lines;
    for (const auto& [name, value] : options.headers()) {
        const auto breaks = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
        if (name.empty() || name.find_first_of(": \r\n\t") != std::string::npos ||
            std::any_of(value.begin(), value.end(), breaks)) {
            return error(http::ClientErrc::bad_request,
                         "this cannot be sent as a header line: " + name);
        }
        lines.append(name).append(": ").append(value).append(kLineEnd);
    }
    return lines;
}

}  // namespace

Result<http::Url> parse_websocket_url(std::string_view text) {
    constexpr std::string_view kPlain = "ws://";
    constexpr std::string_view kSecure = "wss://";
    if (text.starts_with(kSecure)) {
        return http::Url::parse("https://" + std::string(text.substr(kSecure.size())));
    }
    if (text.starts_with(kPlain)) {
        return http::Url::parse("http://" + std::string(text.substr(kPlain.size())));
    }
    return error(http::ClientErrc::bad_url,
                 "a WebSocket's address begins with ws:// or wss:// : " + std::string(text));
}

Result<Agreement> judge_answer(std::string_view head, std::string_view key,
                               const websocket::Options& options) {
    const std::string_view status = take_line(head);
    if (!status.starts_with("HTTP/1.1 ") || status.size() < 12) {
        return bad_answer("the server does not answer in HTTP/1.1");
    }
    if (status.substr(9, 3) != "101" || (status.size() > 12 && status[12] != ' ')) {
        return error(Errc::unreachable,
                     "the server has refused: " + std::string(status.substr(9, 80)));
    }
    http::Headers headers;
    for (;;) {
        const std::string_view line = take_line(head);
        if (line.empty()) break;
        const std::size_t colon = line.find(':');
        if (colon == 0 || colon == std::string_view::npos || line.front() == ' ' ||
            line.front() == '\t') {
            return bad_answer("the server's answer has a line that is none");
        }
        headers.add(line.substr(0, colon), trimmed(line.substr(colon + 1)));
    }
    if (!http::same_name(joined_lines(headers, "Upgrade"), "websocket") ||
        !has_token(headers, "Connection", "upgrade")) {
        return bad_answer("the server switches to another protocol");
    }
    if (joined_lines(headers, "Sec-WebSocket-Accept") != accept_key(key)) {
        return bad_answer("the server has not read this request: Sec-WebSocket-Accept is wrong");
    }
    Agreement agreement;
    agreement.protocol = joined_lines(headers, "Sec-WebSocket-Protocol");
    const std::vector<std::string>& asked = options.protocols();
    if (!agreement.protocol.empty() &&
        std::find(asked.begin(), asked.end(), agreement.protocol) == asked.end()) {
        return bad_answer("the server has chosen a subprotocol that was not asked for");
    }
    const std::optional<DeflateTerms> deflate =
        accept_deflate(joined_lines(headers, "Sec-WebSocket-Extensions"), deflate_wishes(options));
    if (!deflate) return bad_answer("the server has chosen an extension that was not asked for");
    agreement.deflate = *deflate;
    return agreement;
}

Task<void> Dialer::dial() {
    Result<void> dialed = co_await connect_and_ask();
    if (!dialed) {
        client_.tell<&websocket::Client::dial_failed>(std::move(dialed).error(), attempt_);
    }
    self(this).stop();
}

Task<Result<void>> Dialer::connect_and_ask() {
    const http::Url url = co_await or_return(parse_websocket_url(url_));
    const std::string lines = co_await or_return(header_lines(*options_));
    Stream stream = co_await or_return(co_await connect_to(url));
    const std::string key = new_key(system().engine());
    const std::string request =
        upgrade_request(url.authority(), url.target, key, options_->socket(), lines);
    co_await or_return(co_await stream.write_all(request));
    const std::string head = co_await or_return(co_await receive_head(&stream));
    Agreement agreement = co_await or_return(judge_answer(head, key, options_->socket()));

    auto opening = std::make_unique<Opening>();
    opening->options = std::shared_ptr<const websocket::Options>(options_, &options_->socket());
    opening->stream = std::move(stream);
    opening->request.path = url.target;
    opening->agreement = std::move(agreement);
    opening->received = std::move(received_);
    opening->role = Role::client;
    client_.tell<&websocket::Client::dialed>(std::move(opening), attempt_);
    co_return {};
}

/// To the first of the host's addresses where somebody listens.
Task<Result<Stream>> Dialer::connect_to(http::Url url) {
    auto addresses = co_await or_return(co_await resolve(system().engine(), url.host));
    Result<Stream> stream = error(Errc::not_found, "the host has no address: " + url.host);
    for (std::string& address : addresses) {
        Endpoint endpoint(std::move(address), url.port);
        stream = co_await connect(system().engine(), std::move(endpoint));
        if (stream) break;
    }
    if (!stream || !url.secure) co_return stream;
    std::optional<TlsClient> tls = options_->tls();
    if (!tls) tls = co_await or_return(TlsClient::standard());
    Stream secure = tls_over(std::move(*stream), *tls, url.host);
    co_await or_return(co_await secure.handshake(Interruptible::yes));
    co_return secure;
}

Task<Result<std::string>> Dialer::receive_head(Stream* stream) {
    constexpr std::string_view kHeadEnd = "\r\n\r\n";
    char buffer[2048];
    std::size_t end = 0;
    while ((end = received_.find(kHeadEnd)) == std::string::npos) {
        if (received_.size() > kHeadBytesMax)
            co_return bad_answer("the server's answer is too long");
        const std::size_t got = co_await or_return(co_await stream->read_some(buffer));
        if (got == 0) {
            co_return error(Errc::closed, "the server has ended the connection without an answer");
        }
        received_.append(buffer, got);
    }
    std::string head = received_.substr(0, end + kHeadEnd.size());
    received_.erase(0, head.size());
    co_return head;
}

}  // namespace troupe::websocket_internal
