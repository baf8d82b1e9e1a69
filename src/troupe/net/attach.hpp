#pragma once

// A connection whose frames arrive as messages of an actor:
//
//     Session(Stream stream, ...)
//         : peer_(net::attach<&Session::line, &Session::hung_up>(std::move(stream),
//                                                                codec::Lines(1000), self(this)))
//                                                                {}
//     Task<void> line(std::string line) { ignore(co_await peer_.send(line), "..."); }
//     void hung_up(Result<void> why) { self(this).stop(); }
//
// The actor stays free to do other things between two frames, which it is not while it awaits
// Framed::next. What it pays is a message per frame and two small actors per connection.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/codec.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/internal/feed.hpp>
#include <troupe/net/internal/pump.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace troupe::net {

class AttachOptions {
public:
    AttachOptions() = default;

    /// How many frames may wait to be written before whoever sends more has to wait.
    AttachOptions& frames_waiting_max(std::size_t frames) {
        frames_waiting_max_ = frames == 0 ? 1 : frames;
        return *this;
    }
    /// A peer that takes nothing of what it is sent for so long is given up: timed_out.
    AttachOptions& write_timeout(Duration timeout) {
        limits_.write_timeout = timeout;
        return *this;
    }
    /// A peer of which nothing comes for so long is given up: timed_out. None by default. Time in
    /// which the actor is too busy to take more does not count.
    AttachOptions& idle_timeout(Duration timeout) {
        limits_.idle_timeout = timeout;
        return *this;
    }

    std::size_t frames_waiting_max() const { return frames_waiting_max_; }
    const net_internal::PumpLimits& limits() const { return limits_; }

private:
    std::size_t frames_waiting_max_ = 64;
    net_internal::PumpLimits limits_;
};

/// The way out of an attached connection. A handle: it may be copied to other actors, if the codec
/// may, and keeps nothing open.
///
/// Order: frames of one sender leave in the order they were sent.
template <codec::Codec C>
class Outlet {
public:
    using Frame = typename C::Frame;

    Outlet(Ref<net_internal::Pump> pump, C codec) : pump_(pump), codec_(std::move(codec)) {}

    /// Sends a frame, and waits while too many wait already. That it was taken does not mean that
    /// it has left: see close().
    ///
    /// Errors:  actor_gone, when the connection is no more; those of the codec; cancelled.
    /// Threads: in an actor or task.
    Task<Result<void>> send(const Frame& frame) const {
        std::string bytes;
        Result<void> encoded = codec_.encode(frame, bytes);
        return net_internal::write_to(pump_, std::move(encoded), std::move(bytes));
    }

    /// The same without waiting: for those who tell many and must not wait for the slowest.
    ///
    /// Errors:  mailbox_full, when too many wait; actor_gone; those of the codec. Nothing was sent.
    /// Threads: any.
    Result<void> try_send(const Frame& frame) const {
        std::string bytes;
        TROUPE_TRY(codec_.encode(frame, bytes));
        return net_internal::try_write_to(pump_, std::move(bytes));
    }

    /// Closes the connection once all that was sent before has left, and waits for that. An actor
    /// that ends without it closes the connection too, but what has not left by then is lost.
    ///
    /// Errors:  actor_gone, when there is nothing to close any more, or the peer did not take it
    ///          all; cancelled.
    /// Threads: in an actor or task.
    Task<Result<void>> close() const { return net_internal::close_after_writing(pump_); }

private:
    Ref<net_internal::Pump> pump_;
    C codec_;  // encodes; another one decodes
};

/// Gives a connection to an actor: every frame becomes a message `OnFrame(frame, extra...)`, and
/// what ends them `OnEnd(Result<void> why, extra...)`, exactly once and last: a value, when the
/// peer has finished sending, or the error. After a value the actor may still send.
///
/// While the actor's mailbox is full nothing is read, and the peer has to wait. The connection is
/// closed by the end of the actor, by an error, and by Outlet::close. A peer that has said
/// something malformed is not listened to any more: the connection is closed, and the reason comes
/// as the end.
///
/// Errors:  what OnEnd may be told: closed, when the connection broke or was closed here;
///          timed_out; those of the codec.
/// Threads: in the actor's own turn, or its constructor.
template <auto OnFrame, auto OnEnd, codec::Codec C, class A, class... Extra>
Outlet<C> attach(Stream stream, C codec, const Self<A>& self, const AttachOptions& options,
                 Extra... extra) {
    C encoder = codec.fresh();
    Ref<net_internal::Pump> pump;
    net_internal::spawn_feed<net_internal::FeedOf<OnFrame, OnEnd, C, A, Extra...>>(
        self, std::move(codec), Ref<A>(self),
        net_internal::NewPump{&pump, std::move(stream), options.frames_waiting_max(),
                              options.limits()},
        std::move(extra)...);
    return Outlet<C>(pump, std::move(encoder));
}
template <auto OnFrame, auto OnEnd, codec::Codec C, class A>
Outlet<C> attach(Stream stream, C codec, const Self<A>& self) {
    return attach<OnFrame, OnEnd>(std::move(stream), std::move(codec), self, AttachOptions());
}

}  // namespace troupe::net
