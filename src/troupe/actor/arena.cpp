#include <troupe/actor/actor.hpp>
#include <troupe/actor/arena.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/base/assert.hpp>

#include <cstdio>
#include <new>

namespace troupe {

namespace {

/// What an actor that has used up its arena ends of.
class ArenaUsedUp : public std::bad_alloc {
public:
    ArenaUsedUp(std::size_t max, std::size_t held, std::size_t wanted) noexcept {
        std::snprintf(
            text_, sizeof(text_),
            "the actor's arena is used up: %zu bytes more were wanted, %zu of %zu are held", wanted,
            held, max);
    }
    const char* what() const noexcept override { return text_; }

private:
    char text_[160];
};

}  // namespace

void Arena::Store::fail_by_chance(std::size_t bytes) const {
    if (actor_internal::arena_fails()) throw ArenaUsedUp(max, held, bytes);
}

void* Arena::Store::do_allocate(std::size_t bytes, std::size_t alignment) {
    // A memory resource has no other way to refuse.
    if (bytes > max - held) throw ArenaUsedUp(max, held, bytes);
    void* const block = ::operator new(bytes, std::align_val_t(alignment));
    held += bytes;
    return block;
}

void Arena::Store::do_deallocate(void* block, std::size_t bytes, std::size_t alignment) {
    ::operator delete(block, bytes, std::align_val_t(alignment));
    held -= bytes;
}

Arena& Actor::memory() const {
    auto& arena = actor_internal::standing_of(own_cell()).arena;
    if (arena == nullptr) arena = std::make_unique<Arena>(Arena::kUnlimited);
    return *arena;
}

}  // namespace troupe
