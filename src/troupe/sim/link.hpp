#pragma once

/// A line between machines that keeps no promise, in a simulated test: what is said over it is
/// lost, arrives twice, late, or behind what was said after it, as with datagrams, or with a link
/// of a cluster that sends again what was not acknowledged.
///
///     sim::Link<&Replica::apply> link(sim, replica, {.lost_per_thousand = 50, .twice_per_thousand
///     = 50}); auto primary = sim.spawn<Primary>([link](int change) { link.send(change); });
///
/// Code under test reaches it through an interface or function of its own. Connections and
/// mailboxes do none of that, in a simulation or out of it: a request arrives twice there only
/// because somebody has sent it twice. Source: docs/design/0053-faults-and-the-guard.md

#include <troupe/actor/actor.hpp>
#include <troupe/actor/actor_timer.hpp>
#include <troupe/actor/message.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/error.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/sim/sim.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

namespace troupe {

namespace sim {

/// Each of them in half of the runs, and never once the simulation is healed.
struct LinkFaults {
    unsigned lost_per_thousand = 0;
    unsigned twice_per_thousand = 0;
    Duration latency_min = std::chrono::microseconds(20);
    /// What is said later may arrive sooner, where these differ. In whole steps of a sixteenth.
    Duration latency_max = std::chrono::milliseconds(2);
};

}  // namespace sim

namespace sim_internal {

/// What becomes of one message: how often it arrives, and when.
struct Journey {
    unsigned copies = 1;
    Duration latency[2]{};
};
Journey journey_of(Sim& sim, const sim::LinkFaults& faults);

/// Carries what is on its way.
template <auto M, class Kept>
class Carrier : public Actor {
public:
    using Target = typename actor_internal::Traits<M>::Class;

    // `sim` outlives all actors.
    Carrier(Sim* sim, Ref<Target> target, const sim::LinkFaults& faults) noexcept
        : sim_(sim), target_(target), faults_(faults) {}

    void carry(Kept said) {
        const Journey journey = journey_of(*sim_, faults_);
        for (unsigned i = 0; i < journey.copies; ++i) {
            const Duration there = system().now() + journey.latency[i];
            travelling_.emplace(std::pair(there, ++said_), said);
            this->template after<&Carrier::arrive>(journey.latency[i]);
        }
    }

private:
    /// Whichever of the timers of one time fires first.
    void arrive() {
        auto arrived = travelling_.extract(travelling_.begin());
        std::apply(
            [&](auto&... said) { ignore(target_.template tell<M>(said...), "as a line is"); },
            arrived.mapped());
    }

    Sim* sim_;
    Ref<Target> target_;
    const sim::LinkFaults faults_;
    std::map<std::pair<Duration, std::uint64_t>, Kept> travelling_;  // by when they arrive
    std::uint64_t said_ = 0;
};

}  // namespace sim_internal

namespace sim {

/// One way to one actor, by its method M, whose arguments can be copied. A handle: copies are the
/// same line.
///
/// Threads: that of the simulation, in the body and in steps.
template <auto M>
class Link {
    using Traits = actor_internal::Traits<M>;
    using Kept = typename actor_internal::KeptTuple<typename Traits::Parameters>::type;
    using Carrier = sim_internal::Carrier<M, Kept>;

public:
    template <class A>
    Link(Sim& sim, Ref<A> target, const LinkFaults& faults = {})
        : carrier_(sim.spawn<Carrier>(options().mailbox(unbounded()), &sim, target, faults)) {}

    /// It sets out now, and arrives once, twice or never.
    template <class... Arguments>
    void send(Arguments&&... arguments) const {
        ignore(carrier_.template tell<&Carrier::carry>(Kept(std::forward<Arguments>(arguments)...)),
               "as a line is");
    }

private:
    Ref<Carrier> carrier_;
};

}  // namespace sim

}  // namespace troupe
