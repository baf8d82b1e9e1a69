#pragma once

// A server whose every connection is an actor:
//
//     auto server = co_await net::serve<Session>(system, Endpoint("127.0.0.1", 0), options, room);
//
// Session is an actor whose constructor takes the Stream first and then what else was given, which
// is copied for each connection.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/gatekeeper.hpp>
#include <troupe/net/serve_stats.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace troupe::net {

/// What a server may be told.
class ServeOptions {
public:
    ServeOptions() = default;

    /// While so many connections are open no further one is accepted; they wait in the backlog.
    ServeOptions& connections_max(std::size_t connections) {
        connections_max_ = connections == 0 ? 1 : connections;
        return *this;
    }
    /// Also whether the streams speak TLS: `ListenOptions().tls(server)`.
    ServeOptions& listen(ListenOptions options) {
        listen_ = std::move(options);
        return *this;
    }

    std::size_t connections_max() const { return connections_max_; }
    const ListenOptions& listen() const { return listen_; }

private:
    std::size_t connections_max_ = 10'000;
    ListenOptions listen_;
};

/// A server that runs. A cheap handle: it runs until stop(), or until the system ends; letting go
/// of the handle changes nothing.
class Server {
public:
    Server(Ref<Gatekeeper> gatekeeper, Endpoint where)
        : gatekeeper_(gatekeeper), where_(std::move(where)) {}

    /// The port it listens on, also when the endpoint said 0.
    std::uint16_t port() const { return where_.port; }
    const Endpoint& local() const { return where_; }

    /// Errors: actor_gone, once the server has stopped.
    Task<Result<ServeStats>> stats() const;

    /// Accepts nothing more, asks every connection's actor to stop, and kills those that have not
    /// ended within `drain`. When it returns, all have ended. A second call does nothing.
    ///
    /// Errors:  cancelled, when the caller is; the server stops all the same.
    /// Threads: in an actor or task.
    Task<Result<void>> stop(Duration drain = std::chrono::seconds(5)) const;

    /// The actor above the connections: it ends with the listener, and they end with it. For
    /// whoever watches it or puts it into a tree.
    Ref<Actor> actor() const { return gatekeeper_; }

private:
    Ref<Gatekeeper> gatekeeper_;
    Endpoint where_;
};

/// Listens, and makes an `A(Stream, arguments...)` of every connection. Its end closes the
/// connection; its failure concerns nobody else, and it is never restarted, since there is no
/// second connection to give it.
///
/// Errors:  as for Listener::listen.
/// Threads: in an actor or task.
template <class A, class... Arguments>
Task<Result<Server>> serve(System system, Endpoint where, ServeOptions options,
                           Arguments... arguments) {
    static_assert(std::is_convertible_v<A*, Actor*>,
                  "serve<A>: a connection's class is an actor: derive it from troupe::Actor");
    static_assert(std::is_constructible_v<A, Stream, const Arguments&...>,
                  "serve<A>(system, endpoint, options, args...): no constructor of A takes a "
                  "Stream and these arguments");
    Listener listener =
        co_await or_return(Listener::listen(system.engine(), where, options.listen()));
    const Endpoint local = listener.local();
    const Ref<Gatekeeper> gatekeeper = system.spawn<GatekeeperOf<A, Arguments...>>(
        options.connections_max(), std::move(arguments)...);
    co_await or_return(co_await gatekeeper.template ask<&Gatekeeper::open>(std::move(listener)));
    co_return Server(gatekeeper, local);
}

}  // namespace troupe::net
