#pragma once

#include <troupe/base/duration.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace troupe::scheduler_internal {

/// Decides which stalls are reported: one of each kind in ten seconds, or another when it lasts ten
/// times longer than any that was; all are counted. A kind is a class and a method of it.
///
/// Threads: one at a time.
class StallLog {
public:
    static constexpr Duration kPeriod = std::chrono::seconds(10);
    static constexpr std::size_t kKindsMax = 64;  // then the one quiet for longest makes room

    struct Kind {
        const void* type = nullptr;
        const void* method = nullptr;
        friend bool operator==(const Kind&, const Kind&) = default;
    };

    struct Verdict {
        bool report = false;
        std::uint64_t unreported = 0;  // of this kind since the last report
    };

    Verdict note(const Kind& kind, Duration lasted, Duration now) noexcept {
        Entry& entry = entry_of(kind, now);
        entry.seen = now;
        if (entry.reported != kNever && now - entry.reported < kPeriod &&
            lasted < entry.longest * 10) {
            ++entry.unreported;
            return {};
        }
        const Verdict verdict{true, entry.unreported};
        entry.longest = lasted;
        entry.reported = now;
        entry.unreported = 0;
        return verdict;
    }

private:
    static constexpr Duration kNever = Duration::min();
    struct Entry {
        Kind kind;
        Duration reported = kNever;
        Duration seen = kNever;
        Duration longest{};
        std::uint64_t unreported = 0;
    };

    Entry& entry_of(const Kind& kind, Duration now) noexcept {
        Entry* oldest = &entries_.front();
        for (Entry& entry : entries_) {
            if (entry.seen != kNever && entry.kind == kind) return entry;
            if (entry.seen < oldest->seen) oldest = &entry;
        }
        *oldest = Entry();
        oldest->kind = kind;
        oldest->seen = now;
        return *oldest;
    }

    std::array<Entry, kKindsMax> entries_;
};

}  // namespace troupe::scheduler_internal
