#pragma once

#include <troupe/base/duration.hpp>

#include <algorithm>
#include <cstdint>

namespace troupe::scheduler_internal {

/// How long a turn may be: 64 messages or 200 us, whichever comes first.
///
/// A look at the clock costs as much as two short messages, so the turn is given its messages in
/// instalments, and the clock is read between them. The size of the next instalment follows from
/// what the last ones took: half a slice's worth, so messages of nanoseconds pay one look in 32,
/// and after one turn of slow ones the next turn looks after each.
class TurnSlice {
public:
    static constexpr unsigned kMessagesMax = 64;
    static constexpr Duration kTimeMax = Duration(200'000);
    static constexpr unsigned kInstalmentMax = 32;

    /// The first instalment of a turn.
    unsigned first() const noexcept { return instalment_; }

    /// The first instalment of a turn that follows the last one of the same cell at once, since
    /// nobody else waits for the worker: short messages need no look halfway.
    unsigned again() const noexcept {
        return instalment_ == kInstalmentMax ? kMessagesMax : instalment_;
    }

    /// The turn has handled what it was given. `spent` is how long it runs by now, or a little
    /// more: too much only makes the turn shorter. 0: it has had its share.
    unsigned more(unsigned given, Duration spent) noexcept {
        const Duration::rep each = std::max<Duration::rep>(1, spent.count() / given);
        const Duration::rep wanted = kTimeMax.count() / 2 / each;
        // Up again in steps: a few quick messages say little about the slow ones behind them.
        const Duration::rep most = std::min<Duration::rep>(instalment_ * 2, kInstalmentMax);
        instalment_ = static_cast<unsigned>(std::clamp<Duration::rep>(wanted, 1, most));
        if (spent >= kTimeMax || given >= kMessagesMax) return 0;
        return std::min(instalment_, kMessagesMax - given);
    }

private:
    unsigned instalment_ = kInstalmentMax;
};

}  // namespace troupe::scheduler_internal
