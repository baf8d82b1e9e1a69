#include <troupe/base/random.hpp>

#include <gtest/gtest.h>

#include <set>

namespace troupe {
namespace {

// The values are those of the published algorithm; they must never change, or no recorded run could
// be replayed.
TEST(Random, GivesTheSameNumbersForASeedForEver) {
    Random random(42);
    EXPECT_EQ(random.next(), 1546998764402558742u);
    EXPECT_EQ(random.next(), 6990951692964543102u);
    EXPECT_EQ(random.next(), 12544586762248559009u);
}

TEST(Random, IsAConstantOfItsSeed) {
    static_assert([] {
        Random random(7);
        return random.below(10) < 10 && random.real() < 1.0;
    }());
}

TEST(Random, GivesOtherNumbersForTheNextSeed) {
    std::set<std::uint64_t> seen;
    for (std::uint64_t seed = 0; seed < 1000; ++seed)
        seen.insert(Random(seed).next());
    EXPECT_EQ(seen.size(), 1000u);
}

TEST(Random, DrawsEachNumberBelowEquallyOften) {
    constexpr int kDraws = 60000;
    int counts[6] = {};
    Random random(1);
    for (int i = 0; i < kDraws; ++i)
        ++counts[random.below(6)];
    for (int count : counts)
        EXPECT_NEAR(count, kDraws / 6, 400);  // four standard deviations
}

TEST(Random, StaysBelowEvenWhenTheRangeIsUneven) {
    Random random(2);
    constexpr std::uint64_t kMost = (std::uint64_t{1} << 63) + 1;  // half of all tries are unfair
    std::uint64_t high = 0;
    for (int i = 0; i < 10000; ++i) {
        std::uint64_t drawn = random.below(kMost);
        ASSERT_LT(drawn, kMost);
        high += drawn > kMost / 2;
        ASSERT_EQ(random.below(1), 0u);
    }
    EXPECT_NEAR(static_cast<double>(high), 5000, 250);
}

TEST(Random, DrawsBetweenTheEndsBothIncluded) {
    Random random(3);
    std::set<std::int64_t> seen;
    for (int i = 0; i < 1000; ++i)
        seen.insert(random.between(-2, 2));
    EXPECT_EQ(seen, (std::set<std::int64_t>{-2, -1, 0, 1, 2}));
    EXPECT_EQ(random.between(5, 5), 5);
    random.between(INT64_MIN, INT64_MAX);
}

TEST(Random, TakesChancesOfNeverAndAlwaysLiterally) {
    Random random(4);
    int hits = 0;
    for (int i = 0; i < 10000; ++i) {
        ASSERT_FALSE(random.chance(0));
        ASSERT_TRUE(random.chance(1));
        hits += random.chance(0.25);
    }
    EXPECT_NEAR(hits, 2500, 200);
}

TEST(Random, KeepsRealsBelowOne) {
    Random random(5);
    double sum = 0;
    for (int i = 0; i < 10000; ++i) {
        double drawn = random.real();
        ASSERT_GE(drawn, 0.0);
        ASSERT_LT(drawn, 1.0);
        sum += drawn;
    }
    EXPECT_NEAR(sum / 10000, 0.5, 0.02);
}

TEST(Random, ForksIntoUnrelatedGenerators) {
    Random random(6);
    Random fork = random.fork();
    for (int i = 0; i < 100; ++i)
        EXPECT_NE(random.next(), fork.next());
    EXPECT_EQ(Random(6).fork().next(), Random(6).fork().next());
}

TEST(Random, AsksTheMachineForSeedsThatDiffer) {
    EXPECT_NE(machine_seed(), machine_seed());
}

TEST(RandomDeathTest, RefusesAnEmptyRange) {
    Random random(1);
    EXPECT_DEATH(random.below(0), "no number below 0");
    EXPECT_DEATH(random.between(2, 1), "from the least to the most");
}

}  // namespace
}  // namespace troupe
