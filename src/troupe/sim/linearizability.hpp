#pragma once

/// Whether what clients saw could have come from one thing that does one operation at a time.
///
///     struct Register {                     // how it should behave, written down plainly
///         struct State { int value = 0; bool operator==(const State&) const = default; };
///         struct Input { bool is_write; int value; };
///         using Output = int;
///         static Output apply(State& state, const Input& input) {
///             if (input.is_write) state.value = input.value;
///             return state.value;
///         }
///     };
///     sim::ClientHistory<Register> history;
///     const auto call = history.call({true, 5});      // in a client, before it asks
///     history.returned(call, 5);                      // when it has its answer
///     EXPECT_TRUE(history.check().linearizable) << history.check().why;
///
/// The search is that of Wing and Gong with Lowe's memory of where it has been. A model that has
/// `static Key key(const Input&)` is checked key by key, which is what makes long histories cheap.

#include <troupe/base/assert.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::sim {

/// A deterministic thing: an operation changes the state and has one answer.
template <class M>
concept SequentialModel = requires(typename M::State state, const typename M::Input& input,
                                   const typename M::Output& output) {
    { M::apply(state, input) } -> std::convertible_to<typename M::Output>;
    { output == output } -> std::convertible_to<bool>;
    { state == state } -> std::convertible_to<bool>;
};

struct Linearizability {
    bool linearizable = false;
    bool decided = true;  ///< false: it was given up after too many steps
    std::string why;      ///< empty when it is
};

/// What clients of one thing have called, and what they were answered, in one order of events.
template <SequentialModel M>
class ClientHistory {
    using State = typename M::State;
    using Input = typename M::Input;
    using Output = typename M::Output;

public:
    /// A client begins an operation. The number is that of the operation.
    std::size_t call(Input input) {
        operations_.push_back({std::move(input), std::nullopt, ++events_, kNever});
        return operations_.size() - 1;
    }
    /// It has its answer. One that never comes may have had its effect, or not.
    void returned(std::size_t operation, Output output) {
        TROUPE_ASSERT(operation < operations_.size(), "what returns was called before");
        operations_[operation].output = std::move(output);
        operations_[operation].ended = ++events_;
    }
    std::size_t size() const noexcept { return operations_.size(); }

    /// `steps_max`: the search gives up after so many.
    Linearizability check(std::size_t steps_max = 1'000'000) const {
        if constexpr (requires(const Input& input) { M::key(input); }) {
            std::map<decltype(M::key(std::declval<const Input&>())), std::vector<std::size_t>>
                parts;
            for (std::size_t i = 0; i < operations_.size(); ++i)
                parts[M::key(operations_[i].input)].push_back(i);
            for (const auto& [key, part] : parts) {
                const Linearizability result = check_part(part, steps_max);
                if (!result.linearizable) return result;
            }
            return {true, true, {}};
        } else {
            std::vector<std::size_t> all(operations_.size());
            for (std::size_t i = 0; i < all.size(); ++i)
                all[i] = i;
            return check_part(all, steps_max);
        }
    }

private:
    static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

    struct Operation {
        Input input;
        std::optional<Output> output;
        std::uint64_t began = 0;
        std::uint64_t ended = kNever;
    };
    /// One operation is put into the order; what else could have been is tried later.
    struct Choice {
        std::size_t operation = 0;
        State before;
    };

    Linearizability check_part(const std::vector<std::size_t>& part, std::size_t steps_max) const {
        std::vector<bool> done(part.size(), false);
        std::size_t left = 0;  // that have returned and have no place yet
        for (const std::size_t i : part)
            left += operations_[i].ended != kNever ? 1U : 0U;
        std::map<std::vector<bool>, std::vector<State>> been;
        std::vector<Choice> order;
        State state{};
        std::size_t longest = 0;
        std::size_t next = 0;  // which of the part is tried now
        for (std::size_t steps = 0; left != 0; ++steps) {
            if (steps == steps_max) {
                return {false, false,
                        "the search was given up after " + std::to_string(steps_max) + " steps"};
            }
            const std::size_t found = next_possible(part, done, state, next);
            if (found == part.size()) {
                if (order.empty()) return {false, true, explain(part, longest)};
                // Nothing can follow: the last one goes elsewhere.
                Choice last = std::move(order.back());
                order.pop_back();
                done[last.operation] = false;
                left += operations_[part[last.operation]].ended != kNever ? 1U : 0U;
                state = std::move(last.before);
                next = last.operation + 1;
                continue;
            }
            State after = state;
            static_cast<void>(M::apply(after, operations_[part[found]].input));
            done[found] = true;
            auto& states = been[done];
            if (std::find(states.begin(), states.end(), after) != states.end()) {
                done[found] = false;
                next = found + 1;
                continue;
            }
            states.push_back(after);
            order.push_back({found, std::exchange(state, std::move(after))});
            if (operations_[part[found]].ended != kNever) --left;
            longest = std::max(longest, order.size());
            next = 0;
        }
        return {true, true, {}};
    }

    /// The first from `next` on that began before any other has ended, and that answers as it did.
    std::size_t next_possible(const std::vector<std::size_t>& part, const std::vector<bool>& done,
                              const State& state, std::size_t next) const {
        std::uint64_t first_end = kNever;
        for (std::size_t i = 0; i < part.size(); ++i) {
            if (!done[i]) first_end = std::min(first_end, operations_[part[i]].ended);
        }
        for (std::size_t i = next; i < part.size(); ++i) {
            const Operation& operation = operations_[part[i]];
            if (done[i] || operation.began > first_end) continue;
            State after = state;
            const Output output = M::apply(after, operation.input);
            if (!operation.output || *operation.output == output) return i;
        }
        return part.size();
    }

    std::string explain(const std::vector<std::size_t>& part, std::size_t longest) const {
        return "no order of these " + std::to_string(part.size()) +
               " operations explains their answers; at most " + std::to_string(longest) +
               " of them can be put in a row";
    }

    std::vector<Operation> operations_;
    std::uint64_t events_ = 0;
};

}  // namespace troupe::sim
