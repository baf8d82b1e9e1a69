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
#include <troupe/scheduler/simulated_engine.hpp>

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
    explicit Step(Cell& its_cell, std::uint32_t its_number) noexcept
        : of(&its_cell), number(its_number) {}
    explicit Step(Job& its_job) noexcept : of(&its_job) {}
    Cell* cell() const noexcept { return number != 0 ? static_cast<Cell*>(of) : nullptr; }
    Job* job() const noexcept { return number == 0 ? static_cast<Job*>(of) : nullptr; }

    void* of;
    std::uint32_t number = 0;  // the cell's owner's; 0: a job
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

class DeterministicEngine final : public SimulatedEngine {
public:
    explicit DeterministicEngine(Chooser& chooser) : chooser_(chooser) {
        context_.engine = this;
        context_.deterministic = true;
        context_.schedule = &schedule_here;
        // A turn is one message, so that every order can be explored.
        context_.messages = 1;
        context_.more_messages = [](RunningTurn&, unsigned) noexcept { return 0U; };
    }
    ~DeterministicEngine() override {
        observe(nullptr);
        stop();
    }

    std::size_t workers() const noexcept override { return 1; }
    Duration now() const noexcept override { return now_; }
    Duration coarse_now() const noexcept override { return now_; }
    Duration coarse_lag() const noexcept override { return Duration::zero(); }
    Duration wall_now() const noexcept override { return kWallStart + now_; }
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
    std::uint64_t event_hash() const noexcept override { return hash_; }
    void note_event(std::uint64_t value) noexcept override;
    void note_handling(const std::string_view& method, const MailNode* message) noexcept override;
    void note_sent(Cell& target, const MailNode* mail, bool is_signal) noexcept override;
    void note_touched(const void* thing) noexcept override {
        if (observer_ != nullptr && running_) observer_->touched(thing);
    }

    using SimulatedEngine::step;
    bool step(Duration time_max) override;
    std::uint64_t steps() const noexcept override { return stats_.turns; }
    void set_steps_max(std::uint64_t steps) noexcept override { steps_max_ = steps; }
    void heal() noexcept override { healed_ = true; }
    bool exhausted() const noexcept override { return stats_.turns >= steps_max_; }
    Duration next_timer() const noexcept override {
        return timers_.empty() ? Duration::max() : timers_.begin()->first;
    }
    bool runnable() const noexcept override { return !ready_.empty() || next_timer() <= now_; }
    void break_at(std::uint64_t step) noexcept override { break_at_ = step; }
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
    void fire_timer();
    void take_out(TimerNode& timer) noexcept;
    void drop_all() noexcept;
    void note(Event event, std::uint64_t value) noexcept;

    Chooser& chooser_;
    WorkerContext context_;
    std::atomic<const void*> thread_{nullptr};  // the first caller writes, all callers read
    ReadyList ready_;
    std::map<Duration, TimerList> timers_;
    Duration now_{};
    std::optional<Random> random_;
    std::uint64_t hash_ = 0;
    EngineStats stats_;
    std::uint64_t steps_max_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t break_at_ = 0;  // steps count from 1
    EngineObserver* observer_ = nullptr;
    std::vector<Alternative> alternatives_;  // kept, so that a step allocates nothing
    bool healed_ = false;
    bool running_ = false;  // a step is on the stack
    bool stopped_ = false;

    // The event hash must not depend on which slots earlier engines have left for this one, so the
    // owners of slots are counted as they come. By CellChunk::number, then by place in the chunk.
    struct Owner {
        std::uint32_t generation = 0;  // none has this one
        std::uint32_t number = 0;
    };
    std::vector<std::vector<Owner>> owners_;
    std::uint32_t owners_seen_ = 0;
    std::uint32_t timers_started_ = 0;  // numbers timers, for the same reason
};

void DeterministicEngine::check_thread() noexcept {
    const void* const mine = this_thread();
    if (thread_.load(std::memory_order_relaxed) == mine) return;
    const void* owner = nullptr;
    if (!thread_.compare_exchange_strong(owner, mine, std::memory_order_relaxed)) {
        TROUPE_ASSERT(
            owner == mine,
            "a deterministic engine is used by one thread only, and this is another: what "
            "threads do cannot be replayed");
    }
}

void DeterministicEngine::check_driver() noexcept {
    check_thread();
    TROUPE_ASSERT(!running_,
                  "an actor or task tried to drive the engine it runs on: use co_await instead");
}

void DeterministicEngine::note(Event event, std::uint64_t value) noexcept {
    hash_ = hash_combine(hash_ ^ static_cast<std::uint64_t>(event), value);
}

void DeterministicEngine::note_event(std::uint64_t value) noexcept {
    check_thread();
    note(Event::noted, value);
}

void DeterministicEngine::note_handling(const std::string_view& method,
                                        const MailNode* message) noexcept {
    note_event(fnv1a_32(method));
    if (observer_ != nullptr && running_) observer_->handling(method, message);
}

void DeterministicEngine::note_sent(Cell& target, const MailNode* mail, bool is_signal) noexcept {
    if (observer_ == nullptr || !running_ || stopped_) return;
    // A mailbox that is full, or would be with one message more, refuses some orders.
    const std::uint64_t capacity = target.capacity_.load(std::memory_order_relaxed);
    const bool tight = capacity == Cell::kManaged || (capacity != Cell::kUnbounded &&
                                                      Cell::count_of(target.word()) + 2 > capacity);
    observer_->sent(number_of(target), mail, is_signal || tight);
}

void DeterministicEngine::observe(EngineObserver* observer) noexcept {
    if ((observer_ != nullptr) != (observer != nullptr)) {
        // Only this thread's engines are observed, but signals are pushed by all.
        observed_engines.fetch_add(observer != nullptr ? 1 : -1, std::memory_order_relaxed);
    }
    observer_ = observer;
}

std::uint32_t DeterministicEngine::number_of(const Cell& cell) {
    const CellChunk& chunk = CellChunk::of(cell);
    if (chunk.number >= owners_.size()) owners_.resize(chunk.number + std::size_t{1});
    std::vector<Owner>& owners = owners_[chunk.number];
    if (owners.empty()) owners.resize(CellChunk::kCells + 1);
    Owner& owner = owners[chunk.slot_of(cell) - chunk.number * CellChunk::kCells];
    if (owner.generation != cell.generation()) owner = Owner{cell.generation(), ++owners_seen_};
    return owner.number;
}

std::uint64_t DeterministicEngine::choose(std::uint64_t n, ChoiceKind kind, const char* site) {
    check_thread();
    TROUPE_ASSERT(n != 0, "a choice has at least one alternative");
    if (n == 1 || (healed_ && kind == ChoiceKind::fault)) return 0;
    const std::uint64_t answer = chooser_.choose(n, kind, site);
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
    ready_.push_back(Step(cell, number));
    if (observer_ != nullptr && running_) observer_->woke(number);
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
    ready_.push_back(Step(*job));
    if (observer_ != nullptr && running_) observer_->woke(0);
    return {};
}

void DeterministicEngine::start_timer(TimerNode* timer) {
    check_thread();
    if (stopped_) {
        timer->ops->drop(timer, Error(Errc::closed));
        return;
    }
    timer->place = 0;
    timer->wheel = ++timers_started_;  // there are no wheels here: its number, for the hash
    timers_[timer->deadline].push_back(*timer);
}

bool DeterministicEngine::cancel_timer(TimerNode* timer) noexcept {
    check_thread();
    if (timer->place == TimerNode::kNowhere) return false;
    take_out(*timer);
    return true;
}

void DeterministicEngine::take_out(TimerNode& timer) noexcept {
    const auto list = timers_.find(timer.deadline);
    list->second.erase(timer);
    if (list->second.empty()) timers_.erase(list);
    timer.place = TimerNode::kNowhere;
}

// ---- running ------------------------------------------------------------------------------------

bool DeterministicEngine::step(Duration time_max) {
    check_driver();
    if (stopped_ || exhausted()) return false;
    const bool timer_in_reach = !timers_.empty() && timers_.begin()->first <= time_max;
    if (ready_.empty() && !timer_in_reach) return false;
    if (stats_.turns + 1 == break_at_) std::raise(SIGTRAP);

    // A timer that is due by now may fire before what is runnable; a later one must wait for it.
    const bool timer_competes =
        timer_in_reach && (ready_.empty() || timers_.begin()->first <= now_);
    const std::size_t chosen = choose_step(timer_competes);

    const RunningScope running(running_);
    ++stats_.turns;
    if (chosen < ready_.size()) {
        const Step next = ready_.take(chosen);
        if (Cell* const cell = next.cell()) {
            run_cell(*cell, next.number);
        } else {
            run_job(*next.job());
        }
    } else {
        fire_timer();
    }
    if (observer_ != nullptr) observer_->step_ends(hash_);
    return true;
}

std::size_t DeterministicEngine::choose_step(bool timer_competes) {
    const std::size_t n = ready_.size() + (timer_competes ? 1 : 0);
    if (!chooser_.looks_at_steps()) {
        return static_cast<std::size_t>(choose(n, ChoiceKind::next_runnable, kStepSite));
    }
    alternatives_.clear();
    ready_.for_each([&](const Step& step) {
        alternatives_.push_back({step.number != 0 ? StepKind::turn : StepKind::job, step.number});
    });
    if (timer_competes) alternatives_.push_back({StepKind::timer, 0});
    const std::size_t chosen = chooser_.choose_step(alternatives_);
    TROUPE_ASSERT(chosen < n, "a chooser answers with one of the alternatives");
    if (n > 1) {
        note(Event::choice,
             hash_combine(n << 8 | static_cast<std::uint64_t>(ChoiceKind::next_runnable), chosen));
    }
    return chosen;
}

void DeterministicEngine::begin_step(StepKind kind, std::uint32_t subject, const Cell* cell) {
    if (observer_ == nullptr) return;
    observer_->step_begins(EngineStep{stats_.turns, now_, kind, subject, cell});
}

void DeterministicEngine::run_cell(Cell& cell, std::uint32_t number) {
    begin_step(StepKind::turn, number, &cell);
    note(Event::turn, hash_combine(number, static_cast<std::uint64_t>(now_.count())));
    const ContextScope scope(&context_);
    context_.now = now_;
    context_.cell.store(&cell, std::memory_order_relaxed);
    context_.doing.store(nullptr, std::memory_order_relaxed);
    const TurnEnd end = cell.type()->run(cell);
    if (end == TurnEnd::yielded) inject(cell);
}

void DeterministicEngine::run_job(Job& job) {
    begin_step(StepKind::job, 0, nullptr);
    note(Event::job, static_cast<std::uint64_t>(now_.count()));
    --stats_.blocking.waiting;
    const ContextScope scope(nullptr);  // a thread of the blocking pool runs no cells either
    job.run(&job);
    ++stats_.blocking.done;
}

void DeterministicEngine::fire_timer() {
    const auto& [deadline, list] = *timers_.begin();
    if (deadline > now_) now_ = deadline;
    const auto tie =
        static_cast<std::size_t>(choose(list.size(), ChoiceKind::timer_tie, "timers of one time"));
    TimerNode& timer = list.at(tie);
    take_out(timer);
    begin_step(StepKind::timer, 0, nullptr);
    note(Event::timer, hash_combine(timer.wheel, static_cast<std::uint64_t>(now_.count())));
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
    const Duration end = duration < Duration::max() - now_ ? now_ + duration : Duration::max();
    while (step(end))
        continue;
    now_ = end;
}

void DeterministicEngine::settle() {
    check_driver();
    while (step(now_))
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
    while (!ready_.empty()) {
        const Step left = ready_.take(0);
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
