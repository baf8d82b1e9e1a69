#pragma once

#include <troupe/actor/shutdown.hpp>
#include <troupe/base/mutex.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::actor_internal {

struct ShutdownTask {
    std::string name;
    ShutdownFunction run;
};

struct ShutdownPhase {
    std::string name;
    Duration timeout = kShutdownPhaseTimeout;
    bool required = false;                             // by those behind it
    std::vector<std::unique_ptr<ShutdownTask>> tasks;  // each stays where it is while it runs
};

class ShutdownConductor;

/// What is to be done when the system stops, and who does it. A system without tasks has nobody.
class ShutdownPlan {
public:
    ShutdownPlan();

    /// False when the shutdown has begun. The first task brings the conductor.
    bool add(System system, std::string_view phase, ShutdownTask task);
    void add_phase(std::string phase, std::initializer_list<std::string_view> behind,
                   Duration timeout);
    void require(std::string_view phase);
    void limit(std::string_view phase, Duration timeout);

    /// Nothing is added from now on. The phases stay where they are until the system has ended.
    std::vector<ShutdownPhase>& begin();

    /// Nobody when there is nothing to do.
    Ref<ShutdownConductor> conductor() const;
    bool has_tasks() const;

private:
    ShutdownPhase& phase(std::string_view name) TROUPE_REQUIRES(mutex_);

    mutable Mutex mutex_{LockRank::shutdown_plan};
    std::vector<ShutdownPhase> phases_ TROUPE_GUARDED_BY(mutex_);
    std::vector<ShutdownPhase> begun_phases_;  // the conductor's
    bool begun_ TROUPE_GUARDED_BY(mutex_) = false;
    Ref<ShutdownConductor> conductor_ TROUPE_GUARDED_BY(mutex_);
};

}  // namespace troupe::actor_internal
