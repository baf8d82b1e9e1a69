#pragma once

#include <troupe/base/duration.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace troupe::actor_internal {

/// Lets so many events a second into the log and counts the others. Not for several threads at
/// once.
class LogLimit {
public:
    explicit LogLimit(unsigned per_second) noexcept : per_second_(per_second) {}

    /// How many were left out since the last one that was logged; nothing when this one is left
    /// out as well.
    std::optional<std::uint64_t> admit(Duration now) noexcept {
        if (now >= second_ends_) {
            second_ends_ = now + std::chrono::seconds(1);
            admitted_ = 0;
        }
        if (admitted_ == per_second_) {
            ++left_out_;
            return std::nullopt;
        }
        ++admitted_;
        return take_left_out();
    }
    std::uint64_t take_left_out() noexcept { return std::exchange(left_out_, 0); }

private:
    const unsigned per_second_;
    Duration second_ends_{};
    unsigned admitted_ = 0;  // in this second
    std::uint64_t left_out_ = 0;
};

}  // namespace troupe::actor_internal
