/// A model of how workers of the threaded engine go to sleep and are woken, of how the watchdog
/// parks and is woken, and of how spare workers come and go: the steps of `Worker::run`,
/// `Worker::spin_then_park`, `Watchdog::watch`, `look` and `park`, `ThreadedEngine::inject` and
/// `wake_one`, one atomic operation each, in every order there is.
///
/// All these operations are sequentially consistent in the engine, or repeated by the watchdog at
/// each look, so orders of whole steps are all there is to look at. What must hold is asked where
/// nothing moves any more but the watchdog's clock: no cell is left while somebody could run it,
/// the watchdog watches while a turn is stuck, and parks when all sleep. The model is as good as
/// its likeness to the engine: change both together. It finds each of the mistakes below.

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
    no_watch_on_waking_up,     // a worker runs turns and does not see to it that it is watched
    parks_without_second_look,
    watchdog_is_not_woken,
    spare_keeps_its_cells,  // when it leaves
    no_passing_on,  // a worker woken for a cell finds other work, and leaves the cell to nobody
    spares_do_not_serve,
    no_spare_is_started,
};

enum class Step : std::uint8_t {
    absent,  // a spare worker that was not started, or has been joined
    find_work,
    before_turn,
    watch_read,
    watch_set,
    turn,
    stuck,
    set_bit,
    look_for_cells,
    asleep,
    woken,
    clear_bit,
    pass_on_read,
    pass_on_take,
    leaving,
    leave_read,
    leave_take,
    left,
    // the watchdog
    look,
    hand_over_read,
    hand_over_take,
    spares,
    serve_read,
    serve_take,
    decide,
    timed,
    park,
    park_read_mask,
    parked,
    // the outsider
    inject,
    inject_read,
    inject_take,
    done,
};

constexpr std::size_t kThreadsMax = 5;  // two workers, a spare one, the watchdog, the outsider

struct Thread {
    Step step = Step::find_work;
    std::uint8_t mask = 0;    // as read
    std::uint8_t queued = 0;  // cells in its queue; of the watchdog: whom it looks at
    bool unwatched = true;
    bool was_woken = false;
    bool wake_up = false;  // its descriptor is readable
    bool leaving = false;  // it is told to
};

struct State {
    Thread threads[kThreadsMax];
    std::uint8_t asleep = 0;
    bool watching = true;
    bool serving = false;
    bool vain = false;  // nothing has moved since the watchdog's look began
    std::uint8_t injected = 0;
    std::uint8_t to_inject = 0;
    std::uint8_t stuck_left = 0;   // turns that may still turn out not to end
    std::uint8_t ends_left = 0;    // stuck turns that may still end after all
    std::uint8_t events_left = 0;  // sockets and timers that may still wake a regular worker
};
static_assert(std::has_unique_object_representations_v<State>);

struct Size {
    std::size_t workers;
    std::uint8_t cells;
    std::uint8_t stuck;
    std::uint8_t ends;
    std::uint8_t events;
};

class Model {
public:
    Model(const Size& size, Mistake mistake)
        : workers_(size.workers),
          spare_(workers_),
          watchdog_(workers_ + 1),
          outsider_(workers_ + 2),
          mistake_(mistake) {
        State first;
        first.to_inject = size.cells;
        first.stuck_left = size.stuck;
        first.ends_left = size.ends;
        first.events_left = size.events;
        first.threads[spare_].step = Step::absent;
        first.threads[watchdog_].step = Step::look;
        first.threads[outsider_].step = Step::inject;
        visit(first);
    }

    /// What went wrong first, or nothing.
    std::string walk() {
        while (!open_.empty() && wrong_.empty()) {
            const State state = open_.back();
            open_.pop_back();
            for (std::size_t i = 0; i <= outsider_; ++i) {
                State next = state;
                if (i != watchdog_) next.vain = false;
                advance(next, i);
            }
            if (at_rest(state)) check(state);
        }
        return wrong_;
    }
    std::size_t states() const { return seen_.size(); }

private:
    static std::uint8_t bit(std::size_t i) { return static_cast<std::uint8_t>(1U << i); }
    std::uint8_t regular() const { return static_cast<std::uint8_t>(bit(workers_) - 1U); }

    void visit(const State& state) {
        const std::string_view bytes(reinterpret_cast<const char*>(&state), sizeof state);
        if (seen_.emplace(bytes).second) open_.push_back(state);
    }
    void go(State state, std::size_t i, Step step) {
        state.threads[i].step = step;
        visit(state);
    }

    bool spare_runs(const State& s) const { return s.threads[spare_].step != Step::absent; }
    bool all_stuck(const State& s) const {
        for (std::size_t i = 0; i < workers_; ++i) {
            if (s.threads[i].step != Step::stuck) return false;
        }
        return true;
    }
    bool all_asleep(const State& s) const {
        const auto all = static_cast<std::uint8_t>(regular() | (spare_runs(s) ? bit(spare_) : 0U));
        return (s.asleep & all) == all;
    }

    /// Nothing moves but the watchdog, by its clock.
    bool at_rest(const State& s) const {
        for (std::size_t i = 0; i <= spare_; ++i) {
            const Thread& one = s.threads[i];
            const bool still = one.step == Step::stuck || one.step == Step::absent ||
                               (one.step == Step::asleep && !one.wake_up);
            if (!still) return false;
        }
        const Thread& dog = s.threads[watchdog_];
        return s.threads[outsider_].step == Step::done &&
               (dog.step == Step::timed || dog.step == Step::parked) && !dog.wake_up;
    }

    void check(const State& s) {
        bool any_stuck = false;
        std::uint8_t behind = 0;
        for (std::size_t i = 0; i <= spare_; ++i) {
            any_stuck = any_stuck || s.threads[i].step == Step::stuck;
            behind = static_cast<std::uint8_t>(behind + s.threads[i].queued);
        }
        const bool parked = s.threads[watchdog_].step == Step::parked;
        const bool regular_sleeps = (s.asleep & regular()) != 0;
        const bool spare_is_free = s.threads[spare_].step != Step::stuck;
        if (parked && any_stuck) wrong_ = "nobody looks after a stuck turn";
        if (parked && s.injected != 0) wrong_ = "a cell is forgotten, and nobody looks";
        if (regular_sleeps && s.injected != 0) wrong_ = "a cell is forgotten";
        if (s.vain && (s.injected != 0 || behind != 0) && (regular_sleeps || spare_is_free)) {
            wrong_ = "the watchdog looks in vain";
        }
        if (s.vain && !parked && !any_stuck && !spare_runs(s)) {
            wrong_ = "the watchdog does not park";
        }
    }

    bool may_take(const State& s, std::size_t i) const { return i != spare_ || s.serving; }

    void advance(State& s, std::size_t i) {
        Thread& t = s.threads[i];
        switch (t.step) {
            // ---- a worker -------------------------------------------------------------------
            case Step::absent:
                return;
            case Step::find_work:
                if (t.leaving) return go(s, i, Step::leaving);
                if (may_take(s, i)) {
                    t.queued = static_cast<std::uint8_t>(t.queued + s.injected);
                    s.injected = 0;
                }
                return go(s, i, t.queued != 0 ? Step::before_turn : Step::set_bit);
            case Step::before_turn:
                if (t.leaving) return go(s, i, Step::leaving);
                return go(s, i,
                          t.unwatched && mistake_ != Mistake::no_watch_on_waking_up
                              ? Step::watch_read
                              : Step::turn);
            case Step::watch_read:
                return go(s, i, s.watching ? Step::turn : Step::watch_set);
            case Step::watch_set:
                if (!std::exchange(s.watching, true) &&
                    mistake_ != Mistake::watchdog_is_not_woken) {
                    s.threads[watchdog_].wake_up = true;
                }
                return go(s, i, Step::turn);
            case Step::turn:
                if (t.queued == 0) return go(s, i, Step::find_work);  // taken meanwhile
                --t.queued;
                t.unwatched = false;
                if (s.stuck_left != 0) {
                    State other = s;
                    --other.stuck_left;
                    go(other, i, Step::stuck);
                }
                return go(s, i, t.queued != 0 ? Step::before_turn : Step::find_work);
            case Step::stuck:
                if (s.ends_left == 0) return;
                --s.ends_left;
                return go(s, i, t.queued != 0 ? Step::before_turn : Step::find_work);
            case Step::set_bit:
                s.asleep |= bit(i);
                return go(s, i, Step::look_for_cells);
            case Step::look_for_cells:
                if ((s.injected != 0 && may_take(s, i) &&
                     mistake_ != Mistake::no_second_look_for_cells) ||
                    t.leaving) {
                    return go(s, i, Step::clear_bit);
                }
                return go(s, i, Step::asleep);
            case Step::asleep:
                if (s.events_left != 0 && i != spare_) {
                    State other = s;
                    --other.events_left;
                    ++other.threads[i].queued;
                    go(other, i, Step::clear_bit);
                }
                if (!t.wake_up) return;
                t.wake_up = false;
                return go(s, i, Step::woken);
            case Step::woken:
                return go(s, i, (s.asleep & bit(i)) == 0 ? Step::clear_bit : Step::look_for_cells);
            case Step::clear_bit:
                t.was_woken = (s.asleep & bit(i)) == 0;
                s.asleep &= static_cast<std::uint8_t>(~bit(i));
                t.unwatched = true;
                if (std::exchange(t.was_woken, false) && t.queued != 0 && s.injected != 0 &&
                    mistake_ != Mistake::no_passing_on) {
                    return go(s, i, Step::pass_on_read);
                }
                return go(s, i, t.queued != 0 ? Step::before_turn : Step::find_work);
            case Step::pass_on_read:
                return read_mask(s, i, Step::pass_on_take, Step::before_turn);
            case Step::pass_on_take:
                return take_bit(s, i, Step::pass_on_take, Step::before_turn);
            case Step::leaving:
                // What it has goes the outsiders' way.
                if (t.queued == 0 || mistake_ == Mistake::spare_keeps_its_cells) {
                    return go(s, i, Step::left);
                }
                s.injected = static_cast<std::uint8_t>(s.injected + std::exchange(t.queued, 0));
                return go(s, i, Step::leave_read);
            case Step::leave_read:
                return read_mask(s, i, Step::leave_take, Step::left);
            case Step::leave_take:
                return take_bit(s, i, Step::leave_take, Step::left);
            case Step::left:
                return;

            // ---- the watchdog ---------------------------------------------------------------
            case Step::look: {
                if (t.queued == 0) s.vain = true;
                const std::size_t whom = t.queued;
                if (whom > spare_) {
                    t.queued = 0;
                    return go(s, i, Step::spares);
                }
                ++t.queued;
                Thread& worker = s.threads[whom];
                if (worker.step != Step::stuck || worker.queued == 0) {
                    return go(s, i, Step::look);
                }
                s.injected = static_cast<std::uint8_t>(s.injected + worker.queued);
                worker.queued = 0;
                s.vain = false;
                return go(s, i, Step::hand_over_read);
            }
            case Step::hand_over_read:
                return read_mask(s, i, Step::hand_over_take, Step::look);
            case Step::hand_over_take:
                return take_bit(s, i, Step::hand_over_take, Step::look);
            case Step::spares: {
                Thread& spare = s.threads[spare_];
                if (spare.step == Step::left) {
                    if (spare.queued != 0) wrong_ = "a spare worker takes cells along";
                    spare = Thread{Step::absent};
                }
                const bool needed = all_stuck(s);
                s.serving = needed && spare_runs(s) && !spare.leaving &&
                            mistake_ != Mistake::spares_do_not_serve;
                if (needed && s.injected != 0) {
                    if (spare.step == Step::absent && mistake_ != Mistake::no_spare_is_started) {
                        spare = Thread{Step::find_work};
                        s.serving = mistake_ != Mistake::spares_do_not_serve;
                        s.vain = false;
                        return go(s, i, Step::decide);
                    }
                    return go(s, i, Step::serve_read);
                }
                if (!needed && spare_runs(s) && !spare.leaving && spare.step != Step::left) {
                    // It may have lingered long enough, or not yet.
                    State other = s;
                    other.threads[spare_].leaving = true;
                    other.threads[spare_].wake_up = true;
                    go(other, i, Step::decide);
                }
                return go(s, i, Step::decide);
            }
            case Step::serve_read:
                return read_mask(s, i, Step::serve_take, Step::decide);
            case Step::serve_take:
                return take_bit(s, i, Step::serve_take, Step::decide);
            case Step::decide:
                return go(s, i, all_asleep(s) ? Step::park : Step::timed);
            case Step::timed:
                t.wake_up = false;
                return go(s, i, Step::look);
            case Step::park:
                s.watching = false;
                return go(s, i, Step::park_read_mask);
            case Step::park_read_mask:
                if (all_asleep(s) || mistake_ == Mistake::parks_without_second_look) {
                    return go(s, i, Step::parked);
                }
                s.watching = true;
                return go(s, i, Step::timed);
            case Step::parked:
                if (!t.wake_up) return;
                t.wake_up = false;
                s.watching = true;
                return go(s, i, Step::look);

            // ---- the outsider ---------------------------------------------------------------
            case Step::inject:
                if (s.to_inject == 0) return go(s, i, Step::done);
                --s.to_inject;
                ++s.injected;
                return go(s, i, Step::inject_read);
            case Step::inject_read:
                return read_mask(s, i, Step::inject_take, Step::inject);
            case Step::inject_take:
                return take_bit(s, i, Step::inject_take, Step::inject);
            case Step::done:
                return;
        }
    }

    /// ThreadedEngine::wake_one, from its look at the mask on.
    void read_mask(State& s, std::size_t i, Step take, Step after) {
        const auto awakable = static_cast<std::uint8_t>(regular() | (s.serving ? bit(spare_) : 0U));
        s.threads[i].mask = s.asleep & awakable;
        go(s, i, s.threads[i].mask != 0 ? take : after);
    }
    void take_bit(State& s, std::size_t i, Step take, Step after) {
        std::uint8_t& mask = s.threads[i].mask;
        const auto lowest = static_cast<std::size_t>(std::countr_zero(mask));
        if ((s.asleep & bit(lowest)) != 0) {
            s.asleep &= static_cast<std::uint8_t>(~bit(lowest));
            s.threads[lowest].wake_up = true;
            s.vain = false;
            mask = 0;
        } else {
            mask &= static_cast<std::uint8_t>(~bit(lowest));
        }
        go(s, i, mask != 0 ? take : after);
    }

    const std::size_t workers_;
    const std::size_t spare_;
    const std::size_t watchdog_;
    const std::size_t outsider_;
    const Mistake mistake_;
    std::unordered_set<std::string> seen_;
    std::vector<State> open_;
    std::string wrong_;
};

constexpr Size kSizes[] = {{1, 2, 1, 1, 0}, {1, 2, 2, 0, 0}, {2, 1, 1, 0, 1}};

TEST(WatchModel, ForgetsNoCellAndNoStuckTurn) {
    for (const Size& size : kSizes) {
        Model model(size, Mistake::none);
        EXPECT_EQ(model.walk(), "") << "workers: " << size.workers;
        EXPECT_GT(model.states(), 1000U);
        RecordProperty("states", static_cast<int>(model.states()));
    }
}

TEST(WatchModel, WouldFindAMistake) {
    for (const Mistake mistake :
         {Mistake::no_second_look_for_cells, Mistake::no_watch_on_waking_up,
          Mistake::parks_without_second_look, Mistake::watchdog_is_not_woken,
          Mistake::spare_keeps_its_cells, Mistake::no_passing_on, Mistake::spares_do_not_serve,
          Mistake::no_spare_is_started}) {
        std::string found;
        for (const Size& size : kSizes) {
            if (found.empty()) found = Model(size, mistake).walk();
        }
        EXPECT_NE(found, "") << "mistake " << static_cast<int>(mistake);
    }
}

}  // namespace
}  // namespace troupe::scheduler_internal
