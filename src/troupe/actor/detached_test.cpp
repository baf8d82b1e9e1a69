#include <troupe/actor/detached.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/task/sleep.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace troupe::actor_internal {
namespace {

using namespace std::chrono_literals;

Task<void> pass_gate(std::shared_ptr<Gate> gate, std::shared_ptr<std::string> log,
                     std::string text) {
    co_await gate->pass();
    *log += text;
}

TEST(Detached, RunsWithoutAnybodyWaitingAndEndsByItself) {
    on_both_engines([](OwnedSystem& system) {
        const auto gate = std::make_shared<Gate>();
        const auto log = std::make_shared<std::string>();
        const Ref<Actor> job = detach(*system, pass_gate, gate, log, "done");
        EndWatch watch(system, job);
        gate->wait_until_reached(system);
        EXPECT_TRUE(log->empty());
        gate->open();
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown);
        EXPECT_EQ(*log, "done");
    });
}

TEST(Detached, IsListedWithItsNameAndTheLineItWaitsAt) {
    on_both_engines([](OwnedSystem& system) {
        const auto gate = std::make_shared<Gate>();
        const auto log = std::make_shared<std::string>();
        const Ref<Actor> job =
            detach(*system, options().name("reindex"), pass_gate, gate, log, "done");
        EndWatch watch(system, job);
        gate->wait_until_reached(system);
        Result<ActorInfo> info = system->info(job.pid());
        while (info && !info->complete)
            info = system->info(job.pid());
        ASSERT_TRUE(info);
        EXPECT_EQ(info->name, "reindex");
        EXPECT_EQ(info->state, ActorState::suspended);
        EXPECT_EQ(info->awaits, "a test's gate");
        gate->open();
        watch.wait();
    });
}

TEST(Detached, WhatItThrowsIsItsExit) {
    on_both_engines([](OwnedSystem& system) {
        const auto gate = std::make_shared<Gate>();
        auto fails = [](std::shared_ptr<Gate> at) -> Task<void> {
            co_await at->pass();
            throw std::runtime_error("no disk");
        };
        const Ref<Actor> job = detach(*system, fails, gate);
        EndWatch watch(system, job);
        gate->open();
        const Down down = watch.wait();
        EXPECT_EQ(down.reason.kind(), ExitReason::Kind::failed);
        EXPECT_EQ(down.reason.text(), "no disk");
        EXPECT_EQ(system->crashes(), 1U);
    });
}

TEST(Detached, EndsWhenItIsStoppedAndWithItsSystem) {
    on_both_engines([](OwnedSystem& system) {
        const auto rounds = std::make_shared<int>(0);
        auto forever = [](std::shared_ptr<int> count) -> Task<Result<void>> {
            for (;;) {
                const Result<void> slept = co_await sleep(1h);
                if (!slept) co_return std::unexpected(slept.error());
                ++*count;
            }
        };
        const Ref<Actor> first = detach(*system, forever, rounds);
        detach(*system, forever, rounds);
        EndWatch watch(system, first);
        first.stop();
        EXPECT_EQ(watch.wait().reason.kind(), ExitReason::Kind::shutdown);
        EXPECT_EQ(*rounds, 0);
        EXPECT_TRUE(system.stop());  // the other one as well, and in time
    });
}

}  // namespace
}  // namespace troupe::actor_internal
