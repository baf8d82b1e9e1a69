#pragma once

#include <troupe/base/duration.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe {

class Engine;

/// What the in-memory network of a deterministic engine is like. Whatever has a range or a chance
/// is chosen anew each time, through Engine::choose.
struct NetworkConditions {
    /// How long a piece travels. Pieces of one direction never overtake each other.
    Duration latency_min = std::chrono::microseconds(20);
    Duration latency_max = std::chrono::milliseconds(2);

    /// What one direction of a connection holds, travelling and unread together. Linux begins with
    /// about this much, too.
    std::size_t buffer_bytes = std::size_t{64} * 1024;

    /// How much goes through one direction of a connection; 0: as much as there is.
    std::uint64_t bytes_per_second = 0;

    /// Whether writes and reads are cut at chosen places. Off, they are as large as can be.
    bool splits = true;

    /// Of a thousand writes, how many find the connection broken.
    unsigned resets_per_thousand = 0;
    /// Of a thousand looks for a new connection, how many find the machine out of descriptors.
    unsigned failed_accepts_per_thousand = 0;

    /// Of a thousand names that are looked up, how many cannot be found out now.
    unsigned failed_lookups_per_thousand = 0;
    /// How long that takes at most.
    Duration lookup_latency_max{};
};

/// Changes what the network of this engine is like from now on.
///
/// Errors:  none; the engine must be deterministic.
/// Threads: the engine's own.
void set_network_conditions(Engine& engine, const NetworkConditions& conditions);

/// One way through the connections of a listener, or both.
enum class NetworkWay : std::uint8_t { to_server, to_client, both };

/// Partitions the network: from now on, nothing that is sent this way over the connections of
/// whoever listens at this port arrives, not even a reset or an end; what is on its way already
/// does. Writes fill the buffer and then wait. Nobody new gets through until it is released.
///
/// Errors, Threads: as above.
void hold_network(Engine& engine, std::uint16_t port, NetworkWay way = NetworkWay::both);
/// Ends that: what was held back sets out now, in order.
void release_network(Engine& engine, std::uint16_t port, NetworkWay way = NetworkWay::both);

// ---- several machines ---------------------------------------------------------------------------
//
// The machines of a simulation (SimulatedEngine::make_machine) share one network. By 127.0.0.1 each
// reaches itself. The one it began with is at 10.0.0.1, and at every address that no other has.

/// The address of this engine's machine. When a machine that was lost had it before, this is the
/// same one, started again: what its peers then say over connections of before is answered with a
/// reset.
void set_machine_address(Engine& engine, std::string address);

enum class MachineLoss : std::uint8_t {
    silent,  ///< nobody hears anything of it any more
    reset,   ///< its connections are reset, and new ones refused
};
/// The machine has gone: its engine is frozen, or has stopped.
void lose_machine(Engine& engine, MachineLoss how);

/// From now on nothing that the one machine sends reaches the other, as hold_network says. Until
/// that is over, neither can connect to the other. `engine`: any of the simulation.
void hold_between(Engine& engine, const std::string& from, const std::string& to);
void release_between(Engine& engine, const std::string& from, const std::string& to);

/// How slow one way between two machines is, besides what is so of all.
struct LineSpeed {
    Duration delay{};                    ///< so much longer each piece travels
    std::uint64_t bytes_per_second = 0;  ///< through each connection; 0: as much as there is
    bool operator==(const LineSpeed&) const = default;
};
/// From now on what the one machine sends to the other goes at this speed. What is on its way does
/// not change.
void slow_between(Engine& engine, const std::string& from, const std::string& to,
                  const LineSpeed& speed);

/// Breaks all connections that are open between two machines: both ends of each hear of a reset,
/// also where nothing else gets through.
void reset_between(Engine& engine, const std::string& one, const std::string& other);

}  // namespace troupe
