#pragma once

// Middleware: what stands around all handlers of a router, such as a log, a check of who asks, or a
// line that every response has.
//
//     router.use([](http::Request request, http::Next next) -> Task<http::Response> {
//         if (!request.header("Authorization")) co_return http::Response(401);
//         http::Response response = co_await next(std::move(request));
//         response.header("X-Served-By", "us");
//         co_return response;
//     });

#include <troupe/http/handler.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace troupe {

namespace http_internal {
class Chain;
}

namespace http {

/// What a middleware stands in front of: the next one, and in the end the handler.
class Next {
public:
    Next(const http_internal::Chain& chain, std::size_t index) : chain_(&chain), index_(index) {}

    /// Goes on with the request. To answer without calling it is to cut the way to the handler
    /// short.
    Task<Response> operator()(Request request) const;

private:
    const http_internal::Chain* chain_;  // lives until the response is there
    std::size_t index_;
};

}  // namespace http

namespace http_internal {

/// What stands around handlers, behind one face.
class Middleware {
public:
    Middleware() = default;
    Middleware(const Middleware&) = delete;
    Middleware& operator=(const Middleware&) = delete;
    virtual ~Middleware() = default;

    virtual Task<http::Response> run(http::Request request, http::Next next) const = 0;
    /// The server has answered by itself.
    virtual void refused(const http::Request& request, int status) const = 0;
};

template <class F>
constexpr bool check_middleware() {
    constexpr bool kCallable =
        std::is_invocable_r_v<Task<http::Response>, const F&, http::Request, http::Next>;
    static_assert(kCallable, "HTTP middleware is Task<Response>(Request, Next)");
    if constexpr (kCallable) {
        static_assert(!takes_reference<F>(), "HTTP middleware takes its Request by value");
        return !takes_reference<F>();
    } else {
        return false;
    }
}

template <class F>
class MiddlewareOf final : public Middleware {
public:
    explicit MiddlewareOf(F function) : function_(std::move(function)) {}

    Task<http::Response> run(http::Request request, http::Next next) const override {
        return function_(std::move(request), next);
    }
    void refused(const http::Request& request, int status) const override {
        if constexpr (requires { function_.refused(request, status); }) {
            function_.refused(request, status);
        }
    }

private:
    F function_;
};

}  // namespace http_internal
}  // namespace troupe
