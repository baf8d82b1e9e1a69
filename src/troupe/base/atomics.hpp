#pragma once

// What threads do with atomics without a lock, where it takes more than one operation.

#include <atomic>
#include <type_traits>

namespace troupe {

/// Raises the number to `value`, if that is more. Threads: any.
template <class Number>
void raise_to(std::atomic<Number>& number, std::type_identity_t<Number> value) noexcept {
    Number seen = number.load(std::memory_order_relaxed);
    while (value > seen && !number.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
}

/// Puts what was made where nothing is yet; when somebody was faster it is destroyed. Gives what is
/// there now, which stays. `Owner` is a std::unique_ptr. Threads: any.
template <class Owner>
typename Owner::pointer publish_first(std::atomic<typename Owner::pointer>& place,
                                      Owner made) noexcept {
    typename Owner::pointer there = nullptr;
    // acq_rel: publishes ours, or sees that of whoever was faster as it was made.
    if (place.compare_exchange_strong(there, made.get(), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return made.release();
    }
    return there;
}

}  // namespace troupe
