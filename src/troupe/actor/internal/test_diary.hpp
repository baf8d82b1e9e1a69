#pragma once

// For tests: a diary that several actors write.

#include <troupe/base/mutex.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::actor_internal {

/// What all actors of a test note, in order. Outlives the system.
class Diary {
public:
    void note(std::string line) {
        LockGuard lock(mutex_);
        lines_.push_back(std::move(line));
    }
    std::vector<std::string> lines() {
        LockGuard lock(mutex_);
        return lines_;
    }
    std::size_t count(std::string_view line) {
        LockGuard lock(mutex_);
        return static_cast<std::size_t>(std::count(lines_.begin(), lines_.end(), line));
    }
    /// 1 for who asks first, then 2 and so on.
    int next_life() {
        LockGuard lock(mutex_);
        return ++lives_;
    }

private:
    Mutex mutex_{LockRank::test_outer};
    std::vector<std::string> lines_ TROUPE_GUARDED_BY(mutex_);
    int lives_ TROUPE_GUARDED_BY(mutex_) = 0;
};

}  // namespace troupe::actor_internal
