#include <troupe/actor/internal/supervised.hpp>
#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::actor_internal {
namespace {

using namespace std::chrono_literals;

/// What the tests' keeper has heard, and what its child remembers over its lives.
struct Notes {
    std::vector<std::string> life;  // what the child did
    std::vector<std::string> news;  // what the keeper heard
    int ends_wanted = 1;
    Latch ended;    // so many ends of the child have been heard
    Latch stopped;  // the child is gone for good
    int lives = 0;
    Ref<Actor> grandchild;
};

class Grandchild : public Actor {};

/// Fails in whatever way it is told to.
class Frail : public Actor {
public:
    enum class Start : std::uint8_t { fine, throws, fails, waits };
    Frail(Notes* notes, Start later, std::shared_ptr<Gate> gate) : notes_(notes), gate_(gate) {
        ++notes_->lives;
        if (notes_->lives > 1) start_ = later;
        notes_->grandchild = spawn<Grandchild>();
        if (start_ == Start::throws) throw std::runtime_error("no constructor");
    }
    ~Frail() override { notes_->life.emplace_back("destroyed"); }
    int note(int n) {
        if (n < 0) {
            notes_->life.emplace_back("failed");
            throw std::runtime_error("negative");
        }
        notes_->life.push_back(std::to_string(n));
        return ++handled_;
    }
    Task<> wait() { co_await gate_->pass(); }
    Task<> wait_and_fail() {
        co_await gate_->pass();
        throw std::runtime_error("late");
    }
    int life() const { return notes_->lives; }

private:
    Task<Result<void>> on_start() override {
        if (start_ == Start::waits) co_await gate_->pass();
        if (start_ == Start::fails) co_return error(Errc::not_found, "no file");
        co_return Result<>();
    }
    Notes* notes_;
    std::shared_ptr<Gate> gate_;
    Start start_ = Start::fine;
    int handled_ = 0;
};

struct FrailBlueprint : Blueprint {
    FrailBlueprint(Notes* the_notes, Frail::Start how, std::shared_ptr<Gate> the_gate)
        : notes(the_notes), start(how), gate(std::move(the_gate)) {}
    void build(void* object) const override { ::new (object) Frail(notes, start, gate); }
    Notes* notes;
    Frail::Start start;
    std::shared_ptr<Gate> gate;
};

struct Setting {
    Restart restart = Restart::permanent;
    Frail::Start start = Frail::Start::fine;  // of all lives but the first
    int restarts = 1;                         // how often the keeper orders another life
    MailboxOptions mailbox = bounded(kMailboxDefault);
    std::shared_ptr<Gate> gate = std::make_shared<Gate>();
};

/// A supervisor that knows nothing but one child.
class TestKeeper : public Keeper {
public:
    TestKeeper(Setting setting, Notes* notes) : setting_(std::move(setting)), notes_(notes) {
        auto supervised = std::make_unique<Supervised>();
        supervised->blueprint =
            std::make_shared<FrailBlueprint>(notes_, setting_.start, setting_.gate);
        supervised->restart = setting_.restart;
        supervised->outlives_keeper = true;
        child_ = *take_address(*RefAccess::cell(self(this)), kActorType<Frail>,
                               options().mailbox(setting_.mailbox).settings(), {},
                               std::move(supervised));
        generation_ = child_->generation();
        open_address(*child_);
    }
    Ref<Frail> child() const { return RefAccess::make<Frail>(*child_, generation_, 0); }
    void start() { order_ = post_start_order(*child_, generation_, 7); }
    void stop_child(After after) {
        post_stop(child_, generation_, Stop::stop, ExitReason(ExitReason::Kind::shutdown), after);
    }

private:
    bool child_started(const StartedNews& news) override {
        EXPECT_EQ(news.child, 7U);
        EXPECT_EQ(news.number, order_);
        notes_->news.emplace_back("started");
        return false;
    }
    bool child_ended(const StartOrder& news) override {
        EXPECT_EQ(news.child, 7U);
        EXPECT_EQ(news.number, order_);
        notes_->news.push_back((news.was_started ? "ended: " : "not started: ") +
                               news.reason.text());
        if (--notes_->ends_wanted == 0) notes_->ended.open();
        if (news.address_ended) notes_->stopped.open();
        if (!news.address_ended && setting_.restarts-- > 0) start();
        return false;
    }
    Setting setting_;
    Notes* notes_;
    Cell* child_ = nullptr;
    std::uint32_t generation_ = 0;
    std::uint64_t order_ = 0;
};

struct Family {
    Family(OwnedSystem& the_system, Setting setting, Notes& notes)
        : system(the_system), keeper(system->spawn<TestKeeper>(std::move(setting), &notes)) {
        child = *system->block_on(keeper.ask<&TestKeeper::child>());
    }
    /// The notes are used to the very end.
    ~Family() { system.stop(); }
    Family(const Family&) = delete;
    Family& operator=(const Family&) = delete;

    OwnedSystem& system;
    Ref<TestKeeper> keeper;
    Ref<Frail> child;
};

using Lines = std::vector<std::string>;

TEST(VacantAddress, TakesMailThatWaitsForTheFirstStart) {
    on_both_engines([](OwnedSystem& system) {
        Notes notes;
        Family family(system, {}, notes);
        EXPECT_EQ(family.child.tell<&Frail::note>(1), SendStatus::sent);
        EXPECT_EQ(system->info(family.child.pid())->state, ActorState::restarting);
        EXPECT_EQ(system->info(family.child.pid())->incarnation, 0U);
        family.keeper.tell<&TestKeeper::start>();
        EXPECT_EQ(system->block_on(family.child.ask<&Frail::note>(2)), 2);
        EXPECT_EQ(system->info(family.child.pid())->incarnation, 1U);
        system.stop();
        EXPECT_EQ(system->dead_letters().total(), 0U);
    });
}

TEST(Restart, KeepsAddressAndMailAndDropsTheFailingMessage) {
    for (const bool managed : {false, true}) {
        on_both_engines([=](OwnedSystem& system) {
            Notes notes;
            Setting setting;
            if (managed) setting.mailbox = bounded(100).drop_oldest();
            Family family(system, setting, notes);
            for (const int n : {1, -1, 2, 3})
                family.child.tell<&Frail::note>(n);
            EndNews news;
            system->spawn<EndWatcher>(family.child, &news);
            family.keeper.tell<&TestKeeper::start>();
            // The second life has handled two before this one: its own count began anew.
            EXPECT_EQ(system->block_on(family.child.ask<&Frail::note>(4)), 3);
            ASSERT_TRUE(system->engine().run_until(news.heard));
            if (news.down.reason.kind() != ExitReason::Kind::noproc) {
                EXPECT_EQ(news.down.reason.text(), "negative");
                EXPECT_EQ(news.down.incarnation, 1U);
            }
            EXPECT_EQ(system->info(family.child.pid())->incarnation, 2U);
            system.stop();
            EXPECT_EQ(system->dead_letters().total(), 0U);
            EXPECT_EQ(notes.life, (Lines{"1", "failed", "destroyed", "2", "3", "4", "destroyed"}));
        });
    }
}

TEST(Restart, TheAskerOfTheFailingMessageHearsAndTheOthersWait) {
    on_both_engines([](OwnedSystem& system) {
        Notes notes;
        Family family(system, {}, notes);
        family.keeper.tell<&TestKeeper::start>();
        const auto failed = system->block_on(family.child.ask<&Frail::note>(-1));
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error(), Errc::failed);
        EXPECT_EQ(system->block_on(family.child.ask<&Frail::life>()), 2);
    });
}

TEST(Restart, EndsTheChildrenOfTheLifeThatIsOver) {
    on_both_engines([](OwnedSystem& system) {
        Notes notes;
        Family family(system, {}, notes);
        family.keeper.tell<&TestKeeper::start>();
        EXPECT_EQ(system->block_on(family.child.ask<&Frail::note>(1)), 1);
        EndWatch first(system, notes.grandchild);
        family.child.tell<&Frail::note>(-1);
        first.wait();
        EXPECT_EQ(system->block_on(family.child.ask<&Frail::life>()), 2);
        EndWatch second(system, notes.grandchild);
        family.keeper.stop();
        second.wait();
    });
}

TEST(Restart, AFailedStartIsNewsAndLeavesTheAddress) {
    for (const auto start : {Frail::Start::throws, Frail::Start::fails}) {
        on_both_engines([=](OwnedSystem& system) {
            Notes notes;
            notes.ends_wanted = 3;
            Setting setting;
            setting.start = start;
            setting.restarts = 2;
            Family family(system, setting, notes);
            family.keeper.tell<&TestKeeper::start>();
            family.child.tell<&Frail::note>(-1);
            family.child.tell<&Frail::note>(1);
            ASSERT_TRUE(system->engine().run_until(notes.ended));
            system.stop();
            const std::string why = start == Frail::Start::throws ? "not started: no constructor"
                                                                  : "not started: no file";
            EXPECT_EQ(notes.news, (Lines{"started", "ended: negative", why, why}));
            EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 1U);
        });
    }
}

/// Who ends the child, and how often it lives then.
struct Ending {
    Restart restart;
    Stop strength;
    ExitReason::Kind kind;
    int lives;
};

TEST(Restart, TheTypeDecidesWhetherAnActorThatWasStoppedComesBack) {
    using Kind = ExitReason::Kind;
    const Ending endings[] = {
        {Restart::permanent, Stop::stop, Kind::shutdown, 2},
        {Restart::permanent, Stop::stop, Kind::normal, 2},
        {Restart::permanent, Stop::drain, Kind::shutdown, 2},
        {Restart::permanent, Stop::kill, Kind::killed, 2},
        {Restart::transient, Stop::stop, Kind::shutdown, 1},
        {Restart::transient, Stop::stop, Kind::normal, 1},
        {Restart::transient, Stop::stop, Kind::shutdown_with, 1},
        {Restart::transient, Stop::stop, Kind::failed, 2},
        {Restart::transient, Stop::kill, Kind::killed, 2},
        {Restart::temporary, Stop::stop, Kind::failed, 1},
        {Restart::temporary, Stop::kill, Kind::killed, 1},
    };
    for (const Ending& ending : endings) {
        SCOPED_TRACE(std::string(name(ending.restart)) + " " + name(ending.kind));
        on_both_engines(
            [&](OwnedSystem& system) {
                Notes notes;
                Setting setting;
                setting.restart = ending.restart;
                Family family(system, setting, notes);
                family.keeper.tell<&TestKeeper::start>();
                EXPECT_EQ(system->block_on(family.child.ask<&Frail::life>()), 1);
                EndWatch watch(system, family.child);
                family.child.stop(ending.strength, ExitReason(ending.kind));
                const Down down = watch.wait();
                EXPECT_EQ(down.reason.kind(), ending.kind);
                EXPECT_EQ(down.incarnation, 1U);
                if (ending.lives == 2) {
                    EXPECT_EQ(system->block_on(family.child.ask<&Frail::life>()), 2);
                } else {
                    EXPECT_EQ(family.child.tell<&Frail::note>(1), SendStatus::gone);
                    ASSERT_TRUE(system->engine().run_until(notes.stopped));
                }
            },
            20);
    }
}

TEST(VacantAddress, EndsWhenItIsStoppedForGoodAndItsMailIsDead) {
    for (const bool by_keeper : {false, true}) {
        on_both_engines([=](OwnedSystem& system) {
            Notes notes;
            Setting setting;
            setting.restarts = 0;
            setting.restart = Restart::transient;
            Family family(system, setting, notes);
            family.keeper.tell<&TestKeeper::start>();
            family.child.tell<&Frail::note>(-1);
            family.child.tell<&Frail::note>(1);
            ASSERT_TRUE(system->engine().run_until(notes.ended));
            EndWatch watch(system, family.child);
            if (by_keeper) {
                family.keeper.tell<&TestKeeper::stop_child>(After::end);
            } else {
                family.child.stop();  // a transient one does not come back from a stop
            }
            watch.wait();
            EXPECT_EQ(family.child.tell<&Frail::note>(1), SendStatus::gone);
            EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 1U);
        });
    }
}

TEST(VacantAddress, OfAPermanentActorIsNotEndedByAStopOrKillOfNobody) {
    for (const Stop strength : {Stop::stop, Stop::kill, Stop::drain}) {
        on_both_engines([=](OwnedSystem& system) {
            Notes notes;
            Setting setting;
            setting.restarts = 5;
            Family family(system, setting, notes);
            family.child.stop(strength);
            family.child.tell<&Frail::note>(1);
            family.keeper.tell<&TestKeeper::start>();
            // A drain waits in the mailbox and is the first life's end; the others reach nobody.
            EXPECT_EQ(system->block_on(family.child.ask<&Frail::note>(2)), 2);
        });
    }
}

TEST(VacantAddress, EndsWithItsKeeper) {
    for (const Stop strength : {Stop::stop, Stop::kill}) {
        on_both_engines([=](OwnedSystem& system) {
            Notes notes;
            Family family(system, {}, notes);
            family.child.tell<&Frail::note>(1);
            EndWatch watch(system, family.child);
            family.keeper.stop(strength);
            watch.wait();
            EXPECT_EQ(family.child.tell<&Frail::note>(1), SendStatus::gone);
            EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 1U);
        });
    }
}

TEST(Restart, OfAHandlerThatWaitsDropsItsMessageAndGoesOn) {
    on_both_engines([](OwnedSystem& system) {
        Notes notes;
        Setting setting;
        Family family(system, setting, notes);
        family.keeper.tell<&TestKeeper::start>();
        family.child.tell<&Frail::wait_and_fail>();
        setting.gate->wait_until_reached(system);
        family.child.tell<&Frail::note>(1);
        setting.gate->open();
        EXPECT_EQ(system->block_on(family.child.ask<&Frail::note>(2)), 2);
        EXPECT_EQ(notes.lives, 2);
    });
}

TEST(Restart, AKilledHandlerIsADeadLetterAndTheNextLifeGoesOn) {
    on_both_engines([](OwnedSystem& system) {
        Notes notes;
        Setting setting;
        Family family(system, setting, notes);
        family.keeper.tell<&TestKeeper::start>();
        family.child.tell<&Frail::wait>();
        setting.gate->wait_until_reached(system);
        family.child.tell<&Frail::note>(1);
        family.child.stop(Stop::kill);
        EXPECT_EQ(system->block_on(family.child.ask<&Frail::note>(2)), 2);
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 1U);
    });
}

/// A stop, a kill or the keeper's own, against a failure and the restart after it.
TEST(Restart, RacesWithWhoeverStopsItAndNothingIsLostInAnyOrder) {
    enum class Rival : std::uint8_t { stop, kill, drain, keeper_stops, keeper_ends };
    for (const Rival rival :
         {Rival::stop, Rival::kill, Rival::drain, Rival::keeper_stops, Rival::keeper_ends}) {
        SCOPED_TRACE(static_cast<int>(rival));
        const Exploration walked = on_all_schedules(20'000, [=](OwnedSystem& system) {
            Notes notes;
            Setting setting;
            setting.restarts = 5;
            Family family(system, setting, notes);
            family.child.tell<&Frail::note>(-1);
            family.child.tell<&Frail::note>(1);
            family.keeper.tell<&TestKeeper::start>();
            switch (rival) {
                case Rival::stop:
                    family.child.stop();
                    break;
                case Rival::kill:
                    family.child.stop(Stop::kill);
                    break;
                case Rival::drain:
                    family.child.stop(Stop::drain);
                    break;
                case Rival::keeper_stops:
                    family.keeper.tell<&TestKeeper::stop_child>(After::end);
                    break;
                case Rival::keeper_ends:
                    family.keeper.stop();
                    break;
            }
            system.settle();
            const auto times = [&](const char* what) {
                return static_cast<std::uint64_t>(
                    std::count(notes.life.begin(), notes.life.end(), what));
            };
            const std::uint64_t dead = system->dead_letters().total();
            if (rival == Rival::keeper_stops || rival == Rival::keeper_ends) {
                // The order to start may be among the dead.
                const std::uint64_t accounted = times("failed") + times("1") + dead;
                EXPECT_GE(accounted, 2U);
                EXPECT_LE(accounted, rival == Rival::keeper_ends ? 3U : 2U);
                EXPECT_EQ(family.child.tell<&Frail::note>(2), SendStatus::gone);
            } else {
                EXPECT_EQ(times("failed"), 1U);
                EXPECT_EQ(times("1"), 1U);
                EXPECT_EQ(dead, 0U);
                EXPECT_EQ(system->block_on(family.child.ask<&Frail::life>()), notes.lives);
            }
        });
        // A drain, which takes its turn among the mail, has eight times as many.
        EXPECT_TRUE(walked.exhaustive || rival == Rival::drain);
    }
}

}  // namespace
}  // namespace troupe::actor_internal
