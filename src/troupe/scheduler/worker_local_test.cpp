#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/explore.hpp>
#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/scheduler/worker_local.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {
namespace {

using scheduler_internal::TestCell;

/// Knows how many there are, and on which thread it was made.
struct Counted {
    Counted() : thread(::gettid()) { alive.fetch_add(1); }
    ~Counted() {
        if (::gettid() != thread) strays.fetch_add(1);
        alive.fetch_sub(1);
    }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

    const pid_t thread;
    int used = 0;
    static inline std::atomic<int> alive{0};
    static inline std::atomic<int> strays{0};  // destroyed on another thread
};

class WorkerLocalTest : public testing::TestWithParam<bool> {
protected:
    void SetUp() override {
        Counted::strays.store(0);
        engine = make();
    }
    void TearDown() override {
        engine->stop();
        cells_.clear();
        engine.reset();
        EXPECT_EQ(Counted::alive.load(), 0) << "a value has outlived its worker";
        EXPECT_EQ(Counted::strays.load(), 0) << "a value was destroyed elsewhere";
    }
    std::unique_ptr<Engine> make() {
        if (GetParam()) return make_deterministic_engine(chooser);
        ThreadedOptions options;
        options.workers = 2;
        return make_threaded_engine(options);
    }

    /// Runs the body in a turn of the engine and waits for its end.
    void on_worker(const std::function<void()>& body, Placement placement = {}) {
        Latch done;
        cells_.emplace_back(
            *engine,
            [&](TestCell&, int) {
                body();
                done.open();
            },
            Cell::kUnbounded, placement);
        cells_.back().send(1);
        EXPECT_TRUE(engine->run_until(done));
    }

    RandomChooser chooser{1};
    std::unique_ptr<Engine> engine;

private:
    std::deque<TestCell> cells_;
};

TEST_P(WorkerLocalTest, MakesAValuePerWorkerAtItsFirstUse) {
    WorkerLocal<Counted> local(*engine);
    EXPECT_EQ(Counted::alive.load(), 0);
    for (std::uint32_t shard = 0; shard < 2; ++shard) {
        for (int i = 0; i < 3; ++i) {
            on_worker(
                [&] {
                    const Result<int> used = local.with([](Counted& counted) {
                        EXPECT_EQ(counted.thread, ::gettid());
                        return ++counted.used;
                    });
                    EXPECT_EQ(used.value(), i + 1 + (GetParam() ? 3 * static_cast<int>(shard) : 0));
                },
                Placement{Placement::Kind::pinned, shard});
        }
    }
    EXPECT_EQ(Counted::alive.load(), GetParam() ? 1 : 2);
    engine->stop();
    EXPECT_EQ(Counted::alive.load(), 0) << "it goes with its worker";
}

TEST_P(WorkerLocalTest, IsRefusedOnThreadsThatRunNoActors) {
    WorkerLocal<Counted> local(*engine);
    const Result<void> here = local.with([](Counted&) { ADD_FAILURE(); });
    ASSERT_FALSE(here);
    EXPECT_EQ(here.error(), WorkerLocalErrc::not_on_a_worker);
    EXPECT_EQ(local.of_pinned_actor().error(), WorkerLocalErrc::not_on_a_worker);
    const Result<void> scope = WorkerScope::run([] { ADD_FAILURE(); });
    EXPECT_EQ(scope.error(), WorkerLocalErrc::not_on_a_worker);
}

TEST_P(WorkerLocalTest, IsRefusedOnWorkersOfAnotherEngine) {
    auto other = make();
    WorkerLocal<Counted> local(*other);
    on_worker([&] {
        EXPECT_EQ(local.with([](Counted&) { ADD_FAILURE(); }).error(),
                  WorkerLocalErrc::other_engine);
    });
    other->stop();
}

TEST_P(WorkerLocalTest, IsLentForGoodToPinnedCellsOnly) {
    WorkerLocal<Counted> local(*engine);
    on_worker([&] { EXPECT_EQ(local.of_pinned_actor().error(), WorkerLocalErrc::not_pinned); });
    Counted* kept = nullptr;
    const Placement pinned{Placement::Kind::pinned, 1};
    on_worker([&] { kept = local.of_pinned_actor().value(); }, pinned);
    on_worker(
        [&] {
            EXPECT_EQ(local.of_pinned_actor().value(), kept);
            const Result<void> result = WorkerScope::run(
                [&] { EXPECT_EQ(local.of_pinned_actor().error(), WorkerLocalErrc::in_a_scope); });
            EXPECT_TRUE(result);
        },
        pinned);
    on_worker([&] { EXPECT_TRUE(local.of_pinned_actor()); },
              Placement{Placement::Kind::own_thread});
}

TEST_P(WorkerLocalTest, ReturnsWhatTheFunctionReturns) {
    WorkerLocal<std::string> names(*engine, [] { return std::make_unique<std::string>("ann"); });
    on_worker([&] {
        EXPECT_EQ(names.with([](std::string& name) { return name; }).value(), "ann");
        const Result<int> failed = names.with(
            [](std::string&) -> Result<int> { return error(Errc::not_found, "no such thing"); });
        EXPECT_EQ(failed.error(), Errc::not_found);
        EXPECT_TRUE(names.with([](std::string& name) { name = "bob"; }));
    });
}

TEST_P(WorkerLocalTest, TriesAgainAfterAConstructorThatThrew) {
    int tries = 0;
    WorkerLocal<Counted> local(*engine, [&]() -> std::unique_ptr<Counted> {
        if (++tries == 1) throw std::runtime_error("not yet");
        return std::make_unique<Counted>();
    });
    on_worker(
        [&] {
            EXPECT_THROW(static_cast<void>(local.with([](Counted&) {})), std::runtime_error);
            EXPECT_TRUE(local.with([](Counted&) {}));
            EXPECT_EQ(tries, 2);
        },
        Placement{Placement::Kind::pinned, 0});
}

TEST_P(WorkerLocalTest, RefusesAValueThatAsksForItself) {
    std::optional<WorkerLocal<Counted>> local;
    local.emplace(*engine, [&] {
        EXPECT_EQ(local->with([](Counted&) { ADD_FAILURE(); }).error(),
                  WorkerLocalErrc::being_made);
        return std::make_unique<Counted>();
    });
    on_worker([&] { EXPECT_TRUE(local->with([](Counted&) {})); });
    engine->stop();
}

// Goal: nothing of one job survives into the next on the same worker. Method: jobs that leave
// something behind in a value, also when they throw, and look for what was left.
TEST_P(WorkerLocalTest, LetsNothingOfOneJobSurviveIntoTheNext) {
    WorkerLocal<Counted> local(*engine);
    const auto use = [&] {
        return local.with([](Counted& counted) { return ++counted.used; }).value();
    };
    on_worker(
        [&] {
            EXPECT_EQ(use(), 1);
            for (int job = 0; job < 3; ++job) {
                const Result<int> last = WorkerScope::run([&] {
                    EXPECT_EQ(use(), 1) << "something of an earlier job";
                    return use();
                });
                EXPECT_EQ(last.value(), 2);
                EXPECT_EQ(Counted::alive.load(), 1) << "something of the job is left";
            }
            EXPECT_THROW(static_cast<void>(WorkerScope::run([&] {
                             use();
                             throw std::runtime_error("a job that fails");
                         })),
                         std::runtime_error);
            EXPECT_EQ(Counted::alive.load(), 1);
            const Result<void> outer = WorkerScope::run([&] {
                EXPECT_EQ(use(), 1);
                EXPECT_TRUE(WorkerScope::run([&] { EXPECT_EQ(use(), 1); }));
                EXPECT_EQ(use(), 2) << "the outer job goes on where it was";
            });
            EXPECT_TRUE(outer);
            EXPECT_EQ(use(), 2) << "what is outside all jobs stays";
        },
        Placement{Placement::Kind::pinned, 0});
}

TEST_P(WorkerLocalTest, DestroysTheNewestFirst) {
    static std::vector<std::string> journal;
    journal.clear();
    struct Part {
        explicit Part(std::string its_name) : name(std::move(its_name)) {}
        ~Part() { journal.push_back(name); }
        Part(const Part&) = delete;
        Part& operator=(const Part&) = delete;
        std::string name;
    };
    WorkerLocal<Part> engine_part(*engine, [] { return std::make_unique<Part>("needed"); });
    WorkerLocal<Part> user(*engine, [&] {
        EXPECT_TRUE(engine_part.with([](Part&) {}));  // made meanwhile, and needed until the end
        return std::make_unique<Part>("user");
    });
    on_worker(
        [&] { EXPECT_TRUE(WorkerScope::run([&] { EXPECT_TRUE(user.with([](Part&) {})); })); });
    EXPECT_EQ(journal, (std::vector<std::string>{"user", "needed"}));
}

INSTANTIATE_TEST_SUITE_P(, WorkerLocalTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& deterministic) {
                             return std::string(deterministic.param ? "Deterministic" : "Threaded");
                         });

}  // namespace
}  // namespace troupe
