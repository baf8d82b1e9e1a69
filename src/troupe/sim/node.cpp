/// A node's life is an engine and a system on it. A crash freezes the engine: its cells stay as
/// they are, with their frames and messages, and no step is theirs any more. They cannot be freed
/// there and then, since that would run the destructors of the code under test; so the life is
/// kept, and stopped when the test is over, when nobody looks any more.

#include <troupe/actor/accounting.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/io/network_conditions.hpp>
#include <troupe/io/resolve.hpp>
#include <troupe/sim/node.hpp>
#include <troupe/sim/sim.hpp>
#include <troupe/task/block_on.hpp>

#include <optional>
#include <utility>

namespace troupe::sim {

class Node::Life {
public:
    explicit Life(std::unique_ptr<SimulatedEngine> engine)
        : engine_(engine.get()), system_(std::move(engine)) {}
    ~Life() {
        if (main_ && main_->finished().is_open()) return;
        // It is abandoned with its process: see Sim::~Sim.
        if (main_) main_->forget();
    }
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;

    SimulatedEngine& engine() noexcept { return *engine_; }
    OwnedSystem& system() noexcept { return system_; }

    void begin(Task<void> main) { main_.emplace(*engine_, std::move(main)); }

    /// What is wrong with what it leaves; empty: nothing.
    std::string stop() {
        system_->request_stop();
        const Duration until = engine_->home().now() + kGrace;
        engine_->run_until([&] { return main_->finished().is_open(); }, until);
        return end();
    }
    /// Frees what has crashed: of the code under test nothing but destructors runs.
    std::string kill() {
        engine_->thaw();
        for (const ActorInfo& actor : system_->actors()) {
            Cell* const cell = engine_->find_cell(actor.pid.slot);
            if (cell == nullptr) continue;
            actor_internal::post_stop(cell, actor.pid.generation, Stop::kill,
                                      ExitReason(ExitReason::Kind::killed));
        }
        return end();
    }

private:
    static constexpr Duration kGrace = std::chrono::seconds(5);

    std::string end() {
        if (!main_->finished().is_open()) main_->abandon();
        system_.stop(kGrace);
        if (!system_->actors().empty()) return "actors are left after it has stopped";
        if (!message_accounts(*system_).add_up()) return "the messages do not add up";
        return {};
    }

    SimulatedEngine* engine_;
    OwnedSystem system_;
    std::optional<task_internal::RootTask> main_;
};

Node::Node(Sim& sim, std::string name, std::string address, NodeMain main,
           const NodeOptions& options)
    : sim_(sim),
      name_(std::move(name)),
      address_(std::move(address)),
      main_(std::move(main)),
      clock_(options.clock),
      timers_(options.timers),
      disk_(sim, options.disk) {
    set_host_addresses(sim_.engine(), name_, {address_});
}

Node::~Node() = default;

System& Node::system() noexcept {
    TROUPE_ASSERT(up(), "a node that is not up has no system");
    return *life_->system();
}

void Node::start() {
    TROUPE_ASSERT(!up(), "a node that is up is started again");
    ++lives_;
    life_ = std::make_unique<Life>(sim_.engine().make_machine(clock_));
    set_machine_address(life_->engine(), address_);
    if (timers_.late_per_thousand != 0 && sim_.takes_faults_at("late timers")) {
        life_->engine().set_timer_faults(timers_);
    }
    life_->begin(main_(*this));
}

void Node::crash(Outage how) {
    TROUPE_ASSERT(up(), "a node that is not up cannot crash");
    keep_clock();
    life_->engine().freeze();
    lose_machine(life_->engine(), how == Outage::power ? MachineLoss::silent : MachineLoss::reset);
    if (how == Outage::power) disk_.crash();
    past_.push_back(std::move(life_));
}

void Node::pause() {
    TROUPE_ASSERT(up(), "a node that is not up cannot stand still");
    life_->engine().freeze();
}

void Node::resume() {
    TROUPE_ASSERT(up(), "a node that is not up cannot go on");
    life_->engine().thaw();
}

bool Node::paused() const noexcept {
    return up() && life_->engine().frozen();
}

void Node::stop() {
    TROUPE_ASSERT(up(), "a node that is not up cannot be stopped");
    life_->engine().thaw();
    keep_clock();
    std::unique_ptr<Life> life = std::move(life_);
    const std::string problem = life->stop();
    if (!problem.empty()) sim_.fail("node " + name_ + ": " + problem);
    lose_machine(life->engine(), MachineLoss::reset);
    past_.push_back(std::move(life));
}

/// How far its wall clock is off by now, so that the next life goes on with that.
void Node::keep_clock() {
    clock_.wall_offset = life_->engine().wall_now() - sim_.engine().wall_now();
}

void Node::set_drift(std::int32_t ppm) {
    clock_.drift_ppm = ppm;
    if (!up()) return;
    MachineClock clock = life_->engine().clock();
    clock.drift_ppm = ppm;
    life_->engine().set_clock(clock);
}

void Node::jump_clock(Duration by) {
    clock_.wall_offset += by;
    if (!up()) return;
    MachineClock clock = life_->engine().clock();
    clock.wall_offset += by;
    life_->engine().set_clock(clock);
}

void Node::halt() {
    if (!up()) return;
    life_->engine().freeze();
    past_.push_back(std::move(life_));
}

void Node::finish() {
    for (auto& life : past_) {
        if (life->engine().stopped()) continue;
        const std::string problem = life->kill();
        if (!problem.empty()) sim_.fail("node " + name_ + ", when it was taken down: " + problem);
    }
    past_.clear();
}

}  // namespace troupe::sim
