#pragma once

/// For the tests of routers: workers that say what they have done.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/task/sleep.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::route_internal {

class Clerk : public Actor {
public:
    explicit Clerk(std::string name) : name_(std::move(name)) {}

    void work(int) { ++done_; }
    int done() const { return done_; }
    std::string name_of_it(int) {
        ++done_;
        return name_;
    }
    /// Waits until the test opens the gate; its mail waits meanwhile.
    Task<> hold(std::shared_ptr<actor_internal::Gate> gate) { co_await gate->pass(); }

    /// Its name after so long; what it is cancelled by before that it counts.
    Task<Result<std::string>> name_after(Duration pause) {
        const Result<void> slept = co_await sleep(pause);
        if (!slept) {
            ++cancelled_;
            co_return std::unexpected(slept.error());
        }
        ++done_;
        co_return name_;
    }
    int cancelled() const { return cancelled_; }

private:
    std::string name_;
    int done_ = 0;
    int cancelled_ = 0;
};

inline std::vector<Ref<Clerk>> spawn_workers(OwnedSystem& system, std::size_t count) {
    std::vector<Ref<Clerk>> workers;
    workers.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        workers.push_back(system->spawn<Clerk>("worker " + std::to_string(i)));
    return workers;
}

inline int done_by(OwnedSystem& system, const Ref<Clerk>& worker) {
    return system->block_on(worker.ask<&Clerk::done>()).value_or(-1);
}

}  // namespace troupe::route_internal
