#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/actor/pid.hpp>
#include <troupe/actor/reply.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/connection_phase.hpp>
#include <troupe/net/serve_stats.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe::net {

class Acceptor;

/// A connection, as the gatekeeper sees it.
struct Guest {
    Guest(Ref<Actor> the_actor, std::shared_ptr<ConnectionPhase> the_phase)
        : actor(the_actor), phase(std::move(the_phase)) {}

    Ref<Actor> actor;
    /// Shared with the connection. Null: it has none, and may be stopped at any time.
    std::shared_ptr<ConnectionPhase> phase;
    std::shared_ptr<const void> holds;  ///< until it has left; shared with whoever counts it
    std::uint64_t number = 0;           ///< in the order they came
};

/// Knows the connections of a server: lets new ones in while there is room, and sees all of them
/// out. It waits for nothing, so it always answers at once.
class Gatekeeper : public Actor {
public:
    explicit Gatekeeper(std::size_t connections_max);

    /// Begins to accept.
    void open(Listener listener);

    /// Makes an actor of a connection. False when no further one should be accepted for now: the
    /// acceptor is told when.
    bool admit(Stream stream);

    // How a server ends, each step with the ones before it. The answer comes when all have left.

    /// Lets nobody in any more but those the kernel has taken in already. Who has a phase learns
    /// that the next response is the last one.
    Reply<void> drain();
    /// Stops who waits for a request, and who has no phase.
    Reply<void> end_waits();
    /// Ends the rest.
    Reply<void> kill();

    ServeStats stats() const;

protected:
    /// Makes an actor of a connection. Without one the connection is closed.
    virtual Guest welcome(Stream stream) = 0;

    /// The server has begun to stop: for one that has more to tell its guests. Called once.
    virtual void on_drain() {}

    /// Counts an actor, a child of ours, among the connections, which it is until it ends. For one
    /// that takes a connection over from another.
    void add(Guest guest);

private:
    Task<void> on_stop(const ExitReason& reason) override;
    void connection_ended(const Pid& pid, bool abnormal);
    template <class F>
    void for_each_guest(F f);
    void acceptor_ended(Down down);
    void begin_to_drain();
    void begin_to_end_waits();
    Reply<void> when_empty();
    void answer_if_empty();
    bool empty() const { return guests_.empty() && !accepting_; }

    const std::size_t connections_max_;
    std::unordered_map<Pid, Guest> guests_;
    std::uint64_t numbered_ = 0;
    std::uint64_t accepted_ = 0;
    std::uint64_t failed_ = 0;
    Ref<Acceptor> acceptor_;
    bool accepting_ = false;  // there is an acceptor
    bool paused_ = false;     // it waits to be told that there is room
    bool draining_ = false;
    bool waits_ended_ = false;
    std::vector<ReplyTo<>> waiting_;  // for the last one to leave
};

/// One that makes an A of every connection.
template <class A, class... Arguments>
class GatekeeperOf final : public Gatekeeper {
public:
    explicit GatekeeperOf(std::size_t connections_max, Arguments... arguments)
        : Gatekeeper(connections_max), arguments_(std::move(arguments)...) {}

private:
    Guest welcome(Stream stream) override {
        return std::apply(
            [&](const Arguments&... arguments) {
                return Guest(this->template spawn<A>(std::move(stream), arguments...), nullptr);
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

    /// Accepts until the gatekeeper has no room or the actor is stopped. Stopped, it hands over
    /// those the kernel has taken in already, whom the end of the listener would reset.
    Task<void> accept();

private:
    void accept_the_last();

    Listener listener_;
    Ref<Gatekeeper> gatekeeper_;
};

}  // namespace troupe::net
