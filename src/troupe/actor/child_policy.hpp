#pragma once

/// How a supervisor treats one child: when it is started again, how it is stopped.

#include <cstdint>

namespace troupe {

/// When a child whose actor has ended is started again.
enum class Restart : std::uint8_t {
    permanent,  ///< always
    transient,  ///< when it has failed: an exit that is `abnormal()`
    temporary,  ///< never
};

const char* name(Restart restart) noexcept;

}  // namespace troupe
