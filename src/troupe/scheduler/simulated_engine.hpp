#pragma once

/// What the deterministic engine offers beyond Engine: driving it step by step, and seeing what
/// every step does. For simulators, which are the layer above.

#include <troupe/base/duration.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string_view>

namespace troupe {

class Cell;
struct MailNode;

/// One step: something that goes on until it lets go by itself.
struct EngineStep {
    std::uint64_t number = 0;  ///< from 1
    Duration time{};
    StepKind kind = StepKind::turn;
    std::uint32_t subject = 0;   ///< whose turn it is; as in Alternative
    const Cell* cell = nullptr;  ///< a turn's
};

/// Is told what every step does. What it is told of lives until the call returns.
class EngineObserver {
public:
    EngineObserver() = default;
    EngineObserver(const EngineObserver&) = delete;
    EngineObserver& operator=(const EngineObserver&) = delete;
    virtual ~EngineObserver() = default;

    virtual void step_begins(const EngineStep& step) = 0;
    virtual void step_ends(std::uint64_t event_hash) = 0;
    /// The running step has made this one runnable.
    virtual void woke(std::uint32_t subject) = 0;
    /// Mail goes to `to`. `urgent`: it is a signal, or the mailbox is nearly full, so that the
    /// receiver's turns do not commute with it.
    virtual void sent(std::uint32_t to, const MailNode* mail, bool urgent) = 0;
    /// The turn begins to handle a message; `method` is a constant of the program.
    virtual void handling(const std::string_view& method, const MailNode* message) = 0;
    /// The step uses something that others may use, too.
    virtual void touched(const void* thing) = 0;
};

/// How a machine's clocks differ from the simulation's.
struct MachineClock {
    Duration wall_offset{};      ///< of the wall clock
    std::int32_t drift_ppm = 0;  ///< both clocks run so many millionths too fast, or too slow
};

/// Timers that fire late, as on a machine with too much to do. None fires early.
struct TimerFaults {
    unsigned late_per_thousand = 0;                     ///< of the timers that are started
    Duration late_max = std::chrono::milliseconds(10);  ///< in whole milliseconds, at least one
};

/// One machine of a simulation, or the only one.
///
/// Several machines share the choices, the steps and the time of the one they were made from: to
/// drive one of them is to drive all. Each has its own actors, timers, random numbers and clock.
class SimulatedEngine : public Engine {
public:
    using Engine::run_until;

    /// A further machine in the simulation of this one, which must outlive it. Its time begins now.
    virtual std::unique_ptr<SimulatedEngine> make_machine(const MachineClock& clock) = 0;
    /// The machine that the simulation began with: what all share hangs on it, and its clock is
    /// that of the simulation.
    virtual SimulatedEngine& home() noexcept = 0;

    /// From now on its clocks run so; the wall clock may jump, what `now` says does not.
    virtual void set_clock(const MachineClock& clock) noexcept = 0;
    virtual const MachineClock& clock() const noexcept = 0;

    /// Of the timers that are started from now on some fire late, by a chosen time.
    virtual void set_timer_faults(const TimerFaults& faults) noexcept = 0;

    /// Nothing of this machine runs any more, as if it had lost its power, until it is thawed. Not
    /// from one of its own steps.
    virtual void freeze() noexcept = 0;
    virtual void thaw() noexcept = 0;
    virtual bool frozen() const noexcept = 0;

    /// Takes one step of some machine; time jumps for it where it must, but not past `time_max`,
    /// which is the simulation's. False when there is none to take.
    virtual bool step(Duration time_max) = 0;
    bool step() { return step(Duration::max()); }

    /// Steps taken so far.
    virtual std::uint64_t steps() const noexcept = 0;
    /// Takes no more than so many steps in all: what still wants to run then goes round in a
    /// circle.
    virtual void set_steps_max(std::uint64_t steps) noexcept = 0;
    /// Whether that was reached.
    virtual bool exhausted() const noexcept = 0;

    /// Runs what can run now; then time jumps to the next timer, and what is due then runs. False
    /// when there was no timer.
    bool advance_to_next();
    /// Runs until nothing is runnable and no timer is left, or the time is up: false.
    bool run_until_idle(Duration time_max);
    /// Runs until the condition holds, which is looked at after every step: true. False when the
    /// time is up or nothing can run any more.
    bool run_until(const std::function<bool()>& condition, Duration time_max);

    /// From now on every choice of a fault takes its first alternative, which is that there is
    /// none, and asks nobody.
    virtual void heal() noexcept = 0;
    virtual bool healed() const noexcept = 0;

    /// Whether a fault happens now: of a thousand times, so many; each of a thousand then is no
    /// choice. Never once the simulation is healed.
    bool happens(unsigned per_thousand, const char* site);

    /// The deadline of the next timer in the simulation's time; Duration::max() when there is none.
    virtual Duration next_timer() const noexcept = 0;
    /// Whether something can run at the present time.
    virtual bool runnable() const noexcept = 0;

    /// Stops in the debugger, by SIGTRAP, before the step of this number.
    virtual void break_at(std::uint64_t step) noexcept = 0;

    /// Tells `observer` of everything from now on; null: nobody. It outlives the engine, or is
    /// taken away before.
    virtual void observe(EngineObserver* observer) noexcept = 0;

    /// How this engine counts the cell's owner: actors are numbered as they come, so that the
    /// number is the same in every run of the same choices.
    virtual std::uint32_t number_of(const Cell& cell) = 0;

protected:
    SimulatedEngine() : Engine(true) {}
};

/// `chooser` must outlive the engine.
std::unique_ptr<SimulatedEngine> make_simulated_engine(Chooser& chooser);

}  // namespace troupe
