#pragma once

#include <troupe/io/internal/core.hpp>
#include <troupe/scheduler/cell.hpp>

#include <cstdint>

namespace troupe::io_internal {

/// Stands for the answer of an operation that has an outcome: there is nothing to be taken over.
/// Whatever else arrives in the same turn sees by it that the wait is over.
inline constinit MailNode operation_is_done;

/// What a signal does that may let an operation go on: tries the one that waits in `cell` by this
/// number once more, in the cell's turn. True when that ends what the cell's coroutine waits for.
inline bool try_operation_again(Cell& cell, std::uint32_t number) {
    Awaiting* const record = cell.find_wait(number);
    // Once cancelled it is not tried any more: a stop is told once, and must not be lost.
    if (record == nullptr || record->arrived != nullptr || record->cancelled) return false;
    auto& operation = static_cast<Operation&>(*record);
    if (!operation.try_again()) {
        operation.target()->wait(cell, operation);
        return false;
    }
    record->arrived = &operation_is_done;
    return record == cell.awaiting_;
}

}  // namespace troupe::io_internal
