#pragma once

#include <cstdint>

namespace troupe {

/// Where a cell runs, when it may not run wherever there is room.
struct Placement {
    enum class Kind : std::uint8_t {
        anywhere,
        near,        ///< on one worker, as long as that one keeps up; a hint
        pinned,      ///< on one worker and no other; while that one is stuck it waits
        own_thread,  ///< on a thread that runs nothing else, and which it may block
    };
    /// As `shard`: whichever worker.
    static constexpr std::uint32_t kAnyShard = 0xFFFF'FFFF;

    Kind kind = Kind::anywhere;
    std::uint32_t shard = kAnyShard;  ///< which worker, modulo how many there are
};

/// Which of the runnable cells of a worker goes first. Nobody waits for ever: a normal one that has
/// waited for 10 ms goes after eight of high priority, and a low one counts as normal when it has
/// waited for 20 ms.
enum class Priority : std::uint8_t { normal, high, low };

}  // namespace troupe
