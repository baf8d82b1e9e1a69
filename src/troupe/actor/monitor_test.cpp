#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::wait_for_end;

class Job : public Actor {
public:
    void fail() { throw std::runtime_error("broken"); }
    int alive() const { return 1; }
};

class Watcher : public Actor {
public:
    explicit Watcher(std::shared_ptr<std::vector<std::string>> seen) : seen_(std::move(seen)) {}
    void watch(Ref<Job> job, int tag) { monitor<&Watcher::down>(job, tag); }
    std::size_t count() const { return seen_->size(); }

private:
    void down(Down down, int tag) {
        seen_->push_back(down.reason.text() + "/" + std::to_string(tag));
    }
    std::shared_ptr<std::vector<std::string>> seen_;
};

using Seen = std::shared_ptr<std::vector<std::string>>;
Seen make_seen() {
    return std::make_shared<std::vector<std::string>>();
}

TEST(Monitor, HearsTheReasonOnceForEachTimeItWasAsked) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto job = system->spawn<Job>();
        auto watcher = system->spawn<Watcher>(seen);
        ASSERT_TRUE(system->block_on(watcher.ask<&Watcher::watch>(job, 1)).has_value());
        ASSERT_TRUE(system->block_on(watcher.ask<&Watcher::watch>(job, 2)).has_value());
        EXPECT_EQ(system->block_on(job.ask<&Job::alive>()), 1);
        job.tell<&Job::fail>();
        wait_for_end(system, job);
        EXPECT_EQ(system->block_on(watcher.ask<&Watcher::count>()), 2U);
        std::sort(seen->begin(), seen->end());
        EXPECT_EQ(*seen, (std::vector<std::string>{"broken/1", "broken/2"}));
    });
}

TEST(Monitor, OfAnEndedActorHearsNoprocAtOnce) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto job = system->spawn<Job>();
        job.stop(Stop::kill);
        wait_for_end(system, job);
        auto watcher = system->spawn<Watcher>(seen);
        watcher.tell<&Watcher::watch>(job, 1);
        watcher.tell<&Watcher::watch>(Ref<Job>(), 2);
        EXPECT_EQ(system->block_on(watcher.ask<&Watcher::count>()).has_value(), true);
        // The news may lie behind the question; a second one lies behind the news.
        EXPECT_EQ(system->block_on(watcher.ask<&Watcher::count>()), 2U);
        EXPECT_EQ(*seen, (std::vector<std::string>{"noproc/1", "noproc/2"}));
    });
}

TEST(Monitor, PassesTheBoundOfAFullMailbox) {
    on_both_engines([](OwnedSystem& system) {
        class Busy : public Actor {
        public:
            explicit Busy(std::vector<Ref<Job>> jobs) {
                for (const auto& job : jobs)
                    monitor<&Busy::down>(job);
            }
            int heard() const { return heard_; }

        private:
            void down(Down) { ++heard_; }
            int heard_ = 0;
        };
        std::vector<Ref<Job>> jobs;
        for (int i = 0; i < 10; ++i)
            jobs.push_back(system->spawn<Job>());
        auto busy = system->spawn<Busy>(options().mailbox(bounded(1)), jobs);
        for (const auto& job : jobs) {
            job.stop();
            wait_for_end(system, job);
        }
        EXPECT_EQ(system->block_on(busy.ask<&Busy::heard>()), 10);
    });
}

TEST(Monitor, OfAWatcherThatHasEndedLeavesNothingBehind) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto job = system->spawn<Job>();
        auto watcher = system->spawn<Watcher>(seen);
        ASSERT_TRUE(system->block_on(watcher.ask<&Watcher::watch>(job, 1)).has_value());
        watcher.stop();
        wait_for_end(system, watcher);
        auto next = system->spawn<Watcher>(seen);  // perhaps in the same slot
        job.stop();
        wait_for_end(system, job);
        EXPECT_EQ(system->block_on(next.ask<&Watcher::count>()), 0U);
    });
}

TEST(Monitor, OfOneselfHarmsNobody) {
    class Narcissus : public Actor {
    public:
        void look() { monitor<&Narcissus::down>(Ref<Narcissus>(self(this))); }
        void down(Down) {}
    };
    on_both_engines([](OwnedSystem& system) {
        auto narcissus = system->spawn<Narcissus>();
        narcissus.tell<&Narcissus::look>();
        narcissus.stop(Stop::drain);
        wait_for_end(system, narcissus);
    });
}

/// Watches, thinks better of it, and notes the order of what it hears.
class Fickle : public Actor {
public:
    explicit Fickle(Seen seen) : seen_(std::move(seen)) {}
    void watch(Ref<Job> job) { monitor_ = monitor<&Fickle::down>(job); }
    void cancel() { monitor_.cancel(); }
    void watch_and_cancel(Ref<Job> job, int times) {
        for (int i = 0; i < times; ++i)
            monitor<&Fickle::down>(job).cancel();
    }
    void note(std::string text) { seen_->push_back(std::move(text)); }
    Task<> hold(std::shared_ptr<actor_internal::Gate> gate) { co_await gate->pass(); }
    std::size_t count() const { return seen_->size(); }

private:
    void down(Down) { seen_->push_back("down"); }
    Seen seen_;
    Monitor monitor_;
};

TEST(Monitor, NewsOvertakesTheMailThatWaitsAndIsNeverRefused) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto gate = std::make_shared<actor_internal::Gate>();
        auto job = system->spawn<Job>();
        auto watcher = system->spawn<Fickle>(options().mailbox(bounded(2)), seen);
        watcher.tell<&Fickle::watch>(job);
        ASSERT_EQ(system->block_on(watcher.ask<&Fickle::count>()), 0U);
        watcher.tell<&Fickle::hold>(gate);
        gate->wait_until_reached(system);
        while (watcher.tell<&Fickle::note>("mail") == SendStatus::sent) {
        }
        job.stop();
        wait_for_end(system, job);
        gate->open();
        ASSERT_TRUE(system->block_on(watcher.ask<&Fickle::count>()).has_value());
        EXPECT_EQ(seen->front(), "down");
    });
}

TEST(Monitor, ThatIsCancelledIsNeverHeardNotEvenWhenTheNewsHadArrived) {
    on_both_engines([](OwnedSystem& system) {
        const Seen seen = make_seen();
        auto gate = std::make_shared<actor_internal::Gate>();
        auto job = system->spawn<Job>();
        auto watcher = system->spawn<Fickle>(seen);
        watcher.tell<&Fickle::watch>(job);
        watcher.tell<&Fickle::hold>(gate);
        gate->wait_until_reached(system);
        watcher.tell<&Fickle::cancel>();
        job.stop();
        wait_for_end(system, job);
        gate->open();
        // It is heard before the cancelling is handled, or never: not after.
        ASSERT_TRUE(system->block_on(watcher.ask<&Fickle::count>()).has_value());
        EXPECT_LE(seen->size(), 1U);
        const std::size_t heard = seen->size();
        auto other = system->spawn<Job>();
        watcher.tell<&Fickle::watch_and_cancel>(other, 3);
        ASSERT_TRUE(system->block_on(watcher.ask<&Fickle::count>()).has_value());
        other.stop();
        wait_for_end(system, other);
        EXPECT_EQ(system->block_on(watcher.ask<&Fickle::count>()), heard);
    });
}

TEST(Monitor, LeavesNothingInItsTargetOnceCancelledOrItsWatcherHasEnded) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto job = system->spawn<Job>();
            auto fickle = system->spawn<Fickle>(make_seen());
            ASSERT_EQ(system->block_on(job.ask<&Job::alive>()), 1);
            ASSERT_TRUE(system->block_on(fickle.ask<&Fickle::count>()).has_value());
            const auto live = [&] {
                // Everything sent before has been handled when both have answered.
                EXPECT_TRUE(system->block_on(fickle.ask<&Fickle::count>()).has_value());
                EXPECT_TRUE(system->block_on(job.ask<&Job::alive>()).has_value());
                return block_pool_stats().live_blocks;
            };
            ASSERT_TRUE(
                system->block_on(fickle.ask<&Fickle::watch_and_cancel>(job, 10)).has_value());
            const auto before = live();
            ASSERT_TRUE(
                system->block_on(fickle.ask<&Fickle::watch_and_cancel>(job, 500)).has_value());
            EXPECT_LE(live(), before + 20);
            for (int i = 0; i < 100; ++i) {
                auto passing = system->spawn<Fickle>(make_seen());
                ASSERT_TRUE(system->block_on(passing.ask<&Fickle::watch>(job)).has_value());
                passing.stop();
                wait_for_end(system, passing);
            }
            EXPECT_LE(live(), before + 20);
        },
        10);
}

TEST(MonitorEverySchedule, HearsExactlyOnceWheneverTheTargetEnds) {
    class Stopper : public Actor {
    public:
        void stop(Ref<Job> job, Stop strength) { job.stop(strength); }
    };
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        bool reason_seen = false;
        bool noproc_seen = false;
        const auto explored = on_all_schedules(20'000, [&](OwnedSystem& system) {
            const Seen seen = make_seen();
            auto job = system->spawn<Job>();
            system->spawn<Watcher>(seen).tell<&Watcher::watch>(job, 1);
            system->spawn<Stopper>().tell<&Stopper::stop>(job, strength);
            system.settle();
            ASSERT_EQ(seen->size(), 1U);
            reason_seen = reason_seen || seen->front() != "noproc/1";
            noproc_seen = noproc_seen || seen->front() == "noproc/1";
        });
        EXPECT_TRUE(explored.exhaustive);
        EXPECT_TRUE(reason_seen);
        EXPECT_TRUE(noproc_seen);
    }
}

}  // namespace
}  // namespace troupe
