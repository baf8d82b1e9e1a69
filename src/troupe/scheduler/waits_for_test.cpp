#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/waits_for.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

using scheduler_internal::TestCell;

class TwoCells : public testing::Test {
protected:
    RandomChooser chooser{1};
    std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
    TestCell ann{*engine};
    TestCell bob{*engine};
};
using WaitsForTest = TwoCells;

TEST_F(WaitsForTest, SaysWhomACellWaitsForAndInWhichAwait) {
    WaitsFor& edge = WaitsFor::of(ann.cell());
    EXPECT_EQ(edge.get(), 0U);
    edge.set(WaitsFor::edge(bob.cell(), 7, false), nullptr);
    EXPECT_EQ(WaitsFor::target_of(edge.get()), &bob.cell());
    EXPECT_TRUE(WaitsFor::is_await(edge.get(), 7));
    EXPECT_FALSE(WaitsFor::is_await(edge.get(), 8));
    EXPECT_FALSE(WaitsFor::is_reentrant(edge.get()));
    EXPECT_EQ(WaitsFor::find(ann.cell()), &edge);
    edge.clear();
    EXPECT_FALSE(WaitsFor::is_await(edge.get(), 7));
}

TEST_F(WaitsForTest, IsRedirectedOnlyInTheAwaitThatWasSeen) {
    WaitsFor& edge = WaitsFor::of(ann.cell());
    edge.set(WaitsFor::edge(bob.cell(), 7, true), nullptr);
    const WaitsFor::Edge seen = edge.get();
    EXPECT_TRUE(edge.redirect(seen, &ann.cell()));
    EXPECT_EQ(WaitsFor::target_of(edge.get()), &ann.cell());
    EXPECT_TRUE(WaitsFor::is_await(edge.get(), 7));
    EXPECT_TRUE(WaitsFor::is_reentrant(edge.get()));
    EXPECT_FALSE(edge.redirect(seen, nullptr)) << "it was read before";

    edge.set(WaitsFor::edge(bob.cell(), 8, false), nullptr);
    EXPECT_FALSE(edge.redirect(seen, nullptr)) << "it belongs to an earlier await";
    EXPECT_TRUE(edge.redirect(edge.get(), nullptr));
    EXPECT_EQ(edge.get(), 0U);
}

}  // namespace
}  // namespace troupe
