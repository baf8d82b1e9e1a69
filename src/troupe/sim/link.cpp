#include <troupe/sim/link.hpp>

namespace troupe::sim_internal {

Journey journey_of(Sim& sim, const sim::LinkFaults& faults) {
    Journey journey;
    if (faults.lost_per_thousand != 0 && sim.has_fault("link loses", faults.lost_per_thousand)) {
        journey.copies = 0;
        return journey;
    }
    if (faults.twice_per_thousand != 0 &&
        sim.has_fault("link says it twice", faults.twice_per_thousand)) {
        journey.copies = 2;
    }
    constexpr std::uint64_t kLatencies = 17;
    const Duration step = (faults.latency_max - faults.latency_min) / (kLatencies - 1);
    for (unsigned i = 0; i < journey.copies; ++i) {
        const std::uint64_t chosen =
            step <= Duration::zero()
                ? 0
                : sim.engine().choose(kLatencies, ChoiceKind::delay, "latency of a link");
        journey.latency[i] = faults.latency_min + step * static_cast<std::int64_t>(chosen);
    }
    return journey;
}

}  // namespace troupe::sim_internal
