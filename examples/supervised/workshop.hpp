#pragma once

// The actors of this example, and the tree they live in: workers that fail now and then, and a desk
// that hands them jobs and does not mind.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/supervisor.hpp>
#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// How many workers the workshop has.
inline constexpr std::size_t kWorkers = 3;

/// Does sums, and fails at some of them.
class Helper : public troupe::Actor {
public:
    /// 1 + 2 + ... + n, unless it fails: as often in a hundred as it was told to.
    std::int64_t sum_up_to(std::int64_t n);

    void fail_in_a_hundred(unsigned times) { failures_in_a_hundred_ = times; }

    /// Does what a bug would do.
    void crash();

private:
    // A worker that is built anew is as it was at first, whatever it was told before.
    unsigned failures_in_a_hundred_ = 10;
};

/// What the desk has seen.
struct Tally {
    std::int64_t asked = 0;
    std::int64_t done = 0;
    std::int64_t tried_again = 0;
    std::int64_t given_up = 0;
};

/// Hands jobs to the workers in turn. A job whose worker fails goes to the next one.
class Desk : public troupe::Actor {
public:
    Desk(troupe::Ref<Helper> one, troupe::Ref<Helper> two, troupe::Ref<Helper> three)
        : workers_{one, two, three} {}

    /// Errors: what the last of the workers that were tried has failed with.
    troupe::Task<troupe::Result<std::int64_t>> sum_up_to(std::int64_t n);

    Tally tally() const { return tally_; }

private:
    std::vector<troupe::Ref<Helper>> workers_;
    std::size_t next_ = 0;
    Tally tally_;
};

/// The workshop before it is opened, and how to find its people then.
struct Workshop {
    troupe::Supervisor tree;
    std::vector<troupe::Child<Helper>> workers;
    troupe::Child<Desk> desk;
};

/// The tree: a pool of three workers, and the desk.
Workshop write_workshop();

/// The workshop once it runs.
struct OpenWorkshop {
    troupe::SupervisorRef tree;
    std::vector<troupe::Ref<Helper>> workers;
    troupe::Ref<Desk> desk;
};

troupe::Task<troupe::Result<OpenWorkshop>> open_workshop(troupe::System system);
