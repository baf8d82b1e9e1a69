#pragma once

namespace troupe {

/// What the frame that runs a group owns and lends to the group's children, who take everything
/// else by value: `group.add(count, borrow(words))`. A group ends before the frame it lives in, so
/// the loan is sound; what several children change at the same time they must guard.
template <class T>
class Borrow {
public:
    explicit Borrow(T& thing) noexcept : thing_(&thing) {}

    T& operator*() const noexcept { return *thing_; }
    T* operator->() const noexcept { return thing_; }

private:
    T* thing_;
};

/// Only what is still there when the group has ended: no temporary.
template <class T>
Borrow<T> borrow(T& thing) noexcept {
    return Borrow<T>(thing);
}
template <class T>
void borrow(const T&&) = delete;

}  // namespace troupe
