#include <troupe/actor/internal/test_diary.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/supervisor.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Diary;
using actor_internal::EndWatch;
using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;

using Lines = std::vector<std::string>;

/// Runs a body whose actors note in a diary that outlives them.
void with_diary(const std::function<void(OwnedSystem&, Diary&)>& body, std::size_t seeds = 50) {
    on_both_engines(
        [&](OwnedSystem& system) {
            Diary diary;
            body(system, diary);
            system.stop();
        },
        seeds);
}
/// The same in virtual time only.
void with_clock(const std::function<void(OwnedSystem&, Diary&)>& body, std::size_t seeds = 20) {
    on_seeds(seeds, [&](OwnedSystem& system) {
        Diary diary;
        body(system, diary);
        system.stop();
    });
}

/// Does its work, or fails, as it is told.
class Clerk : public Actor {
public:
    Clerk(Diary* diary, std::string name) : diary_(diary), name_(std::move(name)) {
        diary_->note("+" + name_);
    }
    ~Clerk() override { diary_->note("-" + name_); }
    int work(int n) {
        if (n < 0) throw std::runtime_error("negative");
        return n + 1;
    }
    void healthy() { mark_healthy(); }
    std::string name() const { return name_; }

private:
    Diary* diary_;
    std::string name_;
};

/// Is built with the address of another.
class Client : public Actor {
public:
    Client(Diary*, Ref<Clerk> worker) : worker_(worker) {}
    Task<Result<int>> work(int n) { co_return co_await worker_.ask<&Clerk::work>(n); }

private:
    Ref<Clerk> worker_;
};

/// Cannot start until it has been tried so often.
class Stubborn : public Actor {
public:
    Stubborn(Diary* diary, int refusals, bool throws) : diary_(diary) {
        const std::size_t before = diary_->count("try");
        diary_->note("try");
        refuses_ = before != 0 && before <= static_cast<std::size_t>(refusals);
        if (refuses_ && throws) throw std::runtime_error("not built");
    }
    void fail() { throw std::runtime_error("fails"); }
    int ready() const { return 1; }

private:
    Task<Result<void>> on_start() override {
        if (refuses_) co_return error(Errc::not_found, "no file");
        co_return Result<>();
    }
    Diary* diary_;
    bool refuses_ = false;
};

class Broken : public Actor {
public:
    explicit Broken(Diary* diary) : diary_(diary) { diary_->note("+broken"); }

private:
    Task<Result<void>> on_start() override { co_return error(Errc::not_found, "no such file"); }
    Diary* diary_;
};

SupervisorRef start(OwnedSystem& system, Supervisor tree) {
    Result<SupervisorRef> running = system->block_on(system->start(std::move(tree)));
    EXPECT_TRUE(running) << (running ? "" : running.error().message());
    return *running;
}

Errc code(const Error& error) {
    for (const Errc code : {Errc::failed, Errc::actor_gone, Errc::start_failed, Errc::not_found,
                            Errc::timed_out, Errc::closed}) {
        if (error == code) return code;
    }
    return Errc{};
}

// ---- starting and stopping ----------------------------------------------------------------------

TEST(Supervisor, StartsFromTheFirstToTheLastAndStopsFromTheLastToTheFirst) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        for (const char* name : {"a", "b", "c"})
            tree.child<Clerk>(name, &diary, name);
        const SupervisorRef running = start(system, std::move(tree));
        EXPECT_EQ(diary.lines(), (Lines{"+a", "+b", "+c"}));
        EXPECT_TRUE(system->block_on(running.stop()));
        EXPECT_EQ(diary.lines(), (Lines{"+a", "+b", "+c", "-c", "-b", "-a"}));
        EXPECT_EQ(system->dead_letters().total(), 0U);
    });
}

TEST(Supervisor, IsStoppedInOrderWithItsSystem) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        for (const char* name : {"a", "b"})
            tree.child<Clerk>(name, &diary, name);
        start(system, std::move(tree));
        system.stop();
        EXPECT_EQ(diary.lines(), (Lines{"+a", "+b", "-b", "-a"}));
    });
}

TEST(Supervisor, GivesAChildTheAddressOfAnotherAndItStaysGoodOverRestarts) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        tree.one_for_one().intensity(3, 5s);
        auto worker = tree.child<Clerk>("worker", &diary, "worker");
        auto client = tree.child<Client>("client", &diary, worker);
        const SupervisorRef running = start(system, std::move(tree));
        const Ref<Client> ref = running.ref(client);
        EXPECT_EQ(system->block_on(ref.ask<&Client::work>(1)), 2);
        const auto failed = system->block_on(ref.ask<&Client::work>(-1));
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error(), Errc::failed);
        EXPECT_EQ(system->block_on(ref.ask<&Client::work>(2)), 3);
        EXPECT_EQ(diary.count("+worker"), 2U);
        EXPECT_EQ(system->info(running.ref(worker).pid())->incarnation, 2U);
    });
}

TEST(Supervisor, AStartThatFailsNamesTheChildAndStopsThoseThatHadStarted) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        tree.child<Clerk>("a", &diary, "a");
        tree.child<Clerk>("b", &diary, "b");
        tree.child<Broken>("disk", &diary);
        tree.child<Clerk>("d", &diary, "d");
        const auto running = system->block_on(system->start(std::move(tree)));
        ASSERT_FALSE(running);
        EXPECT_EQ(running.error(), Errc::start_failed);
        EXPECT_EQ(running.error().text(), "child \"disk\" of \"app\": no such file");
        EXPECT_EQ(diary.lines(), (Lines{"+a", "+b", "+broken", "-b", "-a"}));
    });
}

TEST(Supervisor, AStartThatFailsDeepDownNamesTheWholeWay) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto pool = supervisor("pool");
        pool.child<Broken>("disk", &diary);
        auto tree = supervisor("app");
        tree.child<Clerk>("a", &diary, "a");
        tree.child(std::move(pool));
        const auto running = system->block_on(system->start(std::move(tree)));
        ASSERT_FALSE(running);
        EXPECT_EQ(running.error().text(),
                  "child \"pool\" of \"app\": child \"disk\" of \"app/pool\": no such file");
        EXPECT_EQ(diary.lines(), (Lines{"+a", "+broken", "-a"}));
    });
}

TEST(Supervisor, RefusesATreeThatIsWrittenWrong) {
    with_diary(
        [](OwnedSystem& system, Diary& diary) {
            const auto why_not = [&](Supervisor tree) {
                const auto running = system->block_on(system->start(std::move(tree)));
                return running ? std::string("started") : running.error().text();
            };
            auto other = supervisor("other");
            auto stranger = other.child<Clerk>("stranger", &diary, "x");
            auto with_stranger = supervisor("app");
            with_stranger.child<Client>("client", &diary, stranger);
            EXPECT_EQ(why_not(std::move(with_stranger)),
                      "child \"app/client\": an argument is a child of another tree");

            auto twice = supervisor("app");
            twice.child<Clerk>("a", &diary, "x");
            twice.child<Clerk>("a", &diary, "x");
            EXPECT_EQ(why_not(std::move(twice)),
                      "child \"app/a\": another child has the same name");

            auto never = supervisor("app");
            never.child<Clerk>("a", transient().significant(), &diary, "x");
            EXPECT_EQ(why_not(std::move(never)),
                      "child \"app/a\": it is significant, but its supervisor has no "
                      "auto_shutdown");

            auto for_ever = supervisor("app");
            for_ever.auto_shutdown(AutoShutdown::any_significant);
            for_ever.child<Clerk>("a", permanent().significant(), &diary, "x");
            EXPECT_EQ(why_not(std::move(for_ever)),
                      "child \"app/a\": a permanent child never ends, so it cannot be significant");
            EXPECT_TRUE(diary.lines().empty());
        },
        5);
}

TEST(Supervisor, WithoutChildrenStartsAndStops) {
    with_diary([](OwnedSystem& system, Diary&) {
        const SupervisorRef running = start(system, supervisor("empty"));
        EXPECT_TRUE(system->block_on(running.readiness())->ready);
        EXPECT_TRUE(system->block_on(running.stop()));
    });
}

TEST(Supervisor, AKilledOneTakesItsChildrenWithIt) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        auto worker = tree.child<Clerk>("worker", &diary, "worker");
        const SupervisorRef running = start(system, std::move(tree));
        EndWatch watch(system, running.ref(worker));
        running.actor().stop(Stop::kill);
        watch.wait();
        EXPECT_EQ(running.ref(worker).tell<&Clerk::work>(1), SendStatus::gone);
    });
}

// ---- intensity ----------------------------------------------------------------------------------

TEST(Supervisor, EndsWithTheReasonsWhenItRestartsMoreOftenThanItsIntensity) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        tree.intensity(2, 1h);
        tree.child<Clerk>("first", &diary, "first");
        auto worker = tree.child<Clerk>("worker", &diary, "worker");
        tree.child<Clerk>("last", &diary, "last");
        const SupervisorRef running = start(system, std::move(tree));
        EndWatch watch(system, running.actor());
        for (int i = 0; i < 2; ++i) {
            EXPECT_EQ(code(system->block_on(running.ref(worker).ask<&Clerk::work>(-1)).error()),
                      Errc::failed);
            EXPECT_EQ(system->block_on(running.ref(worker).ask<&Clerk::work>(1)), 2);
        }
        running.ref(worker).tell<&Clerk::work>(-1);
        const Down down = watch.wait();
        EXPECT_EQ(down.reason.kind(), ExitReason::Kind::shutdown_with);
        EXPECT_EQ(down.reason.text(),
                  "supervisor \"app\" has given up: more than 2 restarts within 3600000 ms; child "
                  "\"worker\" ended last: negative");
        const Lines lines = diary.lines();
        EXPECT_EQ(Lines(lines.end() - 3, lines.end()), (Lines{"-worker", "-last", "-first"}));
        EXPECT_EQ(running.ref(worker).tell<&Clerk::work>(1), SendStatus::gone);
    });
}

TEST(Supervisor, CountsRestartsWithinTheWindowOnly) {
    with_clock([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        tree.intensity(2, 5s);
        auto worker = tree.child<Clerk>("worker", &diary, "worker");
        const SupervisorRef running = start(system, std::move(tree));
        for (int i = 0; i < 20; ++i) {
            running.ref(worker).tell<&Clerk::work>(-1);
            system.advance(2501ms);
        }
        EXPECT_EQ(system->block_on(running.ref(worker).ask<&Clerk::work>(1)), 2);
        EXPECT_EQ(diary.count("+worker"), 21U);
    });
}

TEST(Supervisor, AllowsThreeRestartsInFiveSecondsWhenNothingElseIsSaid) {
    for (const Duration apart : {Duration(0), Duration(1s), Duration(1600ms)}) {
        with_clock([=](OwnedSystem& system, Diary& diary) {
            auto tree = supervisor("app");
            auto worker = tree.child<Clerk>("worker", &diary, "worker");
            const SupervisorRef running = start(system, std::move(tree));
            for (int i = 0; i < 3; ++i) {
                running.ref(worker).tell<&Clerk::work>(-1);
                system.settle();
                system.advance(apart);
            }
            EXPECT_EQ(system->block_on(running.ref(worker).ask<&Clerk::work>(1)), 2);
            running.ref(worker).tell<&Clerk::work>(-1);
            system.settle();
            EXPECT_EQ(running.ref(worker).tell<&Clerk::work>(1), SendStatus::gone);
            EXPECT_EQ(diary.count("+worker"), 4U);
        });
    }
    with_clock([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        auto worker = tree.child<Clerk>("worker", &diary, "worker");
        const SupervisorRef running = start(system, std::move(tree));
        for (int i = 0; i < 10; ++i) {
            running.ref(worker).tell<&Clerk::work>(-1);
            system.advance(1700ms);
        }
        EXPECT_EQ(system->block_on(running.ref(worker).ask<&Clerk::work>(1)), 2);
    });
}

TEST(Supervisor, AStartThatFailsInARestartCountsAndIsTriedAgain) {
    for (const bool throws : {false, true}) {
        with_diary([=](OwnedSystem& system, Diary& diary) {
            auto tree = supervisor("app");
            tree.intensity(3, 1h);
            auto stubborn = tree.child<Stubborn>("stubborn", &diary, 2, throws);
            const SupervisorRef running = start(system, std::move(tree));
            running.ref(stubborn).tell<&Stubborn::fail>();
            EXPECT_EQ(system->block_on(running.ref(stubborn).ask<&Stubborn::ready>()), 1);
            EXPECT_EQ(diary.count("try"), 4U);
            EXPECT_EQ(system->block_on(running.children())->front().restarts, 3U);
            EXPECT_EQ(system->block_on(running.children())->front().restarts_left, 0U);
        });
        with_diary([=](OwnedSystem& system, Diary& diary) {
            auto tree = supervisor("app");
            tree.intensity(3, 1h);
            auto stubborn = tree.child<Stubborn>("stubborn", &diary, 3, throws);
            const SupervisorRef running = start(system, std::move(tree));
            EndWatch watch(system, running.actor());
            running.ref(stubborn).tell<&Stubborn::fail>();
            EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown_with);
            EXPECT_EQ(diary.count("try"), 4U);
        });
    }
}

TEST(Supervisor, AStartThatFailsInAGroupRestartIsTriedAgainWithTheGroup) {
    for (const Strategy strategy : {Strategy::one_for_all, Strategy::rest_for_one}) {
        with_diary([=](OwnedSystem& system, Diary& diary) {
            auto tree = supervisor("app");
            tree.strategy(strategy).intensity(3, 1h);
            tree.child<Clerk>("a", &diary, "a");
            auto stubborn = tree.child<Stubborn>("stubborn", &diary, 1, false);
            auto last = tree.child<Clerk>("c", &diary, "c");
            const SupervisorRef running = start(system, std::move(tree));
            running.ref(stubborn).tell<&Stubborn::fail>();
            EXPECT_EQ(system->block_on(running.ref(stubborn).ask<&Stubborn::ready>()), 1);
            // All are back when the last one is.
            EXPECT_EQ(system->block_on(running.ref(last).ask<&Clerk::work>(1)), 2);
            EXPECT_TRUE(system->block_on(running.stop()));
            const Lines all = {"+a", "try", "+c",  "-c", "-a", "+a", "try",
                               "-a", "+a",  "try", "+c", "-c", "-a"};
            const Lines rest = {"+a", "try", "+c", "-c", "try", "try", "+c", "-c", "-a"};
            EXPECT_EQ(diary.lines(), strategy == Strategy::one_for_all ? all : rest);
        });
    }
}

// ---- backoff ------------------------------------------------------------------------------------

/// Makes the one it depends on fail while it starts, so often, and waits for it all the same.
class Dependent : public Actor {
public:
    Dependent(Ref<Clerk> clerk, std::shared_ptr<std::atomic<int>> failures)
        : clerk_(clerk), failures_(std::move(failures)) {}
    void fail() { throw std::runtime_error("fails"); }
    int answer() const { return answer_; }

private:
    Task<Result<void>> on_start() override {
        if (failures_->fetch_sub(1) > 0) clerk_.tell<&Clerk::work>(-1);
        const Result<int> answer = co_await clerk_.ask<&Clerk::work>(1).within(kForever);
        if (!answer) co_return std::unexpected(answer.error());
        answer_ = *answer;
        co_return Result<void>();
    }
    Ref<Clerk> clerk_;
    std::shared_ptr<std::atomic<int>> failures_;
    int answer_ = 0;
};

// Goal: a child that starts and waits for one before it, which fails meanwhile and keeps its
// address and its mail, does not keep their supervisor from starting that one again. Method: it
// happens in the first start and in a restart, under every strategy.
TEST(Supervisor, StartsAgainWhoFailsWhileAnotherStartsAndWaitsForIt) {
    for (const Strategy strategy :
         {Strategy::one_for_one, Strategy::rest_for_one, Strategy::one_for_all}) {
        with_diary([&](OwnedSystem& system, Diary& diary) {
            const auto failures = std::make_shared<std::atomic<int>>(1);
            auto tree = supervisor("office");
            tree.strategy(strategy).intensity(10, 1h);
            const auto clerk = tree.child<Clerk>("clerk", permanent(), &diary, "clerk");
            const auto dependent = tree.child<Dependent>("dependent", permanent(), clerk, failures);
            const auto office = system->block_on(system->start(std::move(tree)));
            ASSERT_TRUE(office) << office.error().message();
            EXPECT_EQ(system->block_on(office->ref(dependent).ask<&Dependent::answer>()), 2);

            failures->store(1);
            office->ref(dependent).tell<&Dependent::fail>();
            EXPECT_EQ(system->block_on(office->ref(dependent).ask<&Dependent::answer>()), 2);
        });
    }
}

// Goal: when that goes on and on, the tree's start fails, and says why.
TEST(Supervisor, GivesUpAStartInWhichThoseThatRunFailAgainAndAgain) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        const auto failures = std::make_shared<std::atomic<int>>(100);
        auto tree = supervisor("office");
        tree.strategy(Strategy::rest_for_one).intensity(2, 1h);
        const auto clerk = tree.child<Clerk>("clerk", permanent(), &diary, "clerk");
        tree.child<Dependent>("dependent", permanent(), clerk, failures);
        const auto office = system->block_on(system->start(std::move(tree)));
        ASSERT_FALSE(office);
        EXPECT_NE(office.error().message().find("child \"clerk\" of \"office\": negative"),
                  std::string::npos)
            << office.error().message();
    });
}

TEST(Backoff, IsWaitedOutAndMailWaitsAtTheSameAddress) {
    with_clock([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        tree.intensity(10, 1h);
        auto worker =
            tree.child<Clerk>("worker", permanent().backoff(100ms, 10s), &diary, "worker");
        const SupervisorRef running = start(system, std::move(tree));
        const Ref<Clerk> ref = running.ref(worker);
        Duration expected = 100ms;
        for (int i = 0; i < 9; ++i) {
            const Duration before = system->now();
            ref.tell<&Clerk::work>(-1);
            system.settle();
            EXPECT_EQ(system->info(ref.pid())->state, ActorState::restarting);
            const auto child = system->block_on(running.children())->front();
            EXPECT_EQ(child.state, ChildInfo::State::waiting);
            EXPECT_EQ(ref.tell<&Clerk::work>(1), SendStatus::sent);
            system.advance(expected * 8 / 10 - 1ms);
            EXPECT_EQ(system->info(ref.pid())->state, ActorState::restarting);
            system.advance(expected * 4 / 10 + 2ms);
            EXPECT_EQ(system->info(ref.pid())->state, ActorState::idle);
            EXPECT_GE(system->now() - before, expected * 8 / 10);
            expected = std::min<Duration>(expected * 2, 10s);
        }
        EXPECT_EQ(diary.count("+worker"), 10U);
    });
}

TEST(Backoff, BeginsAnewWhenTheActorHasLivedLongOrSaysThatItIsWell) {
    for (const bool says_so : {false, true}) {
        with_clock([=](OwnedSystem& system, Diary& diary) {
            auto tree = supervisor("app");
            tree.intensity(10, 1s);
            auto worker = tree.child<Clerk>("worker", permanent().backoff(1s, 1h).reset_after(5min),
                                            &diary, "worker");
            const SupervisorRef running = start(system, std::move(tree));
            const Ref<Clerk> ref = running.ref(worker);
            for (int i = 0; i < 5; ++i) {
                ref.tell<&Clerk::work>(-1);
                system.advance(40s);
            }
            // By now it would wait for 32 s.
            if (says_so) {
                ref.tell<&Clerk::healthy>();
            } else {
                system.advance(6min);
            }
            ref.tell<&Clerk::work>(-1);
            system.advance(1300ms);
            EXPECT_EQ(system->info(ref.pid())->state, ActorState::idle);
        });
    }
}

TEST(Backoff, CountsAsARestartWhenItHappens) {
    with_clock([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        // Failures at the same time, restarts far apart: one in the window at any time.
        tree.intensity(1, 4s);
        auto worker = tree.child<Clerk>("worker", permanent().backoff(10s, 10s).reset_after(1h),
                                        &diary, "worker");
        const SupervisorRef running = start(system, std::move(tree));
        for (int i = 0; i < 5; ++i) {
            running.ref(worker).tell<&Clerk::work>(-1);
            system.advance(12001ms);
        }
        EXPECT_EQ(diary.count("+worker"), 6U);
    });
}

TEST(Backoff, IsCutShortByTheEndOfTheTree) {
    with_clock([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        auto worker = tree.child<Clerk>("worker", permanent().backoff(1h, 1h), &diary, "worker");
        const SupervisorRef running = start(system, std::move(tree));
        running.ref(worker).tell<&Clerk::work>(-1);
        system.settle();
        EXPECT_EQ(running.ref(worker).tell<&Clerk::work>(1), SendStatus::sent);
        const Duration before = system->now();
        EXPECT_TRUE(system->block_on(running.stop()));
        system.settle();
        EXPECT_EQ(system->now(), before);
        EXPECT_EQ(running.ref(worker).tell<&Clerk::work>(1), SendStatus::gone);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 1U);
    });
}

TEST(Backoff, IsOverWhenASiblingsFailureRestartsAll) {
    with_clock([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        tree.one_for_all();
        auto slow = tree.child<Clerk>("slow", permanent().backoff(1h, 1h), &diary, "slow");
        auto quick = tree.child<Clerk>("quick", &diary, "quick");
        const SupervisorRef running = start(system, std::move(tree));
        running.ref(slow).tell<&Clerk::work>(-1);
        system.settle();
        running.ref(quick).tell<&Clerk::work>(-1);
        system.settle();
        EXPECT_EQ(system->block_on(running.ref(slow).ask<&Clerk::work>(1)), 2);
        system.advance(2h);
        EXPECT_EQ(diary.count("+slow"), 2U);
    });
}

// ---- shutdown -----------------------------------------------------------------------------------

/// Takes its time to end.
class Slow : public Actor {
public:
    Slow(Diary* diary, Duration time) : diary_(diary), time_(time) {}
    ~Slow() override { diary_->note("gone"); }

private:
    Task<void> on_stop(const ExitReason&) override {
        ignore(co_await sleep(time_), "it is over either way");
        diary_->note("in time");
    }
    Diary* diary_;
    Duration time_;
};

TEST(Supervisor, KillsAChildThatDoesNotEndInItsTime) {
    struct Time {
        ChildPolicy policy;
        Duration takes;
        Duration ends_after;
        bool in_time;
    };
    const Time times[] = {
        {permanent(), 4s, 4s, true},
        {permanent(), 6s, 5s, false},  // the default
        {permanent().shutdown(10s), 6s, 6s, true},
        {permanent().shutdown(10s), 11s, 10s, false},
        {permanent().shutdown(kForever), 24h, 24h, true},
        {permanent().shutdown(kBrutal), 1s, 0s, false},
    };
    for (const Time& time : times) {
        with_clock([&](OwnedSystem& system, Diary& diary) {
            auto tree = supervisor("app");
            tree.child<Slow>("slow", time.policy, &diary, time.takes);
            const SupervisorRef running = start(system, std::move(tree));
            const Duration before = system->now();
            EXPECT_TRUE(system->block_on(running.stop()));
            EXPECT_EQ(system->now() - before, time.ends_after);
            EXPECT_EQ(diary.lines(), time.in_time ? (Lines{"in time", "gone"}) : Lines{"gone"});
        });
    }
}

TEST(Supervisor, WaitsForANestedOneHoweverLongItTakes) {
    with_clock([](OwnedSystem& system, Diary& diary) {
        auto pool = supervisor("pool");
        for (const char* name : {"a", "b", "c"})
            pool.child<Slow>(name, permanent().shutdown(1min), &diary, 50s);
        auto tree = supervisor("app");
        tree.child(std::move(pool));
        const SupervisorRef running = start(system, std::move(tree));
        const Duration before = system->now();
        EXPECT_TRUE(system->block_on(running.stop()));
        EXPECT_EQ(system->now() - before, 150s);  // one after the other
        EXPECT_EQ(diary.count("in time"), 3U);
    });
}

TEST(Supervisor, AsksToEndIsHeardWhileAChildStarts) {
    class Waits : public Actor {
    public:
        Waits(Diary* diary, Gate* gate) : diary_(diary), gate_(gate) {}
        ~Waits() override { diary_->note("gone"); }

    private:
        Task<Result<void>> on_start() override {
            co_await gate_->pass();
            co_return Result<>();
        }
        Diary* diary_;
        Gate* gate_;
    };
    with_clock([](OwnedSystem& system, Diary& diary) {
        Gate gate;
        auto tree = supervisor("app");
        tree.child<Clerk>("worker", &diary, "worker");
        tree.child<Waits>("waits", permanent().shutdown(1s), &diary, &gate);
        class Starter : public Actor {
        public:
            explicit Starter(Diary* diary) : diary_(diary) {}
            Task<> start(std::shared_ptr<Supervisor> tree) {
                const auto started = co_await system().start(std::move(*tree));
                diary_->note(started ? "started" : "not started");
            }

        private:
            Diary* diary_;
        };
        const auto starter = system->spawn<Starter>(&diary);
        starter.tell<&Starter::start>(std::make_shared<Supervisor>(std::move(tree)));
        gate.wait_until_reached(system);
        system.stop();
        EXPECT_EQ(diary.count("gone"), 1U);
        EXPECT_EQ(diary.count("-worker"), 1U);
        EXPECT_EQ(diary.count("started"), 0U);
    });
}

/// Starts at once the first time, and waits at the gate the next.
class SlowToReturn : public Actor {
public:
    SlowToReturn(Diary* diary, Gate* gate) : diary_(diary), gate_(gate) { diary_->note("+slow"); }
    ~SlowToReturn() override { diary_->note("-slow"); }

private:
    Task<Result<void>> on_start() override {
        if (diary_->count("+slow") > 1) co_await gate_->pass();
        co_return Result<>();
    }
    Diary* diary_;
    Gate* gate_;
};

TEST(Supervisor, IsStoppedInTheMiddleOfARestartThatHangs) {
    with_clock([](OwnedSystem& system, Diary& diary) {
        Gate gate;
        auto tree = supervisor("app");
        tree.one_for_all();
        auto worker = tree.child<Clerk>("worker", &diary, "worker");
        tree.child<SlowToReturn>("slow", permanent().shutdown(2s), &diary, &gate);
        const SupervisorRef running = start(system, std::move(tree));
        running.ref(worker).tell<&Clerk::work>(-1);
        gate.wait_until_reached(system);
        const Duration before = system->now();
        EXPECT_TRUE(system->block_on(running.stop()));
        EXPECT_EQ(system->now() - before, 2s);
        EXPECT_EQ(diary.lines(), (Lines{"+worker", "+slow", "-worker", "-slow", "+worker", "+slow",
                                        "-slow", "-worker"}));
        EXPECT_TRUE(system->block_on(running.stop()));  // once more changes nothing
        system.stop();
    });
}

// ---- nested trees -------------------------------------------------------------------------------

TEST(Supervisor, ANestedOneThatGivesUpIsStartedAgainAndItsAddressesStay) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto pool = supervisor("pool");
        pool.intensity(0, 1s);
        pool.child<Clerk>("other", &diary, "other");
        auto worker = pool.child<Clerk>("worker", &diary, "worker");
        auto tree = supervisor("app");
        tree.child(std::move(pool));
        auto client = tree.child<Client>("client", &diary, worker);  // across levels
        const SupervisorRef running = start(system, std::move(tree));
        EXPECT_EQ(code(system->block_on(running.ref(client).ask<&Client::work>(-1)).error()),
                  Errc::failed);
        EXPECT_EQ(system->block_on(running.ref(client).ask<&Client::work>(1)), 2);
        EXPECT_EQ(system->block_on(running.ref(worker).ask<&Clerk::work>(2)), 3);
        EXPECT_TRUE(system->block_on(running.stop()));
        EXPECT_EQ(diary.lines(), (Lines{"+other", "+worker", "-worker", "-other", "+other",
                                        "+worker", "-worker", "-other"}));
        EXPECT_EQ(system->dead_letters().total(), 0U);
    });
}

TEST(Supervisor, AKilledNestedOneIsStartedAgainWithItsChildren) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto pool = supervisor("pool");
        auto worker = pool.child<Clerk>("worker", &diary, "worker");
        auto tree = supervisor("app");
        tree.child(std::move(pool));
        const SupervisorRef running = start(system, std::move(tree));
        const auto before = *system->block_on(running.children());
        ASSERT_EQ(before.size(), 2U);
        const Ref<Actor> nested = actor_internal::RefAccess::make<Actor>(
            *system->engine().find_cell(before[0].pid.slot), before[0].pid.generation, 0);
        EndWatch watch(system, nested);
        nested.stop(Stop::kill);
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::killed);
        while (diary.count("+worker") < 2) {
            ASSERT_TRUE(system->block_on(running.ref(worker).ask<&Clerk::work>(1)));
        }
        EXPECT_EQ(system->block_on(running.ref(worker).ask<&Clerk::work>(1)), 2);
        EXPECT_EQ(diary.count("+worker"), 2U);
    });
}

TEST(Supervisor, EscalatesWithTheWholeChainOfReasons) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto inner = supervisor("inner");
        inner.intensity(0, 1s);
        auto worker = inner.child<Clerk>("worker", &diary, "worker");
        auto outer = supervisor("outer");
        outer.intensity(0, 2s);
        outer.child(std::move(inner));
        auto tree = supervisor("app");
        tree.intensity(0, 3s);
        tree.child(std::move(outer));
        const SupervisorRef running = start(system, std::move(tree));
        EndWatch watch(system, running.actor());
        running.ref(worker).tell<&Clerk::work>(-1);
        const std::string text = watch.wait().reason.text();
        EXPECT_EQ(text,
                  "supervisor \"app\" has given up: more than 0 restarts within 3000 ms; child "
                  "\"outer\" ended last: supervisor \"app/outer\" has given up: more than 0 "
                  "restarts within 2000 ms; child \"inner\" ended last: supervisor "
                  "\"app/outer/inner\" has given up: more than 0 restarts within 1000 ms; child "
                  "\"worker\" ended last: negative");
        EXPECT_EQ(diary.lines(), (Lines{"+worker", "-worker"}));
    });
}

TEST(Supervisor, AnEscalationIsOneCrashReportHoweverHighItGoes) {
    class Listener : public Actor {
    public:
        explicit Listener(Diary* diary) : diary_(diary) {}
        int ping() const { return 1; }
        void crashed(CrashReport report) { diary_->note("report: " + report.reason); }

    private:
        Diary* diary_;
    };
    with_diary([](OwnedSystem& system, Diary& diary) {
        const auto listener = system->spawn<Listener>(&diary);
        system->on_crash<&Listener::crashed>(listener);
        auto inner = supervisor("inner");
        inner.intensity(0, 1s);
        auto worker = inner.child<Clerk>("worker", &diary, "worker");
        auto tree = supervisor("app");
        tree.intensity(0, 1s);
        tree.child(std::move(inner));
        const SupervisorRef running = start(system, std::move(tree));
        EndWatch watch(system, running.actor());
        running.ref(worker).tell<&Clerk::work>(-1);
        watch.wait();
        ASSERT_TRUE(system->block_on(listener.ask<&Listener::ping>()));
        EXPECT_EQ(diary.count("report: negative"), 1U);
        EXPECT_EQ(diary.lines().size(), 3U);
        EXPECT_EQ(system->crashes(), 1U);
    });
}

// ---- significant children -----------------------------------------------------------------------

TEST(Supervisor, EndsItselfWhenItsSignificantChildrenAreDone) {
    using Kind = ExitReason::Kind;
    for (const AutoShutdown when : {AutoShutdown::any_significant, AutoShutdown::all_significant}) {
        for (const Restart type : {Restart::transient, Restart::temporary}) {
            for (const Kind reason : {Kind::normal, Kind::shutdown, Kind::failed}) {
                with_diary(
                    [=](OwnedSystem& system, Diary& diary) {
                        auto tree = supervisor("app");
                        tree.auto_shutdown(when);
                        tree.child<Clerk>("plain", temporary(), &diary, "plain");
                        auto one = tree.child<Clerk>("one", ChildPolicy(type).significant(), &diary,
                                                     "one");
                        auto two = tree.child<Clerk>("two", ChildPolicy(type).significant(), &diary,
                                                     "two");
                        const SupervisorRef running = start(system, std::move(tree));
                        EndWatch watch(system, running.actor());
                        running.ref(one).stop(Stop::stop, ExitReason(reason));
                        const bool comes_back =
                            type == Restart::transient && reason == Kind::failed;
                        const bool any = when == AutoShutdown::any_significant;
                        if (comes_back || !any) {
                            // It goes on: another one must end as well.
                            EXPECT_EQ(system->block_on(running.ref(two).ask<&Clerk::work>(1)), 2);
                            if (comes_back) {
                                while (diary.count("+one") < 2)
                                    ASSERT_TRUE(system->block_on(running.count()));
                                running.ref(one).stop();
                            }
                            if (!any) running.ref(two).stop();
                        }
                        EXPECT_EQ(watch.wait().reason.kind(), Kind::shutdown);
                        EXPECT_EQ(diary.count("-plain"), 1U);
                    },
                    10);
            }
        }
    }
}

TEST(Supervisor, AChildThatIsNotSignificantEndsOnlyItself) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        tree.auto_shutdown(AutoShutdown::any_significant);
        auto plain = tree.child<Clerk>("plain", temporary(), &diary, "plain");
        auto main = tree.child<Clerk>("main", transient().significant(), &diary, "main");
        const SupervisorRef running = start(system, std::move(tree));
        EndWatch watch(system, running.ref(plain));
        running.ref(plain).stop();
        watch.wait();
        EXPECT_EQ(system->block_on(running.ref(main).ask<&Clerk::work>(1)), 2);
        EXPECT_EQ(system->block_on(running.count())->running, 1U);
    });
}

// ---- poison -------------------------------------------------------------------------------------

/// Fails with a message so often.
class Picky : public Actor {
public:
    Picky(Diary* diary, std::size_t failures) : diary_(diary), failures_(failures) {}
    int copied(int n) { return handle("copied", n); }
    Task<int> waited(const std::string& text, int n) {
        ignore(co_await sleep(1ms), "a test");
        co_return handle(text.c_str(), n);
    }
    void moved(std::string text) { handle(std::string(std::move(text)).c_str(), 0); }

private:
    int handle(const char* what, int n) {
        diary_->note(what);
        if (diary_->count(what) <= failures_) throw std::runtime_error("picky");
        return n;
    }
    Diary* diary_;
    std::size_t failures_;
};

TEST(Poison, AMessageIsTriedAgainByTheNextIncarnationAndItsAskerWaits) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        auto picky = tree.child<Picky>("picky", permanent().poison_after(3), &diary, 2U);
        const SupervisorRef running = start(system, std::move(tree));
        running.ref(picky).tell<&Picky::copied>(1);
        EXPECT_EQ(system->block_on(running.ref(picky).ask<&Picky::copied>(5)), 5);
        EXPECT_EQ(diary.lines(), (Lines{"copied", "copied", "copied", "copied"}));
        EXPECT_EQ(system->info(running.ref(picky).pid())->incarnation, 3U);
        EXPECT_EQ(system->info(running.ref(picky).pid())->mailbox_depth, 0U);
        EXPECT_EQ(system->dead_letters().total(), 0U);
    });
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        auto picky = tree.child<Picky>("picky", permanent().poison_after(3), &diary, 2U);
        const SupervisorRef running = start(system, std::move(tree));
        EXPECT_EQ(system->block_on(running.ref(picky).ask<&Picky::waited>("kept", 7)), 7);
        EXPECT_EQ(diary.lines(), (Lines{"kept", "kept", "kept"}));
    });
}

TEST(Poison, AMessageThatKeepsKillingIsADeadLetterAndItsAskerHears) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        tree.intensity(10, 1h);
        auto picky = tree.child<Picky>("picky", permanent().poison_after(3), &diary, 100U);
        const SupervisorRef running = start(system, std::move(tree));
        const auto failed = system->block_on(running.ref(picky).ask<&Picky::copied>(1));
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error(), Errc::failed);
        EXPECT_EQ(diary.count("copied"), 3U);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::poison], 1U);
        // The next one has three lives of its own.
        EXPECT_FALSE(system->block_on(running.ref(picky).ask<&Picky::copied>(1)));
        EXPECT_EQ(diary.count("copied"), 6U);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::poison], 2U);
    });
}

TEST(Poison, AMessageWhoseArgumentsWereMovedAwayIsNotTriedAgain) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        auto picky = tree.child<Picky>("picky", permanent().poison_after(3), &diary, 1U);
        const SupervisorRef running = start(system, std::move(tree));
        EXPECT_FALSE(system->block_on(running.ref(picky).ask<&Picky::moved>("gone")));
        EXPECT_EQ(system->block_on(running.ref(picky).ask<&Picky::copied>(1)), 1);
        EXPECT_EQ(diary.count("gone"), 1U);
    });
}

TEST(Poison, AMessageThatWaitsForItsNextTryEndsWithTheAddress) {
    with_clock([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        auto picky =
            tree.child<Picky>("picky", permanent().poison_after(3).backoff(1h, 1h), &diary, 100U);
        const SupervisorRef running = start(system, std::move(tree));
        running.ref(picky).tell<&Picky::copied>(1);
        system.settle();
        EXPECT_EQ(diary.count("copied"), 1U);
        EXPECT_TRUE(system->block_on(running.stop()));
        system.settle();
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 1U);
    });
}

// ---- names and questions ------------------------------------------------------------------------

inline constexpr Name<Clerk> kTheWorker{"the worker"};

TEST(Supervisor, ANameStaysBoundOverARestartAndIsFreeAfterTheEnd) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto tree = supervisor("app");
        auto worker = tree.child<Clerk>("worker", permanent(), named(kTheWorker), &diary, "worker");
        const SupervisorRef running = start(system, std::move(tree));
        const Result<Ref<Clerk>> found = system->find(kTheWorker);
        ASSERT_TRUE(found);
        EXPECT_EQ(*found, running.ref(worker));
        EndWatch watch(system, *found);
        found->tell<&Clerk::work>(-1);
        watch.wait();
        EXPECT_EQ(*system->find(kTheWorker), *found);
        EXPECT_EQ(system->block_on(found->ask<&Clerk::work>(1)), 2);
        EXPECT_TRUE(system->block_on(running.stop()));
        EXPECT_EQ(system->find(kTheWorker).error(), Errc::not_found);
    });
}

TEST(Supervisor, ANameThatIsTakenFailsTheStart) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        const auto holder = system->spawn<Clerk>(named(kTheWorker), &diary, "holder");
        auto tree = supervisor("app");
        tree.child<Clerk>("a", &diary, "a");
        tree.child<Clerk>("worker", permanent(), named(kTheWorker), &diary, "worker");
        const auto running = system->block_on(system->start(std::move(tree)));
        ASSERT_FALSE(running);
        EXPECT_NE(running.error().text().find("child \"worker\" of \"app\": the name the worker "
                                              "belongs to " +
                                              to_string(holder.pid())),
                  std::string::npos)
            << running.error().text();
        EXPECT_EQ(diary.lines(), Lines{"+holder"});
        holder.stop();
    });
}

/// Looks the worker up while it may be failing, and asks whom it finds.
class Finder : public Actor {
public:
    explicit Finder(Diary* diary) : diary_(diary) {}
    Task<> find() {
        const Result<Ref<Clerk>> found = system().find(kTheWorker);
        if (!found) {
            diary_->note("nobody");
            co_return;
        }
        const auto answer = co_await found->ask<&Clerk::work>(1);
        diary_->note(answer ? "answered" : answer.error().message());
    }

private:
    Diary* diary_;
};

TEST(Supervisor, ALookUpFindsTheAddressInWhateverOrderItMeetsARestart) {
    for (const bool stops : {false, true}) {
        const Exploration walked =
            actor_internal::on_all_schedules(20'000, [=](OwnedSystem& system) {
                Diary diary;
                auto tree = supervisor("app");
                auto worker =
                    tree.child<Clerk>("worker", permanent(), named(kTheWorker), &diary, "worker");
                const SupervisorRef running = start(system, std::move(tree));
                running.ref(worker).tell<&Clerk::work>(-1);
                system->spawn<Finder>(&diary).tell<&Finder::find>();
                if (stops) running.actor().stop();
                system.settle();
                if (stops) {
                    // Whom it has found may have ended since; then it hears that, once.
                    EXPECT_EQ(diary.lines().size(),
                              diary.count("+worker") + diary.count("-worker") + 1);
                    EXPECT_EQ(system->find(kTheWorker).error(), Errc::not_found);
                } else {
                    EXPECT_EQ(diary.count("answered"), 1U);
                    EXPECT_EQ(*system->find(kTheWorker), running.ref(worker));
                }
                system.stop();
            });
        EXPECT_GT(walked.runs, 1U);
    }
}

TEST(Supervisor, ListsAndCountsItsChildrenAndThoseBelow) {
    with_diary([](OwnedSystem& system, Diary& diary) {
        auto pool = supervisor("pool");
        pool.child<Clerk>("one", &diary, "one");
        auto two = pool.child<Clerk>("two", temporary(), &diary, "two");
        auto tree = supervisor("app");
        tree.intensity(7, 5s);
        auto a = tree.child<Clerk>("a", transient(), &diary, "a");
        tree.child(std::move(pool));
        const SupervisorRef running = start(system, std::move(tree));
        running.ref(a).tell<&Clerk::work>(-1);
        EXPECT_EQ(system->block_on(running.ref(a).ask<&Clerk::work>(1)), 2);
        EndWatch watch(system, running.ref(two));
        running.ref(two).stop();
        watch.wait();

        const auto children = system->block_on(running.children());
        ASSERT_TRUE(children);
        ASSERT_EQ(children->size(), 4U);
        const ChildInfo& first = children->at(0);
        EXPECT_EQ(first.path, "app/a");
        EXPECT_EQ(first.pid, running.ref(a).pid());
        EXPECT_EQ(first.restart, Restart::transient);
        EXPECT_EQ(first.restarts, 1U);
        EXPECT_EQ(first.restarts_left, 6U);
        EXPECT_EQ(first.last_end, "negative");
        EXPECT_EQ(first.state, ChildInfo::State::running);
        EXPECT_EQ(children->at(1).path, "app/pool");
        EXPECT_TRUE(children->at(1).is_supervisor);
        EXPECT_EQ(children->at(2).path, "app/pool/one");
        EXPECT_EQ(children->at(3).path, "app/pool/two");
        EXPECT_EQ(children->at(3).state, ChildInfo::State::down);
        const auto counts = system->block_on(running.count());
        EXPECT_EQ(counts->all, 4U);
        EXPECT_EQ(counts->running, 3U);
        EXPECT_EQ(counts->supervisors, 1U);
        EXPECT_EQ(counts->workers, 3U);
    });
}

TEST(Supervisor, IsReadyWhileEnoughOfItsChildrenAreHealthy) {
    with_clock([](OwnedSystem& system, Diary& diary) {
        auto pool = supervisor("pool");
        pool.min_healthy(2).intensity(10, 1h);
        std::vector<Child<Clerk>> workers;
        for (const char* name : {"a", "b", "c"}) {
            workers.push_back(pool.child<Clerk>(name, permanent().backoff(10s, 10s), &diary, name));
        }
        auto tree = supervisor("app");
        tree.child(std::move(pool));
        const SupervisorRef running = start(system, std::move(tree));
        EXPECT_TRUE(system->block_on(running.readiness())->ready);
        running.ref(workers[0]).tell<&Clerk::work>(-1);
        system.settle();
        EXPECT_TRUE(system->block_on(running.readiness())->ready);
        running.ref(workers[2]).tell<&Clerk::work>(-1);
        system.settle();
        const auto not_ready = system->block_on(running.readiness());
        EXPECT_FALSE(not_ready->ready);
        EXPECT_EQ(not_ready->missing, Lines{"app/pool: 1 healthy of at least 2"});
        system.advance(13s);
        EXPECT_TRUE(system->block_on(running.readiness())->ready);
    });
}

}  // namespace
}  // namespace troupe
