#include <troupe/actor/internal/test_log.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/shutdown.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::Log;
using actor_internal::make_log;
using actor_internal::on_both_engines;
using actor_internal::on_seeds;
using Outcome = ShutdownTaskReport::Outcome;

/// A task that notes its name, after a while.
auto noting(const Log& log, std::string text, Duration work = {}) {
    return [log, text, work]() -> Task<> {
        ignore(co_await sleep(work), "a test");
        log->push_back(text);
    };
}

class Service : public Actor {
public:
    explicit Service(Log log) : log_(std::move(log)) {}

private:
    Task<> on_stop(const ExitReason&) override {
        log_->emplace_back("actor stopped");
        return {};
    }
    Log log_;
};

using Texts = std::vector<std::string>;

TEST(Shutdown, RunsItsPhasesInOrderAndThenStopsTheActors) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        system->spawn<Service>(log);
        const Shutdown shutdown = system->shutdown();
        EXPECT_TRUE(shutdown.add("before-actors-stop", "last", noting(log, "last")));
        EXPECT_TRUE(shutdown.add("service-stop", "third", noting(log, "third", 2ms)));
        EXPECT_TRUE(shutdown.add("service-unbind", "first", noting(log, "first", 3ms)));
        shutdown.add_phase("between", "service-unbind");
        EXPECT_TRUE(shutdown.add("between", "second", noting(log, "second")));
        EXPECT_TRUE(system.stop());
        EXPECT_EQ(*log, (Texts{"first", "second", "third", "last", "actor stopped"}));
        EXPECT_TRUE(system.stop()) << "a second stop says the same";
    });
}

TEST(Shutdown, RunsTheTasksOfOnePhaseSideBySide) {
    on_seeds(50, [](OwnedSystem& system) {
        const Log log = make_log();
        const Shutdown shutdown = system->shutdown();
        shutdown.add("service-stop", "slow", noting(log, "slow", 3s));
        shutdown.add("service-stop", "quick", noting(log, "quick", 2s));
        const Duration before = system->now();
        const auto report = system->block_on(shutdown.run());
        EXPECT_EQ(*log, (Texts{"quick", "slow"}));
        EXPECT_EQ(system->now() - before, 3s);
        ASSERT_EQ(report.tasks.size(), 2U);
        EXPECT_TRUE(report.clean());
        EXPECT_EQ(report.tasks[1].task, "slow");
        EXPECT_EQ(report.tasks[1].phase, "service-stop");
        EXPECT_EQ(report.tasks[1].took, 3s);
    });
}

TEST(Shutdown, RunsAPhaseBehindTheLastOfThoseItNeeds) {
    on_both_engines([](OwnedSystem& system) {
        const Log log = make_log();
        const Shutdown shutdown = system->shutdown();
        shutdown.add_phase("flush", {"service-stop", "service-unbind"});
        shutdown.add_phase("report", {"flush", "before-service-unbind"});
        shutdown.add_phase("first of all", {});
        shutdown.add("report", "report", noting(log, "report"));
        shutdown.add("flush", "flush", noting(log, "flush"));
        shutdown.add("before-cluster-shutdown", "cluster", noting(log, "cluster"));
        shutdown.add("service-stop", "service", noting(log, "service"));
        shutdown.add("before-service-unbind", "unbind", noting(log, "unbind"));
        shutdown.add("first of all", "first", noting(log, "first"));
        EXPECT_TRUE(system.stop());
        EXPECT_EQ(*log, (Texts{"first", "unbind", "service", "flush", "report", "cluster"}));
    });
}

TEST(Shutdown, LeavesOutWhatComesAfterAPhaseThatIsRequiredAndFails) {
    for (const bool fails : {false, true}) {
        on_both_engines([=](OwnedSystem& system) {
            const Log log = make_log();
            const Shutdown shutdown = system->shutdown();
            shutdown.require("service-stop");
            const auto task = [fails]() -> Task<Result<void>> {
                if (fails) co_return error(Errc::failed, "the disk is full");
                co_return Result<void>();
            };
            shutdown.add("service-stop", "save", task);
            shutdown.add("service-stop", "beside it", noting(log, "beside it", 1ms));
            shutdown.add("cluster-leave", "leave", noting(log, "leave"));
            shutdown.add("before-actors-stop", "last", noting(log, "last"));
            const auto report = system->block_on(shutdown.run());
            EXPECT_EQ(report.clean(), !fails);
            ASSERT_EQ(report.tasks.size(), 4U);
            EXPECT_EQ(*log, fails ? Texts{"beside it"} : (Texts{"beside it", "leave", "last"}));
            if (!fails) return;
            for (const ShutdownTaskReport& task_report : report.tasks) {
                const bool failed = task_report.task == "save";
                EXPECT_EQ(task_report.text == "the disk is full", failed);
            }
            for (const std::size_t i : {2U, 3U}) {
                EXPECT_EQ(report.tasks[i].outcome, Outcome::left_out);
                EXPECT_EQ(report.tasks[i].text, "\"service-stop\" has not succeeded");
            }
            EXPECT_EQ(report.tasks[3].task, "last");
        });
    }
}

TEST(Shutdown, BeginsWhenTheSystemIsAskedToStop) {
    on_seeds(50, [](OwnedSystem& system) {
        const Log log = make_log();
        system->shutdown().add("service-stop", "task", noting(log, "done"));
        system.advance(1s);
        EXPECT_TRUE(log->empty());
        system->request_stop();
        system.settle();
        EXPECT_EQ(*log, (Texts{"done"}));
        EXPECT_FALSE(system->shutdown().add("service-stop", "too late", noting(log, "late")));
    });
}

TEST(Shutdown, GivesUpATaskThatIsTooSlowAndSaysWhereItWaits) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Log log = make_log();
            const Shutdown shutdown = system->shutdown();
            shutdown.limit("service-stop", 20ms);
            shutdown.add("service-stop", "stuck", noting(log, "never", 1h));
            shutdown.add("before-actors-stop", "after it", noting(log, "after it"));
            const auto report = system->block_on(shutdown.run());
            ASSERT_EQ(report.tasks.size(), 2U);
            EXPECT_FALSE(report.clean());
            EXPECT_EQ(report.tasks[0].outcome, Outcome::too_slow);
            EXPECT_NE(report.tasks[0].text.find("sleep at shutdown_test.cpp"), std::string::npos)
                << report.tasks[0].text;
            EXPECT_EQ(report.tasks[1].outcome, Outcome::done);
            EXPECT_EQ(*log, (Texts{"after it"}));
            EXPECT_FALSE(system.stop());
        },
        20);
}

TEST(Shutdown, GoesOnWhenATaskFails) {
    on_both_engines(
        [](OwnedSystem& system) {
            const Log log = make_log();
            const Shutdown shutdown = system->shutdown();
            shutdown.add("service-unbind", "throws", []() -> Task<> {
                co_await yield();
                throw std::runtime_error("the disk is full");
            });
            shutdown.add("service-stop", "refuses", []() -> Task<Result<void>> {
                co_return error(Errc::closed, "was never open");
            });
            shutdown.add("before-actors-stop", "fine", noting(log, "fine"));
            const auto report = system->block_on(shutdown.run());
            ASSERT_EQ(report.tasks.size(), 3U);
            EXPECT_EQ(report.tasks[0].outcome, Outcome::failed);
            EXPECT_NE(report.tasks[0].text.find("the disk is full"), std::string::npos);
            EXPECT_EQ(report.tasks[1].outcome, Outcome::failed);
            EXPECT_EQ(report.tasks[1].text, "was never open");
            EXPECT_EQ(*log, (Texts{"fine"}));
        },
        20);
}

TEST(Shutdown, OfASystemWithoutTasksIsCleanAtOnce) {
    on_both_engines(
        [](OwnedSystem& system) {
            EXPECT_TRUE(system->block_on(system->shutdown().run()).clean());
            EXPECT_TRUE(system->actors().empty());
            EXPECT_TRUE(system.stop());
        },
        3);
}

TEST(Shutdown, TellsWhichActorsHadToBeKilledAndWhereTheyWaited) {
    class Stubborn : public Actor {
    public:
        Task<> work() {
            for (;;)
                ignore(co_await sleep(1h), "it will not hear");
        }
    };
    auto lines = std::make_shared<std::vector<std::string>>();
    RandomChooser chooser(1);
    {
        OwnedSystem system(make_deterministic_engine(chooser));
        auto stubborn = system->spawn<Stubborn>();
        stubborn.tell<&Stubborn::work>();
        system.settle();
        set_log_sink([lines](LogLevel, std::string_view line) { lines->emplace_back(line); });
        EXPECT_FALSE(system.stop(1s));
        EXPECT_FALSE(system.stop());
    }
    set_log_sink({});
    bool told = false;
    for (const auto& line : *lines) {
        told = told || (line.find("Stubborn") != std::string::npos &&
                        line.find("sleep at shutdown_test.cpp") != std::string::npos);
    }
    EXPECT_TRUE(told);
}

}  // namespace
}  // namespace troupe
