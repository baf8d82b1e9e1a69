/// A model of how workers of the threaded engine go to sleep, are woken and watch each other: the
/// steps of `Worker::spin_then_park`, `Worker::holds_post`, `ThreadedEngine::appoint_sentinel`,
/// `inject` and `wake_one`, one atomic operation each, in every order there is.
///
/// All these operations are sequentially consistent in the engine, so orders of whole steps are all
/// there is to look at. What must hold is asked where nothing moves any more but a sleeper's
/// timeout: no cell of an outsider is left while somebody could run it, and where one worker is
/// stuck and another sleeps, a sleeper looks after it and knows that it does. The model is as good
/// as its likeness to the engine: change both together. It finds each of the mistakes below.

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

enum class Mistake : std::uint8_t {
    none,
    no_second_look_for_cells,  // a worker sleeps without looking again for outsiders' cells
    no_post_on_going_to_sleep,
    no_post_on_waking_up,
    no_look_after_appointing,
    no_passing_on,  // the sentinel keeps the post when it finds work
    post_given_up_for_good,
};

enum class Step : std::uint8_t {
    find_work,
    before_turn,
    appoint_read_post,
    appoint_read_mask,
    appoint_take,
    appoint_look,
    appoint_undo,
    turn,
    stuck,  // for ever
    set_bit,
    look_for_cells,
    read_post,
    give_up_post,
    read_busy,
    take_post,
    asleep,
    woken,
    clear_bit,
    leave_post,
    pass_on_read,
    pass_on_take,
    // the outsider
    inject,
    inject_read_mask,
    inject_take,
    done,
};

constexpr std::size_t kThreadsMax = 4;  // three workers and the outsider

struct Thread {
    Step step = Step::find_work;
    std::uint8_t mask = 0;    // as read
    std::uint8_t chosen = 0;  // whom it appoints
    std::uint8_t queued = 0;  // cells in its queue
    bool unwatched = true;
    bool timed = false;  // sleeps as the sentinel
    bool was_woken = false;
    bool wake_up = false;  // its descriptor is readable
    bool behind = false;   // a cell waits behind its stuck turn
};

struct State {
    Thread threads[kThreadsMax];
    std::uint8_t asleep = 0;
    std::uint8_t post = 0;
    std::uint8_t injected = 0;
    std::uint8_t to_inject = 0;
    std::uint8_t stuck_left = 0;   // turns that may still turn out never to end
    std::uint8_t events_left = 0;  // sockets and timers that may still wake a worker
};
static_assert(std::has_unique_object_representations_v<State>);

class Model {
public:
    Model(std::size_t workers, std::uint8_t cells, std::uint8_t stuck, std::uint8_t events,
          Mistake mistake)
        : workers_(workers), mistake_(mistake) {
        State first;
        first.to_inject = cells;
        first.stuck_left = stuck;
        first.events_left = events;
        first.threads[workers_].step = Step::inject;
        // Three that begin awake are too many orders for a test of a second.
        for (std::size_t i = 2; i < workers_; ++i) {
            first.threads[i].step = Step::asleep;
            first.asleep |= bit(i);
        }
        visit(first);
    }

    /// What went wrong first, or nothing.
    std::string walk() {
        while (!open_.empty() && wrong_.empty()) {
            const State state = open_.back();
            open_.pop_back();
            for (std::size_t i = 0; i <= workers_; ++i)
                advance(state, i);
            if (at_rest(state)) check(state);
        }
        return wrong_;
    }
    std::size_t states() const { return seen_.size(); }

private:
    std::uint8_t bit(std::size_t i) const { return static_cast<std::uint8_t>(1U << i); }
    std::uint8_t me(std::size_t i) const { return static_cast<std::uint8_t>(i + 1); }
    bool busy_but(const State& state, std::size_t i) const {
        const auto others = static_cast<std::uint8_t>((bit(workers_) - 1U) & ~bit(i));
        return (state.asleep & others) != others;
    }

    void visit(const State& state) {
        const std::string_view bytes(reinterpret_cast<const char*>(&state), sizeof state);
        if (seen_.emplace(bytes).second) open_.push_back(state);
    }
    void go(State state, std::size_t i, Step step) {
        state.threads[i].step = step;
        visit(state);
    }

    bool at_rest(const State& state) const {
        for (std::size_t i = 0; i < workers_; ++i) {
            const Thread& one = state.threads[i];
            if (one.step != Step::stuck && (one.step != Step::asleep || one.wake_up)) return false;
        }
        return state.threads[workers_].step == Step::done;
    }

    void check(const State& state) {
        bool any_stuck = false;
        bool any_sleeps = false;
        bool any_timed = false;
        for (std::size_t i = 0; i < workers_; ++i) {
            any_stuck = any_stuck || state.threads[i].step == Step::stuck;
            any_sleeps = any_sleeps || state.threads[i].step == Step::asleep;
            any_timed = any_timed || state.threads[i].timed;
        }
        const bool held = state.post != 0 && state.threads[state.post - 1U].step == Step::asleep &&
                          state.threads[state.post - 1U].timed;
        if (any_sleeps && any_stuck && !held) wrong_ = "nobody looks after a stuck turn";
        if (any_sleeps && state.injected != 0 && !any_timed) wrong_ = "a cell is forgotten";
        if (state.post != 0 && !held) wrong_ = "the post is held by one who does not know";
    }

    void advance(State s, std::size_t i) {
        Thread& t = s.threads[i];
        switch (t.step) {
            case Step::find_work:
                t.queued = static_cast<std::uint8_t>(t.queued + s.injected);
                s.injected = 0;
                return go(s, i, t.queued != 0 ? Step::before_turn : Step::set_bit);
            case Step::before_turn:
                if (!t.unwatched || mistake_ == Mistake::no_post_on_waking_up) {
                    return go(s, i, Step::turn);
                }
                return go(s, i, Step::appoint_read_post);
            case Step::appoint_read_post:
                return go(s, i, s.post != 0 ? Step::turn : Step::appoint_read_mask);
            case Step::appoint_read_mask:
                t.mask = s.asleep;
                return go(s, i, t.mask == 0 ? Step::turn : Step::appoint_take);
            case Step::appoint_take:
                t.chosen = static_cast<std::uint8_t>(std::bit_width(t.mask) - 1);
                t.mask = 0;
                if (s.post != 0) return go(s, i, Step::turn);
                s.post = me(t.chosen);
                return go(s, i, Step::appoint_look);
            case Step::appoint_look:
                if ((s.asleep & bit(t.chosen)) == 0 &&
                    mistake_ != Mistake::no_look_after_appointing) {
                    return go(s, i, Step::appoint_undo);
                }
                s.threads[t.chosen].wake_up = true;
                return go(s, i, Step::turn);
            case Step::appoint_undo:
                if (s.post == me(t.chosen)) s.post = 0;
                return go(s, i, Step::appoint_read_post);
            case Step::turn:
                --t.queued;
                t.chosen = 0;
                t.unwatched = false;
                if (s.stuck_left != 0) {
                    State other = s;
                    --other.stuck_left;
                    other.threads[i].behind = true;
                    go(other, i, Step::stuck);
                }
                return go(s, i, t.queued != 0 ? Step::before_turn : Step::find_work);
            case Step::stuck:
            case Step::done:
                return;
            case Step::set_bit:
                s.asleep |= bit(i);
                return go(s, i, Step::look_for_cells);
            case Step::look_for_cells:
                if (s.injected != 0 && mistake_ != Mistake::no_second_look_for_cells) {
                    return go(s, i, Step::clear_bit);
                }
                return go(s, i, Step::read_post);
            case Step::read_post:
                t.timed = s.post == me(i);
                if (t.timed && !busy_but(s, i)) return go(s, i, Step::give_up_post);
                return go(s, i, s.post != 0 ? Step::asleep : Step::read_busy);
            case Step::give_up_post:
                t.timed = false;
                if (s.post == me(i)) s.post = 0;
                return go(
                    s, i,
                    mistake_ == Mistake::post_given_up_for_good ? Step::asleep : Step::read_busy);
            case Step::read_busy:
                return go(s, i,
                          busy_but(s, i) && mistake_ != Mistake::no_post_on_going_to_sleep
                              ? Step::take_post
                              : Step::asleep);
            case Step::take_post:
                if (s.post == 0) {
                    s.post = me(i);
                    t.timed = true;
                }
                return go(s, i, Step::asleep);
            case Step::asleep:
                if (s.events_left != 0) {
                    State other = s;
                    --other.events_left;
                    ++other.threads[i].queued;
                    other.threads[i].timed = false;
                    go(other, i, Step::clear_bit);
                }
                if (t.timed || t.wake_up) {
                    t.wake_up = false;
                    go(s, i, Step::woken);
                }
                return;
            case Step::woken:
                if ((s.asleep & bit(i)) == 0) {
                    t.timed = false;
                    return go(s, i, Step::clear_bit);
                }
                if (t.timed) {
                    for (std::size_t other = 0; other < workers_; ++other) {
                        if (!s.threads[other].behind) continue;
                        s.threads[other].behind = false;
                        ++t.queued;
                    }
                }
                t.timed = false;
                return go(s, i, t.queued != 0 ? Step::clear_bit : Step::look_for_cells);
            case Step::clear_bit:
                t.was_woken = (s.asleep & bit(i)) == 0;
                s.asleep &= static_cast<std::uint8_t>(~bit(i));
                return go(s, i, Step::leave_post);
            case Step::leave_post:
                if (s.post == me(i) && mistake_ != Mistake::no_passing_on) s.post = 0;
                t.unwatched = true;
                return go(s, i,
                          std::exchange(t.was_woken, false) && t.queued != 0 && s.injected != 0
                              ? Step::pass_on_read
                          : t.queued != 0 ? Step::before_turn
                                          : Step::find_work);
            case Step::inject:
                if (s.to_inject == 0) return go(s, i, Step::done);
                --s.to_inject;
                ++s.injected;
                return go(s, i, Step::inject_read_mask);
            case Step::pass_on_read:
            case Step::inject_read_mask:
                t.mask = s.asleep;
                return after_wake(s, i);
            case Step::pass_on_take:
            case Step::inject_take: {
                const auto lowest = static_cast<std::size_t>(std::countr_zero(t.mask));
                if ((s.asleep & bit(lowest)) != 0) {
                    s.asleep &= static_cast<std::uint8_t>(~bit(lowest));
                    s.threads[lowest].wake_up = true;
                    t.mask = 0;
                } else {
                    t.mask &= static_cast<std::uint8_t>(~bit(lowest));
                }
                return after_wake(s, i);
            }
        }
    }

    void after_wake(const State& s, std::size_t i) {
        const bool outsider = i == workers_;
        if (s.threads[i].mask != 0) {
            return go(s, i, outsider ? Step::inject_take : Step::pass_on_take);
        }
        go(s, i, outsider ? Step::inject : Step::before_turn);
    }

    const std::size_t workers_;
    const Mistake mistake_;
    std::unordered_set<std::string> seen_;
    std::vector<State> open_;
    std::string wrong_;
};

struct Size {
    std::size_t workers;
    std::uint8_t cells;
    std::uint8_t stuck;
    std::uint8_t events;
};
constexpr Size kSizes[] = {{2, 2, 1, 1}, {3, 1, 1, 0}};

TEST(SentinelModel, NeverForgetsACellNorAStuckTurn) {
    for (const Size& size : kSizes) {
        Model model(size.workers, size.cells, size.stuck, size.events, Mistake::none);
        EXPECT_EQ(model.walk(), "");
        EXPECT_GT(model.states(), 1000U);
        RecordProperty("states", static_cast<int>(model.states()));
    }
}

TEST(SentinelModel, WouldFindAMistake) {
    for (const Mistake mistake :
         {Mistake::no_second_look_for_cells, Mistake::no_post_on_going_to_sleep,
          Mistake::no_post_on_waking_up, Mistake::no_look_after_appointing, Mistake::no_passing_on,
          Mistake::post_given_up_for_good}) {
        std::string found;
        for (const Size& size : kSizes) {
            if (found.empty()) {
                found = Model(size.workers, size.cells, size.stuck, size.events, mistake).walk();
            }
        }
        EXPECT_NE(found, "") << "mistake " << static_cast<int>(mistake);
    }
}

}  // namespace
}  // namespace troupe::scheduler_internal
