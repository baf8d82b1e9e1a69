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

Task<Result<void>> stop_server(System system, Ref<Gatekeeper> gatekeeper, Duration drain) {
    using namespace std::chrono_literals;
    constexpr Duration kLongestPause = 20ms;

    Result<void> draining = co_await gatekeeper.ask<&Gatekeeper::drain>();
    if (!draining && draining.error() == Errc::actor_gone) co_return Result<void>();
    if (!draining) co_return draining;

    Duration end = system.now() + drain;
    bool killed = false;
    for (Duration pause = 100us;; pause = std::min<Duration>(pause * 2, kLongestPause)) {
        Result<bool> empty = co_await gatekeeper.ask<&Gatekeeper::empty>();
        if (!empty && empty.error() == Errc::actor_gone) co_return Result<void>();
        if (!empty) co_return std::unexpected(empty.error());
        if (*empty) break;
        if (!killed && system.now() >= end) {
            killed = true;
            co_await or_return(co_await gatekeeper.ask<&Gatekeeper::kill>());
        }
        co_await or_return(co_await sleep(pause));
    }
    gatekeeper.stop();
    co_return Result<void>();
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
