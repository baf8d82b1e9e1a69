#pragma once

/// For tests of what talks over a network: one body, which is a coroutine or an ordinary function
/// of the System, run on threads with sockets and on many schedules of the deterministic engine
/// and its network. test_systems.hpp says what is checked after each run.

#include <troupe/actor/internal/test_systems.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <type_traits>

namespace troupe::net_internal {

template <class Body>
void run_in(OwnedSystem& system, const Body& body) {
    if constexpr (std::is_same_v<std::invoke_result_t<const Body&, System&>, Task<void>>) {
        system->block_on(body(*system));
    } else {
        body(*system);
    }
}

/// On the deterministic engine, for what is about time or about what peers and networks do.
template <class Body>
void in_virtual_time(std::size_t seeds, const Body& body) {
    actor_internal::on_seeds(seeds, [&](OwnedSystem& system) { run_in(system, body); });
}

template <class Body>
void on_both_engines(std::size_t seeds, const Body& body) {
    actor_internal::on_both_engines([&](OwnedSystem& system) { run_in(system, body); }, seeds);
}

}  // namespace troupe::net_internal
