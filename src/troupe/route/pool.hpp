#pragma once

/// A pool: workers of one class, seen as one, of which there are as many as the work needs.
///
///     auto shops = pool<Shop>(pool_options().workers(2, 8), "corner");   // then Shop("corner")
///     co_await or_return(co_await shops.start(*this));   // ends with this actor; or:
///     start(system) co_await shops.ask<&Shop::price>(item);
///
/// A worker that fails is started again by the pool's own supervisor; there are more workers when
/// messages wait for long, and fewer when they do not: then one gets no new calls, finishes what it
/// has and leaves. Source: docs/design/0042-pools.md

#include <troupe/actor/own_message.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>
#include <troupe/route/pool_keeper.hpp>
#include <troupe/route/router.hpp>
#include <troupe/task/task.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace troupe {

namespace route_internal {

/// Starts a worker with the arguments the pool was made with.
template <class A>
class WorkerMaker {
public:
    WorkerMaker() = default;
    WorkerMaker(const WorkerMaker&) = delete;
    WorkerMaker& operator=(const WorkerMaker&) = delete;
    virtual ~WorkerMaker() = default;
    virtual Task<Result<Ref<A>>> start(const Children<A>& group) const = 0;
};

template <class A, class... Kept>
class WorkerMakerOf final : public WorkerMaker<A> {
public:
    template <class... Arguments>
    explicit WorkerMakerOf(Arguments&&... arguments)
        : arguments_(std::forward<Arguments>(arguments)...) {}
    Task<Result<Ref<A>>> start(const Children<A>& group) const override {
        return std::apply([&](const Kept&... kept) { return group.start(kept...); }, arguments_);
    }

private:
    const std::tuple<Kept...> arguments_;
};

template <class A>
class CrewOf final : public Crew {
public:
    CrewOf(Children<A> group, std::shared_ptr<const WorkerMaker<A>> maker)
        : group_(std::move(group)), maker_(std::move(maker)) {}

    Task<Result<Member>> start() const override { return start_one(maker_->start(group_)); }
    Task<Result<void>> stop(Member worker) const override {
        return group_.stop(RouterAccess::ref<A>(worker));
    }

private:
    static Task<Result<Member>> start_one(Task<Result<Ref<A>>> starting) {
        const Result<Ref<A>> started = co_await std::move(starting);
        if (!started) co_return std::unexpected(started.error());
        co_return RouterAccess::seen(*started);
    }

    const Children<A> group_;
    // Shared with the keepers that come after.
    const std::shared_ptr<const WorkerMaker<A>> maker_;
};

template <class A>
class PoolKeeperOf final : public PoolKeeper {
public:
    PoolKeeperOf(std::shared_ptr<PoolCore> core, std::shared_ptr<const WorkerMaker<A>> maker,
                 Children<A> group)
        : PoolKeeper(std::move(core),
                     std::make_shared<CrewOf<A>>(std::move(group), std::move(maker))) {}
};

template <class First, class... Rest>
std::size_t mailbox_capacity(const First& first, const Rest&...) noexcept {
    if constexpr (actor_internal::kOptionsFirst<First>) {
        return first.settings().mailbox.capacity();
    } else {
        return kMailboxDefault;
    }
}
inline std::size_t mailbox_capacity() noexcept {
    return kMailboxDefault;
}

}  // namespace route_internal

/// A handle: cheap to copy, keeps nobody alive. Made by `pool<A>(...)`.
///
/// Threads: any, unless a method says otherwise.
template <class A>
class Pool {
public:
    /// Starts it, once. Returns when its first workers have started.
    ///
    /// Errors:  start_failed, with the text of what the start of a worker failed with, and those
    ///          that had started are stopped again; already_registered, when it was started before.
    /// Threads: in an actor or task.
    Task<Result<void>> start(const System& system) const { return start(system.engine(), nullptr); }
    /// The same; it ends with `owner`, in whose turn this is: `co_await shops.start(*this)`.
    Task<Result<void>> start(const Actor& owner) const {
        Cell* const cell = actor_internal::cell_of(owner);
        TROUPE_ASSERT(cell != nullptr, "the owner of a pool is an actor that runs");
        return start(cell->engine(), cell);
    }
    /// The pool as a part of a tree that is being written: `tree.child(shops.supervised())`. It is
    /// stopped, and listed, with that tree.
    Supervisor supervised() const {
        const bool first = run_->begin();
        TROUPE_ASSERT(first, "a pool is started once");
        return tree();
    }

    /// Stops it and waits until all its workers have ended. Stop::stop: after what they are at;
    /// Stop::drain: after the mail they have, for as long as `drain` says.
    ///
    /// Errors:  actor_gone, when it was not started, or is part of somebody else's tree; cancelled.
    Task<Result<void>> stop(Stop strength = Stop::stop) const {
        return route_internal::stop_pool(run_, core_, strength);
    }

    /// Errors:  actor_gone, when it does not run.
    Task<Result<PoolInfo>> info() const { return route_internal::info_of(core_); }
    /// Whether as many workers are healthy as there are to be at least.
    ///
    /// Errors:  as stop.
    Task<Result<Readiness>> readiness() const { return route_internal::readiness_of(run_, core_); }
    /// Its supervisor, to be monitored or linked to; nobody when it was not started by `start`.
    Ref<Actor> actor() const {
        const auto running = run_->running();
        return running ? running->actor() : Ref<Actor>();
    }

    /// The workers of this moment that are given calls, and all that a router can do.
    const Router<A>& router() const noexcept { return router_; }

    /// As the router's.
    template <auto M, class... Arguments>
    SendStatus tell(Arguments&&... arguments) const {
        return router_.template tell<M>(std::forward<Arguments>(arguments)...);
    }
    template <auto M, class... Arguments>
    Task<Result<void>> send(Arguments... arguments) const {
        return router_.template send<M>(std::move(arguments)...);
    }
    template <auto M, class... Arguments>
    RoutedAsk<actor_internal::ReplyOf<M>> ask(Arguments&&... arguments) const {
        return router_.template ask<M>(std::forward<Arguments>(arguments)...);
    }
    typename Router<A>::By by(std::string_view key) const { return router_.by(key); }
    typename Router<A>::By by(std::integral auto key) const { return router_.by(key); }

private:
    template <class B, class... Arguments>
    friend Pool<B> pool(const PoolOptions& options, Arguments&&... arguments);

    Pool(const PoolOptions::Settings& settings, std::size_t mailbox_capacity,
         std::shared_ptr<const route_internal::WorkerMaker<A>> maker)
        : router_(settings.route),
          core_(std::make_shared<route_internal::PoolCore>(
              settings, mailbox_capacity, route_internal::RouterAccess::members(router_))),
          run_(std::make_shared<route_internal::PoolRun>()),
          maker_(std::move(maker)) {}

    Task<Result<void>> start(Engine& engine, Cell* owner) const {
        if (!run_->begin()) return refuse();
        return route_internal::start_pool(engine, owner, run_, tree());
    }
    static Task<Result<void>> refuse() {
        co_return error(Errc::already_registered, "this pool has been started before");
    }

    /// When the workers' supervisor gives up, or the keeper fails, all begin anew.
    Supervisor tree() const {
        const PoolOptions::Settings& settings = core_->settings;
        Supervisor tree = supervisor(settings.name);
        tree.one_for_all();
        const auto workers = tree.template dynamic<A>(
            "workers", settings.policy.shards(1).min_healthy(settings.scale.min));
        tree.template child<route_internal::PoolKeeperOf<A>>("keeper", core_, maker_, workers);
        return tree;
    }

    Router<A> router_;
    // Shared by the handles and the keeper.
    std::shared_ptr<route_internal::PoolCore> core_;
    // Shared by the handles.
    std::shared_ptr<route_internal::PoolRun> run_;
    // Shared with the keepers.
    std::shared_ptr<const route_internal::WorkerMaker<A>> maker_;
};

/// A pool that has not been started: `pool<A>(pool_options(), [options(),] arguments of A's
/// constructor...)`. The arguments are copied for each worker, at each of its starts.
template <class A, class... Arguments>
Pool<A> pool(const PoolOptions& options, Arguments&&... arguments) {
    const PoolOptions::Settings& settings = options.settings();
    TROUPE_ASSERT(settings.scale.min > 0 && settings.scale.min <= settings.scale.max,
                  "a pool has one worker at least, and no more at least than at most");
    const std::size_t capacity = route_internal::mailbox_capacity(arguments...);
    using Maker = route_internal::WorkerMakerOf<A, actor_internal::KeptArgument<Arguments>...>;
    return Pool<A>(settings, capacity,
                   std::make_shared<Maker>(std::forward<Arguments>(arguments)...));
}

}  // namespace troupe
