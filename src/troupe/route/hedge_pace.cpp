#include <troupe/base/mutex.hpp>
#include <troupe/route/dwell.hpp>
#include <troupe/route/hedge_pace.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <utility>

namespace troupe {

struct HedgePace::Learnt {
    Learnt(Duration its_first, Duration its_least) : at_first(its_first), least(its_least) {}

    // To find the value again for every call would cost more than the call.
    static constexpr int kAnswersBetween = 16;

    const Duration at_first;
    const Duration least;
    Mutex mutex{LockRank::router};
    route_internal::DwellWindow window TROUPE_GUARDED_BY(mutex){kOfLate};
    Duration known TROUPE_GUARDED_BY(mutex) = Duration::max();  // of the window when last looked at
    Duration known_at TROUPE_GUARDED_BY(mutex){};
    int answers_since TROUPE_GUARDED_BY(mutex) = 0;
};

static_assert(HedgePace::kAnswers == route_internal::DwellWindow::kSamplesMax);

HedgePace::HedgePace(Duration at_first, Duration least)
    : learnt_(std::make_shared<Learnt>(at_first, least)) {}

Duration HedgePace::after(Duration now) const {
    Learnt& learnt = *learnt_;
    const LockGuard lock(learnt.mutex);
    const bool enough = learnt.window.size(now) >= kAnswersMin;
    if (!enough) {
        learnt.known = Duration::max();
        return std::max(learnt.at_first, learnt.least);
    }
    const bool old = now - learnt.known_at > kOfLate / kAnswersMin;
    if (learnt.known == Duration::max() || old || learnt.answers_since >= Learnt::kAnswersBetween) {
        learnt.known = learnt.window.p95(now);
        learnt.known_at = now;
        learnt.answers_since = 0;
    }
    return std::max(learnt.known, learnt.least);
}

void HedgePace::answered(Duration now, Duration took) const {
    const LockGuard lock(learnt_->mutex);
    learnt_->window.add(now, took);
    ++learnt_->answers_since;
}

namespace route_internal {

PacedCall::PacedCall(HedgePace pace) : pace_(std::move(pace)), began_(current_engine()->now()) {}

void PacedCall::answered() const {
    const Duration now = current_engine()->now();
    pace_.answered(now, now - began_);
}

}  // namespace route_internal

}  // namespace troupe
