#pragma once

/// Waiting for an actor's end, in a task or another actor:
///
///     shop.stop(Stop::drain);                      // after all that it was sent before
///     const auto reason = co_await ended(shop);    // and it has

#include <troupe/actor/actor.hpp>
#include <troupe/actor/exit.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/reply.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/task/task.hpp>

#include <optional>
#include <utility>

namespace troupe {

namespace actor_internal {

/// Hears of one actor's end for one who waits for it.
class EndListener final : public Actor {
public:
    template <class A>
    explicit EndListener(const Ref<A>& target) {
        monitor<&EndListener::heard>(target);
    }
    Reply<ExitReason> reason() {
        if (reason_) return *reason_;
        return later(waits_);
    }

private:
    void heard(Down down) {
        reason_ = std::move(down.reason);
        waits_.send(*reason_);  // to nobody, if nobody has asked yet
    }

    std::optional<ExitReason> reason_;
    ReplyTo<ExitReason> waits_;
};

/// Ends its listener with the wait, however that ends.
class EndListening {
public:
    template <class A>
    explicit EndListening(const Ref<A>& target)
        : listener_(spawn<EndListener>(*current_engine(), nullptr, target)) {}
    EndListening(const EndListening&) = delete;
    EndListening& operator=(const EndListening&) = delete;
    ~EndListening() { listener_.stop(); }
    Ask<ExitReason> reason() const {
        return listener_.ask<&EndListener::reason>().within(Duration::max());
    }

private:
    const Ref<EndListener> listener_;
};

}  // namespace actor_internal

/// Waits until the actor has ended, and says why it did; of one that had ended before, or of
/// nobody, noproc. An actor that its supervisor starts again has ended each time. It waits for ever
/// unless it is cancelled: `co_await within(5s, [&] { return ended(shop); })`.
///
/// Errors:  cancelled; actor_gone, when the system stops.
/// Threads: in an actor or task; suspends it, never the worker.
/// Order:   whoever hears sees all that the actor did, and its name is free.
template <class A>
Task<Result<ExitReason>> ended(Ref<A> target) {
    const actor_internal::EndListening listening(target);
    co_return co_await listening.reason();
}

}  // namespace troupe
