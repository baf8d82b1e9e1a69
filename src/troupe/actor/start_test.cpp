#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::EndNews;
using actor_internal::EndWatcher;
using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::wait_for_end;

enum class How { fine, returns_error, throws, throws_at_once, waits };

class Database : public Actor {
public:
    Database(How how, std::shared_ptr<Gate> gate) : how_(how), gate_(std::move(gate)) {}
    bool ready() const { return ready_; }

private:
    Task<Result<void>> on_start() override {
        if (how_ == How::throws_at_once) throw std::runtime_error("no coroutine yet");
        return open();
    }
    Task<Result<void>> open() {
        if (how_ == How::waits) co_await gate_->pass();
        if (how_ == How::returns_error)
            co_await or_return(Result<>(error(Errc::not_found, "no file")));
        if (how_ == How::throws) throw std::runtime_error("file is broken");
        ready_ = true;
        co_return Result<>();
    }
    How how_;
    std::shared_ptr<Gate> gate_;
    bool ready_ = false;
};

Task<std::string> try_start(System system, How how) {
    const auto started = co_await system.start<Database>(how, std::make_shared<Gate>());
    if (!started) {
        EXPECT_TRUE(started.error() == Errc::start_failed);
        co_return started.error().text();
    }
    const auto ready = co_await started->ask<&Database::ready>();
    co_return ready && *ready ? "ready" : "not ready";
}

TEST(Start, WaitsForOnStartAndTellsWhyItFailed) {
    on_both_engines([](OwnedSystem& system) {
        EXPECT_EQ(system->block_on(try_start(*system, How::fine)), "ready");
        EXPECT_EQ(system->block_on(try_start(*system, How::returns_error)), "no file");
        EXPECT_EQ(system->block_on(try_start(*system, How::throws)), "file is broken");
        EXPECT_EQ(system->block_on(try_start(*system, How::throws_at_once)), "no coroutine yet");
        // Whoever hears of a failed start finds nothing left of the actor.
        EXPECT_EQ(system->actors().size(), 1U);
    });
}

TEST(Start, MailWaitsUntilOnStartHasFinished) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto database = system->spawn<Database>(How::waits, gate);
        gate->wait_until_reached(system);
        // Asked before it is ready, answered after.
        class Client : public Actor {
        public:
            Task<> ask_it(Ref<Database> database) {
                ready_ = *co_await database.ask<&Database::ready>();
            }
            bool ready() const { return ready_; }

        private:
            bool ready_ = false;
        };
        auto client = system->spawn<Client>();
        client.tell<&Client::ask_it>(database);
        gate->open();
        EXPECT_EQ(system->block_on(client.ask<&Client::ready>()), true);
    });
}

TEST(Start, AFailureIsTheExitReasonAndMailBecomesDeadLetters) {
    on_both_engines([](OwnedSystem& system) {
        EndNews news;
        auto gate = std::make_shared<Gate>();
        auto database = system->spawn<Database>(How::throws, gate);
        database.tell<&Database::ready>();
        system->spawn<EndWatcher>(database, &news);
        ASSERT_TRUE(system->engine().run_until(news.heard));
        if (news.down.reason.kind() != ExitReason::Kind::noproc) {
            EXPECT_EQ(news.down.reason, ExitReason(ExitReason::Kind::failed, "file is broken"));
        }
        EXPECT_EQ(system->dead_letters().total(), 1U);
    });
}

TEST(Start, AStopWhileStartingEndsItAsAskedAndTheStarterHears) {
    on_both_engines([](OwnedSystem& system) {
        class Sleeper : public Actor {
        public:
            Sleeper(std::shared_ptr<Latch> began) : began_(std::move(began)) {}

        private:
            Task<Result<void>> on_start() override {
                began_->open();
                co_await or_return(co_await sleep(1h));
                co_return Result<>();
            }
            std::shared_ptr<Latch> began_;
        };
        auto began = std::make_shared<Latch>();
        auto sleeper = system->spawn<Sleeper>(began);
        EndNews news;
        auto watcher = system->spawn<EndWatcher>(sleeper, &news);
        EXPECT_EQ(system->block_on(watcher.ask<&EndWatcher::times>()), 0);
        ASSERT_TRUE(system->engine().run_until(*began));
        sleeper.stop();
        ASSERT_TRUE(system->engine().run_until(news.heard));
        EXPECT_EQ(news.down.reason.kind(), ExitReason::Kind::shutdown);
    });
}

TEST(Start, AStopWhileStartingWaitsForWhatCannotBeInterrupted) {
    on_both_engines([](OwnedSystem& system) {
        auto gate = std::make_shared<Gate>();
        auto database = system->spawn<Database>(How::waits, gate);
        gate->wait_until_reached(system);
        EndNews news;
        auto watcher = system->spawn<EndWatcher>(database, &news);
        database.stop();
        EXPECT_EQ(system->block_on(watcher.ask<&EndWatcher::times>()), 0);
        gate->open();
        ASSERT_TRUE(system->engine().run_until(news.heard));
        EXPECT_EQ(news.down.reason.kind(), ExitReason::Kind::shutdown);
    });
}

TEST(Start, AKillWhileStartingIsHeardByTheStarter) {
    on_both_engines([](OwnedSystem& system) {
        class Starter : public Actor {
        public:
            Task<> start_it(std::shared_ptr<Gate> gate) {
                const auto started = co_await system().start<Database>(How::waits, gate);
                text_ = started ? "started" : started.error().message();
            }
            std::string text() const { return text_; }

        private:
            std::string text_;
        };
        auto gate = std::make_shared<Gate>();
        auto starter = system->spawn<Starter>();
        starter.tell<&Starter::start_it>(gate);
        gate->wait_until_reached(system);
        for (const ActorInfo& info : system->actors()) {
            if (info.type.find("Database") == std::string::npos) continue;
            const Ref<Database> database = actor_internal::RefAccess::make<Database>(
                *system->engine().find_cell(info.pid.slot), info.pid.generation, 0);
            database.stop(Stop::kill);
        }
        const auto text = system->block_on(starter.ask<&Starter::text>());
        EXPECT_NE(text->find("start_failed"), std::string::npos) << *text;
        EXPECT_NE(text->find("killed"), std::string::npos) << *text;
    });
}

TEST(Start, AKilledStarterLeavesTheActorStarting) {
    on_both_engines([](OwnedSystem& system) {
        class Starter : public Actor {
        public:
            Task<> start_it(std::shared_ptr<Gate> gate) {
                ignore(co_await system().start<Database>(How::waits, gate), "a test");
                ADD_FAILURE() << "a killed starter went on";
            }
        };
        auto gate = std::make_shared<Gate>();
        auto starter = system->spawn<Starter>();
        starter.tell<&Starter::start_it>(gate);
        gate->wait_until_reached(system);
        starter.stop(Stop::kill);
        wait_for_end(system, starter);
        gate->open();
    });
}

// ---- constructors -------------------------------------------------------------------------------

class Picky : public Actor {
public:
    Picky(std::string url, Ref<Database> watched) {
        const Ref<Picky> me = self(this);
        me.tell<&Picky::note>();
        spawn<Database>(How::fine, nullptr);
        monitor<&Picky::ended>(watched);
        if (url.empty()) throw std::invalid_argument("empty url");
        if (url == "?") throw 4;
    }
    void note() {}
    void ended(Down) {}
};

Task<std::string> try_picky(System system, std::string url, Ref<Database> watched) {
    const auto started = co_await system.start<Picky>(url, watched);
    if (started) co_return "started";
    EXPECT_TRUE(started.error() == Errc::start_failed);
    co_return started.error().text();
}
Task<bool> is_gone(Ref<Picky> picky) {
    const auto answer = co_await picky.ask<&Picky::note>();
    co_return !answer && answer.error() == Errc::actor_gone;
}

TEST(Spawn, OfAnActorWhoseConstructorThrowsGivesAnEndedOne) {
    on_both_engines([](OwnedSystem& system) {
        auto database = system->spawn<Database>(How::fine, nullptr);
        for (const std::string url : {"", "?"}) {
            auto picky = system->spawn<Picky>(url, database);
            EXPECT_EQ(picky.tell<&Picky::note>(), SendStatus::gone);
            EXPECT_TRUE(system->block_on(is_gone(picky)));
            EXPECT_EQ(wait_for_end(system, picky).reason.kind(), ExitReason::Kind::noproc);
        }
        EXPECT_EQ(system->block_on(try_picky(*system, "", database)), "empty url");
        EXPECT_EQ(system->block_on(try_picky(*system, "ok", database)), "started");
        database.stop();
    });
}

struct Plain {
    int n = 0;
    int add(int k) { return n += k; }
};
Task<int> start_plain(System system) {
    const auto plain = co_await system.start<Plain>();
    co_return plain ? *co_await plain->ask<&Plain::add>(3) : -1;
}

TEST(Start, TakesAClassWithoutTheBase) {
    on_both_engines(
        [](OwnedSystem& system) { EXPECT_EQ(system->block_on(start_plain(*system)), 3); });
}

/// Bigger than the room in a cell, so it lies in a block of its own.
class Big : public Actor {
public:
    explicit Big(bool throws) {
        if (throws) throw std::runtime_error("big");
        room_[999] = 7;
    }
    int last() const { return room_[999]; }

private:
    int room_[1000] = {};
};

TEST(Spawn, TakesBigActors) {
    on_both_engines([](OwnedSystem& system) {
        EXPECT_EQ(system->block_on(system->spawn<Big>(false).ask<&Big::last>()), 7);
        EXPECT_EQ(system->spawn<Big>(true).tell<&Big::last>(), SendStatus::gone);
    });
}

TEST(Actor, CanBeTestedAsAPlainObjectOutsideAnySystem) {
    Big big(false);
    EXPECT_EQ(big.last(), 7);
}

}  // namespace
}  // namespace troupe
