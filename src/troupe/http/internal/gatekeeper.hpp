#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/http/internal/connection.hpp>
#include <troupe/http/internal/server_state.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>

#include <cstddef>
#include <memory>
#include <unordered_map>

namespace troupe::http_internal {

class Acceptor;

/// Knows the connections of a server: lets new ones in while there is room, and sees all of them
/// out when the server stops. It waits for nothing, so it always answers at once.
class Gatekeeper final : public Actor {
public:
    explicit Gatekeeper(std::shared_ptr<const ServerState> server) : server_(std::move(server)) {}

    /// Begins to accept.
    void open(Listener listener);

    /// Makes a connection of a stream. False when no further one should be accepted for now: the
    /// acceptor is told when. While the server drains it is a connection for one request.
    bool admit(Stream stream);

    std::size_t connections() const { return connections_.size(); }

    /// Lets nobody in any more. Who is busy finishes; who waits for a request may get one more.
    void drain();

    /// Ends who still waits for a request.
    void end_waits();

    /// Ends the rest.
    void kill();

    /// Whether everybody has left.
    bool empty() const { return connections_.empty() && !accepting_; }

private:
    struct Entry {
        Ref<Connection> connection;
        std::shared_ptr<ConnectionPhase> phase;  // shared with the connection
    };

    Task<void> on_stop(const ExitReason& reason) override;
    void connection_ended(Down down);
    void acceptor_ended(Down down);

    std::shared_ptr<const ServerState> server_;  // shared as ServerState says
    std::unordered_map<Pid, Entry> connections_;
    Ref<Acceptor> acceptor_;
    bool accepting_ = false;  // there is an acceptor
    bool paused_ = false;     // it waits to be told that there is room
    bool draining_ = false;
    bool waits_ended_ = false;
};

/// Accepts connections, one after the other, and hands them to the gatekeeper.
class Acceptor final : public Actor {
public:
    Acceptor(Listener listener, Ref<Gatekeeper> gatekeeper)
        : listener_(std::move(listener)), gatekeeper_(gatekeeper) {}

    /// Accepts until the gatekeeper has no room or the actor is stopped. Stopped, it hands over
    /// those the kernel has taken in already, whom the end of the listener would reset.
    Task<void> accept();

private:
    void accept_the_last();

    Listener listener_;
    Ref<Gatekeeper> gatekeeper_;
};

}  // namespace troupe::http_internal
