#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/scheduler/worker_local.hpp>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using actor_internal::on_both_engines;
using actor_internal::on_threads;
using actor_internal::wait_for_end;

/// Says which thread it is run by, now and after it has waited.
class Where : public Actor {
public:
    pid_t thread() const { return ::gettid(); }
    Task<bool> stays() {
        const pid_t before = ::gettid();
        for (int i = 0; i < 20; ++i) {
            ignore(co_await sleep(100us), "it may be stopped meanwhile");
            co_await yield();
        }
        co_return before == ::gettid();
    }
};

// Goal: a pinned actor and one with its own thread stay where they are, over waits too; on the
// deterministic engine they do the same with one thread.
TEST(Placement, KeepsAPinnedActorOnOneThread) {
    on_both_engines(
        [](OwnedSystem& system) {
            const auto pinned = system->spawn<Where>(options().pinned());
            const auto own = system->spawn<Where>(options().own_thread());
            const auto near = system->spawn<Where>(options().affinity(1));
            EXPECT_TRUE(system->block_on(pinned.ask<&Where::stays>()).value());
            EXPECT_TRUE(system->block_on(own.ask<&Where::stays>()).value());
            EXPECT_TRUE(system->block_on(near.ask<&Where::stays>()).has_value());
            if (!system->engine().deterministic()) {
                EXPECT_NE(system->block_on(pinned.ask<&Where::thread>()).value(),
                          system->block_on(own.ask<&Where::thread>()).value());
                EXPECT_EQ(system->engine().stats().own_threads, 1U);
            }
            own.stop();
            wait_for_end(system, own);
        },
        10);
}

TEST(Placement, GivesActorsOfOneShardTheSameThread) {
    on_threads(3, [](OwnedSystem& system) {
        for (std::uint32_t shard = 0; shard < 3; ++shard) {
            const auto first = system->spawn<Where>(options().pinned(shard));
            const auto second = system->spawn<Where>(options().pinned(shard + 3));
            EXPECT_EQ(system->block_on(first.ask<&Where::thread>()).value(),
                      system->block_on(second.ask<&Where::thread>()).value());
        }
    });
}

TEST(Placement, EndsTheThreadWithItsActorHoweverItEnds) {
    struct Fails : Actor {
        explicit Fails(bool now) {
            if (now) throw std::runtime_error("in the constructor");
        }
        void fail() { throw std::runtime_error("in a handler"); }
    };
    const actor_internal::QuietLog quiet;
    on_threads(2, [](OwnedSystem& system) {
        system->spawn<Fails>(options().own_thread(), true);
        const auto fails = system->spawn<Fails>(options().own_thread(), false);
        fails.tell<&Fails::fail>();
        const auto killed = system->spawn<Where>(options().own_thread());
        killed.stop(Stop::kill);
        const auto stopped = system->spawn<Where>(options().own_thread());
        stopped.stop();
        while (system->engine().stats().own_threads != 0)
            ::sched_yield();
    });
}

Task<std::string> why_refused(System system) {
    const auto started = co_await system.start<Where>(options().own_thread());
    co_return started ? "started" : started.error().text();
}

TEST(Placement, RefusesMoreOwnThreadsThanAreAllowed) {
    const actor_internal::QuietLog quiet;
    OwnedSystem system(make_threaded_engine({.workers = 1, .own_threads_max = 1}));
    const auto first = system->spawn<Where>(options().own_thread());
    EXPECT_NE(system->block_on(why_refused(*system)).find("own_threads_max"), std::string::npos);
    const auto second = system->spawn<Where>(options().own_thread());
    EXPECT_EQ(system->block_on(second.ask<&Where::thread>()).error(), Errc::actor_gone);
    EXPECT_TRUE(system->block_on(first.ask<&Where::thread>()));
}

struct Session {
    int used = 0;
};

/// Keeps what belongs to its worker over its waits.
class Client : public Actor {
public:
    explicit Client(std::shared_ptr<WorkerLocal<Session>> sessions)
        : sessions_(std::move(sessions)) {}
    Task<Result<int>> use() {
        if (session_ == nullptr) session_ = co_await or_return(sessions_->of_pinned_actor());
        co_await or_return(co_await sleep(1ms));
        co_return ++session_->used;
    }

private:
    std::shared_ptr<WorkerLocal<Session>> sessions_;
    Session* session_ = nullptr;
};

TEST(Placement, LetsAPinnedActorKeepAWorkerLocalValue) {
    on_both_engines(
        [](OwnedSystem& system) {
            auto sessions = std::make_shared<WorkerLocal<Session>>(system->engine());
            const auto client = system->spawn<Client>(options().pinned(1), sessions);
            EXPECT_EQ(system->block_on(client.ask<&Client::use>()).value(), 1);
            EXPECT_EQ(system->block_on(client.ask<&Client::use>()).value(), 2);
            const auto loose = system->spawn<Client>(sessions);
            EXPECT_EQ(system->block_on(loose.ask<&Client::use>()).error(),
                      WorkerLocalErrc::not_pinned);
        },
        10);
}

}  // namespace
}  // namespace troupe
