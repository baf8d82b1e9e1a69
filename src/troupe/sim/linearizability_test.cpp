#include <troupe/actor/actor.hpp>
#include <troupe/base/random.hpp>
#include <troupe/sim/linearizability.hpp>
#include <troupe/sim/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace troupe::sim {
namespace {

using testing::HasSubstr;

struct Register {
    struct State {
        int value = 0;
        bool operator==(const State&) const = default;
    };
    struct Input {
        bool is_write = false;
        int value = 0;
    };
    using Output = int;
    static Output apply(State& state, const Input& input) {
        if (input.is_write) state.value = input.value;
        return state.value;
    }
};
constexpr Register::Input write(int value) {
    return {true, value};
}
constexpr Register::Input read() {
    return {false, 0};
}

TEST(Linearizability, TakesOperationsThatOverlapInAnyOrder) {
    ClientHistory<Register> history;
    const auto w = history.call(write(1));
    const auto r = history.call(read());
    history.returned(r, 0);
    const auto s = history.call(read());
    history.returned(s, 1);
    history.returned(w, 1);
    EXPECT_TRUE(history.check().linearizable) << history.check().why;
}

TEST(Linearizability, RefusesAReadThatGoesBack) {
    ClientHistory<Register> history;
    const auto w = history.call(write(1));
    const auto r = history.call(read());
    history.returned(r, 1);
    const auto s = history.call(read());
    history.returned(s, 0);
    history.returned(w, 1);
    EXPECT_FALSE(history.check().linearizable);
    EXPECT_THAT(history.check().why, HasSubstr("no order of these 3 operations"));
}

TEST(Linearizability, LetsWhatNeverReturnedHaveHadItsEffectOrNot) {
    for (const int seen : {0, 1}) {
        ClientHistory<Register> history;
        history.call(write(1));
        const auto r = history.call(read());
        history.returned(r, seen);
        EXPECT_TRUE(history.check().linearizable) << seen;
    }
    ClientHistory<Register> history;
    history.call(write(1));
    const auto r = history.call(read());
    history.returned(r, 2);
    EXPECT_FALSE(history.check().linearizable);
}

/// A map of registers, checked key by key.
struct Store {
    struct State {
        int value = 0;
        bool operator==(const State&) const = default;
    };
    struct Input {
        int key = 0;
        Register::Input what;
    };
    using Output = int;
    static int key(const Input& input) { return input.key; }
    static Output apply(State& state, const Input& input) {
        if (input.what.is_write) state.value = input.what.value;
        return state.value;
    }
};

/// Histories that are linearizable by their making: each operation takes effect at some moment
/// between its call and its return.
TEST(Linearizability, AcceptsWhatHappenedAtOneMomentEach) {
    Random random(11);
    for (int round = 0; round < 200; ++round) {
        ClientHistory<Store> history;
        struct Running {
            std::size_t call;
            Store::Input input;
            int answer = -1;
        };
        std::vector<Running> running;
        std::vector<int> values(3, 0);
        for (int step = 0; step < 120; ++step) {
            if (running.size() < 4 && random.chance(0.5)) {
                const Store::Input input{static_cast<int>(random.below(3)),
                                         random.chance(0.5) ? write(step) : read()};
                running.push_back({history.call(input), input});
                continue;
            }
            if (running.empty()) continue;
            const auto which = static_cast<std::size_t>(random.below(running.size()));
            Running& one = running[which];
            int& value = values[static_cast<std::size_t>(one.input.key)];
            if (one.answer < 0) {
                if (one.input.what.is_write) value = one.input.what.value;
                one.answer = value;
            } else {
                history.returned(one.call, one.answer);
                running.erase(running.begin() + static_cast<std::ptrdiff_t>(which));
            }
        }
        const Linearizability result = history.check();
        ASSERT_TRUE(result.linearizable) << result.why;
    }
}

// ---- in a simulation ----------------------------------------------------------------------------

/// Two copies of a register; a read may go to the one that has not heard yet.
class Replica : public Actor {
public:
    void set(int value) { value_ = value; }
    int get() const { return value_; }

private:
    int value_ = 0;
};
class Frontend : public Actor {
public:
    Frontend(Ref<Replica> first, Ref<Replica> second, bool waits)
        : first_(first), second_(second), waits_(waits) {}
    Task<int> put(int value) {
        ignore(co_await first_.ask<&Replica::set>(value), "a model");
        if (waits_) {
            ignore(co_await second_.ask<&Replica::set>(value), "a model");
        } else {
            second_.tell<&Replica::set>(value);
        }
        co_return value;
    }

private:
    Ref<Replica> first_;
    Ref<Replica> second_;
    bool waits_;
};
class Writer : public Actor {
public:
    Task<> run(Ref<Frontend> frontend, std::shared_ptr<ClientHistory<Register>> history) {
        const auto call = history->call(write(1));
        const auto done = co_await frontend.ask<&Frontend::put>(1);
        history->returned(call, *done);
    }
};
class ReaderOf : public Actor {
public:
    Task<> run(Ref<Replica> replica, std::shared_ptr<ClientHistory<Register>> history) {
        for (int i = 0; i < 2; ++i) {
            const auto call = history->call(read());
            const auto value = co_await replica.ask<&Replica::get>();
            history->returned(call, *value);
        }
    }
};

template <bool kWaits>
void replicated(Sim& sim) {
    auto history = std::make_shared<ClientHistory<Register>>();
    auto first = sim.spawn<Replica>();
    auto second = sim.spawn<Replica>();
    auto frontend = sim.spawn<Frontend>(first, second, kWaits);
    sim.spawn<Writer>().tell<&Writer::run>(frontend, history);
    sim.settle();
    sim.spawn<ReaderOf>().tell<&ReaderOf::run>(second, history);
    sim.settle();
    const Linearizability result = history->check();
    if (!result.linearizable) sim.fail(result.why);
}

/// The same, where reader and writer run side by side at the second copy only.
template <bool kWaits>
void read_while_written(Sim& sim) {
    auto history = std::make_shared<ClientHistory<Register>>();
    auto first = sim.spawn<Replica>();
    auto second = sim.spawn<Replica>();
    auto frontend = sim.spawn<Frontend>(first, second, kWaits);
    sim.spawn<Writer>().tell<&Writer::run>(frontend, history);
    sim.spawn<ReaderOf>().tell<&ReaderOf::run>(kWaits ? second : first, history);
    sim.spawn<ReaderOf>().tell<&ReaderOf::run>(second, history);
    sim.settle();
    const Linearizability result = history->check();
    if (!result.linearizable) sim.fail(result.why);
}

TEST(LinearizabilityInSim, FindsACopyThatIsBehind) {
    const Explored explored =
        explore({"Copies.Behind", &read_while_written<false>, {}}, {.runs = 2000});
    ASSERT_TRUE(explored.found);
    EXPECT_THAT(explored.found->text, HasSubstr("no order of these"));
    const Explored clean = explore({"Copies.InStep", &read_while_written<true>, {}}, {.runs = 500});
    EXPECT_FALSE(clean.found) << clean.found->text;
    EXPECT_FALSE(explore({"Copies.Later", &replicated<true>, {}}, {.runs = 100}).found);
}

}  // namespace
}  // namespace troupe::sim
