#pragma once

#include <troupe/actor/ref.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/http/request.hpp>
#include <troupe/http/response.hpp>
#include <troupe/websocket/options.hpp>
#include <troupe/websocket/socket.hpp>

#include <memory>
#include <tuple>
#include <utility>

namespace troupe::websocket_internal {

/// What all connections of a route have in common.
class Route {
public:
    explicit Route(websocket::Options the_options) : options(std::move(the_options)) {}
    Route(const Route&) = delete;
    Route& operator=(const Route&) = delete;
    virtual ~Route() = default;

    /// Spawns the actor of a connection.
    virtual Ref<websocket::Socket> spawn(Cell& parent) const = 0;

    const websocket::Options options;
};

template <class A, class... Arguments>
class RouteOf final : public Route {
public:
    RouteOf(websocket::Options the_options, Arguments... arguments)
        : Route(std::move(the_options)), arguments_(std::move(arguments)...) {}

    Ref<websocket::Socket> spawn(Cell& parent) const override {
        return std::apply(
            [&](const Arguments&... arguments) -> Ref<websocket::Socket> {
                return actor_internal::spawn<A>(parent.engine(), &parent, arguments...);
            },
            arguments_);
    }

private:
    std::tuple<Arguments...> arguments_;
};

/// The route is shared by the router's handler and by all its connections, for their options.
http::Response upgrade(std::shared_ptr<const Route> route, http::Request request);

}  // namespace troupe::websocket_internal
