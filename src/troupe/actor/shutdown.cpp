#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/shutdown_plan.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/internal/whereabouts.hpp>
#include <troupe/actor/shutdown.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/log.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace troupe {

using namespace std::chrono_literals;

const char* name(ShutdownTaskReport::Outcome outcome) noexcept {
    switch (outcome) {
        case ShutdownTaskReport::Outcome::done:
            return "done";
        case ShutdownTaskReport::Outcome::failed:
            return "failed";
        case ShutdownTaskReport::Outcome::too_slow:
            return "too slow";
        case ShutdownTaskReport::Outcome::left_out:
            return "left out";
    }
    return "unknown";
}

bool ShutdownReport::clean() const noexcept {
    return std::all_of(tasks.begin(), tasks.end(), [](const ShutdownTaskReport& task) {
        return task.outcome == ShutdownTaskReport::Outcome::done;
    });
}

namespace actor_internal {

namespace {

// How long a task that is too slow has for saying where it waits. One that says nothing does not
// wait at all, and nobody can say where it is.
constexpr Duration kTimeToSayWhere = 100ms;

}  // namespace

/// Runs one task, so that it can be killed without harm to the others.
class ShutdownRunner : public Actor {
public:
    explicit ShutdownRunner(ShutdownTask* task) : task_(task) {}
    Task<Result<void>> run() { co_return co_await task_->run(); }

private:
    ShutdownTask* task_;
};

/// Runs the phases once the system has been asked to stop.
class ShutdownConductor : public Actor {
public:
    explicit ShutdownConductor(ShutdownPlan* plan) : plan_(plan) {}

    Task<> watch() {
        co_await system().stop_requested();
        phases_ = &plan_->begin();
        begin_phase();
    }

    Reply<ShutdownReport> wait() {
        if (phases_ != nullptr && phase_ == phases_->size()) return report_;
        return later(waiting_.emplace_back());
    }

    void task_ended(std::size_t phase, std::size_t index, std::string failure) {
        using Outcome = ShutdownTaskReport::Outcome;
        const Outcome outcome = failure.empty() ? Outcome::done : Outcome::failed;
        note(phase, index, outcome, std::move(failure));
    }
    /// Where a task that is too slow was waiting.
    void task_is_at(std::size_t phase, std::size_t index, std::string where) {
        if (where.empty()) return;  // it has just ended, and says so itself
        running_[index].stop(Stop::kill);
        note(phase, index, ShutdownTaskReport::Outcome::too_slow, std::move(where));
    }

private:
    /// Asks one task to run and brings the outcome.
    class Herald : public Actor {
    public:
        Herald(Ref<ShutdownConductor> conductor, std::size_t phase, std::size_t index)
            : conductor_(conductor), phase_(phase), index_(index) {}
        Task<> announce(Ref<ShutdownRunner> runner) {
            const auto ended = co_await runner.ask<&ShutdownRunner::run>().within(Duration::max());
            std::string failure;
            if (!ended) failure = ended.error().text().empty() ? "failed" : ended.error().text();
            conductor_.tell<&ShutdownConductor::task_ended>(phase_, index_, std::move(failure));
        }

    private:
        Ref<ShutdownConductor> conductor_;
        std::size_t phase_;
        std::size_t index_;
    };

    struct Question : WhereaboutsSignal {
        Ref<ShutdownConductor> conductor;
        std::size_t phase = 0;
        std::size_t index = 0;
    };

    ShutdownPhase& current() noexcept { return (*phases_)[phase_]; }

    void begin_phase() {
        while (phase_ < phases_->size() && current().tasks.empty())
            ++phase_;
        if (phase_ == phases_->size()) return finish();
        began_ = system().now();
        running_.clear();
        open_.assign(current().tasks.size(), true);
        phase_failed_ = false;
        for (std::size_t i = 0; i < current().tasks.size(); ++i) {
            running_.push_back(spawn<ShutdownRunner>(current().tasks[i].get()));
            spawn<Herald>(self(this), phase_, i).tell<&Herald::announce>(running_[i]);
        }
        after<&ShutdownConductor::too_slow>(TimerKey("limit"), current().timeout, phase_);
    }

    void too_slow(std::size_t phase) {
        for (std::size_t i = 0; i < open_.size(); ++i) {
            if (open_[i]) ask_where(phase, i);
        }
        after<&ShutdownConductor::give_up>(TimerKey("limit"), kTimeToSayWhere, phase);
    }

    void ask_where(std::size_t phase, std::size_t index) {
        auto* const question = make_node<Question>();
        question->ops = &WhereaboutsSignal::kOps;
        question->conductor = self(this);
        question->phase = phase;
        question->index = index;
        question->answer = [](WhereaboutsSignal* signal, std::string text) noexcept {
            auto* const answered = static_cast<Question*>(signal);
            answered->conductor.tell<&ShutdownConductor::task_is_at>(
                answered->phase, answered->index, std::move(text));
            free_node(answered);
        };
        post_signal(*RefAccess::cell(running_[index]), RefAccess::generation(running_[index]),
                    question);
    }

    void give_up(std::size_t phase) {
        for (std::size_t i = 0; i < open_.size(); ++i) {
            if (phase_ == phase && open_[i]) task_is_at(phase, i, "does not return");
        }
    }

    void note(std::size_t phase, std::size_t index, ShutdownTaskReport::Outcome outcome,
              std::string text) {
        if (phase != phase_ || !open_[index]) return;  // it was given up before
        open_[index] = false;
        running_[index].stop(Stop::stop);
        ShutdownTaskReport report;
        report.phase = current().name;
        report.task = current().tasks[index]->name;
        report.outcome = outcome;
        report.text = std::move(text);
        report.took = system().now() - began_;
        if (outcome != ShutdownTaskReport::Outcome::done) {
            log_warn("a task of the shutdown has not succeeded", {{"phase", report.phase},
                                                                  {"task", report.task},
                                                                  {"outcome", name(outcome)},
                                                                  {"text", report.text}});
        }
        report_.tasks.push_back(std::move(report));
        phase_failed_ = phase_failed_ || outcome != ShutdownTaskReport::Outcome::done;
        if (std::find(open_.begin(), open_.end(), true) != open_.end()) return;
        cancel_timer(TimerKey("limit"));
        if (phase_failed_ && current().required) return leave_out_the_rest();
        ++phase_;
        begin_phase();
    }

    void leave_out_the_rest() {
        const std::string why = "\"" + current().name + "\" has not succeeded";
        while (++phase_ < phases_->size()) {
            for (const auto& task : current().tasks) {
                ShutdownTaskReport& report = report_.tasks.emplace_back();
                report.phase = current().name;
                report.task = task->name;
                report.outcome = ShutdownTaskReport::Outcome::left_out;
                report.text = why;
            }
        }
        finish();
    }

    void finish() {
        for (auto& waiting : waiting_)
            waiting.send(report_);
        waiting_.clear();
    }

    ShutdownPlan* plan_;
    std::vector<ShutdownPhase>* phases_ = nullptr;
    std::size_t phase_ = 0;
    Duration began_{};
    std::vector<Ref<ShutdownRunner>> running_;  // the tasks of this phase
    std::vector<bool> open_;                    // those that have not ended
    bool phase_failed_ = false;                 // one of those that have was not done
    ShutdownReport report_;
    std::vector<ReplyTo<ShutdownReport>> waiting_;
};

// ---- the plan -----------------------------------------------------------------------------------

ShutdownPlan::ShutdownPlan() {
    LockGuard lock(mutex_);
    for (const char* const phase :
         {"before-service-unbind", "service-unbind", "service-requests-done", "service-stop",
          "before-cluster-shutdown", "cluster-leave", "before-actors-stop"}) {
        phases_.emplace_back().name = phase;
    }
}

ShutdownPhase& ShutdownPlan::phase(std::string_view name) {
    const auto at = std::find_if(phases_.begin(), phases_.end(),
                                 [&](const ShutdownPhase& phase) { return phase.name == name; });
    TROUPE_ASSERT(at != phases_.end(),
                  "a shutdown has no phase of that name: its phases are listed in shutdown.hpp, "
                  "add_phase makes more");
    return *at;
}

bool ShutdownPlan::add(System system, std::string_view phase_name, ShutdownTask task) {
    LockGuard lock(mutex_);
    if (begun_ || system.stopping()) return false;
    phase(phase_name).tasks.push_back(std::make_unique<ShutdownTask>(std::move(task)));
    if (conductor_ == Ref<ShutdownConductor>()) {
        conductor_ = system.spawn<ShutdownConductor>(this);
        conductor_.tell<&ShutdownConductor::watch>();
    }
    return true;
}

void ShutdownPlan::add_phase(std::string name, std::initializer_list<std::string_view> behind,
                             Duration timeout) {
    LockGuard lock(mutex_);
    if (begun_) return;
    std::ptrdiff_t place = 0;
    for (const std::string_view before : behind)
        place = std::max(place, &phase(before) - phases_.data() + 1);
    ShutdownPhase added;
    added.name = std::move(name);
    added.timeout = timeout;
    phases_.insert(phases_.begin() + place, std::move(added));
}

void ShutdownPlan::require(std::string_view name) {
    LockGuard lock(mutex_);
    if (!begun_) phase(name).required = true;
}

void ShutdownPlan::limit(std::string_view name, Duration timeout) {
    LockGuard lock(mutex_);
    if (!begun_) phase(name).timeout = timeout;
}

std::vector<ShutdownPhase>& ShutdownPlan::begin() {
    LockGuard lock(mutex_);
    begun_ = true;
    begun_phases_ = std::move(phases_);
    return begun_phases_;
}

Ref<ShutdownConductor> ShutdownPlan::conductor() const {
    LockGuard lock(mutex_);
    return conductor_;
}

bool ShutdownPlan::has_tasks() const {
    return conductor() != Ref<ShutdownConductor>();
}

bool add_shutdown_task(SystemCore& core, std::string_view phase, std::string task,
                       ShutdownFunction function) {
    return core.shutdown_plan().add(System(core), phase, {std::move(task), std::move(function)});
}

}  // namespace actor_internal

void Shutdown::add_phase(std::string phase, std::string_view behind, Duration timeout) const {
    core_->shutdown_plan().add_phase(std::move(phase), {behind}, timeout);
}

void Shutdown::add_phase(std::string phase, std::initializer_list<std::string_view> behind,
                         Duration timeout) const {
    core_->shutdown_plan().add_phase(std::move(phase), behind, timeout);
}

void Shutdown::require(std::string_view phase) const {
    core_->shutdown_plan().require(phase);
}

void Shutdown::limit(std::string_view phase, Duration timeout) const {
    core_->shutdown_plan().limit(phase, timeout);
}

Task<ShutdownReport> Shutdown::run() const {
    using actor_internal::ShutdownConductor;
    core_->request_stop();
    const Ref<ShutdownConductor> conductor = core_->shutdown_plan().conductor();
    if (conductor == Ref<ShutdownConductor>()) co_return ShutdownReport();
    auto report = co_await conductor.ask<&ShutdownConductor::wait>().within(Duration::max());
    if (report) co_return std::move(*report);
    // Somebody has ended the conductor.
    ShutdownReport broken;
    ShutdownTaskReport& entry = broken.tasks.emplace_back();
    entry.task = "shutdown";
    entry.outcome = ShutdownTaskReport::Outcome::failed;
    entry.text = report.error().text();
    co_return broken;
}

}  // namespace troupe
