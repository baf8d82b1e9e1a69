#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::sim_internal {

/// Which `sometimes` and `must_reach` of a test have been met, over all its runs, in whatever
/// process they were: it lies in memory that a process shares with those it forks.
class Promises {
public:
    /// Those of the test that this process is in; its own when there is none.
    static Promises& of_process() noexcept;
    /// Makes `promises` those from now on; null: the process's own.
    static void use(Promises* promises) noexcept;

    /// Somebody got there, and it was so.
    void note(std::string_view what, bool met) noexcept;
    /// It has to be met by some run.
    void demand(std::string_view what) noexcept { note(what, false); }

    /// Those that no run has met.
    std::vector<std::string> unmet() const;

private:
    static constexpr std::size_t kPromisesMax = 256;  // more are not watched
    static constexpr std::size_t kTextMax = 112;      // longer ones are cut in reports

    struct Entry {
        std::atomic<std::uint64_t> hash{0};  // any process writes, once; all read
        std::atomic<std::uint64_t> met{0};   // how often; any process writes
        std::array<char, kTextMax> text{};   // written once, by whoever has taken the entry
    };
    std::array<Entry, kPromisesMax> entries_;
};

}  // namespace troupe::sim_internal
