#pragma once

#include <troupe/base/assert.hpp>

#include <bit>
#include <cstddef>
#include <type_traits>

namespace troupe {

/// A member through which its object stands in an IntrusiveList. Not copied: a copy of an object is
/// not in its list.
class ListHook {
public:
    constexpr ListHook() noexcept = default;
    ListHook(const ListHook&) = delete;
    ListHook& operator=(const ListHook&) = delete;
    ~ListHook() { TROUPE_ASSERT(!linked(), "an object leaves its list before it is destroyed"); }

    bool linked() const noexcept { return next_ != nullptr; }

private:
    template <class T, ListHook T::* Hook>
    friend class IntrusiveList;

    ListHook* next_ = nullptr;
    ListHook* previous_ = nullptr;
};

/// A doubly linked list of objects that carry their own links: nothing is allocated, and an object
/// can be erased in constant time by whoever has it. The list owns nobody.
///
/// Threads: one at a time.
template <class T, ListHook T::* Hook>
class IntrusiveList {
public:
    class Iterator {
    public:
        explicit Iterator(ListHook* at) noexcept : at_(at) {}
        T& operator*() const noexcept { return *object_of(at_); }
        T* operator->() const noexcept { return object_of(at_); }
        Iterator& operator++() noexcept {
            at_ = at_->next_;
            return *this;
        }
        friend bool operator==(Iterator, Iterator) = default;

    private:
        ListHook* at_;
    };

    IntrusiveList() noexcept { root_.next_ = root_.previous_ = &root_; }
    IntrusiveList(const IntrusiveList&) = delete;
    IntrusiveList& operator=(const IntrusiveList&) = delete;
    ~IntrusiveList() {
        TROUPE_ASSERT(empty(), "a list is emptied before it is destroyed");
        root_.next_ = root_.previous_ = nullptr;
    }

    bool empty() const noexcept { return root_.next_ == &root_; }
    T& front() noexcept {
        TROUPE_ASSERT(!empty(), "an empty list has no front");
        return *object_of(root_.next_);
    }
    T& back() noexcept {
        TROUPE_ASSERT(!empty(), "an empty list has no back");
        return *object_of(root_.previous_);
    }

    /// To the end, to the beginning, before another object. The object is in no list yet.
    void push_back(T& object) noexcept { link_before(&root_, object); }
    void push_front(T& object) noexcept { link_before(root_.next_, object); }
    void insert_before(T& next, T& object) noexcept { link_before(&(next.*Hook), object); }

    /// Takes the object out of this list, in which it is.
    void erase(T& object) noexcept {
        ListHook& hook = object.*Hook;
        TROUPE_ASSERT(hook.linked(), "only an object in a list can be erased from it");
        hook.previous_->next_ = hook.next_;
        hook.next_->previous_ = hook.previous_;
        hook.next_ = hook.previous_ = nullptr;
    }

    /// Takes the first object out; nullptr when there is none.
    T* pop_front() noexcept {
        if (empty()) return nullptr;
        T* object = object_of(root_.next_);
        erase(*object);
        return object;
    }

    /// Moves all objects of the other list to the end of this one, in their order.
    void append(IntrusiveList& other) noexcept {
        if (&other == this || other.empty()) return;
        ListHook* first = other.root_.next_;
        ListHook* last = other.root_.previous_;
        first->previous_ = root_.previous_;
        root_.previous_->next_ = first;
        last->next_ = &root_;
        root_.previous_ = last;
        other.root_.next_ = other.root_.previous_ = &other.root_;
    }

    /// In order. While iterating, erase only objects the iterator has passed.
    Iterator begin() noexcept { return Iterator(root_.next_); }
    Iterator end() noexcept { return Iterator(&root_); }

private:
    static T* object_of(ListHook* hook) noexcept {
        // A pointer to a data member is the member's offset in every ABI we build for.
        static_assert(sizeof(Hook) == sizeof(std::ptrdiff_t));
        return reinterpret_cast<T*>(reinterpret_cast<char*>(hook) -
                                    std::bit_cast<std::ptrdiff_t>(Hook));
    }

    void link_before(ListHook* next, T& object) noexcept {
        ListHook& hook = object.*Hook;
        TROUPE_ASSERT(!hook.linked(), "an object is in one list at a time");
        hook.next_ = next;
        hook.previous_ = next->previous_;
        next->previous_->next_ = &hook;
        next->previous_ = &hook;
    }

    ListHook root_;  // linked to itself when empty, so no operation has a special case
};

}  // namespace troupe
