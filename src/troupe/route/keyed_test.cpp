#include <troupe/route/internal/test_workers.hpp>
#include <troupe/route/keyed.hpp>
#include <troupe/route/pool.hpp>
#include <troupe/task/task_group.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

// Named: GCC 12 warns of coroutines of a header that are made for a class of an unnamed one.
namespace keyed_test {

constexpr int kKeys = 3;

/// Written by the jobs of one key, one after the other.
struct Ledger {
    std::array<std::vector<int>, kKeys> entries;
    std::array<std::atomic<int>, kKeys> inside{};
    std::atomic<int> overlaps{0};
    std::atomic<int> running{0};
    std::atomic<int> running_most{0};
};
using Book = std::shared_ptr<Ledger>;

inline Task<> write_down(Book book, int key, int number) {
    const auto k = static_cast<std::size_t>(key);
    if (book->inside[k].fetch_add(1) != 0) book->overlaps.fetch_add(1);
    const int running = book->running.fetch_add(1) + 1;
    int most = book->running_most.load();
    while (running > most && !book->running_most.compare_exchange_weak(most, running)) {
    }
    co_await yield();  // others may come in between
    book->entries[k].push_back(number);
    book->running.fetch_sub(1);
    book->inside[k].fetch_sub(1);
}

/// A worker that looks whether calls of one key come one at a time, whoever gets them.
class Teller : public Actor {
public:
    explicit Teller(Book book) : book_(std::move(book)) {}
    Task<int> count(int key, int number) {
        co_await write_down(book_, key, number);
        co_return number;
    }

private:
    Book book_;
};

}  // namespace keyed_test

namespace {

using namespace std::chrono_literals;
using actor_internal::Gate;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using keyed_test::Book;
using keyed_test::kKeys;
using keyed_test::Ledger;
using keyed_test::Teller;
using keyed_test::write_down;

constexpr std::size_t kSeeds = 30;
Result<void> wait_until_idle(OwnedSystem& system, const KeyedExecutor& executor) {
    return system->block_on([](KeyedExecutor whose) -> Task<Result<void>> {
        co_return co_await whose.drained();
    }(executor));
}

TEST(KeyedExecutor, RunsJobsOfOneKeyOneAfterTheOtherInTheOrderTheyCame) {
    on_both_engines(
        [](OwnedSystem& system) {
            const KeyedExecutor executor(*system);
            const auto book = std::make_shared<Ledger>();
            for (int i = 0; i < 20; ++i) {
                for (int key = 0; key < kKeys; ++key)
                    ASSERT_EQ(executor.submit(key, write_down, book, key, i), SendStatus::sent);
            }
            ASSERT_TRUE(wait_until_idle(system, executor).has_value());
            EXPECT_EQ(book->overlaps.load(), 0);
            for (const auto& entries : book->entries) {
                ASSERT_EQ(entries.size(), 20U);
                EXPECT_TRUE(std::ranges::is_sorted(entries));
            }
        },
        kSeeds);
}

TEST(KeyedExecutor, RunsJobsOfDifferentKeysAtTheSameTime) {
    on_both_engines(
        [](OwnedSystem& system) {
            const KeyedExecutor executor(*system);
            const auto gate = std::make_shared<Gate>();
            const auto hold = [](std::shared_ptr<Gate> at) -> Task<> { co_await at->pass(); };
            ASSERT_EQ(executor.submit("ann", hold, gate), SendStatus::sent);
            ASSERT_EQ(executor.submit("ann", hold, gate), SendStatus::sent);
            gate->wait_until_reached(system);
            const auto other = system->block_on(
                executor.run("bob", [](int n) -> Task<int> { co_return n + 1; }, 6));
            EXPECT_EQ(other, 7);
            const KeyedInfo info = executor.info();
            EXPECT_EQ(info.keys, 1U);
            EXPECT_EQ(info.running, 1U);
            EXPECT_EQ(info.waiting, 1U);
            gate->open();
            ASSERT_TRUE(wait_until_idle(system, executor).has_value());
            EXPECT_EQ(executor.info().keys, 0U) << "a key that has nothing to do is not known";
            EXPECT_EQ(executor.info().ended, 3U);
        },
        kSeeds);
}

TEST(KeyedExecutor, RunsNoMoreAtATimeThanItMay) {
    on_both_engines(
        [](OwnedSystem& system) {
            const KeyedExecutor executor(*system, keyed().parallel(2));
            const auto book = std::make_shared<Ledger>();
            for (int i = 0; i < 30; ++i) {
                for (int key = 0; key < kKeys; ++key)
                    ASSERT_EQ(executor.submit(key, write_down, book, key, i), SendStatus::sent);
            }
            ASSERT_TRUE(wait_until_idle(system, executor).has_value());
            EXPECT_LE(book->running_most.load(), 2);
            EXPECT_EQ(book->overlaps.load(), 0);
        },
        kSeeds);
}

TEST(KeyedExecutor, RefusesWhatIsTooMuch) {
    on_both_engines(
        [](OwnedSystem& system) {
            const KeyedExecutor executor(*system, keyed().capacity(2));
            const auto gate = std::make_shared<Gate>();
            const auto hold = [](std::shared_ptr<Gate> at) -> Task<> { co_await at->pass(); };
            ASSERT_EQ(executor.submit(1, hold, gate), SendStatus::sent);
            ASSERT_EQ(executor.submit(1, hold, gate), SendStatus::sent);
            EXPECT_EQ(executor.submit(2, hold, gate), SendStatus::full);
            const auto refused = system->block_on(executor.run(2, hold, gate));
            ASSERT_FALSE(refused.has_value());
            EXPECT_EQ(refused.error(), RouteErrc::no_room);
            gate->wait_until_reached(system);
            gate->open();
            ASSERT_TRUE(wait_until_idle(system, executor).has_value());
            EXPECT_EQ(executor.submit(2, hold, gate), SendStatus::sent);
            ASSERT_TRUE(wait_until_idle(system, executor).has_value());
        },
        kSeeds);
}

/// Hears of jobs that have failed.
class Listener : public Actor {
public:
    void failed(Error why) { texts_.push_back(why.text()); }
    std::vector<std::string> texts() const { return texts_; }

private:
    std::vector<std::string> texts_;
};

TEST(KeyedExecutor, AJobThatFailsStopsNoOther) {
    on_both_engines(
        [](OwnedSystem& system) {
            const KeyedExecutor executor(*system);
            const auto listener = system->spawn<Listener>();
            executor.on_failure<&Listener::failed>(listener);
            const auto book = std::make_shared<Ledger>();
            const auto fail = [](bool by_throwing) -> Task<Result<int>> {
                if (by_throwing) throw std::runtime_error("thrown");
                co_return error(Errc::not_found, "returned");
            };
            ASSERT_EQ(executor.submit(0, fail, true), SendStatus::sent);
            ASSERT_EQ(executor.submit(0, fail, false), SendStatus::sent);
            ASSERT_EQ(executor.submit(0, write_down, book, 0, 1), SendStatus::sent);
            ASSERT_EQ(executor.submit(1, write_down, book, 1, 2), SendStatus::sent);
            ASSERT_TRUE(wait_until_idle(system, executor).has_value());
            EXPECT_EQ(book->entries[0].size() + book->entries[1].size(), 2U);
            EXPECT_EQ(executor.info().failed, 2U);
            const auto texts = system->block_on(listener.ask<&Listener::texts>());
            ASSERT_TRUE(texts.has_value());
            ASSERT_EQ(texts->size(), 2U);
            EXPECT_NE((*texts)[0].find("thrown"), std::string::npos) << (*texts)[0];
            EXPECT_NE((*texts)[1].find("returned"), std::string::npos) << (*texts)[1];
            // What `run` fails with is its caller's.
            const auto mine = system->block_on(executor.run(0, fail, false));
            ASSERT_FALSE(mine.has_value());
            EXPECT_EQ(mine.error(), Errc::not_found);
            EXPECT_EQ(executor.info().failed, 2U);
            EXPECT_EQ(system->crashes(), 0U);
        },
        kSeeds);
}

TEST(KeyedExecutor, AWaitForATurnEndsWithItsDeadlineAndLeavesTheLine) {
    on_both_engines(
        [](OwnedSystem& system) {
            const KeyedExecutor executor(*system);
            const auto gate = std::make_shared<Gate>();
            const auto hold = [](std::shared_ptr<Gate> at) -> Task<> { co_await at->pass(); };
            ASSERT_EQ(executor.submit(1, hold, gate), SendStatus::sent);
            gate->wait_until_reached(system);
            const auto too_late = [](KeyedExecutor whose) -> Task<Result<void>> {
                auto wait = [whose]() -> Task<Result<void>> {
                    return whose.run(1, []() -> Task<> { co_return; });
                };
                co_return co_await within(1ms, wait);
            };
            const auto late = system->block_on(too_late(executor));
            ASSERT_FALSE(late.has_value());
            EXPECT_EQ(late.error(), Errc::timed_out);
            EXPECT_EQ(executor.info().waiting, 0U);
            gate->open();
            ASSERT_TRUE(wait_until_idle(system, executor).has_value());
        },
        kSeeds);
}

TEST(KeyedExecutor, AsksTheWorkersOfAPoolOneCallOfAKeyAtATime) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto book = std::make_shared<Ledger>();
            const auto tellers = pool<Teller>(pool_options().workers(3), book);
            ASSERT_TRUE(system->block_on(tellers.start(*system)).has_value());
            const KeyedExecutor executor(*system);
            const auto ask_all = [](KeyedExecutor by, Router<Teller> whom) -> Task<Result<int>> {
                auto group = task_group<int>(all_successful());
                for (int i = 0; i < 10; ++i) {
                    for (int key = 0; key < kKeys; ++key) {
                        group.add(
                            [](KeyedExecutor through, Router<Teller> workers, int k,
                               int number) -> Task<Result<int>> {
                                co_return co_await through.ask<&Teller::count>(workers, k, k,
                                                                               number);
                            },
                            by, whom, key, i);
                    }
                }
                const auto all = co_await or_return(co_await group.run());
                co_return static_cast<int>(all.size());
            };
            EXPECT_EQ(system->block_on(ask_all(executor, tellers.router())), 10 * kKeys);
            EXPECT_EQ(book->overlaps.load(), 0);
            ASSERT_TRUE(system->block_on(tellers.stop()).has_value());
        },
        kSeeds);
}

/// An actor with an executor of its own.
class Owner : public Actor {
public:
    Owner() : executor_(*this) {}
    KeyedExecutor executor() const { return executor_; }

private:
    KeyedExecutor executor_;
};

TEST(KeyedExecutor, EndsWithItsOwnerAndThoseWhoWaitHearOfIt) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto owner = system->spawn<Owner>();
            const auto executor = *system->block_on(owner.ask<&Owner::executor>());
            const auto wait_for_turn = [](KeyedExecutor whose,
                                          Ref<Owner> ends) -> Task<Result<void>> {
                auto outer = [](KeyedExecutor in, Ref<Owner> who) -> Task<Result<void>> {
                    // Its own turn never comes: this one has the key.
                    who.stop();
                    co_return co_await in.run(1, []() -> Task<> { co_return; });
                };
                co_return co_await whose.run(1, outer, whose, ends);
            };
            const auto waited = system->block_on(wait_for_turn(executor, owner));
            ASSERT_FALSE(waited.has_value());
            EXPECT_EQ(waited.error(), Errc::closed);
            EXPECT_EQ(executor.submit(2, []() -> Task<> { co_return; }), SendStatus::gone);
        },
        kSeeds);
}

/// One of three who want the same key is cancelled at some moment: the others get their turns.
TEST(KeyedExecutorEverySchedule, OneThatIsCancelledPassesItsTurnOn) {
    on_all_schedules(20'000, [](OwnedSystem& system) {
        const KeyedExecutor executor(*system, keyed().parallel(1));
        const auto race_them = [](KeyedExecutor by) -> Task<int> {
            auto group = task_group<int>(all_settled());
            const auto want = [](KeyedExecutor whose, int n) -> Task<Result<int>> {
                co_return co_await whose.run(1, [](int got) -> Task<int> { co_return got; }, n);
            };
            group.add(want, by, 1);
            auto child = group.add(want, by, 2);
            group.add(
                [](GroupChild other) -> Task<int> {
                    other.cancel();
                    co_return 0;
                },
                child);
            const auto all = co_await group.run();
            co_return all[0].value_or(-1);
        };
        EXPECT_EQ(system->block_on(race_them(executor)), 1);
        const KeyedInfo info = executor.info();
        EXPECT_EQ(info.keys, 0U);
        EXPECT_EQ(info.running, 0U);
        EXPECT_EQ(info.waiting, 0U);
    });
}

}  // namespace
}  // namespace troupe
