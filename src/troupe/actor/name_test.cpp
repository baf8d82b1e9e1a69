#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace troupe {
namespace {

using actor_internal::EndWatch;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::on_threads;

struct Readable {
    virtual ~Readable() = default;
    virtual std::string read() const = 0;
    int padding = 3;
};
class Database : public Actor, public Readable {
public:
    explicit Database(std::string url = "db://x") : url_(std::move(url)) {
        if (url_.empty()) throw std::invalid_argument("empty url");
    }
    std::string read() const override { return url_; }
    void fail() { throw std::runtime_error("broken"); }

private:
    std::string url_;
};
class Other : public Actor {
public:
    int nothing() const { return 0; }
};

inline constexpr Name<Database> kDatabase{"database"};
inline constexpr Name<Readable> kReadable{"readable"};

template <class A, class Options, class... Arguments>
Result<Ref<A>> start(OwnedSystem& system, Options how, Arguments... arguments) {
    return system->block_on(system->start<A>(std::move(how), std::move(arguments)...));
}

TEST(Name, LeadsToTheActorThatWasSpawnedUnderIt) {
    on_both_engines([](OwnedSystem& system) {
        EXPECT_EQ(system->find(kDatabase).error(), Errc::not_found);
        auto db = system->spawn<Database>(named(kDatabase), "db://y");
        EXPECT_EQ(system->find(kDatabase), db);
        EXPECT_EQ(system->find<Database>("database"), db);
        auto other = system->spawn<Other>(named("a text made at " + std::string("run time")));
        EXPECT_EQ(system->find<Other>("a text made at run time"), other);
        const auto names = system->names();
        ASSERT_EQ(names.size(), 2U);
        EXPECT_EQ(names[1].name, "database");
        EXPECT_EQ(names[1].pid, db.pid());
        EXPECT_EQ(names[1].type, type_name<Database>());
    });
}

TEST(Name, OfAnotherTypeIsNotGivenOut) {
    on_both_engines([](OwnedSystem& system) {
        system->spawn<Database>(named(kDatabase));
        const auto wrong = system->find<Other>("database");
        ASSERT_EQ(wrong.error(), Errc::wrong_type);
        EXPECT_NE(wrong.error().text().find("Database"), std::string::npos) << wrong.error().text();
        constexpr Name<Other> kNamesake{"database"};
        EXPECT_EQ(system->find(kNamesake).error(), Errc::wrong_type);
    });
}

TEST(Name, OfAnInterfaceLeadsToThatPartOfTheActor) {
    on_both_engines([](OwnedSystem& system) {
        system->spawn<Database>(named(kReadable), "db://z");
        const auto readable = system->find(kReadable);
        ASSERT_TRUE(readable.has_value());
        EXPECT_EQ(system->block_on(readable->ask<&Readable::read>()), "db://z");
        EXPECT_EQ(system->find<Database>("readable").error(), Errc::wrong_type);
    });
}

TEST(Name, IsGivenOnceAndTheSecondHearsWhoHasIt) {
    on_both_engines([](OwnedSystem& system) {
        const auto db = start<Database>(system, named(kDatabase));
        ASSERT_TRUE(db.has_value());
        const auto clash = start<Database>(system, named(kDatabase));
        ASSERT_EQ(clash.error(), Errc::already_registered);
        EXPECT_EQ(name_holder(clash.error()), db->pid()) << clash.error().text();
        auto spawned = system->spawn<Database>(named(kDatabase));
        EXPECT_EQ(spawned.tell<&Database::fail>(), SendStatus::gone);
        EXPECT_EQ(system->find(kDatabase), *db);
        EXPECT_EQ(system->block_on(db->ask<&Database::read>()), "db://x");
    });
}

TEST(Name, OfNoByteOrTooManyIsRefused) {
    on_both_engines(
        [](OwnedSystem& system) {
            EXPECT_EQ(start<Other>(system, named("")).error(), Errc::failed);
            EXPECT_EQ(start<Other>(system, named(std::string(256, 'x'))).error(), Errc::failed);
            const std::string longest(255, 'x');
            ASSERT_TRUE(start<Other>(system, named(longest)).has_value());
            EXPECT_TRUE(system->find<Other>(longest).has_value());
            EXPECT_EQ(system->find<Other>("").error(), Errc::not_found);
        },
        3);
}

TEST(Name, StandsBesideTheOtherOptions) {
    on_both_engines(
        [](OwnedSystem& system) {
            system->spawn<Database>(named(kDatabase).mailbox(bounded(3)));
            system->spawn<Other>(options().mailbox(bounded(4)).name("other"));
            for (const auto& info : system->actors()) {
                const bool database = info.pid == system->find(kDatabase)->pid();
                EXPECT_EQ(info.mailbox_capacity, database ? 3U : 4U);
            }
        },
        3);
}

/// Whoever hears of the end takes the name over at once.
class Heir : public Actor {
public:
    Heir(Ref<Database> predecessor, int* succeeded) : succeeded_(succeeded) {
        monitor<&Heir::down>(predecessor);
    }
    int done() const { return *succeeded_; }

private:
    void down(Down) {
        EXPECT_EQ(system().find(kDatabase).error(), Errc::not_found);
        auto next = system().spawn<Database>(named(kDatabase), "next");
        if (system().find(kDatabase) == next) ++*succeeded_;
    }
    int* succeeded_;
};

TEST(Name, IsFreeBeforeAnybodyHearsOfTheEnd) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        on_both_engines([&](OwnedSystem& system) {
            int succeeded = 0;
            auto db = system->spawn<Database>(named(kDatabase));
            auto heir = system->spawn<Heir>(db, &succeeded);
            ASSERT_EQ(system->block_on(heir.ask<&Heir::done>()), 0);
            EndWatch watch(system, db);
            db.stop(strength);
            watch.wait();
            ASSERT_TRUE(system->block_on(heir.ask<&Heir::done>()).has_value());
            ASSERT_TRUE(system->block_on(heir.ask<&Heir::done>()).has_value());
            EXPECT_EQ(succeeded, 1);
        });
    }
}

TEST(Name, IsFreeOnceAnAskerHearsThatTheActorHasGone) {
    on_both_engines([](OwnedSystem& system) {
        auto db = system->spawn<Database>(named(kDatabase));
        ASSERT_EQ(system->block_on(db.ask<&Database::read>()), "db://x");
        db.stop();
        while (system->block_on(db.ask<&Database::read>()).has_value()) {
        }
        EXPECT_EQ(system->find(kDatabase).error(), Errc::not_found);
        EXPECT_TRUE(start<Database>(system, named(kDatabase)).has_value());
    });
}

class Reluctant : public Actor {
public:
    explicit Reluctant(bool throws) : throws_(throws) {}
    int nothing() const { return 0; }

private:
    Task<Result<void>> on_start() override {
        co_await yield();
        if (throws_) throw std::runtime_error("cannot start");
        co_return error(Errc::failed, "will not start");
    }
    bool throws_;
};

TEST(Name, IsFreeOnceTheStarterHearsOfAFailedStart) {
    on_both_engines([](OwnedSystem& system) {
        for (const bool throws : {false, true}) {
            const auto failed = start<Reluctant>(system, named("reluctant"), throws);
            ASSERT_EQ(failed.error(), Errc::start_failed);
            EXPECT_EQ(system->find<Reluctant>("reluctant").error(), Errc::not_found);
        }
        const auto thrown = start<Database>(system, named(kDatabase), std::string());
        ASSERT_EQ(thrown.error(), Errc::start_failed);
        EXPECT_EQ(thrown.error().text(), "empty url");
        EXPECT_TRUE(start<Database>(system, named(kDatabase)).has_value());
    });
}

TEST(Name, IsKnownWhileTheConstructorRuns) {
    class Narcissus : public Actor {
    public:
        Narcissus() : seen_(system().find<Narcissus>("narcissus") == self(this)) {}
        bool seen() const { return seen_; }

    private:
        bool seen_;
    };
    on_both_engines([](OwnedSystem& system) {
        auto narcissus = system->spawn<Narcissus>(named("narcissus"));
        EXPECT_EQ(system->block_on(narcissus.ask<&Narcissus::seen>()), true);
    });
}

TEST(Name, WhoHasItIsReadFromTheErrorWhateverTheName) {
    on_both_engines([](OwnedSystem& system) {
        for (const char* const name : {"<0.1.1>", "x belongs to <0.1.1>, a y", " belongs to "}) {
            const auto first = start<Database>(system, named(name));
            ASSERT_TRUE(first.has_value());
            const auto second = start<Database>(system, named(name));
            ASSERT_FALSE(second.has_value());
            EXPECT_EQ(name_holder(second.error()), first->pid()) << second.error().text();
        }
        EXPECT_EQ(name_holder(Error(Errc::not_found, "it belongs to <0.1.1>")), std::nullopt);
        EXPECT_EQ(name_holder(Error(Errc::already_registered, "by hand")), std::nullopt);
    });
}

TEST(Name, PidIsReadFromAnyText) {
    EXPECT_EQ(pid_in("the actor <0.17.3> has it"), (Pid{0, 17, 3}));
    EXPECT_EQ(pid_in("a < b, <1.2>, <0.4294967296.1> and <65535.4294967295.4294967295>"),
              (Pid{65535, 4294967295U, 4294967295U}));
    EXPECT_EQ(pid_in("<0.17.3"), std::nullopt);
    EXPECT_EQ(pid_in("<"), std::nullopt);
    EXPECT_EQ(pid_in(""), std::nullopt);
}

// ---- the races ----------------------------------------------------------------------------------

class Stopper : public Actor {
public:
    void stop(Ref<Database> db, Stop strength) { db.stop(strength); }
};

/// Looks the name up, and what it finds must not be dead already: no turn lies between the two.
class Seeker : public Actor {
public:
    Task<> seek(std::shared_ptr<std::vector<std::string>> seen) {
        for (int i = 0; i < 2; ++i) {
            const auto found = system().find(kDatabase);
            if (found) {
                EXPECT_EQ(found->tell<&Database::read>(), SendStatus::sent);
            }
            seen->push_back(found ? to_string(found->pid()) : "nobody");
            co_await yield();
        }
    }
};

/// Takes the name as soon as it can.
class Claimant : public Actor {
public:
    Task<> claim(std::shared_ptr<int> won) {
        const auto claimed = co_await system().start<Database>(named(kDatabase), std::string("db"));
        if (claimed) {
            ++*won;
        } else {
            EXPECT_EQ(claimed.error(), Errc::already_registered);
        }
    }
};

TEST(NameEverySchedule, LeadsToALivingActorOrToNobody) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        bool found_first = false;
        bool found_nobody = false;
        const auto explored = on_all_schedules(20'000, [&](OwnedSystem& system) {
            const auto seen = std::make_shared<std::vector<std::string>>();
            auto db = system->spawn<Database>(named(kDatabase));
            system->spawn<Seeker>().tell<&Seeker::seek>(seen);
            system->spawn<Stopper>().tell<&Stopper::stop>(db, strength);
            system.settle();
            ASSERT_EQ(seen->size(), 2U);
            EXPECT_FALSE(seen->front() == "nobody" && seen->back() != "nobody");
            found_first = found_first || seen->front() != "nobody";
            found_nobody = found_nobody || seen->back() == "nobody";
        });
        EXPECT_TRUE(explored.exhaustive);
        EXPECT_TRUE(found_first);
        EXPECT_TRUE(found_nobody);
    }
}

TEST(NameEverySchedule, IsWonByOneOfTwoClaimantsAndOnlyOnceItIsFree) {
    bool won_by_nobody = false;
    bool won_by_one = false;
    const auto explored = on_all_schedules(30'000, [&](OwnedSystem& system) {
        const auto won = std::make_shared<int>(0);
        auto db = system->spawn<Database>(named(kDatabase));
        db.stop();
        system->spawn<Claimant>().tell<&Claimant::claim>(won);
        system->spawn<Claimant>().tell<&Claimant::claim>(won);
        system.settle();
        ASSERT_LE(*won, 1);
        EXPECT_EQ(system->find(kDatabase).has_value(), *won == 1);
        won_by_nobody = won_by_nobody || *won == 0;
        won_by_one = won_by_one || *won == 1;
    });
    EXPECT_GT(explored.distinct, 5U);
    EXPECT_TRUE(won_by_nobody);
    EXPECT_TRUE(won_by_one);
}

// Goal: names that come and go under the eyes of many never lead to anybody else's actor. Method:
// an actor knows its number; its name ends with it.
TEST(NameThreads, NeverLeadsToAnotherNamesActor) {
    class Numbered : public Actor {
    public:
        explicit Numbered(int number) : number_(number) {}
        int number() const { return number_; }

    private:
        int number_;
    };
    class Churn : public Actor {
    public:
        Task<> churn(int from, int rounds) {
            for (int i = 0; i < rounds; ++i) {
                const int number = from + i % 5;
                const std::string name = "number " + std::to_string(number);
                auto mine = system().spawn<Numbered>(named(name), number);
                co_await yield();
                mine.stop(i % 2 == 0 ? Stop::stop : Stop::kill);
                co_await yield();
            }
        }
        bool done() const { return true; }
    };
    class Reader : public Actor {
    public:
        Task<> read(int rounds) {
            for (int i = 0; i < rounds; ++i) {
                const int number = i % 10;
                const auto found = system().find<Numbered>("number " + std::to_string(number));
                if (!found) continue;
                const auto answer = co_await found->ask<&Numbered::number>();
                if (answer) {
                    EXPECT_EQ(*answer, number);
                }
            }
        }
        bool done() const { return true; }
    };
    on_threads(3, [](OwnedSystem& system) {
        auto one = system->spawn<Churn>();
        auto two = system->spawn<Churn>();
        auto reader = system->spawn<Reader>();
        one.tell<&Churn::churn>(0, 2000);
        two.tell<&Churn::churn>(5, 2000);
        reader.tell<&Reader::read>(20'000);
        for (const auto& churn : {one, two}) {
            EXPECT_EQ(system->block_on(churn.ask<&Churn::done>().within(std::chrono::minutes(2))),
                      true);
        }
        EXPECT_EQ(system->block_on(reader.ask<&Reader::done>().within(std::chrono::minutes(2))),
                  true);
    });
}

}  // namespace
}  // namespace troupe
