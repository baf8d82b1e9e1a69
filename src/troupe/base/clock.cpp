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
Duration wall_now() noexcept {
    return read(CLOCK_REALTIME);
}

}  // namespace troupe
