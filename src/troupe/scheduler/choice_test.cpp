#include <troupe/scheduler/choice.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace troupe {
namespace {

std::uint64_t ask(Chooser& chooser, std::uint64_t n) {
    return chooser.choose(n, ChoiceKind::next_runnable, "test");
}

/// A lop-sided tree: a node's answer decides how wide the next question is.
std::string walk_once(Chooser& chooser) {
    std::string path;
    std::uint64_t width = 3;
    while (width >= 2 && path.size() < 5) {
        const std::uint64_t answer = ask(chooser, width);
        EXPECT_LT(answer, width);
        path += static_cast<char>('0' + answer);
        width = answer == 0 ? 1 : answer + 1;
    }
    return path;
}

/// The same tree without a chooser: every path from its root to a leaf.
void list_leaves(const std::string& path, std::uint64_t width, std::set<std::string>& leaves) {
    if (width < 2 || path.size() == 5) {
        leaves.insert(path);
        return;
    }
    for (std::uint64_t answer = 0; answer < width; ++answer) {
        list_leaves(path + static_cast<char>('0' + answer), answer == 0 ? 1 : answer + 1, leaves);
    }
}

TEST(DepthFirstChooser, WalksEveryLeafExactlyOnce) {
    std::set<std::string> expected;
    list_leaves("", 3, expected);
    ASSERT_GT(expected.size(), 20u);

    DepthFirstChooser chooser;
    std::vector<std::string> walked;
    do {
        walked.push_back(walk_once(chooser));
    } while (chooser.next_run());
    EXPECT_EQ(std::set<std::string>(walked.begin(), walked.end()), expected);
    EXPECT_EQ(walked.size(), expected.size());
    EXPECT_FALSE(chooser.cut());
}

TEST(DepthFirstChooser, EndsAfterOneRunWithoutChoices) {
    DepthFirstChooser chooser;
    EXPECT_FALSE(chooser.next_run());
}

TEST(DepthFirstChooser, TakesTheFirstAlternativeBelowItsDepth) {
    DepthFirstChooser chooser(2);
    std::size_t runs = 0;
    do {
        static_cast<void>(ask(chooser, 3));
        static_cast<void>(ask(chooser, 2));
        EXPECT_EQ(ask(chooser, 5), 0u);
        EXPECT_EQ(ask(chooser, 7), 0u);
        ++runs;
    } while (chooser.next_run());
    EXPECT_EQ(runs, 6u);
    EXPECT_TRUE(chooser.cut());
}

TEST(DepthFirstChooser, DoesNotExploreWideDraws) {
    DepthFirstChooser chooser;
    std::size_t runs = 0;
    do {
        EXPECT_EQ(chooser.choose(std::uint64_t{1} << 32, ChoiceKind::random_draw, "test"), 0u);
        EXPECT_EQ(ask(chooser, DepthFirstChooser::kWidthMax + 1), 0u);
        static_cast<void>(ask(chooser, DepthFirstChooser::kWidthMax));
        ++runs;
    } while (chooser.next_run());
    EXPECT_EQ(runs, DepthFirstChooser::kWidthMax);
    EXPECT_FALSE(chooser.cut()) << "a wide draw is no missing depth";
}

TEST(DepthFirstChooserDeathTest, FindsARunThatDependsOnMoreThanItsChoices) {
    DepthFirstChooser chooser;
    static_cast<void>(ask(chooser, 3));
    ASSERT_TRUE(chooser.next_run());
    EXPECT_DEATH(static_cast<void>(ask(chooser, 4)), "depends on more than the engine's choices");
    EXPECT_DEATH(static_cast<void>(chooser.next_run()),
                 "depends on more than the engine's choices");
}

TEST(RandomChooser, RepeatsItselfForASeed) {
    RandomChooser first(42);
    RandomChooser second(42);
    RandomChooser other(43);
    bool differs = false;
    for (std::uint64_t n = 2; n < 200; ++n) {
        const std::uint64_t answer = ask(first, n);
        ASSERT_LT(answer, n);
        ASSERT_EQ(answer, ask(second, n));
        differs = differs || answer != ask(other, n);
    }
    EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace troupe
