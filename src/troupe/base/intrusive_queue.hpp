#pragma once

#include <troupe/base/assert.hpp>

#include <utility>

namespace troupe {

/// A first-in, first-out queue of objects linked through a pointer of their own:
/// `IntrusiveQueue<Node, &Node::next>`. It owns nobody and allocates nothing.
///
/// Threads: one at a time.
template <class T, T* T::* Next>
class IntrusiveQueue {
public:
    constexpr IntrusiveQueue() noexcept = default;
    IntrusiveQueue(IntrusiveQueue&& other) noexcept
        : front_(std::exchange(other.front_, nullptr)),
          back_(std::exchange(other.back_, nullptr)) {}
    IntrusiveQueue& operator=(IntrusiveQueue&& other) noexcept {
        TROUPE_ASSERT(empty(), "a queue is emptied before it takes over another");
        front_ = std::exchange(other.front_, nullptr);
        back_ = std::exchange(other.back_, nullptr);
        return *this;
    }

    bool empty() const noexcept { return front_ == nullptr; }
    T* front() const noexcept { return front_; }

    void push_back(T& object) noexcept {
        object.*Next = nullptr;
        (front_ == nullptr ? front_ : back_->*Next) = &object;
        back_ = &object;
    }

    void push_front(T& object) noexcept {
        object.*Next = front_;
        if (front_ == nullptr) back_ = &object;
        front_ = &object;
    }

    /// The object that waits longest; nullptr when there is none.
    T* pop_front() noexcept {
        T* object = front_;
        if (object != nullptr) front_ = std::exchange(object->*Next, nullptr);
        return object;
    }

    /// Moves all objects of the other queue to the end of this one, in their order.
    void append(IntrusiveQueue& other) noexcept {
        if (&other == this || other.empty()) return;
        (front_ == nullptr ? front_ : back_->*Next) = other.front_;
        back_ = other.back_;
        other.front_ = other.back_ = nullptr;
    }

    /// The whole chain, longest waiting first; the queue is empty then.
    T* take_all() noexcept {
        back_ = nullptr;
        return std::exchange(front_, nullptr);
    }

private:
    T* front_ = nullptr;
    T* back_ = nullptr;  // meaningful only while front_ is not null
};

}  // namespace troupe
