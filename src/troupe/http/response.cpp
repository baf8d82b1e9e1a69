#include <troupe/http/forms.hpp>
#include <troupe/http/internal/head_lexer.hpp>
#include <troupe/http/internal/text.hpp>
#include <troupe/http/json.hpp>
#include <troupe/http/response.hpp>

#include <cstddef>
#include <utility>

namespace troupe::http {

namespace {

bool is_control(char c) {
    auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

int status_of(const Error& error) {
    if (error == FormErrc::wrong_type) return 415;
    if (error == FormErrc::malformed) return 400;
    if (error == FormErrc::too_large) return 413;
    if (error == Errc::not_found) return 404;
    if (error == Errc::timed_out) return 504;
    if (error == Errc::actor_gone || error == Errc::mailbox_full) return 503;
    return 500;
}

std::string code_of(const Error& error) {
    // Equal to the enumerator of that value exactly when the error's enum is Errc.
    auto code = static_cast<Errc>(error.value());
    if (error == code && !name(code).empty()) return std::string(name(code));
    return std::to_string(error.value());
}

/// Keeps what is written.
class StringSink final : public http_internal::BodySink {
public:
    Task<Result<void>> write(std::string_view piece) override {
        text += piece;
        co_return Result<void>();
    }
    void trailer(std::string_view, std::string_view) override {}

    std::string text;
};

}  // namespace

std::string_view reason_phrase(int status) {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "Switching Protocols";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 203:
            return "Non-Authoritative Information";
        case 204:
            return "No Content";
        case 205:
            return "Reset Content";
        case 206:
            return "Partial Content";
        case 300:
            return "Multiple Choices";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 402:
            return "Payment Required";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 407:
            return "Proxy Authentication Required";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 416:
            return "Range Not Satisfiable";
        case 417:
            return "Expectation Failed";
        case 418:
            return "I'm a teapot";
        case 421:
            return "Misdirected Request";
        case 422:
            return "Unprocessable Content";
        case 423:
            return "Locked";
        case 424:
            return "Failed Dependency";
        case 425:
            return "Too Early";
        case 426:
            return "Upgrade Required";
        case 428:
            return "Precondition Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 451:
            return "Unavailable For Legal Reasons";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        case 507:
            return "Insufficient Storage";
        case 511:
            return "Network Authentication Required";
        default:
            return "";
    }
}

Response& Response::header(std::string_view name, std::string_view value) & {
    using http_internal::equals_ignoring_case;
    if (equals_ignoring_case(name, "Content-Length") ||
        equals_ignoring_case(name, "Transfer-Encoding") || equals_ignoring_case(name, "Date")) {
        return *this;
    }
    if (equals_ignoring_case(name, "Connection")) {
        if (equals_ignoring_case(value, "close")) close();
        return *this;
    }
    if (equals_ignoring_case(name, "Content-Type")) type_ = std::string_view();
    for (char c : name) {
        header_lines_ += http_internal::is_token_character(c) ? c : '-';
    }
    header_lines_ += ": ";
    for (char c : value) {
        header_lines_ += is_control(c) ? ' ' : c;
    }
    header_lines_ += "\r\n";
    return *this;
}

std::string_view Response::header(std::string_view name) const& {
    std::string_view rest = header_lines_;
    while (!rest.empty()) {
        std::size_t colon = rest.find(':');
        std::size_t end = rest.find("\r\n");
        if (http_internal::equals_ignoring_case(rest.substr(0, colon), name)) {
            return rest.substr(colon + 2, end - colon - 2);
        }
        rest.remove_prefix(end + 2);
    }
    return std::string_view();
}

Response& Response::remove_header(std::string_view name) & {
    for (std::size_t at = 0; at < header_lines_.size();) {
        const std::size_t colon = header_lines_.find(':', at);
        const std::size_t end = header_lines_.find("\r\n", at) + 2;
        const std::string_view here = std::string_view(header_lines_).substr(at, colon - at);
        if (http_internal::equals_ignoring_case(here, name)) {
            header_lines_.erase(at, end - at);
        } else {
            at = end;
        }
    }
    return *this;
}

Response html(std::string page) {
    return Response(200, "text/html; charset=utf-8", std::move(page));
}

Response text(int status, std::string text) {
    return Response(status, "text/plain; charset=utf-8", std::move(text));
}

Task<Result<std::string>> whole_body(Response response) {
    if (!response.producer()) co_return response.take_body();
    StringSink sink;
    co_await or_return(co_await response.producer()->run(BodyWriter(sink)));
    co_return std::move(sink.text);
}

Response from(const Error& error) {
    std::string document = "{\"error\":";
    append_json_string(document, error.text().empty() ? "the request failed" : error.text());
    document += ",\"code\":";
    append_json_string(document, code_of(error));
    document += "}";
    return Response(status_of(error), "application/json", std::move(document));
}

}  // namespace troupe::http
