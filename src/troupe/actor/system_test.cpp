#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Gate;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::on_threads;
using actor_internal::wait_for_end;

class Pinger : public Actor {
public:
    void ping(Ref<Pinger> other) {
        ++pings_;
        other.tell<&Pinger::ping>(Ref<Pinger>(self(this)));
    }
    Task<> ask_for_ever(Ref<Pinger> other) {
        for (auto answer = co_await other.ask<&Pinger::pings>(); answer;)
            answer = co_await other.ask<&Pinger::pings>();
    }
    int pings() const { return pings_; }

private:
    int pings_ = 0;
};

Task<void> wait_for_ever() {
    ignore(co_await sleep(1h), "nobody cancels it");
}

TEST(TestsOnThreads, SayWhoWaitsForWhatWhenTheyHang) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    auto hang = [] {
        ::setenv("TROUPE_TEST_PATIENCE", "1", 1);
        ::setenv("PATH", "", 1);  // a debugger would take its time
        on_threads(1, [](OwnedSystem& system) { system->block_on(wait_for_ever()); });
    };
    EXPECT_DEATH(hang(), "This test hangs(.|\n)*block_on: suspended at system_test.cpp:.*sleep");
}

TEST(System, StartsAndStopsManyTimesInOneProcess) {
    const std::uint64_t live = block_pool_stats().live_blocks;
    for (int i = 0; i < 50; ++i) {
        RandomChooser chooser(static_cast<std::uint64_t>(i));
        OwnedSystem system(i % 2 == 0 ? make_threaded_engine({.workers = 2})
                                      : make_deterministic_engine(chooser));
        auto pinger = system->spawn<Pinger>();
        EXPECT_EQ(system->block_on(pinger.ask<&Pinger::pings>()), 0);
        if (i % 3 == 0) {
            system.stop();
            system.stop();
        }
    }
    EXPECT_EQ(block_pool_stats().live_blocks, live);
}

TEST(System, TwoAtOnceDoNotDisturbEachOther) {
    RandomChooser chooser(1);
    OwnedSystem virtual_one(make_deterministic_engine(chooser));
    OwnedSystem real_one(make_threaded_engine({.workers = 1}));
    auto there = virtual_one->spawn<Pinger>();
    auto here = real_one->spawn<Pinger>();
    EXPECT_EQ(virtual_one->block_on(there.ask<&Pinger::pings>()), 0);
    EXPECT_EQ(real_one->block_on(here.ask<&Pinger::pings>()), 0);
    EXPECT_EQ(virtual_one->actors().size(), 1U);
    EXPECT_EQ(real_one->actors().size(), 1U);
}

TEST(System, MadeByDefaultRunsOnAllCores) {
    OwnedSystem system;
    EXPECT_FALSE(system->engine().deterministic());
    EXPECT_EQ(system->block_on(system->spawn<Pinger>().ask<&Pinger::pings>()), 0);
}

TEST(System, StopsWhileEverybodyIsBusy) {
    on_both_engines(
        [](OwnedSystem& system) {
            for (int i = 0; i < 20; ++i) {
                auto left = system->spawn<Pinger>();
                auto right = system->spawn<Pinger>();
                left.tell<&Pinger::ping>(right);
                system->spawn<Pinger>().tell<&Pinger::ask_for_ever>(left);
            }
            EXPECT_EQ(system->block_on(system->spawn<Pinger>().ask<&Pinger::pings>()), 0);
        },
        20);
}

TEST(System, StopWaitsForThreadsThatStillWaitInBlockOn) {
    for (int round = 0; round < 20; ++round) {
        on_threads(2, [](OwnedSystem& system) {
            auto gate = std::make_shared<Gate>();
            class Door : public Actor {
            public:
                Task<> wait_at(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
            };
            auto door = system->spawn<Door>();
            std::vector<std::thread> threads;
            for (int i = 0; i < 3; ++i) {
                threads.emplace_back([&system, door, gate] {
                    const auto answer = system->block_on(door.ask<&Door::wait_at>(gate));
                    EXPECT_FALSE(answer.has_value());
                });
            }
            gate->wait_until_reached(system);
            while (system->info(door.pid())->mailbox_depth < threads.size())
                system->block_on([]() -> Task<> { co_await yield(); }());
            door.stop(Stop::kill);
            system.stop();
            for (auto& thread : threads)
                thread.join();
        });
    }
}

// ---- the end of a system ------------------------------------------------------------------------

/// Tries to begin something new in on_stop.
class Reborn : public Actor {
public:
    Reborn(std::shared_ptr<std::string> log) : log_(std::move(log)) {}

private:
    Task<> on_stop(const ExitReason&) override {
        const auto spawned = system().spawn<Pinger>();
        *log_ += spawned == Ref<Pinger>() ? "nobody;" : "spawned;";
        const auto started = co_await system().start<Pinger>();
        *log_ += started ? "started;" : started.error().text() + ";";
        const auto child = spawn<Pinger>();
        *log_ += child.tell<&Pinger::pings>() == SendStatus::gone ? "gone" : "sent";
    }
    std::shared_ptr<std::string> log_;
};

TEST(System, SpawnsNobodyOnceItIsStopping) {
    on_both_engines([](OwnedSystem& system) {
        const auto log = std::make_shared<std::string>();
        system->spawn<Reborn>(log);
        system.stop();
        EXPECT_EQ(*log, "nobody;the system is stopping;gone");
        EXPECT_EQ(system->spawn<Pinger>(), Ref<Pinger>());
        EXPECT_TRUE(system->actors().empty());
    });
}

TEST(System, StopReachesActorsThatAreBeingSpawned) {
    class Counted : public Actor {
    public:
        explicit Counted(std::atomic<int>* stopped) : stopped_(stopped) {}

    private:
        Task<> on_stop(const ExitReason&) override {
            stopped_->fetch_add(1, std::memory_order_relaxed);
            return {};
        }
        std::atomic<int>* stopped_;
    };
    for (int round = 0; round < 30; ++round) {
        int spawned = 0;
        std::atomic<int> stopped{0};
        std::thread spawner;
        on_threads(2, [&](OwnedSystem& system) {
            Latch began;
            spawner = std::thread([&] {
                while (system->spawn<Counted>(&stopped) != Ref<Counted>()) {
                    if (++spawned == 5) began.open();
                }
            });
            began.wait();
            system.stop();
            spawner.join();
        });
        EXPECT_EQ(stopped.load(), spawned) << "some were killed, or ended without on_stop";
    }
}

TEST(System, KillsWhoDoesNotEndInTime) {
    on_seeds(10, [](OwnedSystem& system) {
        class Deaf : public Actor {
        public:
            Task<> wait_at(std::shared_ptr<Gate> gate) { co_await gate->pass(); }
        };
        auto gate = std::make_shared<Gate>();
        auto deaf = system->spawn<Deaf>();
        deaf.tell<&Deaf::wait_at>(gate);
        gate->wait_until_reached(system);
        const Duration before = system->now();
        system.stop(2s);
        EXPECT_GE(system->now() - before, 2s);
        EXPECT_LE(system->now() - before, 3s);
        EXPECT_EQ(gate->waiting(), 0U);
    });
}

TEST(System, AnEndedOneLeavesNoTimersRunning) {
    on_both_engines([](OwnedSystem& system) {
        class Sleeper : public Actor {
        public:
            Task<> nap() { ignore(co_await sleep(1h), "a test"); }
        };
        for (int i = 0; i < 10; ++i)
            system->spawn<Sleeper>().tell<&Sleeper::nap>();
        EXPECT_EQ(system->block_on(system->spawn<Pinger>().ask<&Pinger::pings>().within(1h)), 0);
    });
}

// ---- stop_requested -----------------------------------------------------------------------------

class Server : public Actor {
public:
    explicit Server(std::shared_ptr<std::atomic<int>> told) : told_(std::move(told)) {}
    Task<> serve(std::shared_ptr<Latch> began) {
        began->open();
        co_await system().stop_requested();
        told_->fetch_add(1, std::memory_order_relaxed);
    }
    int done() const { return 1; }

private:
    std::shared_ptr<std::atomic<int>> told_;
};

TEST(StopRequested, IsHeardByAllWhoWaitAndAtOnceByThoseWhoComeLater) {
    on_both_engines([](OwnedSystem& system) {
        auto told = std::make_shared<std::atomic<int>>(0);
        auto began = std::make_shared<Latch>();
        std::vector<Ref<Server>> servers;
        for (int i = 0; i < 4; ++i) {
            servers.push_back(system->spawn<Server>(told));
            servers.back().tell<&Server::serve>(began);
        }
        ASSERT_TRUE(system->engine().run_until(*began));
        servers[0].stop(Stop::kill);  // it may hear, and nothing is left of its waiting
        EXPECT_FALSE(system->stopping());
        system->request_stop();
        system->request_stop();
        EXPECT_TRUE(system->stopping());
        for (std::size_t i = 1; i < servers.size(); ++i)
            EXPECT_EQ(system->block_on(servers[i].ask<&Server::done>()), 1);
        EXPECT_GE(told->load(), 3);
        EXPECT_EQ(system->block_on([](System s) -> Task<int> {
            co_await s.stop_requested();
            co_return 7;
        }(*system)),
                  7);
    });
}

// ---- fairness -----------------------------------------------------------------------------------

class Spinner : public Actor {
public:
    Task<> spin(std::shared_ptr<std::atomic<bool>> enough, std::shared_ptr<std::vector<int>> order,
                int me) {
        while (!enough->load(std::memory_order_relaxed)) {
            if (order != nullptr) order->push_back(me);
            co_await yield();
        }
    }
    void finish(std::shared_ptr<std::atomic<bool>> enough) {
        enough->store(true, std::memory_order_relaxed);
    }
    int done() const { return 1; }
};

TEST(Yield, LetsTheOthersHaveTheirTurn) {
    on_threads(1, [](OwnedSystem& system) {
        auto enough = std::make_shared<std::atomic<bool>>(false);
        std::vector<Ref<Spinner>> spinners;
        for (int i = 0; i < 3; ++i) {
            spinners.push_back(system->spawn<Spinner>());
            spinners.back().tell<&Spinner::spin>(enough, nullptr, i);
        }
        auto last = system->spawn<Spinner>();
        EXPECT_TRUE(system->block_on(last.ask<&Spinner::finish>(enough)).has_value());
        for (const auto& spinner : spinners)
            EXPECT_EQ(system->block_on(spinner.ask<&Spinner::done>()), 1);
    });
}

/// Always the one that has waited longest.
class Fair final : public Chooser {
public:
    std::uint64_t choose(std::uint64_t, ChoiceKind, const char*) override { return 0; }
};

TEST(Yield, GoesRoundInAFairSchedule) {
    Fair fair;
    OwnedSystem system(make_deterministic_engine(fair));
    auto enough = std::make_shared<std::atomic<bool>>(false);
    auto order = std::make_shared<std::vector<int>>();
    std::vector<Ref<Spinner>> spinners;
    for (int i = 0; i < 3; ++i) {
        spinners.push_back(system->spawn<Spinner>());
        spinners.back().tell<&Spinner::spin>(enough, order, i);
    }
    system->spawn<Spinner>().tell<&Spinner::finish>(enough);
    system.settle();
    auto last = system->spawn<Spinner>();
    enough->store(false);
    order->clear();
    for (int i = 0; i < 3; ++i)
        spinners[static_cast<std::size_t>(i)].tell<&Spinner::spin>(enough, order, i);
    system->block_on([]() -> Task<> {
        for (int i = 0; i < 20; ++i)
            co_await yield();
    }());
    last.tell<&Spinner::finish>(enough);
    system.settle();
    ASSERT_GT(order->size(), 30U);
    for (std::size_t i = 3; i < order->size(); ++i)
        EXPECT_EQ((*order)[i], (*order)[i - 3]) << "everybody has one turn in each round";
}

}  // namespace
}  // namespace troupe
