#pragma once

/// Replies that are not the handler's return value: another actor's, or one that comes later.

#include <troupe/actor/message.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>

#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

namespace troupe {

template <class T = void>
class ReplyTo;

/// What a handler returns that may answer now, later, or not itself. From a T, a Result<T>,
/// `error(...)`, `ref.delegate<&B::m>(...)` or `later(token)`.
template <class T = void>
class Reply {
public:
    template <class U = T>
        requires(!std::is_void_v<T> && std::is_convertible_v<U &&, T> &&
                 !std::is_same_v<std::remove_cvref_t<U>, Reply>)
    Reply(U&& value)  // implicit: `return 5;`
        : result_(std::in_place, std::in_place, std::forward<U>(value)) {}
    Reply(Result<T> result) : result_(std::move(result)) {}             // implicit, as above
    Reply(std::unexpected<Error> error) : result_(std::move(error)) {}  // implicit, as above
    Reply()
        requires std::is_void_v<T>
        : result_(std::in_place) {}

    Reply(Reply&& other) noexcept
        : result_(std::move(other.result_)),
          token_(std::exchange(other.token_, nullptr)),
          delegated_(std::exchange(other.delegated_, nullptr)),
          target_(other.target_),
          generation_(other.generation_),
          stash_(other.stash_) {}
    Reply& operator=(Reply&&) = delete;
    ~Reply() {
        // Returned to nobody, or by a handler that then threw.
        if (delegated_ != nullptr) delegated_->ops->drop(delegated_, Error(Errc::no_reply));
    }

private:
    template <auto, bool, class>
    friend struct actor_internal::Call;
    template <class U>
    friend Reply<U> later(ReplyTo<U>& token) noexcept;
    template <class>
    friend class Ref;
    friend class Stash;

    Reply(actor_internal::AskEnvelope<T>* call, Stash& stash) noexcept
        : delegated_(call), stash_(&stash) {}
    Reply(ReplyTo<T>* token) noexcept : token_(token) {}
    Reply(actor_internal::AskEnvelope<T>* call, Cell* target, std::uint32_t generation) noexcept
        : delegated_(call), target_(target), generation_(generation) {}

    std::optional<Result<T>> result_;
    ReplyTo<T>* token_ = nullptr;
    actor_internal::AskEnvelope<T>* delegated_ = nullptr;
    Cell* target_ = nullptr;
    std::uint32_t generation_ = 0;
    Stash* stash_ = nullptr;  // where the call is kept instead of being sent
};

/// The right, and the duty, to answer one ask. It may be kept, moved and sent to other actors. One
/// that is destroyed unused answers no_reply at once, so no asker waits for an answer that was
/// forgotten.
///
/// Threads: any, one at a time.
template <class T>
class ReplyTo {
public:
    ReplyTo() noexcept = default;
    ReplyTo(ReplyTo&& other) noexcept : envelope_(std::exchange(other.envelope_, nullptr)) {}
    ReplyTo& operator=(ReplyTo&& other) noexcept {
        if (this != &other) {
            drop();
            envelope_ = std::exchange(other.envelope_, nullptr);
        }
        return *this;
    }
    ~ReplyTo() { drop(); }

    /// Answers the asker. Does nothing when there is none: the message was told, not asked, or has
    /// been answered.
    void send(Result<T> result) {
        if (envelope_ == nullptr) return;
        actor_internal::AskEnvelope<T>* const envelope = std::exchange(envelope_, nullptr);
        envelope->reply.emplace(std::move(result));
        actor_internal::ops_of(envelope).finish(envelope);
    }
    void send()
        requires std::is_void_v<T>
    {
        send(Result<void>());
    }

    /// Whether somebody waits for this answer.
    bool pending() const noexcept { return envelope_ != nullptr; }

private:
    template <auto, bool, class>
    friend struct actor_internal::Call;

    void drop() noexcept {
        if (envelope_ == nullptr) return;
        actor_internal::AskEnvelope<T>* const envelope = std::exchange(envelope_, nullptr);
        envelope->ops->drop(
            envelope, Error(Errc::no_reply, std::string(actor_internal::ops_of(envelope).method) +
                                                " was not answered: its ReplyTo was dropped"));
    }

    actor_internal::AskEnvelope<T>* envelope_ = nullptr;
};

/// Leaves the answer for later: `return later(waiting_.emplace_back());` binds the token to the
/// message being handled. The token must still be where it was when the handler returns.
template <class T>
Reply<T> later(ReplyTo<T>& token) noexcept {
    return Reply<T>(&token);
}

}  // namespace troupe
