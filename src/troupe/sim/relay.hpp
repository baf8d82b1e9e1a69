#pragma once

/// The faults of a network over real sockets: between a client and its server stands a relay, which
/// carries what they say, as long as it is told to.
///
///     sim::Relays faults(system);
///     auto where = co_await or_return(faults.add({"client", "server"}, {"127.0.0.1", 8080}));
///     ... the client connects to `where` ...
///     co_await or_return(co_await nemesis(faults));    // the script that runs simulated, too
///     co_await or_return(co_await faults.stop());
///
/// For soak tests, of the product as it is shipped: neither end knows of the relay. It differs from
/// a network in this: a client's connect succeeds as soon as the machine has taken the connection
/// in, and what is said over it waits until the line is whole. On the deterministic engine relays
/// work as well, over the simulated network.

#include <troupe/actor/ref.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/endpoint.hpp>
#include <troupe/sim/faults.hpp>
#include <troupe/task/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe {

namespace sim_internal {
class Relay;
}  // namespace sim_internal

namespace sim {

struct RelayOptions {
    Endpoint listen{"127.0.0.1", 0};     ///< port 0: any free one
    std::size_t connections_max = 1000;  ///< open at a time; more wait to be accepted
    std::size_t buffer_bytes = std::size_t{64} * 1024;  ///< of each connection and way
    /// A server that has not answered by then is taken for unreachable, and the client is reset.
    Duration connect_timeout = std::chrono::seconds(10);
};

/// What a relay has done.
struct RelayStats {
    std::uint64_t accepted = 0;     ///< connections of clients
    std::uint64_t open = 0;         ///< of those, now
    std::uint64_t unreachable = 0;  ///< could not be brought to the server
};

/// All relays of a test. Whatever goes through them is bounded: a party that sends faster than the
/// other one takes, or than the line is, has to wait.
class Relays final : public Faults {
public:
    explicit Relays(System system) noexcept;
    /// As stop(), without waiting.
    ~Relays() override;

    /// Begins to relay from a client to a server, and says where the client is to connect. The
    /// server need not be there yet.
    ///
    /// Errors:  already_registered, for a line that there is, and for an address in use; others as
    ///          Listener::listen.
    Result<Endpoint> add(Line line, Endpoint server, const RelayOptions& options = RelayOptions());

    /// Of one line.
    ///
    /// Errors:  not_found; actor_gone, once it was stopped.
    Task<Result<RelayStats>> stats(std::size_t line) const;

    /// Listens no more and resets what is open. When it returns, nothing is left. A line stays
    /// known, and its faults have no effect.
    ///
    /// Errors:  cancelled, with the relays ending.
    Task<Result<void>> stop();

private:
    void set_cut(std::size_t line, Toward toward, bool is_cut) override;
    void set_speed(std::size_t line, Toward toward, const LineSpeed& speed) override;
    void reset_line(std::size_t line) override;

    System system_;
    std::vector<Ref<sim_internal::Relay>> relays_;  // as lines()
};

}  // namespace sim
}  // namespace troupe
