#include <troupe/actor/internal/dead_letter_table.hpp>

#include <algorithm>
#include <string>

namespace troupe::actor_internal {

void DeadLetterTable::add(const CellType* type, DeadLetterReason reason) noexcept {
    Row& row = type != nullptr ? row_of(type) : others_;
    row.counts[static_cast<std::size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
}

DeadLetterTable::Row& DeadLetterTable::row_of(const CellType* type) noexcept {
    for (Row& row : rows_) {
        const CellType* owner = row.type.load(std::memory_order_relaxed);
        if (owner == nullptr) {
            // Nothing but the pointer itself is handed over: types live as long as the program.
            row.type.compare_exchange_strong(owner, type, std::memory_order_relaxed,
                                             std::memory_order_relaxed);
            if (owner == nullptr) owner = type;
        }
        if (owner == type) return row;
    }
    return others_;
}

std::vector<DeadLettersOfType> DeadLetterTable::read() const {
    std::vector<DeadLettersOfType> all;
    const auto add_row = [&](const Row& row, std::string_view name) {
        DeadLettersOfType entry{std::string(name), {}};
        for (std::size_t i = 0; i < kDeadLetterReasons; ++i)
            entry.letters.by_reason[i] = row.counts[i].load(std::memory_order_relaxed);
        if (entry.letters.total() != 0) all.push_back(std::move(entry));
    };
    for (const Row& row : rows_) {
        if (const CellType* const type = row.type.load(std::memory_order_relaxed)) {
            add_row(row, type->name);
        }
    }
    add_row(others_, "(others)");
    std::sort(all.begin(), all.end(),
              [](const auto& left, const auto& right) { return left.type < right.type; });
    return all;
}

}  // namespace troupe::actor_internal
