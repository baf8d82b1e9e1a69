#pragma once

/// Partial order reduction on the level of actors: of all schedules that no actor can tell apart,
/// one is run.
///
/// The problem: the number of schedules grows exponentially, and nearly all differ only in the
/// order of steps that have nothing to do with each other.
///
/// Our answer: source sets and sleep sets (Abdulla and others, "Optimal dynamic partial order
/// reduction") over what the engine's observer tells. Two steps conflict when they send to the same
/// mailbox, when one sends a signal, or mail to a nearly full mailbox, and the other is a turn of
/// its receiver, or when both touch the same shared thing. A turn happens after the step that sent
/// what it handles, after the one that woke it, and after its actor's last one. After each run,
/// every pair of conflicting steps that nothing else orders is a race: its other order is run, too.
/// Choices that are no steps are walked through depth first.
///
/// Names, groups, semaphores and the others, connections, ports and files are such things
/// (scheduler/shared_use.hpp). What a conflict is not: two actors that share a C++ variable. Nobody
/// tells us of those.

#include <troupe/sim/history.hpp>
#include <troupe/sim/search.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace troupe::sim::dpor_internal {

/// How many of the n alternatives a depth-first walk looks at, and which they are.
std::uint64_t width_of(std::uint64_t n, ChoiceKind kind) noexcept;
std::uint64_t answer_of(std::uint64_t index, std::uint64_t n, std::uint64_t width) noexcept;

/// What a step uses, as sorted numbers: two that have one in common conflict.
using Footprint = std::vector<std::uint64_t>;

class DporChooser final : public Chooser {
public:
    explicit DporChooser(const History& history) : Chooser(true), history_(history) {}

    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) override;
    std::size_t choose_step(std::span<const Alternative> steps) override;

    /// Learns from the run that is over and prepares the next. False when there is none.
    bool next_run();
    /// Something was too long or too wide to be walked.
    bool cut() const noexcept { return cut_; }

private:
    static constexpr std::size_t kStepsMax = 4000;

    using Key = std::uint32_t;
    struct Sleeper {
        Key key;
        Footprint footprint;
    };
    struct Node {
        bool is_step = false;
        // Of a step.
        std::vector<Key> enabled;
        Key taken = 0;
        std::vector<Key> wanted;  // to be taken here, some time
        std::vector<Key> done;
        std::vector<Sleeper> asleep;  // taking one of these leads to what has been run
        // Of another choice.
        std::uint64_t answer = 0;
        std::uint64_t width = 0;
    };

    static Key key_of(const Alternative& step) noexcept;
    static constexpr std::uint64_t kUnnamed = 0;  // sorts before all others
    static void add_unnamed(Footprint& footprint, std::span<const Effect> effects);
    static Footprint footprint_of(const StepRecord& step, std::span<const Effect> effects);
    static bool sleeps(const Node& node, Key one);
    std::vector<Sleeper> still_asleep() const;
    void find_races();
    void want_what_was_left();
    void want(std::size_t i, std::size_t j, const std::vector<std::size_t>& node_of_step);

    const History& history_;
    std::vector<Node> path_;
    std::size_t at_ = 0;
    std::size_t last_step_node_ = 0;
    bool had_step_ = false;
    bool diverged_ = false;  // this run is not the one that was meant
    bool over_ = false;      // the rest of this run is not walked
    bool cut_ = false;

    // Of the run that is looked at.
    std::vector<Footprint> footprints_;
    std::vector<std::vector<std::uint32_t>> clocks_;  // per step, per subject: steps before it
    std::vector<std::uint32_t> rank_;                 // of a step among its subject's, from 1
};

class DporSearcher final : public Searcher {
public:
    Chooser* next_run(std::uint64_t) override {
        if (std::exchange(begun_, true) && (done_ || !chooser_.next_run())) {
            done_ = true;
            return nullptr;
        }
        history_.clear();
        return &chooser_;
    }
    EngineObserver* observer() override { return &history_; }
    bool splits() const noexcept override { return false; }
    bool exhaustive() const noexcept override { return done_ && !chooser_.cut(); }

private:
    History history_;
    DporChooser chooser_{history_};
    bool begun_ = false;
    bool done_ = false;
};

}  // namespace troupe::sim::dpor_internal
