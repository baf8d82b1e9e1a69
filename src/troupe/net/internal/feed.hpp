#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/codec.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/internal/pump.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace troupe::net_internal {

/// What a feed makes its pump of, and where it says who that is.
struct NewPump {
    Ref<Pump>* made;  // the caller's, for the length of the constructor
    Stream stream;
    std::size_t frames_waiting_max;
    PumpLimits limits;
};

/// Turns what a pump reads into messages of an actor, whose child it is. It waits for room in that
/// actor's mailbox, and only then asks the pump for more: the two are apart so that the pump can go
/// on writing meanwhile.
class Feed : public Actor {
public:
    explicit Feed(NewPump pump);

    /// Bytes from the peer.
    virtual Task<void> bytes(std::string piece) = 0;
    /// Nothing more comes. The pump says so once, behind all bytes.
    Task<void> ended(Result<void> why);

protected:
    Ref<Pump> pump() const { return pump_; }
    /// Passes on what is left, and the end, unless it was passed on before.
    virtual Task<void> pass_on_end(Result<void> why) = 0;
    virtual bool over() const = 0;

private:
    Task<Result<void>> on_start() override;
    Task<void> pump_ended(Down down);
    void end();

    Ref<Pump> pump_;
    bool pump_is_gone_ = false;
};

template <auto OnFrame, auto OnEnd, codec::Codec C, class A, class... Extra>
class FeedOf final : public Feed {
public:
    FeedOf(C codec, Ref<A> target, NewPump pump, Extra... extra)
        : Feed(std::move(pump)),
          codec_(std::move(codec)),
          target_(target),
          extra_(std::move(extra)...) {}

    Task<void> bytes(std::string piece) override {
        std::string_view rest = piece;
        while (!over_) {
            Result<std::optional<typename C::Frame>> frame = codec_.decode(rest);
            if (!frame) {
                pump().stop();
                co_await tell_end(std::unexpected(std::move(frame).error()));
                co_return;
            }
            if (!*frame) break;
            co_await deliver(std::move(**frame));
        }
        if (!over_) ignore(co_await pump().template send<&Pump::more>(), "its end is told, too");
    }

protected:
    Task<void> pass_on_end(Result<void> why) override {
        if (!over_ && why) {
            Result<std::optional<typename C::Frame>> last = codec_.finish();
            if (!last) {
                why = std::unexpected(std::move(last).error());
            } else if (*last) {
                co_await deliver(std::move(**last));
            }
        }
        co_await tell_end(std::move(why));
    }

    bool over() const override { return over_; }

private:
    Task<void> deliver(typename C::Frame frame) {
        auto send = [&](const Extra&... extra) {
            return target_.template send<OnFrame>(std::move(frame), extra...);
        };
        Result<void> sent = co_await std::apply(send, extra_);
        // A mailbox may be told to refuse what does not fit; then that is what the actor wants.
        // Every other error means that nobody is there to be told anything more.
        if (!sent && sent.error() != Errc::mailbox_full) over_ = true;
    }

    Task<void> tell_end(Result<void> why) {
        if (std::exchange(over_, true)) co_return;
        auto send = [&](const Extra&... extra) {
            return target_.template send<OnEnd>(std::move(why), extra...);
        };
        ignore(co_await std::apply(send, extra_), "an actor that is gone needs no end");
    }

    C codec_;
    const Ref<A> target_;
    std::tuple<Extra...> extra_;
    bool over_ = false;  // the end was told
};

/// Spawns a feed as a child of the actor `self` is of.
template <class F, class A, class... Arguments>
void spawn_feed(const Self<A>& self, Arguments&&... arguments) {
    Cell& parent = *actor_internal::RefAccess::cell(self);
    actor_internal::spawn<F>(parent.engine(), &parent, std::forward<Arguments>(arguments)...);
}

}  // namespace troupe::net_internal
