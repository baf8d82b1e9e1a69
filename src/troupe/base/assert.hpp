#pragma once

namespace troupe {
namespace base_internal {

[[noreturn]] [[gnu::cold]] [[gnu::noinline]] void assertion_failed(const char* expression,
                                                                   const char* sentence,
                                                                   const char* file, int line,
                                                                   const char* function) noexcept;

}  // namespace base_internal

using AssertHook = void (*)() noexcept;

/// Sets what runs after a failed assertion is printed and before the process aborts; returns the
/// hook that was set before. The simulator prints the seed that replays the run.
///
/// Threads: any. The hook runs on the thread that failed, at most once per process.
AssertHook set_assert_hook(AssertHook hook) noexcept;

}  // namespace troupe

/// Stops the process when `condition` is false, in release builds too: an invariant of ours is
/// broken and going on would spread the damage. The sentence says what should have been true.
/// Never for anything a peer, a user or a disk can cause.
#define TROUPE_ASSERT(condition, sentence)                      \
    do {                                                        \
        if (!(condition)) [[unlikely]] {                        \
            ::troupe::base_internal::assertion_failed(          \
                #condition, sentence, __FILE__, __LINE__,       \
                static_cast<const char*>(__PRETTY_FUNCTION__)); \
        }                                                       \
    } while (false)
