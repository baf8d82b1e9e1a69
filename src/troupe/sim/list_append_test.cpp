#include <troupe/actor/actor.hpp>
#include <troupe/base/random.hpp>
#include <troupe/sim/list_append.hpp>
#include <troupe/sim/test.hpp>
#include <troupe/task/sync.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;
using Value = ListHistory::Value;
using Values = std::vector<Value>;
using Outcome = ListHistory::Outcome;

constexpr std::array kLevels = {Isolation::read_committed, Isolation::snapshot_isolation,
                                Isolation::serializable, Isolation::strict_serializable};

/// One line of a small history.
struct Does {
    bool is_append;
    const char* key;
    Values values;
};
Does appends(const char* key, Value value) {
    return {true, key, {value}};
}
Does reads(const char* key, Values seen) {
    return {false, key, std::move(seen)};
}
struct Did {
    std::vector<Does> operations;
    Outcome outcome = Outcome::committed;
};

void record(ListHistory& history, std::size_t transaction, const Did& did) {
    for (const Does& does : did.operations) {
        if (does.is_append) {
            history.append(transaction, does.key, does.values[0]);
        } else {
            history.read(transaction, does.key, does.values);
        }
    }
}
void finish(ListHistory& history, std::size_t transaction, Outcome outcome) {
    if (outcome == Outcome::committed) history.committed(transaction);
    if (outcome == Outcome::aborted) history.aborted(transaction);
}
/// All begin before the first ends, so that time says nothing about their order.
ListHistory at_once(const std::vector<Did>& all) {
    ListHistory history;
    for (std::size_t t = 0; t < all.size(); ++t)
        history.begin("client " + std::to_string(t));
    for (std::size_t t = 0; t < all.size(); ++t) {
        record(history, t, all[t]);
        finish(history, t, all[t].outcome);
    }
    return history;
}
ListHistory one_by_one(const std::vector<Did>& all) {
    ListHistory history;
    for (const Did& did : all) {
        const auto t = history.begin("client");
        record(history, t, did);
        finish(history, t, did.outcome);
    }
    return history;
}

/// The anomaly is found at this level and at those that allow less, and the others see nothing.
void expect_from(Isolation first, const ListHistory& history, Anomaly anomaly,
                 const std::string& why, std::size_t transactions) {
    for (const Isolation level : kLevels) {
        const ListVerdict verdict = check(history, level);
        EXPECT_TRUE(verdict.decided);
        EXPECT_EQ(verdict.holds, level < first) << verdict.why;
        if (level < first) continue;
        EXPECT_EQ(verdict.anomaly, anomaly) << verdict.why;
        EXPECT_EQ(verdict.transactions.size(), transactions);
        EXPECT_THAT(verdict.why, HasSubstr(name_of(anomaly)));
        EXPECT_THAT(verdict.why, HasSubstr(why));
    }
}
void expect_clean(const ListHistory& history) {
    const ListVerdict verdict = check(history, Isolation::strict_serializable);
    EXPECT_TRUE(verdict.holds) << verdict.why;
    EXPECT_EQ(verdict.why, "");
}

// ---- each anomaly, in the smallest history that has it ------------------------------------------

TEST(ListAppend, HasNothingToSayOfAnEmptyHistory) {
    expect_clean(ListHistory());
}

TEST(ListAppend, SaysThatAValueMustBeAppendedOnce) {
    expect_from(Isolation::read_committed, at_once({{{appends("x", 1)}}, {{appends("x", 1)}}}),
                Anomaly::value_not_unique,
                "1 is appended to x by T0 (client 0) and again by T1 (client 1)", 2);
    expect_clean(at_once({{{appends("x", 1)}}, {{appends("y", 1)}}}));
}

TEST(ListAppend, FindsAValueThatNobodyAppended) {
    expect_from(Isolation::read_committed, at_once({{{reads("x", {7})}}}),
                Anomaly::value_from_nowhere,
                "T0 (client 0) read x as [7], and nobody has appended 7", 1);
}

TEST(ListAppend, FindsAValueThatIsThereTwice) {
    expect_from(Isolation::read_committed, at_once({{{appends("x", 1)}}, {{reads("x", {1, 1})}}}),
                Anomaly::value_seen_twice,
                "T1 (client 1) read x as [1, 1], and 1 was appended once", 2);
}

TEST(ListAppend, FindsAnOwnAppendThatIsNotSeen) {
    expect_from(Isolation::read_committed, at_once({{{appends("x", 1), reads("x", {})}}}),
                Anomaly::internal, "T0 (client 0) appended [1] to x and then read it as []", 1);
}

TEST(ListAppend, FindsAReadThatIsNotRepeated) {
    expect_from(Isolation::snapshot_isolation,
                at_once({{{reads("x", {}), reads("x", {1})}}, {{appends("x", 1)}}}),
                Anomaly::internal, "T0 (client 0) read x as [] and then read it as [1]", 1);
    expect_clean(at_once({{{reads("x", {}), appends("x", 1), reads("x", {1})}}}));
}

TEST(ListAppend, FindsListsOfWhichNeitherIsTheBeginning) {
    expect_from(
        Isolation::read_committed,
        at_once(
            {{{appends("x", 1)}}, {{appends("x", 2)}}, {{reads("x", {1})}}, {{reads("x", {2})}}}),
        Anomaly::incompatible_orders, "T3 (client 3) read x as [2]", 2);
}

TEST(ListAppend, FindsAnAbortedRead) {
    expect_from(Isolation::read_committed,
                at_once({{{appends("x", 1)}, Outcome::aborted}, {{reads("x", {1})}}}),
                Anomaly::aborted_read, "T0 (client 0), which had appended 1, was aborted", 2);
}

TEST(ListAppend, FindsAppendsOfOneTransactionOutOfTurn) {
    const Did both{{appends("x", 1), appends("x", 2)}};
    for (const Values& seen : {Values{2, 1}, Values{2}}) {
        expect_from(Isolation::read_committed, at_once({both, {{reads("x", seen)}}}),
                    Anomaly::out_of_turn, "2 is not the next that T0 (client 0) appended to it", 2);
    }
}

TEST(ListAppend, FindsAnIntermediateRead) {
    expect_from(Isolation::read_committed,
                at_once({{{appends("x", 1), appends("x", 2)}}, {{reads("x", {1})}}}),
                Anomaly::intermediate_read, "T0 (client 0) appended more to it after 1", 2);
    expect_clean(
        at_once({{{appends("x", 1), reads("x", {1}), appends("x", 2)}}, {{reads("x", {1, 2})}}}));
}

TEST(ListAppend, FindsAWriteCycle) {
    expect_from(Isolation::read_committed,
                at_once({{{appends("x", 1), appends("y", 1)}},
                         {{appends("x", 2), appends("y", 2)}},
                         {{reads("x", {1, 2}), reads("y", {2, 1})}}}),
                Anomaly::write_cycle,
                "T0 (client 0) appended 1 to x before T1 (client 1) appended 2; "
                "T1 (client 1) appended 2 to y before T0 (client 0) appended 1",
                2);
}

TEST(ListAppend, FindsAWriteCycleThroughAnAppendThatNobodyRead) {
    // y is read up to 2 only, so 1 comes later.
    expect_from(Isolation::read_committed,
                at_once({{{appends("x", 1), appends("y", 1)}},
                         {{appends("x", 2), appends("y", 2)}},
                         {{reads("x", {1, 2}), reads("y", {2})}}}),
                Anomaly::write_cycle, "T1 (client 1) appended 2 to y before T0 (client 0)", 2);
}

TEST(ListAppend, FindsACircularFlow) {
    expect_from(
        Isolation::read_committed,
        at_once({{{appends("x", 1), reads("y", {2})}}, {{appends("y", 2), reads("x", {1})}}}),
        Anomaly::circular_flow,
        "two transactions that each come before the other: "
        "T0 (client 0) appended 1 to x, and T1 (client 1) read it; "
        "T1 (client 1) appended 2 to y, and T0 (client 0) read it",
        2);
}

TEST(ListAppend, FindsALostUpdateWhetherTheListIsReadOnOrNot) {
    const Did one{{reads("x", {}), appends("x", 1)}};
    const Did two{{reads("x", {}), appends("x", 2)}};
    const std::string why = "T0 (client 0) and T1 (client 1) both read x as [] and appended to it";
    expect_from(Isolation::snapshot_isolation, at_once({one, two}), Anomaly::lost_update, why, 2);
    expect_from(Isolation::snapshot_isolation, at_once({one, two, {{reads("x", {1, 2})}}}),
                Anomaly::lost_update, why, 2);
}

TEST(ListAppend, FindsAReadSkew) {
    expect_from(
        Isolation::snapshot_isolation,
        at_once({{{appends("x", 1), appends("y", 2)}}, {{reads("x", {1}), reads("y", {})}}}),
        Anomaly::read_skew,
        "T1 (client 1) read y as [], without the 2 of T0 (client 0); "
        "T0 (client 0) appended 1 to x, and T1 (client 1) read it",
        2);
}

TEST(ListAppend, FindsALongFork) {
    // Two readers see two writers in different orders, each without having to be out of date twice
    // in a row: what snapshots exclude, and no two transactions show.
    expect_from(Isolation::snapshot_isolation,
                at_once({{{appends("x", 1)}},
                         {{appends("y", 1)}},
                         {{reads("x", {1}), reads("y", {})}},
                         {{reads("x", {}), reads("y", {1})}}}),
                Anomaly::nonadjacent, "a cycle of 4 transactions", 4);
}

TEST(ListAppend, FindsAWriteSkew) {
    expect_from(Isolation::serializable,
                at_once({{{reads("x", {}), appends("y", 1)}}, {{reads("y", {}), appends("x", 2)}}}),
                Anomaly::write_skew,
                "T0 (client 0) read x as [], without the 2 of T1 (client 1); "
                "T1 (client 1) read y as [], without the 1 of T0 (client 0)",
                2);
}

TEST(ListAppend, FindsWhatIsOutOfDateByTheClock) {
    const std::vector<Did> all = {{{appends("x", 1)}}, {{reads("x", {})}}};
    expect_from(Isolation::strict_serializable, one_by_one(all), Anomaly::real_time,
                "T0 (client) had ended before T1 (client) began; "
                "T1 (client) read x as [], without the 1 of T0 (client)",
                2);
    expect_clean(at_once(all));
}

// ---- what counts --------------------------------------------------------------------------------

TEST(ListAppend, TakesWhatNobodyKnowsTheEndOfForDoneIfItWasSeen) {
    const Did unknown{{reads("y", {}), appends("x", 1)}, Outcome::unknown};
    expect_clean(one_by_one({unknown, {{reads("x", {})}}, {{reads("x", {1})}}}));
    // Its own reads count then: here they make a write skew.
    const Did other{{reads("x", {}), appends("y", 2)}};
    expect_clean(at_once({unknown, other}));
    expect_from(Isolation::serializable, at_once({unknown, other, {{reads("x", {1})}}}),
                Anomaly::write_skew, "T0 (client 0)", 2);
}

TEST(ListAppend, LetsAbortedTransactionsHaveSeenAnything) {
    expect_clean(at_once({{{appends("x", 1), reads("x", {5, 5})}, Outcome::aborted},
                          {{appends("x", 2)}},
                          {{reads("x", {2})}}}));
}

TEST(ListAppend, LetsAppendsThatNobodyReadComeInAnyOrder) {
    expect_clean(at_once({{{reads("x", {}), appends("x", 1)}},
                          {{appends("x", 2), appends("y", 1)}},
                          {{reads("y", {1}), appends("x", 3)}}}));
}

TEST(ListAppend, NamesTheShortestCycle) {
    // Three in a circle by p, q and r, and two of them by s and t.
    const ListHistory history =
        at_once({{{appends("p", 1), reads("r", {1}), appends("s", 1), reads("t", {1})}},
                 {{appends("q", 1), reads("p", {1})}},
                 {{appends("r", 1), reads("q", {1}), appends("t", 1), reads("s", {1})}}});
    const ListVerdict verdict = check(history, Isolation::read_committed);
    EXPECT_EQ(verdict.anomaly, Anomaly::circular_flow);
    EXPECT_THAT(verdict.transactions, UnorderedElementsAre(0, 2));
    const ListHistory circle = at_once({{{appends("p", 1), reads("r", {1})}},
                                        {{appends("q", 1), reads("p", {1})}},
                                        {{appends("r", 1), reads("q", {1})}}});
    EXPECT_THAT(check(circle, Isolation::read_committed).transactions, ElementsAre(0, 1, 2));
    EXPECT_THAT(check(circle, Isolation::read_committed).why,
                HasSubstr("a cycle of 3 transactions that each come before the next"));
}

TEST(ListAppend, ShowsTheEndOfALongList) {
    ListHistory history;
    Values all;
    const auto writer = history.begin("writer");
    for (Value value = 1; value <= 20; ++value) {
        history.append(writer, "x", value);
        all.push_back(value);
    }
    history.committed(writer);
    all.push_back(99);
    history.read(history.begin("reader"), "x", all);
    history.committed(1);
    EXPECT_THAT(check(history, Isolation::read_committed).why,
                HasSubstr("as […, 14, 15, 16, 17, 18, 19, 20, 99], and nobody"));
}

TEST(ListAppend, DoesNotJudgeAHistoryThatWasFull) {
    ListHistory history(3);
    const auto first = history.begin("client");
    history.append(first, "x", 1);
    history.read(first, "x", {1});
    history.committed(first);
    const auto second = history.begin("client");  // nothing of it is kept
    history.append(second, "x", 2);
    history.aborted(second);
    EXPECT_TRUE(history.full());
    EXPECT_EQ(history.transactions().size(), 1U);
    const ListVerdict verdict = check(history, Isolation::serializable);
    EXPECT_FALSE(verdict.holds);
    EXPECT_FALSE(verdict.decided);
    EXPECT_THAT(verdict.why, HasSubstr("entries_max"));
}

TEST(ListAppend, GrowsWithTheHistoryAndNotWithItsSquare) {
    // Each of 20000 reads precedes each of 20000 appends that nobody read, and all that had ended
    // precede all that began later: 600 million pairs.
    ListHistory history;
    constexpr Value kMany = 20'000;
    for (Value i = 0; i < kMany; ++i) {
        const auto t = history.begin("reader");
        history.read(t, "x", {});
        history.committed(t);
    }
    for (Value i = 0; i < kMany; ++i) {
        const auto t = history.begin("writer");
        history.append(t, "x", i);
        history.committed(t);
    }
    expect_clean(history);
    // A read at the end that saw none of them is out of date: two of them are told.
    history.read(history.begin("late"), "x", {});
    history.committed(2 * kMany);
    const ListVerdict verdict = check(history, Isolation::strict_serializable);
    EXPECT_EQ(verdict.anomaly, Anomaly::real_time);
    EXPECT_EQ(verdict.transactions.size(), 2U);
}

// ---- against an oracle --------------------------------------------------------------------------

constexpr std::array kKeys = {"x", "y", "z"};
using Lists = std::array<Values, kKeys.size()>;

/// Whether some order of the transactions that may have happened explains what they read.
class EveryOrder {
public:
    EveryOrder(const ListHistory& history, bool in_real_time)
        : history_(history), in_real_time_(in_real_time), done_(history.transactions().size()) {}

    bool explains(std::vector<Values> lists) {
        bool complete = true;
        for (std::size_t t = 0; t < done_.size(); ++t) {
            const ListHistory::Transaction& transaction = history_.transactions()[t];
            if (done_[t] || transaction.outcome == Outcome::aborted) continue;
            complete = complete && transaction.outcome == Outcome::unknown;
            if (in_real_time_ && comes_too_early(transaction)) continue;
            std::vector<Values> after = lists;
            if (!runs(transaction, after)) continue;
            done_[t] = true;
            const bool explained = explains(std::move(after));
            done_[t] = false;
            if (explained) return true;
        }
        return complete;
    }

private:
    bool comes_too_early(const ListHistory::Transaction& transaction) const {
        for (std::size_t t = 0; t < done_.size(); ++t) {
            const ListHistory::Transaction& other = history_.transactions()[t];
            if (!done_[t] && other.outcome == Outcome::committed && other.ended < transaction.began)
                return true;
        }
        return false;
    }
    static bool runs(const ListHistory::Transaction& transaction, std::vector<Values>& lists) {
        for (const ListHistory::Operation& operation : transaction.operations) {
            if (operation.is_append) {
                lists[operation.key].push_back(operation.value);
            } else if (lists[operation.key] != operation.seen) {
                return false;
            }
        }
        return true;
    }

    const ListHistory& history_;
    bool in_real_time_;
    std::vector<bool> done_;
};

/// What a history is, for the one who has to find out why a verdict is wrong.
std::string shown(const ListHistory& history) {
    std::string text;
    for (const ListHistory::Transaction& transaction : history.transactions()) {
        text +=
            "\n" + std::to_string(transaction.began) + " to " +
            (transaction.ended == ListHistory::kNever ? "?" : std::to_string(transaction.ended)) +
            (transaction.outcome == Outcome::aborted ? ", aborted:" : ":");
        for (const ListHistory::Operation& operation : transaction.operations) {
            text += " " + history.key_name(operation.key);
            text += operation.is_append ? " += " + std::to_string(operation.value)
                                        : " is " + testing::PrintToString(operation.seen);
        }
    }
    return text;
}

/// Up to five transactions over two keys that see beginnings of one order, most of them wrong.
ListHistory guessed(Random& random) {
    ListHistory history;
    const std::size_t size = 2 + random.below(4);
    struct Planned {
        Did did;
        std::size_t began;
    };
    // Values are 1, 2, ... in the order in which transactions append them, or rarely another.
    std::array<Values, 2> order;
    std::vector<std::vector<std::pair<std::size_t, Value>>> plans(size);  // 0: a read
    for (auto& plan : plans) {
        const std::size_t operations = 1 + random.below(3);
        for (std::size_t i = 0; i < operations; ++i) {
            const auto k = static_cast<std::size_t>(random.below(2));
            if (random.chance(0.5)) {
                plan.emplace_back(k, 0);
                continue;
            }
            const auto value = static_cast<Value>(order[k].size() + 1);
            const auto at = random.chance(0.2) ? random.below(order[k].size() + 1)
                                               : std::uint64_t{order[k].size()};
            order[k].insert(order[k].begin() + static_cast<std::ptrdiff_t>(at), value);
            plan.emplace_back(k, value);
        }
    }
    std::vector<std::size_t> running;
    std::size_t next = 0;
    while (next < size || !running.empty()) {
        if (next < size && (running.empty() || random.chance(0.6))) {
            running.push_back(history.begin("client"));
            std::array<Values, 2> own;
            std::array<std::size_t, 2> until{};
            for (std::size_t k = 0; k < 2; ++k)
                until[k] = static_cast<std::size_t>(random.below(order[k].size() + 1));
            for (const auto& [k, value] : plans[next]) {
                if (value != 0) {
                    history.append(next, kKeys[k], value);
                    own[k].push_back(value);
                    continue;
                }
                Values seen;
                for (std::size_t i = 0; i < until[k]; ++i) {
                    const Value one = order[k][i];
                    const bool is_own =
                        std::any_of(plans[next].begin(), plans[next].end(),
                                    [&](const auto& p) { return p.first == k && p.second == one; });
                    if (!is_own) seen.push_back(one);
                }
                seen.insert(seen.end(), own[k].begin(), own[k].end());
                if (random.chance(0.03) && !seen.empty()) seen.pop_back();
                history.read(next, kKeys[k], std::move(seen));
            }
            ++next;
            continue;
        }
        const auto which = static_cast<std::ptrdiff_t>(random.below(running.size()));
        const std::size_t t = running[static_cast<std::size_t>(which)];
        running.erase(running.begin() + which);
        const std::uint64_t end = random.below(10);
        if (end > 1) {
            history.committed(t);
        } else if (end == 1) {
            history.aborted(t);
        }
    }
    return history;
}

TEST(ListAppend, AgreesWithASearchThroughEveryOrder) {
    std::size_t explained = 0;
    std::size_t refused = 0;
    for (std::uint64_t seed = 0; seed < 4000; ++seed) {
        Random random(seed);
        const ListHistory history = guessed(random);
        bool holds_below = true;
        for (const Isolation level : kLevels) {
            const ListVerdict verdict = check(history, level);
            EXPECT_TRUE(holds_below || !verdict.holds) << "a stricter level allows more";
            holds_below = verdict.holds;
            if (level < Isolation::serializable) continue;
            const bool possible = EveryOrder(history, level == Isolation::strict_serializable)
                                      .explains(std::vector<Values>(history.keys()));
            ASSERT_EQ(verdict.holds, possible)
                << "seed " << seed << ": " << verdict.why << shown(history);
            ++(possible ? explained : refused);
        }
    }
    EXPECT_GT(explained, 500U);
    EXPECT_GT(refused, 500U);
}

// ---- histories that are clean by their making ---------------------------------------------------

/// Many clients of a store whose transactions take effect at one moment each, or, if it is of
/// snapshots, read at one moment and append at a later one, unless somebody else has appended to
/// the same keys in between.
ListHistory clients_of_a_store(Random& random, bool of_snapshots) {
    struct Running {
        std::size_t id;
        Lists seen;
        std::array<bool, kKeys.size()> writes{};
        std::vector<std::pair<std::size_t, Value>> appended;
        enum { begun, has_read, over } stage = begun;
    };
    ListHistory history;
    Lists lists;
    std::vector<Running> running;
    Value next = 1;
    const auto read = [&](Running& one) {
        one.seen = lists;
        const std::size_t operations = 1 + random.below(5);
        for (std::size_t i = 0; i < operations; ++i) {
            const auto k = static_cast<std::size_t>(random.below(kKeys.size()));
            if (random.chance(0.5)) {
                history.read(one.id, kKeys[k], one.seen[k]);
                continue;
            }
            history.append(one.id, kKeys[k], next);
            one.seen[k].push_back(next);
            one.appended.emplace_back(k, next++);
            one.writes[k] = true;
        }
        one.stage = Running::has_read;
    };
    const auto write = [&](Running& one) {
        one.stage = Running::over;
        for (std::size_t k = 0; k < kKeys.size(); ++k) {
            const auto own = std::count_if(one.appended.begin(), one.appended.end(),
                                           [&](const auto& a) { return a.first == k; });
            const auto was = static_cast<std::ptrdiff_t>(one.seen[k].size()) - own;
            if (own == 0 || was == static_cast<std::ptrdiff_t>(lists[k].size())) continue;
            history.aborted(one.id);
            return false;
        }
        if (random.chance(0.1)) {
            history.aborted(one.id);
            return false;
        }
        for (const auto& [k, value] : one.appended)
            lists[k].push_back(value);
        return true;
    };
    for (int step = 0; step < 400; ++step) {
        if (running.size() < 5 && random.chance(0.5)) {
            running.push_back({history.begin("client"), {}, {}, {}, Running::begun});
            continue;
        }
        if (running.empty()) continue;
        const auto which = static_cast<std::ptrdiff_t>(random.below(running.size()));
        Running& one = running[static_cast<std::size_t>(which)];
        bool goes_on = true;
        if (one.stage == Running::begun) {
            read(one);
            if (!of_snapshots) goes_on = write(one);
        } else if (one.stage == Running::has_read) {
            goes_on = write(one);
        } else {
            if (!random.chance(0.1)) history.committed(one.id);  // else the answer is lost
            goes_on = false;
        }
        if (!goes_on) running.erase(running.begin() + which);
    }
    return history;
}

TEST(ListAppend, FindsNothingWhereTransactionsTakeEffectOneAtATime) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Random random(seed);
        const ListHistory history = clients_of_a_store(random, false);
        ASSERT_GT(history.transactions().size(), 50U);
        for (const Isolation level : kLevels) {
            const ListVerdict verdict = check(history, level);
            ASSERT_TRUE(verdict.holds) << "seed " << seed << ": " << verdict.why;
        }
    }
}

TEST(ListAppend, FindsOfSnapshotsThatTheySkewWritesAndNothingWorse) {
    std::size_t skewed = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Random random(seed);
        const ListHistory history = clients_of_a_store(random, true);
        const ListVerdict snapshots = check(history, Isolation::snapshot_isolation);
        ASSERT_TRUE(snapshots.holds) << "seed " << seed << ": " << snapshots.why;
        const ListVerdict serial = check(history, Isolation::serializable);
        if (serial.holds) continue;
        ASSERT_EQ(serial.anomaly, Anomaly::write_skew) << "seed " << seed << ": " << serial.why;
        ++skewed;
    }
    EXPECT_GT(skewed, 50U);
}

// ---- in a simulation ----------------------------------------------------------------------------

struct Pair {
    Values x;
    Values y;
};
class Platter : public Actor {
public:
    void write() {}
};
/// A store that reads both lists and appends to one, under a lock that it holds until this is on
/// disk; the broken one reads first.
class Store : public Actor {
public:
    Store(Ref<Platter> disk, bool locks_first) : disk_(disk), locks_first_(locks_first) {}

    Task<Pair> read_and_append(bool to_x, Value value) {
        Pair seen = lists_;
        const auto held = co_await lock_.lock();
        if (!held) co_return seen;
        if (locks_first_) seen = lists_;
        ignore(co_await disk_.ask<&Platter::write>(), "a model");
        (to_x ? lists_.x : lists_.y).push_back(value);
        co_return seen;
    }

private:
    Ref<Platter> disk_;
    bool locks_first_;
    TaskMutex lock_;
    Pair lists_;
};
class Client : public Actor {
public:
    // The history is the test's; all clients write into it, on the simulation's one thread.
    Task<> run(Ref<Store> store, std::shared_ptr<ListHistory> history, bool to_x, Value value) {
        const auto t = history->begin(to_x ? "of x" : "of y");
        const auto seen = co_await store.ask<&Store::read_and_append>(to_x, value);
        if (!seen) co_return;
        history->read(t, "x", seen->x);
        history->read(t, "y", seen->y);
        history->append(t, to_x ? "x" : "y", value);
        history->committed(t);
    }
};

template <bool kLocksFirst, bool kSameList>
void two_clients(Sim& sim) {
    auto history = std::make_shared<ListHistory>();
    auto store = sim.spawn<Store>(options().interleaving(), sim.spawn<Platter>(), kLocksFirst);
    sim.spawn<Client>().tell<&Client::run>(store, history, true, 1);
    sim.spawn<Client>().tell<&Client::run>(store, history, kSameList, 2);
    sim.settle();
    sim.spawn<Client>().tell<&Client::run>(store, history, true, 3);
    sim.settle();
    const ListVerdict verdict = check(*history, Isolation::strict_serializable);
    if (!verdict.holds) sim.fail(verdict.why);
}

TEST(ListAppendInSim, FindsAStoreThatReadsBeforeItLocks) {
    const Explored skew = explore({"Store.Skew", &two_clients<false, false>, {}}, {.runs = 500});
    ASSERT_TRUE(skew.found);
    EXPECT_THAT(skew.found->text, HasSubstr("G2 (write skew): two transactions"));
    const Explored lost = explore({"Store.Lost", &two_clients<false, true>, {}}, {.runs = 500});
    ASSERT_TRUE(lost.found);
    EXPECT_THAT(lost.found->text, HasSubstr("lost update: T"));
}

TROUPE_SIM_TEST(ListAppendOfAStore, ThatLocksFirstIsStrictlySerializable) {
    two_clients<true, false>(sim);
}
TROUPE_SIM_TEST(ListAppendOfAStore, ThatLocksFirstLosesNoUpdate) {
    two_clients<true, true>(sim);
}

}  // namespace
}  // namespace troupe::sim
