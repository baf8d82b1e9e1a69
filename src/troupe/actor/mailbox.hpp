#pragma once

/// What a mailbox does when messages come faster than they are handled.
///
///     options().mailbox(bounded(100).drop_oldest())
///     options().mailbox(bounded(1000).reject().high_priority<&Shop::close>())
///
/// The plain bounded mailbox is one word and takes no lock. Everything else here (another policy
/// than `suspend`, priorities, conflation, a byte budget) is kept in a queue under a lock of the
/// actor's own, which costs some tens of nanoseconds a message.

#include <troupe/actor/method.hpp>
#include <troupe/actor/pid.hpp>
#include <troupe/base/duration.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace troupe {

class Cell;
struct MailNode;
template <class A>
class Ref;

/// What becomes of a message that finds the mailbox full. Lost messages are dead letters.
enum class Overflow : std::uint8_t {
    suspend,      ///< `send` and `ask` wait for room; `tell` is refused with `full`
    reject,       ///< all are refused: `full`, or the error mailbox_full
    drop_newest,  ///< the message is lost; `send` goes on, an `ask` hears mailbox_full
    drop_oldest,  ///< the oldest message of the lowest priority is lost, this one goes in
    fail_actor,   ///< the actor ends as failed
    redirect,     ///< the message goes to another actor
};
const char* name(Overflow policy) noexcept;

namespace actor_internal {

/// A method of which only the newest waiting call is kept, for each key if there are keys.
struct ConflatedMethod {
    const void* method = nullptr;
    std::size_t (*key_hash)(const MailNode* message) = nullptr;  // null: all calls are alike
    bool (*same_key)(const MailNode* left, const MailNode* right) = nullptr;
};

/// So many calls of a method may wait.
struct MethodLimit {
    const void* method = nullptr;
    std::size_t waiting_max = 0;
};

/// So many messages may come in a time.
struct MessageRate {
    const void* method = nullptr;  // null: any
    Duration each{};               // between two, on average
    std::uint64_t burst = 1;       // as many may come at once
};

/// What a managed mailbox was asked to do.
struct MailboxSettings {
    Overflow overflow = Overflow::suspend;
    std::size_t capacity = 0;   // messages; 0: unbounded
    std::size_t bytes_max = 0;  // of arguments; 0: no budget
    Cell* redirect_to = nullptr;
    std::uint32_t redirect_generation = 0;
    std::vector<const void*> high_priority;  // methods
    std::vector<ConflatedMethod> conflated;
    std::vector<MethodLimit> limits;
    std::vector<MessageRate> rates;
};

}  // namespace actor_internal

/// The mailbox of an actor to be spawned: `bounded(100)` or `unbounded()`, and what follows.
class MailboxOptions {
public:
    MailboxOptions& suspend() { return with(Overflow::suspend); }
    MailboxOptions& reject() { return with(Overflow::reject); }
    MailboxOptions& drop_newest() { return with(Overflow::drop_newest); }
    MailboxOptions& drop_oldest() { return with(Overflow::drop_oldest); }
    MailboxOptions& fail_actor() { return with(Overflow::fail_actor); }

    /// What does not fit goes to `other`, which has the method as well: an actor of the same class
    /// or one derived from it.
    template <class A>
    MailboxOptions& redirect(const Ref<A>& other);

    /// Calls of M overtake the others, eight to one at most, so that nobody starves.
    template <auto M>
    MailboxOptions& high_priority() {
        settings_.high_priority.push_back(&actor_internal::kMethodId<M>);
        managed_ = true;
        return *this;
    }

    /// Of several calls of M that wait, only the newest is kept, in the place of the oldest. Asks
    /// are never conflated: each asker wants an answer.
    template <auto M>
    MailboxOptions& conflate() {
        settings_.conflated.push_back({&actor_internal::kMethodId<M>});
        managed_ = true;
        return *this;
    }
    /// The same for each key by itself: `conflate<&Board::price>([](const std::string& item, int)
    /// { return item; })` keeps the newest price of each item.
    template <auto M, class Key>
    MailboxOptions& conflate(Key key);

    /// At most so many calls of M wait; what becomes of one more, the policy says. So one kind of
    /// message cannot fill the mailbox for all others.
    template <auto M>
    MailboxOptions& limit(std::size_t waiting_max) {
        settings_.limits.push_back(
            {&actor_internal::kMethodId<M>, waiting_max != 0 ? waiting_max : 1});
        managed_ = true;
        return *this;
    }

    /// Takes so many messages in `per`, evenly spread, and `burst` at once when none has come for a
    /// while. One more is refused, whatever the policy: `full`, or the error mailbox_full.
    MailboxOptions& rate(std::uint64_t messages, Duration per, std::uint64_t burst = 1) {
        return with_rate(nullptr, messages, per, burst);
    }
    /// The same for calls of M.
    template <auto M>
    MailboxOptions& rate(std::uint64_t messages, Duration per, std::uint64_t burst = 1) {
        return with_rate(&actor_internal::kMethodId<M>, messages, per, burst);
    }

    /// Refuses, by the same policy, what would make the waiting arguments larger than this.
    /// Units: bytes, as counted by `message_bytes` over each argument.
    MailboxOptions& bytes(std::size_t budget) {
        settings_.bytes_max = budget;
        managed_ = true;
        return *this;
    }

    std::size_t capacity() const noexcept { return settings_.capacity; }
    bool managed() const noexcept { return managed_; }
    const actor_internal::MailboxSettings& settings() const noexcept { return settings_; }

private:
    explicit MailboxOptions(std::size_t capacity) { settings_.capacity = capacity; }
    friend MailboxOptions bounded(std::size_t messages);
    friend MailboxOptions unbounded();

    MailboxOptions& with(Overflow policy) {
        settings_.overflow = policy;
        managed_ = managed_ || policy != Overflow::suspend;
        return *this;
    }

    MailboxOptions& with_rate(const void* method, std::uint64_t messages, Duration per,
                              std::uint64_t burst) {
        const auto count = static_cast<Duration::rep>(messages != 0 ? messages : 1);
        settings_.rates.push_back({method, per / count, burst != 0 ? burst : 1});
        managed_ = true;
        return *this;
    }

    actor_internal::MailboxSettings settings_;
    bool managed_ = false;
};

inline constexpr std::size_t kMailboxDefault = 1000;

/// Room for so many messages, 60,000 at most.
MailboxOptions bounded(std::size_t messages);
/// Room for as many as memory holds. Only where something else bounds the senders.
MailboxOptions unbounded();

/// What an argument costs a mailbox with a byte budget: its size and what it holds in strings and
/// vectors. Overload it, in the argument's own namespace, for types that own more.
template <class T>
std::size_t message_bytes(const T& value) noexcept {
    if constexpr (requires { value.capacity() * sizeof(*value.data()); }) {
        return sizeof(T) + value.size() * sizeof(*value.data());
    } else {
        return sizeof(T);
    }
}

}  // namespace troupe
