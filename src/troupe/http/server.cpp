#include <troupe/http/internal/admission.hpp>
#include <troupe/http/internal/gatekeeper.hpp>
#include <troupe/http/server.hpp>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace troupe::http {

namespace {

using net::Gatekeeper;

// As ALPN names them, the best first.
constexpr const char* kProtocols[] = {"h2", "http/1.1"};

Task<Result<net::ServeStats>> ask_stats(Ref<Gatekeeper> gatekeeper) {
    co_return co_await gatekeeper.ask<&Gatekeeper::stats>();
}

Task<Result<void>> stop_server(Ref<Gatekeeper> gatekeeper, Duration drain) {
    // Long enough for a request that was sent before its sender could know. Those who stop a
    // server have their own idea of how long that may take.
    constexpr Duration kGraceMax = std::chrono::milliseconds(250);
    Duration grace = std::min<Duration>(drain / 8, kGraceMax);

    Result<void> empty = co_await gatekeeper.ask<&Gatekeeper::drain>().within(grace);
    if (!empty && empty.error() == Errc::timed_out) {
        empty = co_await gatekeeper.ask<&Gatekeeper::end_waits>().within(drain - grace);
    }
    if (!empty && empty.error() == Errc::timed_out) {
        empty = co_await gatekeeper.ask<&Gatekeeper::kill>().within(Duration::max());
    }
    if (!empty && empty.error() == Errc::actor_gone) empty = Result<void>();
    // Also when we were cancelled: its end ends the connections that are left.
    gatekeeper.stop();
    co_return empty;
}

}  // namespace

Task<Result<net::ServeStats>> Server::stats() const {
    return ask_stats(gatekeeper_);
}

LoadStats Server::load() const {
    return admission_->stats();
}

Task<Result<void>> Server::stop(Duration drain) {
    return stop_server(gatekeeper_, drain);
}

Task<Result<Server>> serve(System system, Router router, ServerOptions options) {
    Endpoint where(options.host(), options.port());
    ListenOptions listening;
    listening.reuse_port(options.reuse_port()).unix_permissions(options.unix_permissions());
    if (options.proxy_protocol()) listening.proxy_protocol(*options.proxy_protocol());
    if (options.tls() && options.http2().enabled()) {
        const std::vector<std::string> protocols(std::begin(kProtocols), std::end(kProtocols));
        listening.tls(co_await or_return(options.tls()->offering(protocols)));
    } else if (options.tls()) {
        listening.tls(*options.tls());
    }
    Result<Listener> listener = Listener::listen(system.engine(), where, listening);
    if (!listener) co_return std::unexpected(listener.error());
    std::uint16_t port = listener->port();

    auto state =
        std::make_shared<const http_internal::ServerState>(std::move(router), std::move(options));
    std::shared_ptr<const http_internal::Admission> admission = state->admission;
    Ref<Gatekeeper> gatekeeper = system.spawn<http_internal::Gatekeeper>(std::move(state));
    co_await or_return(co_await gatekeeper.ask<&Gatekeeper::open>(std::move(*listener)));
    co_return Server(gatekeeper, port, std::move(admission));
}

}  // namespace troupe::http
