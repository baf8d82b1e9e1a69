#pragma once

/// Simulated tests with GoogleTest, whose header is to be included before this one:
///
///     #include <gtest/gtest.h>
///     #include <troupe/sim/test.hpp>
///
///     TROUPE_SIM_TEST(Bank, NeverLosesMoney) {
///         auto account = sim.spawn<Account>(100);
///         ...
///         EXPECT_EQ(*sim.run(account.ask<&Account::balance>()), 150);
///     }
///
/// The body is an ordinary function, so ASSERT_* works in it. It is run under many schedules, in
/// processes of its own, until one fails; that one is shrunk, told as a story, and run once more
/// here, so that GoogleTest reports what it reports. The text ends with the command that replays
/// it.
///
/// The environment goes first, and so do flags of the same names on the test's command line
/// (`--replay t1:...`): TROUPE_REPLAY a trace, or @file; TROUPE_SHRINK a trace, to be made small;
/// TROUPE_SEED one seed; TROUPE_SEEDS how many runs, or "1/4" for a fourth of those a fixture asks
/// for with sim::on_schedules, and all of these here, whose `sometimes` may need them;
/// TROUPE_BUDGET for how long, "60s"; TROUPE_STRATEGY one or several names with commas, or
/// portfolio; TROUPE_JOBS processes; TROUPE_BREAK_AT a step of a replay; TROUPE_CHECK_DETERMINISM=1
/// runs a replay, or the first seed, in two processes and compares them step by step;
/// TROUPE_CHECK_DETERMINISM=8 the first eight seeds.

#include <troupe/sim/properties.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/sim.hpp>

#include <cstddef>
#include <functional>
#include <string>

namespace troupe::sim {

/// How many runs a test is given unless the environment says otherwise.
inline constexpr std::size_t kRunsPerTest = 120;

/// Explores the test, or does what the environment asks for. What is found is told to `report`,
/// which makes the test fail.
void run_test(const TestCase& test, const std::function<void(const std::string& text)>& report);

}  // namespace troupe::sim

#define TROUPE_SIM_TEST(suite, promise)                                                  \
    static void suite##_##promise##_simulated(::troupe::Sim& sim);                       \
    TEST(suite, promise) {                                                               \
        ::troupe::sim::run_test({#suite "." #promise, &suite##_##promise##_simulated,    \
                                 [] { return ::testing::Test::HasFailure(); }},          \
                                [](const std::string& text) { ADD_FAILURE() << text; }); \
    }                                                                                    \
    static void suite##_##promise##_simulated([[maybe_unused]] ::troupe::Sim& sim)
