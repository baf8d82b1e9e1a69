#pragma once

/// A bounded channel: `auto [out, in] = channel<int>(8);`. One half sends, the other receives; both
/// move, also within messages, and a stream of values is a Sender that was sent along.

#include <troupe/base/assert.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>
#include <troupe/task/wait_list.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <source_location>
#include <utility>

namespace troupe {

namespace task_internal {

/// What does not depend on the type of the values: who waits, and which half is gone.
class ChannelBase {
public:
    explicit ChannelBase(std::size_t capacity) noexcept : capacity_(capacity) {
        TROUPE_ASSERT(capacity > 0, "a channel holds one value at least");
    }
    ChannelBase(const ChannelBase&) = delete;
    ChannelBase& operator=(const ChannelBase&) = delete;

    void close_sender() noexcept;
    void close_receiver() noexcept;

    Mutex mutex{LockRank::wait_list};
    WaitList senders;    // under the lock; one at most, as the next
    WaitList receivers;  // under the lock
    bool sender_gone = false;
    bool receiver_gone = false;

protected:
    ~ChannelBase() = default;
    const std::size_t capacity_;
};

template <class T>
class ChannelCore : public ChannelBase {
public:
    using ChannelBase::ChannelBase;

    enum class Put : unsigned char { done, full, closed };
    /// Moves the value in if there is room.
    Put put(T& value) {
        Waiter* woken = nullptr;
        {
            note_shared_use(this);
            LockGuard lock(mutex);
            if (receiver_gone || sender_gone) return Put::closed;
            if (values_.size() >= capacity_) return Put::full;
            values_.push_back(std::move(value));
            woken = receivers.serve();
        }
        wake(woken);
        return Put::done;
    }
    /// The oldest value. `closed`: there will be no more.
    std::optional<T> get(bool& closed) {
        std::optional<T> value;
        Waiter* woken = nullptr;
        {
            note_shared_use(this);
            LockGuard lock(mutex);
            closed = sender_gone && values_.empty();
            if (values_.empty()) return value;
            value.emplace(std::move(values_.front()));
            values_.pop_front();
            woken = senders.serve();
        }
        wake(woken);
        return value;
    }
    // Under the lock.
    bool has_room() const noexcept { return receiver_gone || values_.size() < capacity_; }
    bool has_news() const noexcept { return sender_gone || !values_.empty(); }

private:
    std::deque<T> values_;  // under the lock
};

}  // namespace task_internal

/// The half that sends. Destroying it closes the channel.
///
/// Threads: one actor or task at a time.
template <class T>
class Sender {
    using Core = task_internal::ChannelCore<T>;

public:
    Sender() noexcept = default;
    explicit Sender(std::shared_ptr<Core> core) noexcept : core_(std::move(core)) {}
    Sender(Sender&& other) noexcept = default;
    Sender& operator=(Sender&& other) noexcept {
        if (this != &other) {
            close();
            core_ = std::move(other.core_);
        }
        return *this;
    }
    ~Sender() { close(); }

    class [[nodiscard]] Send : task_internal::InLine {
    public:
        Send(std::shared_ptr<Core> core, T value, std::source_location where)
            : InLine("channel (waits for room)", where),
              core_(std::move(core)),
              value_(std::move(value)) {}
        ~Send() {
            if (core_ != nullptr) leave(core_->mutex, core_->senders);
        }
        bool await_ready() { return core_ == nullptr || (try_put() && !others_go_first()); }
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            if (done_) return let_others_go(self);
            if (!begin(self)) return record().yielding;
            note_shared_use(core_.get());
            LockGuard lock(core_->mutex);
            if (core_->has_room()) {
                call_off();
                return false;
            }
            core_->senders.push(waiter());
            return true;
        }
        [[nodiscard("the receiver may be gone: check the Result")]] Result<void> await_resume() {
            if (core_ == nullptr) return error(Errc::closed, "this Sender has no channel");
            if (leave(core_->mutex, core_->senders) == Outcome::cancelled ||
                (!done_ && record().cancelled)) {
                return std::unexpected(why_cancelled());
            }
            // Nobody but us puts anything in, so what made us go on is still so.
            if (!done_) try_put();
            if (closed_) return error(Errc::closed, "the receiver is gone", record().where);
            return {};
        }

    private:
        bool try_put() {
            const typename Core::Put put = core_->put(value_);
            closed_ = put == Core::Put::closed;
            return done_ = put != Core::Put::full;
        }
        std::shared_ptr<Core> core_;
        T value_;
        bool done_ = false;
        bool closed_ = false;
    };

    /// Waits for room and puts the value in.
    ///
    /// Errors:  closed, when the receiver is gone or this half was closed; cancelled, and the value
    ///          was not sent.
    auto send(T value, std::source_location where = std::source_location::current()) {
        return Send(core_, std::move(value), where);
    }

    /// The receiver gets what has been sent, and then hears that it is over.
    void close() noexcept {
        if (core_ != nullptr) std::exchange(core_, nullptr)->close_sender();
    }

private:
    std::shared_ptr<Core> core_;
};

/// The half that receives. When it is destroyed, sends fail with Errc::closed.
///
/// Threads: one actor or task at a time.
template <class T>
class Receiver {
    using Core = task_internal::ChannelCore<T>;

public:
    Receiver() noexcept = default;
    explicit Receiver(std::shared_ptr<Core> core) noexcept : core_(std::move(core)) {}
    Receiver(Receiver&& other) noexcept = default;
    Receiver& operator=(Receiver&& other) noexcept {
        if (this != &other) {
            close();
            core_ = std::move(other.core_);
        }
        return *this;
    }
    ~Receiver() { close(); }

    class [[nodiscard]] Receive : task_internal::InLine {
    public:
        Receive(std::shared_ptr<Core> core, std::source_location where) noexcept
            : InLine("channel", where), core_(std::move(core)) {}
        ~Receive() {
            if (core_ != nullptr) leave(core_->mutex, core_->receivers);
        }
        bool await_ready() {
            if (core_ == nullptr) return true;
            return try_get() && (!value_ || !others_go_first());
        }
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            if (value_) return let_others_go(self);
            if (!begin(self)) return record().yielding;
            note_shared_use(core_.get());
            LockGuard lock(core_->mutex);
            if (core_->has_news()) {
                call_off();
                return false;
            }
            core_->receivers.push(waiter());
            return true;
        }
        [[nodiscard]] Result<T> await_resume() {
            if (core_ == nullptr) return error(Errc::closed, "this Receiver has no channel");
            if (leave(core_->mutex, core_->receivers) == Outcome::cancelled ||
                (!value_ && record().cancelled)) {
                return std::unexpected(why_cancelled());
            }
            if (!value_) try_get();
            if (value_) return std::move(*value_);
            return error(Errc::closed, "the sender is gone", record().where);
        }

    private:
        bool try_get() {
            bool closed = false;
            value_ = core_->get(closed);
            return value_ || closed;
        }
        std::shared_ptr<Core> core_;
        std::optional<T> value_;
    };

    class [[nodiscard]] Next : public Receive {
    public:
        using Receive::Receive;
        [[nodiscard]] std::optional<T> await_resume() {
            Result<T> value = Receive::await_resume();
            if (!value) return std::nullopt;
            return std::move(*value);
        }
    };

    /// The next value, empty when there will be none: `while (auto value = co_await in.next())`. A
    /// cancellation ends it as well; `receive` tells one from the other.
    auto next(std::source_location where = std::source_location::current()) {
        return Next(core_, where);
    }

    /// Errors:  closed, when the sender is gone and all it sent has been received; cancelled.
    auto receive(std::source_location where = std::source_location::current()) {
        return Receive(core_, where);
    }

    void close() noexcept {
        if (core_ != nullptr) std::exchange(core_, nullptr)->close_receiver();
    }

private:
    std::shared_ptr<Core> core_;
};

/// The two halves of a channel that holds so many values; a sender waits when it is full.
template <class T>
std::pair<Sender<T>, Receiver<T>> channel(std::size_t capacity) {
    auto core = std::make_shared<task_internal::ChannelCore<T>>(capacity);
    return {Sender<T>(core), Receiver<T>(core)};
}

}  // namespace troupe
