#pragma once

#include <troupe/actor/ask.hpp>
#include <troupe/actor/exit.hpp>
#include <troupe/actor/message.hpp>
#include <troupe/actor/pid.hpp>
#include <troupe/actor/reply.hpp>
#include <troupe/scheduler/cell.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace troupe {

/// What became of a message that does not wait.
enum class SendStatus : std::uint8_t {
    sent,  ///< it lies in the mailbox; the actor may still end before it gets there
    full,  ///< the mailbox had no room: the message is a dead letter
    gone,  ///< there is no such actor any more: the message is a dead letter
};

namespace actor_internal {

/// Puts a message where it belongs; what does not go in becomes a dead letter.
SendStatus post(Cell* cell, std::uint32_t generation, MailNode* message) noexcept;
void post_stop(Cell* cell, std::uint32_t generation, Stop strength, ExitReason reason) noexcept;
Pid pid_of(const Cell* cell, std::uint32_t generation) noexcept;

struct RefAccess;

}  // namespace actor_internal

/// The address of an actor, seen as an A: the actor's class or any base of it.
///
/// It keeps nobody alive and costs nothing to copy. Calls to an actor that has ended are refused
/// with `gone` or `actor_gone`, for ever. A may be incomplete until a message is sent.
///
/// Threads: any.
/// Order:   messages from one sender to one actor arrive in the order they were sent.
template <class A>
class Ref {
public:
    /// Nobody: tell answers gone, ask actor_gone.
    Ref() noexcept = default;

    /// A Ref of a derived class is one of its base.
    template <class Derived>
        requires(!std::is_same_v<Derived, A> && std::is_convertible_v<Derived*, A*>)
    Ref(Ref<Derived> other) noexcept  // implicit, as the pointer conversion is
        : cell_(other.cell_), generation_(other.generation_), node_(other.node_) {
        static_assert(
            requires(A* base) { static_cast<Derived*>(base); },
            "a Ref cannot convert to a virtual base class");
        if (cell_ == nullptr) return;
        offset_ = static_cast<std::uint16_t>(other.offset_ +
                                             actor_internal::offset_of_base<Derived, A>());
        static_assert(sizeof(Derived) <= 0xFFFF,
                      "interfaces of an actor lie within its first 64 KiB: keep big members "
                      "behind a unique_ptr");
    }

    /// Sends a message and does not wait. A full mailbox refuses it, whatever its policy.
    ///
    /// Errors:  gone, full; either makes it a dead letter. Never throws, unless an argument's copy
    ///          does.
    template <auto M, class... Arguments>
    SendStatus tell(Arguments&&... arguments) const {
        if constexpr (actor_internal::check_call<M, A, Arguments...>()) {
            using Class = typename actor_internal::Traits<M>::Class;
            return actor_internal::post(cell_, generation_,
                                        actor_internal::make_call<M, false>(
                                            offset_ + actor_internal::offset_of_base<A, Class>(),
                                            std::forward<Arguments>(arguments)...));
        } else {
            return SendStatus::gone;
        }
    }

    /// Sends a message and waits for room in the mailbox, first come, first served; it also lets
    /// the others run when this turn has sent a lot.
    ///
    /// Errors:  actor_gone, when the actor has ended or ends meanwhile; call_cycle, when the
    ///          mailbox is the sender's own and full, or the actor waits, perhaps through others,
    ///          for the sender; mailbox_full, by the mailbox's policy; cancelled.
    /// Threads: in an actor or task; suspends it, never the worker.
    template <auto M, class... Arguments>
    auto send(Arguments&&... arguments) const {
        if constexpr (actor_internal::check_call<M, A, Arguments...>()) {
            using Class = typename actor_internal::Traits<M>::Class;
            return actor_internal::Send(cell_, generation_,
                                        actor_internal::make_call<M, false>(
                                            offset_ + actor_internal::offset_of_base<A, Class>(),
                                            std::forward<Arguments>(arguments)...));
        } else {
            return actor_internal::NoAsk();
        }
    }

    /// Calls the method and waits for its reply, at most five seconds unless `within` says
    /// otherwise. The message is sent when the Ask is awaited.
    ///
    /// Errors:  timed_out; actor_gone, when the target has ended or ends before it replies; failed,
    ///          when its handler throws; mailbox_full, by the mailbox's policy; call_cycle, when
    ///          the target waits, perhaps through others, for the asker; cancelled; and whatever
    ///          the method itself returns.
    /// Threads: in an actor or task; suspends it, never the worker.
    /// Units:   the deadline runs on the system's clock, so the simulator can move it.
    /// Order:   calls from one sender to one target run in the order they were awaited.
    /// Source:  docs/design/0013-waiting-for-each-other.md
    template <auto M, class... Arguments>
    auto ask(Arguments&&... arguments) const {
        if constexpr (actor_internal::check_call<M, A, Arguments...>()) {
            using Class = typename actor_internal::Traits<M>::Class;
            return Ask<actor_internal::ReplyOf<M>>(
                cell_, generation_,
                actor_internal::make_call<M, true>(
                    offset_ + actor_internal::offset_of_base<A, Class>(),
                    std::forward<Arguments>(arguments)...));
        } else {
            return actor_internal::NoAsk();
        }
    }

    /// Lets the actor answer the asker of the message being handled:
    /// `return worker_.delegate<&Worker::square>(n);` from a handler that returns Reply<T>.
    ///
    /// Errors:  the asker hears actor_gone when the actor has ended.
    template <auto M, class... Arguments>
    auto delegate(Arguments&&... arguments) const {
        if constexpr (actor_internal::check_call<M, A, Arguments...>()) {
            using Class = typename actor_internal::Traits<M>::Class;
            using Value = actor_internal::ReplyOf<M>;
            return Reply<Value>(actor_internal::make_call<M, true>(
                                    offset_ + actor_internal::offset_of_base<A, Class>(),
                                    std::forward<Arguments>(arguments)...),
                                cell_, generation_);
        } else {
            return actor_internal::NoAsk::Anything();
        }
    }

    /// Asks the actor to end. Returns at once; a monitor hears when it has.
    void stop(Stop strength = Stop::stop,
              ExitReason reason = ExitReason(ExitReason::Kind::shutdown)) const noexcept {
        actor_internal::post_stop(cell_, generation_, strength, std::move(reason));
    }

    Pid pid() const noexcept { return actor_internal::pid_of(cell_, generation_); }

    friend bool operator==(const Ref& left, const Ref& right) noexcept {
        return left.cell_ == right.cell_ && left.generation_ == right.generation_;
    }

    // These exist only to say how it is written.
    template <class... Arguments>
        requires(sizeof...(Arguments) < 64)
    void tell(Arguments&&...) const {
        static_assert(task_internal::kNever<A>, "name the method: ref.tell<&A::method>(args...)");
    }
    template <class... Arguments>
        requires(sizeof...(Arguments) < 64)
    void ask(Arguments&&...) const {
        static_assert(task_internal::kNever<A>, "name the method: ref.ask<&A::method>(args...)");
    }
    template <class Self = A>
    A* operator->() const {
        static_assert(task_internal::kNever<Self>,
                      "an actor is reached by messages only: ref.tell<&A::method>(args...) or "
                      "co_await ref.ask<&A::method>(args...)");
        return nullptr;
    }

private:
    template <class>
    friend class Ref;
    friend struct actor_internal::RefAccess;

    Cell* cell_ = nullptr;
    std::uint32_t generation_ = 0;
    std::uint16_t node_ = 0;    // of the cluster; 0 is this process
    std::uint16_t offset_ = 0;  // of the A within the actor's object
};

/// A Ref to oneself: what `self(this)` gives. It converts to an ordinary Ref; asking it is refused
/// at compile time, since the actor would wait for itself.
template <class A>
class Self : public Ref<A> {
public:
    explicit Self(Ref<A> ref) noexcept : Ref<A>(ref) {}
    template <auto M, class... Arguments>
    void ask(Arguments&&...) const {
        static_assert(task_internal::kNever<A>,
                      "an actor cannot ask itself: call the method, or tell yourself");
    }
};

/// The free forms, for code that is generic over the actor: no `.template` needed.
template <auto M, class A, class... Arguments>
SendStatus tell(const Ref<A>& ref, Arguments&&... arguments) {
    return ref.template tell<M>(std::forward<Arguments>(arguments)...);
}
template <auto M, class A, class... Arguments>
auto ask(const Ref<A>& ref, Arguments&&... arguments) {
    return ref.template ask<M>(std::forward<Arguments>(arguments)...);
}
template <auto M, class A, class... Arguments>
auto send(const Ref<A>& ref, Arguments&&... arguments) {
    return ref.template send<M>(std::forward<Arguments>(arguments)...);
}

namespace actor_internal {

struct RefAccess {
    template <class A>
    static Ref<A> make(Cell& cell, std::uint32_t generation, std::size_t offset) noexcept {
        Ref<A> ref;
        ref.cell_ = &cell;
        ref.generation_ = generation;
        ref.offset_ = static_cast<std::uint16_t>(offset);
        return ref;
    }
    template <class A>
    static Cell* cell(const Ref<A>& ref) noexcept {
        return ref.cell_;
    }
    template <class A>
    static std::uint16_t offset(const Ref<A>& ref) noexcept {
        return ref.offset_;
    }
    template <class A>
    static std::uint32_t generation(const Ref<A>& ref) noexcept {
        return ref.generation_;
    }
};

}  // namespace actor_internal

template <class A>
MailboxOptions& MailboxOptions::redirect(const Ref<A>& other) {
    settings_.redirect_to = actor_internal::RefAccess::cell(other);
    settings_.redirect_generation = actor_internal::RefAccess::generation(other);
    return with(Overflow::redirect);
}

}  // namespace troupe

template <class A>
struct std::hash<troupe::Ref<A>> {
    std::size_t operator()(const troupe::Ref<A>& ref) const noexcept {
        return std::hash<troupe::Pid>()(ref.pid());
    }
};
