// What one life of a supervised actor leaves to the next, and what it does not: name, mail and
// address stay; timers, groups, monitors, links and answers belong to the life that asked for them.

#include <troupe/actor/group.hpp>
#include <troupe/actor/internal/test_diary.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/properties.hpp>
#include <troupe/actor/stash.hpp>
#include <troupe/actor/supervisor.hpp>

#include <gtest/gtest.h>

#include <algorithm>
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
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;

using Lines = std::vector<std::string>;

class Neighbour : public Actor {
public:
    explicit Neighbour(Diary* diary) : diary_(diary) {}
    void trap() { trap_exits<&Neighbour::exit>(); }
    Task<int> answer_slowly(Duration after) {
        ignore(co_await sleep(after), "a test");
        co_return 42;
    }
    void fail() { throw std::runtime_error("the neighbour"); }
    int ping() const { return 1; }

private:
    void exit(Exit exit) { diary_->note("neighbour heard: " + exit.reason.text()); }
    Diary* diary_;
};

inline constexpr Name<class Phoenix> kPhoenix{"phoenix"};

/// Does one thing after the other in a life, and says in which life it hears of it.
class Phoenix : public Actor {
public:
    explicit Phoenix(Diary* diary) : diary_(diary), life_(diary->next_life()) {}

    void fail() { throw std::runtime_error("burnt"); }
    int life() const { return life_; }

    void set_timers(Duration after_that) {
        after<&Phoenix::tick>(after_that, "after");
        every<&Phoenix::tick>(after_that, "every");
        after<&Phoenix::tick>(TimerKey("key"), after_that, "key");
        on_idle<&Phoenix::tick>(after_that, "idle");
    }
    void join() {
        Group<Phoenix>(system(), "birds").join(self(this));
        Properties<Phoenix, int>(system(), "birds").add(self(this), "life", life_);
    }
    void watch(Ref<Neighbour> neighbour) { monitor<&Phoenix::down>(neighbour); }
    void be_linked(Ref<Neighbour> neighbour) { link(neighbour); }
    void trap() { trap_exits<&Phoenix::exit>(); }
    Task<> ask(Ref<Neighbour> neighbour, Duration wait) {
        const auto answer = co_await neighbour.ask<&Neighbour::answer_slowly>(wait);
        note(answer ? "answered" : "not answered");
    }
    void ask_by_pipe(Ref<Neighbour> neighbour, Duration wait) {
        neighbour.ask<&Neighbour::answer_slowly>(wait).pipe_to<&Phoenix::answered>(self(this));
    }
    Reply<int> keep(int n) {
        if (life_ == 1) return stash_.keep<&Phoenix::keep>(n);
        note("kept " + std::to_string(n));
        return n;
    }
    std::size_t kept() const { return stash_.size(); }

private:
    void tick(const std::string& which) { note("tick " + which); }
    void down(Down down) { note("down: " + down.reason.text()); }
    void exit(Exit exit) { note("exit: " + exit.reason.text()); }
    void answered(Result<int> answer) { note(answer ? "piped" : "not piped"); }
    void note(const std::string& what) {
        diary_->note("life " + std::to_string(life_) + ": " + what);
    }
    Diary* diary_;
    int life_;
    Stash stash_{this, 10};
};

/// A tree of one phoenix with a name, whose actors' diary outlives them.
struct Nest {
    explicit Nest(OwnedSystem& the_system, ChildPolicy policy = permanent()) : system(the_system) {
        auto tree = supervisor("nest");
        tree.intensity(100, 1s);
        auto token = tree.child<Phoenix>("phoenix", policy, named(kPhoenix), &diary);
        Result<SupervisorRef> started = system->block_on(system->start(std::move(tree)));
        EXPECT_TRUE(started);
        running = std::make_unique<SupervisorRef>(*started);
        phoenix = running->ref(token);
    }
    ~Nest() { system.stop(); }
    Nest(const Nest&) = delete;
    Nest& operator=(const Nest&) = delete;

    /// Ends this life, and is back when the next one has begun to handle mail.
    void burn() {
        phoenix.tell<&Phoenix::fail>();
        EXPECT_TRUE(system->block_on(phoenix.ask<&Phoenix::life>()));
    }

    OwnedSystem& system;
    Diary diary;
    std::unique_ptr<SupervisorRef> running;
    Ref<Phoenix> phoenix;
};

/// What can be seen of an actor between two turns.
ActorInfo look_at_rest(OwnedSystem& system, Pid pid) {
    if (system->engine().deterministic()) system.settle();
    for (;;) {
        const auto info = system->info(pid);
        if (info && info->complete) return *info;
    }
}

// ---- timers -------------------------------------------------------------------------------------

TEST(NextLife, HearsNoTickOfTheLifeBefore) {
    // Ticks of the first life are on the clock, on their way or in the mailbox when it ends.
    for (const Duration due : {Duration(0), Duration(1ms), Duration(1h)}) {
        on_both_engines(
            [=](OwnedSystem& system) {
                Nest nest(system);
                nest.phoenix.tell<&Phoenix::set_timers>(due);
                nest.burn();
                if (system->engine().deterministic()) system.advance(2h);
                EXPECT_EQ(system->block_on(nest.phoenix.ask<&Phoenix::life>()), 2);
                for (const std::string& line : nest.diary.lines())
                    EXPECT_TRUE(line.starts_with("life 1: ")) << line;
            },
            30);
    }
}

TEST(NextLifeEverySchedule, HearsNoTickOfTheLifeBeforeHoweverTheyMeet) {
    const auto walked = on_all_schedules(20'000, [](OwnedSystem& system) {
        Nest nest(system);
        nest.phoenix.tell<&Phoenix::set_timers>(Duration(1ms));
        system.advance(1ms);
        nest.phoenix.tell<&Phoenix::fail>();
        system.settle();
        system.advance(10ms);
        for (const std::string& line : nest.diary.lines())
            EXPECT_TRUE(line.starts_with("life 1: ")) << line;
    });
    EXPECT_GT(walked.runs, 1U);
}

// ---- groups -------------------------------------------------------------------------------------

/// Keeps a picture of the group from its changes alone, and notes each.
class BirdWatcher : public Actor {
public:
    explicit BirdWatcher(Diary* diary) : diary_(diary) {
        Group<Phoenix>(system(), "birds").watch<&BirdWatcher::changed>(self(this));
    }
    int ping() const { return 1; }

private:
    void changed(GroupChange<Phoenix> change) { diary_->note(change.joined ? "joined" : "left"); }
    Diary* diary_;
};

TEST(NextLife, IsInNoGroupUntilItJoinsItself) {
    on_both_engines([](OwnedSystem& system) {
        Nest nest(system);
        const Group<Phoenix> birds(*system, "birds");
        const Properties<Phoenix, int> lives(*system, "birds");
        const auto watcher = system->spawn<BirdWatcher>(&nest.diary);
        ASSERT_TRUE(system->block_on(watcher.ask<&BirdWatcher::ping>()));
        ASSERT_TRUE(system->block_on(nest.phoenix.ask<&Phoenix::join>()).has_value());
        EXPECT_EQ(birds.members().size(), 1U);

        EndWatch watch(system, nest.phoenix);
        nest.phoenix.tell<&Phoenix::fail>();
        watch.wait();
        EXPECT_TRUE(birds.members().empty()) << "whoever hears of the end finds the group left";
        nest.burn();
        EXPECT_TRUE(birds.members().empty());

        ASSERT_TRUE(system->block_on(nest.phoenix.ask<&Phoenix::join>()).has_value());
        EXPECT_EQ(birds.members(), std::vector<Ref<Phoenix>>{nest.phoenix});
        int value = 0;
        lives.dispatch("life", [&](Ref<Phoenix>, const int& life) { value = life; });
        EXPECT_EQ(value, 3);
        ASSERT_TRUE(system->block_on(watcher.ask<&BirdWatcher::ping>()));
        EXPECT_EQ(nest.diary.lines(), (Lines{"joined", "left", "joined"}));
    });
}

// ---- monitors, links and answers ----------------------------------------------------------------

TEST(NextLife, MonitorsOfAnActorFireAtEachOfItsDeathsOnceEach) {
    on_both_engines([](OwnedSystem& system) {
        Nest nest(system);
        for (std::uint32_t life = 1; life <= 3; ++life) {
            EndWatch one(system, nest.phoenix);
            EndWatch two(system, nest.phoenix);
            ASSERT_EQ(system->block_on(nest.phoenix.ask<&Phoenix::life>()), static_cast<int>(life));
            nest.phoenix.tell<&Phoenix::fail>();
            for (EndWatch* const watch : {&one, &two}) {
                const Down down = watch->wait();
                EXPECT_EQ(down.pid, nest.phoenix.pid());
                EXPECT_EQ(down.incarnation, life);
                EXPECT_EQ(down.reason.text(), "burnt");
            }
            ASSERT_TRUE(system->block_on(nest.phoenix.ask<&Phoenix::life>()));
            EXPECT_EQ(look_at_rest(system, nest.phoenix.pid()).monitors, 0U);
        }
    });
}

TEST(NextLife, HearsNoNewsThatTheLifeBeforeAskedFor) {
    on_both_engines([](OwnedSystem& system) {
        Nest nest(system);
        const auto neighbour = system->spawn<Neighbour>(&nest.diary);
        nest.phoenix.tell<&Phoenix::watch>(neighbour);
        nest.burn();
        // A monitor of this life has the place of the old one, and is another all the same.
        const auto other = system->spawn<Neighbour>(&nest.diary);
        nest.phoenix.tell<&Phoenix::watch>(other);
        ASSERT_TRUE(system->block_on(nest.phoenix.ask<&Phoenix::life>()));
        EndWatch watch(system, neighbour);
        neighbour.tell<&Neighbour::fail>();
        watch.wait();
        ASSERT_TRUE(system->block_on(nest.phoenix.ask<&Phoenix::life>()));
        EXPECT_TRUE(nest.diary.lines().empty());
        EXPECT_EQ(look_at_rest(system, nest.phoenix.pid()).watched, 1U);
    });
}

TEST(NextLifeEverySchedule, HearsNoNewsOfTheLifeBeforeHoweverTheyMeet) {
    const auto walked = on_all_schedules(20'000, [](OwnedSystem& system) {
        Nest nest(system);
        const auto neighbour = system->spawn<Neighbour>(&nest.diary);
        nest.phoenix.tell<&Phoenix::watch>(neighbour);
        nest.phoenix.tell<&Phoenix::fail>();
        neighbour.tell<&Neighbour::fail>();
        system.settle();
        const Lines lines = nest.diary.lines();
        ASSERT_LE(lines.size(), 1U);
        // noproc when it had ended before it was watched.
        for (const std::string& line : lines)
            EXPECT_TRUE(line.starts_with("life 1: down: ")) << line;
        EXPECT_EQ(look_at_rest(system, nest.phoenix.pid()).watched, 0U);
    });
    EXPECT_GT(walked.runs, 1U);
}

TEST(NextLife, HasNoLinksOfTheLifeBeforeAndDecidesAnewAboutTrapping) {
    on_both_engines([](OwnedSystem& system) {
        Nest nest(system);
        const auto neighbour = system->spawn<Neighbour>(&nest.diary);
        ASSERT_TRUE(system->block_on(neighbour.ask<&Neighbour::trap>()).has_value());
        nest.phoenix.tell<&Phoenix::trap>();
        nest.phoenix.tell<&Phoenix::be_linked>(neighbour);
        nest.burn();
        ASSERT_EQ(system->block_on(neighbour.ask<&Neighbour::ping>()), 1);
        EXPECT_EQ(nest.diary.lines(), Lines{"neighbour heard: burnt"});
        EXPECT_EQ(look_at_rest(system, nest.phoenix.pid()).links, 0U);

        // It does not trap any more: an exit ends this life as well.
        nest.phoenix.tell<&Phoenix::be_linked>(neighbour);
        ASSERT_EQ(system->block_on(nest.phoenix.ask<&Phoenix::life>()), 2);
        EndWatch watch(system, nest.phoenix);
        neighbour.tell<&Neighbour::fail>();
        EXPECT_EQ(watch.wait().reason.text(), "the neighbour");
        EXPECT_EQ(system->block_on(nest.phoenix.ask<&Phoenix::life>()), 3);
        EXPECT_EQ(nest.diary.lines(), Lines{"neighbour heard: burnt"});
    });
}

TEST(NextLife, GetsNoAnswerThatTheLifeBeforeWaitedFor) {
    on_seeds(50, [](OwnedSystem& system) {
        Nest nest(system);
        const auto neighbour = system->spawn<Neighbour>(&nest.diary);
        nest.phoenix.tell<&Phoenix::ask_by_pipe>(neighbour, Duration(1s));
        nest.phoenix.tell<&Phoenix::ask>(neighbour, Duration(1s));
        system.advance(100ms);
        nest.phoenix.stop(Stop::kill);
        system.settle();
        // The next life waits itself when the answers to the old questions come.
        nest.phoenix.tell<&Phoenix::ask>(neighbour, Duration(1s));
        system.advance(10s);
        EXPECT_EQ(nest.diary.lines(), Lines{"life 2: answered"});
    });
}

// ---- mail ---------------------------------------------------------------------------------------

class Asker : public Actor {
public:
    explicit Asker(Diary* diary) : diary_(diary) {}
    Task<> ask(Ref<Phoenix> phoenix, int n) {
        const auto answer = co_await phoenix.ask<&Phoenix::keep>(n);
        diary_->note(answer ? "answered " + std::to_string(*answer) : answer.error().message());
    }
    bool done() const { return true; }

private:
    Diary* diary_;
};

TEST(NextLife, HandlesWhatTheLifeBeforeHadPutOff) {
    on_both_engines([](OwnedSystem& system) {
        Nest nest(system);
        std::vector<Ref<Asker>> askers;
        for (const int n : {1, 2}) {
            askers.push_back(system->spawn<Asker>(&nest.diary));
            askers.back().tell<&Asker::ask>(nest.phoenix, n);
            std::size_t kept = 0;
            while (kept < static_cast<std::size_t>(n))
                kept = *system->block_on(nest.phoenix.ask<&Phoenix::kept>());
        }
        nest.phoenix.tell<&Phoenix::fail>();
        for (const Ref<Asker>& asker : askers)
            ASSERT_TRUE(system->block_on(asker.ask<&Asker::done>()));
        EXPECT_EQ(nest.diary.count("life 2: kept 1"), 1U);
        EXPECT_EQ(nest.diary.count("life 2: kept 2"), 1U);
        EXPECT_EQ(nest.diary.count("answered 1"), 1U) << "its asker waits on over the restart";
        EXPECT_EQ(nest.diary.count("answered 2"), 1U);
    });
    on_seeds(50, [](OwnedSystem& system) {
        Nest nest(system);
        for (const int n : {1, 2, 3})
            nest.phoenix.tell<&Phoenix::keep>(n);
        nest.phoenix.tell<&Phoenix::fail>();
        nest.phoenix.tell<&Phoenix::keep>(4);
        system.settle();
        EXPECT_EQ(nest.diary.lines(),
                  (Lines{"life 2: kept 1", "life 2: kept 2", "life 2: kept 3", "life 2: kept 4"}));
        EXPECT_EQ(system->dead_letters().total(), 0U);
    });
}

// ---- names --------------------------------------------------------------------------------------

/// Wants the name for itself, and looks it up.
class Cuckoo : public Actor {
public:
    explicit Cuckoo(Diary* diary) : diary_(diary) {}
    Task<> claim() {
        const auto claimed = co_await system().start<Phoenix>(named(kPhoenix), diary_);
        if (claimed) {
            diary_->note("claimed");
            claimed->stop();
        } else if (claimed.error() == Errc::already_registered) {
            const auto found = system().find(kPhoenix);
            diary_->note(found && name_holder(claimed.error()) == found->pid() ? "refused"
                                                                               : "refused, free");
        } else {
            diary_->note(claimed.error().message());
        }
    }

private:
    Diary* diary_;
};

TEST(NextLifeEverySchedule, HasTheNameAllTheWhileAndNobodyTakesIt) {
    for (const Stop strength : {Stop::stop, Stop::kill}) {
        const auto walked = on_all_schedules(20'000, [=](OwnedSystem& system) {
            Nest nest(system);
            nest.phoenix.stop(strength);
            system->spawn<Cuckoo>(&nest.diary).tell<&Cuckoo::claim>();
            system.settle();
            EXPECT_EQ(nest.diary.lines(), Lines{"refused"});
            EXPECT_EQ(system->find(kPhoenix), nest.phoenix);
        });
        EXPECT_TRUE(walked.exhaustive);
        EXPECT_GT(walked.distinct, 1U);
    }
}

TEST(NextLifeEverySchedule, ANameIsFreeForOthersOnceItsActorHasEndedForGoodAndNoSooner) {
    bool claimed = false;
    bool refused = false;
    const auto walked = on_all_schedules(20'000, [&](OwnedSystem& system) {
        Nest nest(system, transient());
        nest.phoenix.stop();  // it is done: nobody starts it again
        system->spawn<Cuckoo>(&nest.diary).tell<&Cuckoo::claim>();
        system.settle();
        const Lines lines = nest.diary.lines();
        ASSERT_EQ(lines.size(), 1U);
        claimed = claimed || lines[0] == "claimed";
        refused = refused || lines[0] != "claimed";
        EXPECT_EQ(system->find(kPhoenix).error(), Errc::not_found);
    });
    EXPECT_TRUE(walked.exhaustive);
    EXPECT_TRUE(claimed);
    EXPECT_TRUE(refused);
}

TEST(NextLifeEverySchedule, OfAGroupThatIsStartedAgainKeepsEveryNameWhileOthersLook) {
    for (const Strategy strategy : {Strategy::one_for_all, Strategy::rest_for_one}) {
        const auto walked = on_all_schedules(10'000, [=](OwnedSystem& system) {
            Diary diary;
            auto tree = supervisor("nest");
            tree.strategy(strategy).intensity(100, 1s);
            auto first = tree.child<Neighbour>("first", &diary);
            auto phoenix = tree.child<Phoenix>("phoenix", permanent(), named(kPhoenix), &diary);
            const auto running = system->block_on(system->start(std::move(tree)));
            ASSERT_TRUE(running);
            running->ref(first).tell<&Neighbour::fail>();
            system->spawn<Cuckoo>(&diary).tell<&Cuckoo::claim>();
            system.settle();
            EXPECT_EQ(diary.lines(), Lines{"refused"});
            EXPECT_EQ(system->find(kPhoenix), running->ref(phoenix));
            EXPECT_EQ(system->block_on(running->ref(phoenix).ask<&Phoenix::life>()), 2);
            system.stop();
        });
        EXPECT_GT(walked.runs, 1U);
    }
}

}  // namespace
}  // namespace troupe
