#include <troupe/scheduler/engine.hpp>
#include <troupe/sim/internal/determinism.hpp>
#include <troupe/sim/internal/settings.hpp>
#include <troupe/sim/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace troupe::sim_internal {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(Settings, AreReadFromTheCommandLine) {
    const Result<Settings> settings =
        Settings::of({"--gtest_filter=A.B", "--replay", "t1:AA", "--break-at=7", "--budget=5m",
                      "--strategy=pct,dpor", "--seeds", "12", "--jobs=3", "--check-determinism"});
    ASSERT_TRUE(settings) << settings.error().message();
    EXPECT_EQ(settings->replay, "t1:AA");
    EXPECT_EQ(settings->break_at, 7U);
    EXPECT_EQ(settings->budget, Duration(5min));
    EXPECT_EQ(settings->searches, (std::vector{sim::Search::pct, sim::Search::dpor}));
    EXPECT_EQ(settings->check_determinism, 1U);
    EXPECT_EQ(Settings::of({"--check-determinism=8"})->check_determinism, 8U);
    sim::ExploreOptions options;
    settings->apply_to(options);
    EXPECT_EQ(options.runs, 12U);
    EXPECT_EQ(options.processes, 3U);
}

TEST(Settings, TakeAShareOfTheRunsAndNoneForNothing) {
    const auto settings = Settings::of({"--seeds=1/4"});
    ASSERT_TRUE(settings);
    EXPECT_EQ(settings->share_of(120), 30U);
    EXPECT_EQ(settings->share_of(5), 2U);
    EXPECT_EQ(settings->share_of(1), 1U);
    sim::ExploreOptions options;
    settings->apply_to(options);
    EXPECT_EQ(options.runs, sim::ExploreOptions().runs) << "that is of what a fixture asks for";
}

TEST(Settings, SayWhatTheyDoNotUnderstand) {
    const auto what = [](std::vector<std::string> arguments) {
        const auto settings = Settings::of(arguments);
        return settings ? std::string() : settings.error().message();
    };
    EXPECT_THAT(what({"--strategy=luck"}), HasSubstr("there are random, pct"));
    EXPECT_THAT(what({"--seeds=many"}), HasSubstr("seeds wants a number, not 'many'"));
    EXPECT_THAT(what({"--seeds=1/0"}), HasSubstr("seeds cannot be 1/0"));
    EXPECT_THAT(what({"--seeds=1/x"}), HasSubstr("seeds wants a number, not 'x'"));
    EXPECT_THAT(what({"--budget=60"}), HasSubstr("written 250ms, 60s, 5m or 2h"));
    EXPECT_THAT(what({"--replay"}), HasSubstr("wants a value"));
}

TEST(Settings, RunOneSeedAtRandomUnlessAStrategyIsNamed) {
    sim::ExploreOptions options;
    Settings::of({"--seed=8123"})->apply_to(options);
    EXPECT_EQ(options.first_seed, 8123U);
    EXPECT_EQ(options.runs, 1U);
    EXPECT_EQ(options.searches, std::vector{sim::Search::random});
}

// Two tests that are run again by the two below, in processes of their own.
TROUPE_SIM_TEST(Determinism, AgreesWhereAllIsChosen) {
    for (int i = 0; i < 50; ++i)
        sim.engine().note_event(sim.choose(100, "settings_test"));
    sim.settle();
}

class Sensitive : public Actor {
public:
    void feel(std::uint64_t what) { System(system()).engine().note_event(what); }
};
// Fails where it is compared, as it should, so it is for the one below only.
TROUPE_SIM_TEST(Determinism, DISABLED_DiffersWhereTheMachineDecides) {
    auto sensitive = sim.spawn<Sensitive>();
    sensitive.tell<&Sensitive::feel>(1);
    sim.settle();
    sensitive.tell<&Sensitive::feel>(static_cast<std::uint64_t>(::getpid()));
    sim.settle();
}

TEST(DeterminismCheck, SaysNothingWhereTwoProcessesAgree) {
    EXPECT_EQ(first_difference("Determinism.AgreesWhereAllIsChosen", {"TROUPE_SEED=3"}), "");
    EXPECT_EQ(
        first_difference("Determinism.AgreesWhereAllIsChosen", {"TROUPE_SEED=3", "TROUPE_SEEDS=4"}),
        "");
}

TEST(DeterminismCheck, NamesTheFirstStepThatDiffers) {
    const std::string text = first_difference("Determinism.DISABLED_DiffersWhereTheMachineDecides",
                                              {"TROUPE_SEED=3", "TROUPE_SEEDS=2"});
    EXPECT_THAT(text, HasSubstr("is not deterministic"));
    EXPECT_THAT(text, HasSubstr("Sensitive::feel"));
    EXPECT_THAT(text, HasSubstr("last step in common"));
    EXPECT_THAT(text, HasSubstr("the run of seed 3 "));
}

TEST(DeterminismCheck, SaysWhenThereIsNoSuchTest) {
    EXPECT_THAT(first_difference("No.Such", {"TROUPE_SEED=3"}),
                HasSubstr("neither process has run"));
}

}  // namespace
}  // namespace troupe::sim_internal
