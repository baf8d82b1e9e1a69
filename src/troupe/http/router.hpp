#pragma once

// A router finds the handler of a request by its method and path, and calls it.
//
// It is filled once and then only read: http::serve takes it over, and its connections share it.
// Handlers are kept for the router's life. So a closure that is a coroutine may use what it has
// captured; what would dangle is a reference parameter, and that is refused when it is added.

#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/task.hpp>

#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace troupe {

template <class A>
class Ref;

namespace http_internal {

/// A handler of any kind behind one face. Connections on several workers call it at once.
class Handler {
public:
    Handler() = default;
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;
    virtual ~Handler() = default;

    /// True when answer() may be called, false when run() may: a plain function needs no frame.
    virtual bool plain() const = 0;
    virtual http::Response answer(http::Request&& request) const = 0;
    virtual Task<http::Response> run(http::Request request) const = 0;
};

template <class T>
inline constexpr bool kReturnsTask = false;
template <class T>
inline constexpr bool kReturnsTask<Task<T>> = true;

// Whether the one parameter of a function or of a call operator is a reference. A generic lambda
// has no one signature to look at and passes.
template <class F>
struct TakesReference : std::false_type {};
template <class R, class P>
struct TakesReference<R (*)(P)> : std::is_reference<P> {};
template <class R, class P>
struct TakesReference<R (*)(P) noexcept> : std::is_reference<P> {};
template <class R, class C, class P>
struct TakesReference<R (C::*)(P)> : std::is_reference<P> {};
template <class R, class C, class P>
struct TakesReference<R (C::*)(P) const> : std::is_reference<P> {};
template <class R, class C, class P>
struct TakesReference<R (C::*)(P) const noexcept> : std::is_reference<P> {};

template <class F>
constexpr bool takes_reference() {
    if constexpr (requires { &F::operator(); }) {
        return TakesReference<decltype(&F::operator())>::value;
    } else {
        return TakesReference<F>::value;
    }
}

template <class F>
constexpr bool check_handler() {
    constexpr bool kCallable = std::is_invocable_v<F&, http::Request>;
    static_assert(kCallable, "an HTTP handler is Response(Request) or Task<Response>(Request)");
    if constexpr (kCallable) {
        using R = std::remove_cvref_t<std::invoke_result_t<F&, http::Request>>;
        constexpr bool kAnswers =
            std::is_same_v<R, http::Response> || std::is_same_v<R, Task<http::Response>>;
        static_assert(kAnswers, "an HTTP handler is Response(Request) or Task<Response>(Request)");
        constexpr bool kConst = std::is_invocable_v<const F&, http::Request>;
        static_assert(kConst,
                      "an HTTP handler runs for several connections at once, so it cannot change "
                      "what it has captured: no mutable lambda; let it ask an actor");
        constexpr bool kKeeps = !kReturnsTask<R> || !takes_reference<F>();
        static_assert(kKeeps, "a coroutine handler takes its Request by value");
        return kAnswers && kConst && kKeeps;
    } else {
        return false;
    }
}

template <class F>
class HandlerOf final : public Handler {
public:
    explicit HandlerOf(F function) : function_(std::move(function)) {}

    bool plain() const override { return !kCoroutine; }

    http::Response answer(http::Request&& request) const override {
        if constexpr (kCoroutine) {
            return http::Response(500);
        } else {
            return function_(std::move(request));
        }
    }

    Task<http::Response> run(http::Request request) const override {
        if constexpr (kCoroutine) {
            return function_(std::move(request));
        } else {
            return Task<http::Response>();
        }
    }

private:
    static constexpr bool kCoroutine = kReturnsTask<std::invoke_result_t<const F&, http::Request>>;

    F function_;
};

/// Asks an actor's method for the response.
template <auto Method, class A>
class ActorHandler final : public Handler {
public:
    explicit ActorHandler(Ref<A> actor) : actor_(actor) {}

    bool plain() const override { return false; }
    http::Response answer(http::Request&&) const override { return http::Response(500); }
    Task<http::Response> run(http::Request request) const override {
        return ask(actor_, std::move(request));
    }

private:
    static Task<http::Response> ask(Ref<A> actor, http::Request request) {
        auto answer = co_await actor.template ask<Method>(std::move(request));
        if (!answer) co_return http::from(answer.error());
        co_return std::move(*answer);
    }

    Ref<A> actor_;
};

}  // namespace http_internal

namespace http {

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
    /// The handler is a function or closure `Response(const Request&)`, `Response(Request)` or
    /// `Task<Response>(Request)`. A malformed pattern, or the same one twice, ends the program.
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

    /// Answers a request as a server would, without a server: for tests of handlers.
    ///
    /// Errors:  none of its own: 404, 405 with Allow and 501 are responses. Throws what a handler
    ///          throws.
    /// Threads: in a turn; the router outlives the task.
    Task<Response> handle(Request request) const;

    /// Finds the handler for a request and notes its parameters in the request. Without one,
    /// returns null and says in `refusal` what to answer. For servers.
    const http_internal::Handler* find(Request& request, Response& refusal) const;

private:
    struct Routes;

    void add(std::string_view method, std::string_view pattern,
             std::unique_ptr<http_internal::Handler> handler);

    std::unique_ptr<Routes> routes_;
};

}  // namespace http
}  // namespace troupe
