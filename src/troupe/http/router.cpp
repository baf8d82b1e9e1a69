#include <troupe/base/assert.hpp>
#include <troupe/http/internal/route_tree.hpp>
#include <troupe/http/internal/text.hpp>
#include <troupe/http/router.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::http {

namespace {

using http_internal::RouteTree;

// The methods of RFC 9110 and PATCH: for these the path decides, any other is not implemented.
bool is_common(std::string_view method) {
    constexpr std::string_view kCommon[] = {"GET",     "HEAD",  "POST",  "PUT",    "DELETE",
                                            "CONNECT", "TRACE", "PATCH", "OPTIONS"};
    return std::find(std::begin(kCommon), std::end(kCommon), method) != std::end(kCommon);
}

Response allowing(int status, std::string allowed, std::string sentence) {
    Response response = sentence.empty() ? Response(status) : text(status, std::move(sentence));
    response.header("Allow", allowed);
    return response;
}

}  // namespace

struct Router::Routes {
    RouteTree tree;
    std::vector<std::unique_ptr<http_internal::Handler>> handlers;  // by the tree's numbers
    std::vector<std::unique_ptr<http_internal::Middleware>> middleware;
};

Router::Router() : routes_(std::make_unique<Routes>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::add(std::string_view method, std::string_view pattern,
                 std::unique_ptr<http_internal::Handler> handler) {
    routes_->tree.add(method, pattern);
    routes_->handlers.push_back(std::move(handler));
}

void Router::add(std::unique_ptr<http_internal::Middleware> middleware) {
    routes_->middleware.push_back(std::move(middleware));
}

void Router::note_refusal(const Request& request, int status) const {
    for (const auto& middleware : routes_->middleware)
        middleware->refused(request, status);
}

bool Router::has_middleware() const {
    return !routes_->middleware.empty();
}

const http_internal::Handler* Router::find(Request& request) const {
    const RouteTree& tree = routes_->tree;
    request.clear_parameters();
    if (auto exact = tree.find_exact(request.method, request.path)) {
        return routes_->handlers[*exact].get();
    }
    RouteTree::Match match;
    if (tree.find(request.method, request.path, match) != RouteTree::Found::route) return nullptr;
    const std::vector<std::string>& names = tree.parameter_names(match.route);
    std::string decoded;
    for (std::size_t i = 0; i < names.size(); ++i) {
        decoded.clear();
        http_internal::append_parameter(decoded, match.parameters[i]);
        request.set_parameter(names[i], decoded);
    }
    return routes_->handlers[match.route].get();
}

Response Router::refuse(const Request& request) const {
    const RouteTree& tree = routes_->tree;
    RouteTree::Match match;
    bool other_methods =
        tree.find(request.method, request.path, match) == RouteTree::Found::other_methods;
    if (request.method == "OPTIONS") {
        if (other_methods) return allowing(204, tree.allowed_methods(request.path), std::string());
        if (request.path == "*") return allowing(204, tree.all_methods(), std::string());
    }
    if (!is_common(request.method)) {
        return text(501, "This server does not know the method " + request.method + ".");
    }
    if (!other_methods) return text(404, "There is nothing at this path.");
    std::string allowed = tree.allowed_methods(request.path);
    std::string sentence = "This path does not take " + request.method + ", only " + allowed + ".";
    return allowing(405, std::move(allowed), std::move(sentence));
}

}  // namespace troupe::http

namespace troupe::http_internal {

http::Response Handler::answer(http::Request&&) const {
    TROUPE_ASSERT(false, "only a plain handler answers without a task");
    return http::Response(500);
}

/// The way of one request through the middleware.
class Chain {
public:
    Chain(const http::Router& router, const Handler* handler, BodySource& body)
        : router_(router), handler_(handler), body_(body) {}

    Task<http::Response> go_on(http::Request request, std::size_t index) const {
        const auto& middleware = router_.routes_->middleware;
        if (index < middleware.size()) {
            return middleware[index]->run(std::move(request), http::Next(*this, index + 1));
        }
        if (handler_) return handler_->run(std::move(request), body_);
        return refuse(router_, std::move(request));
    }

private:
    static Task<http::Response> refuse(const http::Router& router, http::Request request) {
        co_return router.refuse(request);
    }

    const http::Router& router_;
    const Handler* handler_;
    BodySource& body_;
};

namespace {

/// A body that is here already.
class StringSource final : public BodySource {
public:
    explicit StringSource(const http::Request& request)
        : text_(request.body), trailers_(request.trailers()) {}

    Task<Result<std::string_view>> next() override {
        std::string_view piece = given_ ? std::string_view() : text_;
        given_ = true;
        co_return piece;
    }
    std::optional<std::uint64_t> length() const override { return text_.size(); }
    const http::Headers& trailers() const override { return trailers_; }

private:
    std::string text_;
    http::Headers trailers_;
    bool given_ = false;
};

}  // namespace
}  // namespace troupe::http_internal

namespace troupe::http {

Task<Response> Next::operator()(Request request) const {
    return chain_->go_on(std::move(request), index_);
}

Task<Response> Router::run(const http_internal::Handler* handler, Request request,
                           http_internal::BodySource& body) const {
    http_internal::Chain chain(*this, handler, body);
    co_return co_await chain.go_on(std::move(request), 0);
}

Task<Response> Router::handle(Request request) const {
    const http_internal::Handler* handler = find(request);
    http_internal::StringSource body(request);
    co_return co_await run(handler, std::move(request), body);
}

}  // namespace troupe::http
