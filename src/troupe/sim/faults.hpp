#pragma once

/// The faults of a network between named parties, for scripts that run in both worlds: simulated,
/// and over real sockets, where relays carry what the parties say (relay.hpp).
///
///     Task<Result<void>> nemesis(sim::Faults& faults) {
///         for (int i = 0; i < 10; ++i) {
///             const std::uint64_t chosen = faults.choose(faults.lines().size(), "whose line");
///             const sim::Line line = faults.lines()[chosen];
///             co_await or_return(faults.cut(line.client, line.server));
///             co_await or_return(co_await sleep(200ms));
///             faults.heal();
///             co_await or_return(co_await sleep(1s));
///         }
///         co_return Result<void>();
///     }
///
///     sim::SimulatedFaults faults(sim, {{"client", "server"}});    // nodes of that name
///     sim.run(nemesis(faults));
///
/// Source: docs/design/0053-faults-and-the-guard.md

#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/network_conditions.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {

class Engine;
class Sim;

namespace sim {

/// Two parties: the client connects to the server.
struct Line {
    std::string client;
    std::string server;
};

/// Each call takes effect soon, in the order of the calls; what is on its way may still arrive.
///
/// Errors:  not_found, where there is no line between the two; the text says which there are.
/// Threads: one task or thread at a time.
class Faults {
public:
    Faults(const Faults&) = delete;
    Faults& operator=(const Faults&) = delete;
    virtual ~Faults() = default;

    /// Nothing that `from` sends reaches `to`, not even an end or a reset: it is held back until
    /// `mend`, and then arrives in order. What `to` sends does arrive. No new connection comes
    /// about meanwhile.
    Result<void> cut(std::string_view from, std::string_view to);
    Result<void> mend(std::string_view from, std::string_view to);
    /// Both ways.
    Result<void> partition(std::string_view one, std::string_view other);
    Result<void> mend_partition(std::string_view one, std::string_view other);
    /// What `from` sends from now on goes at this speed; without one, as fast as it can.
    Result<void> slow(std::string_view from, std::string_view to,
                      const LineSpeed& speed = LineSpeed());
    /// Breaks all connections between the two: both ends hear of a reset, also over a line that is
    /// cut. What was on its way, or held back, may be lost.
    Result<void> reset(std::string_view one, std::string_view other);
    /// All lines are whole and fast again.
    void heal();

    const std::vector<Line>& lines() const noexcept { return lines_; }
    /// One of `n` alternatives: of the schedule's, or by chance on threads. The first should be the
    /// plain one.
    std::uint64_t choose(std::uint64_t n, const char* site);
    /// Who is told, in a sentence, of each thing that is done.
    void on_fault(std::function<void(const std::string& what)> listener) {
        listener_ = std::move(listener);
    }

protected:
    enum class Toward : std::uint8_t { server, client };

    explicit Faults(Engine& engine) noexcept : engine_(engine) {}
    void add_line(Line line) { lines_.push_back(std::move(line)); }

private:
    struct Found {
        std::size_t line;
        Toward toward;
    };
    Result<Found> find(std::string_view from, std::string_view to) const;
    void say(std::string what) const {
        if (listener_) listener_(what);
    }

    virtual void set_cut(std::size_t line, Toward toward, bool is_cut) = 0;
    virtual void set_speed(std::size_t line, Toward toward, const LineSpeed& speed) = 0;
    virtual void reset_line(std::size_t line) = 0;

    Engine& engine_;
    std::vector<Line> lines_;
    std::function<void(const std::string&)> listener_;
};

/// Over the simulated network: the parties are nodes, or the test's own machine (`kTestMachine`).
/// After `Sim::heal`, `choose` gives the first alternative.
class SimulatedFaults final : public Faults {
public:
    /// The nodes must be there; else the test fails and its run ends. `sim` must outlive this.
    SimulatedFaults(Sim& sim, std::vector<Line> lines);

private:
    void set_cut(std::size_t line, Toward toward, bool is_cut) override;
    void set_speed(std::size_t line, Toward toward, const LineSpeed& speed) override;
    void reset_line(std::size_t line) override;

    Sim& sim_;
};

}  // namespace sim
}  // namespace troupe
