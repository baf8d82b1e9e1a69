#include <troupe/actor/load.hpp>
#include <troupe/route/dwell.hpp>
#include <troupe/route/internal/test_workers.hpp>
#include <troupe/route/router.hpp>

#include <gtest/gtest.h>

#include <memory>

namespace troupe::route_internal {
namespace {

using namespace std::chrono_literals;
using actor_internal::EndWatch;
using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;

TEST(DwellWindow, GivesWhatNineteenOfTwentyDoNotExceed) {
    DwellWindow window(1s);
    EXPECT_EQ(window.p95(0s), Duration::zero()) << "nothing is known yet";
    for (int i = 1; i <= 100; ++i)
        window.add(0s, i * 1ms);
    EXPECT_EQ(window.p95(0s), 95ms);
    window.clear();
    for (int i = 0; i < 19; ++i)
        window.add(0s, 1ms);
    window.add(0s, 1h);
    EXPECT_EQ(window.p95(0s), 1ms) << "one of twenty may take as long as it likes";
    window.add(0s, 1h);
    EXPECT_EQ(window.p95(0s), 1h);
}

TEST(DwellWindow, ForgetsWhatIsOldAndHoldsNoMoreThanItMay) {
    DwellWindow window(1s);
    window.add(0s, 1h);
    window.add(600ms, 1ms);
    EXPECT_EQ(window.size(1s), 2U);
    EXPECT_EQ(window.size(1s + 1ns), 1U);
    EXPECT_EQ(window.p95(1s + 1ns), 1ms);
    for (std::size_t i = 0; i < 3 * DwellWindow::kSamplesMax; ++i)
        window.add(1s, 2ms);
    EXPECT_EQ(window.size(1s), DwellWindow::kSamplesMax);
}

ScaleRules rules() {
    ScaleRules rules;
    rules.min = 2;
    rules.max = 10;
    rules.grow_above = 50ms;
    rules.shrink_below = 5ms;
    rules.cooldown = 1s;
    rules.window = 10s;
    return rules;
}

void fill(Scaler& scaler, Duration now, Duration waited) {
    for (std::size_t i = 0; i < Scaler::kSamplesMin; ++i)
        scaler.window().add(now, waited);
}

TEST(Scaler, GrowsAboveOneThresholdShrinksBelowAnotherAndStaysBetween) {
    Scaler scaler(rules(), 0s);
    fill(scaler, 2s, 51ms);
    EXPECT_EQ(scaler.change(2s, 4), 1);
    fill(scaler, 4s, 50ms);
    EXPECT_EQ(scaler.change(4s, 5), 0) << "not above";
    scaler.window().clear();
    fill(scaler, 4s, 5ms);
    EXPECT_EQ(scaler.change(4s, 5), 0) << "not below";
    scaler.window().clear();
    fill(scaler, 4s, 4ms);
    EXPECT_EQ(scaler.change(4s, 5), -1);
}

TEST(Scaler, StaysAsItIsForTheCooldownAndUntilItKnowsEnough) {
    Scaler scaler(rules(), 0s);
    fill(scaler, 900ms, 1s);
    EXPECT_EQ(scaler.change(900ms, 2), 0) << "it has just begun";
    EXPECT_EQ(scaler.change(1s, 2), 1);
    EXPECT_EQ(scaler.change(3s, 3), 0) << "what was waited before tells of another size";
    fill(scaler, 3s, 1s);
    EXPECT_EQ(scaler.change(3s, 3), 1);
    fill(scaler, 3s, 1s);
    EXPECT_EQ(scaler.change(3s + 999ms, 4), 0);
    EXPECT_EQ(scaler.change(4s, 4), 1);
}

TEST(Scaler, KeepsToItsBoundsAndMakesUpForWhatIsMissingAtOnce) {
    Scaler scaler(rules(), 0s);
    EXPECT_EQ(scaler.change(0s, 0), 2) << "below the minimum, whatever the cooldown";
    fill(scaler, 5s, 1h);
    EXPECT_EQ(scaler.change(5s, 8), 2) << "a quarter more";
    fill(scaler, 7s, 1h);
    EXPECT_EQ(scaler.change(7s, 9), 1) << "and no more than the maximum";
    fill(scaler, 9s, 1h);
    EXPECT_EQ(scaler.change(9s, 10), 0);
    scaler.window().clear();
    fill(scaler, 9s, 0ms);
    EXPECT_EQ(scaler.change(9s, 2), 0);
}

TEST(DwellProbe, SaysHowLongAMessageWaitsInAMailbox) {
    on_seeds(10, [](OwnedSystem& system) {
        const auto worker = system->spawn<Clerk>("worker");
        const auto gate = std::make_shared<Gate>();
        worker.tell<&Clerk::hold>(gate);
        gate->wait_until_reached(system);
        const auto probe = std::make_shared<DwellProbe>();
        ASSERT_TRUE(DwellProbe::send(probe, RouterAccess::seen(worker), system->now()));
        EXPECT_EQ(probe->state(), DwellProbe::State::waits);
        system.advance(30ms);
        EXPECT_EQ(probe->state(), DwellProbe::State::waits);
        gate->open();
        system.settle();
        EXPECT_EQ(probe->state(), DwellProbe::State::handled);
        EXPECT_EQ(probe->waited(), 30ms);
    });
}

TEST(DwellProbe, IsLostWithTheMailboxItLiesInAndRefusedByAFullOne) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto worker =
                system->spawn<Clerk>(options().mailbox(bounded(2)), std::string("worker"));
            const auto gate = std::make_shared<Gate>();
            worker.tell<&Clerk::hold>(gate);
            gate->wait_until_reached(system);
            const auto lies = std::make_shared<DwellProbe>();
            const auto refused = std::make_shared<DwellProbe>();
            EXPECT_TRUE(DwellProbe::send(lies, RouterAccess::seen(worker), 0s));
            EXPECT_FALSE(DwellProbe::send(refused, RouterAccess::seen(worker), 0s));
            EXPECT_EQ(refused->state(), DwellProbe::State::lost);
            EndWatch watch(system, worker);
            worker.stop(Stop::kill);
            watch.wait();
            EXPECT_EQ(lies->state(), DwellProbe::State::lost);
        },
        10);
}

}  // namespace
}  // namespace troupe::route_internal
