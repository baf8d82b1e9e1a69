#include <troupe/actor/load.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/log.hpp>
#include <troupe/route/pool_keeper.hpp>
#include <troupe/task/sleep.hpp>

#include <algorithm>
#include <cstdio>

namespace troupe {

std::string to_string(const PoolInfo& info) {
    char waits[64];
    std::snprintf(waits, sizeof(waits), "%.1f ms (p95 of %zu)",
                  std::chrono::duration<double, std::milli>(info.dwell_p95).count(), info.samples);
    std::string text = "pool \"" + info.name + "\": " + std::to_string(info.size) + " of " +
                       std::to_string(info.min) + " to " + std::to_string(info.max) + " workers, " +
                       std::to_string(info.healthy) + " healthy, ";
    if (info.starting != 0) text += std::to_string(info.starting) + " starting, ";
    if (info.leaving != 0) text += std::to_string(info.leaving) + " leaving, ";
    return text + "waits " + waits + ", " + std::to_string(info.restarts) + " restarts";
}

namespace route_internal {
namespace {

/// An actor whose class nobody here knows.
class Somebody;

Ref<Somebody> ref_of(const Member& member) noexcept {
    return actor_internal::RefAccess::make<Somebody>(*member.cell, member.generation, 0);
}
Load load_of(const Member& member) noexcept {
    return actor_internal::load_of(member.cell, member.generation);
}
std::string pid_text(const Member& member) {
    return to_string(ref_of(member).pid());
}

}  // namespace

// ---- what is shared -----------------------------------------------------------------------------

bool PoolRun::begin() noexcept {
    LockGuard lock(mutex_);
    return !std::exchange(begun_, true);
}
void PoolRun::started(const SupervisorRef& running) {
    LockGuard lock(mutex_);
    running_ = running;
}
std::optional<SupervisorRef> PoolRun::running() const {
    LockGuard lock(mutex_);
    return running_;
}
void PoolCore::keeper_is(const Ref<PoolKeeper>& keeper) {
    LockGuard lock(mutex_);
    keeper_ = keeper;
}
Ref<PoolKeeper> PoolCore::keeper() const {
    LockGuard lock(mutex_);
    return keeper_;
}

// ---- hands --------------------------------------------------------------------------------------

class PoolHand : public Actor {
public:
    explicit PoolHand(std::shared_ptr<const Crew> crew) : crew_(std::move(crew)) {}
    Task<Result<Member>> start() { return crew_->start(); }
    Task<Result<void>> stop(Member worker) { return crew_->stop(worker); }

private:
    // Shared with the keeper.
    std::shared_ptr<const Crew> crew_;
};

// ---- the keeper ---------------------------------------------------------------------------------

PoolKeeper::PoolKeeper(std::shared_ptr<PoolCore> core, std::shared_ptr<const Crew> crew)
    : core_(std::move(core)), crew_(std::move(crew)) {
    core_->keeper_is(self(this));
    const Ref<PoolKeeper> me = self(this);
    core_->members->watch_use([me] { me.tell<&PoolKeeper::wake>(); });
}

PoolKeeper::~PoolKeeper() {
    // Its workers end as well; who comes after it brings others.
    core_->members->watch_use({});
    for (const Worker& worker : workers_)
        core_->members->remove(worker.at);
}

Task<Result<void>> PoolKeeper::on_start() {
    const PoolOptions::Settings& settings = core_->settings;
    scaler_.emplace(settings.scale, system().now());
    starter_ = spawn<PoolHand>(crew_);
    stopper_ = spawn<PoolHand>(crew_);
    for (std::size_t i = 0; i < settings.scale.min; ++i) {
        Result<Member> started = co_await crew_->start();
        if (!started) co_return std::unexpected(std::move(started).error());
        join(*started);
    }
    look();
    co_return Result<void>();
}

PoolInfo PoolKeeper::info() {
    PoolInfo info = counts_;
    info.name = core_->settings.name;
    info.min = core_->settings.scale.min;
    info.max = core_->settings.scale.max;
    info.starting = starting_;
    info.leaving = leaving_.size();
    const Duration now = system().now();
    info.samples = scaler_->window().size(now);
    info.dwell_p95 = scaler_->window().p95(now);
    for (const Worker& worker : workers_) {
        const Load load = load_of(worker.at);
        info.size += load.there ? 1 : 0;
        info.healthy += load.up ? 1 : 0;
    }
    return info;
}

void PoolKeeper::join(const Member& worker) {
    Worker& joined = workers_.emplace_back();
    joined.at = worker;
    joined.probe = std::make_shared<DwellProbe>();
    monitor<&PoolKeeper::worker_down>(ref_of(worker), worker);
    core_->members->add(worker, std::nullopt);
}

void PoolKeeper::worker_down(Down, Member worker) {
    const auto is_it = [&](const auto& other) { return other.at == worker; };
    if (std::ranges::any_of(leaving_, is_it)) return;
    if (load_of(worker).there) {
        ++counts_.restarts;
        monitor<&PoolKeeper::worker_down>(ref_of(worker), worker);
    } else if (std::erase_if(workers_, is_it) != 0) {
        ++counts_.ended;
        core_->members->remove(worker);
        wake();  // there may be too few now
    }
}

// ---- looking ------------------------------------------------------------------------------------

void PoolKeeper::wake() {
    if (!std::exchange(awake_, true)) look();
}

void PoolKeeper::look() {
    const Duration now = system().now();
    for (Worker& worker : workers_)
        look_into(worker, now);
    see_off(now);
    if (!draining_) resize(now);
    awake_ = !(nothing_to_do() && core_->members->rest());
    if (awake_) after<&PoolKeeper::look>(core_->settings.look_every);
}

bool PoolKeeper::nothing_to_do() const {
    if (workers_.size() != core_->settings.scale.min || starting_ != 0 || !leaving_.empty())
        return false;
    return std::ranges::none_of(workers_, [](const Worker& worker) {
        return worker.asked || load_of(worker.at).waiting != 0;
    });
}

/// How long mail waits there at present.
void PoolKeeper::look_into(Worker& worker, Duration now) {
    DwellWindow& window = scaler_->window();
    if (worker.sent) {
        switch (worker.probe->state()) {
            case DwellProbe::State::waits:
                window.add(now, now - worker.since);  // so long at least
                return;
            case DwellProbe::State::handled:
                window.add(now, worker.probe->waited());
                break;
            case DwellProbe::State::lost:
                break;
        }
        worker.sent = worker.asked = false;
    }
    const Load load = load_of(worker.at);
    if (!load.up) return;
    if (load.waiting == 0) {
        worker.asked = false;
        window.add(now, Duration::zero());
        return;
    }
    if (!std::exchange(worker.asked, true)) worker.since = now;
    // Where there is hardly room, a sender will wait as well.
    const bool room = core_->mailbox_capacity == 0 || load.waiting + 1 < core_->mailbox_capacity;
    worker.sent = room && DwellProbe::send(worker.probe, worker.at, worker.since);
    if (!worker.sent) window.add(now, now - worker.since);
}

// ---- growing and shrinking ----------------------------------------------------------------------

void PoolKeeper::resize(Duration now) {
    const Duration p95 = scaler_->window().p95(now);
    const std::size_t size = workers_.size() + starting_;
    const bool too_few = size < core_->settings.scale.min;
    if (too_few && now < start_again_at_) return;
    const std::ptrdiff_t change = scaler_->change(now, size);
    if (change == 0) return;
    log_info(too_few      ? "a pool replaces workers"
             : change > 0 ? "a pool grows"
                          : "a pool shrinks",
             {{"pool", core_->settings.name},
              {"from", static_cast<std::int64_t>(size)},
              {"by", static_cast<std::int64_t>(change)},
              {"waits_ms_p95",
               static_cast<std::int64_t>(
                   std::chrono::duration_cast<std::chrono::milliseconds>(p95).count())}});
    if (change > 0) {
        grow(static_cast<std::size_t>(change));
    } else {
        shrink(now);
    }
}

void PoolKeeper::grow(std::size_t count) {
    const bool to_grow = workers_.size() + starting_ >= core_->settings.scale.min;
    for (std::size_t i = 0; i < count; ++i) {
        ++starting_;
        starter_.ask<&PoolHand::start>().within(kForever).pipe_to<&PoolKeeper::worker_started>(
            self(this), to_grow);
    }
}

void PoolKeeper::worker_started(Result<Member> worker, bool to_grow) {
    --starting_;
    if (!worker) {
        log_warn("a pool could not start a worker",
                 {{"pool", core_->settings.name}, {"because", worker.error().text()}});
        start_again_at_ = system().now() + core_->settings.scale.cooldown;
        return wake();  // for where there are too few
    }
    join(*worker);
    if (to_grow) ++counts_.grown;
    if (draining_) core_->members->remove(*worker);
    wake();
}

/// Whoever has the least to do leaves, of those the youngest.
void PoolKeeper::shrink(Duration now) {
    auto least = workers_.end();
    std::size_t waiting = 0;
    for (auto at = workers_.begin(); at != workers_.end(); ++at) {
        const std::size_t its = load_of(at->at).waiting;
        if (least == workers_.end() || its <= waiting) {
            least = at;
            waiting = its;
        }
    }
    if (least == workers_.end()) return;
    ++counts_.shrunk;
    core_->members->remove(least->at);
    leaving_.push_back({least->at, now + core_->settings.drain});
    workers_.erase(least);
}

void PoolKeeper::see_off(Duration now) {
    for (Leaving& worker : leaving_) {
        const bool idle = std::exchange(worker.looked_at, true) && load_of(worker.at).waiting == 0;
        const bool late = now >= worker.until;
        if (worker.stopping || (!idle && !late)) continue;
        if (!idle) {
            log_warn("a worker that leaves its pool is stopped with mail left",
                     {{"pool", core_->settings.name}, {"worker", pid_text(worker.at)}});
        }
        worker.stopping = true;
        stopper_.ask<&PoolHand::stop>(worker.at)
            .within(kForever)
            .pipe_to<&PoolKeeper::worker_stopped>(self(this), worker.at);
    }
}

void PoolKeeper::worker_stopped(Result<void> stopped, Member worker) {
    std::erase_if(leaving_, [&](const Leaving& other) { return other.at == worker; });
    if (!stopped && stopped.error() != Errc::not_found) {
        log_warn("a pool could not stop a worker", {{"pool", core_->settings.name},
                                                    {"worker", pid_text(worker)},
                                                    {"because", stopped.error().text()}});
    }
}

Task<> PoolKeeper::drain() {
    draining_ = true;
    for (const Worker& worker : workers_)
        core_->members->remove(worker.at);
    const Duration until = system().now() + core_->settings.drain;
    for (;;) {
        // First a pause: calls that had picked somebody just before are on their way.
        const Result<void> slept = co_await sleep(core_->settings.look_every);
        const bool idle = std::ranges::all_of(
            workers_, [](const Worker& worker) { return load_of(worker.at).waiting == 0; });
        const bool late = system().now() >= until;
        if (!slept || idle || late) co_return;
    }
}

// ---- from outside -------------------------------------------------------------------------------

namespace {

Error not_running(const PoolCore& core) {
    return Error(Errc::actor_gone, "the pool \"" + core.settings.name +
                                       "\" has not been started, or was started by its "
                                       "supervisor, who is to be asked");
}

}  // namespace

Task<Result<void>> start_pool(Engine& engine, Cell* owner, std::shared_ptr<PoolRun> run,
                              Supervisor tree) {
    Result<SupervisorRef> running =
        co_await actor_internal::start_tree(engine, owner, std::move(tree));
    if (!running) co_return std::unexpected(std::move(running).error());
    run->started(*running);
    co_return Result<void>();
}

Task<Result<void>> stop_pool(std::shared_ptr<PoolRun> run, std::shared_ptr<PoolCore> core,
                             Stop strength) {
    const std::optional<SupervisorRef> running = run->running();
    if (!running) co_return std::unexpected(not_running(*core));
    if (strength == Stop::drain) {
        const Result<void> drained =
            co_await core->keeper().ask<&PoolKeeper::drain>().within(kForever);
        // One whose keeper has gone has nothing left to drain.
        if (!drained && drained.error() == Errc::cancelled) co_return drained;
    }
    co_return co_await running->stop();
}

Task<Result<PoolInfo>> info_of(std::shared_ptr<PoolCore> core) {
    co_return co_await core->keeper().ask<&PoolKeeper::info>();
}

Task<Result<Readiness>> readiness_of(std::shared_ptr<PoolRun> run, std::shared_ptr<PoolCore> core) {
    const std::optional<SupervisorRef> running = run->running();
    if (!running) co_return std::unexpected(not_running(*core));
    co_return co_await running->readiness();
}

}  // namespace route_internal
}  // namespace troupe
