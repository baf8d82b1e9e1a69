#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/test_log.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/task/sleep.hpp>
#include <troupe/task/task_group.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::actor_internal {
namespace {

using namespace std::chrono_literals;

using Slow = std::shared_ptr<std::vector<SlowHandler>>;

/// Works for as long as it is told, and keeps what it hears of itself.
class Worker : public Actor {
public:
    explicit Worker(Slow slow) : slow_(std::move(slow)) {}

    /// Sleeps so often for so long, and answers how often it slept to the end.
    Task<int> work(int steps, Duration each) {
        int done = 0;
        for (int i = 0; i < steps; ++i) {
            const Result<void> slept = co_await sleep(each);
            done += slept ? 1 : 0;
        }
        co_return done;
    }
    Task<int> other(int steps, Duration each) { return work(steps, each); }
    int quick(int n) { return n + 1; }

private:
    void on_slow_handler(const SlowHandler& slow) override { slow_->push_back(slow); }
    Slow slow_;
};

Slow nobody_slow() {
    return std::make_shared<std::vector<SlowHandler>>();
}

// ---- how long a handler may take ----------------------------------------------------------------

TEST(HandlerTimeout, WarnsOnceAndLetsTheHandlerGoOn) {
    on_seeds(20, [](OwnedSystem& system) {
        const Slow slow = nobody_slow();
        const auto worker = system->spawn<Worker>(options().handler_timeout(50ms), slow);
        EXPECT_EQ(system->block_on(worker.ask<&Worker::work>(10, Duration(20ms))), 10);
        ASSERT_EQ(slow->size(), 1U);
        EXPECT_NE(slow->front().method.find("Worker::work"), std::string::npos);
        EXPECT_EQ(slow->front().lasted, 50ms);
        EXPECT_EQ(slow->front().limit, 50ms);
        EXPECT_EQ(slow->front().action, OnTimeout::warn);
        EXPECT_FALSE(slow->front().held_worker);
        EXPECT_NE(slow->front().where.find("scheduling_test.cpp:"), std::string::npos);
        EXPECT_EQ(system->slow_handlers(), 1U);
    });
}

TEST(HandlerTimeout, SaysNothingOfWhoeverIsInTime) {
    on_seeds(20, [](OwnedSystem& system) {
        const Slow slow = nobody_slow();
        const auto worker = system->spawn<Worker>(options().handler_timeout(50ms), slow);
        for (int i = 0; i < 10; ++i) {
            EXPECT_EQ(system->block_on(worker.ask<&Worker::work>(2, Duration(20ms))), 2);
            EXPECT_EQ(system->block_on(worker.ask<&Worker::quick>(1)), 2);
        }
        EXPECT_TRUE(slow->empty());
    });
}

TEST(HandlerTimeout, CancelsWhatTheHandlerAwaitsAndWhateverItAwaitsNext) {
    on_seeds(20, [](OwnedSystem& system) {
        const Slow slow = nobody_slow();
        const auto worker =
            system->spawn<Worker>(options().handler_timeout(50ms, OnTimeout::cancel), slow);
        // Two sleeps end by themselves, the third is cut short, the others do not begin.
        EXPECT_EQ(system->block_on(worker.ask<&Worker::work>(10, Duration(20ms))), 2);
        EXPECT_EQ(system->now().count() / 1'000'000, 50);
        // The next message is handled as ever.
        EXPECT_EQ(system->block_on(worker.ask<&Worker::work>(2, Duration(20ms))), 2);
        EXPECT_EQ(slow->size(), 1U);
    });
}

TEST(HandlerTimeout, OfOneMethodGoesBeforeThatOfAll) {
    on_seeds(20, [](OwnedSystem& system) {
        const Slow slow = nobody_slow();
        const auto worker =
            system->spawn<Worker>(options()
                                      .handler_timeout(10ms, OnTimeout::cancel)
                                      .handler_timeout<&Worker::other>(1s, OnTimeout::cancel),
                                  slow);
        EXPECT_EQ(system->block_on(worker.ask<&Worker::other>(10, Duration(20ms))), 10);
        EXPECT_EQ(system->block_on(worker.ask<&Worker::work>(10, Duration(20ms))), 0);
    });
}

/// Hears in words what becomes of an ask.
Task<std::string> outcome(Ref<Worker> worker, int steps, Duration each) {
    const Result<int> answer = co_await worker.ask<&Worker::work>(steps, each);
    co_return answer ? std::to_string(*answer) : answer.error().text();
}

TEST(HandlerTimeout, StopsTheActorAsFailedAndItsAskerHearsWhy) {
    on_seeds(20, [](OwnedSystem& system) {
        const Slow slow = nobody_slow();
        const auto worker =
            system->spawn<Worker>(options().handler_timeout(50ms, OnTimeout::stop), slow);
        EndWatch watch(system, worker);
        const std::string heard = system->block_on(outcome(worker, 10, 20ms));
        EXPECT_NE(heard.find("Worker::work has taken longer than its limit of 50 ms"),
                  std::string::npos)
            << heard;
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::failed);
        EXPECT_EQ(slow->size(), 1U);
    });
}

TEST(HandlerTimeout, LetsASupervisorStartTheActorAgainWithTheSameLimit) {
    on_seeds(20, [](OwnedSystem& system) {
        const Slow slow = nobody_slow();
        Supervisor tree = supervisor("shop");
        const auto child =
            tree.child<Worker>("worker", options().handler_timeout(50ms, OnTimeout::stop), slow);
        const auto running = system->block_on(system->start(std::move(tree)));
        ASSERT_TRUE(running);
        const Ref<Worker> worker = running->ref(child);
        for (int life = 1; life <= 2; ++life) {
            EXPECT_NE(system->block_on(outcome(worker, 10, 20ms)).find("limit"), std::string::npos);
            EXPECT_EQ(system->block_on(worker.ask<&Worker::quick>(1)), 2);
        }
        EXPECT_EQ(slow->size(), 2U);
    });
}

/// Its hooks take as long as they are told.
class Sleeper : public Actor {
public:
    Sleeper(Duration starts, Duration stops, Log log)
        : starts_(starts), stops_(stops), log_(std::move(log)) {}
    int ready() const { return 1; }

private:
    Task<Result<void>> on_start() override {
        Result<void> slept = co_await sleep(starts_);
        if (!slept) co_return std::unexpected(slept.error());
        co_return Result<void>();
    }
    Task<void> on_stop(const ExitReason&) override {
        const Result<void> slept = co_await sleep(stops_);
        log_->push_back(slept ? "stopped" : "cut short");
    }
    void on_slow_handler(const SlowHandler& slow) override { log_->push_back(slow.method); }
    Duration starts_;
    Duration stops_;
    Log log_;
};

TEST(HandlerTimeout, EndsAStartThatTakesTooLong) {
    on_seeds(20, [](OwnedSystem& system) {
        for (const OnTimeout action : {OnTimeout::cancel, OnTimeout::stop}) {
            const Log log = make_log();
            const auto started = system->block_on(system->start<Sleeper>(
                options().start_timeout(50ms, action), Duration(1s), Duration(0), log));
            ASSERT_FALSE(started);
            EXPECT_EQ(started.error(), Errc::start_failed);
            EXPECT_NE(started.error().message().find("on_start has taken longer"),
                      std::string::npos)
                << started.error().message();
            EXPECT_EQ(log->front(), "on_start");
        }
        const Log log = make_log();
        EXPECT_TRUE(system->block_on(system->start<Sleeper>(options().start_timeout(50ms),
                                                            Duration(40ms), Duration(0), log)));
        EXPECT_TRUE(log->empty());
    });
}

TEST(HandlerTimeout, EndsAStopThatTakesTooLong) {
    on_seeds(20, [](OwnedSystem& system) {
        const Log log = make_log();
        const auto sleeper = system->spawn<Sleeper>(options().stop_timeout(50ms, OnTimeout::cancel),
                                                    Duration(0), Duration(1s), log);
        EXPECT_EQ(system->block_on(sleeper.ask<&Sleeper::ready>()), 1);
        EndWatch watch(system, sleeper);
        sleeper.stop();
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown);
        EXPECT_EQ(*log, (std::vector<std::string>{"on_stop", "cut short"}));
    });
}

/// Fails in the hook that hears of slow handlers.
class Touchy : public Actor {
public:
    Task<void> work() {
        const Result<void> slept = co_await sleep(1s);
        EXPECT_FALSE(slept);
    }

private:
    void on_slow_handler(const SlowHandler&) override { throw std::runtime_error("too slow"); }
};

TEST(SlowHandlerHook, EndsTheActorWhenItThrows) {
    on_seeds(20, [](OwnedSystem& system) {
        const auto touchy = system->spawn<Touchy>(options().handler_timeout(10ms));
        EndWatch watch(system, touchy);
        touchy.tell<&Touchy::work>();
        const Down down = watch.wait();
        EXPECT_EQ(down.reason.kind(), ExitReason::Kind::failed);
        EXPECT_EQ(down.reason.text(), "on_slow_handler: too slow");
    });
}

/// Has no hooks of its own: must not be sent what it would not hear.
class Plain : public Actor {
public:
    void work() {}
};
class Public : public Actor {
public:
    void on_starvation(const StarvationReport&) override {}
};

TEST(SlowHandlerHook, IsKnownToBeThereOnlyWhereAClassHasIt) {
    EXPECT_TRUE(kActorType<Worker>.hears_of_slow_handlers);
    EXPECT_TRUE(kActorType<Touchy>.hears_of_slow_handlers);
    EXPECT_FALSE(kActorType<Worker>.hears_of_starvation);
    EXPECT_FALSE(kActorType<Plain>.hears_of_slow_handlers);
    EXPECT_FALSE(kActorType<Plain>.hears_of_starvation);
    EXPECT_TRUE(kActorType<Public>.hears_of_starvation);
}

/// Keeps its worker until the watchdog has seen it.
class Hog : public Actor {
public:
    Hog(Latch* heard, SlowHandler* report) : heard_(heard), report_(report) {}
    void compute() {
        const std::uint64_t before = system().engine().stats().stalls;
        while (system().engine().stats().stalls == before) {
        }
    }

private:
    void on_slow_handler(const SlowHandler& slow) override {
        *report_ = slow;
        heard_->open();
    }
    Latch* heard_;
    SlowHandler* report_;
};

TEST(SlowHandlerHook, HearsFromTheWatchdogOfAHandlerThatKeptItsWorker) {
    const QuietLog quiet;
    Latch heard;
    SlowHandler report;
    OwnedSystem system(make_threaded_engine({.workers = 2, .stall_after = 1ms}));
    system->spawn<Hog>(&heard, &report).tell<&Hog::compute>();
    ASSERT_TRUE(system->engine().run_until(heard));
    EXPECT_NE(report.method.find("Hog::compute"), std::string::npos);
    EXPECT_TRUE(report.held_worker);
    EXPECT_GE(report.lasted, 1ms);
}

// ---- slices and priorities ----------------------------------------------------------------------

/// Notes each message it handles.
class Noter : public Actor {
public:
    Noter(Log log, std::string name) : log_(std::move(log)), name_(std::move(name)) {}
    void note() { log_->push_back(name_); }
    int notes() const { return static_cast<int>(log_->size()); }

private:
    Log log_;
    std::string name_;
};

/// Sends to several in one turn, so that they become runnable together.
class Starter : public Actor {
public:
    void start(std::vector<Ref<Noter>> noters, int messages) {
        for (const Ref<Noter>& noter : noters) {
            for (int i = 0; i < messages; ++i)
                EXPECT_EQ(noter.tell<&Noter::note>(), SendStatus::sent);
        }
    }
};

std::string joined(const Log& log) {
    std::string all;
    for (const std::string& one : *log)
        all += one;
    return all;
}

std::string order_of(OwnedSystem& system, const Log& log, const std::vector<Ref<Noter>>& noters,
                     int messages) {
    const auto starter = system->spawn<Starter>();
    starter.tell<&Starter::start>(noters, messages);
    for (const Ref<Noter>& noter : noters)
        EXPECT_TRUE(system->block_on(noter.ask<&Noter::notes>()));
    return joined(log);
}

/// The lengths of the runs of one letter: "aabbb" has 2 and 3.
std::vector<std::size_t> runs_in(const std::string& order) {
    std::vector<std::size_t> runs;
    for (std::size_t at = 0; at < order.size();) {
        const std::size_t next = std::min(order.find_first_not_of(order[at], at), order.size());
        runs.push_back(next - at);
        at = next;
    }
    return runs;
}

TEST(Slice, LetsTheOthersGoAfterSoManyMessages) {
    on_threads(1, [](OwnedSystem& system) {
        const Log log = make_log();
        const auto first = system->spawn<Noter>(options().slice(3, 1h), log, "a");
        const auto second = system->spawn<Noter>(options().slice(3, 1h), log, "b");
        const std::string order = order_of(system, log, {first, second}, 30);
        // One may have two turns while the other has not been woken yet, or is late.
        for (const std::size_t run : runs_in(order))
            EXPECT_EQ(run % 3, 0U) << order;
        EXPECT_GE(runs_in(order).size(), 10U) << order;
    });
}

TEST(Slice, MayBeLongerThanThatOfTheOthers) {
    on_threads(1, [](OwnedSystem& system) {
        const Log log = make_log();
        const auto first = system->spawn<Noter>(options().slice(1000, 1h), log, "a");
        const auto second = system->spawn<Noter>(options().slice(1000, 1h), log, "b");
        const std::string order = order_of(system, log, {first, second}, 200);
        const std::string a(200, 'a');
        const std::string b(200, 'b');
        EXPECT_TRUE(order == a + b || order == b + a) << order;
    });
}

TEST(Slice, EndsWhenItsTimeIsUp) {
    on_threads(1, [](OwnedSystem& system) {
        const Log log = make_log();
        // No time at all: after each look at the clock, which is after 16 messages at the latest.
        const auto first = system->spawn<Noter>(options().slice(1000, Duration(0)), log, "a");
        const auto second = system->spawn<Noter>(options().slice(1000, Duration(0)), log, "b");
        const std::string order = order_of(system, log, {first, second}, 64);
        for (const std::size_t run : runs_in(order))
            EXPECT_EQ(run % 16, 0U) << order;
        EXPECT_GE(runs_in(order).size(), 4U) << order;
    });
}

TEST(Priority, OfThoseThatCouldRunTheHighGoFirstAndTheLowLast) {
    on_threads(1, [](OwnedSystem& system) {
        const Log log = make_log();
        const auto low = system->spawn<Noter>(options().priority(Priority::low), log, "l");
        const auto normal = system->spawn<Noter>(log, "n");
        const auto high = system->spawn<Noter>(options().priority(Priority::high), log, "h");
        for (const auto& noter : {low, normal, high})
            EXPECT_TRUE(system->block_on(noter.ask<&Noter::notes>()));
        EXPECT_EQ(order_of(system, log, {low, normal, high}, 2), "hhnnll");
        log->clear();
        EXPECT_EQ(order_of(system, log, {high, low, normal}, 2), "hhnnll");
    });
}

/// Has a task look at what it runs with.
class Parent : public Actor {
public:
    Task<Priority> of_its_task() {
        auto group = task_group<Priority>(all_settled());
        group.add([]() -> Task<Priority> { co_return current_cell()->priority(); });
        const std::vector<Result<Priority>> found = co_await group.run();
        co_return *found.front();
    }
};

TEST(Priority, IsThatOfTheActorsTasksToo) {
    on_both_engines([](OwnedSystem& system) {
        const auto high = system->spawn<Parent>(options().priority(Priority::high));
        const auto normal = system->spawn<Parent>();
        EXPECT_EQ(system->block_on(high.ask<&Parent::of_its_task>()), Priority::high);
        EXPECT_EQ(system->block_on(normal.ask<&Parent::of_its_task>()), Priority::normal);
    });
}

// ---- starvation ---------------------------------------------------------------------------------

class Hungry : public Actor {
public:
    Hungry(Latch* heard, StarvationReport* report) : heard_(heard), report_(report) {}
    void eat() {}

private:
    void on_starvation(const StarvationReport& report) override {
        if (heard_->is_open()) return;  // somebody else has written, and may be read by now
        *report_ = report;
        heard_->open();
    }
    Latch* heard_;
    StarvationReport* report_;
};

/// Sends to many and keeps the worker that would run them.
class Neighbour : public Actor {
public:
    explicit Neighbour(std::vector<Ref<Hungry>> hungry) : hungry_(std::move(hungry)) {}
    void bother() {
        for (const Ref<Hungry>& one : hungry_)
            one.tell<&Hungry::eat>();
        const Duration until = system().engine().now() + Duration(20ms);
        while (system().engine().now() < until) {
        }
    }
    void rest() {}

private:
    std::vector<Ref<Hungry>> hungry_;
};

TEST(Starvation, IsHeardOfByOneOfThoseWhoHadToWait) {
    const QuietLog quiet;
    Latch heard;
    StarvationReport report;
    // Nobody helps: there is one worker, and the watchdog takes nothing from it.
    OwnedSystem system(make_threaded_engine({.workers = 1,
                                             .stall_after = 1h,
                                             .starving_after = 2ms,
                                             .starving_badly_after = 4ms,
                                             .spare_workers_max = 0}));
    // A worker looks at the clock every 16 turns at least.
    std::vector<Ref<Hungry>> hungry;
    for (int i = 0; i < 64; ++i)
        hungry.push_back(system->spawn<Hungry>(&heard, &report));
    auto neighbour = system->spawn<Neighbour>(hungry);
    auto bystander = system->spawn<Neighbour>(std::vector<Ref<Hungry>>());
    // On a machine with too much to do others may be reported first, and nobody for ten seconds.
    // Not asked: whoever waits for its answer would have to wait as well, and be reported.
    while (!heard.is_open()) {
        ASSERT_EQ(neighbour.tell<&Neighbour::bother>(), SendStatus::sent);
        ASSERT_TRUE(system->block_on(bystander.ask<&Neighbour::rest>()));
    }
    EXPECT_TRUE(std::any_of(hungry.begin(), hungry.end(),
                            [&](const Ref<Hungry>& one) { return one.pid().slot == report.slot; }));
    EXPECT_GE(report.waited, 2ms);
    EXPECT_NE(report.type.find("Hungry"), std::string::npos);
    EXPECT_GE(system->engine().stats().starved, 1U);
    EXPECT_GE(system->engine().stats().longest_wait, report.waited);
}

}  // namespace
}  // namespace troupe::actor_internal
