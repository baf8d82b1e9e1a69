#include <troupe/actor/accounting.hpp>
#include <troupe/actor/arena.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/base/error.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/scheduler/waiting_report.hpp>
#include <troupe/sim/internal/promises.hpp>
#include <troupe/sim/properties.hpp>
#include <troupe/sim/sim.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace troupe {

namespace sim_internal {

std::string shown(Duration duration) {
    if (duration == Duration::max()) return "the end of time";
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.9g s", static_cast<double>(duration.count()) / 1e9);
    return text.data();
}

}  // namespace sim_internal

namespace {

constinit thread_local Sim* current_sim = nullptr;

/// Of an actor in a step; the body's own allocations are the test's.
bool allocation_fails(const char* site) {
    return current_sim != nullptr && current_sim->allocation_faults() != 0 &&
           current_cell() != nullptr &&
           current_sim->has_fault(site, current_sim->allocation_faults());
}
bool arena_fails() {
    return allocation_fails("allocation from an arena");
}

/// What `may_run_out_of_memory` throws.
class OutOfMemory : public std::bad_alloc {
public:
    const char* what() const noexcept override { return "out of memory, in a simulation"; }
};

}  // namespace

Sim::Sim(Chooser& chooser) : outer_(std::exchange(current_sim, this)) {
    std::unique_ptr<SimulatedEngine> engine = make_simulated_engine(chooser);
    engine_ = engine.get();
    system_ = std::make_unique<OwnedSystem>(std::move(engine));
    actor_internal::arena_fails = &arena_fails;
}

Sim::~Sim() {
    if (exhausted_) {
        // What runs for ever cannot be stopped; the process is about to end.
        ignore(system_.release(), "what runs there cannot be stopped");
        for (auto& node : nodes_)
            ignore(node.release(), "the same");
        for (auto& probe : probes_)
            ignore(probe.release(), "actors may still use it");
    } else {
        end_nodes();
        probes_.clear();
        if (system_ != nullptr) stop();
    }
    current_sim = outer_;
    if (outer_ == nullptr) actor_internal::arena_fails = nullptr;
}

Sim* Sim::current() noexcept {
    return current_sim;
}

// ---- running ------------------------------------------------------------------------------------

/// Runs while the condition wants it and something can; false when nothing can, up to that time.
template <class Condition>
bool Sim::run_while(Condition wanted, Duration time_max) {
    while (wanted()) {
        if (!step(time_max)) return false;
    }
    return true;
}

bool Sim::step(Duration time_max) {
    if (monitors_.empty()) {
        const bool taken = engine_->step(time_max);
        if (!taken) check_exhausted();
        return taken;
    }
    // Time must not jump over the moment at which a hope has failed.
    Duration next = time_max;
    for (const Monitor& monitor : monitors_)
        next = std::min(next, monitor.deadline);
    bool taken = engine_->step(next);
    if (!taken) check_exhausted();
    if (!taken && next < time_max) {
        engine_->run_for(next - engine_->now());
        taken = true;
    }
    look_at_monitors();
    return taken;
}

void Sim::look_at_monitors() {
    const Duration time = now();
    for (std::size_t i = 0; i < monitors_.size();) {
        Monitor& monitor = monitors_[i];
        const bool holds = monitor.holds();
        const bool for_ever = monitor.deadline == Duration::max();
        if (for_ever && !holds) fail("the invariant does not hold: " + monitor.what);
        if (!for_ever && !holds && time >= monitor.deadline) {
            fail("did not happen in time: " + monitor.what + "." + who_waits());
        }
        const bool over = for_ever ? !holds : holds || time >= monitor.deadline;
        if (over) {
            monitors_.erase(monitors_.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
            ++i;
        }
    }
}

void Sim::check_exhausted() {
    if (!engine_->exhausted() || exhausted_) return;
    exhausted_ = true;
    give_up("after " + std::to_string(engine_->steps()) +
            " steps something still wants to run, at " + sim_internal::shown(now()) +
            ": it goes round in a circle." + who_waits());
}

void Sim::drive(Task<void> task) {
    task_internal::RootTask root(*engine_, std::move(task));
    try {
        if (run_while([&] { return !root.finished().is_open(); }, Duration::max())) return;
    } catch (const sim_internal::RunOver&) {
        root.forget();
        throw;
    }
    const std::string waiting = who_waits();
    root.abandon();
    give_up("deadlock: nothing can run and no timer is due, but the test waits." + waiting);
}

void Sim::advance(Duration duration) {
    const Duration end = later(duration);
    run_while([] { return true; }, end);
    engine_->run_for(end - now());
}

bool Sim::advance_to_next() {
    settle();
    const Duration next = engine_->next_timer();
    if (next == Duration::max()) return false;
    advance(next - now());
    return true;
}

void Sim::settle() {
    run_while([] { return true; }, now());
}

bool Sim::run_until_idle(Duration longest) {
    run_while([] { return true; }, later(longest));
    return engine_->next_timer() == Duration::max() && !engine_->runnable();
}

bool Sim::run_until(const std::function<bool()>& condition, Duration longest) {
    return run_while([&] { return !condition(); }, later(longest));
}

void Sim::run_steps(std::uint64_t count) {
    run_while([&] { return count-- != 0; }, Duration::max());
}

Duration Sim::later(Duration duration) const noexcept {
    const Duration time = now();
    if (duration <= Duration::zero()) return time;
    return duration < Duration::max() - time ? time + duration : Duration::max();
}

// ---- what is under test -------------------------------------------------------------------------

SupervisorRef Sim::start_supervised(Supervisor tree) {
    Result<SupervisorRef> started = run(system().start(std::move(tree)));
    if (!started) give_up("start_supervised: " + started.error().message());
    supervised_.push_back(started->actor());
    return *started;
}

std::string Sim::next_name() {
    return "supervised " + std::to_string(++names_);
}

sim_internal::ProbeCore& Sim::add_probe() {
    return *probes_.emplace_back(std::make_unique<sim_internal::ProbeCore>(*this));
}

bool Sim::inject_failure(Pid pid, std::string_view reason) {
    Cell* const cell = engine_->find_cell(pid.slot);
    if (cell == nullptr || cell->generation() != pid.generation) return false;
    actor_internal::post_stop(cell, pid.generation, Stop::kill,
                              ExitReason(ExitReason::Kind::failed, reason));
    return true;
}

// ---- machines -----------------------------------------------------------------------------------

sim::Node& Sim::node(std::string name, sim::NodeMain main, const sim::NodeOptions& options) {
    constexpr std::size_t kNodesMax = 250;  // as many as have an address
    if (nodes_.size() == kNodesMax) give_up("too many nodes");
    // The test's own machine is 10.0.0.1.
    std::string address = "10.0.0." + std::to_string(nodes_.size() + 2);
    sim::Node& node = *nodes_.emplace_back(std::make_unique<sim::Node>(
        *this, std::move(name), std::move(address), std::move(main), options));
    node.start();
    return node;
}

void Sim::end_nodes() {
    for (const auto& node : nodes_)
        node->halt();
    for (const auto& node : nodes_)
        node->finish();
    nodes_.clear();
}

const std::string& Sim::address_of(std::string_view machine) {
    static const std::string of_test = "10.0.0.1";
    if (machine == sim::kTestMachine) return of_test;
    for (const auto& node : nodes_) {
        if (node->name() == machine) return node->address();
    }
    give_up("there is no node " + std::string(machine));
}

void Sim::cut(std::string_view from, std::string_view to) {
    hold_between(*engine_, address_of(from), address_of(to));
}

void Sim::mend(std::string_view from, std::string_view to) {
    release_between(*engine_, address_of(from), address_of(to));
}

void Sim::slow(std::string_view from, std::string_view to, const LineSpeed& speed) {
    slow_between(*engine_, address_of(from), address_of(to), speed);
}

void Sim::reset(std::string_view one, std::string_view other) {
    reset_between(*engine_, address_of(one), address_of(other));
}

void Sim::partition(std::string_view one, std::string_view other) {
    cut(one, other);
    cut(other, one);
}

void Sim::swizzle(Duration within) {
    std::vector<std::string> names{std::string(sim::kTestMachine)};
    for (const auto& node : nodes_)
        names.push_back(node->name());
    const auto with_all_others = [&](const std::string& name, bool joined) {
        for (const std::string& other : names) {
            if (other == name) continue;
            if (joined) {
                mend_partition(name, other);
            } else {
                partition(name, other);
            }
        }
    };
    // The first alternative is that nothing happens.
    std::vector<std::string> clogged;
    for (const auto& node : nodes_) {
        if (choose(2, "node is cut off") != 0) clogged.push_back(node->name());
    }
    const auto pause = within / static_cast<std::int64_t>(2 * clogged.size() + 1);
    for (const bool joins : {false, true}) {
        std::vector<std::string> left = clogged;
        while (!left.empty()) {
            const auto next = left.begin() + static_cast<std::ptrdiff_t>(choose(
                                                 left.size(), "whose turn it is to be cut off"));
            with_all_others(*next, joins);
            left.erase(next);
            advance(pause);
        }
    }
    advance(pause);
}

void Sim::mend_partition(std::string_view one, std::string_view other) {
    mend(one, other);
    mend(other, one);
}

// ---- what is promised ---------------------------------------------------------------------------

void Sim::fail(std::string text) {
    if (failed_) return;
    failed_ = true;
    if (engine_ != nullptr) last_ = {engine_->steps(), now()};
    failure_ = {std::move(text), last_.steps, last_.time};
}

void Sim::give_up(std::string text) {
    fail(std::move(text));
    throw sim_internal::RunOver();
}

void Sim::invariant(std::string what, std::function<bool()> holds) {
    monitors_.push_back({std::move(what), std::move(holds), Duration::max()});
    look_at_monitors();
}

void Sim::eventually_within(Duration duration, std::string what, std::function<bool()> holds) {
    monitors_.push_back({std::move(what), std::move(holds), later(duration)});
    look_at_monitors();
}

void Sim::must_reach(std::string_view what) {
    sim_internal::Promises::of_process().demand(what);
}

void Sim::heal() {
    healed_ = true;
    engine_->heal();
}

bool Sim::takes_faults_at(const char* site) {
    if (healed_) return false;
    for (const auto& [known, takes] : fault_sites_) {
        if (std::strcmp(known, site) == 0) return takes;
    }
    const bool takes = engine_->choose(2, ChoiceKind::fault, "fault site on") != 0;
    fault_sites_.emplace_back(site, takes);
    return takes;
}

bool Sim::has_fault(const char* site, unsigned per_thousand) {
    return takes_faults_at(site) && engine_->happens(per_thousand, site);
}

void Sim::late_timers(const TimerFaults& faults) {
    engine_->set_timer_faults(takes_faults_at("late timers") ? faults : TimerFaults());
}

std::string Sim::who_waits() const {
    const std::string report = waiting_report(*engine_);
    return report.empty() ? std::string() : " Waiting:\n" + report;
}

// ---- the end ------------------------------------------------------------------------------------

void Sim::stop() {
    while (!supervised_.empty()) {
        supervised_.back().stop();
        supervised_.pop_back();
        if (!engine_->stopped()) engine_->settle();
    }
    system_->stop();
}

void Sim::finish(std::uint64_t live_blocks) {
    if (exhausted_) return;
    for (const Monitor& monitor : monitors_) {
        if (monitor.deadline != Duration::max()) {
            fail("the test ended before it happened: " + monitor.what);
        }
    }
    last_ = {engine_->steps(), now()};
    monitors_.clear();
    end_nodes();
    probes_.clear();  // whoever asked one hears that nobody answers
    stop();
    if (!system().actors().empty()) fail("actors are left after the system has stopped");
    const MessageAccounts accounts = message_accounts(system());
    if (!accounts.add_up()) {
        fail("the messages do not add up: " + std::to_string(accounts.accepted) +
             " accepted, but " + std::to_string(accounts.handled) + " handled and " +
             std::to_string(accounts.lost) + " lost");
    }
    system_.reset();  // names and other things it keeps are not left
    engine_ = nullptr;
    const std::uint64_t live = block_pool_stats().live_blocks;
    if (live != live_blocks) {
        fail(std::to_string(static_cast<std::int64_t>(live - live_blocks)) +
             " envelopes, coroutines or timers are left after the test");
    }
}

// ---- said by actors -----------------------------------------------------------------------------

namespace sim {

void always(bool holds, std::string_view what) {
    if (holds || current_sim == nullptr) return;
    current_sim->fail("not always: " + std::string(what));
}

void sometimes(bool holds, std::string_view what) {
    if (current_sim != nullptr) sim_internal::Promises::of_process().note(what, holds);
}

void reachable(std::string_view what) {
    if (current_sim != nullptr) sim_internal::Promises::of_process().note(what, true);
}

void unreachable(std::string_view what) {
    if (current_sim != nullptr) current_sim->fail("reached: " + std::string(what));
}

bool buggify(const char* site, unsigned per_thousand) {
    return current_sim != nullptr && current_sim->has_fault(site, per_thousand);
}

void may_run_out_of_memory(const char* site) {
    if (allocation_fails(site)) throw OutOfMemory();
}

}  // namespace sim

}  // namespace troupe
