#pragma once

#include <troupe/actor/message.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/scope.hpp>
#include <troupe/task/task.hpp>

#include <coroutine>
#include <cstdint>
#include <source_location>
#include <string_view>
#include <utility>

namespace troupe {

template <class A>
class Self;

/// How long an ask waits when nobody says otherwise.
inline constexpr Duration kAskTimeout = std::chrono::seconds(5);

/// When whoever has asked for what the running handler does gives up waiting for it;
/// Duration::max() when nobody asked, or asked without a limit. What takes longer is done for
/// nobody.
///
/// Units:   the system's clock, as System::now.
/// Threads: the handler's own turn; elsewhere it is max().
Duration asker_deadline() noexcept;

namespace actor_internal {

/// Whether a request is on its way. If not, the envelope is still the caller's.
enum class AskStatus : std::uint8_t {
    unsent,
    sent,
    gone,
    asks_itself,
    cycle,
    refused,
    too_many,
    cancelled
};

/// Sends the request; the current cell waits until it comes back or `timeout` has passed.
AskStatus begin_ask(Cell* target, std::uint32_t generation, AskHeader* request, Awaiting& awaiting,
                    std::coroutine_handle<> self, Duration timeout);

/// Nobody waits for the answer any more. Where that is because the asker was cancelled or killed,
/// so is what the target does for it; one whose time is up may finish what it has begun. The
/// asker's turn.
void cancel_ask(Cell* target, std::uint32_t generation, const Awaiting& awaiting) noexcept;

/// The error of an ask that has timed out, naming the target, the method and what it was doing.
Error timeout_error(Cell* target, std::uint32_t generation, std::string_view method,
                    Duration waited, std::source_location where);
Error unsent_error(AskStatus status, Cell* target, std::uint32_t generation,
                   std::string_view method, std::source_location where);

/// Sends the request without waiting; the answer comes as a message: pipe.hpp.
template <auto Then, class T, class A, class... Extra>
void pipe_ask(const Self<A>& self, Cell* target, std::uint32_t generation, AskEnvelope<T>* request,
              Duration timeout, Extra&&... extra);

/// Stands for an ask whose call was refused at compile time, so that the refusal is the only error.
struct NoAsk {
    NoAsk within(Duration) const noexcept { return {}; }
    template <auto, class... Arguments>
    void pipe_to(Arguments&&...) const noexcept {}
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    struct Anything {
        template <class T>
        operator T() const;
    };
    Anything await_resume() const noexcept { return {}; }
};

/// What has become of a message that may wait for room.
enum class Sent : std::uint8_t {
    not_yet,       ///< nothing has happened: there is more to it
    sent,          ///< it lies in the mailbox
    others_first,  ///< the same, and its receivers should run now
};

/// The way of nearly all sends: into a mailbox that has room. Out of line, since a coroutine may go
/// on on another thread, and this knows the thread's turn.
[[gnu::noinline]] Sent send_plainly(Cell* target, std::uint32_t generation,
                                    MailNode* message) noexcept;

/// What a wait needs is made when there is one: a send that finds room has little more to do than a
/// tell.
class [[nodiscard("send waits for room: write co_await, or use tell")]] Send {
public:
    Send(Cell* target, std::uint32_t generation, MailNode* message) noexcept
        : generation_(generation), target_(target), message_(message) {}
    Send(const Send&) = delete;
    Send& operator=(const Send&) = delete;
    ~Send() {
        if (stage_ != Stage::sent) [[unlikely]]
            give_up();
    }

    bool await_ready() noexcept {
        const Sent outcome = send_plainly(target_, generation_, message_);
        if (outcome != Sent::sent) [[unlikely]]
            return ready_otherwise(outcome);
        stage_ = Stage::sent;
        return true;
    }
    template <task_internal::OurPromise P>
    bool await_suspend(std::coroutine_handle<P> self,
                       std::source_location where = std::source_location::current()) {
        return suspend(self, where);
    }
    [[nodiscard("a send can fail: check it, or ignore(result, \"why\")")]] Result<void>
    await_resume() {
        if (stage_ == Stage::sent) [[likely]]
            return {};
        return outcome();
    }

private:
    enum class Stage : std::uint8_t {
        made,       // the message is ours
        sent,       // there is nothing left to do
        otherwise,  // it has failed, or waits or has waited: there is a record
    };

    bool ready_otherwise(Sent outcome) noexcept;
    Result<void> outcome();
    void give_up() noexcept;
    bool suspend(std::coroutine_handle<> self, const std::source_location& where);

    union {
        Awaiting awaiting_;  // where it goes otherwise
    };
    Stage stage_ = Stage::made;
    AskStatus failure_;  // where it goes otherwise; unsent: none so far
    std::uint32_t generation_;
    Cell* target_;
    MailNode* message_;  // where it is not sent: null once it is the mailbox's
};

}  // namespace actor_internal

/// A question that has been written but not sent: it is sent when it is awaited.
template <class T>
class [[nodiscard("an ask is sent when it is awaited: write co_await, or use tell")]] Ask {
    using Envelope = actor_internal::AskEnvelope<T>;

public:
    using value_type = T;

    Ask(Cell* target, std::uint32_t generation, Envelope* envelope) noexcept
        : target_(target), generation_(generation), envelope_(envelope) {}
    Ask(Ask&& other) noexcept
        : target_(other.target_),
          generation_(other.generation_),
          envelope_(std::exchange(other.envelope_, nullptr)),
          timeout_(other.timeout_) {}
    Ask& operator=(Ask&& other) = delete;
    ~Ask() {
        if (envelope_ != nullptr) envelope_->ops->drop(envelope_, Error(Errc::cancelled));
    }

    /// Waits this long at most. Units: the system's clock.
    Ask within(Duration timeout) && {
        timeout_ = timeout;
        return std::move(*this);
    }

    /// Asks without waiting: the answer comes to this actor as a message, `Then(Result<T>,
    /// extra...)`, exactly once, also when the deadline passes or the target ends. Then may be
    /// private. When the actor itself ends before, the answer is a dead letter.
    ///
    /// Errors:  those of an ask, in Then's Result; mailbox_full as well when the target's mailbox
    ///          is full, since nobody waits for room.
    /// Threads: the actor's own turn, in any handler.
    template <auto Then, class A, class... Extra>
    void pipe_to(const Self<A>& self, Extra&&... extra) && {
        if constexpr (actor_internal::check_call<Then, A, Result<T>, Extra...>()) {
            actor_internal::pipe_ask<Then>(self, target_, generation_,
                                           std::exchange(envelope_, nullptr), timeout_,
                                           std::forward<Extra>(extra)...);
        }
    }

    class [[nodiscard]] Awaiter {
    public:
        explicit Awaiter(Ask&& ask) noexcept : ask_(std::move(ask)) {}
        Awaiter(const Awaiter&) = delete;
        Awaiter& operator=(const Awaiter&) = delete;
        ~Awaiter() {
            // Otherwise it is the mailbox's, or was never sent and the Ask frees it.
            if (status_ == actor_internal::AskStatus::sent) ask_.envelope_ = nullptr;
            if (awaiting_.arrived != nullptr) {
                Envelope::free_reply(arrived());
            } else if (status_ == actor_internal::AskStatus::sent) [[unlikely]] {
                actor_internal::cancel_ask(ask_.target_, ask_.generation_, awaiting_);
            }
        }
        bool await_ready() const noexcept { return false; }
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self,
                           std::source_location where = std::source_location::current()) {
            awaiting_.what = "ask";
            awaiting_.where = where;
            method_ = actor_internal::ops_of(ask_.envelope_).method;
            awaiting_.subject = method_;
            status_ = actor_internal::begin_ask(ask_.target_, ask_.generation_, ask_.envelope_,
                                                awaiting_, self, ask_.timeout_);
            return status_ == actor_internal::AskStatus::sent || awaiting_.yielding;
        }
        [[nodiscard(
            "the Result of an ask was dropped: check it, pass it on with or_return, or "
            "ignore(result, \"why\")")]] Result<T>
        await_resume() {
            if (awaiting_.arrived != nullptr) return std::move(*arrived()->reply);
            if (awaiting_.timed_out) {
                // Less than asked for, where whoever asked for all this waits no longer.
                const Duration waited = awaiting_.deadline - awaiting_.since;
                return std::unexpected(actor_internal::timeout_error(
                    ask_.target_, ask_.generation_, method_,
                    waited < ask_.timeout_ ? waited : ask_.timeout_, awaiting_.where));
            }
            if (awaiting_.cancelled) return std::unexpected(cancelled_error(awaiting_));
            // A cycle is found before the request is sent, or only afterwards.
            const auto status = awaiting_.in_cycle ? actor_internal::AskStatus::cycle : status_;
            return std::unexpected(actor_internal::unsent_error(
                status, ask_.target_, ask_.generation_, method_, awaiting_.where));
        }

    private:
        // Not always the envelope that was sent: a delegate answers with its own.
        Envelope* arrived() const noexcept { return static_cast<Envelope*>(awaiting_.arrived); }

        Ask ask_;
        Awaiting awaiting_;
        std::string_view method_;
        actor_internal::AskStatus status_ = actor_internal::AskStatus::unsent;
    };

    Awaiter operator co_await() && noexcept { return Awaiter(std::move(*this)); }

    // These exist only to say what is missing.
    template <class Self = Ask>
    void operator co_await() & {
        static_assert(task_internal::kNever<Self>,
                      "an ask is sent when awaited, so await it where it is made; for several at "
                      "once use all(a, b) or a TaskGroup");
    }
    template <class Self = Ask>
    void operator*() const {
        static_assert(task_internal::kNever<Self>,
                      "this has not happened yet: write co_await in front of it");
    }
    template <class Self = Ask>
    Ask* operator->() const {
        static_assert(task_internal::kNever<Self>,
                      "this has not happened yet: write co_await in front of it");
        return nullptr;
    }
    template <class Self = Ask>
    void value() const {
        static_assert(task_internal::kNever<Self>,
                      "this has not happened yet: write co_await in front of it");
    }
    template <class To>
        requires(std::is_same_v<To, bool> || std::is_same_v<To, T> || std::is_same_v<To, Result<T>>)
    operator To() const {
        static_assert(task_internal::kNever<To>,
                      "this has not happened yet: write co_await in front of it");
    }

private:
    Cell* target_;
    std::uint32_t generation_;
    Envelope* envelope_;
    Duration timeout_ = kAskTimeout;
};

}  // namespace troupe
