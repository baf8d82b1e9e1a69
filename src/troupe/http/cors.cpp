// https://fetch.spec.whatwg.org/#http-cors-protocol

#include <troupe/base/assert.hpp>
#include <troupe/http/cors.hpp>

#include <algorithm>
#include <optional>

namespace troupe::http {

namespace {

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        if (!text.empty()) text += ", ";
        text += name;
    }
    return text;
}

}  // namespace

struct Cors::Texts {
    explicit Texts(CorsOptions the_options)
        : options(std::move(the_options)),
          methods(listed(options.methods_)),
          headers(listed(options.headers_)),
          exposed(listed(options.exposed_)),
          max_age(std::to_string(
              std::chrono::duration_cast<std::chrono::seconds>(options.max_age_).count())) {}

    CorsOptions options;
    std::string methods;
    std::string headers;
    std::string exposed;
    std::string max_age;
};

Cors::Cors(CorsOptions options) : texts_(std::make_shared<const Texts>(std::move(options))) {
    TROUPE_ASSERT(!(texts_->options.any_origin_ && texts_->options.credentials_),
                  "CORS: say which origins may use credentials; any_origin() may not");
}

bool Cors::allows(std::string_view origin) const {
    const CorsOptions& options = texts_->options;
    if (options.any_origin_) return true;
    const bool named = std::find(options.origins_.begin(), options.origins_.end(), origin) !=
                       options.origins_.end();
    return named || (options.allowed_ && options.allowed_(origin));
}

void Cors::allow(Response& response, std::string_view origin) const {
    const CorsOptions& options = texts_->options;
    response.header("Access-Control-Allow-Origin", options.any_origin_ ? "*" : origin);
    if (options.credentials_) response.header("Access-Control-Allow-Credentials", "true");
}

Response Cors::answer_preflight(std::string_view origin) const {
    if (!allows(origin)) {
        Response refusal = text(403, "This server is not for pages of that origin.");
        refusal.header("Vary", "Origin");
        return refusal;
    }
    Response response(204);
    allow(response, origin);
    response.header("Access-Control-Allow-Methods", texts_->methods);
    if (!texts_->headers.empty()) {
        response.header("Access-Control-Allow-Headers", texts_->headers);
    }
    response.header("Access-Control-Max-Age", texts_->max_age);
    // Access-Control-Request-Private-Network gets no answer, which is a no.
    response.header("Vary",
                    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    return response;
}

Task<Response> Cors::operator()(Request request, Next next) const {
    const Cors self = *this;
    const std::string origin(request.header("Origin").value_or(std::string_view()));
    const bool asks_first = request.method == "OPTIONS" && !origin.empty() &&
                            request.header("Access-Control-Request-Method").has_value();
    if (asks_first) co_return self.answer_preflight(origin);
    Response response = co_await next(std::move(request));
    if (response.switches()) co_return response;
    // Also when there is no origin: what is kept of this response is not for who has one.
    if (!self.texts_->options.any_origin_) response.header("Vary", "Origin");
    if (origin.empty() || !self.allows(origin)) co_return response;
    self.allow(response, origin);
    if (!self.texts_->exposed.empty()) {
        response.header("Access-Control-Expose-Headers", self.texts_->exposed);
    }
    co_return response;
}

}  // namespace troupe::http
