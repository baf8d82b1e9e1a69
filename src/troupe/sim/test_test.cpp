// Goal: a failing test says how it is replayed, and the replay fails alike. Method: planted
// failures, explored through the functions that TROUPE_SIM_TEST calls.

#include <troupe/actor/actor.hpp>
#include <troupe/sim/internal/test_settings.hpp>
#include <troupe/sim/shrink.hpp>
#include <troupe/sim/story.hpp>
#include <troupe/sim/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

class Account : public Actor {
public:
    int balance() const { return balance_; }
    void set(int balance) { balance_ = balance; }
    void deposit(int amount) { balance_ += amount; }

private:
    int balance_ = 0;
};

/// The planted bug: what it has read may be out of date when it writes.
class Client : public Actor {
public:
    Task<> pay_in(Ref<Account> account) {
        const auto before = co_await account.ask<&Account::balance>();
        ignore(co_await account.ask<&Account::set>(*before + 10), "a test");
    }
    Task<> deposit(Ref<Account> account) {
        ignore(co_await account.ask<&Account::deposit>(10), "a test");
    }
};

template <auto Method>
void two_clients(Sim& sim) {
    auto account = sim.spawn<Account>();
    sim.spawn<Client>().tell<Method>(account);
    sim.spawn<Client>().tell<Method>(account);
    sim.settle();
    if (*sim.run(account.ask<&Account::balance>()) != 20) sim.fail("money was lost");
}

const sim::TestCase kLosing{"Bank.Loses", &two_clients<&Client::pay_in>, {}};
const sim::TestCase kKeeping{"Bank.Keeps", &two_clients<&Client::deposit>, {}};

sim::ExploreOptions only(sim::Search search, std::size_t runs = 300) {
    sim::ExploreOptions options;
    options.searches = {search};
    options.runs = runs;
    return options;
}

class EverySearch : public testing::TestWithParam<sim::Search> {};

TEST_P(EverySearch, FindsALostUpdate) {
    const sim::Explored explored = sim::explore(kLosing, only(GetParam()));
    ASSERT_TRUE(explored.found) << explored.runs << " runs";
    EXPECT_EQ(explored.found->text, "money was lost");
    EXPECT_EQ(explored.found->search, GetParam());

    const sim::Replayed again =
        sim::replay_apart(kLosing, *sim::trace_from(sim::to_text(explored.found->trace)), false);
    EXPECT_EQ(again.text, "money was lost");
    EXPECT_EQ(again.result.hash, explored.found->hash) << "the same events, in another process";
}

TEST_P(EverySearch, FindsNothingWhereNothingIs) {
    const sim::Explored explored = sim::explore(kKeeping, only(GetParam()));
    EXPECT_FALSE(explored.found) << explored.found->text;
    EXPECT_GT(explored.runs, 0U);
    EXPECT_GT(explored.steps, 0U);
}

INSTANTIATE_TEST_SUITE_P(Search, EverySearch, testing::ValuesIn(sim::kAllSearches),
                         [](const testing::TestParamInfo<sim::Search>& search) {
                             std::string text(sim::name(search.param));
                             std::erase(text, '-');
                             return text;
                         });

TEST(Dpor, RunsFewOfTheSchedulesThatABoundedWalkRuns) {
    const auto count = [](sim::Search search) {
        const sim::Explored explored = sim::explore(kKeeping, only(search, 1'000'000));
        EXPECT_TRUE(explored.exhaustive) << sim::name(search);
        return explored.runs;
    };
    const std::size_t all = count(sim::Search::bounded);
    const std::size_t reduced = count(sim::Search::dpor);
    std::printf("bounded: %zu runs, dpor: %zu\n", all, reduced);
    EXPECT_LT(reduced * 10, all);
}

TEST(Explore, TakesACrashForAFailureThatCanBeReplayed) {
    const sim::TestCase crashing{"A.Crash",
                                 [](Sim& sim) {
                                     if (sim.choose(20, "test_test") == 7) std::raise(SIGSEGV);
                                 },
                                 {}};
    const sim::Explored explored = sim::explore(crashing, only(sim::Search::random));
    ASSERT_TRUE(explored.found);
    EXPECT_TRUE(explored.found->crashed);
    EXPECT_THAT(explored.found->text, HasSubstr("the process "));
    EXPECT_TRUE(sim::replay_apart(crashing, explored.found->trace, false).crashed);
}

TEST(Explore, TellsSchedulesApartAndStopsInTime) {
    sim::ExploreOptions options;
    options.runs = 60;
    const sim::Explored few = sim::explore(kKeeping, options);
    EXPECT_GT(few.distinct, 10U);
    EXPECT_LE(few.distinct, few.runs);
    options.runs = 100'000'000;
    options.budget = 200ms;
    EXPECT_LT(sim::explore(kKeeping, options).runs, options.runs);
}

TEST(Shrink, LeavesWhatTheFailureNeeds) {
    const sim::Explored explored = sim::explore(kLosing, only(sim::Search::random));
    ASSERT_TRUE(explored.found);
    const sim::Shrunk shrunk = sim::shrink(kLosing, explored.found->trace);
    EXPECT_EQ(shrunk.replayed.text, "money was lost");
    EXPECT_LE(sim::departures(shrunk.trace), 2U) << sim::to_text(shrunk.trace);
    const sim::Replayed again =
        sim::replay_apart(kLosing, *sim::trace_from(sim::to_text(shrunk.trace)), false);
    EXPECT_EQ(again.text, "money was lost");
    EXPECT_EQ(again.result.hash, shrunk.replayed.result.hash);
}

TEST(Story, TellsWhoToldWhomWhat) {
    const sim::Explored explored = sim::explore(kLosing, only(sim::Search::random));
    ASSERT_TRUE(explored.found);
    sim::Replayer replayer(explored.found->trace);
    sim::History history;
    sim::RunOptions options;
    options.observer = &history;
    sim::run_once(kLosing, replayer, options);
    const std::string text = sim::story(history);
    EXPECT_THAT(text, AllOf(HasSubstr("-> Account#"), HasSubstr("Account::set"),
                            HasSubstr("Client::pay_in")));
    EXPECT_THAT(sim::mermaid(history),
                AllOf(HasSubstr("sequenceDiagram"), HasSubstr("->>"), HasSubstr("Account::set")));
}

std::vector<std::string> reports_of(const sim::TestCase& test) {
    const sim_internal::NothingAsked nothing;
    std::vector<std::string> reports;
    sim::run_test(test, [&](const std::string& text) { reports.push_back(text); });
    return reports;
}

TEST(RunTest, ReportsAFailureWithTheLineThatReplaysIt) {
    const std::vector<std::string> reports = reports_of(kLosing);
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_THAT(reports[0],
                AllOf(HasSubstr("money was lost"), HasSubstr("seed"), HasSubstr("at step"),
                      HasSubstr("virtual time"),
                      HasSubstr("--gtest_filter=Bank.Loses --replay t1:"), HasSubstr("the story")));
    EXPECT_TRUE(reports_of(kKeeping).empty());
}

TEST(RunTest, ReportsWhatNoRunHasMet) {
    const auto meets = [](bool met) {
        return sim::TestCase{"A.Promise",
                             [met](Sim& sim) {
                                 sim.must_reach("the end of the world");
                                 sim::sometimes(sim.choose(3, "test_test") == 2, "a third");
                                 if (met) sim::reachable("the end of the world");
                             },
                             {}};
    };
    EXPECT_TRUE(reports_of(meets(true)).empty());
    const std::vector<std::string> reports = reports_of(meets(false));
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_THAT(reports[0], HasSubstr("the end of the world"));
}

TROUPE_SIM_TEST(SimTest, RunsAnOrdinaryFunctionInWhichAssertionsWork) {
    auto account = sim.spawn<Account>();
    account.tell<&Account::deposit>(5);
    const auto balance = sim.run(account.ask<&Account::balance>());
    ASSERT_TRUE(balance);
    EXPECT_EQ(*balance, 5);
}

}  // namespace
}  // namespace troupe
