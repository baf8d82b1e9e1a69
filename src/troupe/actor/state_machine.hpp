#pragma once

/// An actor whose behaviour depends on a state, with what OTP's gen_statem offers:
///
///     class Door : public StateMachine<DoorState> {
///     public:
///         Door() : StateMachine(DoorState::closed) {}
///         void open() { become(DoorState::open); state_timeout<&Door::close>(5s); }
///         Reply<std::string> enter(std::string who) {
///             if (state() == DoorState::closed) return postpone<&Door::enter>(std::move(who));
///             return who + " is in";
///         }
///
/// 1. `postpone`: the message is handled again after the next change of state, in its old order.
/// 2. `state_timeout`: cancelled by a change of state.
/// 3. `event_timeout`: cancelled by any message.
/// 4. Named timeouts: timers with a key, `after<&Door::knock>(TimerKey("knock"), 1s)`.
/// 5. `next_event`: handled before all mail that waits, postponed messages included.
/// 6. `entered`: called on each change of state, and once at the start.

#include <troupe/actor/stash.hpp>

#include <cstddef>
#include <utility>

namespace troupe {

template <class State>
class StateMachine : public Actor {
protected:
    explicit StateMachine(State initial, std::size_t postponed_max = kMailboxDefault)
        : state_(std::move(initial)), postponed_(this, postponed_max) {}

    const State& state() const noexcept { return state_; }

    /// Changes the state, here and now: cancels the state timeout, lets what was postponed be
    /// handled next, and calls `entered`. To become what it is changes nothing.
    void become(State next) {
        if (next == state_) return;
        state_timer_.cancel();
        const State before = std::exchange(state_, std::move(next));
        postponed_.release();
        entered(before);
    }

    /// Called on each change of state, and with the initial state when the actor starts. An
    /// `on_start` of the class's own calls StateMachine's.
    virtual void entered(const State& before) { static_cast<void>(before); }

    Task<Result<void>> on_start() override {
        entered(state_);
        return {};
    }

    /// The message is handled again after the next change of state; its asker waits on. What is
    /// postponed beyond the bound is a dead letter. As Stash::keep.
    template <auto M, class... Arguments>
    auto postpone(Arguments&&... arguments) {
        return postponed_.keep<M>(std::forward<Arguments>(arguments)...);
    }

    /// Calls M unless the state changes before. There is one: setting it again replaces it.
    template <auto M, class... Arguments>
    Timer state_timeout(Duration delay, Arguments&&... arguments) {
        state_timer_.cancel();
        return state_timer_ = after<M>(delay, std::forward<Arguments>(arguments)...);
    }

    /// Calls M unless another message is handled before. There is one, as above.
    template <auto M, class... Arguments>
    Timer event_timeout(Duration delay, Arguments&&... arguments) {
        event_timer_.cancel();
        event_timer_ = after<M>(delay, std::forward<Arguments>(arguments)...);
        if (event_timer_.cell_ != nullptr) {
            actor_internal::cancel_with_next_message(*event_timer_.cell_, event_timer_.place_);
        }
        return event_timer_;
    }

    /// Calls M before all messages that wait; several in the order in which they are made.
    template <auto M, class... Arguments>
    void next_event(Arguments&&... arguments) {
        using Class = typename actor_internal::Traits<M>::Class;
        if constexpr (actor_internal::check_call<M, Class, Arguments...>()) {
            actor_internal::post_event(
                *this, actor_internal::make_call<M, false>(
                           actor_internal::ActorAccess::offset_in_object<Class>(*this),
                           std::forward<Arguments>(arguments)...));
        }
    }

private:
    State state_;
    Stash postponed_;
    Timer state_timer_;
    Timer event_timer_;
};

}  // namespace troupe
