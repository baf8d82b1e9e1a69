#pragma once

/// Choices: the only source of chance on the deterministic engine.

#include <troupe/base/random.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

enum class ChoiceKind : std::uint8_t { next_runnable, timer_tie, delay, split, fault, random_draw };

enum class StepKind : std::uint8_t { turn, job, timer };

/// One of the things that may go on next.
struct Alternative {
    StepKind kind = StepKind::turn;
    /// Whose turn it is: actors and tasks are numbered as they become runnable for the first time,
    /// from 1. 0: a job, or the clock.
    std::uint32_t subject = 0;

    friend bool operator==(const Alternative&, const Alternative&) = default;
};

/// The place that asks which step is next.
inline constexpr const char* kStepSite = "next step";

/// Answers every choice of a run.
class Chooser {
public:
    Chooser() = default;
    Chooser(const Chooser&) = delete;
    Chooser& operator=(const Chooser&) = delete;
    virtual ~Chooser() = default;

    /// A number below `n`, which is at least 2.
    virtual std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) = 0;

    /// Whether it wants to know who the alternatives are: then it is asked this way for every step,
    /// also where there is but one.
    bool looks_at_steps() const noexcept { return looks_at_steps_; }
    /// Which of them goes on. The clock, where it is among them, is the last.
    virtual std::size_t choose_step(std::span<const Alternative> steps) {
        return steps.size() == 1 ? 0
                                 : static_cast<std::size_t>(
                                       choose(steps.size(), ChoiceKind::next_runnable, kStepSite));
    }

protected:
    explicit Chooser(bool looks_at_steps) noexcept : looks_at_steps_(looks_at_steps) {}

private:
    bool looks_at_steps_ = false;
};

/// Draws every choice from a seed.
class RandomChooser final : public Chooser {
public:
    explicit RandomChooser(std::uint64_t seed) : random_(seed) {}
    std::uint64_t choose(std::uint64_t n, ChoiceKind, const char*) override {
        return random_.below(n);
    }

private:
    Random random_;
};

/// Walks the tree of choices depth first, one leaf a run, until all are done or the bound is met.
///
///     DepthFirstChooser chooser;
///     do { run the test on make_deterministic_engine(chooser); } while (chooser.next_run());
///
/// A draw from more than `kWidthMax` alternatives is not explored: it takes a fixed one.
class DepthFirstChooser final : public Chooser {
public:
    static constexpr std::uint64_t kWidthMax = 64;

    /// `depth_max`: choices after the first so many always take the first alternative.
    explicit DepthFirstChooser(std::size_t depth_max = 1000) : depth_max_(depth_max) {}

    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) override;

    /// Prepares the next run. False when the whole tree (down to the depth) has been walked.
    bool next_run();

    /// Whether some run went deeper than `depth_max`, so that the walk was not exhaustive.
    bool cut() const noexcept { return cut_; }

private:
    struct Branch {
        std::uint64_t taken = 0;
        std::uint64_t width = 0;
    };
    std::vector<Branch> path_;
    std::size_t at_ = 0;
    std::size_t depth_max_;
    bool cut_ = false;
};

}  // namespace troupe
