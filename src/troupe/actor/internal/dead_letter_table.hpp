#pragma once

/// How many dead letters there were for the actors of each class.
///
/// A flood of them must not wait for a lock, and what a program can be made to count must not grow
/// with it. So the table has a fixed number of rows, taken by whichever classes come first, and one
/// for all others.

#include <troupe/actor/dead_letters.hpp>
#include <troupe/scheduler/cell.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe::actor_internal {

class DeadLetterTable {
public:
    static constexpr std::size_t kTypesMax = 64;

    /// `type` is null when it is not known. Any thread.
    void add(const CellType* type, DeadLetterReason reason) noexcept;

    /// By name. Any thread.
    std::vector<DeadLettersOfType> read() const;

private:
    struct Row {
        std::atomic<const CellType*> type{nullptr};  // the first to need it writes, all read
        std::array<std::atomic<std::uint64_t>, kDeadLetterReasons> counts{};  // any thread
    };
    Row& row_of(const CellType* type) noexcept;

    std::array<Row, kTypesMax> rows_;
    Row others_;
};

}  // namespace troupe::actor_internal
