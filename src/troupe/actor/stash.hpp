#pragma once

/// Messages an actor cannot handle yet, kept until it can. Their askers stay waiting.
///
///     class Store : public Actor {
///         Reply<Row> read(Key key) {
///             if (!connected_) return stash_.keep<&Store::read>(std::move(key));
///             ...
///         }
///         void connected() { connected_ = true; stash_.release(); }
///         Stash stash_{this, 100};
///     };
///
/// The arguments are given back because the handler has consumed them. What is still kept when the
/// actor ends is told of like mail that was never handled; over a restart it stays with the mail.

#include <troupe/actor/actor.hpp>

#include <cstddef>
#include <deque>
#include <type_traits>
#include <utility>

namespace troupe {

class Stash {
public:
    /// A member of the actor it belongs to, with room for so many messages. What does not fit is a
    /// dead letter, and its asker hears mailbox_full.
    Stash(const Actor* owner, std::size_t capacity) : owner_(owner), capacity_(capacity) {}
    Stash(const Stash&) = delete;
    Stash& operator=(const Stash&) = delete;
    ~Stash();

    /// When it is full, the oldest message goes and not the new one.
    Stash& drop_oldest() noexcept {
        overflow_ = Overflow::drop_oldest;
        return *this;
    }
    /// When it is full, the actor fails.
    Stash& fail_actor() noexcept {
        overflow_ = Overflow::fail_actor;
        return *this;
    }

    /// Keeps a call of M. Where M returns void the call is kept at once and nobody waits for it;
    /// else the result is to be returned: `return stash_.keep<&Store::read>(std::move(key));` from
    /// a handler that returns Reply<T>, and the asker waits on.
    template <auto M, class... Arguments>
    auto keep(Arguments&&... arguments) {
        using Class = typename actor_internal::Traits<M>::Class;
        if constexpr (!actor_internal::check_call<M, Class, Arguments...>()) {
            return actor_internal::NoAsk::Anything();
        } else if constexpr (std::is_void_v<typename actor_internal::Traits<M>::Return>) {
            add(actor_internal::make_call<M, false>(offset_of<Class>(),
                                                    std::forward<Arguments>(arguments)...));
        } else {
            return Reply<actor_internal::ReplyOf<M>>(
                actor_internal::make_call<M, true>(offset_of<Class>(),
                                                   std::forward<Arguments>(arguments)...),
                *this);
        }
    }

    /// Lets all that is kept be handled now, in the order in which it came, before all other
    /// messages that wait.
    void release();

    std::size_t size() const noexcept { return kept_.size(); }

private:
    template <auto, bool, class>
    friend struct actor_internal::Call;
    friend void actor_internal::keep_in_stash(Stash& stash, MailNode* call);

    template <class Class>
    std::ptrdiff_t offset_of() const noexcept {
        return actor_internal::ActorAccess::offset_in_object<Class>(*owner_);
    }
    void add(MailNode* call);

    const Actor* owner_;
    std::size_t capacity_;
    Overflow overflow_ = Overflow::reject;
    std::deque<MailNode*> kept_;
};

}  // namespace troupe
