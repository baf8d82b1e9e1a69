#pragma once

/// A machine of its own in a simulated test: a system with its clock, its disk and its address,
/// which can lose its power at any step and begin again with what its disk has kept.
///
///     sim::Node& store = sim.node("store", [](sim::Node& node) -> Task<void> {
///         auto server = co_await or_return(serve(node.system(), node.disk()));
///         co_await node.system().stop_requested();
///     });
///     ...
///     store.crash();
///     store.start();
///
/// All machines of a simulation share its steps, its time and one network, in which each is found
/// by its name. The test itself is a machine, too: `sim.system()`.

#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/scheduler/simulated_engine.hpp>
#include <troupe/sim/disk.hpp>
#include <troupe/task/task.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

class Sim;

namespace sim {

class Node;

/// What runs on a node; it is begun anew in each of its lives. When it returns, the node goes on.
/// What it refers to of the test's body is there for as long as it runs: a node that is up when the
/// body ends is halted there. To see it end in order, stop it.
using NodeMain = std::function<Task<void>(Node& node)>;

struct NodeOptions {
    MachineClock clock{};
    DiskFaults disk{};
    TimerFaults timers{};  ///< in half of the runs
};

enum class Outage : std::uint8_t {
    power,    ///< peers hear nothing any more, and what was not synced may be lost
    process,  ///< killed: its connections are reset, and its disk keeps what was written
};

/// Threads: the test's body, as for Sim; `system`, `disk` and `name` also from what runs on it.
class Node {
public:
    /// For Sim.
    Node(Sim& sim, std::string name, std::string address, NodeMain main,
         const NodeOptions& options);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    const std::string& name() const noexcept { return name_; }
    /// In numbers; others find it by its name, too.
    const std::string& address() const noexcept { return address_; }
    /// Of its present life. It must be up.
    System& system() noexcept;
    Disk& disk() noexcept { return disk_; }
    bool up() const noexcept { return life_ != nullptr; }
    /// How many times it was started.
    unsigned lives() const noexcept { return lives_; }

    /// Begins a new life, in a system of its own. It must not be up.
    void start();
    /// Ends its life here and now: not a line of its code runs any more, but for the destructors of
    /// what it held, when the test is over.
    void crash(Outage how = Outage::power);
    /// It stands still, as a machine does that swaps or is moved: peers' messages wait, and its
    /// timers are late when it goes on. It must be up.
    void pause();
    void resume();
    bool paused() const noexcept;
    /// Ends its life in order, as SIGTERM does.
    void stop();

    /// Both clocks run so many millionths too fast from now on, in later lives, too.
    void set_drift(std::int32_t ppm);
    /// The wall clock jumps, as when it is set; timers do not.
    void jump_clock(Duration by);

    /// For Sim, when the test is over: nothing of it runs any more; and then, all is freed.
    void halt();
    void finish();

private:
    class Life;

    void keep_clock();
    MachineClock clock_now() const;

    Sim& sim_;
    std::string name_;
    std::string address_;
    NodeMain main_;
    MachineClock clock_;
    TimerFaults timers_;
    Disk disk_;
    std::unique_ptr<Life> life_;
    std::vector<std::unique_ptr<Life>> past_;  // crashed, and as they were
    unsigned lives_ = 0;
};

}  // namespace sim
}  // namespace troupe
