#pragma once

/// For soak programs: how long they run is a number on the command line.

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace troupe::base_internal {

/// The `index`-th argument, or the default when there are fewer. What is no positive number ends
/// the program with a sentence: a soak of nothing would be found good.
inline std::uint64_t count_argument(int argc, char** argv, int index, const char* what,
                                    std::uint64_t by_default) {
    if (argc <= index) return by_default;
    const char* const text = argv[index];
    std::uint64_t count = 0;
    const auto [end, problem] = std::from_chars(text, text + std::strlen(text), count);
    if (problem == std::errc() && *end == '\0' && count > 0) return count;
    std::fprintf(stderr, "%s: argument %d is the number of %s (%llu), and '%s' is none\n", argv[0],
                 index, what, static_cast<unsigned long long>(by_default), text);
    std::exit(2);
}

}  // namespace troupe::base_internal
