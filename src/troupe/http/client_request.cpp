#include <troupe/http/client_request.hpp>
#include <troupe/http/internal/text.hpp>

#include <algorithm>

namespace troupe::http {

namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    return std::any_of(names.begin(), names.end(), [&](std::string_view one) {
        return http_internal::equals_ignoring_case(name, one);
    });
}

}  // namespace

bool ClientRequest::idempotent() const {
    if (idempotent_) return *idempotent_;
    const std::initializer_list<std::string_view> harmless = {"GET",   "HEAD", "OPTIONS",
                                                              "TRACE", "PUT",  "DELETE"};
    return std::find(harmless.begin(), harmless.end(), method_) != harmless.end();
}

void ClientRequest::redirect(int status, std::string url, bool same_origin) {
    url_ = std::move(url);
    const bool becomes_get =
        method_ != "HEAD" &&
        (status == 303 || (method_ == "POST" && (status == 301 || status == 302)));
    if (becomes_get) {
        method_ = "GET";
        body_.clear();
        idempotent_.reset();
    }
    Headers kept;
    for (std::size_t i = 0; i < headers_.size(); ++i) {
        const HeaderField field = headers_.at(i);
        // What speaks of the body goes with it, and what was meant for one server is not shown to
        // another.
        const bool of_body =
            field.name.size() > 8 && is_one_of(field.name.substr(0, 8), {"Content-"});
        const bool secret =
            is_one_of(field.name, {"Authorization", "Cookie", "Proxy-Authorization"});
        if ((becomes_get && of_body) || (!same_origin && secret)) continue;
        kept.add(field.name, field.value);
    }
    headers_ = std::move(kept);
}

}  // namespace troupe::http
