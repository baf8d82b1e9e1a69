#pragma once

/// A simulated world for one run of a test: a system on one thread and virtual time, where every
/// choice comes from one place. See <troupe/sim/test.hpp> for tests that explore many runs.
///
///     TROUPE_SIM_TEST(Door, ClosesItself) {
///         auto door = sim.spawn<Door>();
///         EXPECT_TRUE(sim.run(door.ask<&Door::open>()));
///         sim.advance(6s);
///         EXPECT_FALSE(*sim.run(door.ask<&Door::is_open>()));
///     }
///
/// Everything here is for the test's body, on its own thread, and blocks it while the simulation
/// runs. What actors call meanwhile is in <troupe/sim/properties.hpp>.

#include <troupe/actor/ask.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/scheduler/simulated_engine.hpp>
#include <troupe/sim/node.hpp>
#include <troupe/sim/probe.hpp>
#include <troupe/task/block_on.hpp>
#include <troupe/task/task.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

namespace sim_internal {

std::string shown(Duration duration);

/// Ends a run whose outcome is known. Thrown through the test's body, caught by whoever runs it.
class RunOver : public std::exception {
public:
    const char* what() const noexcept override { return "this run of a simulated test is over"; }
};

}  // namespace sim_internal

namespace sim {

/// The machine that a test's body itself is on.
inline constexpr std::string_view kTestMachine = "the test";

/// What a run has failed with.
struct Failure {
    std::string text;
    std::uint64_t step = 0;
    Duration time{};
};

}  // namespace sim

class Sim {
public:
    /// Runs under that chooser, which must outlive it.
    explicit Sim(Chooser& chooser);
    Sim(const Sim&) = delete;
    Sim& operator=(const Sim&) = delete;
    ~Sim();

    /// The one whose run this thread is in, or null.
    static Sim* current() noexcept;

    System& system() noexcept { return **system_; }
    OwnedSystem& owned_system() noexcept { return *system_; }
    SimulatedEngine& engine() noexcept { return *engine_; }
    Duration now() const noexcept { return engine_->now(); }

    template <class A, class... Arguments>
    Ref<A> spawn(Arguments&&... arguments) {
        return system().template spawn<A>(std::forward<Arguments>(arguments)...);
    }

    /// Starts a tree, or one permanent child, and waits until it has; it is stopped at the test's
    /// end, in reverse order. When it does not start, the test fails and its run ends.
    SupervisorRef start_supervised(Supervisor tree);
    template <class A, class... Arguments>
    Ref<A> start_supervised(Arguments&&... arguments) {
        Supervisor tree = supervisor(next_name());
        const Child<A> child = tree.child<A>("child", std::forward<Arguments>(arguments)...);
        return start_supervised(std::move(tree)).ref(child);
    }

    /// Runs a task, or asks, and waits for the result. When it can never come, because nothing can
    /// run any more, the test fails, the text says who waits for whom, and the run ends.
    template <class T>
    T run(Task<T> task) {
        task_internal::Outcome<T> outcome;
        drive(task_internal::run_into(std::move(task), &outcome));
        if (outcome.thrown) std::rethrow_exception(outcome.thrown);
        if constexpr (!std::is_void_v<T>) return std::move(*outcome.value);
    }
    template <class T>
    Result<T> run(Ask<T> ask) {
        return run(actor_internal::ask_task(std::move(ask)));
    }

    /// Runs everything that happens in the next so long.
    void advance(Duration duration);
    /// Jumps to the next timer and runs what is due then. False when there is none.
    bool advance_to_next();
    /// Runs until nothing is runnable at the present time.
    void settle();
    /// Runs until nothing is runnable and no timer is left. False when that takes longer.
    bool run_until_idle(Duration longest = std::chrono::hours(1));
    /// Runs until the condition holds, which is looked at after every step; false: not in time, or
    /// never.
    bool run_until(const std::function<bool()>& condition, Duration longest);
    /// Takes so many steps, or as many as there are.
    void run_steps(std::uint64_t count);
    /// So long from now, or the end of time.
    Duration later(Duration duration) const noexcept;

    template <class A>
    Probe<A> probe() {
        sim_internal::ProbeCore& core = add_probe();
        const Ref<sim_internal::ProbeActor> actor =
            spawn<sim_internal::ProbeActor>(options().mailbox(unbounded()), &core);
        return Probe<A>(core, actor_internal::RefAccess::make<A>(
                                  *actor_internal::RefAccess::cell(actor),
                                  actor_internal::RefAccess::generation(actor), 0));
    }

    /// A machine beside the test's own, started at once. It lives as long as the test: node.hpp.
    sim::Node& node(std::string name, sim::NodeMain main,
                    const sim::NodeOptions& options = sim::NodeOptions());
    /// From now on nothing that `from` sends reaches `to`, until `mend`. The other way it does, but
    /// no new connection comes about. The test's own machine is `kTestMachine`.
    void cut(std::string_view from, std::string_view to);
    void mend(std::string_view from, std::string_view to);
    /// From now on what `from` sends to `to` goes at this speed; without one, as fast as ever.
    void slow(std::string_view from, std::string_view to, const LineSpeed& speed = LineSpeed());
    /// Breaks all connections between the two: both ends of each hear of a reset.
    void reset(std::string_view one, std::string_view other);
    /// Both ways.
    void partition(std::string_view one, std::string_view other);
    /// Cuts chosen nodes off from all others, one after the other in a chosen order, and joins them
    /// again in another, within that time: what comes back is older here and newer there.
    void swizzle(Duration within);
    void mend_partition(std::string_view one, std::string_view other);

    /// Makes an actor fail, as if its handler had thrown, at the next point where it waits or
    /// handles a message. False when there is no such actor.
    bool inject_failure(Pid pid, std::string_view reason);
    template <class A>
    bool inject_failure(const Ref<A>& ref, std::string_view reason) {
        return inject_failure(ref.pid(), reason);
    }

    /// In half of the runs, timers that the test's own machine starts from now on may be late: see
    /// NodeOptions for others.
    void late_timers(const TimerFaults& faults);
    /// In half of the runs, so many of a thousand allocations from actors' arenas fail from now on,
    /// and so does `sim::may_run_out_of_memory`: whoever does not catch that ends for that reason.
    void fail_allocations(unsigned per_thousand) noexcept { allocation_faults_ = per_thousand; }

    /// One of `n` alternatives, as the strategy likes; the first should be the plain one.
    std::uint64_t choose(std::uint64_t n, const char* site) {
        return engine_->choose(n, ChoiceKind::fault, site);
    }

    /// The test has failed; the first text counts. The run goes on.
    void fail(std::string text);
    /// The test has failed, and its run ends here: the body is left by an exception.
    [[noreturn]] void give_up(std::string text);
    const sim::Failure* failure() const noexcept { return failed_ ? &failure_ : nullptr; }

    /// Fails the test if this is ever false after a step.
    void invariant(std::string what, std::function<bool()> holds);
    /// Fails the test unless this holds after some step within that time.
    void eventually_within(Duration duration, std::string what, std::function<bool()> holds);
    /// Fails the test, once all its runs are over, unless one of them got to
    /// `sim::reachable(what)` or to a `sim::sometimes` of that name that was true.
    void must_reach(std::string_view what);

    /// From now on there are no new faults: what is left must make progress. Whatever asks the
    /// engine for a fault (`buggify`, `choose`, networks, disks) is given the first alternative.
    void heal();

    /// Stops the system, as at the end of main.
    void stop();

    // ---- for those who run tests ----------------------------------------------------------------

    /// Stops everything and looks for what is left: actors, blocks of memory, messages that do not
    /// add up, and hopes that were not fulfilled. `live_blocks`: before the run.
    void finish(std::uint64_t live_blocks);
    /// " Waiting:" and who waits for what, or nothing.
    std::string who_waits() const;
    /// Of a fault that may be taken at this site in this run: half of the sites are.
    bool takes_faults_at(const char* site);
    /// Of a fault that this run takes at the site: whether here, now.
    bool has_fault(const char* site, unsigned per_thousand);
    unsigned allocation_faults() const noexcept { return allocation_faults_; }

private:
    struct Monitor {
        std::string what;
        std::function<bool()> holds;
        Duration deadline{};  // max(): it must always hold
    };

    sim_internal::ProbeCore& add_probe();
    const std::string& address_of(std::string_view machine);
    void end_nodes();
    std::string next_name();
    void drive(Task<void> task);
    bool step(Duration time_max);
    void look_at_monitors();
    void check_exhausted();
    template <class Condition>
    bool run_while(Condition wanted, Duration time_max);

    std::vector<std::unique_ptr<sim_internal::ProbeCore>> probes_;
    SimulatedEngine* engine_;  // the system's; null once that has gone
    std::unique_ptr<OwnedSystem> system_;
    std::vector<std::unique_ptr<sim::Node>> nodes_;
    std::vector<Ref<Actor>> supervised_;  // in the order they were started
    std::vector<Monitor> monitors_;
    std::vector<std::pair<const char*, bool>> fault_sites_;
    struct Last {
        std::uint64_t steps = 0;
        Duration time{};
    };
    Last last_;  // once the engine has gone
    sim::Failure failure_;
    bool failed_ = false;
    bool exhausted_ = false;  // it is left as it is: something in it runs for ever
    bool healed_ = false;
    unsigned names_ = 0;
    unsigned allocation_faults_ = 0;  // of a thousand
    Sim* outer_;
};

}  // namespace troupe
