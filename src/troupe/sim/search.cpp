/// The strategies that are no partial order reduction; that one is in internal/dpor.cpp.
///
/// What each is good at: a random walk finds what needs no luck; priorities (PCT) find what needs a
/// few events in an order; uniform sampling (SURW) does not favour whoever has little to do;
/// turns find what unfairness hides; few departures find what a short explanation has.

#include <troupe/base/error.hpp>
#include <troupe/base/random.hpp>
#include <troupe/sim/internal/dpor.hpp>
#include <troupe/sim/search.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace troupe::sim {

namespace {

// ---- random -------------------------------------------------------------------------------------

class RandomSearcher final : public Searcher {
public:
    Chooser* next_run(std::uint64_t seed) override { return &chooser_.emplace(seed); }

private:
    std::optional<RandomChooser> chooser_;
};

/// Choices that are no steps are drawn by these; how a step is chosen is the strategy.
class StepChooser : public Chooser {
public:
    explicit StepChooser(std::uint64_t seed) : Chooser(true), random_(seed) {}
    std::uint64_t choose(std::uint64_t n, ChoiceKind, const char*) override {
        return random_.below(n);
    }

protected:
    Random& random() noexcept { return random_; }

private:
    Random random_;
};

// ---- round robin --------------------------------------------------------------------------------

/// One after the other in the order of their numbers, each for a few steps.
class RoundRobinChooser final : public StepChooser {
public:
    explicit RoundRobinChooser(std::uint64_t seed) : StepChooser(seed), length_(1 + seed % 7) {}

    std::size_t choose_step(std::span<const Alternative> steps) override {
        if (left_ != 0) {
            const std::size_t same = find(steps, last_);
            if (same != steps.size()) {
                --left_;
                return same;
            }
        }
        // The next higher number, or the lowest.
        std::size_t next = steps.size();
        std::size_t lowest = 0;
        for (std::size_t i = 0; i < steps.size(); ++i) {
            if (steps[i].subject < steps[lowest].subject) lowest = i;
            if (steps[i].subject <= last_) continue;
            if (next == steps.size() || steps[i].subject < steps[next].subject) next = i;
        }
        if (next == steps.size()) next = lowest;
        last_ = steps[next].subject;
        left_ = length_ - 1;
        return next;
    }

private:
    static std::size_t find(std::span<const Alternative> steps, std::uint32_t subject) {
        return static_cast<std::size_t>(
            std::find_if(steps.begin(), steps.end(),
                         [&](const Alternative& step) { return step.subject == subject; }) -
            steps.begin());
    }

    std::uint64_t length_;
    std::uint64_t left_ = 0;
    std::uint32_t last_ = 0;
};

class RoundRobinSearcher final : public Searcher {
public:
    Chooser* next_run(std::uint64_t seed) override { return &chooser_.emplace(seed); }

private:
    std::optional<RoundRobinChooser> chooser_;
};

// ---- PCT ----------------------------------------------------------------------------------------

/// Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding bugs":
/// whoever has the highest priority goes on; at a few random steps it becomes the lowest.
class PctChooser final : public StepChooser {
public:
    PctChooser(std::uint64_t seed, std::uint64_t steps_expected) : StepChooser(seed) {
        const std::uint64_t changes = random().below(4);  // a bug of depth 1 to 4
        for (std::uint64_t i = 0; i < changes; ++i)
            change_at_.push_back(1 + random().below(std::max<std::uint64_t>(steps_expected, 1)));
    }

    std::size_t choose_step(std::span<const Alternative> steps) override {
        ++steps_;
        std::size_t best = highest(steps);
        if (std::find(change_at_.begin(), change_at_.end(), steps_) != change_at_.end()) {
            priorities_[steps[best].subject] = --lowest_;
            best = highest(steps);
        }
        return best;
    }
    std::uint64_t steps() const noexcept { return steps_; }

private:
    std::size_t highest(std::span<const Alternative> steps) {
        std::size_t best = 0;
        for (std::size_t i = 1; i < steps.size(); ++i) {
            if (priority_of(steps[i]) > priority_of(steps[best])) best = i;
        }
        return best;
    }
    std::int64_t priority_of(const Alternative& step) {
        const auto [entry, added] = priorities_.try_emplace(step.subject, 0);
        if (added) entry->second = static_cast<std::int64_t>(random().next() >> 2);
        return entry->second;
    }

    std::vector<std::uint64_t> change_at_;
    std::map<std::uint32_t, std::int64_t> priorities_;
    std::int64_t lowest_ = 0;
    std::uint64_t steps_ = 0;
};

class PctSearcher final : public Searcher {
public:
    Chooser* next_run(std::uint64_t seed) override {
        // The length of a run is taken from the one before.
        if (chooser_) expected_ = chooser_->steps();
        return &chooser_.emplace(seed, expected_);
    }

private:
    static constexpr std::uint64_t kStepsFirst = 50;

    std::uint64_t expected_ = kStepsFirst;
    std::optional<PctChooser> chooser_;
};

// ---- SURW ---------------------------------------------------------------------------------------

/// Which steps of an earlier run met at one thing: by subject, then by its n-th step.
using Meetings = std::map<std::uint32_t, std::vector<bool>>;

/// "Selectively uniform random walk" (Zhao and others, ASPLOS 2025): of the steps that meet at one
/// receiver, each order is about equally likely, whatever else the others have to do. Whoever is
/// about to take such a step waits until it was drawn, weighted by how many it has left.
class SurwChooser final : public StepChooser {
public:
    SurwChooser(std::uint64_t seed, const Meetings& meetings)
        : StepChooser(seed), meetings_(meetings) {
        for (const auto& [subject, meets] : meetings_) {
            left_[subject] =
                static_cast<std::uint64_t>(std::count(meets.begin(), meets.end(), true));
        }
    }

    std::size_t choose_step(std::span<const Alternative> steps) override {
        if (!intended_ || left_[*intended_] == 0) draw_intended();
        std::vector<std::size_t> candidates;
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const bool must_wait =
                meets(steps[i].subject) && intended_ && steps[i].subject != *intended_;
            if (!must_wait) candidates.push_back(i);
        }
        std::size_t chosen = static_cast<std::size_t>(random().below(steps.size()));
        if (!candidates.empty()) {
            chosen = candidates[static_cast<std::size_t>(random().below(candidates.size()))];
        }
        const std::uint32_t subject = steps[chosen].subject;
        if (meets(subject)) {
            if (left_[subject] != 0) --left_[subject];
            intended_.reset();
        }
        ++taken_[subject];
        return chosen;
    }

private:
    bool meets(std::uint32_t subject) {
        const auto known = meetings_.find(subject);
        const std::size_t next = taken_[subject];
        return known != meetings_.end() && next < known->second.size() && known->second[next];
    }
    /// Also one that cannot go on yet: the others come as far as they can without meeting it.
    void draw_intended() {
        intended_.reset();
        std::uint64_t total = 0;
        for (const auto& [subject, weight] : left_)
            total += weight;
        if (total == 0) return;
        std::uint64_t drawn = random().below(total);
        for (const auto& [subject, weight] : left_) {
            if (drawn < weight) {
                intended_ = subject;
                return;
            }
            drawn -= weight;
        }
    }

    const Meetings& meetings_;
    std::map<std::uint32_t, std::uint64_t> left_;
    std::map<std::uint32_t, std::size_t> taken_;
    std::optional<std::uint32_t> intended_;
};

class SurwSearcher final : public Searcher {
public:
    Chooser* next_run(std::uint64_t seed) override {
        learn(seed);
        history_.clear();
        return &chooser_.emplace(seed, meetings_);
    }
    EngineObserver* observer() override { return &history_; }

private:
    /// Chooses one receiver that several have sent to in the last run.
    void learn(std::uint64_t seed) {
        std::map<std::uint32_t, std::vector<std::uint32_t>> senders;
        for (const StepRecord& step : history_.steps()) {
            for (const Effect& effect : history_.effects_of(step)) {
                if (!is_mail(effect)) continue;
                auto& known = senders[effect.subject];
                if (std::find(known.begin(), known.end(), step.step.subject) == known.end()) {
                    known.push_back(step.step.subject);
                }
            }
        }
        std::erase_if(senders, [](const auto& entry) { return entry.second.size() < 2; });
        if (senders.empty()) return;
        Random random(seed ^ kOther);
        auto met = senders.begin();
        std::advance(met, static_cast<std::ptrdiff_t>(random.below(senders.size())));
        meetings_.clear();
        for (const StepRecord& step : history_.steps()) {
            const auto effects = history_.effects_of(step);
            meetings_[step.step.subject].push_back(
                std::any_of(effects.begin(), effects.end(), [&](const Effect& effect) {
                    return is_mail(effect) && effect.subject == met->first;
                }));
        }
    }
    static bool is_mail(const Effect& effect) noexcept {
        return effect.kind == EffectKind::sent || effect.kind == EffectKind::urgent;
    }

    static constexpr std::uint64_t kOther = 0x5EED;  // not the draws of the run itself
    History history_{std::size_t{1} << 16};
    Meetings meetings_;
    std::optional<SurwChooser> chooser_;
};

// ---- bounded ------------------------------------------------------------------------------------

/// Depth first over all choices, with no more than so many departures from the first alternative;
/// when those are done, one more. What has been runnable for longest is the first alternative, so a
/// departure is a step out of turn: a preemption, or a fault, or a late piece.
class BoundedChooser final : public Chooser {
public:
    static constexpr std::size_t kDepthMax = 5000;

    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char*) override {
        const std::uint64_t width = dpor_internal::width_of(n, kind);
        if (at_ == path_.size()) {
            if (path_.size() >= kDepthMax) {
                cut_ = true;
                return 0;
            }
            path_.push_back({0, width});
        }
        Branch& branch = path_[at_++];
        branch.width = width;
        return dpor_internal::answer_of(std::min(branch.taken, width - 1), n, width);
    }

    /// False when there is no further run.
    bool next_run() {
        path_.resize(std::min(path_.size(), at_));
        at_ = 0;
        if (advance()) return true;
        if (!bounded_ || cut_ || bound_ == kBoundMax) return false;
        ++bound_;
        bounded_ = false;
        return true;  // a new round begins with the plain run
    }
    bool cut() const noexcept { return cut_; }

private:
    struct Branch {
        std::uint64_t taken = 0;
        std::uint64_t width = 0;
    };

    bool advance() {
        std::size_t departures = 0;
        for (const Branch& branch : path_)
            departures += branch.taken != 0 ? 1U : 0U;
        while (!path_.empty()) {
            Branch& deepest = path_.back();
            const bool departs = deepest.taken != 0;
            if (deepest.taken + 1 < deepest.width) {
                if (departs || departures < bound_) {
                    ++deepest.taken;
                    return true;
                }
                bounded_ = true;
            }
            if (departs) --departures;
            path_.pop_back();
        }
        return false;
    }
    static constexpr std::size_t kBoundMax = 64;
    std::vector<Branch> path_;
    std::size_t at_ = 0;
    std::size_t bound_ = 1;
    bool bounded_ = false;
    bool cut_ = false;
};

class BoundedSearcher final : public Searcher {
public:
    Chooser* next_run(std::uint64_t) override {
        if (!std::exchange(begun_, true)) return &chooser_;
        if (done_ || !chooser_.next_run()) {
            done_ = true;
            return nullptr;
        }
        return &chooser_;
    }
    bool splits() const noexcept override { return false; }
    bool exhaustive() const noexcept override { return done_ && !chooser_.cut(); }

private:
    BoundedChooser chooser_;
    bool begun_ = false;
    bool done_ = false;
};

}  // namespace

std::string_view name(Search search) noexcept {
    switch (search) {
        case Search::random:
            return "random";
        case Search::pct:
            return "pct";
        case Search::surw:
            return "surw";
        case Search::round_robin:
            return "round-robin";
        case Search::bounded:
            return "bounded";
        case Search::dpor:
            return "dpor";
    }
    return "unknown";
}

Result<Search> search_named(std::string_view text) {
    std::string known;
    for (const Search search : kAllSearches) {
        if (name(search) == text) return search;
        known += known.empty() ? "" : ", ";
        known += name(search);
    }
    return error(Errc::not_found,
                 "no strategy is called '" + std::string(text) + "'; there are " + known);
}

std::unique_ptr<Searcher> make_searcher(Search search) {
    switch (search) {
        case Search::pct:
            return std::make_unique<PctSearcher>();
        case Search::surw:
            return std::make_unique<SurwSearcher>();
        case Search::round_robin:
            return std::make_unique<RoundRobinSearcher>();
        case Search::bounded:
            return std::make_unique<BoundedSearcher>();
        case Search::dpor:
            return std::make_unique<dpor_internal::DporSearcher>();
        case Search::random:
            break;
    }
    return std::make_unique<RandomSearcher>();
}

}  // namespace troupe::sim
