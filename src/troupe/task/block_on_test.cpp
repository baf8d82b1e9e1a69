#include <troupe/scheduler/engine.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/internal/test_engines.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using task_internal::on_both_engines;
using task_internal::on_threads;

Task<std::unique_ptr<int>> boxed(int n) {
    ignore(co_await sleep(10us), "a test");
    co_return std::make_unique<int>(n);
}
Task<> nothing() {
    co_return;
}

TEST(BlockOn, GivesTheResultAndCanBeCalledAgain) {
    on_both_engines([](Engine& engine) {
        for (int i = 0; i < 20; ++i) {
            EXPECT_EQ(*block_on(engine, boxed(i)), i);
            block_on(engine, nothing());
        }
    });
}

Task<long> sum_of_yields(int count) {
    long sum = 0;
    for (int i = 0; i < count; ++i) {
        co_await yield();
        sum += i;
    }
    co_return sum;
}

TEST(BlockOn, ServesManyThreadsAtOnce) {
    on_threads(2, [](Engine& engine) {
        std::vector<std::thread> threads;
        std::vector<long> sums(8);
        for (auto& sum : sums) {
            threads.emplace_back([&engine, &sum] {
                for (int i = 0; i < 50; ++i)
                    sum += block_on(engine, sum_of_yields(20));
            });
        }
        for (auto& thread : threads)
            thread.join();
        for (const long sum : sums)
            EXPECT_EQ(sum, 50 * 190);
    });
}

/// Waits for something that never comes.
class Never {
public:
    bool await_ready() const noexcept { return false; }
    template <task_internal::OurPromise P>
    void await_suspend(std::coroutine_handle<P> self) noexcept {
        begin_await(awaiting_, self);
        awaiting_.what = "what never comes";
    }
    void await_resume() const noexcept {}

private:
    Awaiting awaiting_;
};
Task<> wait_for_ever() {
    Never never;
    co_await never;
}

TEST(BlockOnDeathTest, SaysWhoWaitsForWhatWhenNothingCanRun) {
    RandomChooser chooser(1);
    const auto engine = make_deterministic_engine(chooser);
    EXPECT_DEATH(block_on(*engine, wait_for_ever()),
                 "block_on waits in what never comes(.|\n)*deadlock");
}

Task<> block_inside(Engine* engine) {
    block_on(*engine, nothing());
    co_return;
}

TEST(BlockOnDeathTest, RefusesAWorker) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(
        {
            const auto engine = make_threaded_engine({.workers = 1});
            block_on(*engine, block_inside(engine.get()));
        },
        "block_on was called on a worker");
}

Task<> awaits_outside() {
    co_await yield();
}

TEST(TaskDeathTest, AwaitingOutsideAnyActorOrTaskSaysWhatToDo) {
    EXPECT_DEATH(
        {
            auto task = awaits_outside();
            task.start();
        },
        "outside an actor or task");
}

}  // namespace
}  // namespace troupe
