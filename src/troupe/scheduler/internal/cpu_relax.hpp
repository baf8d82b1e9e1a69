#pragma once

namespace troupe::scheduler_internal {

/// Tells the core that this is a loop which waits for another core, so that it spends less power
/// and leaves more to the other thread of the same core. Does nothing where we know of no such
/// hint.
inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    asm("yield");
#elif defined(__powerpc64__)
    asm("or 27,27,27");
#endif
}

}  // namespace troupe::scheduler_internal
