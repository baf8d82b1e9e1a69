#pragma once

/// For fixtures of tests with GoogleTest: <troupe/sim/schedules.hpp>, and what it has to know.

#include <troupe/actor/system.hpp>
#include <troupe/sim/schedules.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

namespace troupe::sim_internal {

inline const testing::TestInfo& this_test() {
    return *testing::UnitTest::GetInstance()->current_test_info();
}

inline std::size_t failures_of_this_test() {
    const testing::TestResult& result = *this_test().result();
    std::size_t failures = 0;
    for (int i = 0; i < result.total_part_count(); ++i)
        failures += result.GetTestPartResult(i).failed() ? 1U : 0U;
    return failures;
}

/// Runs the body under so many schedules of every strategy, unless the environment says otherwise.
inline Exploration on_schedules(std::size_t runs, std::function<void(OwnedSystem& system)> body) {
    return sim::on_schedules(
        {std::string(this_test().test_suite_name()) + "." + this_test().name(), std::move(body),
         &failures_of_this_test, [](const std::string& text) { ADD_FAILURE() << text; }},
        runs);
}

/// The same for what knows no actors.
inline Exploration on_schedules_of_engine(std::size_t runs,
                                          const std::function<void(Engine& engine)>& body) {
    return on_schedules(runs, [&](OwnedSystem& system) { body(system->engine()); });
}

}  // namespace troupe::sim_internal
