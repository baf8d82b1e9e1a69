#pragma once

// The actors of this example: one Counter for each name, and one Counters that knows them all.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/result.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

enum class CounterErrc { out_of_range = 1, bad_name, too_many };

/// Holds one number. What it holds is gone when it crashes: the example's point is that nothing
/// else is.
class Counter : public troupe::Actor {
public:
    /// Errors: out_of_range, and the value stays what it was.
    troupe::Result<std::int64_t> add(std::int64_t amount);

    std::int64_t value() const { return value_; }

    /// Does what a bug would do. Its askers hear `failed` with this text.
    void crash();

private:
    std::int64_t value_ = 0;
};

struct NamedCounter {
    std::string name;
    troupe::Ref<Counter> counter;
};

/// Finds the counter of a name, and starts one where there is none.
class Counters : public troupe::Actor {
public:
    /// Errors: bad_name; too_many, since a stranger must not fill our memory by counting.
    troupe::Result<troupe::Ref<Counter>> find(std::string name);

    /// Lets go of a counter that has ended.
    void forget(troupe::Ref<Counter> counter);

    /// All that live, by name.
    std::vector<NamedCounter> all() const;

private:
    static constexpr std::size_t kCountersMax = 10'000;

    void gone(troupe::Down down, std::string name);

    std::map<std::string, troupe::Ref<Counter>> counters_;
};
