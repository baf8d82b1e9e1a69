#pragma once

// A router finds the handler of a request by its method and path, and calls it.
//
// It is filled once and then only read: http::serve takes it over, and its connections share it.
// Handlers are kept for the router's life. So a closure that is a coroutine may use what it has
// captured; what would dangle is a reference parameter, and that is refused when it is added.

#include <troupe/http/handler.hpp>
#include <troupe/http/middleware.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/task.hpp>

#include <memory>
#include <string_view>
#include <utility>

namespace troupe::http {

class Router {
public:
    Router();
    ~Router();
    Router(Router&&) noexcept;
    Router& operator=(Router&&) noexcept;

    /// Adds a handler for a method and the paths that match a pattern.
    ///
    /// A pattern's segments are exact, `:name`, or a `*` at the end for the rest of the path, which
    /// may be empty. Of several that match, the more specific one answers, segment by segment:
    /// exact before `:name` before `*`. GET answers HEAD too, without its body, and OPTIONS is
    /// answered for every path there is.
    ///
    /// The handler is a function or closure `Response(const Request&)`, `Response(Request)`,
    /// `Task<Response>(Request)`, or `Task<Response>(Request, BodyReader)`, which is called before
    /// the body is here and reads it itself. The method "*" stands for any that has no route of its
    /// own. A malformed pattern, or the same one twice, ends the program.
    ///
    /// Threads: before serving only. The handler itself is called by several workers at once.
    template <class F>
    Router& route(std::string_view method, std::string_view pattern, F handler) {
        if constexpr (http_internal::check_handler<F>()) {
            add(method, pattern, std::make_unique<http_internal::HandlerOf<F>>(std::move(handler)));
        }
        return *this;
    }

    /// The same, with an actor's method as the handler: `Response(Request)`, `Result<Response>`, or
    /// a coroutine of either. If the actor cannot answer, the client is told by http::from.
    template <auto Method, class A>
    Router& route(std::string_view method, std::string_view pattern, Ref<A> actor) {
        add(method, pattern, std::make_unique<http_internal::ActorHandler<Method, A>>(actor));
        return *this;
    }

    template <class F>
    Router& any(std::string_view pattern, F handler) {
        return route("*", pattern, std::move(handler));
    }
    template <class F>
    Router& get(std::string_view pattern, F handler) {
        return route("GET", pattern, std::move(handler));
    }
    template <class F>
    Router& post(std::string_view pattern, F handler) {
        return route("POST", pattern, std::move(handler));
    }
    template <class F>
    Router& put(std::string_view pattern, F handler) {
        return route("PUT", pattern, std::move(handler));
    }
    template <class F>
    Router& patch(std::string_view pattern, F handler) {
        return route("PATCH", pattern, std::move(handler));
    }
    template <class F>
    Router& del(std::string_view pattern, F handler) {  // "delete" is the language's
        return route("DELETE", pattern, std::move(handler));
    }

    template <auto Method, class A>
    Router& get(std::string_view pattern, Ref<A> actor) {
        return route<Method>("GET", pattern, actor);
    }
    template <auto Method, class A>
    Router& post(std::string_view pattern, Ref<A> actor) {
        return route<Method>("POST", pattern, actor);
    }
    template <auto Method, class A>
    Router& put(std::string_view pattern, Ref<A> actor) {
        return route<Method>("PUT", pattern, actor);
    }
    template <auto Method, class A>
    Router& patch(std::string_view pattern, Ref<A> actor) {
        return route<Method>("PATCH", pattern, actor);
    }
    template <auto Method, class A>
    Router& del(std::string_view pattern, Ref<A> actor) {
        return route<Method>("DELETE", pattern, actor);
    }

    /// Puts a function or closure `Task<Response>(Request, Next)` around all handlers, also around
    /// the refusal of what has no route. The one added first is the outermost. The route has been
    /// found by then: the request has its parameters, and to change its path changes nothing.
    ///
    /// Threads: as for route().
    template <class F>
    Router& use(F middleware) {
        if constexpr (http_internal::check_middleware<F>()) {
            add(std::make_unique<http_internal::MiddlewareOf<F>>(std::move(middleware)));
        }
        return *this;
    }

    /// Answers a request as a server would, without a server: for tests of handlers.
    ///
    /// Errors:  none of its own: 404, 405 with Allow and 501 are responses. Throws what a handler
    ///          throws.
    /// Threads: in a turn; the router outlives the task.
    Task<Response> handle(Request request) const;

    /// Finds the handler for a request and notes its parameters in the request. Null when there is
    /// none: see refuse(). For servers.
    const http_internal::Handler* find(Request& request) const;

    /// What to answer a request for which there is no handler. For servers.
    Response refuse(const Request& request) const;

    /// Tells the middleware of a request that the server has answered by itself, before it had a
    /// handler: for those with a `void refused(const Request&, int status) const`. One that could
    /// not be read has no header lines; its path and query are as received, and if not even its
    /// first line was one, its method is empty and its path how that began. For servers.
    void note_refusal(const Request& request, int status) const;

    /// Whether requests go through middleware: then only run() may answer them. For servers.
    bool has_middleware() const;

    /// Answers a request by what find() gave, through the middleware. For servers.
    Task<Response> run(const http_internal::Handler* handler, Request request,
                       http_internal::BodySource& body) const;

private:
    friend class http_internal::Chain;
    struct Routes;

    void add(std::string_view method, std::string_view pattern,
             std::unique_ptr<http_internal::Handler> handler);
    void add(std::unique_ptr<http_internal::Middleware> middleware);

    std::unique_ptr<Routes> routes_;
};

}  // namespace troupe::http
