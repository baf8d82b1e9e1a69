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

#include <atomic>
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
    Cell* cell = nullptr;
    Job* job = nullptr;
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

class DeterministicEngine final : public Engine {
public:
    explicit DeterministicEngine(Chooser& chooser) : Engine(true), chooser_(chooser) {
        context_.engine = this;
        context_.deterministic = true;
        context_.schedule = &schedule_here;
        // A turn is one message, so that every order can be explored.
        context_.messages = 1;
        context_.more_messages = [](RunningTurn&, unsigned) noexcept { return 0U; };
    }
    ~DeterministicEngine() override { stop(); }

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
    bool run_until(Latch& latch) override;
    void run_for(Duration duration) override;
    void settle() override;
    void stop() override;
    bool stopped() const noexcept override { return stopped_; }
    std::uint64_t event_hash() const noexcept override { return hash_; }
    void note_event(std::uint64_t value) noexcept override;
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
    bool step(Duration time_max);
    void run_ready(std::size_t index);
    void run_cell(Cell& cell);
    void run_job(Job& job);
    void fire_timer();
    void take_out(TimerNode& timer) noexcept;
    void drop_all() noexcept;
    void note(Event event, std::uint64_t value) noexcept;
    std::uint32_t number_of(const Cell& cell);

    Chooser& chooser_;
    WorkerContext context_;
    std::atomic<const void*> thread_{nullptr};  // the first caller writes, all callers read
    ReadyList ready_;
    std::map<Duration, TimerList> timers_;
    Duration now_{};
    std::optional<Random> random_;
    std::uint64_t hash_ = 0;
    EngineStats stats_;
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
    if (n == 1) return 0;
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
    ready_.push_back(Step{&cell, nullptr});
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
    ready_.push_back(Step{nullptr, job});
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

/// One step; time may move to `time_max` for it. False when there is none to take.
bool DeterministicEngine::step(Duration time_max) {
    if (stopped_) return false;
    const bool timer_in_reach = !timers_.empty() && timers_.begin()->first <= time_max;
    if (ready_.empty() && !timer_in_reach) return false;

    // A timer that is due by now may fire before what is runnable; a later one must wait for it.
    const bool timer_competes =
        timer_in_reach && (ready_.empty() || timers_.begin()->first <= now_);
    const std::size_t alternatives = ready_.size() + (timer_competes ? 1 : 0);
    const auto chosen =
        static_cast<std::size_t>(choose(alternatives, ChoiceKind::next_runnable, "next step"));

    const RunningScope running(running_);
    ++stats_.turns;
    if (chosen < ready_.size()) {
        run_ready(chosen);
    } else {
        fire_timer();
    }
    return true;
}

void DeterministicEngine::run_ready(std::size_t index) {
    const Step step = ready_.take(index);
    if (step.cell != nullptr) {
        run_cell(*step.cell);
    } else {
        run_job(*step.job);
    }
}

void DeterministicEngine::run_cell(Cell& cell) {
    note(Event::turn, hash_combine(number_of(cell), static_cast<std::uint64_t>(now_.count())));
    const ContextScope scope(&context_);
    context_.now = now_;
    context_.cell.store(&cell, std::memory_order_relaxed);
    context_.doing.store(nullptr, std::memory_order_relaxed);
    const TurnEnd end = cell.type()->run(cell);
    if (end == TurnEnd::yielded) inject(cell);
}

void DeterministicEngine::run_job(Job& job) {
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
    note(Event::timer, hash_combine(timer.wheel, static_cast<std::uint64_t>(now_.count())));
    const ContextScope scope(nullptr);
    post_signal(*timer.target, timer.generation, &timer);
}

bool DeterministicEngine::run_until(Latch& latch) {
    check_driver();
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
        if (left.job != nullptr) left.job->drop(left.job);
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

std::unique_ptr<Engine> make_deterministic_engine(Chooser& chooser) {
    return std::make_unique<scheduler_internal::DeterministicEngine>(chooser);
}

}  // namespace troupe
