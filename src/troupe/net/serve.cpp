#include <troupe/net/serve.hpp>

namespace troupe::net {

namespace {

Task<Result<ServeStats>> ask_stats(Ref<Gatekeeper> gatekeeper) {
    co_return co_await gatekeeper.ask<&Gatekeeper::stats>();
}

Task<Result<void>> stop_server(Ref<Gatekeeper> gatekeeper, Duration drain) {
    Result<void> empty = co_await gatekeeper.ask<&Gatekeeper::end_waits>().within(drain);
    if (!empty && empty.error() == Errc::timed_out) {
        empty = co_await gatekeeper.ask<&Gatekeeper::kill>().within(Duration::max());
    }
    if (!empty && empty.error() == Errc::actor_gone) empty = Result<void>();
    gatekeeper.stop();
    co_return empty;
}

}  // namespace

Task<Result<ServeStats>> Server::stats() const {
    return ask_stats(gatekeeper_);
}

Task<Result<void>> Server::stop(Duration drain) const {
    return stop_server(gatekeeper_, drain);
}

}  // namespace troupe::net
