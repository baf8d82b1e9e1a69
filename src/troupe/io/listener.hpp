#pragma once

#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/io/proxy_protocol.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/io/tls.hpp>
#include <troupe/task/task.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace troupe {

class Engine;

namespace io_internal {
class ListenerCore;

/// What lies between a connection and its Stream, from the inside out.
struct Layers {
    std::optional<ProxyProtocol> proxy;
    std::optional<TlsServer> tls;
};
}  // namespace io_internal

class ListenOptions {
public:
    /// How many connections may wait to be accepted; the machine may have a lower limit.
    ListenOptions& backlog(int connections) noexcept {
        backlog_ = connections;
        return *this;
    }
    /// The streams speak TLS, as this server. Their handshakes are up to whoever gets them: accept
    /// does not wait for them.
    ListenOptions& tls(TlsServer server) {
        tls_ = std::move(server);
        return *this;
    }
    /// Others that say the same may listen at the same port, and the machine deals the connections
    /// out among all: several processes of one service, the next version beside this one.
    ListenOptions& reuse_port(bool reuse) noexcept {
        reuse_port_ = reuse;
        return *this;
    }
    /// Of a Unix socket: who may connect, as of a file who may write to it.
    ListenOptions& unix_permissions(std::uint32_t mode) noexcept {
        unix_permissions_ = mode;
        return *this;
    }
    /// Connections come by way of a proxy, which says from whom.
    ListenOptions& proxy_protocol(ProxyProtocol proxy) {
        proxy_ = std::move(proxy);
        return *this;
    }

    int backlog() const noexcept { return backlog_; }
    bool reuse_port() const noexcept { return reuse_port_; }
    std::uint32_t unix_permissions() const noexcept { return unix_permissions_; }
    const std::optional<ProxyProtocol>& proxy_protocol() const noexcept { return proxy_; }
    const std::optional<TlsServer>& tls() const noexcept { return tls_; }

private:
    int backlog_ = 4096;  // what Linux allows at most by default
    bool reuse_port_ = false;
    std::uint32_t unix_permissions_ = 0660;  // the user and the group
    std::optional<TlsServer> tls_;
    std::optional<ProxyProtocol> proxy_;
};

/// Takes in connections at an endpoint. Closed when it goes.
///
/// It belongs to one actor or task at a time, as a Stream does, and must not be moved while
/// somebody waits in `accept`.
class Listener {
public:
    /// Begins to listen. Port 0: any free one; `port()` says which. The file of a Unix socket is
    /// made here and goes with the listener; one whose server is dead is replaced.
    ///
    /// Errors:  already_registered, when the address is in use; failed, for a host that is no
    ///          address, a path with a file that is no socket, and what the machine refuses. The
    ///          text names the endpoint.
    /// Threads: any.
    static Result<Listener> listen(Engine& engine, const Endpoint& endpoint,
                                   const ListenOptions& options = ListenOptions());

    /// Does not listen: `accept` answers `closed`.
    Listener() noexcept = default;
    Listener(Listener&& other) noexcept
        : core_(std::exchange(other.core_, nullptr)), layers_(std::move(other.layers_)) {}
    Listener& operator=(Listener&& other) noexcept {
        if (this != &other) {
            close();
            core_ = std::exchange(other.core_, nullptr);
            layers_ = std::move(other.layers_);
        }
        return *this;
    }
    ~Listener() { close(); }

    bool is_open() const noexcept { return core_ != nullptr; }

    /// Waits for the next connection. When the process has no descriptors left, it pauses for a
    /// while and goes on; connections wait in the backlog meanwhile.
    ///
    /// Errors:  cancelled, by a stop of the actor; closed, after close(); failed, when the listener
    ///          is broken.
    /// Threads: in the turn of the actor or task it belongs to; suspends that, never the worker.
    Task<Result<Stream>> accept();

    /// What accept would give without waiting; nullopt: nobody waits to be accepted.
    Result<std::optional<Stream>> try_accept();

    /// Ends listening: connections nobody has accepted are reset. Does nothing twice.
    void close() noexcept;

    /// Where it listens. An empty endpoint and 0 once closed.
    Endpoint local() const;
    std::uint16_t port() const;

private:
    Listener(io_internal::ListenerCore* core, io_internal::Layers layers) noexcept
        : core_(core), layers_(std::move(layers)) {}
    io_internal::ListenerCore* core_ = nullptr;
    io_internal::Layers layers_;
};

}  // namespace troupe
