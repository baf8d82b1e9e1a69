#pragma once

/// For simulators: what two steps use in common besides mail, such as a name, a semaphore or a
/// connection. Whoever has such a thing says so where it is used; a search of schedules then knows
/// that the order of the two matters.

#include <troupe/scheduler/cell.hpp>

#include <atomic>
#include <cstdint>

namespace troupe {

namespace scheduler_internal {
[[gnu::noinline]] void tell_of_shared_use(const void* thing) noexcept;
}

/// The running turn uses a thing that others may use, too. No more than a look at a flag unless
/// some engine of the process is observed. Threads: any.
inline void note_shared_use(const void* thing) noexcept {
    if (scheduler_internal::observed_engines.load(std::memory_order_relaxed) != 0) [[unlikely]]
        scheduler_internal::tell_of_shared_use(thing);
}

/// A thing that is known by a name or a number, which is the same in every run, where an address
/// may be another. Odd, as the address of no object of ours is.
inline const void* thing_of(std::uint64_t hash) noexcept {
    return reinterpret_cast<const void*>(static_cast<std::uintptr_t>(hash | 1));
}

}  // namespace troupe
