#pragma once

/// For the tests of actors: one test body, run on threads and under many schedules.
///
/// The body is an ordinary function that is given a running system, so that ASSERT_* works in it:
///
///     TEST(Stop, Something) {
///         on_both_engines([](OwnedSystem& system) { ... });
///     }
///
/// It runs once on the threaded engine with two workers, then simulated under many schedules of
/// every strategy, until one fails; that one is shrunk, told, and the command that replays it is
/// printed: <troupe/sim/schedules.hpp>. After each run no actor and no block of memory may be left,
/// and the messages must add up: each that was accepted was handled, or is a dead letter.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/log.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/unique_function.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/explore.hpp>
#include <troupe/scheduler/internal/test_hang_watch.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/sim/internal/test_schedules.hpp>

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::actor_internal {

using SystemBody = std::function<void(OwnedSystem& system)>;

inline constexpr std::size_t kSeedsPerTest = 100;

/// Asks another chooser until the test's body is over: how a system is taken down is not explored
/// again for each schedule of the body.
class BodyChooser final : public Chooser {
public:
    explicit BodyChooser(Chooser& chooser) : chooser_(chooser) {}
    void body_is_over() noexcept { over_ = true; }
    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) override {
        return over_ ? 0 : chooser_.choose(n, kind, site);
    }

private:
    Chooser& chooser_;
    bool over_ = false;
};

/// Nothing is queued any more, so what was accepted was handled or lost with a reason.
inline void check_messages_add_up(System& system) {
    auto& core = *static_cast<SystemCore*>(system.engine().host());
    const SystemCore::MessageCounts counts = core.message_counts();
    EXPECT_EQ(counts.accepted, counts.handled + counts.lost)
        << "accepted " << counts.accepted << ", handled " << counts.handled << ", lost "
        << counts.lost;
    EXPECT_LE(counts.lost, core.dead_letters().total());
}

/// Runs the body in a system of its own and checks that nothing is left of it.
inline std::uint64_t run_and_check(std::unique_ptr<Engine> engine, const SystemBody& body,
                                   BodyChooser* chooser = nullptr) {
    SystemCore::count_messages_for_test();
    std::uint64_t hash = 0;
    OwnedSystem system(std::move(engine));
    body(system);
    if (chooser != nullptr) chooser->body_is_over();
    hash = system->engine().event_hash();
    system.stop();
    EXPECT_TRUE(system->actors().empty()) << "actors are left after the system has stopped";
    check_messages_add_up(*system);
    return hash;
}

/// How this very test is run again under one seed.
inline std::string replay_command(std::uint64_t seed) {
    const auto* const info = testing::UnitTest::GetInstance()->current_test_info();
    return replay_hint(seed) + " " + std::filesystem::read_symlink("/proc/self/exe").string() +
           " --gtest_filter=" + info->test_suite_name() + "." + info->name();
}

inline void check_no_blocks_left(std::uint64_t live_before) {
    EXPECT_EQ(block_pool_stats().live_blocks, live_before)
        << "envelopes, frames or timers are left after the system has ended";
}

inline Exploration print(const char* how, const Exploration& exploration) {
    std::printf("%s: %zu runs, %zu distinct schedules%s\n", how, exploration.runs,
                exploration.distinct, exploration.exhaustive ? ", exhaustive" : "");
    return exploration;
}

/// Who is alive, and where they wait.
inline std::string all_that_live(const System& system) {
    std::string text;
    for (const ActorInfo& actor : system.actors())
        text += "  " + to_string(actor) + "\n";
    for (const TaskInfo& task : system.tasks())
        text += "  " + to_string(task) + "\n";
    return text;
}

inline void on_threads(std::size_t workers, const SystemBody& body) {
    SCOPED_TRACE("threaded engine, workers: " + std::to_string(workers));
    const std::uint64_t live_before = block_pool_stats().live_blocks;
    run_and_check(make_threaded_engine({.workers = workers}), [&body](OwnedSystem& system) {
        const scheduler_internal::HangWatch watch([&] { return all_that_live(*system); });
        body(system);
        system.stop();  // which may hang as well
    });
    check_no_blocks_left(live_before);
}

/// What actors say while they fail on purpose, under every seed again, is heard by nobody.
class QuietLog {
public:
    QuietLog() {
        set_log_sink([](LogLevel, std::string_view) {});
    }
    ~QuietLog() { set_log_sink({}); }
    QuietLog(const QuietLog&) = delete;
    QuietLog& operator=(const QuietLog&) = delete;
};

/// Under schedules of every strategy; the environment goes first: <troupe/sim/test.hpp>.
inline Exploration on_seeds(std::size_t count, const SystemBody& body) {
    const QuietLog quiet;
    return sim_internal::on_schedules(count, body);
}

inline void on_both_engines(const SystemBody& body, std::size_t seeds = kSeedsPerTest) {
    on_threads(2, body);
    if (!testing::Test::HasFailure()) on_seeds(seeds, body);
}

/// Every schedule of the body, `runs_max` at most. Ends early where `go_on` returns false.
inline Exploration on_all_schedules(
    std::size_t runs_max, const SystemBody& body,
    const std::function<bool()>& go_on = [] { return !testing::Test::HasFailure(); }) {
    Exploration exploration;
    std::vector<std::uint64_t> hashes;
    const QuietLog quiet;
    DepthFirstChooser walk;
    while (exploration.runs < runs_max) {
        const explore_internal::AnnouncedRun announced(
            explore_internal::AnnouncedRun::Kind::depth_first, exploration.runs);
        SCOPED_TRACE("run " + std::to_string(exploration.runs) + " of the depth-first walk");
        const std::uint64_t live_before = block_pool_stats().live_blocks;
        BodyChooser chooser(walk);
        hashes.push_back(run_and_check(make_deterministic_engine(chooser), body, &chooser));
        check_no_blocks_left(live_before);
        ++exploration.runs;
        if (!go_on()) break;
        if (!walk.next_run()) {
            exploration.exhaustive = !walk.cut();
            break;
        }
    }
    exploration.distinct = explore_internal::count_distinct(std::move(hashes));
    return print("depth first", exploration);
}

/// Holds handlers until the test opens it: `co_await gate.pass()`. Threads: any.
class Gate {
public:
    class [[nodiscard]] Pass {
    public:
        explicit Pass(Gate& gate) noexcept : gate_(gate) {}
        Pass(const Pass&) = delete;
        Pass& operator=(const Pass&) = delete;
        ~Pass() {
            if (node_ != nullptr && (awaiting_.arrived == node_ || gate_.forget(node_)))
                free(node_);
        }
        bool await_ready() const noexcept { return false; }
        template <task_internal::OurPromise P>
        bool await_suspend(std::coroutine_handle<P> self) {
            return suspend(self);
        }
        void await_resume() const noexcept {}

    private:
        bool suspend(std::coroutine_handle<> self) {
            static const MailOps kOps{MailKind::signal,
                                      [](MailNode* node, const Error&) noexcept { free(node); },
                                      &arrive_as_answer};
            Cell& cell = begin_await(awaiting_, self);
            awaiting_.what = "a test's gate";
            node_ = ::new (allocate_block(sizeof(MailNode))) MailNode;
            node_->ops = &kOps;
            node_->tag = cell.await_number_;
            const bool waits = gate_.add({&cell, cell.generation(), node_});
            gate_.reached_.open();
            if (waits) return true;
            free(std::exchange(node_, nullptr));
            cell.awaiting_ = nullptr;
            return false;
        }
        static void free(MailNode* node) noexcept { free_block(node, sizeof(MailNode)); }

        Gate& gate_;
        Awaiting awaiting_;
        MailNode* node_ = nullptr;
    };

    Gate() = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    /// A handler that stood here still would step on the place where the gate was.
    ~Gate() { EXPECT_EQ(waiting(), 0U) << "a handler still waits at a gate that goes"; }

    Pass pass() noexcept { return Pass(*this); }

    void open() {
        std::vector<Waiter> waiters;
        {
            LockGuard lock(mutex_);
            open_ = true;
            waiters.swap(waiters_);
        }
        for (const Waiter& waiter : waiters) {
            post_signal(*waiter.cell, waiter.generation, waiter.node);
        }
    }

    /// Blocks the test's thread until some handler stands at the gate.
    void wait_until_reached(OwnedSystem& system) {
        ASSERT_TRUE(system->engine().run_until(reached_)) << "no handler has reached the gate";
    }

    /// How many handlers wait here.
    std::size_t waiting() {
        LockGuard lock(mutex_);
        return waiters_.size();
    }

private:
    struct Waiter {
        Cell* cell;
        std::uint32_t generation;
        MailNode* node;
    };
    bool add(const Waiter& waiter) {
        LockGuard lock(mutex_);
        if (!open_) waiters_.push_back(waiter);
        return !open_;
    }
    bool forget(const MailNode* node) {
        LockGuard lock(mutex_);
        return std::erase_if(waiters_, [&](const Waiter& w) { return w.node == node; }) != 0;
    }

    Latch reached_;
    Mutex mutex_{LockRank::test_outer};
    bool open_ TROUPE_GUARDED_BY(mutex_) = false;
    std::vector<Waiter> waiters_ TROUPE_GUARDED_BY(mutex_);
};

/// What a watcher has heard. Read it after the latch has opened, or when the engine is quiet.
struct EndNews {
    Latch heard;
    Down down;
    int times = 0;
};

class EndWatcher : public Actor {
public:
    template <class A>
    EndWatcher(Ref<A> target, EndNews* news) : news_(news) {
        monitor<&EndWatcher::ended>(target);
    }
    /// Answers once everything sent before has been handled.
    int times() const { return news_->times; }

private:
    void ended(Down down) {
        news_->down = std::move(down);
        ++news_->times;
        news_->heard.open();
    }
    EndNews* news_;
};

/// Watches an actor from before it is asked to end, so that the reason is its own and not noproc.
class EndWatch {
public:
    template <class A>
    EndWatch(OwnedSystem& system, Ref<A> target)
        : system_(system), watcher_(system->spawn<EndWatcher>(target, &news_)) {}

    /// Blocks until the actor has ended, and says why it did. To be called once.
    Down wait() {
        EXPECT_TRUE(system_->engine().run_until(news_.heard)) << "the actor has not ended";
        // The watcher is gone, handler and all, before the news it points to.
        EXPECT_EQ(system_->block_on(watcher_.ask<&EndWatcher::times>()), 1);
        watcher_.stop();
        return news_.down;
    }

private:
    OwnedSystem& system_;
    EndNews news_;
    Ref<EndWatcher> watcher_;
};

/// Blocks until the actor has ended, and what it left is counted. When it may have ended already,
/// the reason may be noproc.
template <class A>
Down wait_for_end(OwnedSystem& system, Ref<A> target) {
    Down down = EndWatch(system, target).wait();
    if (down.reason.kind() != ExitReason::Kind::noproc) return down;
    // Who is about to end takes no monitor any more, and may not be through with its mail.
    const Cell* const cell = system->engine().find_cell(down.pid.slot);
    while (cell != nullptr && cell->generation() == down.pid.generation)
        ::sched_yield();
    return down;
}

}  // namespace troupe::actor_internal
