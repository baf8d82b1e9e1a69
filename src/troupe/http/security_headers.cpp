#include <troupe/http/security_headers.hpp>

#include <string_view>

namespace troupe::http {

namespace {

void say(Response& response, std::string_view name, const std::string& value) {
    if (!value.empty() && response.header(name).empty()) response.header(name, value);
}

}  // namespace

SecurityHeaders::SecurityHeaders(SecurityHeadersOptions options) {
    Texts texts;
    const auto age =
        std::chrono::duration_cast<std::chrono::seconds>(options.strict_transport_).count();
    if (age > 0) texts.strict_transport = "max-age=" + std::to_string(age);
    if (age > 0 && options.with_subdomains_) texts.strict_transport += "; includeSubDomains";
    if (options.frame_ancestors_ == "'none'") texts.frame_options = "DENY";
    if (options.frame_ancestors_ == "'self'") texts.frame_options = "SAMEORIGIN";
    texts.policy = options.content_security_policy_;
    if (!options.frame_ancestors_.empty()) {
        if (!texts.policy.empty()) texts.policy += "; ";
        texts.policy += "frame-ancestors " + options.frame_ancestors_;
    }
    texts.referrer = options.referrer_policy_;
    texts_ = std::make_shared<const Texts>(std::move(texts));
}

Task<Response> SecurityHeaders::operator()(Request request, Next next) const {
    const auto texts = texts_;
    const bool secure = request.secure();
    Response response = co_await next(std::move(request));
    if (response.switches()) co_return response;
    if (secure) say(response, "Strict-Transport-Security", texts->strict_transport);
    say(response, "X-Content-Type-Options", "nosniff");
    say(response, "Content-Security-Policy", texts->policy);
    say(response, "X-Frame-Options", texts->frame_options);
    say(response, "Referrer-Policy", texts->referrer);
    co_return response;
}

}  // namespace troupe::http
