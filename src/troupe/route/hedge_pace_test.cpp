#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/route/first.hpp>
#include <troupe/route/hedge_pace.hpp>
#include <troupe/route/router.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;

constexpr std::uint64_t kSeeds = 20;

/// So many answers, of which one in twenty-five is slow.
void learn(const HedgePace& pace, Duration now, int answers, Duration usual) {
    for (int i = 0; i < answers; ++i)
        pace.answered(now, i % 25 == 24 ? 10 * usual : usual);
}

TEST(HedgePace, IsWhatItWasToldUntilTwentyAnswersAreKnown) {
    const HedgePace pace(30ms);
    learn(pace, 0s, HedgePace::kAnswersMin - 1, 5ms);
    EXPECT_EQ(pace.after(0s), 30ms);
    learn(pace, 0s, 1, 5ms);
    EXPECT_EQ(pace.after(0s), 5ms);
}

TEST(HedgePace, IsWhatNineteenOfTwentyAnswersTake) {
    const HedgePace pace(30ms);
    learn(pace, 0s, 100, 8ms);
    EXPECT_EQ(pace.after(0s), 8ms);
    const HedgePace ramp(30ms);
    for (int i = 1; i <= 100; ++i)
        ramp.answered(0s, i * 1ms);
    EXPECT_EQ(ramp.after(0s), 95ms);
}

TEST(HedgePace, FollowsThoseAskedWhenTheyGetSlower) {
    const HedgePace pace(30ms);
    learn(pace, 0s, 100, 8ms);
    EXPECT_EQ(pace.after(0s), 8ms);
    learn(pace, 20s, 100, 40ms);
    EXPECT_EQ(pace.after(20s), 40ms);
    learn(pace, 45s, 100, 2ms);  // what was 25 s ago still counts
    EXPECT_EQ(pace.after(45s), 40ms);
    EXPECT_EQ(pace.after(55s), 2ms);
}

TEST(HedgePace, ForgetsWhatIsLongAgo) {
    const HedgePace pace(30ms);
    learn(pace, 0s, 100, 8ms);
    EXPECT_EQ(pace.after(HedgePace::kOfLate + 1s), 30ms);
}

TEST(HedgePace, IsNeverSoonerThanTheLeast) {
    const HedgePace pace(0s, 2ms);
    EXPECT_EQ(pace.after(0s), 2ms);
    learn(pace, 0s, 100, 0s);
    EXPECT_EQ(pace.after(0s), 2ms);
}

/// Answers after so long; each `slow_each`-th call takes a second.
class Pacer : public Actor {
public:
    Pacer(Duration usual, int slow_each) : usual_(usual), slow_each_(slow_each) {}
    Task<Result<int>> price() {
        ++asked_;
        const bool slow = slow_each_ != 0 && asked_ % slow_each_ == 0;
        co_await or_return(co_await sleep(slow ? 1s : usual_));
        co_return asked_;
    }
    int asked() const { return asked_; }

private:
    const Duration usual_;
    const int slow_each_;
    int asked_ = 0;
};

TEST(HedgePace, LetsAHedgeAskAnotherAsSoonAsAnAnswerIsLate) {
    on_seeds(kSeeds, [](OwnedSystem& system) {
        constexpr int kCalls = 100;
        constexpr int kSlowEach = 30;  // fewer than one in twenty: they do not count as usual
        const auto first = system->spawn<Pacer>(5ms, kSlowEach);
        const auto second = system->spawn<Pacer>(5ms, 0);
        const HedgePace pace(2s);
        int hedged = 0;
        for (int i = 1; i <= kCalls; ++i) {
            const Duration before = system->now();
            const auto price =
                system->block_on(hedge<&Pacer::price>(pace, std::vector{first, second}));
            ASSERT_TRUE(price);
            const Duration took = system->now() - before;
            const bool slow = i % kSlowEach == 0;
            hedged += slow ? 1 : 0;
            EXPECT_EQ(took, slow ? 10ms + 1ns : 5ms) << "later than 5 ms, and 5 ms for the other";
        }
        EXPECT_EQ(system->block_on(second.ask<&Pacer::asked>()), hedged);
    });
}

TEST(HedgePace, LearnsNothingFromFailures) {
    on_both_engines(
        [](OwnedSystem& system) {
            const HedgePace pace(1ms);
            const Router<Pacer> nobody;
            for (int i = 0; i < 2 * HedgePace::kAnswersMin; ++i) {
                const auto failed = system->block_on(nobody.hedge<&Pacer::price>(pace, 2));
                ASSERT_FALSE(failed.has_value());
            }
            EXPECT_EQ(pace.after(system->now()), 1ms);
            EXPECT_EQ(HedgePace(pace).after(system->now() + 1s), 1ms);
        },
        kSeeds);
}

TEST(HedgePace, IsSharedByItsCopiesAndThroughARouter) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Router<Pacer> router(Route::round_robin,
                                       {system->spawn<Pacer>(0s, 0), system->spawn<Pacer>(0s, 0)});
            const HedgePace pace(1h);
            for (int i = 0; i < HedgePace::kAnswersMin; ++i)
                ASSERT_TRUE(system->block_on(router.hedge<&Pacer::price>(HedgePace(pace), 2)));
            EXPECT_LT(pace.after(system->now()), 1h);
        },
        kSeeds);
}

}  // namespace
}  // namespace troupe
