#pragma once

/// Choices: the only source of chance on the deterministic engine.

#include <troupe/base/random.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe {

enum class ChoiceKind : std::uint8_t { next_runnable, timer_tie, delay, split, fault, random_draw };

/// Answers every choice of a run.
class Chooser {
public:
    Chooser() = default;
    Chooser(const Chooser&) = delete;
    Chooser& operator=(const Chooser&) = delete;
    virtual ~Chooser() = default;

    /// A number below `n`, which is at least 2.
    virtual std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) = 0;
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
