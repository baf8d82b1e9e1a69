#include <troupe/scheduler/cell.hpp>
#include <troupe/scheduler/shared_use.hpp>
#include <troupe/sim/history.hpp>
#include <troupe/sim/sim.hpp>

#include <algorithm>
#include <string>

namespace troupe::sim {

const void* the_numbering() noexcept {
    return thing_of(0x6E75'6D62'6572);
}

void History::clear() {
    steps_.clear();
    effects_.clear();
    in_flight_.clear();
    names_.clear();
    signalled_.clear();
    begin_ = 0;
    subjects_seen_ = 0;
    cut_ = false;
}

const SubjectName& History::name_of(std::uint32_t subject) const {
    static const SubjectName kClock{"clock", Pid()};
    static const SubjectName kNobody{"nobody", Pid()};
    if (subject == 0) return kClock;
    const auto found = names_.find(subject);
    return found != names_.end() ? found->second : kNobody;
}

void History::step_begins(const EngineStep& step) {
    if (steps_.size() == steps_max_) cut_ = true;
    if (cut_) return;
    begin_ = effects_.size();
    steps_.push_back({step, begin_, begin_, 0});
    if (step.kind == StepKind::turn && signalled_.erase(step.subject) != 0) {
        add({.kind = EffectKind::took_signals, .subject = step.subject});
    }
    if (step.cell == nullptr || names_.contains(step.subject)) return;
    names_[step.subject] = {std::string(step.cell->type()->name),
                            Pid{0, step.cell->slot(), step.cell->generation()}};
}

void History::step_ends(std::uint64_t event_hash) {
    if (cut_) return;
    steps_.back().effects_end = effects_.size();
    steps_.back().hash = event_hash;
}

void History::woke(std::uint32_t subject) {
    add({.kind = EffectKind::woke, .subject = subject});
    if (subject <= subjects_seen_) return;
    subjects_seen_ = subject;
    touched(the_numbering());
}

void History::sent(std::uint32_t to, const MailNode* mail, bool urgent) {
    add({.kind = urgent ? EffectKind::urgent : EffectKind::sent, .subject = to});
    if (urgent) signalled_.insert(to);
    if (!cut_ && !steps_.empty()) {
        in_flight_[mail] = static_cast<std::uint32_t>(steps_.size() - 1);
    }
}

void History::handling(const std::string_view& method, const MailNode* message) {
    Effect effect{.kind = EffectKind::handled, .method = &method};
    const auto sent = in_flight_.find(message);
    if (sent != in_flight_.end()) {
        effect.of = sent->second;
        in_flight_.erase(sent);
    }
    add(effect);
}

void History::touched(const void* thing) {
    add({.kind = EffectKind::touched, .thing = thing});
}

std::string History::describe(const StepRecord& record) const {
    std::string text =
        std::to_string(record.step.number) + ": at " + sim_internal::shown(record.step.time) + " ";
    switch (record.step.kind) {
        case StepKind::timer:
            return text + "a timer fires";
        case StepKind::job:
            return text + "a blocking job runs";
        case StepKind::turn:
            break;
    }
    text += name_of(record.step.subject).type + " #" + std::to_string(record.step.subject);
    const auto effects = effects_of(record);
    const auto handled = std::find_if(effects.begin(), effects.end(), [](const Effect& effect) {
        return effect.kind == EffectKind::handled;
    });
    if (handled == effects.end()) return text + " goes on";
    return text + " handles " + std::string(*handled->method);
}

}  // namespace troupe::sim
