#pragma once

namespace troupe::scheduler_internal {

// For tests. Under the thread sanitizer a signal comes late, and what it adds hides a function of
// ours.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace troupe::scheduler_internal
