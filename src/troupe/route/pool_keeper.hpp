#pragma once

/// The half of a pool that does not depend on its workers' class: who looks after it.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/child_policy.hpp>
#include <troupe/actor/mailbox.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/mutex.hpp>
#include <troupe/base/result.hpp>
#include <troupe/route/dwell.hpp>
#include <troupe/route/members.hpp>
#include <troupe/task/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

/// What may be said about a pool: `pool_options().workers(2, 8).grow_above(20ms)`.
class PoolOptions {
public:
    struct Settings {
        std::string name = "pool";
        Route route = Route::power_of_two;
        ChildPolicy policy = permanent();
        route_internal::ScaleRules scale;
        Duration look_every = std::chrono::milliseconds(100);
        Duration drain = std::chrono::seconds(5);
    };

    /// What lists, logs and errors call it: "pool".
    PoolOptions& name(std::string name) {
        settings_.name = std::move(name);
        return *this;
    }
    /// So many at least, which is also how many are healthy in a healthy pool, and at most. One.
    PoolOptions& workers(std::size_t min, std::size_t max) {
        settings_.scale.min = min;
        settings_.scale.max = max;
        return *this;
    }
    PoolOptions& workers(std::size_t count) { return workers(count, count); }
    /// Which worker a call goes to: of two the one with less mail.
    PoolOptions& route(Route route) {
        settings_.route = route;
        return *this;
    }
    /// How a worker is started again and stopped, and how often all of them together may fail
    /// before the pool begins anew: child_policy.hpp. `permanent()`.
    PoolOptions& policy(const ChildPolicy& policy) {
        settings_.policy = policy;
        return *this;
    }
    /// There is one more worker, or a quarter more, when one message in twenty waits longer than
    /// this: 50 ms.
    PoolOptions& grow_above(Duration dwell) {
        settings_.scale.grow_above = dwell;
        return *this;
    }
    /// There is one less when nineteen of twenty messages wait less than this: 5 ms. Well below
    /// `grow_above`, or the pool swings.
    PoolOptions& shrink_below(Duration dwell) {
        settings_.scale.shrink_below = dwell;
        return *this;
    }
    /// The pool stays as it is for so long after each change: 2 s.
    PoolOptions& cooldown(Duration pause) {
        settings_.scale.cooldown = pause;
        return *this;
    }
    /// How often the mailboxes are looked at, while there is traffic: each 100 ms.
    PoolOptions& look_every(Duration pause) {
        settings_.look_every = pause;
        return *this;
    }
    /// How far back a look goes: 2 s.
    PoolOptions& window(Duration length) {
        settings_.scale.window = length;
        return *this;
    }
    /// How long a worker that is to leave may take for the mail it has: 5 s. Then it is stopped,
    /// with the patience that the policy says.
    PoolOptions& drain(Duration longest) {
        settings_.drain = longest;
        return *this;
    }

    const Settings& settings() const noexcept { return settings_; }

private:
    Settings settings_;
};

inline PoolOptions pool_options() {
    return {};
}

/// A pool, as it was a moment ago.
struct PoolInfo {
    std::string name;
    std::size_t size = 0;      ///< workers that are given calls
    std::size_t healthy = 0;   ///< of them, those that are not between two lives
    std::size_t starting = 0;  ///< workers on their way into the pool
    std::size_t leaving = 0;   ///< workers that get no new calls and finish what they have
    std::size_t min = 0;
    std::size_t max = 0;
    std::uint64_t restarts = 0;  ///< workers that have failed and were started again
    std::uint64_t ended = 0;     ///< workers that have ended for good by themselves
    std::uint64_t grown = 0;     ///< workers started because messages waited
    std::uint64_t shrunk = 0;    ///< workers let go because they did not
    /// What nineteen of twenty messages waited less than, of late; of one that still waits, what it
    /// has waited so far. Zero when nobody has called for a while.
    Duration dwell_p95{};
    std::size_t samples = 0;  ///< on how many looks into a mailbox that rests

    bool ready() const noexcept { return healthy >= min; }
};

/// In one line: `pool "shops": 3 of 2 to 8 workers, 3 healthy, waits 12.1 ms (p95 of 40), 1
/// restart`.
std::string to_string(const PoolInfo& info);

namespace route_internal {

/// Starts and stops workers. Shared by the keeper and those who wait for it in his stead.
class Crew {
public:
    Crew() = default;
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    virtual ~Crew() = default;
    virtual Task<Result<Member>> start() const = 0;
    virtual Task<Result<void>> stop(Member worker) const = 0;
};

class PoolKeeper;

/// What the handles of a pool share with its keeper, and keepers with those that come after them.
class PoolCore {
public:
    PoolCore(PoolOptions::Settings how, std::size_t capacity, std::shared_ptr<Members> whom)
        : settings(std::move(how)), mailbox_capacity(capacity), members(std::move(whom)) {}

    void keeper_is(const Ref<PoolKeeper>& keeper);
    Ref<PoolKeeper> keeper() const;

    const PoolOptions::Settings settings;
    const std::size_t mailbox_capacity;  // of a worker; 0: unbounded
    // Shared with the routers that users hold.
    const std::shared_ptr<Members> members;

private:
    mutable Mutex mutex_{LockRank::router};
    Ref<PoolKeeper> keeper_ TROUPE_GUARDED_BY(mutex_);
};

/// What the handles alone share: the tree keeps the core, so the core must not keep the tree.
class PoolRun {
public:
    /// False when the pool has been started before.
    bool begin() noexcept;
    void started(const SupervisorRef& running);
    std::optional<SupervisorRef> running() const;

private:
    mutable Mutex mutex_{LockRank::router};
    bool begun_ TROUPE_GUARDED_BY(mutex_) = false;
    std::optional<SupervisorRef> running_ TROUPE_GUARDED_BY(mutex_);
};

/// Waits for starts and stops, so that the keeper does not.
class PoolHand;

/// Looks after a pool: how long messages wait, how many workers there are, who leaves. Rests while
/// nobody calls and nothing is left to do; a call wakes it.
class PoolKeeper : public Actor {
public:
    PoolKeeper(std::shared_ptr<PoolCore> core, std::shared_ptr<const Crew> crew);
    ~PoolKeeper() override;

    PoolInfo info();
    /// Nobody gets new calls from now on; returns when all mail has been handled, or the time for
    /// that is over.
    Task<> drain();

private:
    struct Worker {
        Member at;
        std::shared_ptr<DwellProbe> probe;  // shared with the message that lies in the mailbox
        bool asked = false;                 // the probe waits, or waits to be let in
        bool sent = false;                  // it lies in the mailbox
        Duration since{};
    };
    struct Leaving {
        Member at;
        Duration until{};
        bool looked_at = false;  // calls that had picked it just before have come by now
        bool stopping = false;
    };

    Task<Result<void>> on_start() override;

    void wake();
    void look();
    void look_into(Worker& worker, Duration now);
    void resize(Duration now);
    void grow(std::size_t count);
    void shrink(Duration now);
    void see_off(Duration now);
    bool nothing_to_do() const;

    void join(const Member& worker);
    void worker_started(Result<Member> worker, bool to_grow);
    void worker_stopped(Result<void> stopped, Member worker);
    void worker_down(Down down, Member worker);

    // Shared with the pool's handles.
    const std::shared_ptr<PoolCore> core_;
    // Shared with the hands.
    const std::shared_ptr<const Crew> crew_;
    Ref<PoolHand> starter_;
    Ref<PoolHand> stopper_;
    std::vector<Worker> workers_;
    std::vector<Leaving> leaving_;
    std::size_t starting_ = 0;
    Duration start_again_at_{};  // after a start that has failed
    std::optional<Scaler> scaler_;
    bool awake_ = false;
    bool draining_ = false;
    PoolInfo counts_;  // of it what is counted
};

Task<Result<void>> start_pool(Engine& engine, Cell* owner, std::shared_ptr<PoolRun> run,
                              Supervisor tree);
Task<Result<void>> stop_pool(std::shared_ptr<PoolRun> run, std::shared_ptr<PoolCore> core,
                             Stop strength);
Task<Result<PoolInfo>> info_of(std::shared_ptr<PoolCore> core);
Task<Result<Readiness>> readiness_of(std::shared_ptr<PoolRun> run, std::shared_ptr<PoolCore> core);

}  // namespace route_internal
}  // namespace troupe
