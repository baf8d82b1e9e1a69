#include <troupe/base/hash.hpp>
#include <troupe/sim/internal/promises.hpp>

#include <algorithm>

namespace troupe::sim_internal {

namespace {

constinit Promises* promises_of_test = nullptr;  // the thread that runs the tests only

}  // namespace

Promises& Promises::of_process() noexcept {
    static Promises own;
    return promises_of_test != nullptr ? *promises_of_test : own;
}

void Promises::use(Promises* promises) noexcept {
    promises_of_test = promises;
}

void Promises::note(std::string_view what, bool met) noexcept {
    const std::uint64_t hash = fnv1a_64(what) | 1;  // 0 is an entry nobody has taken
    for (std::size_t i = 0; i < kPromisesMax; ++i) {
        Entry& entry = entries_[(hash + i) % kPromisesMax];
        std::uint64_t found = entry.hash.load(std::memory_order_relaxed);
        if (found == 0 &&
            entry.hash.compare_exchange_strong(found, hash, std::memory_order_relaxed)) {
            what.copy(entry.text.data(), kTextMax - 1);
            found = hash;
        }
        if (found != hash) continue;
        if (met) entry.met.fetch_add(1, std::memory_order_relaxed);
        return;
    }
}

std::vector<std::string> Promises::unmet() const {
    std::vector<std::string> unmet;
    for (const Entry& entry : entries_) {
        const bool taken = entry.hash.load(std::memory_order_relaxed) != 0;
        if (taken && entry.met.load(std::memory_order_relaxed) == 0) {
            unmet.emplace_back(entry.text.data());
        }
    }
    std::sort(unmet.begin(), unmet.end());
    return unmet;
}

}  // namespace troupe::sim_internal
