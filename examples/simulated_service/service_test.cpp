// What the shop promises, whatever its machines do.

#include <troupe/io/network_conditions.hpp>
#include <troupe/sim/test.hpp>

#include "world.hpp"
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <sstream>
#include <string>

namespace {

using namespace std::chrono_literals;
using shop::Customer;
using shop::Machines;
using shop::Seen;

std::set<std::string> kept_by(troupe::sim::Node& stock) {
    std::set<std::string> kept;
    std::istringstream log(shop::files_of(stock).read());
    for (std::string order; std::getline(log, order);)
        EXPECT_TRUE(kept.insert(order).second) << order << " was sold twice";
    return kept;
}

TROUPE_SIM_TEST(Shop, SellsWhatItHas) {
    const auto common = std::make_shared<Seen>();
    const Seen& seen = *common;
    const Machines machines = shop::open_shop(sim);
    sim.settle();
    sim.spawn<Customer>("ann", 20ms, common);
    sim.spawn<Customer>("bob", 20ms, common);
    sim.advance(500ms);
    EXPECT_EQ(seen.refusals, 0U);
    EXPECT_GT(seen.sold.size(), 10U);
    EXPECT_GE(kept_by(*machines.stock).size(), seen.sold.size());
}

TROUPE_SIM_TEST(Shop, KeepsWhatItHasSoldOverCrashesAndSellsNothingTwice) {
    const auto common = std::make_shared<Seen>();
    const Seen& seen = *common;
    const Machines machines = shop::open_shop(sim);
    sim.settle();
    sim.spawn<Customer>("ann", 20ms, common);
    sim.spawn<Customer>("bob", 20ms, common);
    for (int crash = 0; crash < 3; ++crash) {
        sim.run_steps(sim.choose(800, "when the stock crashes"));
        machines.stock->crash();
        sim.advance(100ms * static_cast<int>(sim.choose(4, "how long it is down")));
        machines.stock->start();
    }
    sim.heal();
    const auto sold = seen.sold.size();
    sim.eventually_within(5s, "the shop sells again", [&] { return seen.sold.size() > sold; });
    sim.advance(5s);
    const std::set<std::string> kept = kept_by(*machines.stock);
    for (const std::string& order : seen.sold)
        EXPECT_TRUE(kept.contains(order)) << order << " was acknowledged, and is lost";
}

TROUPE_SIM_TEST(Shop, AnswersInTimeWhenTheStockCannotBeReached) {
    const auto common = std::make_shared<Seen>();
    const Seen& seen = *common;
    shop::open_shop(sim);
    sim.settle();
    sim.spawn<Customer>("ann", 20ms, common);
    sim.advance(200ms);
    sim.partition("front", "stock");
    const auto answers = seen.answers;
    const auto refusals = seen.refusals;
    sim.advance(10s);
    EXPECT_GT(seen.refusals - refusals, 5U);
    EXPECT_LE(seen.answers - answers, 2U) << "those that were under way";
    sim.mend_partition("front", "stock");
    const auto sold = seen.sold.size();
    sim.advance(5s);
    EXPECT_GT(seen.sold.size(), sold + 10);
}

}  // namespace
