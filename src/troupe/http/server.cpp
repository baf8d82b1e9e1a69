#include <troupe/http/internal/gatekeeper.hpp>
#include <troupe/http/server.hpp>
#include <troupe/task/sleep.hpp>

#include <algorithm>
#include <utility>

namespace troupe::http {

namespace {

using http_internal::Gatekeeper;

Task<Result<std::size_t>> count_connections(Ref<Gatekeeper> gatekeeper) {
    co_return co_await gatekeeper.ask<&Gatekeeper::connections>();
}

/// Waits until a server that drains is empty, and hurries those who take too long.
Task<Result<void>> see_out(System system, Ref<Gatekeeper> gatekeeper, Duration drain) {
    using namespace std::chrono_literals;
    constexpr Duration kLongestPause = 20ms;
    // Long enough for a request that was sent before its sender could know. Those who stop a
    // server have their own idea of how long that may take.
    constexpr Duration kGraceMax = 250ms;

    Duration began = system.now();
    Duration grace = std::min<Duration>(drain / 8, kGraceMax);
    bool waits_ended = false;
    bool killed = false;
    for (Duration pause = 100us;; pause = std::min<Duration>(pause * 2, kLongestPause)) {
        bool empty = co_await or_return(co_await gatekeeper.ask<&Gatekeeper::empty>());
        if (empty) co_return Result<void>();
        Duration passed = system.now() - began;
        if (!waits_ended && passed >= grace) {
            waits_ended = true;
            co_await or_return(co_await gatekeeper.ask<&Gatekeeper::end_waits>());
        }
        if (!killed && passed >= drain) {
            killed = true;
            co_await or_return(co_await gatekeeper.ask<&Gatekeeper::kill>());
        }
        co_await or_return(co_await sleep(pause));
    }
}

Task<Result<void>> stop_server(System system, Ref<Gatekeeper> gatekeeper, Duration drain) {
    Result<void> done = co_await gatekeeper.ask<&Gatekeeper::drain>();
    if (done) done = co_await see_out(system, gatekeeper, drain);
    if (!done && done.error() == Errc::actor_gone) co_return Result<void>();
    // Also when we were cancelled: its end ends the connections that are left.
    gatekeeper.stop();
    co_return done;
}

}  // namespace

Task<Result<std::size_t>> Server::connections() const {
    return count_connections(gatekeeper_);
}

Task<Result<void>> Server::stop(Duration drain) {
    return stop_server(system_, gatekeeper_, drain);
}

Task<Result<Server>> serve(System system, Router router, ServerOptions options) {
    Endpoint where(options.host(), options.port());
    Result<Listener> listener = Listener::listen(system.engine(), where);
    if (!listener) co_return std::unexpected(listener.error());
    std::uint16_t port = listener->port();

    auto state =
        std::make_shared<const http_internal::ServerState>(std::move(router), std::move(options));
    auto gatekeeper = system.spawn<Gatekeeper>(std::move(state));
    co_await or_return(co_await gatekeeper.ask<&Gatekeeper::open>(std::move(*listener)));
    co_return Server(system, gatekeeper, port);
}

}  // namespace troupe::http
