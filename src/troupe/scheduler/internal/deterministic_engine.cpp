/// The engine of tests: one thread, virtual time, and one function that makes every choice.
///
/// The problem: a run with threads and a real clock never happens twice. Here whatever could come
/// out differently on real machines is one question to the chooser: which of the runnable cells and
/// blocking jobs goes next, which of the timers due at the same time fires first, what the random
/// generator is seeded with. The same answers give the same run, step for step.
///
/// Time stands still while anything can run and then jumps to the next deadline, so an hour of
/// waiting costs nothing. A timer that is due is one more alternative beside the runnable cells,
/// since on a real machine either may come first. Its time is shared with all that is still to run
/// then: a cell that always wants another turn keeps time from passing.
///
/// A simulation may have several machines: engines that share a World, which holds what can go on
/// anywhere, the time, and who is asked. A machine's own clock is a line through the world's time;
/// its timers stand in the order of its own clock, and the one that is due first in the world's
/// time fires first. A frozen machine's cells wait where nobody chooses among them.
///
/// What is chosen from stands in the order in which it became runnable, so a chooser that always
/// takes the first alternative is fair. That is what the depth-first walk does below its depth.

#include <troupe/base/assert.hpp>
#include <troupe/base/error.hpp>
#include <troupe/base/hash.hpp>
#include <troupe/base/random.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/internal/cell_table.hpp>
#include <troupe/scheduler/internal/context.hpp>
#include <troupe/scheduler/latch.hpp>
#include <troupe/scheduler/mail_stats.hpp>
#include <troupe/scheduler/simulated_engine.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace troupe::scheduler_internal {

namespace {

/// 2025-01-01T00:00:00Z: any fixed moment would do, this one prints well.
constexpr Duration kWallStart = Duration(std::int64_t{1'735'689'600} * 1'000'000'000);

/// What kind of step an entry of the event hash stands for.
enum class Event : std::uint8_t { choice, turn, job, timer, draw, noted };

/// Where this thread keeps its own byte, whose address tells threads apart.
const void* this_thread() noexcept {
    static constinit thread_local char own = 0;
    return &own;
}

/// Makes `context` the thread's own for as long as it lives: engines can be nested.
class ContextScope {
public:
    explicit ContextScope(WorkerContext* context) noexcept : before_(current_context()) {
        set_current_context(context);
    }
    ~ContextScope() { set_current_context(before_); }
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;

private:
    WorkerContext* const before_;
};

/// Sets a flag for as long as it lives, also when a test's own cell throws.
class RunningScope {
public:
    explicit RunningScope(bool& running) noexcept : running_(running) { running_ = true; }
    ~RunningScope() { running_ = false; }
    RunningScope(const RunningScope&) = delete;
    RunningScope& operator=(const RunningScope&) = delete;

private:
    bool& running_;
};

/// Something that can go on now: a cell's turn, or a blocking job.
struct Step {
    Step(std::uint32_t its_machine, Cell& its_cell, std::uint32_t its_number) noexcept
        : of(&its_cell), number(its_number), machine(its_machine) {}
    Step(std::uint32_t its_machine, Job& its_job) noexcept : of(&its_job), machine(its_machine) {}
    Cell* cell() const noexcept { return number != 0 ? static_cast<Cell*>(of) : nullptr; }
    Job* job() const noexcept { return number == 0 ? static_cast<Job*>(of) : nullptr; }

    void* of;
    std::uint32_t number = 0;  // the cell's owner's; 0: a job
    std::uint32_t machine;     // its place in the world
};

/// What can go on, oldest first. Any of it can be taken out; in blocks, so that this stays cheap
/// when a hundred thousand actors are runnable at once (in one deque a step took 10 us then).
class ReadyList {
public:
    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }

    void push_back(const Step& step) {
        if (blocks_.empty() || blocks_.back().size() == kBlockSteps) {
            blocks_.emplace_back().reserve(kBlockSteps);
        }
        blocks_.back().push_back(step);
        ++size_;
    }

    Step take(std::size_t index) {
        auto block = blocks_.begin();
        for (; index >= block->size(); ++block)
            index -= block->size();
        const auto place = block->begin() + static_cast<std::ptrdiff_t>(index);
        const Step step = *place;
        block->erase(place);
        // The last block is kept, so that an alternation of push and take allocates nothing.
        if (block->empty() && blocks_.size() > 1) blocks_.erase(block);
        --size_;
        return step;
    }

private:
    static constexpr std::size_t kBlockSteps = 128;  // 2 KiB to move at most

public:
    template <class Visit>
    void for_each(Visit visit) const {
        for (const auto& block : blocks_) {
            for (const Step& step : block)
                visit(step);
        }
    }

    /// Takes out all of one machine, in order.
    std::vector<Step> take_all_of(std::uint32_t machine) {
        std::vector<Step> taken;
        ReadyList left;
        for_each([&](const Step& step) {
            if (step.machine == machine) {
                taken.push_back(step);
            } else {
                left.push_back(step);
            }
        });
        *this = std::move(left);
        return taken;
    }

private:
    std::deque<std::vector<Step>> blocks_;
    std::size_t size_ = 0;
};

/// The timers of one deadline, in the order they were started.
class TimerList {
public:
    bool empty() const noexcept { return count_ == 0; }
    std::size_t size() const noexcept { return count_; }

    void push_back(TimerNode& timer) noexcept {
        timer.next = nullptr;
        timer.previous = last_;
        if (last_ == nullptr) {
            first_ = &timer;
        } else {
            last_->next = &timer;
        }
        last_ = &timer;
        ++count_;
    }

    void erase(TimerNode& timer) noexcept {
        auto* const next = static_cast<TimerNode*>(timer.next);
        if (timer.previous == nullptr) {
            first_ = next;
        } else {
            timer.previous->next = next;
        }
        if (next == nullptr) {
            last_ = timer.previous;
        } else {
            next->previous = timer.previous;
        }
        timer.next = nullptr;
        timer.previous = nullptr;
        --count_;
    }

    TimerNode& at(std::size_t index) const noexcept {
        TimerNode* timer = first_;
        while (index-- != 0)
            timer = static_cast<TimerNode*>(timer->next);
        return *timer;
    }

private:
    TimerNode* first_ = nullptr;
    TimerNode* last_ = nullptr;
    std::size_t count_ = 0;
};

class DeterministicEngine;

/// What the machines of a simulation share.
struct World {
    explicit World(Chooser& its_chooser) : chooser(its_chooser) {}

    Chooser& chooser;
    // By their places, which are not used again; null: it has gone. The first began it all.
    std::vector<DeterministicEngine*> machines;
    std::atomic<const void*> thread{nullptr};  // the first caller writes, all callers read
    ReadyList ready;
    Duration now{};
    std::uint64_t hash = 0;
    std::uint64_t steps = 0;
    std::uint64_t steps_max = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t break_at = 0;  // steps count from 1
    EngineObserver* observer = nullptr;
    std::vector<Alternative> alternatives;  // kept, so that a step allocates nothing
    bool healed = false;
    bool running = false;  // a step is on the stack
    std::uint32_t owners_seen = 0;
    std::uint32_t timers_started = 0;  // numbers timers, for the same reason as owners
};

/// A machine's clock as a line through the world's time: since `world_from` it has gone on from
/// `own_from`, faster or slower.
struct ClockLine {
    Duration world_from{};
    Duration own_from{};
    std::int64_t drift_ppm = 0;

    static constexpr std::int64_t kMillion = 1'000'000;

    Duration own(Duration world) const noexcept {
        const std::int64_t passed = (world - world_from).count();
        if (drift_ppm == 0) return own_from + Duration(passed);
        return own_from + Duration(scaled(passed, kMillion + drift_ppm, kMillion, 0));
    }
    /// The first moment at which its clock shows that, or later.
    Duration world(Duration own) const noexcept {
        if (own == Duration::max()) return own;
        const std::int64_t passed = (own - own_from).count();
        std::int64_t needed = passed;
        if (drift_ppm != 0) {
            const std::int64_t rate = kMillion + drift_ppm;
            needed = scaled(passed, kMillion, rate, passed > 0 ? rate - 1 : 0);
        }
        if (needed > (Duration::max() - world_from).count()) return Duration::max();
        return world_from + Duration(needed);
    }

private:
    static std::int64_t scaled(std::int64_t value, std::int64_t by, std::int64_t over,
                               std::int64_t round) noexcept {
        __extension__ using Wide = __int128;
        const Wide result = (Wide{value} * by + round) / over;
        constexpr Wide kMax = std::numeric_limits<std::int64_t>::max();
        return static_cast<std::int64_t>(result < kMax ? result : kMax);
    }
};

class DeterministicEngine final : public SimulatedEngine {
public:
    explicit DeterministicEngine(Chooser& chooser)
        : DeterministicEngine(std::make_shared<World>(chooser), MachineClock()) {}
    DeterministicEngine(std::shared_ptr<World> world, const MachineClock& clock)
        : world_(std::move(world)),
          place_(static_cast<std::uint32_t>(world_->machines.size())),
          line_{world_->now, Duration::zero(), clock.drift_ppm},
          began_(world_->now),
          clock_(clock) {
        world_->machines.push_back(this);
        context_.engine = this;
        context_.deterministic = true;
        context_.schedule = &schedule_here;
        // A turn is one message, so that every order can be explored.
        context_.messages = 1;
        context_.more_messages = [](RunningTurn&, unsigned) noexcept { return 0U; };
    }
    ~DeterministicEngine() override {
        if (place_ == 0) observe(nullptr);
        stop();
        world_->machines[place_] = nullptr;
    }

    std::unique_ptr<SimulatedEngine> make_machine(const MachineClock& clock) override {
        check_thread();
        return std::make_unique<DeterministicEngine>(world_, clock);
    }
    SimulatedEngine& home() noexcept override { return *world_->machines.front(); }
    void set_clock(const MachineClock& clock) noexcept override {
        line_ = {world_->now, now(), clock.drift_ppm};
        clock_ = clock;
    }
    const MachineClock& clock() const noexcept override { return clock_; }
    void set_timer_faults(const TimerFaults& faults) noexcept override { timer_faults_ = faults; }
    void freeze() noexcept override;
    void thaw() noexcept override;
    bool frozen() const noexcept override { return frozen_; }

    std::size_t workers() const noexcept override { return 1; }
    Duration now() const noexcept override { return line_.own(world_->now); }
    Duration coarse_now() const noexcept override { return now(); }
    Duration coarse_lag() const noexcept override { return Duration::zero(); }
    Duration wall_now() const noexcept override {
        return kWallStart + began_ + clock_.wall_offset + now();
    }
    std::uint64_t choose(std::uint64_t n, ChoiceKind kind, const char* site) override;
    std::uint64_t random() override;
    void start_timer(TimerNode* timer) override;
    bool cancel_timer(TimerNode* timer) noexcept override;
    Result<void> offload(Job* job) override;
    Reactor* reactor() noexcept override { return nullptr; }
    using SimulatedEngine::run_until;
    bool run_until(Latch& latch) override;
    void run_for(Duration duration) override;
    void settle() override;
    void stop() override;
    bool stopped() const noexcept override { return stopped_; }
    std::uint64_t event_hash() const noexcept override { return world_->hash; }
    void note_event(std::uint64_t value) noexcept override;
    void note_handling(const std::string_view& method, const MailNode* message) noexcept override;
    void note_sent(Cell& target, const MailNode* mail, bool is_signal) noexcept override;
    void note_touched(const void* thing) noexcept override {
        if (is_observed()) world_->observer->touched(thing);
    }

    using SimulatedEngine::step;
    bool step(Duration time_max) override;
    std::uint64_t steps() const noexcept override { return world_->steps; }
    void set_steps_max(std::uint64_t steps) noexcept override { world_->steps_max = steps; }
    void heal() noexcept override { world_->healed = true; }
    bool healed() const noexcept override { return world_->healed; }
    bool exhausted() const noexcept override { return world_->steps >= world_->steps_max; }
    Duration next_timer() const noexcept override {
        if (world_->machines.size() == 1) return own_next_timer();
        Duration next = Duration::max();
        for (const DeterministicEngine* const machine : world_->machines) {
            if (machine != nullptr) next = std::min(next, machine->own_next_timer());
        }
        return next;
    }
    bool runnable() const noexcept override {
        return !world_->ready.empty() || next_timer() <= world_->now;
    }
    void break_at(std::uint64_t step) noexcept override { world_->break_at = step; }
    void observe(EngineObserver* observer) noexcept override;
    std::uint32_t number_of(const Cell& cell) override;
    Running running(const Cell& cell) const noexcept override {
        if (context_.cell.load(std::memory_order_relaxed) != &cell) return {};
        return {true, context_.doing.load(std::memory_order_relaxed), Duration::zero()};
    }
    EngineStats stats() const noexcept override { return stats_; }
    void inject(Cell& cell) noexcept override;
    Result<void> place(Cell& cell, const Placement& placement) override;
    void schedule_placed(Cell& cell) noexcept override { inject(cell); }

private:
    void leave_place(Cell&) noexcept override {}

    static void schedule_here(WorkerContext& self, Cell& cell) noexcept;

    void check_thread() noexcept;
    void check_driver() noexcept;
    std::size_t choose_step(bool timer_competes);
    void begin_step(StepKind kind, std::uint32_t subject, const Cell* cell);
    void run_cell(Cell& cell, std::uint32_t number);
    void run_job(Job& job);
    void make_ready(const Step& step);
    void fire_timer(Duration due);
    void fire(TimerNode& timer);
    void take_out(TimerNode& timer) noexcept;
    std::uint32_t chosen_lateness();
    /// When it fires; `place` is by how many milliseconds it is late.
    static Duration due(const TimerNode& timer) noexcept {
        const Duration late = std::chrono::milliseconds(timer.place);
        return timer.deadline < Duration::max() - late ? timer.deadline + late : Duration::max();
    }
    void drop_all() noexcept;
    void note(Event event, std::uint64_t value) noexcept;

    bool is_observed() const noexcept { return world_->observer != nullptr && world_->running; }
    /// Of this machine, in the world's time.
    Duration own_next_timer() const noexcept {
        return timers_.empty() || frozen_ ? Duration::max() : line_.world(timers_.begin()->first);
    }

    std::shared_ptr<World> world_;  // shared by the machines of one simulation
    const std::uint32_t place_;     // among them
    ClockLine line_;
    const Duration began_;  // in the world's time
    MachineClock clock_;
    TimerFaults timer_faults_;
    WorkerContext context_;
    std::map<Duration, TimerList> timers_;  // by when they fire
    std::optional<Random> random_;
    EngineStats stats_;
    std::vector<Step> on_ice_;  // what could go on if it were not frozen
    bool frozen_ = false;
    bool stopped_ = false;

    // The event hash must not depend on which slots earlier engines have left for this one, so the
    // owners of slots are counted as they come. By CellChunk::number, then by place in the chunk.
    struct Owner {
        std::uint32_t generation = 0;  // none has this one
        std::uint32_t number = 0;
    };
    std::vector<std::vector<Owner>> owners_;
};

void DeterministicEngine::check_thread() noexcept {
    const void* const mine = this_thread();
    if (world_->thread.load(std::memory_order_relaxed) == mine) return;
    const void* owner = nullptr;
    if (!world_->thread.compare_exchange_strong(owner, mine, std::memory_order_relaxed)) {
        TROUPE_ASSERT(
            owner == mine,
            "a deterministic engine is used by one thread only, and this is another: what "
            "threads do cannot be replayed");
    }
}

void DeterministicEngine::check_driver() noexcept {
    check_thread();
    TROUPE_ASSERT(!world_->running,
                  "an actor or task tried to drive the engine it runs on: use co_await instead");
}

void DeterministicEngine::note(Event event, std::uint64_t value) noexcept {
    world_->hash = hash_combine(world_->hash ^ static_cast<std::uint64_t>(event), value);
}

void DeterministicEngine::note_event(std::uint64_t value) noexcept {
    check_thread();
    note(Event::noted, value);
}

void DeterministicEngine::note_handling(const std::string_view& method,
                                        const MailNode* message) noexcept {
    note_event(fnv1a_32(method));
    if (is_observed()) world_->observer->handling(method, message);
}

void DeterministicEngine::note_sent(Cell& target, const MailNode* mail, bool is_signal) noexcept {
    if (!is_observed() || stopped_) return;
    // A mailbox that is full, or would be with one message more, refuses some orders.
    const std::uint64_t capacity = target.capacity_.load(std::memory_order_relaxed);
    const bool tight = capacity == Cell::kManaged || (capacity != Cell::kUnbounded &&
                                                      Cell::count_of(target.word()) + 2 > capacity);
    world_->observer->sent(number_of(target), mail, is_signal || tight);
}

void DeterministicEngine::observe(EngineObserver* observer) noexcept {
    if ((world_->observer != nullptr) != (observer != nullptr)) {
        // Only this thread's engines are observed, but signals are pushed by all.
        observed_engines.fetch_add(observer != nullptr ? 1 : -1, std::memory_order_relaxed);
    }
    world_->observer = observer;
}

std::uint32_t DeterministicEngine::number_of(const Cell& cell) {
    const CellChunk& chunk = CellChunk::of(cell);
    if (chunk.number >= owners_.size()) owners_.resize(chunk.number + std::size_t{1});
    std::vector<Owner>& owners = owners_[chunk.number];
    if (owners.empty()) owners.resize(CellChunk::kCells + 1);
    Owner& owner = owners[chunk.slot_of(cell) - chunk.number * CellChunk::kCells];
    if (owner.generation != cell.generation()) {
        owner = Owner{cell.generation(), ++world_->owners_seen};
    }
    return owner.number;
}

std::uint64_t DeterministicEngine::choose(std::uint64_t n, ChoiceKind kind, const char* site) {
    check_thread();
    TROUPE_ASSERT(n != 0, "a choice has at least one alternative");
    if (n == 1 || (world_->healed && kind == ChoiceKind::fault)) return 0;
    const std::uint64_t answer = world_->chooser.choose(n, kind, site);
    TROUPE_ASSERT(answer < n, "a chooser answers with one of the alternatives");
    note(Event::choice, hash_combine(n << 8 | static_cast<std::uint64_t>(kind), answer));
    return answer;
}

std::uint64_t DeterministicEngine::random() {
    // One choice seeds all draws: a choice per draw would make every walk of the tree endless.
    if (!random_) {
        random_.emplace(choose(std::uint64_t{1} << 32, ChoiceKind::random_draw, "engine seed"));
    }
    const std::uint64_t drawn = random_->next();
    note(Event::draw, drawn);
    return drawn;
}

// ---- what can go on -----------------------------------------------------------------------------

void DeterministicEngine::schedule_here(WorkerContext& self, Cell& cell) noexcept {
    self.engine->inject(cell);
}

void DeterministicEngine::inject(Cell& cell) noexcept {
    check_thread();
    if (stopped_) return;
    const std::uint32_t number = number_of(cell);
    cell.queued_at_us_ = queue_stamp(now());
    make_ready(Step(place_, cell, number));
}

void DeterministicEngine::make_ready(const Step& step) {
    if (frozen_) {
        on_ice_.push_back(step);
        return;
    }
    world_->ready.push_back(step);
    if (is_observed()) world_->observer->woke(step.number);
}

void DeterministicEngine::freeze() noexcept {
    check_driver();
    if (frozen_) return;
    frozen_ = true;
    on_ice_ = world_->ready.take_all_of(place_);
}

void DeterministicEngine::thaw() noexcept {
    check_driver();
    frozen_ = false;
    for (const Step& step : std::exchange(on_ice_, {}))
        world_->ready.push_back(step);
}

/// One thread is every worker and every actor's own at once.
Result<void> DeterministicEngine::place(Cell& cell, const Placement& placement) {
    check_thread();
    cell.set_place(placement.kind, 0);
    return {};
}

Result<void> DeterministicEngine::offload(Job* job) {
    check_thread();
    BlockingStats& blocking = stats_.blocking;
    if (stopped_ || blocking.waiting >= ThreadedOptions().blocking_jobs_max) {
        ++blocking.refused;
        return stopped_ ? error(Errc::closed, "the engine has stopped")
                        : error(Errc::mailbox_full, "too many jobs wait for the blocking pool");
    }
    ++blocking.waiting;
    make_ready(Step(place_, *job));
    return {};
}

void DeterministicEngine::start_timer(TimerNode* timer) {
    check_thread();
    if (stopped_) {
        timer->ops->drop(timer, Error(Errc::closed));
        return;
    }
    timer->place = chosen_lateness();
    timer->wheel = ++world_->timers_started;  // there are no wheels here: its number, for the hash
    timers_[due(*timer)].push_back(*timer);
}

/// In milliseconds. The first alternative is that the timer is on time.
std::uint32_t DeterministicEngine::chosen_lateness() {
    if (!happens(timer_faults_.late_per_thousand, "timer is late")) return 0;
    constexpr std::uint64_t kLateMax = 1'000'000;
    const auto most = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(timer_faults_.late_max).count());
    return 1 + static_cast<std::uint32_t>(choose(std::clamp(most, std::uint64_t{1}, kLateMax),
                                                 ChoiceKind::delay, "how late a timer is"));
}

bool DeterministicEngine::cancel_timer(TimerNode* timer) noexcept {
    check_thread();
    if (timer->place == TimerNode::kNowhere) return false;
    take_out(*timer);
    return true;
}

void DeterministicEngine::take_out(TimerNode& timer) noexcept {
    const auto list = timers_.find(due(timer));
    list->second.erase(timer);
    if (list->second.empty()) timers_.erase(list);
    timer.place = TimerNode::kNowhere;
}

// ---- running ------------------------------------------------------------------------------------

bool DeterministicEngine::step(Duration time_max) {
    check_driver();
    World& world = *world_;
    if (stopped_ || exhausted()) return false;
    const Duration next = next_timer();
    const bool timer_in_reach = next != Duration::max() && next <= time_max;
    if (world.ready.empty() && !timer_in_reach) return false;
    if (world.steps + 1 == world.break_at) std::raise(SIGTRAP);

    // A timer that is due by now may fire before what is runnable; a later one must wait for it.
    const bool timer_competes = timer_in_reach && (world.ready.empty() || next <= world.now);
    const std::size_t chosen = choose_step(timer_competes);

    const RunningScope running(world.running);
    ++world.steps;
    if (chosen < world.ready.size()) {
        const Step step = world.ready.take(chosen);
        DeterministicEngine& machine = *world.machines[step.machine];
        if (Cell* const cell = step.cell()) {
            machine.run_cell(*cell, step.number);
        } else {
            machine.run_job(*step.job());
        }
    } else {
        fire_timer(next);
    }
    if (world.observer != nullptr) world.observer->step_ends(world.hash);
    return true;
}

std::size_t DeterministicEngine::choose_step(bool timer_competes) {
    World& world = *world_;
    const std::size_t n = world.ready.size() + (timer_competes ? 1 : 0);
    if (!world.chooser.looks_at_steps()) {
        return static_cast<std::size_t>(choose(n, ChoiceKind::next_runnable, kStepSite));
    }
    world.alternatives.clear();
    world.ready.for_each([&](const Step& step) {
        world.alternatives.push_back(
            {step.number != 0 ? StepKind::turn : StepKind::job, step.number});
    });
    if (timer_competes) world.alternatives.push_back({StepKind::timer, 0});
    const std::size_t chosen = world.chooser.choose_step(world.alternatives);
    TROUPE_ASSERT(chosen < n, "a chooser answers with one of the alternatives");
    if (n > 1) {
        note(Event::choice,
             hash_combine(n << 8 | static_cast<std::uint64_t>(ChoiceKind::next_runnable), chosen));
    }
    return chosen;
}

void DeterministicEngine::begin_step(StepKind kind, std::uint32_t subject, const Cell* cell) {
    if (world_->observer == nullptr) return;
    world_->observer->step_begins(EngineStep{world_->steps, world_->now, kind, subject, cell});
}

void DeterministicEngine::run_cell(Cell& cell, std::uint32_t number) {
    ++stats_.turns;
    begin_step(StepKind::turn, number, &cell);
    note(Event::turn, hash_combine(number, static_cast<std::uint64_t>(world_->now.count())));
    const ContextScope scope(&context_);
    context_.now = now();
    context_.mail_stamp = mail_stamp(context_.now);
    context_.cell.store(&cell, std::memory_order_relaxed);
    context_.doing.store(nullptr, std::memory_order_relaxed);
    const TurnEnd end = cell.type()->run(cell);
    if (end == TurnEnd::yielded) inject(cell);
}

void DeterministicEngine::run_job(Job& job) {
    ++stats_.turns;
    begin_step(StepKind::job, 0, nullptr);
    note(Event::job, static_cast<std::uint64_t>(world_->now.count()));
    --stats_.blocking.waiting;
    const ContextScope scope(nullptr);  // a thread of the blocking pool runs no cells either
    job.run(&job);
    ++stats_.blocking.done;
}

void DeterministicEngine::fire_timer(Duration due) {
    World& world = *world_;
    if (due > world.now) world.now = due;
    if (world.machines.size() == 1) {
        const TimerList& list = timers_.begin()->second;
        const std::uint64_t tie = choose(list.size(), ChoiceKind::timer_tie, "timers of one time");
        return fire(list.at(static_cast<std::size_t>(tie)));
    }
    // Those of the machines whose first timer is due at that very time.
    std::size_t count = 0;
    for (const DeterministicEngine* const machine : world.machines) {
        if (machine != nullptr && machine->own_next_timer() == due) {
            count += machine->timers_.begin()->second.size();
        }
    }
    auto tie = static_cast<std::size_t>(choose(count, ChoiceKind::timer_tie, "timers of one time"));
    for (DeterministicEngine* const machine : world.machines) {
        if (machine == nullptr || machine->own_next_timer() != due) continue;
        const TimerList& list = machine->timers_.begin()->second;
        if (tie < list.size()) return machine->fire(list.at(tie));
        tie -= list.size();
    }
}

void DeterministicEngine::fire(TimerNode& timer) {
    ++stats_.turns;
    take_out(timer);
    begin_step(StepKind::timer, 0, nullptr);
    note(Event::timer, hash_combine(timer.wheel, static_cast<std::uint64_t>(world_->now.count())));
    const ContextScope scope(nullptr);
    post_signal(*timer.target, timer.generation, &timer);
}

bool DeterministicEngine::run_until(Latch& latch) {
    while (!latch.is_open()) {
        if (!step(Duration::max())) return false;
    }
    return true;
}

void DeterministicEngine::run_for(Duration duration) {
    check_driver();
    if (duration < Duration::zero()) duration = Duration::zero();
    const Duration now = world_->now;
    const Duration end = duration < Duration::max() - now ? now + duration : Duration::max();
    while (step(end))
        continue;
    world_->now = end;
}

void DeterministicEngine::settle() {
    check_driver();
    while (step(world_->now))
        continue;
}

void DeterministicEngine::stop() {
    if (stopped_) return;
    check_driver();
    stopped_ = true;
    {
        const ContextScope scope(&context_);  // as on a worker that ends
        context_.locals.destroy_all();
    }
    end_services();
    drop_all();
}

void DeterministicEngine::drop_all() noexcept {
    // What is dropped may answer somebody, who is scheduled, which is ignored by now.
    thaw();
    for (const Step& left : world_->ready.take_all_of(place_)) {
        if (Job* const job = left.job()) job->drop(job);
    }
    while (!timers_.empty()) {
        TimerNode& timer = timers_.begin()->second.at(0);
        take_out(timer);
        timer.ops->drop(&timer, Error(Errc::closed));
    }
}

}  // namespace

}  // namespace troupe::scheduler_internal

namespace troupe {

bool SimulatedEngine::happens(unsigned per_thousand, const char* site) {
    if (per_thousand == 0 || healed()) return false;
    if (per_thousand >= 1000) return true;
    // The first alternative is that it does not.
    return choose(1000, ChoiceKind::fault, site) >= 1000 - per_thousand;
}

bool SimulatedEngine::advance_to_next() {
    settle();
    const Duration next = next_timer();
    if (next == Duration::max()) return false;
    run_for(next - now());
    return true;
}

bool SimulatedEngine::run_until_idle(Duration time_max) {
    while (step(time_max))
        continue;
    return !exhausted() && next_timer() == Duration::max() && !runnable();
}

bool SimulatedEngine::run_until(const std::function<bool()>& condition, Duration time_max) {
    while (!condition()) {
        if (!step(time_max)) return false;
    }
    return true;
}

std::unique_ptr<SimulatedEngine> make_simulated_engine(Chooser& chooser) {
    return std::make_unique<scheduler_internal::DeterministicEngine>(chooser);
}

std::unique_ptr<Engine> make_deterministic_engine(Chooser& chooser) {
    return std::make_unique<scheduler_internal::DeterministicEngine>(chooser);
}

}  // namespace troupe
