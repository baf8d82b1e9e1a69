#pragma once

/// Timers of actors: messages an actor sends itself at a time. The verbs are those of `Actor`:
///
///     tick_ = every<&Heart::beat>(10ms);
///     after<&Heart::quit>(1s, "enough");
///     after<&Link::retry>(TimerKey("retry"), delay);   // takes the place of the one before it
///
/// A tick is an ordinary message: it waits its turn behind the mail that has come before, takes no
/// room in the mailbox, and there is at most one of each timer waiting. A timer ends with its
/// actor; once it is cancelled or replaced, no tick of it is delivered any more, not even one that
/// waits in the mailbox already.

#include <troupe/actor/message.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/scheduler/cell.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace troupe {

class Actor;

/// Tells an actor's timers apart: one that is set under a key replaces the one before it.
class TimerKey {
public:
    explicit TimerKey(std::string_view text) : text_(text) {}
    const std::string& text() const noexcept { return text_; }

private:
    std::string text_;
};

namespace actor_internal {

enum class TimerKind : std::uint8_t {
    once,
    fixed_rate,   ///< each tick one period after the time of the one before
    fixed_delay,  ///< each tick one period after the handler of the one before has ended
    idle,         ///< when no message of others has been handled for a period
};

struct TimerSetting {
    TimerKind kind = TimerKind::once;
    Duration delay{};
    MailNode* call = nullptr;  // what `once` delivers, and of what the others deliver copies
    MailNode* (*copy)(const MailNode* call) = nullptr;
};

/// Where an actor keeps a timer. A place is used by one timer after the other.
struct TimerPlace {
    std::uint32_t index = 0;
    std::uint32_t use = 0;  // 0: none
};

/// The actor's turn, or its constructor. Takes the call over.
TimerPlace set_timer(Cell& cell, const TimerSetting& setting, const TimerKey* key);
void cancel_timer(Cell& cell, std::uint32_t generation, TimerPlace place) noexcept;
void cancel_timer(Cell& cell, const TimerKey& key) noexcept;
/// The timer is cancelled by the next message the actor handles, whatever it is.
void cancel_with_next_message(Cell& cell, TimerPlace place);

template <auto M>
MailNode* copy_call(const MailNode* model) {
    const auto& call = *static_cast<const Call<M, false>*>(model);
    return std::apply(
        [&](const auto&... kept) -> MailNode* {
            return make_call<M, false>(offset_in(call), kept...);
        },
        call.kept);
}

template <class List>
inline constexpr bool kAllCopyable = false;
template <class... P>
inline constexpr bool kAllCopyable<TypeList<P...>> =
    (std::is_copy_constructible_v<KeptAs<P>> && ...);

/// Refuses a timer that could not call its method.
template <auto M, TimerKind kKind, class... Arguments>
consteval bool check_timer() {
    using T = Traits<M>;
    if constexpr (!T::kIsMethod) {
        return check_call<M, Actor, Arguments...>();
    } else {
        constexpr bool kOurs = std::is_base_of_v<Actor, typename T::Class>;
        static_assert(kOurs,
                      "a timer calls a method of this actor: after<&MyActor::method>(delay, "
                      "args...)");
        constexpr bool kCopyable = kKind == TimerKind::once || kAllCopyable<typename T::Parameters>;
        static_assert(kCopyable,
                      "every() sends its arguments again and again, so they must be copyable");
        if constexpr (kOurs && kCopyable) return check_call<M, typename T::Class, Arguments...>();
        return false;
    }
}

}  // namespace actor_internal

/// What a timer's verb gives: the means to cancel it. Destroying it cancels nothing.
class Timer {
public:
    Timer() = default;
    /// After this no tick of this timer is delivered, not even one that waits in the mailbox. A
    /// timer that has ended is cancelled already.
    /// Threads: the actor's own turn, or its constructor.
    void cancel() noexcept {
        if (cell_ != nullptr) actor_internal::cancel_timer(*cell_, generation_, place_);
    }

private:
    friend class Actor;
    template <class>
    friend class StateMachine;
    Timer(Cell& cell, actor_internal::TimerPlace place) noexcept
        : cell_(&cell), generation_(cell.generation()), place_(place) {}

    Cell* cell_ = nullptr;
    std::uint32_t generation_ = 0;
    actor_internal::TimerPlace place_;
};

}  // namespace troupe
