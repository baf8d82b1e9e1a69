#include <troupe/http/internal/forwarding.hpp>
#include <troupe/http/internal/text.hpp>
#include <troupe/http/request.hpp>

namespace troupe::http {

std::string_view Request::parameter(std::string_view name) const {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
        HeaderField parameter = parameters_.at(i);
        if (parameter.name == name) return parameter.value;
    }
    return std::string_view();
}

void Request::set_parameter(std::string_view name, std::string_view value) {
    parameters_.add(name, value);
}

std::optional<std::string> Request::query_parameter(std::string_view name) const {
    std::string_view rest = query;
    std::string decoded_name;
    while (!rest.empty()) {
        std::size_t end = rest.find('&');
        std::string_view pair = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);

        std::size_t equals = pair.find('=');
        decoded_name.clear();
        http_internal::append_decoded(decoded_name, pair.substr(0, equals), true);
        if (decoded_name != name || pair.empty()) continue;

        std::string value;
        if (equals != std::string_view::npos) {
            http_internal::append_decoded(value, pair.substr(equals + 1), true);
        }
        return value;
    }
    return std::nullopt;
}

std::string_view Request::host() const {
    const auto forwarded = http_internal::forwarded_host(*this);
    return forwarded ? *forwarded : header("Host").value_or(std::string_view());
}

std::string_view Request::protocol() const {
    if (origin_.http2) return "HTTP/2";
    return minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

void Request::clear() {
    constexpr std::string_view kGet = "GET";
    if (method != kGet) method.assign(kGet);
    path.assign(1, '/');
    minor_version = 1;
    opens_websocket = false;
    keep_alive = true;
    headers_.clear();
    clear_but_headers();
}

void Request::clear_but_headers() {
    // One large upload must not make an idle connection large for the rest of its life.
    constexpr std::size_t kBodyBytesKept = 64 * 1024;

    query.clear();
    body.clear();
    if (body.capacity() > kBodyBytesKept) body.shrink_to_fit();
    trailers_.clear();
    parameters_.clear();
}

}  // namespace troupe::http
