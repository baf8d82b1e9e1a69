#pragma once

// What a router keeps: functions, coroutines and actors' methods, all behind one face.

#include <troupe/http/body.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/task/task.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>

namespace troupe {

template <class A>
class Ref;

namespace http_internal {

/// How a handler wants to be called.
enum class HandlerKind : std::uint8_t {
    plain,      // answer(): a function, which needs no frame
    coroutine,  // run()
    streaming,  // run(), as soon as the head is here: it reads the body itself
};

/// A handler of any kind behind one face. Connections on several workers call it at once.
class Handler {
public:
    explicit Handler(HandlerKind kind) : kind_(kind) {}
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;
    virtual ~Handler() = default;

    HandlerKind kind() const { return kind_; }

    /// Of a plain one. The request is the caller's again if the handler only looked at it.
    virtual http::Response answer(http::Request&& request) const;
    /// Of any. The source is where a streaming one reads the body.
    virtual Task<http::Response> run(http::Request request, BodySource& body) const = 0;

private:
    const HandlerKind kind_;
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
template <class R, class P, class Q>
struct TakesReference<R (*)(P, Q)> : std::disjunction<std::is_reference<P>, std::is_reference<Q>> {
};
template <class R, class C, class P, class Q>
struct TakesReference<R (C::*)(P, Q) const>
    : std::disjunction<std::is_reference<P>, std::is_reference<Q>> {};

template <class F>
constexpr bool takes_reference() {
    if constexpr (requires { &F::operator(); }) {
        return TakesReference<decltype(&F::operator())>::value;
    } else {
        return TakesReference<F>::value;
    }
}

template <class F>
inline constexpr bool kStreams = std::is_invocable_v<F&, http::Request, http::BodyReader>;

template <class F, class... Args>
constexpr bool check_call() {
    using R = std::remove_cvref_t<std::invoke_result_t<F&, Args...>>;
    constexpr bool kTask = std::is_same_v<R, Task<http::Response>>;
    constexpr bool kAnswers = kTask || (sizeof...(Args) == 1 && std::is_same_v<R, http::Response>);
    static_assert(kAnswers,
                  "an HTTP handler is Response(Request) or Task<Response>(Request), or "
                  "Task<Response>(Request, BodyReader)");
    constexpr bool kConst = std::is_invocable_v<const F&, Args...>;
    static_assert(kConst,
                  "an HTTP handler runs for several connections at once, so it cannot change "
                  "what it has captured: no mutable lambda; let it ask an actor");
    constexpr bool kKeeps = !kTask || !takes_reference<F>();
    static_assert(kKeeps, "a coroutine handler takes its Request by value");
    return kAnswers && kConst && kKeeps;
}

template <class F>
constexpr bool check_handler() {
    if constexpr (kStreams<F>) {
        return check_call<F, http::Request, http::BodyReader>();
    } else if constexpr (std::is_invocable_v<F&, http::Request>) {
        return check_call<F, http::Request>();
    } else {
        static_assert(std::is_invocable_v<F&, http::Request>,
                      "an HTTP handler is Response(Request) or Task<Response>(Request), or "
                      "Task<Response>(Request, BodyReader)");
        return false;
    }
}

template <class F>
constexpr HandlerKind kind_of() {
    if constexpr (kStreams<F>) {
        return HandlerKind::streaming;
    } else {
        return kReturnsTask<std::invoke_result_t<const F&, http::Request>> ? HandlerKind::coroutine
                                                                           : HandlerKind::plain;
    }
}

template <class F>
class HandlerOf final : public Handler {
public:
    explicit HandlerOf(F function) : Handler(kKind), function_(std::move(function)) {}

    http::Response answer(http::Request&& request) const override {
        if constexpr (kKind == HandlerKind::plain) {
            return function_(std::move(request));
        } else {
            return Handler::answer(std::move(request));
        }
    }

    Task<http::Response> run(http::Request request, BodySource& body) const override {
        if constexpr (kKind == HandlerKind::streaming) {
            return function_(std::move(request), http::BodyReader(body));
        } else if constexpr (kKind == HandlerKind::coroutine) {
            return function_(std::move(request));
        } else {
            return answer_later(*this, std::move(request));
        }
    }

private:
    static constexpr HandlerKind kKind = kind_of<F>();

    static Task<http::Response> answer_later(const HandlerOf& self, http::Request request) {
        co_return self.answer(std::move(request));
    }

    F function_;
};

/// Asks an actor's method for the response.
template <auto Method, class A>
class ActorHandler final : public Handler {
public:
    explicit ActorHandler(Ref<A> actor) : Handler(HandlerKind::coroutine), actor_(actor) {}

    Task<http::Response> run(http::Request request, BodySource&) const override {
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
}  // namespace troupe
