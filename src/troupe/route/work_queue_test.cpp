#include <troupe/route/internal/test_workers.hpp>
#include <troupe/route/work_queue.hpp>
#include <troupe/task/race.hpp>
#include <troupe/task/task_group.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::EndWatch;
using actor_internal::Gate;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;

constexpr std::size_t kSeeds = 30;

using Jobs = WorkQueue<int>;

/// Pulls whenever it is told to, and holds what it has until it is told what to do with it.
class Puller : public Actor {
public:
    explicit Puller(Jobs jobs) : jobs_(std::move(jobs)) {}

    Task<Result<int>> take() {
        auto work = co_await jobs_.pull();
        if (!work) co_return std::unexpected(work.error());
        const int value = **work;
        held_.push_back(std::move(*work));
        co_return value;
    }
    Result<void> acknowledge() {
        Result<void> done = held_.front().done();
        held_.erase(held_.begin());
        return done;
    }
    void refuse(std::string why) {
        held_.front().fail(Error(Errc::failed, std::move(why)));
        held_.erase(held_.begin());
    }
    bool renew() { return held_.front().renew(); }
    unsigned attempt() const { return held_.front().attempt(); }
    void forget() { held_.clear(); }
    void die() { throw std::runtime_error("dropped it"); }
    /// Has the work in its frame while it waits.
    Task<> work_at(std::shared_ptr<Gate> gate) {
        auto work = co_await jobs_.pull();
        if (!work) co_return;
        co_await gate->pass();
        ignore(work->done(), "the test looks at the queue");
    }

private:
    Jobs jobs_;
    std::vector<Work<int>> held_;
};

int taken_by(OwnedSystem& system, const Ref<Puller>& puller) {
    const Result<int> taken = system->block_on(puller.ask<&Puller::take>());
    EXPECT_TRUE(taken.has_value()) << taken.error().text();
    return taken.value_or(-1);
}

void put(const Jobs& jobs, int count) {
    for (int i = 0; i < count; ++i)
        ASSERT_EQ(jobs.try_put(i), SendStatus::sent);
}

Task<Result<int>> pull_and_finish(Jobs jobs) {
    auto work = co_await jobs.pull();
    if (!work) co_return std::unexpected(work.error());
    co_await or_return(work->done());
    co_return **work;
}

TEST(WorkQueue, GivesEachPieceToOneWorkerAndForgetsWhatIsAcknowledged) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system);
            put(jobs, 2);
            const auto one = system->spawn<Puller>(jobs);
            const auto two = system->spawn<Puller>(jobs);
            EXPECT_EQ(taken_by(system, one) + taken_by(system, two), 0 + 1);
            WorkQueueInfo info = jobs.info();
            EXPECT_EQ(info.depth, 0U);
            EXPECT_EQ(info.in_flight, 2U);
            EXPECT_TRUE(system->block_on(one.ask<&Puller::acknowledge>()).has_value());
            EXPECT_TRUE(system->block_on(two.ask<&Puller::acknowledge>()).has_value());
            info = jobs.info();
            EXPECT_EQ(info.in_flight, 0U);
            EXPECT_EQ(info.done, 2U);
            EXPECT_EQ(info.redelivered, 0U);
        },
        kSeeds);
}

TEST(WorkQueue, SaysFullAndAPutWaitsForRoom) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system, work_queue().capacity(2));
            put(jobs, 2);
            EXPECT_EQ(jobs.try_put(2), SendStatus::full);
            const auto put_all = [](Jobs queue) -> Task<Result<std::vector<int>>> {
                auto group = task_group<int>(all_successful());
                for (int i = 10; i < 13; ++i) {
                    group.add(
                        [](Jobs into, int work) -> Task<Result<int>> {
                            co_await or_return(co_await into.put(work));
                            co_return work;
                        },
                        queue, i);
                }
                group.add(
                    [](Jobs from) -> Task<Result<int>> {
                        int sum = 0;
                        for (int i = 0; i < 5; ++i)
                            sum += co_await or_return(co_await pull_and_finish(from));
                        co_return sum;
                    },
                    queue);
                co_return co_await group.run();
            };
            const auto all = system->block_on(put_all(jobs));
            ASSERT_TRUE(all.has_value()) << all.error().text();
            EXPECT_EQ(all->back(), 0 + 1 + 10 + 11 + 12);
            EXPECT_EQ(jobs.info().putting, 0U);
            EXPECT_EQ(jobs.info().done, 5U);
        },
        kSeeds);
}

TEST(WorkQueue, WorkThatAWorkerHasTakesRoomUntilItIsAcknowledged) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system, work_queue().capacity(1));
            put(jobs, 1);
            const auto puller = system->spawn<Puller>(jobs);
            taken_by(system, puller);
            EXPECT_EQ(jobs.try_put(1), SendStatus::full);
            EXPECT_TRUE(system->block_on(puller.ask<&Puller::acknowledge>()).has_value());
            EXPECT_EQ(jobs.try_put(1), SendStatus::sent);
        },
        kSeeds);
}

TEST(WorkQueue, APutThatRunsOutOfTimeHasPutNothing) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system, work_queue().capacity(1));
            put(jobs, 1);
            const auto late = system->block_on(jobs.put_within(1ms, 7));
            ASSERT_FALSE(late.has_value());
            EXPECT_EQ(late.error(), Errc::timed_out);
            EXPECT_EQ(jobs.info().putting, 0U);
            EXPECT_EQ(jobs.info().put, 1U);
            EXPECT_EQ(system->block_on(pull_and_finish(jobs)), 0);
            EXPECT_EQ(jobs.try_put(1), SendStatus::sent) << "it has left no claim to the room";
        },
        kSeeds);
}

TEST(WorkQueue, GivesSeveralAtOnceToWhoeverWantsSeveral) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system);
            put(jobs, 5);
            const auto counts = system->block_on([](Jobs queue) -> Task<std::vector<std::size_t>> {
                std::vector<std::size_t> sizes;
                for (int i = 0; i < 2; ++i) {
                    auto some = co_await queue.pull_several(3);
                    if (!some) break;
                    sizes.push_back(some->size());
                    for (Work<int>& work : *some)
                        ignore(work.done(), "it is counted");
                }
                co_return sizes;
            }(jobs));
            EXPECT_EQ(counts, (std::vector<std::size_t>{3, 2}));
            EXPECT_EQ(jobs.info().done, 5U);
        },
        kSeeds);
}

TEST(WorkQueue, GivesWorkToSomebodyElseWhenItsWorkerFails) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system);
            put(jobs, 1);
            const auto one = system->spawn<Puller>(jobs);
            taken_by(system, one);
            one.tell<&Puller::die>();
            const auto two = system->spawn<Puller>(jobs);
            EXPECT_EQ(taken_by(system, two), 0);
            EXPECT_EQ(system->block_on(two.ask<&Puller::attempt>()), 2U);
            EXPECT_EQ(jobs.info().redelivered, 1U);
            ASSERT_EQ(jobs.in_flight().size(), 1U);
            EXPECT_EQ(jobs.in_flight()[0].worker, two.pid());
            EXPECT_TRUE(system->block_on(two.ask<&Puller::acknowledge>()).has_value());
        },
        kSeeds);
}

TEST(WorkQueue, TakesWorkBackFromAHandlerThatIsKilledWhileItWaits) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system);
            put(jobs, 1);
            const auto gate = std::make_shared<Gate>();
            const auto puller = system->spawn<Puller>(jobs);
            puller.tell<&Puller::work_at>(gate);
            gate->wait_until_reached(system);
            EndWatch watch(system, puller);
            puller.stop(Stop::kill);
            watch.wait();
            EXPECT_EQ(jobs.info().in_flight, 0U);
            EXPECT_EQ(jobs.info().depth, 1U);
            EXPECT_EQ(system->block_on(pull_and_finish(jobs)), 0);
        },
        kSeeds);
}

TEST(WorkQueue, WorkGoesAlongInAMessageAndComesBackWithAMailboxThatEnds) {
    on_both_engines(
        [](OwnedSystem& system) {
            class Helper : public Actor {
            public:
                void help(Work<int> work) { ignore(work.done(), "the test looks"); }
                Task<> hold(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
            };
            const Jobs jobs(*system);
            put(jobs, 2);
            const auto pass_on = [](Jobs queue, Ref<Helper> to) -> Task<Result<void>> {
                auto work = co_await queue.pull();
                if (!work) co_return std::unexpected(work.error());
                co_return co_await to.send<&Helper::help>(std::move(*work));
            };
            const auto helper = system->spawn<Helper>();
            EXPECT_TRUE(system->block_on(pass_on(jobs, helper)).has_value());
            EXPECT_TRUE(system
                            ->block_on(helper.ask<&Helper::hold>([] {
                                auto open = std::make_shared<Gate>();
                                open->open();
                                return open;
                            }()))
                            .has_value());
            EXPECT_EQ(jobs.info().done, 1U);
            const auto gate = std::make_shared<Gate>();
            helper.tell<&Helper::hold>(gate);
            gate->wait_until_reached(system);
            EXPECT_TRUE(system->block_on(pass_on(jobs, helper)).has_value());
            EndWatch watch(system, helper);
            helper.stop(Stop::kill);
            watch.wait();
            EXPECT_EQ(jobs.info().depth, 1U);
            EXPECT_EQ(system->block_on(pull_and_finish(jobs)), 1);
        },
        kSeeds);
}

TEST(WorkQueue, TakesWorkBackWhenItsLeaseEndsAndRefusesTheLateAcknowledgement) {
    on_seeds(kSeeds, [](OwnedSystem& system) {
        const Jobs jobs(*system, work_queue().lease(10s));
        put(jobs, 1);
        const auto slow = system->spawn<Puller>(jobs);
        const auto other = system->spawn<Puller>(jobs);
        taken_by(system, slow);
        system.advance(6s);
        EXPECT_EQ(jobs.info().oldest, 6s);
        EXPECT_EQ(jobs.in_flight()[0].lease_left, 4s);
        EXPECT_EQ(system->block_on(slow.ask<&Puller::renew>()), true);
        system.advance(6s);
        EXPECT_EQ(jobs.info().expired, 0U) << "it was renewed";
        EXPECT_EQ(system->block_on([](Ref<Puller> puller) -> Task<Result<int>> {
            co_return co_await puller.ask<&Puller::take>().within(1h);
        }(other)),
                  0);
        EXPECT_EQ(system->now(), 16s);
        EXPECT_EQ(jobs.info().expired, 1U);
        const auto late = system->block_on(slow.ask<&Puller::acknowledge>());
        ASSERT_FALSE(late.has_value());
        EXPECT_EQ(late.error(), RouteErrc::lease_ended);
        EXPECT_TRUE(system->block_on(other.ask<&Puller::acknowledge>()).has_value());
        EXPECT_EQ(jobs.info().done, 1U);
    });
}

/// Hears of the dead.
class Heir : public Actor {
public:
    void inherit(DeadWork<int> dead) { dead_.push_back(std::move(dead)); }
    std::vector<std::string> told() const {
        std::vector<std::string> texts;
        texts.reserve(dead_.size());
        for (const DeadWork<int>& dead : dead_) {
            texts.push_back(std::to_string(*dead.work) + " after " + std::to_string(dead.attempts) +
                            ": " + dead.why.text());
        }
        return texts;
    }

private:
    std::vector<DeadWork<int>> dead_;
};

TEST(WorkQueue, GivesUpWhatWasTriedOftenEnoughAndSaysWithWhichError) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system, work_queue().attempts(2).dead_kept(2));
            const auto puller = system->spawn<Puller>(jobs);
            const auto fail_twice = [&](int number) {
                ASSERT_EQ(jobs.try_put(number), SendStatus::sent);
                for (int i = 0; i < 2; ++i) {
                    EXPECT_EQ(taken_by(system, puller), number);
                    ASSERT_TRUE(
                        system->block_on(puller.ask<&Puller::refuse>("no paper")).has_value());
                }
            };
            for (int i = 0; i < 3; ++i)
                fail_twice(i);
            EXPECT_EQ(jobs.info().dead, 3U);
            EXPECT_EQ(jobs.info().depth, 0U);
            const auto kept = jobs.take_dead();
            ASSERT_EQ(kept.size(), 2U) << "the youngest";
            EXPECT_EQ(*kept[0].work, 1);
            EXPECT_EQ(kept[1].attempts, 2U);
            EXPECT_EQ(kept[1].why.text(), "no paper");
            EXPECT_TRUE(jobs.take_dead().empty());

            const auto heir = system->spawn<Heir>();
            jobs.on_dead<&Heir::inherit>(heir);
            fail_twice(7);
            EXPECT_EQ(system->block_on(heir.ask<&Heir::told>()),
                      (std::vector<std::string>{"7 after 2: no paper"}));
            EXPECT_TRUE(jobs.take_dead().empty());
            EndWatch watch(system, heir);
            heir.stop();
            watch.wait();
            fail_twice(8);
            EXPECT_EQ(jobs.take_dead().size(), 1U) << "nobody took it";
        },
        kSeeds);
}

TEST(WorkQueue, WhatComesBackWaitsBehindTheOthers) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system);
            put(jobs, 2);
            const auto puller = system->spawn<Puller>(jobs);
            EXPECT_EQ(taken_by(system, puller), 0);
            ASSERT_TRUE(system->block_on(puller.ask<&Puller::forget>()).has_value());
            EXPECT_EQ(taken_by(system, puller), 1);
            EXPECT_EQ(taken_by(system, puller), 0);
        },
        kSeeds);
}

TEST(WorkQueue, IsDoneByAllWhoPullUntilItIsClosedAndEmpty) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system, work_queue().capacity(4));
            const auto run = [](Jobs queue) -> Task<Result<std::vector<int>>> {
                auto group = task_group<int>(all_successful());
                for (int worker = 0; worker < 3; ++worker) {
                    group.add(
                        [](Jobs from) -> Task<Result<int>> {
                            int sum = 0;
                            for (;;) {
                                const auto value = co_await pull_and_finish(from);
                                if (!value && value.error() == Errc::closed) co_return sum;
                                sum += co_await or_return(value);
                            }
                        },
                        queue);
                }
                group.add(
                    [](Jobs into) -> Task<Result<int>> {
                        for (int i = 1; i <= 50; ++i)
                            co_await or_return(co_await into.put(i));
                        into.close();
                        co_await or_return(co_await into.drained());
                        co_return 0;
                    },
                    queue);
                co_return co_await group.run();
            };
            const auto sums = system->block_on(run(jobs));
            ASSERT_TRUE(sums.has_value()) << sums.error().text();
            EXPECT_EQ((*sums)[0] + (*sums)[1] + (*sums)[2], 50 * 51 / 2);
            EXPECT_EQ(jobs.try_put(1), SendStatus::gone);
            EXPECT_EQ(jobs.info().done, 50U);
            EXPECT_TRUE(jobs.info().closed);
        },
        kSeeds);
}

TEST(WorkQueue, ClosedWithWorkInFlightStillRedeliversIt) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Jobs jobs(*system);
            put(jobs, 1);
            const auto one = system->spawn<Puller>(jobs);
            taken_by(system, one);
            jobs.close();
            const auto two = system->spawn<Puller>(jobs);
            one.tell<&Puller::die>();
            EXPECT_EQ(taken_by(system, two), 0);
            EXPECT_TRUE(system->block_on(two.ask<&Puller::acknowledge>()).has_value());
            const auto over = system->block_on(two.ask<&Puller::take>());
            ASSERT_FALSE(over.has_value());
            EXPECT_EQ(over.error(), Errc::closed);
        },
        kSeeds);
}

/// An actor with a queue of its own, made in its constructor.
class Owner : public Actor {
public:
    Owner() : jobs_(*this, work_queue().capacity(2)) {}
    Jobs jobs() const { return jobs_; }

private:
    Jobs jobs_;
};

TEST(WorkQueue, EndsWithItsOwnerAndWhatIsLeftIsDead) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto owner = system->spawn<Owner>();
            const auto jobs = *system->block_on(owner.ask<&Owner::jobs>());
            put(jobs, 2);
            const auto wait_for_room = [](Jobs queue, Ref<Owner> whose) -> Task<Result<void>> {
                auto group = task_group(all_successful());
                group.add([](Jobs into) -> Task<Result<void>> { co_return co_await into.put(9); },
                          queue);
                group.add(
                    [](Ref<Owner> ends) -> Task<> {
                        ends.stop();
                        co_return;
                    },
                    whose);
                co_return co_await group.run();
            };
            const auto refused = system->block_on(wait_for_room(jobs, owner));
            ASSERT_FALSE(refused.has_value());
            EXPECT_EQ(refused.error(), Errc::closed);
            const auto none = system->block_on(pull_and_finish(jobs));
            ASSERT_FALSE(none.has_value());
            EXPECT_EQ(none.error(), Errc::closed);
            const auto dead = jobs.take_dead();
            ASSERT_EQ(dead.size(), 2U);
            EXPECT_EQ(dead[0].why, Errc::closed);
            EXPECT_EQ(jobs.try_put(1), SendStatus::gone);
        },
        kSeeds);
}

/// One pulls and is cancelled at some moment, while another puts: the piece is not lost.
TEST(WorkQueueEverySchedule, APullThatIsCancelledLosesNothing) {
    on_all_schedules(20'000, [](OwnedSystem& system) {
        const Jobs jobs(*system);
        const auto race_them = [](Jobs queue) -> Task<int> {
            auto group = task_group<int>(all_settled());
            auto child = group.add(
                [](Jobs from) -> Task<Result<int>> { co_return co_await pull_and_finish(from); },
                queue);
            group.add(
                [](GroupChild other) -> Task<int> {
                    other.cancel();
                    co_return 0;
                },
                child);
            group.add(
                [](Jobs into) -> Task<Result<int>> {
                    co_await or_return(co_await into.put(1));
                    co_return 0;
                },
                queue);
            const auto all = co_await group.run();
            co_return all[0] ? 1 : 0;
        };
        const int done = system->block_on(race_them(jobs));
        const WorkQueueInfo info = jobs.info();
        EXPECT_EQ(info.done, static_cast<std::uint64_t>(done));
        EXPECT_EQ(info.depth + info.done, 1U);
        EXPECT_EQ(info.in_flight, 0U);
        EXPECT_EQ(info.pulling, 0U);
        // Nothing of it was promised to somebody who has left.
        if (done == 0) {
            EXPECT_EQ(system->block_on(pull_and_finish(jobs)), 1);
        }
    });
}

/// The same of one who waits for room while somebody makes some.
TEST(WorkQueueEverySchedule, APutThatIsCancelledKeepsNoRoom) {
    on_all_schedules(20'000, [](OwnedSystem& system) {
        const Jobs jobs(*system, work_queue().capacity(1));
        put(jobs, 1);
        const auto race_them = [](Jobs queue) -> Task<int> {
            auto group = task_group<int>(all_settled());
            auto child = group.add(
                [](Jobs into) -> Task<Result<int>> {
                    co_await or_return(co_await into.put(1));
                    co_return 1;
                },
                queue);
            group.add(
                [](GroupChild other) -> Task<int> {
                    other.cancel();
                    co_return 0;
                },
                child);
            group.add(
                [](Jobs from) -> Task<Result<int>> { co_return co_await pull_and_finish(from); },
                queue);
            const auto all = co_await group.run();
            co_return all[0] ? 1 : 0;
        };
        const int was_put = system->block_on(race_them(jobs));
        const WorkQueueInfo info = jobs.info();
        EXPECT_EQ(info.put, 1U + static_cast<std::uint64_t>(was_put));
        EXPECT_EQ(info.depth + info.done, info.put);
        EXPECT_EQ(info.putting, 0U);
        while (jobs.info().depth > 0)
            ASSERT_TRUE(system->block_on(pull_and_finish(jobs)).has_value());
        EXPECT_EQ(jobs.try_put(3), SendStatus::sent) << "room that nobody uses is free";
    });
}

TEST(WorkQueue, HasNoTimerWhileNobodyHasWork) {
    on_seeds(3, [](OwnedSystem& system) {
        const Jobs jobs(*system, work_queue().lease(1s));
        put(jobs, 1);
        EXPECT_EQ(system->block_on(pull_and_finish(jobs)), 0);
        system.advance(2s);
        std::uint64_t before = 0;
        for (const ActorInfo& actor : system->actors())
            before += actor.handled;
        system.advance(1h);
        std::uint64_t after = 0;
        for (const ActorInfo& actor : system->actors())
            after += actor.handled;
        EXPECT_EQ(after, before);
    });
}

}  // namespace
}  // namespace troupe
