#pragma once

// For tests, soaks and benchmarks: what the process takes of the machine's memory.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace troupe::base_internal {

/// Signed, since what is asked is how much it has become more. Ends the process when the kernel
/// does not say.
inline std::int64_t resident_bytes() {
    long pages = 0;
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr || std::fscanf(file, "%*d %ld", &pages) != 1) std::abort();
    std::fclose(file);
    return std::int64_t{pages} * ::sysconf(_SC_PAGESIZE);
}

}  // namespace troupe::base_internal
