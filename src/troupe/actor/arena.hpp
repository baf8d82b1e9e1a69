#pragma once

/// Memory of one actor's own: counted, capped, and given back all at once when it ends.
///
///     class Index : public troupe::Actor {
///         std::pmr::map<int, std::pmr::string> words_{&memory()};
///     };
///     system.spawn<Index>(options().arena(16 << 20));

#include <cstddef>
#include <memory_resource>

namespace troupe {

namespace actor_internal {

/// Says whether an arena's next allocation fails as if the arena were used up. For simulations:
/// null elsewhere, and set by the thread that simulates, which is the only one that reads it.
using ArenaFails = bool (*)();  // a name of its own: GCC 12 reads the declarator otherwise
inline constinit thread_local ArenaFails arena_fails = nullptr;

}  // namespace actor_internal

/// An actor's arena: `memory()` inside the actor. Small blocks are pooled by size, so that a
/// container that grows and shrinks does not use it up.
///
/// What it gives is valid until the actor ends. What leaves the actor, in a message or a reply,
/// must not have its memory here: a std::pmr container keeps its resource when it is moved, so send
/// a copy, `std::string(text)`.
///
/// Errors:  an allocation beyond the cap throws a std::bad_alloc that says so; the actor that does
///          not catch it ends for that reason.
/// Threads: the actor's own turn.
/// Units:   bytes.
class Arena final : public std::pmr::memory_resource {
public:
    static constexpr std::size_t kUnlimited = static_cast<std::size_t>(-1);

    explicit Arena(std::size_t bytes_max) noexcept : store_(bytes_max), pool_(kPooling, &store_) {}
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// What it holds of the machine's memory now, whether used or pooled.
    std::size_t bytes_held() const noexcept { return store_.held; }
    std::size_t bytes_max() const noexcept { return store_.max; }

    /// Gives everything back, whoever still uses it.
    void release() noexcept { pool_.release(); }

private:
    // Chunks of a few blocks only, so that little of a small cap is spent on what nobody needs.
    static constexpr std::pmr::pool_options kPooling{.max_blocks_per_chunk = 16,
                                                     .largest_required_pool_block = 1024};

    /// Where the pools get their memory: counts it and keeps to the cap.
    struct Store final : std::pmr::memory_resource {
        explicit Store(std::size_t bytes_max) noexcept : max(bytes_max) {}
        void* do_allocate(std::size_t bytes, std::size_t alignment) override;
        void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override;
        bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
            return this == &other;
        }
        void fail_by_chance(std::size_t bytes) const;
        const std::size_t max;
        std::size_t held = 0;
    };

    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        if (actor_internal::arena_fails != nullptr) store_.fail_by_chance(bytes);
        return pool_.allocate(bytes, alignment);
    }
    void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override {
        pool_.deallocate(block, bytes, alignment);
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        return this == &other;
    }

    Store store_;
    std::pmr::unsynchronized_pool_resource pool_;
};

}  // namespace troupe
