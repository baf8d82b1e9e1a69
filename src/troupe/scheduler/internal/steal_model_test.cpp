/// What happens when an actor is killed, or the engine stops, while its cell is being stolen.
///
/// Two workers with real run queues, real cells and two outsiders are moved step by step, in every
/// order there is: a worker pops a cell, takes its mail, handles it, lets go of it; a thief takes
/// cells and only later puts them into its own queue; a sender links a message and only later
/// schedules the cell that it woke. Each step is one atomic operation of the engine, or several
/// under one lock, so orders of whole steps are all there is to look at.
///
/// What must hold: nobody runs a cell that somebody else runs; at the end a cell that was killed
/// has ended, once, and stands in no queue; each message was handled or dropped, once; and when the
/// engine has stopped in the middle, no cell is lost or queued twice.

#include <troupe/base/error.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/context.hpp>
#include <troupe/scheduler/internal/run_queue.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::scheduler_internal {
namespace {

enum class Mistake : std::uint8_t {
    none,
    yields_after_letting_go,       // a worker queues a cell that is idle already
    handles_mail_before_a_signal,  // so a kill waits for the backlog, and ends nothing at the end
    thief_leaves_what_it_took,     // the cells stand in both queues
    ends_without_its_mail,         // what came meanwhile is neither handled nor dropped
};

enum class Event : std::uint8_t { kill, message, engine_stops };

/// What is known of one cell beside the cell itself.
struct Subject {
    Cell* cell = nullptr;
    bool killed = false;
    int running = 0;  // workers in its turn
    int accepted = 0;
    int handled = 0;
    int dropped = 0;
    int ends = 0;
};

struct Mail : MailNode {
    Subject* subject = nullptr;
};

const MailOps kMessage{MailKind::message,
                       [](MailNode* node, const Error&) noexcept {
                           ++static_cast<Mail*>(node)->subject->dropped;
                           delete static_cast<Mail*>(node);
                       },
                       nullptr};
const MailOps kKill{MailKind::signal,
                    [](MailNode* node, const Error&) noexcept { delete static_cast<Mail*>(node); },
                    [](MailNode* node, Cell&) {
                        static_cast<Mail*>(node)->subject->killed = true;
                        delete static_cast<Mail*>(node);
                        return false;
                    }};
constexpr CellType kType{nullptr, "a cell that is stolen", nullptr};

/// A worker or an outsider: an outsider has events to bring about and no turns.
struct Mover : WorkerContext {
    enum class Step : std::uint8_t { free, take_mail, act, let_go };

    bool is_worker = false;
    std::vector<Event> events;
    int thefts_left = 0;
    RunQueue queue;
    Cell* woken = nullptr;  // by its last push: to be scheduled
    CellChain hand;         // stolen, and in no queue
    Subject* runs = nullptr;
    Step step = Step::free;
    bool ended = false;
};

class Model {
public:
    Model(Chooser& chooser, Mistake mistake, const std::vector<Event>& first_outsider,
          const std::vector<Event>& second_outsider)
        : chooser_(chooser), mistake_(mistake), engine_(make_deterministic_engine(chooser)) {
        for (std::size_t i = 0; i < movers_.size(); ++i) {
            Mover& mover = movers_[i];
            mover.engine = engine_.get();
            mover.is_worker = i < 2;
            mover.thefts_left = 1;
            // In two steps: between them the cell is neither idle nor queued.
            mover.schedule = [](WorkerContext& self, Cell& cell) noexcept {
                static_cast<Mover&>(self).woken = &cell;
            };
        }
        movers_[2].events = first_outsider;
        movers_[3].events = second_outsider;
        for (Subject& subject : subjects_) {
            subject.cell = &engine_->acquire_cell();
            subject.cell->type_.store(&kType, std::memory_order_relaxed);
            subject.cell->state_.store(CellState::running, std::memory_order_relaxed);
            subject.cell->extension_ = &subject;
            subject.cell->open_mailbox(Cell::kIdle);
            // Both stand in the first worker's queue when it begins.
            send(movers_[0], subject);
            schedule_woken(movers_[0]);
        }
    }
    ~Model() {
        set_current_context(nullptr);
        for (Subject& subject : subjects_) {
            drop_all(subject.cell->close_mailbox(nullptr));
            engine_->release_cell(*subject.cell);
        }
    }
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    /// What went wrong first, or nothing.
    std::string run() {
        constexpr int kStepsMax = 200;  // a run that goes right takes about twenty
        std::vector<Mover*> able;
        for (int step = 0; wrong_.empty(); ++step) {
            if (step == kStepsMax) wrong_ = "it never ends";
            able.clear();
            for (Mover& mover : movers_) {
                if (can_move(mover)) able.push_back(&mover);
            }
            if (able.empty()) break;
            const std::size_t which =
                able.size() == 1
                    ? 0
                    : chooser_.choose(able.size(), ChoiceKind::next_runnable, "steal model");
            Mover& next = *able[which];
            set_current_context(&next);
            move(next);
        }
        if (wrong_.empty()) check_the_end();
        return wrong_;
    }

private:
    static Subject& of(Cell& cell) { return *static_cast<Subject*>(cell.extension_); }
    static void drop_all(MailNode* node) {
        while (node != nullptr) {
            MailNode* const next = node->next;
            node->ops->drop(node, Error(Errc::actor_gone));
            node = next;
        }
    }

    Mover& other_worker(const Mover& worker) { return movers_[&worker == movers_.data() ? 1 : 0]; }

    bool can_move(Mover& mover) {
        if (mover.woken != nullptr) return true;
        if (!mover.is_worker) return !mover.events.empty();
        if (mover.runs != nullptr || mover.hand.first != nullptr) return true;
        if (mover.ended) return false;
        if (stopping_ || mover.queue.size() != 0 || injected_.first != nullptr) return true;
        return mover.thefts_left != 0 && other_worker(mover).queue.size() != 0;
    }

    void move(Mover& mover) {
        if (mover.woken != nullptr) return schedule_woken(mover);
        if (!mover.is_worker) return happen(mover);
        if (mover.hand.first != nullptr) {
            mover.queue.push_back(std::exchange(mover.hand, {}), 0);
            return;
        }
        switch (mover.step) {
            case Mover::Step::free:
                return find_work(mover);
            case Mover::Step::take_mail:
                return take_mail(mover);
            case Mover::Step::act:
                return act(mover);
            case Mover::Step::let_go:
                return let_go(mover);
        }
    }

    // ---- a sender: Cell's push, then schedule -------------------------------------------------

    void schedule_woken(Mover& mover) {
        Cell& cell = *std::exchange(mover.woken, nullptr);
        if (mover.is_worker) {
            mover.queue.push_next(cell, 0);
        } else {
            injected_.append(cell);
        }
    }

    void send(Mover& by, Subject& to) {
        set_current_context(&by);
        auto* const mail = new Mail;
        mail->ops = &kMessage;
        mail->generation = to.cell->generation();
        mail->subject = &to;
        if (push(*to.cell, mail) == PushResult::pushed) {
            ++to.accepted;
        } else {
            delete mail;
        }
    }

    void happen(Mover& outsider) {
        const Event event = outsider.events.front();
        outsider.events.erase(outsider.events.begin());
        switch (event) {
            case Event::kill: {
                auto* const kill = new Mail;
                kill->ops = &kKill;
                kill->subject = subjects_.data();
                kill_was_sent_ = true;
                return post_signal(*subjects_[0].cell, subjects_[0].cell->generation(), kill);
            }
            case Event::message:
                return send(outsider, subjects_[0]);
            case Event::engine_stops:
                stopping_ = true;
        }
    }

    // ---- a worker: Worker::run, take_from, and the turn ----------------------------------------

    void find_work(Mover& worker) {
        if (stopping_) {
            worker.ended = true;
            return;
        }
        if (Cell* const cell = worker.queue.pop()) return begin_turn(worker, of(*cell));
        if (injected_.first != nullptr) {
            worker.queue.push_back(std::exchange(injected_, {}), 0);
            return;
        }
        --worker.thefts_left;
        Mover& victim = other_worker(worker);
        worker.hand = victim.queue.steal_half();
        if (mistake_ == Mistake::thief_leaves_what_it_took && worker.hand.first != nullptr) {
            victim.queue.push_back(*worker.hand.first, 0);
        }
    }

    void begin_turn(Mover& worker, Subject& subject) {
        if (++subject.running != 1) wrong_ = "two workers run one cell";
        if (subject.ends != 0) wrong_ = "a cell runs after its end";
        worker.runs = &subject;
        worker.step = Mover::Step::take_mail;
    }

    void take_mail(Mover& worker) {
        Subject& subject = *worker.runs;
        handle_signals(*subject.cell, subject.cell->take_mail(nullptr, 0));
        worker.step = Mover::Step::act;
    }

    void act(Mover& worker) {
        Subject& subject = *worker.runs;
        const bool mail_first =
            mistake_ == Mistake::handles_mail_before_a_signal && subject.cell->batch_ != nullptr;
        if (subject.killed && !mail_first) return end(worker, subject);
        if (MailNode* const message = subject.cell->pop_batch()) {
            if (subject.killed && !mail_first) wrong_ = "a killed cell handles a message";
            if (mail_first && subject.killed) wrong_ = "a kill waits behind a message";
            ++subject.handled;
            delete static_cast<Mail*>(message);
            subject.cell->release(1);
        }
        worker.step = Mover::Step::let_go;
    }

    void end(Mover& worker, Subject& subject) {
        ++subject.ends;
        MailNode* const left = subject.cell->close_mailbox(nullptr);
        if (mistake_ == Mistake::ends_without_its_mail) {
            for (MailNode* node = left; node != nullptr;)
                delete static_cast<Mail*>(std::exchange(node, node->next));
        } else {
            drop_all(left);
        }
        leave(worker, subject);
    }

    void let_go(Mover& worker) {
        Subject& subject = *worker.runs;
        if (subject.cell->batch_ != nullptr) {
            leave(worker, subject);
            return worker.queue.push_back(*subject.cell, 0);
        }
        // Before: afterwards the cell is not ours any more.
        --subject.running;
        if (!subject.cell->try_idle(nullptr)) {
            ++subject.running;
            worker.step = Mover::Step::take_mail;
            return;
        }
        worker.runs = nullptr;
        worker.step = Mover::Step::free;
        if (mistake_ == Mistake::yields_after_letting_go) worker.queue.push_back(*subject.cell, 0);
    }

    void leave(Mover& worker, Subject& subject) {
        --subject.running;
        worker.runs = nullptr;
        worker.step = Mover::Step::free;
    }

    // ---- when nobody can move any more ----------------------------------------------------------

    /// In how many places the cell stands.
    std::size_t places(const Cell& cell, const std::vector<Cell*>& queued) {
        std::size_t count = 0;
        for (const Cell* const one : queued)
            count += one == &cell ? 1 : 0;
        return count;
    }

    void check_the_end() {
        std::vector<Cell*> queued;
        for (Mover& mover : movers_) {
            while (Cell* const cell = mover.queue.pop())
                queued.push_back(cell);
        }
        for (Cell* cell = injected_.first; cell != nullptr; cell = cell->next_runnable_)
            queued.push_back(cell);
        for (Subject& subject : subjects_) {
            const bool at_rest = (subject.cell->word() & (Cell::kIdle | Cell::kDead)) != 0;
            const std::size_t where = places(*subject.cell, queued);
            if (where != (at_rest ? 0U : 1U)) wrong_ = "a cell is lost, or stands in two places";
            if (subject.ends > 1) wrong_ = "a cell has ended twice";
            if (stopping_) continue;  // what still waits is dropped when the engine goes
            if (subject.handled + subject.dropped != subject.accepted) wrong_ = "mail is lost";
        }
        if (!stopping_ && kill_was_sent_ && subjects_[0].ends != 1) wrong_ = "a kill is lost";
        if (!stopping_ && !queued.empty()) wrong_ = "a cell waits and nobody comes";
    }

    Chooser& chooser_;
    const Mistake mistake_;
    std::unique_ptr<Engine> engine_;
    std::array<Mover, 4> movers_;
    std::array<Subject, 2> subjects_;
    CellChain injected_;
    bool stopping_ = false;
    bool kill_was_sent_ = false;
    std::string wrong_;
};

struct Walk {
    std::string wrong;
    std::size_t runs = 0;
    bool exhaustive = false;
};

/// Every order of steps, until something goes wrong.
Walk walk(Mistake mistake, const std::vector<Event>& first, const std::vector<Event>& second) {
    Walk seen;
    DepthFirstChooser chooser(1000);
    while (seen.wrong.empty()) {
        seen.wrong = Model(chooser, mistake, first, second).run();
        ++seen.runs;
        if (!chooser.next_run()) {
            seen.exhaustive = !chooser.cut();
            break;
        }
    }
    return seen;
}

class StealModel : public testing::Test {
protected:
    void SetUp() override { use_biased_locks_for_test(BiasedLocks::by_ordered_stores); }
    void TearDown() override { use_biased_locks_for_test(BiasedLocks::by_membarrier); }

    static void expect_right(const std::vector<Event>& first, const std::vector<Event>& second) {
        const Walk seen = walk(Mistake::none, first, second);
        EXPECT_EQ(seen.wrong, "") << "in run " << seen.runs;
        EXPECT_TRUE(seen.exhaustive);
        EXPECT_GT(seen.runs, 1000U);
        std::printf("%zu orders\n", seen.runs);
    }
};

TEST_F(StealModel, AKillWhileTheCellIsStolenEndsItOnce) {
    expect_right({Event::kill}, {});
}

TEST_F(StealModel, AKillAndAMessageWhileTheCellIsStolenLoseNothing) {
    expect_right({Event::kill}, {Event::message});
}

TEST_F(StealModel, AnEngineThatStopsWhileACellIsStolenLosesNoCell) {
    expect_right({Event::engine_stops}, {Event::message});
    expect_right({Event::engine_stops}, {Event::kill});
}

TEST_F(StealModel, WouldFindAMistake) {
    for (const Mistake mistake :
         {Mistake::yields_after_letting_go, Mistake::handles_mail_before_a_signal,
          Mistake::thief_leaves_what_it_took, Mistake::ends_without_its_mail}) {
        EXPECT_NE(walk(mistake, {Event::kill}, {Event::message}).wrong, "")
            << "mistake " << static_cast<int>(mistake);
    }
}

}  // namespace
}  // namespace troupe::scheduler_internal
