#pragma once

/// Ways to search the schedules of a test for one that fails.

#include <troupe/base/result.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/sim/history.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace troupe::sim {

enum class Search : std::uint8_t {
    random,       ///< every choice is drawn
    pct,          ///< random priorities that change at a few random steps
    surw,         ///< every order of the steps that meet at one receiver is about as likely
    round_robin,  ///< one after the other, in turns of chosen length
    bounded,      ///< depth first, with few departures from the order of becoming runnable
    dpor,         ///< depth first, one schedule of each class that no actor can tell apart
};

inline constexpr std::array kAllSearches{Search::random,      Search::pct,     Search::surw,
                                         Search::round_robin, Search::bounded, Search::dpor};

std::string_view name(Search search) noexcept;
Result<Search> search_named(std::string_view name);

/// One way, from run to run.
class Searcher {
public:
    Searcher() = default;
    Searcher(const Searcher&) = delete;
    Searcher& operator=(const Searcher&) = delete;
    virtual ~Searcher() = default;

    /// Who makes the choices of the next run, or null when there is no further one. The seed is
    /// used where there is chance.
    virtual Chooser* next_run(std::uint64_t seed) = 0;
    /// Whom to tell of the steps of that run, or null.
    virtual EngineObserver* observer() { return nullptr; }
    /// Whether several may share the seeds among them.
    virtual bool splits() const noexcept { return true; }
    /// Whether every schedule has been run, or one that cannot be told from it: said once
    /// `next_run` has no further one.
    virtual bool exhaustive() const noexcept { return false; }
};

std::unique_ptr<Searcher> make_searcher(Search search);

}  // namespace troupe::sim
