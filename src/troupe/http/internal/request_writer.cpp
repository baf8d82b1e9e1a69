#include <troupe/base/error.hpp>
#include <troupe/http/client_errc.hpp>
#include <troupe/http/internal/head_lexer.hpp>
#include <troupe/http/internal/request_writer.hpp>
#include <troupe/http/internal/text.hpp>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace troupe::http_internal {

namespace {

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

bool is_value(std::string_view text) {
    for (std::size_t at = find_control(text); at < text.size();) {
        if (text[at] != '\t') return false;
        at += 1 + find_control(text.substr(at + 1));
    }
    return true;
}

/// What says where the request ends, or what happens to the connection.
bool is_ours(std::string_view name) {
    constexpr std::string_view kOurs[] = {
        "Host",    "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive",
        "Upgrade", "Expect",         "Proxy-Connection",  "TE"};
    return std::any_of(std::begin(kOurs), std::end(kOurs),
                       [&](std::string_view one) { return equals_ignoring_case(name, one); });
}

std::unexpected<Error> bad(const std::string& why) {
    return error(http::ClientErrc::bad_request, why);
}

}  // namespace

Result<std::string> write_request_head(const http::ClientRequest& request, const http::Url& url,
                                       RequestBody body) {
    const std::string& method = request.method();
    if (!is_token(method)) return bad("the method is malformed");
    if (method == "CONNECT") return bad("this client has no use for CONNECT");

    std::string out = method + " " + url.target + " HTTP/1.1\r\nHost: " + url.authority() + "\r\n";
    for (std::size_t i = 0; i < request.headers().size(); ++i) {
        const http::HeaderField field = request.headers().at(i);
        if (!is_token(field.name)) return bad("the name of a header line is malformed");
        if (!is_value(field.value)) {
            return bad("the header line " + std::string(field.name) + " holds a control character");
        }
        if (is_ours(field.name)) {
            return bad("the header line " + std::string(field.name) + " is written by the client");
        }
        out.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    // A server may wait for a body where one would be usual, unless it is told that there is none.
    const bool expects_body = method == "POST" || method == "PUT" || method == "PATCH";
    if (body == RequestBody::chunked) {
        out += "Transfer-Encoding: chunked\r\n";
    } else if (!request.body().empty() || expects_body) {
        out += "Content-Length: " + std::to_string(request.body().size()) + "\r\n";
    }
    out += "\r\n";
    return out;
}

}  // namespace troupe::http_internal
