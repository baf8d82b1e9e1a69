#pragma once

// A callable of any type behind one signature, moved and never copied. std::function demands copies
// and <functional> is 29,000 lines; libstdc++ 12 has std::move_only_function in that same header.

#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace troupe {

template <class Signature>
class UniqueFunction;

/// Holds up to four pointers' worth of state in place; a larger callable, or one whose move may
/// throw, lives in a pooled block.
template <class R, class... Args>
class UniqueFunction<R(Args...)> {
public:
    static constexpr std::size_t kInlineBytes = 32;

    constexpr UniqueFunction() noexcept = default;
    constexpr UniqueFunction(std::nullptr_t) noexcept {}

    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> &&
                 std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
    UniqueFunction(F&& callable) {
        using Callable = std::decay_t<F>;
        if constexpr (kInPlace<Callable>) {
            ::new (static_cast<void*>(buffer_)) Callable(std::forward<F>(callable));
            table_ = &kInPlaceTable<Callable>;
        } else {
            static_assert(alignof(Callable) <= kBlockAlignment, "a pooled block is aligned to 64");
            void* block = allocate_block(sizeof(Callable));
            BlockGuard guard{block, sizeof(Callable)};  // the callable's copy may throw
            auto* made = ::new (block) Callable(std::forward<F>(callable));
            guard.block = nullptr;
            ::new (static_cast<void*>(buffer_)) Callable*(made);
            table_ = &kPooledTable<Callable>;
        }
    }

    UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
    UniqueFunction& operator=(UniqueFunction&& other) noexcept {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    UniqueFunction& operator=(std::nullptr_t) noexcept {
        reset();
        return *this;
    }
    ~UniqueFunction() { reset(); }

    explicit operator bool() const noexcept { return table_ != nullptr; }

    /// Calls what it holds; it holds something.
    R operator()(Args... args) {
        TROUPE_ASSERT(table_ != nullptr, "an empty function is not called");
        return table_->call(buffer_, std::forward<Args>(args)...);
    }

private:
    struct Table {
        R (*call)(void* buffer, Args&&... args);
        void (*move)(void* from, void* to) noexcept;  // leaves nothing to destroy behind
        void (*destroy)(void* buffer) noexcept;
    };

    struct BlockGuard {
        void* block;
        std::size_t bytes;
        ~BlockGuard() { free_block(block, bytes); }
    };

    template <class Callable>
    static constexpr bool kInPlace =
        sizeof(Callable) <= kInlineBytes && alignof(Callable) <= alignof(void*) &&
        std::is_nothrow_move_constructible_v<Callable>;

    template <class Callable>
    static Callable& as(void* buffer) noexcept {
        return *std::launder(static_cast<Callable*>(buffer));
    }

    template <class Callable>
    static R invoke(Callable& callable, Args&&... args) {
        if constexpr (std::is_void_v<R>) {
            callable(std::forward<Args>(args)...);
        } else {
            return callable(std::forward<Args>(args)...);
        }
    }

    template <class Callable>
    static constexpr Table kInPlaceTable = {
        [](void* buffer, Args&&... args) -> R {
            return invoke(as<Callable>(buffer), std::forward<Args>(args)...);
        },
        [](void* from, void* to) noexcept {
            ::new (to) Callable(std::move(as<Callable>(from)));
            as<Callable>(from).~Callable();
        },
        [](void* buffer) noexcept { as<Callable>(buffer).~Callable(); },
    };

    template <class Callable>
    static constexpr Table kPooledTable = {
        [](void* buffer, Args&&... args) -> R {
            return invoke(*as<Callable*>(buffer), std::forward<Args>(args)...);
        },
        [](void* from, void* to) noexcept { ::new (to) Callable*(as<Callable*>(from)); },
        [](void* buffer) noexcept {
            Callable* callable = as<Callable*>(buffer);
            callable->~Callable();
            free_block(callable, sizeof(Callable));
        },
    };

    void take(UniqueFunction& other) noexcept {
        if (other.table_ == nullptr) return;
        other.table_->move(other.buffer_, buffer_);
        table_ = std::exchange(other.table_, nullptr);
    }

    void reset() noexcept {
        // Emptied first: the callable's destructor may look at us again.
        if (const Table* table = std::exchange(table_, nullptr)) table->destroy(buffer_);
    }

    const Table* table_ = nullptr;
    alignas(void*) std::byte buffer_[kInlineBytes];
};

}  // namespace troupe
