#pragma once

#include <troupe/actor/pid.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/scheduler/mail.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>

namespace troupe::actor_internal {

/// One message in a managed mailbox.
struct LaneEntry {
    MailNode* message = nullptr;
    std::size_t bytes = 0;     // of its arguments, when there is a budget
    std::size_t key_hash = 0;  // when it can be conflated
    bool conflatable = false;  // so the mailbox has noted its place
    bool system = false;       // not a user's: takes no room and is never dropped
    Duration since{};          // engine time; of a conflated call when the first one came
    Pid sender;                // of a tell, when an actor has sent it
};

/// A queue whose entries keep their numbers, so that one in the middle is found and taken in
/// constant time: it leaves a gap.
class MailLane {
public:
    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }

    /// The number of the new entry.
    std::uint64_t push(const LaneEntry& entry) {
        entries_.push_back(entry);
        ++size_;
        return first_ + entries_.size() - 1;
    }

    LaneEntry& at(std::uint64_t number) noexcept { return entries_[number - first_]; }

    LaneEntry take(std::uint64_t number) noexcept {
        LaneEntry& entry = at(number);
        const LaneEntry taken = entry;
        entry.message = nullptr;
        --size_;
        while (!entries_.empty() && entries_.front().message == nullptr) {
            entries_.pop_front();
            ++first_;
        }
        return taken;
    }

    /// The oldest entry; there must be one.
    const LaneEntry& front() const noexcept { return entries_.front(); }

    /// The number of the oldest entry for which `matches(entry)`; kNone when there is none.
    template <class Matches>
    std::uint64_t find(Matches matches) const {
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            if (entries_[i].message != nullptr && matches(entries_[i])) return first_ + i;
        }
        return kNone;
    }
    static constexpr std::uint64_t kNone = ~std::uint64_t{0};

    /// The oldest entry's number; there must be one.
    std::uint64_t oldest() const noexcept { return first_; }

private:
    std::deque<LaneEntry> entries_;  // the first is no gap
    std::uint64_t first_ = 0;        // its number
    std::size_t size_ = 0;           // without the gaps
};

}  // namespace troupe::actor_internal
