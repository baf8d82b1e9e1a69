#pragma once

/// What happened in a run, step by step: for strategies that learn from it, for the story of a
/// failure, and for finding where two runs differ.

#include <troupe/actor/pid.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/scheduler/simulated_engine.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe::sim {

enum class EffectKind : std::uint8_t {
    sent,     ///< mail to `subject`
    urgent,   ///< the same, and its turns do not commute with it
    woke,     ///< made `subject` runnable
    handled,  ///< began to handle a message that was sent in step `of`
    touched,  ///< used `thing`
    /// Took signals out of its mailbox. Some become messages then, behind those that were there, so
    /// the turn does not commute with mail to it.
    took_signals,
};

struct Effect {
    static constexpr std::uint32_t kUnknown = 0xFFFF'FFFF;

    EffectKind kind = EffectKind::sent;
    std::uint32_t subject = 0;
    std::uint32_t of = kUnknown;               ///< handled: index of the sender's step
    const std::string_view* method = nullptr;  ///< handled
    const void* thing = nullptr;               ///< touched
};

struct StepRecord {
    EngineStep step;
    std::size_t effects_begin = 0;
    std::size_t effects_end = 0;
    std::uint64_t hash = 0;  ///< of all events up to and with this step
};

/// Who a subject is.
struct SubjectName {
    std::string type;
    Pid pid;
};

/// Writes a run down. The engine's thread only.
class History final : public EngineObserver {
public:
    /// Steps after so many are not written down.
    explicit History(std::size_t steps_max = std::size_t{1} << 20) : steps_max_(steps_max) {}

    void clear();

    const std::vector<StepRecord>& steps() const noexcept { return steps_; }
    std::span<const Effect> effects_of(const StepRecord& step) const noexcept {
        return {effects_.data() + step.effects_begin, step.effects_end - step.effects_begin};
    }
    /// Of the step that runs or was the last.
    std::span<const Effect> last_effects() const noexcept {
        return {effects_.data() + begin_, effects_.size() - begin_};
    }
    bool complete() const noexcept { return !cut_; }
    const SubjectName& name_of(std::uint32_t subject) const;
    /// "17: at 1.5 s Account <0.3.1> handles Account::deposit"
    std::string describe(const StepRecord& step) const;

    void step_begins(const EngineStep& step) override;
    void step_ends(std::uint64_t event_hash) override;
    void woke(std::uint32_t subject) override;
    void sent(std::uint32_t to, const MailNode* mail, bool urgent) override;
    void handling(const std::string_view& method, const MailNode* message) override;
    void touched(const void* thing) override;

private:
    void add(const Effect& effect) {
        if (!cut_) effects_.push_back(effect);
    }

    std::size_t steps_max_;
    std::vector<StepRecord> steps_;
    std::vector<Effect> effects_;
    std::size_t begin_ = 0;  // of the last step's effects
    // Which step has sent what is on its way. Looked up only, so the addresses decide nothing.
    std::unordered_map<const MailNode*, std::uint32_t> in_flight_;
    std::map<std::uint32_t, SubjectName> names_;
    std::set<std::uint32_t> signalled_;  // and have had no turn since
    std::uint32_t subjects_seen_ = 0;
    bool cut_ = false;
};

/// What every step that makes a new actor runnable touches: actors are numbered as they come, so
/// the order of such steps shows.
const void* the_numbering() noexcept;

}  // namespace troupe::sim
