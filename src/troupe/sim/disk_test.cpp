#include <troupe/sim/disk.hpp>
#include <troupe/sim/run.hpp>
#include <troupe/sim/sim.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>

namespace troupe::sim {
namespace {

using testing::Contains;
using testing::HasSubstr;

/// Runs the body under many seeds; it must not fail.
void on_many_seeds(const std::function<void(Sim& sim)>& body) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        RandomChooser chooser(seed);
        const RunResult result = run_once({"a test", body, {}}, chooser);
        ASSERT_FALSE(result.failure) << result.failure->text << " under seed " << seed;
    }
}

TEST(Disk, GivesBackWhatItWasGiven) {
    on_many_seeds([](Sim& sim) {
        Disk disk(sim);
        EXPECT_TRUE(disk.append("log", "one "));
        EXPECT_TRUE(disk.append("log", "two"));
        EXPECT_TRUE(disk.write("log", 0, "O"));
        EXPECT_EQ(disk.read("log", 0, 100), "One two");
        EXPECT_EQ(disk.read("log", 4, 2), "tw");
        EXPECT_EQ(disk.size("log"), 7U);
        EXPECT_EQ(disk.read("none", 0, 1).error(), Errc::not_found);
    });
}

TEST(Disk, KeepsWhatWasSyncedAndLosesOrTearsTheRest) {
    std::set<std::string> left;
    on_many_seeds([&](Sim& sim) {
        Disk disk(sim);
        EXPECT_TRUE(disk.append("log", "safe "));
        EXPECT_TRUE(disk.sync("log"));
        EXPECT_TRUE(disk.append("log", "perhaps"));
        disk.crash();
        const std::string text = *disk.read("log", 0, 100);
        EXPECT_TRUE(std::string("safe perhaps").starts_with(text)) << text;
        EXPECT_GE(text.size(), 5U) << text;
        left.insert(text);
        disk.crash();
        EXPECT_EQ(disk.read("log", 0, 100), text) << "what a crash has left is safe";
    });
    EXPECT_THAT(left, Contains("safe "));
    EXPECT_THAT(left, Contains("safe perhaps"));
    EXPECT_THAT(left, Contains("safe per")) << "torn";
}

TEST(Disk, MayLoseAFileOrARenameThatWasNotSynced) {
    std::set<std::string> left;
    on_many_seeds([&](Sim& sim) {
        Disk disk(sim);
        EXPECT_TRUE(disk.append("state", "old"));
        EXPECT_TRUE(disk.sync("state"));
        EXPECT_TRUE(disk.append("new", "new"));
        EXPECT_TRUE(disk.sync("new"));
        EXPECT_TRUE(disk.rename("new", "state"));
        EXPECT_EQ(disk.read("state", 0, 10), "new");
        disk.crash();
        const auto text = disk.read("state", 0, 10);
        left.insert(text ? *text : "(gone)");
    });
    EXPECT_THAT(left, Contains("old"));
    EXPECT_THAT(left, Contains("new"));
}

TEST(Disk, ErrsFillsUpAndFlipsBitsWhenItIsToldTo) {
    int errors = 0;
    int flips = 0;
    on_many_seeds([&](Sim& sim) {
        Disk disk(sim, {.errors_per_thousand = 200, .bit_flips_per_thousand = 200});
        const Result<void> written = disk.append("log", "aaaa");
        if (!written) {
            EXPECT_THAT(written.error().text(), HasSubstr("I/O error"));
            ++errors;
            return;
        }
        const auto text = disk.read("log", 0, 4);
        if (text && *text != "aaaa") ++flips;
        disk.set_faults({.bytes_max = 6});
        EXPECT_TRUE(disk.append("log", "bb"));
        EXPECT_THAT(disk.append("log", "c").error().text(), HasSubstr("no space left"));
        sim.heal();
        disk.set_faults({.errors_per_thousand = 1000});
        EXPECT_TRUE(disk.read("log", 0, 1)) << "a healed world has no faults";
    });
    EXPECT_GT(errors, 20);
    EXPECT_GT(flips, 10);
}

}  // namespace
}  // namespace troupe::sim
