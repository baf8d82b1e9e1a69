#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/actor/reply.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/serve_stats.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

namespace troupe::net_internal {

class Acceptor;

/// Knows the connections of a server: lets new ones in while there is room, and sees all of them
/// out. It waits for nothing, so it always answers at once.
class Gatekeeper : public Actor {
public:
    explicit Gatekeeper(std::size_t connections_max) : connections_max_(connections_max) {}

    /// Begins to accept.
    void open(Listener listener);

    /// Makes an actor of a connection. False when no further one should be accepted for now: the
    /// acceptor is told when.
    bool admit(Stream stream);

    /// Lets nobody in any more, asks everybody to leave, and answers when all have left.
    Reply<void> drain();
    /// Answers when all have left, which they do not do by themselves.
    Reply<void> kill();

    net::ServeStats stats() const;

protected:
    virtual Ref<Actor> welcome(Stream stream) = 0;

private:
    void connection_ended(Down down, std::uint64_t number);
    void acceptor_ended(Down down);
    Reply<void> when_empty();
    void answer_if_empty();
    bool empty() const { return connections_.empty() && !accepting_; }

    const std::size_t connections_max_;
    std::map<std::uint64_t, Ref<Actor>> connections_;  // in the order they came
    std::uint64_t accepted_ = 0;
    std::uint64_t failed_ = 0;
    Ref<Acceptor> acceptor_;
    bool accepting_ = false;  // there is an acceptor
    bool paused_ = false;     // it waits to be told that there is room
    bool draining_ = false;
    std::vector<ReplyTo<>> waiting_;  // for the last one to leave
};

/// One that makes an A of every connection.
template <class A, class... Arguments>
class GatekeeperOf final : public Gatekeeper {
public:
    explicit GatekeeperOf(std::size_t connections_max, Arguments... arguments)
        : Gatekeeper(connections_max), arguments_(std::move(arguments)...) {}

private:
    Ref<Actor> welcome(Stream stream) override {
        return std::apply(
            [&](const Arguments&... arguments) -> Ref<Actor> {
                return this->template spawn<A>(std::move(stream), arguments...);
            },
            arguments_);
    }

    std::tuple<Arguments...> arguments_;
};

/// Accepts connections, one after the other, and hands them to the gatekeeper.
class Acceptor final : public Actor {
public:
    Acceptor(Listener listener, Ref<Gatekeeper> gatekeeper)
        : listener_(std::move(listener)), gatekeeper_(gatekeeper) {}

    /// Accepts until the gatekeeper has no room or the actor is stopped.
    Task<void> accept();

private:
    Listener listener_;
    Ref<Gatekeeper> gatekeeper_;
};

}  // namespace troupe::net_internal
