#include "routes.hpp"

#include <troupe/http/response.hpp>
#include <troupe/websocket/upgrade.hpp>

#include "page.hpp"

namespace http = troupe::http;

http::Router routes(Lobby lobby) {
    http::Router router;
    router.get("/", [](const http::Request&) {
        // The page needs nothing from anywhere else, so nothing else may be brought into it.
        http::Response page = http::html(kPage);
        page.header("Content-Security-Policy",
                    "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "
                    "form-action 'none'; frame-ancestors 'none'; "
                    "style-src 'unsafe-inline'; script-src 'unsafe-inline'");
        page.header("X-Content-Type-Options", "nosniff");
        return page;
    });
    router.get("/health", [](const http::Request&) { return http::ok("ok\n"); });
    router.get("/chat", troupe::websocket::to<Visitor>(Visitor::options(), std::move(lobby)));
    return router;
}
