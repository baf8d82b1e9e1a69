#include <troupe/base/assert.hpp>
#include <troupe/scheduler/choice.hpp>

namespace troupe {

std::uint64_t DepthFirstChooser::choose(std::uint64_t n, ChoiceKind, const char*) {
    TROUPE_ASSERT(n >= 2, "a choice has at least two alternatives");
    if (n > kWidthMax) return 0;
    if (at_ == path_.size()) {
        if (path_.size() >= depth_max_) {
            cut_ = true;
            return 0;
        }
        path_.push_back(Branch{0, n});
    }
    const Branch& branch = path_[at_++];
    TROUPE_ASSERT(branch.width == n,
                  "the same answers led to a different question: something in this run depends on "
                  "more than the engine's choices");
    return branch.taken;
}

bool DepthFirstChooser::next_run() {
    // What lies beyond the last question of this run was never reached again: same mistake.
    TROUPE_ASSERT(at_ == path_.size(),
                  "the same answers led to fewer questions: something in this run depends on more "
                  "than the engine's choices");
    at_ = 0;
    while (!path_.empty()) {
        Branch& deepest = path_.back();
        if (++deepest.taken < deepest.width) return true;
        path_.pop_back();
    }
    return false;
}

}  // namespace troupe
