#pragma once

/// Runs a test under many schedules: one per seed, or every one there is.
///
///     explore_seeds(1, 500, [](Engine& engine, std::uint64_t seed) {
///         SCOPED_TRACE(replay_hint(seed));
///         ...
///         return !testing::Test::HasFailure();  // optional: one failing schedule is enough
///     });

#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

/// What an exploration has seen.
struct Exploration {
    std::size_t runs = 0;
    std::size_t distinct = 0;  ///< runs that differ in some step, told apart by their event hashes
    bool exhaustive = false;   ///< depth first: every schedule was run
};

/// The setting that replays one seed: "TROUPE_SEED=8123", to be put before the test's command.
std::string replay_hint(std::uint64_t seed);

namespace explore_internal {

struct SeedRange {
    std::uint64_t first = 0;
    std::size_t count = 0;
};

/// What the environment asks for in place of `asked`.
SeedRange seeds_to_run(SeedRange asked);

std::size_t count_distinct(std::vector<std::uint64_t> hashes);

/// Says which run it was when an assertion of ours or an exception ends it.
class AnnouncedRun {
public:
    enum class Kind : std::uint8_t { none, seed, depth_first };
    AnnouncedRun(Kind kind, std::uint64_t number) noexcept;
    ~AnnouncedRun();
    AnnouncedRun(const AnnouncedRun&) = delete;
    AnnouncedRun& operator=(const AnnouncedRun&) = delete;

private:
    int exceptions_before_;
};

/// Runs the body, which may return whether to go on or nothing at all.
template <class Body, class... Args>
bool goes_on(Body& body, Args&&... args) {
    static_assert(
        std::is_invocable_v<Body&, Args...>,
        "explore: the body is called with an Engine&, and with a seed where there is one");
    if constexpr (std::is_same_v<std::invoke_result_t<Body&, Args...>, bool>) {
        return body(args...);
    } else {
        body(args...);
        return true;
    }
}

}  // namespace explore_internal

/// Calls `body(engine, seed)` with a new deterministic engine for each of `count` seeds.
///
/// The environment goes first: TROUPE_SEED=n runs that seed only, TROUPE_SEEDS=n that many. Where
/// the body returns false, exploring ends.
///
/// Errors:  what the body throws; the seed is printed then, and when a TROUPE_ASSERT fails.
/// Threads: any; the body runs on the calling thread.
template <class Body>
Exploration explore_seeds(std::uint64_t first, std::size_t count, Body body) {
    const auto range = explore_internal::seeds_to_run({first, count});
    Exploration exploration;
    std::vector<std::uint64_t> hashes;
    for (std::uint64_t seed = range.first; exploration.runs < range.count; ++seed) {
        const explore_internal::AnnouncedRun announced(explore_internal::AnnouncedRun::Kind::seed,
                                                       seed);
        RandomChooser chooser(seed);
        const std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
        const bool more = explore_internal::goes_on(body, *engine, seed);
        ++exploration.runs;
        hashes.push_back(engine->event_hash());
        if (!more) break;
    }
    exploration.distinct = explore_internal::count_distinct(std::move(hashes));
    return exploration;
}

/// Calls `body(engine)` for every schedule there is, at most `runs_max` of them; choices after the
/// first `depth_max` of a run always take the first alternative. Where the body returns false,
/// exploring ends. For small tests: the number of schedules grows exponentially.
///
/// Errors:  what the body throws; the number of the run is printed then, as above.
/// Threads: any; the body runs on the calling thread.
template <class Body>
Exploration explore_depth_first(std::size_t runs_max, std::size_t depth_max, Body body) {
    Exploration exploration;
    std::vector<std::uint64_t> hashes;
    DepthFirstChooser chooser(depth_max);
    while (exploration.runs < runs_max) {
        const explore_internal::AnnouncedRun announced(
            explore_internal::AnnouncedRun::Kind::depth_first, exploration.runs);
        const std::unique_ptr<Engine> engine = make_deterministic_engine(chooser);
        const bool more = explore_internal::goes_on(body, *engine);
        ++exploration.runs;
        hashes.push_back(engine->event_hash());
        if (!more) break;
        engine->stop();  // no choice is asked for once the next run is prepared
        if (!chooser.next_run()) {
            exploration.exhaustive = !chooser.cut();
            break;
        }
    }
    exploration.distinct = explore_internal::count_distinct(std::move(hashes));
    return exploration;
}

}  // namespace troupe
