#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>
#include <troupe/actor/shutdown.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace troupe {
namespace {

// Each program runs as a process of its own: the test's binary, started again by its death test.
class RunDeathTest : public testing::Test {
protected:
    void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

template <class App>
[[noreturn]] void run_program(App app) {
    std::exit(run(0, nullptr, app));
}

/// Says goodbye when it is stopped.
class Service : public Actor {
public:
    int work() { return 3; }

private:
    Task<> on_stop(const ExitReason&) override {
        co_await yield();
        std::fputs("service stopped in order\n", stderr);
    }
};

Task<int> returns_seven(System& system) {
    const auto worked = co_await system.spawn<Service>().ask<&Service::work>();
    co_return 4 + *worked;
}

TEST_F(RunDeathTest, ExitsWithWhatTheAppReturnsAfterStoppingItsActors) {
    EXPECT_EXIT(run_program(returns_seven), testing::ExitedWithCode(7), "service stopped in order");
}

Task<int> serves_until_term(System& system) {
    ::kill(::getpid(), SIGTERM);
    system.spawn<Service>();
    co_await system.stop_requested();
    co_return 0;
}
Task<int> serves_until_interrupt(System& system) {
    ::kill(::getpid(), SIGINT);
    system.spawn<Service>();
    co_await system.stop_requested();
    co_return 0;
}

TEST_F(RunDeathTest, StopsInOrderWhenTheSystemAsksIt) {
    EXPECT_EXIT(run_program(serves_until_term), testing::ExitedWithCode(0),
                "service stopped in order");
    EXPECT_EXIT(run_program(serves_until_interrupt), testing::ExitedWithCode(0),
                "service stopped in order");
}

Task<int> hears_and_stays(System& system) {
    ::kill(::getpid(), SIGTERM);
    co_await system.stop_requested();
    // A second one while the first is being obeyed, however long that takes.
    ::kill(::getpid(), SIGTERM);
    ignore(co_await sleep(std::chrono::hours(1)), "ended by the signal");
    co_return 0;
}

TEST_F(RunDeathTest, EndsAtOnceAtTheSecondSignal) {
    EXPECT_EXIT(run_program(hears_and_stays), testing::ExitedWithCode(128 + SIGTERM), "");
}

/// Ends with whatever the shutdown leaves to it.
template <class Closing>
Task<int> closes(System& system, Closing closing) {
    system.shutdown().limit("service-stop", std::chrono::milliseconds(20));
    system.shutdown().add("service-stop", "database", closing);
    system.spawn<Service>();
    ::kill(::getpid(), SIGTERM);
    co_await system.stop_requested();
    co_return 0;
}
Task<> closes_in_order() {
    co_await yield();
    std::fputs("database closed\n", stderr);
}
Task<> never_closes() {
    ignore(co_await sleep(std::chrono::hours(1)), "too long");
}
Task<int> shuts_down(System& system) {
    return closes(system, &closes_in_order);
}
Task<int> hangs_in_shutdown(System& system) {
    return closes(system, &never_closes);
}

TEST_F(RunDeathTest, RunsTheShutdownBeforeItStopsTheActors) {
    EXPECT_EXIT(run_program(shuts_down), testing::ExitedWithCode(0),
                "database closed\nservice stopped in order");
}

TEST_F(RunDeathTest, TellsByItsExitCodeThatTheShutdownWasForced) {
    EXPECT_EXIT(run_program(hangs_in_shutdown), testing::ExitedWithCode(kExitForced),
                "task=database .*too slow.*sleep at run_test.cpp");
}

Task<int> throws(System& system) {
    system.spawn<Service>();
    co_await yield();
    throw std::runtime_error("the disk is full");
}
Task<int> throws_strangely(System&) {
    co_await yield();
    throw 4;
}

TEST_F(RunDeathTest, ExitsWithOneWhenTheAppThrows) {
    EXPECT_EXIT(run_program(throws), testing::ExitedWithCode(1), "the disk is full");
    EXPECT_EXIT(run_program(throws_strangely), testing::ExitedWithCode(1), "no std::exception");
}

Task<int> counts_workers(System& system) {
    co_return static_cast<int>(system.engine().workers());
}

TEST_F(RunDeathTest, TakesTheNumberOfWorkersFromTheEnvironment) {
    EXPECT_EXIT(
        {
            ::setenv("TROUPE_WORKERS", "3", 1);
            run_program(counts_workers);
        },
        testing::ExitedWithCode(3), "");
    for (const char* const wrong : {"", "0", "65", "3x", "-1"}) {
        EXPECT_EXIT(
            {
                ::setenv("TROUPE_WORKERS", wrong, 1);
                run_program(returns_seven);
            },
            testing::ExitedWithCode(7), "TROUPE_WORKERS=.* is ignored");
    }
}

}  // namespace
}  // namespace troupe
