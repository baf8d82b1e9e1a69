#pragma once

// The handler that turns a request into a WebSocket:
//
//     router.get("/chat", websocket::to<Chat>(room));
//     router.get("/echo", websocket::to<Echo>(websocket::Options().deflate(false)));
//
// It is a handler like any other: whoever wants a say in it calls it from one of his own.
//
//     router.get("/chat", [upgrade = websocket::to<Chat>(room)](http::Request request) {
//         if (!logged_in(request)) return http::text(401, "Log in first.");
//         return upgrade(std::move(request));
//     });

#include <troupe/actor/spawn.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/websocket/internal/upgrade.hpp>
#include <troupe/websocket/options.hpp>
#include <troupe/websocket/socket.hpp>

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace troupe::websocket {

/// Makes a WebSocket of every request for one, with an actor of class A, or says why not: 426
/// where there is no upgrade asked for or in another version, 400 where it is asked for wrongly,
/// 403 for a page that may not. A is spawned as a child of the server, from copies of the
/// arguments.
template <class A, class... Arguments>
auto to(Options options, Arguments... arguments) {
    static_assert(std::is_base_of_v<Socket, A>, "a WebSocket's actor derives from Socket");
    static_assert(std::is_constructible_v<A, const Arguments&...>,
                  "to<A>(options, args...): no constructor of A takes copies of these arguments");
    const auto route = std::make_shared<const websocket_internal::RouteOf<A, Arguments...>>(
        std::move(options), std::move(arguments)...);
    return [route](http::Request request) {
        return websocket_internal::upgrade(route, std::move(request));
    };
}
template <class A, class... Arguments>
    requires(!std::is_same_v<
             std::remove_cvref_t<std::tuple_element_t<0, std::tuple<Arguments..., int>>>, Options>)
auto to(Arguments... arguments) {
    return to<A>(Options(), std::move(arguments)...);
}

}  // namespace troupe::websocket
