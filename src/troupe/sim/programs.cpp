#include <troupe/base/error.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/sim/programs.hpp>
#include <troupe/sim/sim.hpp>
#include <troupe/task/sync.hpp>
#include <troupe/task/within.hpp>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <utility>

namespace troupe::sim {

// ---- scripts ------------------------------------------------------------------------------------

Script& Script::add(Step step) {
    steps_.push_back(std::move(step));
    return *this;
}
Script& Script::says(std::string output) {
    return add({Step::Kind::output, std::move(output), {}, {}});
}
Script& Script::waits(Duration duration) {
    return add({Step::Kind::wait, {}, duration, {}});
}
Script& Script::waits_up_to(Duration duration) {
    return add({Step::Kind::wait_up_to, {}, duration, {}});
}
Script& Script::exits(int status) {
    return add({Step::Kind::end, {}, {}, {status, 0}});
}
Script& Script::dies(int signal) {
    return add({Step::Kind::end, {}, {}, {0, signal}});
}
Script& Script::hangs() {
    return add({Step::Kind::hang, {}, {}, {}});
}
Script& Script::ignores_term() {
    ignores_term_ = true;
    return *this;
}

// ---- children -----------------------------------------------------------------------------------

/// When it says what and how it ends is settled when it is started; a kill changes the rest.
class Child::State {
public:
    State(Sim& sim, const Script& script, std::vector<std::string> the_arguments)
        : arguments(std::move(the_arguments)), sim_(sim), ignores_term_(script.ignores_term_) {
        Duration at = sim.now();
        for (const Script::Step& step : script.steps_) {
            using Kind = Script::Step::Kind;
            switch (step.kind) {
                case Kind::output:
                    said_.push_back({at, step.output});
                    break;
                case Kind::wait:
                    at += step.duration;
                    break;
                case Kind::wait_up_to:
                    at += step.duration *
                          static_cast<std::int64_t>(sim.engine().choose(kTimes, ChoiceKind::delay,
                                                                        "child takes its time")) /
                          (kTimes - 1);
                    break;
                case Kind::end:
                    ends(at, step.end);
                    return;
                case Kind::hang:
                    ends(Duration::max(), {});
                    return;
            }
        }
        ends(at, {});
    }

    bool ended() const noexcept { return sim_.now() >= ends_at_; }
    ChildEnd end() const noexcept { return end_; }

    void signal(int number) {
        if (ended() || (number == SIGTERM && ignores_term_)) return;
        ends(sim_.now(), {0, number});
        std::erase_if(said_, [&](const Said& said) { return said.at > ends_at_; });
        changed_.set();
    }

    /// Waits until something is to be read, or it has ended.
    Task<Result<void>> next_output() {
        for (;;) {
            const Duration next = read_ < said_.size() ? said_[read_].at : ends_at_;
            if (sim_.now() >= next) co_return Result<void>();
            co_await or_return(co_await until(next));
        }
    }
    std::string take_output() {
        std::string output;
        for (; read_ < said_.size() && said_[read_].at <= sim_.now(); ++read_)
            output += said_[read_].text;
        return output;
    }
    Task<Result<void>> its_end() {
        while (!ended())
            co_await or_return(co_await until(ends_at_));
        co_return Result<void>();
    }

    const std::vector<std::string> arguments;

private:
    struct Said {
        Duration at;
        std::string text;
    };
    static constexpr std::int64_t kTimes = 4;  // few, for depth-first walks

    void ends(Duration at, ChildEnd how) noexcept {
        ends_at_ = at;
        end_ = how;
    }
    static Task<Result<void>> change(Event* changed) { co_return co_await changed->wait(); }
    /// Until then, or until it is killed.
    Task<Result<void>> until(Duration at) {
        if (at == Duration::max()) co_return co_await changed_.wait();
        Result<void> changed = co_await within(at - sim_.now(), &State::change, &changed_);
        if (!changed && changed.error() != Errc::timed_out) co_return changed;
        co_return Result<void>();
    }

    Sim& sim_;
    std::vector<Said> said_;
    std::size_t read_ = 0;
    Duration ends_at_{};
    ChildEnd end_;
    bool ignores_term_;
    Event changed_;
};

Child::Child(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
Child::Child(Child&&) noexcept = default;
Child& Child::operator=(Child&&) noexcept = default;
Child::~Child() {
    if (state_) kill();
}

const std::vector<std::string>& Child::arguments() const noexcept {
    return state_->arguments;
}

namespace {

Task<Result<std::string>> read_from(std::shared_ptr<Child::State> state) {
    co_await or_return(co_await state->next_output());
    co_return state->take_output();
}

Task<Result<ChildEnd>> end_of(std::shared_ptr<Child::State> state) {
    co_await or_return(co_await state->its_end());
    co_return state->end();
}

}  // namespace

Task<Result<std::string>> Child::read() {
    return read_from(state_);
}
Task<Result<ChildEnd>> Child::wait() {
    return end_of(state_);
}
void Child::kill() {
    state_->signal(SIGKILL);
}
void Child::terminate() {
    state_->signal(SIGTERM);
}

// ---- programs -----------------------------------------------------------------------------------

void Programs::set(std::string name, Script script) {
    set(std::move(name), [script = std::move(script)](const auto&) { return script; });
}

void Programs::set(std::string name,
                   std::function<Script(const std::vector<std::string>& arguments)> script) {
    programs_.insert_or_assign(std::move(name), std::move(script));
}

Result<Child> Programs::start(const std::string& name, std::vector<std::string> arguments) {
    const auto program = programs_.find(name);
    if (program == programs_.end()) {
        return error(Errc::not_found, "starting " + name + ": there is no such program");
    }
    ++started_;
    const Script script = program->second(arguments);
    auto state = std::make_shared<Child::State>(*sim_, script, std::move(arguments));
    children_.push_back(state);
    return Child(std::move(state));
}

std::size_t Programs::running() const noexcept {
    return static_cast<std::size_t>(
        std::count_if(children_.begin(), children_.end(), [](const auto& child) {
            const auto state = child.lock();
            return state != nullptr && !state->ended();
        }));
}

}  // namespace troupe::sim
