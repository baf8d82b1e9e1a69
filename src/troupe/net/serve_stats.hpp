#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::net {

/// A server's connections, as they were a moment ago.
struct ServeStats {
    std::size_t open = 0;
    std::uint64_t accepted = 0;  ///< since the server began
    std::uint64_t failed = 0;    ///< whose actors ended abnormally
};

}  // namespace troupe::net
