#include <troupe/scheduler/internal/timer_wheel.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

constexpr Duration kTick{std::int64_t{1} << TimerWheel::kTickBits};

std::vector<TimerNode*> list(TimerNode* timers) {
    std::vector<TimerNode*> result;
    for (; timers != nullptr; timers = static_cast<TimerNode*>(timers->next)) {
        result.push_back(timers);
    }
    return result;
}

TimerNode timer_at(Duration deadline) {
    TimerNode timer;
    timer.deadline = deadline;
    return timer;
}

TEST(TimerWheel, HasNothingDueWhenEmpty) {
    auto wheel = std::make_unique<TimerWheel>();
    EXPECT_EQ(wheel->next_due(), Duration::max());
    EXPECT_EQ(wheel->advance(kTick * 1000), nullptr);
    EXPECT_EQ(wheel->size(), 0u);
}

TEST(TimerWheel, ReturnsATimerAtItsDeadlineAndNotBefore) {
    auto wheel = std::make_unique<TimerWheel>();
    TimerNode timer = timer_at(kTick * 5);
    wheel->insert(timer);
    EXPECT_EQ(wheel->next_due(), kTick * 5);
    EXPECT_EQ(wheel->advance(kTick * 5 - Duration(1)), nullptr);
    EXPECT_EQ(wheel->advance(kTick * 5), &timer);
    EXPECT_EQ(timer.next, nullptr);
    EXPECT_EQ(wheel->size(), 0u);
    EXPECT_FALSE(wheel->erase(timer));
}

TEST(TimerWheel, IsNeverEarlyForADeadlineWithinATick) {
    auto wheel = std::make_unique<TimerWheel>();
    TimerNode timer = timer_at(kTick * 5 + Duration(1));
    wheel->insert(timer);
    EXPECT_EQ(wheel->advance(kTick * 5), nullptr);
    EXPECT_EQ(wheel->next_due(), kTick * 6);
    EXPECT_EQ(wheel->advance(kTick * 6), &timer);
}

TEST(TimerWheel, ReturnsAPastDeadlineWithTheNextAdvance) {
    auto wheel = std::make_unique<TimerWheel>();
    EXPECT_EQ(wheel->advance(kTick * 100), nullptr);
    TimerNode late = timer_at(kTick * 3);
    TimerNode ancient = timer_at(Duration::min());
    wheel->insert(late);
    wheel->insert(ancient);
    EXPECT_LE(wheel->next_due(), kTick * 100);
    EXPECT_EQ(list(wheel->advance(kTick * 100)), (std::vector<TimerNode*>{&ancient, &late}));
}

TEST(TimerWheel, IgnoresATimeThatGoesBack) {
    auto wheel = std::make_unique<TimerWheel>();
    EXPECT_EQ(wheel->advance(kTick * 100), nullptr);
    TimerNode timer = timer_at(kTick * 101);
    wheel->insert(timer);
    EXPECT_EQ(wheel->advance(kTick * 50), nullptr);
    EXPECT_EQ(wheel->advance(kTick * 101), &timer);
}

TEST(TimerWheel, KeepsTheOrderOfInsertionForEqualDeadlines) {
    auto wheel = std::make_unique<TimerWheel>();
    // The first hangs two levels up when the second is linked below it.
    TimerNode first = timer_at(kTick * 5000);
    TimerNode second = timer_at(kTick * 5000);
    TimerNode third = timer_at(kTick * 5000);
    wheel->insert(first);
    EXPECT_EQ(wheel->advance(kTick * 4900), nullptr);
    wheel->insert(second);
    EXPECT_EQ(wheel->advance(kTick * 4999), nullptr);
    wheel->insert(third);
    EXPECT_EQ(list(wheel->advance(kTick * 6000)),
              (std::vector<TimerNode*>{&first, &second, &third}));
}

TEST(TimerWheel, SortsTheTimersOfOneTick) {
    auto wheel = std::make_unique<TimerWheel>();
    std::vector<TimerNode> timers;
    for (int i = 0; i < 1000; ++i)
        timers.push_back(timer_at(kTick * 3 + Duration(i * 7 % 1000)));
    for (TimerNode& timer : timers)
        wheel->insert(timer);
    std::vector<TimerNode*> due = list(wheel->advance(kTick * 4));
    ASSERT_EQ(due.size(), 999u + 1u);
    for (std::size_t i = 1; i < due.size(); ++i) {
        EXPECT_LE(due[i - 1]->deadline, due[i]->deadline) << i;
    }
}

TEST(TimerWheel, HoldsDeadlinesOfCenturies) {
    auto wheel = std::make_unique<TimerWheel>();
    EXPECT_EQ(wheel->advance(Duration(12'345'678)), nullptr);
    TimerNode never = timer_at(Duration::max());
    TimerNode far = timer_at(Duration::max() - kTick);
    wheel->insert(never);
    wheel->insert(far);
    EXPECT_LE(wheel->next_due(), far.deadline);
    EXPECT_EQ(wheel->advance(far.deadline - kTick), nullptr);
    EXPECT_EQ(list(wheel->advance(Duration::max())), (std::vector<TimerNode*>{&far, &never}));
    EXPECT_EQ(wheel->next_due(), Duration::max());
    EXPECT_EQ(wheel->size(), 0u);
}

TEST(TimerWheel, ReachesAFarTimerInAtMostOneLookPerLevel) {
    auto wheel = std::make_unique<TimerWheel>();
    TimerNode timer = timer_at(Duration(std::int64_t{987'654'321'987'654'321}));
    wheel->insert(timer);
    std::size_t looks = 0;
    while (wheel->size() != 0) {
        ASSERT_LT(looks++, TimerWheel::kLevels + 1);
        static_cast<void>(wheel->advance(wheel->next_due()));
    }
}

// Goal: every timer comes out exactly once, in order, never early, at most a tick late, and
// next_due never oversleeps. Method: random inserts, erases and advances of all magnitudes against
// an ordered map, which keeps the order of insertion for equal keys.
void compare_with_a_map(std::uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
    auto wheel = std::make_unique<TimerWheel>();
    std::vector<std::unique_ptr<TimerNode>> timers;
    std::multimap<Duration, TimerNode*> model;
    Duration now{below(std::uint64_t{1} << below(60))};
    static_cast<void>(wheel->advance(now));

    for (int step = 0; step < 400; ++step) {
        const std::int64_t action = below(10);
        if (action < 5) {
            const Duration after{below(std::uint64_t{1} << below(58))};
            timers.push_back(std::make_unique<TimerNode>());
            timers.back()->deadline = below(8) == 0 ? now - after : now + after;
            if (below(4) == 0 && !model.empty()) {
                timers.back()->deadline = model.begin()->first;  // ties are rare otherwise
            }
            wheel->insert(*timers.back());
            model.emplace(timers.back()->deadline, timers.back().get());
        } else if (action < 7 && !timers.empty()) {
            TimerNode* const timer = timers[static_cast<std::size_t>(below(timers.size()))].get();
            auto [at, end] = model.equal_range(timer->deadline);
            while (at != end && at->second != timer)
                ++at;
            const bool waits = at != end;
            if (waits) model.erase(at);
            ASSERT_EQ(wheel->erase(*timer), waits);
        } else {
            const Duration due = wheel->next_due();
            if (model.empty()) {
                ASSERT_EQ(due, Duration::max());
            } else {
                ASSERT_LE(due, std::max(model.begin()->first + kTick, now));
            }
            if (action == 7 && due != Duration::max()) {
                now = std::max(now, due);
            } else {
                now += Duration(below(std::uint64_t{1} << below(56)));
            }
            for (TimerNode* timer : list(wheel->advance(now))) {
                ASSERT_FALSE(model.empty());
                ASSERT_EQ(timer, model.begin()->second);
                ASSERT_LE(timer->deadline, now);
                model.erase(model.begin());
            }
            if (!model.empty()) {
                ASSERT_GT(model.begin()->first + kTick, now);
            }
        }
        ASSERT_EQ(wheel->size(), model.size());
    }
}

TEST(TimerWheel, AgreesWithAnOrderedMap) {
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        compare_with_a_map(seed);
        if (HasFatalFailure()) break;
    }
}

}  // namespace
}  // namespace troupe::scheduler_internal
