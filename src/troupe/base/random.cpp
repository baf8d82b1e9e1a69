#include <troupe/base/clock.hpp>
#include <troupe/base/random.hpp>

#include <sys/random.h>

namespace troupe {

std::uint64_t machine_seed() noexcept {
    std::uint64_t seed = 0;
    // Eight bytes come whole or not at all, unless the kernel is older than the call or still
    // boots.
    if (::getrandom(&seed, sizeof seed, GRND_NONBLOCK) == static_cast<ssize_t>(sizeof seed)) {
        return seed;
    }
    auto clocks = hash_combine(static_cast<std::uint64_t>(wall_now().count()),
                               static_cast<std::uint64_t>(monotonic_now().count()));
    return hash_combine(clocks, reinterpret_cast<std::uintptr_t>(&seed));
}

}  // namespace troupe
