#include <troupe/http/internal/route_tree.hpp>
#include <troupe/http/internal/text.hpp>
#include <troupe/http/router.hpp>

#include <algorithm>
#include <string>
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

const http_internal::Handler* Router::find(Request& request, Response& refusal) const {
    const RouteTree& tree = routes_->tree;
    RouteTree::Match match;
    switch (tree.find(request.method, request.path, match)) {
        case RouteTree::Found::route:
            break;
        case RouteTree::Found::nothing:
            if (request.method == "OPTIONS" && request.path == "*") {
                refusal = allowing(204, tree.all_methods(), std::string());
            } else if (!is_common(request.method)) {
                refusal = text(501, "This server does not know the method " + request.method + ".");
            } else {
                refusal = text(404, "There is nothing at this path.");
            }
            return nullptr;
        case RouteTree::Found::other_methods:
            if (request.method == "OPTIONS") {
                refusal = allowing(204, tree.allowed_methods(request.path), std::string());
            } else if (!is_common(request.method)) {
                refusal = text(501, "This server does not know the method " + request.method + ".");
            } else {
                std::string allowed = tree.allowed_methods(request.path);
                std::string sentence =
                    "This path does not take " + request.method + ", only " + allowed + ".";
                refusal = allowing(405, std::move(allowed), std::move(sentence));
            }
            return nullptr;
    }
    request.clear_parameters();
    const std::vector<std::string>& names = tree.parameter_names(match.route);
    std::string decoded;
    for (std::size_t i = 0; i < names.size(); ++i) {
        decoded.clear();
        http_internal::append_parameter(decoded, match.parameters[i]);
        request.set_parameter(names[i], decoded);
    }
    return routes_->handlers[match.route].get();
}

Task<Response> Router::handle(Request request) const {
    Response refusal;
    const http_internal::Handler* handler = find(request, refusal);
    if (!handler) co_return refusal;
    if (handler->plain()) co_return handler->answer(std::move(request));
    co_return co_await handler->run(std::move(request));
}

}  // namespace troupe::http
