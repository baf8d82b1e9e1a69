#include <troupe/base/error.hpp>
#include <troupe/io/internal/core.hpp>
#include <troupe/io/internal/memory_network.hpp>
#include <troupe/io/internal/proxied_stream.hpp>
#include <troupe/io/internal/socket.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/sleep.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace troupe {

namespace {

// Without a free descriptor every look at the backlog fails, and spinning would take the time in
// which others could close theirs. Short enough at first that a burst is not noticed.
constexpr Duration kPauseMin = std::chrono::milliseconds(10);
constexpr Duration kPauseMax = std::chrono::seconds(1);

using io_internal::Layers;

Stream stream_of(io_internal::StreamCore* core, const Layers& layers) {
    Stream stream(core);
    if (layers.proxy) stream = io_internal::proxied(std::move(stream), *layers.proxy);
    return layers.tls ? tls_over(std::move(stream), *layers.tls) : std::move(stream);
}

Task<Result<Stream>> accept_from(io_internal::ListenerCore* core, Layers layers) {
    if (core == nullptr) co_return error(Errc::closed, "the listener is closed");
    Duration pause = kPauseMin;
    for (;;) {
        Result<io_internal::StreamCore*> accepted = co_await io_internal::AcceptOnce(*core);
        if (!accepted) co_return std::unexpected(std::move(accepted).error());
        if (*accepted != nullptr) co_return stream_of(*accepted, layers);
        co_await or_return(co_await sleep(pause));
        pause = std::min(pause * 2, kPauseMax);
    }
}

}  // namespace

Result<Listener> Listener::listen(Engine& engine, const Endpoint& endpoint,
                                  const ListenOptions& options) {
    TROUPE_TRY(io_internal::ListenerCore* const core,
               engine.deterministic() ? io_internal::listen_in_memory(engine, endpoint, options)
                                      : io_internal::listen_socket(engine, endpoint, options));
    return Listener(core, Layers{options.proxy_protocol(), options.tls()});
}

Task<Result<Stream>> Listener::accept() {
    return accept_from(core_, layers_);
}

Result<std::optional<Stream>> Listener::try_accept() {
    if (core_ == nullptr) return error(Errc::closed, "the listener is closed");
    Result<io_internal::StreamCore*> accepted = nullptr;
    if (core_->accept(accepted) != io_internal::ListenerCore::Accept::done) return std::nullopt;
    if (!accepted) return std::unexpected(std::move(accepted).error());
    return stream_of(*accepted, layers_);
}

void Listener::close() noexcept {
    if (core_ != nullptr) std::exchange(core_, nullptr)->close();
}

Endpoint Listener::local() const {
    return core_ != nullptr ? core_->local() : Endpoint(std::string(), 0);
}

std::uint16_t Listener::port() const {
    return core_ != nullptr ? core_->local().port : std::uint16_t{0};
}

}  // namespace troupe
