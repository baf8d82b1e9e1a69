#pragma once

// The machine's clocks. Only base and scheduler look at them: everybody else asks the system, so
// that the simulator can move time.

#include <troupe/base/duration.hpp>

namespace troupe {

/// The machine's monotonic clock: never goes back, starts anywhere.
///
/// Threads: any. About 20 ns, no system call.
Duration monotonic_now() noexcept;

/// The same clock as of the last tick of the kernel: at most `coarse_monotonic_lag` behind.
///
/// Threads: any. About 5 ns.
Duration coarse_monotonic_now() noexcept;
Duration coarse_monotonic_lag() noexcept;

/// The time since 1970-01-01 UTC as the machine believes it to be. It may jump: for display only.
Duration wall_now() noexcept;

}  // namespace troupe
