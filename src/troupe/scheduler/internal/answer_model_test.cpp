/// A model of an answer that goes straight to the coroutine that waits for it: the steps of
/// `post_answer`, `push_signal`, `Cell::take_mail`, `Cell::try_block` and `CellHold`, one atomic
/// operation each, in every order there is.
///
/// A cell has three waits, the last one by its next owner. Each is answered by a thread of its own,
/// which may be held up between any two steps; time-outs end waits before their answers come, and
/// an onlooker holds the cell. All words are changed by compare-and-swap, and what is not a word
/// belongs to whoever has the cell, so orders of whole steps are all there is to look at. The model
/// is as good as its likeness: change both together. It finds each of the mistakes below.

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

enum class Mistake : std::uint8_t {
    none,
    stores_before_it_has_the_cell,
    does_not_compare_numbers,  // of the await, once it has the cell
    schedules_only_who_has_waited,
    leaves_blocked_set,
    turn_looks_for_signals_only,  // and so not at an answer that has come without one
};

enum class Step : std::uint8_t {
    rest,
    // a worker
    look_for_mail,
    go_on,
    block,
    // one who answers
    read_word,
    claim,
    store,
    schedule,
    drop,
    push,
    // an onlooker
    hold,
    let_go,
    done,
};

constexpr std::uint8_t kAsks = 3;
constexpr std::size_t kWorkers = 2;
constexpr std::size_t kAnswering = kWorkers;  // the first of them
constexpr std::size_t kClock = kAnswering + kAsks;
constexpr std::size_t kOnlooker = kClock + 1;
constexpr std::size_t kThreads = kOnlooker + 1;

enum class Answer : std::uint8_t { none, on_its_way, in_mailbox, arrived, taken, dropped };

struct State {
    std::array<Step, kThreads> steps{};
    std::array<Answer, kAsks + 1> answers{};  // by the number of the await
    std::uint8_t number = 0;                  // of the await
    std::uint8_t owner = 0;                   // the generation
    std::uint8_t arrived = 0;                 // the answer that its record has; 0: none
    std::uint8_t queued = 0;                  // times in a run queue
    std::uint8_t time_outs = 0;               // in the mailbox
    std::uint8_t time_outs_left = 2;
    std::uint8_t looks_left = 1;
    bool waits = false;
    bool can_go_on = false;
    bool blocked = false;
    bool ended = false;
};
static_assert(std::has_unique_object_representations_v<State>);

class Model {
public:
    explicit Model(Mistake mistake) : mistake_(mistake) {
        State first;
        first.queued = 1;
        for (std::uint8_t i = 0; i < kAsks; ++i)
            first.steps[kAnswering + i] = Step::done;  // nobody has asked yet
        visit(first);
    }

    std::string walk() {
        while (!open_.empty() && wrong_.empty()) {
            const State state = open_.back();
            open_.pop_back();
            moved_ = false;
            for (std::size_t i = 0; i < kThreads; ++i)
                advance(state, i);
            check(state);
        }
        return wrong_;
    }
    std::size_t states() const { return seen_.size(); }

private:
    void visit(const State& state) {
        const std::string_view bytes(reinterpret_cast<const char*>(&state), sizeof state);
        if (seen_.emplace(bytes).second) open_.push_back(state);
    }
    void go(State s, std::size_t i, Step step) {
        moved_ = true;
        s.steps[i] = step;
        visit(s);
    }
    static std::uint8_t owner_of(std::uint8_t number) { return number == kAsks ? 1 : 0; }

    static bool in_mailbox(const State& s) {
        for (const Answer answer : s.answers) {
            if (answer == Answer::in_mailbox) return true;
        }
        return s.time_outs != 0;
    }
    /// push_signal, of what has been put into the mailbox just before.
    static void wake(State& s) {
        if (!s.blocked) return;
        s.blocked = false;
        ++s.queued;
    }

    void check(const State& s) {
        // Whoever has the cell to itself.
        int owners = s.queued + (s.blocked ? 1 : 0) + (s.ended ? 1 : 0);
        for (std::size_t i = 0; i < kThreads; ++i) {
            const Step step = s.steps[i];
            const bool has = step == Step::look_for_mail || step == Step::go_on ||
                             step == Step::block || step == Step::store || step == Step::schedule ||
                             step == Step::let_go;
            if (has) ++owners;
        }
        if (owners > 1) wrong_ = "two have the cell";
        if (owners == 0) wrong_ = "nobody has the cell, and nobody wakes it";
        if (s.waits && s.arrived != 0 && s.arrived != s.number) wrong_ = "another's answer";
        if (moved_ || !wrong_.empty()) return;
        if (!s.ended) wrong_ = "an answer is waited for in vain";
        for (std::uint8_t number = 1; number <= kAsks; ++number) {
            const Answer answer = s.answers[number];
            if (answer != Answer::taken && answer != Answer::dropped) wrong_ = "lost an answer";
        }
    }

    void advance(const State& s, std::size_t i) {
        if (i < kWorkers) {
            work(s, i);
        } else if (i < kClock) {
            answer(s, i, static_cast<std::uint8_t>(i - kAnswering + 1));
        } else if (i == kClock) {
            time_out(s);
        } else {
            look(s, i);
        }
    }

    void work(State s, std::size_t i) {
        switch (s.steps[i]) {
            case Step::rest:
                if (s.queued == 0) return;
                --s.queued;
                s.can_go_on = !s.waits ||
                              (s.arrived != 0 && mistake_ != Mistake::turn_looks_for_signals_only);
                return go(s, i, Step::look_for_mail);
            case Step::look_for_mail:
                take_mail(s);
                return go(s, i, s.can_go_on ? Step::go_on : Step::block);
            case Step::go_on:
                return go_on(s, i);
            case Step::block:
                if (in_mailbox(s)) return go(s, i, Step::look_for_mail);
                s.blocked = true;
                return go(s, i, Step::rest);
            default:
                return;
        }
    }

    static void take_mail(State& s) {
        if (s.time_outs != 0 && s.waits && s.arrived == 0 && s.owner == 0) {
            s.can_go_on = true;
        }
        s.time_outs = 0;
        for (std::uint8_t number = 1; number <= kAsks; ++number) {
            if (s.answers[number] != Answer::in_mailbox) continue;
            const bool waited_for = s.waits && s.arrived == 0 && number == s.number;
            s.answers[number] = waited_for ? Answer::arrived : Answer::dropped;
            if (waited_for) {
                s.arrived = number;
                s.can_go_on = true;
            }
        }
    }

    /// The coroutine: it asks, again and again, and then ends; the next owner asks once.
    void go_on(State s, std::size_t i) {
        if (s.waits) {
            if (s.arrived != 0) s.answers[s.arrived] = Answer::taken;
            s.arrived = 0;
            s.waits = s.can_go_on = false;
        }
        const bool ends = s.number == kAsks - 1 || s.number == kAsks;
        if (ends && s.owner == owner_of(s.number)) {
            // close_mailbox, and the next owner opens it.
            for (Answer& one : s.answers) {
                if (one == Answer::in_mailbox) one = Answer::dropped;
            }
            s.time_outs = 0;
            if (s.owner == 1) {
                s.ended = true;
                return go(s, i, Step::rest);
            }
            s.owner = 1;
            return go(s, i, Step::go_on);
        }
        ++s.number;
        s.waits = true;
        s.answers[s.number] = Answer::on_its_way;
        s.steps[kAnswering + s.number - 1U] = Step::read_word;
        go(s, i, Step::block);
    }

    void answer(State s, std::size_t i, std::uint8_t number) {
        const bool same_owner = s.owner == owner_of(number) && !s.ended;
        switch (s.steps[i]) {
            case Step::read_word:
                return go(s, i, s.blocked && same_owner ? Step::claim : Step::push);
            case Step::claim:
                if (mistake_ == Mistake::stores_before_it_has_the_cell && s.waits &&
                    s.arrived == 0) {
                    s.arrived = number;
                    s.answers[number] = Answer::arrived;
                }
                if (!s.blocked) return go(s, i, Step::push);
                if (mistake_ != Mistake::leaves_blocked_set) s.blocked = false;
                return go(s, i, Step::store);
            case Step::store: {
                const bool its_number =
                    number == s.number || mistake_ == Mistake::does_not_compare_numbers;
                const bool waited_for = same_owner && s.waits && s.arrived == 0 && its_number;
                if (waited_for) {
                    s.arrived = number;
                    s.answers[number] = Answer::arrived;
                }
                if (!waited_for && mistake_ == Mistake::schedules_only_who_has_waited) {
                    return go(s, i, Step::drop);
                }
                return go(s, i, Step::schedule);
            }
            case Step::schedule:
                ++s.queued;
                return go(s, i, s.answers[number] == Answer::on_its_way ? Step::drop : Step::done);
            case Step::push:
                if (!same_owner) return go(s, i, Step::drop);
                s.answers[number] = Answer::in_mailbox;
                wake(s);
                return go(s, i, Step::done);
            case Step::drop:
                s.answers[number] = Answer::dropped;
                return go(s, i, Step::done);
            default:
                return;
        }
    }

    void time_out(State s) {
        if (s.time_outs_left == 0 || s.owner != 0 || !s.waits || s.ended) return;
        --s.time_outs_left;
        ++s.time_outs;
        wake(s);
        go(s, kClock, Step::rest);
    }

    void look(State s, std::size_t i) {
        if (s.steps[i] == Step::let_go) {
            ++s.queued;
            return go(s, i, Step::rest);
        }
        if (s.looks_left == 0 || !s.blocked) return;
        --s.looks_left;
        s.blocked = false;
        go(s, i, Step::let_go);
    }

    const Mistake mistake_;
    std::unordered_set<std::string> seen_;
    std::vector<State> open_;
    std::string wrong_;
    bool moved_ = false;
};

TEST(AnswerModel, GivesEachAnswerToItsWaitOrDropsItAndForgetsNobody) {
    Model model(Mistake::none);
    EXPECT_EQ(model.walk(), "");
    EXPECT_GT(model.states(), 1000U);
    RecordProperty("states", static_cast<int>(model.states()));
}

TEST(AnswerModel, WouldFindAMistake) {
    for (const Mistake mistake :
         {Mistake::stores_before_it_has_the_cell, Mistake::does_not_compare_numbers,
          Mistake::schedules_only_who_has_waited, Mistake::leaves_blocked_set,
          Mistake::turn_looks_for_signals_only}) {
        EXPECT_NE(Model(mistake).walk(), "") << "mistake " << static_cast<int>(mistake);
    }
}

}  // namespace
}  // namespace troupe::scheduler_internal
