#include <troupe/base/clock.hpp>

#include <ctime>

namespace troupe {
namespace {

Duration read(clockid_t clock) noexcept {
    timespec now{};
    ::clock_gettime(clock, &now);  // cannot fail for these two clocks
    return std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec);
}

}  // namespace

Duration monotonic_now() noexcept {
    return read(CLOCK_MONOTONIC);
}
Duration coarse_monotonic_now() noexcept {
    return read(CLOCK_MONOTONIC_COARSE);
}
Duration coarse_monotonic_lag() noexcept {
    timespec tick{};
    ::clock_getres(CLOCK_MONOTONIC_COARSE, &tick);  // cannot fail for this clock
    return std::chrono::seconds(tick.tv_sec) + Duration(tick.tv_nsec);
}
Duration wall_now() noexcept {
    return read(CLOCK_REALTIME);
}

}  // namespace troupe
