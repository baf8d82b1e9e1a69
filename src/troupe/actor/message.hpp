#pragma once

/// Envelopes: what lies in a mailbox for one call of a method.
///
/// An envelope is one block: the mail header, for an ask the room for the reply, the arguments, and
/// for a coroutine handler the coroutine. It lives until the reply is sent, so a handler may keep
/// using what it was lent. An ask's envelope then travels back as the reply.

#include <troupe/actor/mailbox.hpp>
#include <troupe/actor/method.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace troupe {

template <class T>
class Reply;
template <class T>
class ReplyTo;
class Stash;

}  // namespace troupe

namespace troupe::actor_internal {

struct AskHeader;

template <class R>
inline constexpr bool kIsReply = false;
template <class T>
inline constexpr bool kIsReply<Reply<T>> = true;

/// Sends a request whose envelope says who asks. When there is no such actor, the asker hears it.
void post_request(Cell* target, std::uint32_t generation, AskHeader* request) noexcept;

/// The answer may come from anybody now: the asker is not known to wait for this actor any more.
void answered_by_anybody(const AskHeader& request) noexcept;

/// The facts of this turn travel with the message.
MailNode* carry_facts(MailNode* message) noexcept;

/// Keeps a call until it is to be handled.
void keep_in_stash(Stash& stash, MailNode* call);

/// What `deliver` reports to the turn.
enum class Handled : std::uint8_t {
    done,       ///< the handler has returned; the envelope waits for `finish`
    suspended,  ///< the handler's coroutine waits somewhere
    parked,     ///< the handler has returned; somebody else has the envelope and answers it
};

struct MessageOps : MailOps {
    std::string_view method;  ///< "Account::deposit"

    /// Calls the method on the object. Throws what it throws.
    Handled (*deliver)(void* object, MailNode* message) = nullptr;
    /// Takes the result of a coroutine that has finished. Throws what it threw.
    Handled (*complete)(MailNode* message) = nullptr;
    /// Frees the envelope, or sends it back as the reply.
    void (*finish)(MailNode* message) noexcept = nullptr;
    /// The method's identity, for probes and per-method limits.
    const void* id = nullptr;
    /// What the arguments cost a mailbox with a byte budget.
    std::size_t (*bytes)(const MailNode* message) = nullptr;
    /// Whether its arguments are what they were after a handler has had them.
    bool repeatable = false;
    /// Somebody waits for the reply: the message is an AskHeader.
    bool asked = false;
    /// Of a tell's call that is handled in one go: calls the method and frees the envelope. What it
    /// destroys then is no longer what the turn handles. Throws what the method throws; then the
    /// envelope stays. Else null.
    void (*consume)(void* object, MailNode* message, RunningTurn& running) = nullptr;
};

inline const MessageOps& ops_of(const MailNode* message) noexcept {
    return *static_cast<const MessageOps*>(message->ops);
}

/// Who asks: the same for replies of all types.
struct AskHeader : TimedNode {
    Cell* asker = nullptr;
    std::uint32_t asker_generation = 0;
    std::uint32_t await_number = 0;
    std::uint32_t bytes = 0;  // of the whole block
    bool piped = false;       // the reply becomes a message; await_number is the pipe's
};

/// The reply of a piped ask: becomes the message that was made for it.
bool piped_reply_arrived(MailNode* reply, Cell& cell);

/// The part of an ask's envelope that the asker sees: it knows the reply's type and nothing of the
/// method.
template <class T>
struct AskEnvelope : AskHeader {
    std::optional<Result<T>> reply;

    /// Destroys an envelope that was sent back, or never sent.
    static void free_reply(AskEnvelope* envelope) noexcept {
        const std::size_t bytes = envelope->bytes;
        envelope->~AskEnvelope();
        free_block(envelope, bytes);
    }
    static const MailOps kReplyOps;
    static const MailOps kPipedOps;

    /// Sends the envelope back. The arguments are gone already.
    void post_reply() noexcept {
        if (asker == nullptr) return free_reply(this);  // it was never sent
        tag = await_number;
        if (piped) [[unlikely]] {
            ops = &kPipedOps;
            return post_signal(*asker, asker_generation, this);
        }
        ops = &kReplyOps;
        post_answer(*asker, asker_generation, this);
    }
};

template <class T>
const MailOps AskEnvelope<T>::kReplyOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_reply(static_cast<AskEnvelope*>(node)); },
    &arrive_as_answer};

template <class T>
const MailOps AskEnvelope<T>::kPipedOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_reply(static_cast<AskEnvelope*>(node)); },
    &piped_reply_arrived};

/// Where in the object the class of the method lies. In the upper half of the tag stands when the
/// message was sent (mail_stats.hpp).
inline std::ptrdiff_t offset_in(const MailNode& call) noexcept {
    return static_cast<std::uint16_t>(call.tag);
}

struct NoCoroutine {};

template <class List>
struct KeptTuple;
template <class... P>
struct KeptTuple<TypeList<P...>> {
    using type = std::tuple<KeptAs<P>...>;
};

/// One call of method M: a tell's envelope, or with Asked an ask's.
///
/// The class is a parameter although M says it: GCC 12 gives what is instantiated with a method of
/// an unnamed namespace's class external linkage, unless a type tells it better, and two classes of
/// one name in two files would share their handlers.
template <auto M, bool Asked, class C = typename Traits<M>::Class>
struct Call final : std::conditional_t<Asked, AskEnvelope<ReplyOf<M>>, MailNode> {
    using T = Traits<M>;
    using Class = typename T::Class;
    using Return = typename T::Return;
    using Kept = typename KeptTuple<typename T::Parameters>::type;
    using Value = ReplyOf<M>;
    static constexpr bool kCoroutine = kIsTask<Return>;
    static constexpr bool kConsumed = !Asked && !kCoroutine && !kIsReply<Return>;

    template <class... Arguments>
    explicit Call(Arguments&&... arguments) : kept(std::forward<Arguments>(arguments)...) {
        this->ops = &kOps;
        if constexpr (Asked) this->bytes = static_cast<std::uint32_t>(sizeof(Call));
    }

    static Call& of(MailNode* message) noexcept { return *static_cast<Call*>(message); }

    template <std::size_t... I, class... P>
    Return call(Class& object, std::index_sequence<I...>, TypeList<P...>) {
        return (object.*M)(pass<P>(std::get<I>(kept))...);
    }
    Return call(Class& object) {
        return call(object, std::make_index_sequence<T::Parameters::kSize>(),
                    typename T::Parameters());
    }

    /// Keeps what the method returned. Nothing to keep for a tell.
    template <class R>
    Handled keep(R&& returned) {
        using Returned = std::remove_cvref_t<R>;
        if constexpr (kIsReply<Returned>) {
            return keep_reply(returned);
        } else if constexpr (!Asked) {
            return Handled::done;
        } else if constexpr (!task_internal::kIsResult<Returned>) {
            keep_value(std::forward<R>(returned));
        } else if (!returned.has_value()) {
            this->reply.emplace(std::unexpect, std::forward<R>(returned).error());
        } else if constexpr (std::is_void_v<Value>) {
            this->reply.emplace();
        } else {
            keep_value(*std::forward<R>(returned));
        }
        return Handled::done;
    }

    /// A view is copied into its owner: what it shows may be gone when the asker looks.
    template <class V>
    void keep_value(V&& value) {
        if constexpr (std::is_constructible_v<Value, V&&>) {
            this->reply.emplace(std::in_place, std::forward<V>(value));
        } else {
            this->reply.emplace(std::in_place, value.begin(), value.end());
        }
    }

    Handled keep() {
        if constexpr (Asked) this->reply.emplace();
        return Handled::done;
    }

    /// The method has returned a Task that is none: `return {};`.
    Handled keep_nothing() {
        if constexpr (!Asked) {
        } else if constexpr (std::is_void_v<Value>) {
            this->reply.emplace();
        } else {
            this->reply.emplace(std::unexpect, Errc::no_reply,
                                std::string(kOps.method) + " has returned an empty Task");
        }
        return Handled::done;
    }

    template <class U>
    Handled keep_reply(Reply<U>& returned) {
        if (returned.delegated_ != nullptr) {
            AskEnvelope<U>* const call = std::exchange(returned.delegated_, nullptr);
            if constexpr (Asked) {
                // The callee answers our asker; this envelope has nobody to go back to.
                call->asker = std::exchange(this->asker, nullptr);
                call->asker_generation = this->asker_generation;
                call->await_number = this->await_number;
                call->piped = this->piped;
                call->deadline = this->deadline;
            }
            release_context(*call);
            call->context = std::exchange(this->context, nullptr);
            if (returned.stash_ != nullptr) {
                keep_in_stash(*returned.stash_, call);
            } else {
                post_request(returned.target_, returned.generation_, call);
            }
        } else if (returned.token_ != nullptr) {
            if constexpr (Asked) {
                answered_by_anybody(*this);
                release_context(*this);
                *returned.token_ = ReplyTo<U>();
                returned.token_->envelope_ = this;
                return Handled::parked;
            }
        } else if constexpr (Asked) {
            this->reply.emplace(std::move(*returned.result_));
        }
        return Handled::done;
    }

    static Class& class_in(void* object, const MailNode& message) noexcept {
        return *reinterpret_cast<Class*>(static_cast<std::byte*>(object) + offset_in(message));
    }

    static Handled deliver(void* object, MailNode* message) {
        Call& self = of(message);
        Class& target = class_in(object, *message);
        if constexpr (kCoroutine) {
            self.running = self.call(target);
            if (self.running.empty()) [[unlikely]]
                return self.keep_nothing();
            self.running.start();
            if (!self.running.finished()) return Handled::suspended;
            return complete(message);
        } else if constexpr (std::is_void_v<Return>) {
            self.call(target);
            return self.keep();
        } else {
            return self.keep(self.call(target));
        }
    }

    static Handled complete(MailNode* message) {
        Call& self = of(message);
        if constexpr (!kCoroutine) {
            return Handled::done;
        } else if constexpr (std::is_void_v<typename Return::value_type>) {
            self.running.take();
            return self.keep();
        } else {
            return self.keep(self.running.take());
        }
    }

    /// Out of line: it knows the thread's blocks, and a coroutine may go on on another thread.
    [[gnu::noinline]] static void finish(MailNode* message) noexcept {
        Call& self = of(message);
        // What belongs to the handler is destroyed here, where the handler ran.
        if constexpr (kCoroutine) self.running.reset();  // its scopes are part of the context
        if constexpr (Asked) {
            self.kept.~Kept();
            ::new (static_cast<void*>(&self.kept_gone)) char;
        }
        end(self);
    }
    [[gnu::always_inline]] static void end(Call& self) noexcept {
        if (self.context != nullptr) [[unlikely]]
            return let_go_with_context(self);
        let_go(self);
    }
    [[gnu::noinline]] static void let_go_with_context(Call& self) noexcept {
        release_context_slowly(self);
        let_go(self);
    }
    static void let_go(Call& self) noexcept {
        if constexpr (Asked) {
            self.post_reply();
        } else {
            self.~Call();
            free_block_here<sizeof(Call)>(&self);
        }
    }

    [[gnu::noinline]] static void consume(void* object, MailNode* message,
                                          [[maybe_unused]] RunningTurn& running) {
        if constexpr (kConsumed) {
            static_cast<void>(of(message).call(class_in(object, *message)));
            // What the arguments' end does is done for nobody. The turn itself forgets the message.
            if constexpr (!std::is_trivially_destructible_v<Kept>) running.handling = nullptr;
            end(of(message));
        }
    }

    static std::size_t bytes_of_arguments(const MailNode* message) {
        return std::apply(
            [](const auto&... arguments) {
                return (std::size_t{0} + ... + message_bytes(arguments));
            },
            static_cast<const Call*>(message)->kept);
    }

    static void drop(MailNode* message, const Error& why) noexcept {
        Call& self = of(message);
        if constexpr (Asked) self.reply.emplace(std::unexpect, why);
        finish(message);
    }

    ~Call() {
        // The coroutine first: its locals may use what it was lent.
        if constexpr (kCoroutine) running.reset();
        kept.~Kept();
    }

    static constexpr MessageOps kOps{{MailKind::message, &drop, nullptr, Asked},
                                     method_name<M>(),
                                     &deliver,
                                     &complete,
                                     &finish,
                                     &kMethodId<M>,
                                     &bytes_of_arguments,
                                     kParametersStay<typename T::Parameters>,
                                     Asked,
                                     kConsumed ? &consume : nullptr};

    union {
        Kept kept;
        char kept_gone;  // after finish of an ask: only the AskEnvelope is left
    };
    [[no_unique_address]] std::conditional_t<kCoroutine, Return, NoCoroutine> running;
};

template <auto M, bool Asked, class C, class... Arguments>
[[gnu::always_inline]] inline Call<M, Asked, C>* build_call(void* block, std::ptrdiff_t offset,
                                                            Arguments&&... arguments) {
    struct Guard {  // an argument's constructor may throw
        void* block;
        ~Guard() {
            if (block != nullptr) free_block_of<sizeof(Call<M, Asked, C>)>(block);
        }
    } guard{block};
    auto* const call = ::new (block) Call<M, Asked, C>(std::forward<Arguments>(arguments)...);
    guard.block = nullptr;
    call->tag = static_cast<std::uint32_t>(offset);
    if (Facts::in_use()) [[unlikely]]
        return static_cast<Call<M, Asked, C>*>(carry_facts(call));
    return call;
}

/// Where the thread has no block at hand.
template <auto M, bool Asked, class C, class... Arguments>
[[gnu::noinline, gnu::cold]] Call<M, Asked, C>* make_call_slowly(std::ptrdiff_t offset,
                                                                 Arguments&&... arguments) {
    return build_call<M, Asked, C>(allocate_block_of<sizeof(Call<M, Asked, C>)>(), offset,
                                   std::forward<Arguments>(arguments)...);
}

/// Makes the envelope of a call; `tag` tells the turn where in the object the method's class lies.
/// Out of line, as `finish` is, and so that neither needs a register saved: what is rare is done
/// elsewhere.
template <auto M, bool Asked, class C = typename Traits<M>::Class, class... Arguments>
[[gnu::noinline]] Call<M, Asked, C>* make_call(std::ptrdiff_t offset, Arguments&&... arguments) {
    void* const block = take_block_here<sizeof(Call<M, Asked, C>)>();
    if (block == nullptr) [[unlikely]]
        return make_call_slowly<M, Asked, C>(offset, std::forward<Arguments>(arguments)...);
    return build_call<M, Asked, C>(block, offset, std::forward<Arguments>(arguments)...);
}

/// What the key of a conflated method says about two calls of it that wait.
template <auto M, class Key>
struct ConflationKey {
    using Message = Call<M, false>;

    static decltype(auto) of(const MailNode* message) {
        return std::apply(Key(), static_cast<const Message*>(message)->kept);
    }
    static std::size_t hash(const MailNode* message) {
        using Value = std::remove_cvref_t<decltype(of(message))>;
        return std::hash<Value>()(of(message));
    }
    static bool same(const MailNode* left, const MailNode* right) { return of(left) == of(right); }
};

}  // namespace troupe::actor_internal

namespace troupe {

template <auto M, class Key>
MailboxOptions& MailboxOptions::conflate(Key) {
    static_assert(std::is_empty_v<Key> && std::is_default_constructible_v<Key>,
                  "the key is a function of the arguments alone: a lambda without captures");
    using Of = actor_internal::ConflationKey<M, Key>;
    settings_.conflated.push_back({&actor_internal::kMethodId<M>, &Of::hash, &Of::same});
    managed_ = true;
    return *this;
}

}  // namespace troupe
