#include <troupe/base/assert.hpp>
#include <troupe/scheduler/explore.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

/// Sets an environment variable for one test, or takes it away.
class EnvironmentScope {
public:
    EnvironmentScope(const char* name, const char* value) : name_(name) {
        if (const char* const before = std::getenv(name)) {
            had_ = true;
            before_ = before;
        }
        set(value);
    }
    ~EnvironmentScope() { set(had_ ? before_.c_str() : nullptr); }
    EnvironmentScope(const EnvironmentScope&) = delete;
    EnvironmentScope& operator=(const EnvironmentScope&) = delete;

private:
    void set(const char* value) const {
        if (value != nullptr) {
            ::setenv(name_, value, 1);
        } else {
            ::unsetenv(name_);
        }
    }

    const char* name_;
    std::string before_;
    bool had_ = false;
};

class Explore : public testing::Test {
protected:
    // Whoever replays a seed of another test must not change what these see.
    EnvironmentScope no_seed{"TROUPE_SEED", nullptr};
    EnvironmentScope no_count{"TROUPE_SEEDS", nullptr};

    static std::vector<std::uint64_t> seeds_run(std::uint64_t first, std::size_t count) {
        std::vector<std::uint64_t> seeds;
        explore_seeds(first, count, [&](Engine&, std::uint64_t seed) { seeds.push_back(seed); });
        return seeds;
    }
};

TEST_F(Explore, RunsEverySeedOnAnEngineOfItsOwn) {
    std::set<std::uint64_t> draws;
    const Exploration exploration = explore_seeds(10, 20, [&](Engine& engine, std::uint64_t) {
        EXPECT_TRUE(engine.deterministic());
        EXPECT_EQ(engine.now(), Duration::zero());
        draws.insert(engine.random());
        engine.run_for(Duration(1));
    });
    EXPECT_EQ(exploration.runs, 20u);
    EXPECT_EQ(exploration.distinct, 20u);
    EXPECT_EQ(draws.size(), 20u);
    EXPECT_EQ(seeds_run(7, 3), (std::vector<std::uint64_t>{7, 8, 9}));
    EXPECT_TRUE(seeds_run(7, 0).empty());
}

TEST_F(Explore, CountsRunsThatDifferOnly) {
    const Exploration exploration = explore_seeds(1, 200, [](Engine& engine, std::uint64_t) {
        static_cast<void>(engine.choose(4, ChoiceKind::fault, "test"));
    });
    EXPECT_EQ(exploration.runs, 200u);
    EXPECT_EQ(exploration.distinct, 4u);
}

TEST_F(Explore, StopsWhenTheBodySaysSo) {
    const Exploration seeds =
        explore_seeds(1, 100, [](Engine&, std::uint64_t seed) { return seed < 5; });
    EXPECT_EQ(seeds.runs, 5u);
    std::size_t runs = 0;
    const Exploration walk = explore_depth_first(100, 10, [&](Engine& engine) {
        static_cast<void>(engine.choose(10, ChoiceKind::fault, "test"));
        return ++runs < 3;
    });
    EXPECT_EQ(walk.runs, 3u);
    EXPECT_FALSE(walk.exhaustive);
}

TEST_F(Explore, RunsOneSeedWhenTheEnvironmentNamesIt) {
    const EnvironmentScope seed("TROUPE_SEED", "8123");
    const EnvironmentScope count("TROUPE_SEEDS", "50");
    EXPECT_EQ(seeds_run(1, 10), std::vector<std::uint64_t>{8123});
}

TEST_F(Explore, RunsAsManySeedsAsTheEnvironmentSays) {
    const EnvironmentScope count("TROUPE_SEEDS", "25");
    const std::vector<std::uint64_t> seeds = seeds_run(3, 10);
    EXPECT_EQ(seeds.size(), 25u);
    EXPECT_EQ(seeds.front(), 3u);
}

TEST_F(Explore, IgnoresAloudWhatIsNoNumber) {
    const EnvironmentScope seed("TROUPE_SEED", "12ab");
    testing::internal::CaptureStderr();
    const std::vector<std::uint64_t> seeds = seeds_run(1, 2);
    EXPECT_NE(testing::internal::GetCapturedStderr().find("TROUPE_SEED=12ab is not a number"),
              std::string::npos);
    EXPECT_EQ(seeds, (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(Explore, NamesTheSettingThatReplays) {
    EXPECT_EQ(replay_hint(8123), "TROUPE_SEED=8123");
    EXPECT_EQ(replay_hint(~std::uint64_t{0}), "TROUPE_SEED=18446744073709551615");
}

TEST_F(Explore, PrintsTheSeedWhenTheBodyThrows) {
    testing::internal::CaptureStderr();
    EXPECT_THROW(explore_seeds(1, 10,
                               [](Engine&, std::uint64_t seed) {
                                   if (seed == 4) throw std::runtime_error("found one");
                               }),
                 std::runtime_error);
    EXPECT_NE(testing::internal::GetCapturedStderr().find("TROUPE_SEED=4"), std::string::npos);
}

TEST_F(Explore, PrintsTheSeedWhenAnAssertionFails) {
    EXPECT_DEATH(explore_seeds(1, 10,
                               [](Engine&, std::uint64_t seed) {
                                   TROUPE_ASSERT(seed != 4, "this seed is planted to fail");
                               }),
                 "planted to fail(.|\n)*TROUPE_SEED=4");
}

TEST_F(Explore, WalksEveryScheduleDepthFirst) {
    std::set<std::uint64_t> seen;
    const Exploration walk = explore_depth_first(1000, 10, [&](Engine& engine) {
        const std::uint64_t first = engine.choose(3, ChoiceKind::fault, "test");
        const std::uint64_t second = engine.choose(first + 2, ChoiceKind::fault, "test");
        seen.insert(first * 10 + second);
    });
    EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 10, 11, 12, 20, 21, 22, 23}));
    EXPECT_EQ(walk.runs, 9u);
    EXPECT_EQ(walk.distinct, 9u);
    EXPECT_TRUE(walk.exhaustive);
}

TEST_F(Explore, SaysWhenAWalkWasNotExhaustive) {
    auto body = [](Engine& engine) {
        for (int i = 0; i < 4; ++i) {
            static_cast<void>(engine.choose(2, ChoiceKind::fault, "test"));
        }
    };
    EXPECT_FALSE(explore_depth_first(5, 10, body).exhaustive) << "too few runs";
    EXPECT_EQ(explore_depth_first(5, 10, body).runs, 5u);
    EXPECT_FALSE(explore_depth_first(100, 2, body).exhaustive) << "not deep enough";
    EXPECT_EQ(explore_depth_first(100, 2, body).runs, 4u);
    EXPECT_TRUE(explore_depth_first(16, 4, body).exhaustive);
}

// The draws' one seed is too wide to be walked: it is fixed, and the walk stays finite.
TEST_F(Explore, StaysFiniteWhenTheBodyDrawsRandomNumbers) {
    const Exploration walk = explore_depth_first(100, 10, [](Engine& engine) {
        for (int i = 0; i < 50; ++i)
            static_cast<void>(engine.random());
        static_cast<void>(engine.choose(2, ChoiceKind::fault, "test"));
    });
    EXPECT_EQ(walk.runs, 2u);
    EXPECT_TRUE(walk.exhaustive);
}

}  // namespace
}  // namespace troupe
