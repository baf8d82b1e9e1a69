#include <troupe/actor/internal/test_log.hpp>
#include <troupe/actor/internal/test_systems.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Gate;
using actor_internal::Log;
using actor_internal::make_log;
using actor_internal::Mark;
using actor_internal::on_all_schedules;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using actor_internal::wait_for_end;

class Worker : public Actor {
public:
    explicit Worker(Log log) : log_(std::move(log)) {}
    ~Worker() override { log_->push_back("~Worker"); }

    void note(std::string what) { log_->push_back(std::move(what)); }
    Task<int> wait_at(std::shared_ptr<Gate> gate) {
        const Mark mark(log_, "wait_at");
        co_await wait_inside(gate);
        log_->push_back("waited");
        co_return 5;
    }
    Task<int> nap(Duration duration) {
        const auto slept = co_await sleep(duration);
        log_->push_back(slept ? "slept" : "cancelled");
        EXPECT_TRUE(slept || slept.error() == Errc::cancelled);
        co_return 1;
    }
    /// The stop comes while it waits for something else.
    Task<int> wait_then_nap(std::shared_ptr<Gate> gate, Duration duration) {
        co_await gate->pass();
        co_return co_await nap(duration);
    }
    Task<> sleep_twice(Duration duration) {
        log_->push_back((co_await sleep(duration)) ? "slept" : "cancelled");
        log_->push_back((co_await sleep(duration)) ? "slept" : "cancelled");
    }
    Task<> tick_for_ever() {
        for (;;) {
            const auto slept = co_await sleep(1ms);
            if (!slept) break;
            ++ticks_;
        }
        log_->push_back("ticking ended");
    }
    void stop_myself(Stop strength) {
        self(this).stop(strength);
        log_->push_back("after stop_myself");
    }

private:
    Task<> wait_inside(std::shared_ptr<Gate> gate) {
        const Mark mark(log_, "wait_inside");
        co_await gate->pass();
    }
    Task<> on_stop(const ExitReason& reason) override {
        log_->push_back("on_stop " + reason.text());
        return {};
    }
    Log log_;
    int ticks_ = 0;
};

TEST(Stop, ReachesAnIdleActor) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto worker = system->spawn<Worker>(log);
        worker.stop();
        const Down down = wait_for_end(system, worker);
        EXPECT_EQ(down.pid, worker.pid());
        EXPECT_EQ(*log, (std::vector<std::string>{"on_stop shutdown", "~Worker"}));
    });
}

TEST(Stop, CarriesItsReason) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto worker = system->spawn<Worker>(log);
        EXPECT_EQ(system->block_on(worker.ask<&Worker::nap>(0s)), 1);
        actor_internal::EndWatch watch(system, worker);
        worker.stop(Stop::stop, ExitReason(ExitReason::Kind::shutdown_with, "moving house"));
        const Down down = watch.wait();
        EXPECT_EQ(down.reason, ExitReason(ExitReason::Kind::shutdown_with, "moving house"));
        EXPECT_FALSE(down.reason.abnormal());
        EXPECT_EQ(log->at(1), "on_stop moving house");
    });
}

TEST(Stop, StopComesAfterTheHandlerAndBeforeTheBacklog) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto gate = std::make_shared<Gate>();
        auto worker = system->spawn<Worker>(log);
        worker.tell<&Worker::wait_at>(gate);
        worker.tell<&Worker::note>("backlog");
        worker.tell<&Worker::note>("backlog");
        gate->wait_until_reached(system);
        worker.stop();
        gate->open();
        wait_for_end(system, worker);
        EXPECT_EQ(*log, (std::vector<std::string>{"~wait_inside", "waited", "~wait_at",
                                                  "on_stop shutdown", "~Worker"}));
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 2U);
        EXPECT_EQ(system->dead_letters().total(), 2U);
    });
}

TEST(Stop, DrainComesAfterTheBacklogAndBeforeWhatComesLater) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto gate = std::make_shared<Gate>();
        auto worker = system->spawn<Worker>(log);
        worker.tell<&Worker::wait_at>(gate);
        worker.tell<&Worker::note>("backlog 1");
        worker.tell<&Worker::note>("backlog 2");
        worker.stop(Stop::drain, ExitReason(ExitReason::Kind::normal));
        worker.tell<&Worker::note>("too late");
        gate->wait_until_reached(system);
        gate->open();
        wait_for_end(system, worker);
        EXPECT_EQ(*log, (std::vector<std::string>{"~wait_inside", "waited", "~wait_at", "backlog 1",
                                                  "backlog 2", "on_stop normal", "~Worker"}));
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 1U);
    });
}

TEST(Stop, KillDestroysTheHandlerWhereItWaitsAndSkipsOnStop) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto gate = std::make_shared<Gate>();
        auto worker = system->spawn<Worker>(log);
        worker.tell<&Worker::wait_at>(gate);
        worker.tell<&Worker::note>("backlog");
        gate->wait_until_reached(system);
        worker.stop(Stop::kill);
        wait_for_end(system, worker);
        EXPECT_EQ(*log, (std::vector<std::string>{"~wait_inside", "~wait_at", "~Worker"}));
        EXPECT_EQ(gate->waiting(), 0U);
        gate->open();
        // The handler's own message was begun and never handled: it is lost like the backlog.
        EXPECT_EQ(system->dead_letters()[DeadLetterReason::stopped], 2U);
    });
}

TEST(Stop, KillIsHeardByTheAskerOfTheHandlerAndByThoseBehind) {
    on_both_engines([](OwnedSystem& system) {
        class Client : public Actor {
        public:
            Task<> ask_worker(Ref<Worker> worker, std::shared_ptr<Gate> gate) {
                const auto answer = co_await worker.ask<&Worker::wait_at>(gate);
                text_ = answer ? "answered" : answer.error().message();
            }
            std::string text() const { return text_; }

        private:
            std::string text_ = "nothing";
        };
        auto gate = std::make_shared<Gate>();
        auto worker = system->spawn<Worker>(make_log());
        std::vector<Ref<Client>> clients;
        for (int i = 0; i < 3; ++i) {
            clients.push_back(system->spawn<Client>());
            clients.back().tell<&Client::ask_worker>(worker, gate);
        }
        gate->wait_until_reached(system);
        worker.stop(Stop::kill);
        for (const auto& client : clients) {
            const auto text = system->block_on(client.ask<&Client::text>());
            EXPECT_NE(text->find("actor_gone"), std::string::npos) << *text;
        }
    });
}

TEST(Stop, EndsASleepAtOnce) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto worker = system->spawn<Worker>(log);
        const Duration before = system->now();
        worker.tell<&Worker::nap>(1h);
        worker.tell<&Worker::tick_for_ever>();
        // Handled by now, or the stop comes before it.
        system->block_on([]() -> Task<> { co_await yield(); }());
        worker.stop();
        wait_for_end(system, worker);
        EXPECT_LT(system->now() - before, 1h);
        EXPECT_EQ(log->at(log->size() - 2), "on_stop shutdown");
    });
}

TEST(Stop, IsNotLostWhenTheHandlerWaitedForSomethingElse) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto gate = std::make_shared<Gate>();
        auto worker = system->spawn<Worker>(log);
        worker.tell<&Worker::wait_then_nap>(gate, 1h);
        gate->wait_until_reached(system);
        worker.stop();
        gate->open();
        wait_for_end(system, worker);
        EXPECT_EQ(*log, (std::vector<std::string>{"cancelled", "on_stop shutdown", "~Worker"}));
    });
}

TEST(Stop, AHandlerThatSleepsOnIsNotHurried) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        auto worker = system->spawn<Worker>(log);
        worker.tell<&Worker::sleep_twice>(10ms);
        system.settle();
        worker.stop();
        system.advance(9ms);
        EXPECT_EQ(*log, std::vector<std::string>{"cancelled"});
        system.advance(1ms);
        EXPECT_EQ(*log,
                  (std::vector<std::string>{"cancelled", "slept", "on_stop shutdown", "~Worker"}));
    });
}

TEST(Stop, OneselfEndsAfterTheHandler) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        on_both_engines([=](OwnedSystem& system) {
            const Log log = make_log();
            auto worker = system->spawn<Worker>(log);
            worker.tell<&Worker::stop_myself>(strength);
            const Down down = wait_for_end(system, worker);
            EXPECT_EQ(log->front(), "after stop_myself");
            EXPECT_EQ(log->size(), strength == Stop::kill ? 2U : 3U);
        });
    }
}

TEST(Stop, ASecondOneChangesNothing) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto gate = std::make_shared<Gate>();
        auto worker = system->spawn<Worker>(log);
        worker.tell<&Worker::wait_at>(gate);
        gate->wait_until_reached(system);
        worker.stop(Stop::stop, ExitReason(ExitReason::Kind::shutdown_with, "first"));
        worker.stop(Stop::stop, ExitReason(ExitReason::Kind::shutdown_with, "second"));
        worker.stop(Stop::drain, ExitReason(ExitReason::Kind::shutdown_with, "third"));
        gate->open();
        wait_for_end(system, worker);
        EXPECT_EQ(log->at(3), "on_stop first");
        EXPECT_EQ(log->size(), 5U);
    });
}

/// Waits in on_stop.
class Slow : public Actor {
public:
    Slow(Log log, std::shared_ptr<Gate> gate) : log_(std::move(log)), gate_(std::move(gate)) {}
    void note() { log_->push_back("note"); }

private:
    Task<> on_stop(const ExitReason& reason) override {
        const Mark mark(log_, "on_stop");
        co_await gate_->pass();
        log_->push_back(reason.text());
    }
    Log log_;
    std::shared_ptr<Gate> gate_;
};

TEST(OnStop, MayWaitAndIsNotStoppedASecondTime) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto gate = std::make_shared<Gate>();
        auto slow = system->spawn<Slow>(log, gate);
        slow.stop(Stop::stop, ExitReason(ExitReason::Kind::shutdown_with, "first"));
        gate->wait_until_reached(system);
        slow.stop(Stop::stop, ExitReason(ExitReason::Kind::shutdown_with, "second"));
        slow.tell<&Slow::note>();
        gate->open();
        wait_for_end(system, slow);
        EXPECT_EQ(*log, (std::vector<std::string>{"first", "~on_stop"}));
    });
}

TEST(OnStop, IsEndedByAKill) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto gate = std::make_shared<Gate>();
        auto slow = system->spawn<Slow>(log, gate);
        slow.stop();
        gate->wait_until_reached(system);
        slow.stop(Stop::kill);
        wait_for_end(system, slow);
        EXPECT_EQ(*log, (std::vector<std::string>{"~on_stop"}));
    });
}

/// Still sends and asks in on_stop, and throws afterwards.
class Talker : public Actor {
public:
    Talker(Ref<Worker> other, Log log) : other_(other), log_(std::move(log)) {}

private:
    Task<> on_stop(const ExitReason&) override {
        other_.tell<&Worker::note>("told");
        const auto napped = co_await other_.ask<&Worker::nap>(0s);
        log_->push_back(napped ? "asked" : "refused");
        throw std::runtime_error("on the way out");
    }
    Ref<Worker> other_;
    Log log_;
};

TEST(OnStop, MaySendAskAndThrow) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        auto worker = system->spawn<Worker>(log);
        auto talker = system->spawn<Talker>(worker, log);
        actor_internal::EndNews news;
        system->spawn<actor_internal::EndWatcher>(talker, &news);
        talker.stop();
        ASSERT_TRUE(system->engine().run_until(news.heard));
        EXPECT_EQ(*log, (std::vector<std::string>{"told", "slept", "asked"}));
        if (news.down.reason.kind() != ExitReason::Kind::noproc) {
            EXPECT_EQ(news.down.reason, ExitReason(ExitReason::Kind::failed, "on the way out"));
        }
    });
}

// ---- killed while something is away -------------------------------------------------------------

class Offloader : public Actor {
public:
    Task<> go(std::shared_ptr<std::atomic<int>> ran, std::shared_ptr<Latch> began) {
        auto job = [ran, began] {
            began->open();
            ran->fetch_add(1, std::memory_order_relaxed);
            return std::string("a result long enough to be allocated on the heap");
        };
        ignore(co_await offload(job), "a test");
        co_await yield();
    }
};

TEST(Stop, KillWhileAJobIsAwayLeavesNothingBehind) {
    on_both_engines([](OwnedSystem& system) {
        auto ran = std::make_shared<std::atomic<int>>(0);
        auto began = std::make_shared<Latch>();
        auto offloader = system->spawn<Offloader>();
        offloader.tell<&Offloader::go>(ran, began);
        ASSERT_TRUE(system->engine().run_until(*began));
        offloader.stop(Stop::kill);
        wait_for_end(system, offloader);
    });
}

TEST(Stop, KillWhileAsleepLeavesNothingBehind) {
    on_both_engines([](OwnedSystem& system) {
        auto worker = system->spawn<Worker>(make_log());
        worker.tell<&Worker::nap>(1h);
        system->block_on([]() -> Task<> { co_await yield(); }());
        worker.stop(Stop::kill);
        wait_for_end(system, worker);
    });
}

// ---- every schedule -----------------------------------------------------------------------------

class Echo : public Actor {
public:
    Task<int> echo(int n) {
        co_await yield();
        co_return n;
    }
};
class Client : public Actor {
public:
    Task<> ask_echo(Ref<Echo> echo, std::shared_ptr<std::vector<std::string>> heard) {
        const auto answer = co_await echo.ask<&Echo::echo>(4);
        heard->push_back(answer                               ? "answered"
                         : answer.error() == Errc::actor_gone ? "gone"
                                                              : "something else");
    }
};
class Stopper : public Actor {
public:
    void stop(Ref<Echo> echo, Stop strength) { echo.stop(strength); }
};

TEST(StopEverySchedule, AnAskerHearsExactlyOnceWheneverTheCalleeStops) {
    for (const Stop strength : {Stop::drain, Stop::stop, Stop::kill}) {
        bool answered = false;
        bool gone = false;
        const auto seen = on_all_schedules(50'000, [&](OwnedSystem& system) {
            const Log heard = make_log();
            auto echo = system->spawn<Echo>();
            system->spawn<Client>().tell<&Client::ask_echo>(echo, heard);
            system->spawn<Client>().tell<&Client::ask_echo>(echo, heard);
            system->spawn<Stopper>().tell<&Stopper::stop>(echo, strength);
            system.settle();
            ASSERT_EQ(heard->size(), 2U);
            for (const auto& what : *heard) {
                answered = answered || what == "answered";
                gone = gone || what == "gone";
                EXPECT_NE(what, "something else");
            }
            EXPECT_EQ(system->now(), 0s) << "nobody had to wait for a deadline";
        });
        EXPECT_TRUE(seen.exhaustive);
        EXPECT_TRUE(answered);
        EXPECT_TRUE(gone);
    }
}

}  // namespace
}  // namespace troupe
