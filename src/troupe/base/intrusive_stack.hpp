#pragma once

#include <troupe/base/assert.hpp>

#include <utility>

namespace troupe {

/// A stack of objects linked through a pointer of their own: `IntrusiveStack<Node, &Node::next>`.
/// It owns nobody and allocates nothing. The pointer is free for other uses outside the stack.
///
/// Threads: one at a time.
template <class T, T* T::* Next>
class IntrusiveStack {
public:
    constexpr IntrusiveStack() noexcept = default;
    IntrusiveStack(IntrusiveStack&& other) noexcept : top_(std::exchange(other.top_, nullptr)) {}
    IntrusiveStack& operator=(IntrusiveStack&& other) noexcept {
        TROUPE_ASSERT(empty(), "a stack is emptied before it takes over another");
        top_ = std::exchange(other.top_, nullptr);
        return *this;
    }

    bool empty() const noexcept { return top_ == nullptr; }
    T* top() const noexcept { return top_; }

    void push(T& object) noexcept {
        object.*Next = top_;
        top_ = &object;
    }

    /// The object pushed last; nullptr when there is none.
    T* pop() noexcept {
        T* object = top_;
        if (object != nullptr) top_ = std::exchange(object->*Next, nullptr);
        return object;
    }

    /// The whole chain, last pushed first; the stack is empty then.
    T* take_all() noexcept { return std::exchange(top_, nullptr); }

private:
    T* top_ = nullptr;
};

}  // namespace troupe
