#include <troupe/base/assert.hpp>
#include <troupe/base/clock.hpp>
#include <troupe/scheduler/internal/cpu_relax.hpp>
#include <troupe/scheduler/internal/threaded_engine.hpp>
#include <troupe/scheduler/latch.hpp>

#include <sched.h>

#include <algorithm>
#include <bit>
#include <random>

namespace troupe::scheduler_internal {

using namespace std::chrono_literals;

namespace {

// The numbers of docs/design/0004-run-queue.md.
constexpr std::uint32_t kIntervalUs = 100;   // at most one wake-up and one theft in each
constexpr std::uint32_t kStandingUs = 20;    // least age of a queue worth sharing
constexpr std::uint32_t kFairAfterUs = 200;  // from this age on, oldest first
constexpr unsigned kTurnsPerLook = 16;       // between looks at the clock, when turns are short
constexpr Duration kShortTurn = 1us;         // longer ones on average: look after each
constexpr Duration kPollEvery = 50us;        // sockets and timers, while there is other work
constexpr Duration kSpin = 20us;             // before sleeping, while others are busy
constexpr Duration kSentinelLook = 1ms;
constexpr Duration kBusyLook = 10ms;     // at the others' turns, where no worker is idle
constexpr unsigned kSendsPerTurn = 512;  // then the receivers go first
constexpr std::size_t kCrowd = 128;      // runnable cells: senders should let them run

std::uint64_t machine_seed() {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32 | device();
}

std::size_t usable_cores() noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

std::uint32_t to_us(Duration time) noexcept {
    return static_cast<std::uint32_t>(time.count() / 1000);
}

}  // namespace

// ---- Worker -------------------------------------------------------------------------------------

Worker::Worker(ThreadedEngine& threads, std::uint32_t index, std::uint64_t seed)
    : threads_(threads), index_(index), random_(seed) {
    engine = &threads;
    schedule = &Worker::schedule_here;
    sent_enough = &Worker::has_sent_enough;
}

void Worker::schedule_here(WorkerContext& self, Cell& cell) noexcept {
    auto& worker = static_cast<Worker&>(self);
    worker.queue_.push_next(cell, worker.now_us_);
}

bool Worker::has_sent_enough(WorkerContext& self) noexcept {
    auto& worker = static_cast<Worker&>(self);
    return ++worker.sends_ >= kSendsPerTurn || worker.queue_.size() >= kCrowd;
}

void Worker::run() {
    set_current_context(this);
    read_clock();
    while (!threads_.stopping_.load(std::memory_order_relaxed)) {
        Cell* const cell = queue_.pop();
        if (cell != nullptr) {
            run_one(*cell);
        } else if (!find_work()) {
            spin_then_park();
        }
    }
    set_current_context(nullptr);
}

void Worker::run_one(Cell& cell) noexcept {
    if (unwatched_) [[unlikely]] {
        // This turn may never end, and what waits behind it must be found by somebody.
        unwatched_ = false;
        threads_.appoint_sentinel();
    }
    current = &cell;
    sends_ = 0;
    const TurnEnd end = cell.type()->run(cell);
    current = nullptr;
    if (end == TurnEnd::yielded) queue_.push_back(cell, now_us_);
    turns_.store(turns_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (--turns_to_look_ == 0) look_around();
}

void Worker::read_clock() noexcept {
    now = threads_.clock();
    now_us_ = to_us(now);
}

/// Every few turns: the clock, outsiders' cells, due timers, sockets, and the age of the queue.
void Worker::look_around() noexcept {
    const Duration before = now;
    read_clock();
    turns_per_look_ = now - before > kShortTurn * turns_per_look_ ? 1 : kTurnsPerLook;
    turns_to_look_ = turns_per_look_;

    take_injected();
    if (now.count() >= next_timer_.load(std::memory_order_relaxed)) fire_timers(*this);
    if (now - last_poll_ >= kPollEvery && reactor_.watches() != 0) {
        last_poll_ = now;
        reactor_.poll(Duration::zero());
    }
    if (now - last_rescue_ >= kBusyLook) {
        last_rescue_ = now;
        rescue_from_stuck();
    }

    const std::uint32_t age = queue_.age_us(now_us_, kFairAfterUs);
    if (queue_.take_was_empty()) least_age_us_ = 0;
    least_age_us_ = std::min(least_age_us_, age);
    if (now_us_ - interval_began_us_ < kIntervalUs) return;
    const bool standing = least_age_us_ > kStandingUs && queue_.size() > 1;
    standing_.store(standing, std::memory_order_relaxed);
    if (standing && threads_.asleep_.load(std::memory_order_relaxed) != 0) threads_.wake_one();
    interval_began_us_ = now_us_;
    least_age_us_ = age;
}

void Worker::start_timer(TimerNode* timer) {
    bool first = false;
    {
        LockGuard lock(timer_mutex_);
        timer->wheel = index_;
        wheel_.insert(*timer);
        const Duration::rep due = wheel_.next_due().count();
        first = due < next_timer_.load(std::memory_order_relaxed);
        next_timer_.store(due, std::memory_order_relaxed);
    }
    // Its own thread looks at the wheel before it sleeps; anybody else's timer may end its sleep.
    if (first && current_context() != this) reactor_.wake();
}

bool Worker::cancel_timer(TimerNode* timer) noexcept {
    LockGuard lock(timer_mutex_);
    return wheel_.erase(*timer);
}

void Worker::fire_timers(Worker& owner) noexcept {
    TimerNode* due = nullptr;
    {
        LockGuard lock(owner.timer_mutex_);
        due = owner.wheel_.advance(now);
        owner.next_timer_.store(owner.wheel_.next_due().count(), std::memory_order_relaxed);
    }
    while (due != nullptr) {
        auto* const next = static_cast<TimerNode*>(due->next);
        post_signal(*due->target, due->generation, due);
        due = next;
    }
}

bool Worker::take_injected() noexcept {
    if (threads_.injected_.load(std::memory_order_relaxed) == nullptr) return false;
    // acquire: sees the cells as their schedulers left them; pairs with inject.
    Cell* youngest = threads_.injected_.exchange(nullptr, std::memory_order_acquire);
    CellChain chain;
    Cell* oldest = nullptr;
    while (youngest != nullptr) {
        Cell* const older = youngest->next_runnable_;
        youngest->next_runnable_ = oldest;
        oldest = youngest;
        youngest = older;
    }
    while (oldest != nullptr) {
        Cell* const younger = oldest->next_runnable_;
        chain.append(*oldest);
        oldest = younger;
    }
    if (chain.first == nullptr) return false;
    queue_.push_back(chain, now_us_);
    return true;
}

bool Worker::find_work() noexcept {
    read_clock();
    interval_began_us_ = now_us_;
    least_age_us_ = 0;
    turns_to_look_ = turns_per_look_ = 1;
    standing_.store(false, std::memory_order_relaxed);
    if (now.count() >= next_timer_.load(std::memory_order_relaxed)) fire_timers(*this);
    take_injected();
    if (queue_.size() == 0 && reactor_.watches() != 0) {
        last_poll_ = now;
        reactor_.poll(Duration::zero());
    }
    return queue_.size() != 0 || steal_from_standing();
}

bool Worker::take_from(Worker& victim) noexcept {
    const CellChain stolen = victim.queue_.steal_half();
    if (stolen.first == nullptr) return false;
    steals_.store(steals_.load(std::memory_order_relaxed) + stolen.count,
                  std::memory_order_relaxed);
    queue_.push_back(stolen, now_us_);
    return true;
}

bool Worker::steal_from_standing() noexcept {
    const std::size_t count = threads_.workers_.size();
    for (std::size_t step = 1; step < count; ++step) {
        Worker& victim = *threads_.workers_[(index_ + step) % count];
        // The flag is good for one theft: the victim measures anew before it gives more.
        if (victim.standing_.load(std::memory_order_relaxed) &&
            victim.standing_.exchange(false, std::memory_order_relaxed) && take_from(victim)) {
            return true;
        }
    }
    return false;
}

/// Takes over from workers whose turn has not ended since the last look.
bool Worker::rescue_from_stuck() noexcept {
    bool found = false;
    const std::uint64_t asleep = threads_.asleep_.load(std::memory_order_relaxed);
    seen_turns_.resize(threads_.workers_.size());
    for (std::size_t i = 0; i < threads_.workers_.size(); ++i) {
        if (i == index_) continue;
        Worker& other = *threads_.workers_[i];
        if ((asleep >> i & 1) != 0) continue;
        const std::uint64_t turns = other.turns_.load(std::memory_order_relaxed);
        const bool stuck = turns == seen_turns_[i];
        seen_turns_[i] = turns;
        if (!stuck) continue;
        if (take_from(other)) found = true;
        if (other.reactor_.watches() != 0 && other.reactor_.poll_for_owner()) found = true;
        read_clock();
        if (now.count() >= other.next_timer_.load(std::memory_order_relaxed)) {
            fire_timers(other);
            found = true;
        }
    }
    return found;
}

/// Of a worker that has said it sleeps: whether it is the one who looks. Decides anew each time:
/// the post is given up once all others sleep, and taken when it is free and somebody is busy.
bool Worker::holds_post() noexcept {
    const std::uint32_t me = index_ + 1;
    std::uint32_t none = ThreadedEngine::kNoSentinel;
    // seq_cst, here and below: whoever wakes up takes its bit out of the mask and then looks at the
    // post; we give the post up and then look at the mask. One of the two notices.
    std::uint32_t holder = threads_.sentinel_.load(std::memory_order_seq_cst);
    if (holder == me && !threads_.any_busy_but(index_) &&
        threads_.sentinel_.compare_exchange_strong(holder, none, std::memory_order_seq_cst)) {
        holder = none;
    }
    if (holder != none) return holder == me;
    // seq_cst: see above.
    return threads_.any_busy_but(index_) &&
           threads_.sentinel_.compare_exchange_strong(none, me, std::memory_order_seq_cst);
}

Duration Worker::time_to_sleep() noexcept {
    const Duration::rep next = next_timer_.load(std::memory_order_relaxed);
    if (next == Duration::max().count()) return Duration::max();
    const Duration now_exactly = threads_.clock();
    return next <= now_exactly.count() ? Duration::zero() : Duration(next) - now_exactly;
}

void Worker::spin_then_park() noexcept {
    // Spinning pays when another worker is about to produce work, and only then.
    if (threads_.any_busy_but(index_)) {
        const Duration until = now + kSpin;
        do {
            if (threads_.injected_.load(std::memory_order_relaxed) != nullptr ||
                threads_.stopping_.load(std::memory_order_relaxed)) {
                return;
            }
            for (int i = 0; i < 32; ++i)
                cpu_relax();
        } while (threads_.clock() < until);
    }

    const std::uint64_t bit = std::uint64_t{1} << index_;
    // seq_cst: first say that we sleep, then look once more; a publisher publishes first and then
    // reads the mask, so one of the two notices.
    threads_.asleep_.fetch_or(bit, std::memory_order_seq_cst);
    while (threads_.injected_.load(std::memory_order_seq_cst) == nullptr &&
           !threads_.stopping_.load(std::memory_order_seq_cst) && queue_.size() == 0) {
        const bool sentinel = holds_post();
        Duration longest = time_to_sleep();
        if (sentinel) longest = std::min(longest, kSentinelLook);
        if (longest > Duration::zero()) {
            parks_.store(parks_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            reactor_.poll(longest);
        }
        read_clock();
        if (now.count() >= next_timer_.load(std::memory_order_relaxed)) fire_timers(*this);
        if (queue_.size() != 0) break;
        // A waker takes the bit away, so that the next one picks somebody else.
        if ((threads_.asleep_.load(std::memory_order_relaxed) & bit) == 0) break;
        if (sentinel && rescue_from_stuck()) break;
    }
    // seq_cst, both: first awake, then a look at the post; see ThreadedEngine::appoint_sentinel.
    const bool was_woken = (threads_.asleep_.fetch_and(~bit, std::memory_order_seq_cst) & bit) == 0;
    std::uint32_t holder = threads_.sentinel_.load(std::memory_order_seq_cst);
    if (holder == index_ + 1) {
        // seq_cst: whoever reads the mask after us finds the post free.
        threads_.sentinel_.compare_exchange_strong(holder, ThreadedEngine::kNoSentinel,
                                                   std::memory_order_seq_cst);
    }
    unwatched_ = true;
    last_poll_ = now;
    last_rescue_ = now;
    // Woken for a cell of an outsider just when we found work of our own, which may take long.
    if (was_woken && queue_.size() != 0 &&
        threads_.injected_.load(std::memory_order_relaxed) != nullptr) {
        threads_.wake_one();
    }
}

void Worker::add_stats(EngineStats& stats) const noexcept {
    stats.turns += turns_.load(std::memory_order_relaxed);
    stats.steals += steals_.load(std::memory_order_relaxed);
    stats.parks += parks_.load(std::memory_order_relaxed);
    stats.wakes += wakes_.load(std::memory_order_relaxed);
}

// ---- ThreadedEngine -----------------------------------------------------------------------------

ThreadedEngine::ThreadedEngine(const ThreadedOptions& options)
    : Engine(false),
      began_(monotonic_now()),
      coarse_lag_(coarse_monotonic_lag()),
      pool_(BlockingPoolOptions{.threads_max = options.blocking_threads_max,
                                .jobs_max = options.blocking_jobs_max}),
      outside_random_(options.seed != 0 ? options.seed : machine_seed()) {
    prepare_biased_locks();
    // The mask of sleepers has 64 bits.
    const std::size_t count =
        std::min<std::size_t>(64, options.workers != 0 ? options.workers : usable_cores());
    for (std::size_t i = 0; i < count; ++i) {
        workers_.push_back(
            std::make_unique<Worker>(*this, static_cast<std::uint32_t>(i), random()));
    }
    for (auto& worker : workers_) {
        worker->thread_ = std::thread([raw = worker.get()] { raw->run(); });
    }
}

ThreadedEngine::~ThreadedEngine() {
    stop();
}

Duration ThreadedEngine::clock() const noexcept {
    return monotonic_now() - began_;
}

Duration ThreadedEngine::now() const noexcept {
    return clock();
}

Duration ThreadedEngine::coarse_now() const noexcept {
    // The coarse clock may still show a time before the engine began.
    return std::max(Duration::zero(), coarse_monotonic_now() - began_);
}

Duration ThreadedEngine::wall_now() const noexcept {
    return troupe::wall_now();
}

std::uint64_t ThreadedEngine::random() {
    WorkerContext* const context = current_context();
    if (context != nullptr && context->engine == this) {
        return static_cast<Worker*>(context)->random();
    }
    LockGuard lock(random_mutex_);
    return outside_random_.next();
}

std::uint64_t ThreadedEngine::choose(std::uint64_t n, ChoiceKind, const char*) {
    TROUPE_ASSERT(n != 0, "choose among no alternatives");
    // The bias of the remainder is below 2^-32 for the small n that choices have.
    return random() % n;
}

void ThreadedEngine::start_timer(TimerNode* timer) {
    WorkerContext* const context = current_context();
    if (context != nullptr && context->engine == this) {
        static_cast<Worker*>(context)->start_timer(timer);
    } else {
        workers_.front()->start_timer(timer);
    }
}

bool ThreadedEngine::cancel_timer(TimerNode* timer) noexcept {
    return workers_[timer->wheel]->cancel_timer(timer);
}

Result<void> ThreadedEngine::offload(Job* job) {
    return pool_.submit(job);
}

Reactor* ThreadedEngine::reactor() noexcept {
    // Sockets are spread over the workers in turn; each runs its owner where it is watched.
    const std::uint32_t index = next_reactor_.fetch_add(1, std::memory_order_relaxed);
    return &workers_[index % workers_.size()]->reactor();
}

bool ThreadedEngine::run_until(Latch& latch) {
    TROUPE_ASSERT(current_context() == nullptr,
                  "block_on was called on a worker: it would block all actors there; use co_await");
    latch.wait();
    return true;
}

void ThreadedEngine::run_for(Duration) {
    TROUPE_ASSERT(false, "virtual time can be moved on the deterministic engine only");
}

void ThreadedEngine::settle() {
    TROUPE_ASSERT(false, "only the deterministic engine knows when everything has settled");
}

void ThreadedEngine::stop() {
    if (stopped_) return;
    WorkerContext* const context = current_context();
    TROUPE_ASSERT(context == nullptr || context->engine != this,
                  "stop() was called on a worker of the engine: a worker cannot wait for its own "
                  "end");
    stopped_ = true;
    pool_.stop();
    // seq_cst: a worker about to sleep sees it or is woken below.
    stopping_.store(true, std::memory_order_seq_cst);
    for (auto& worker : workers_)
        worker->reactor().wake();
    for (auto& worker : workers_)
        worker->thread_.join();
    end_services();
    for (auto& worker : workers_) {
        TimerNode* timer = nullptr;
        {
            LockGuard lock(worker->timer_mutex_);
            timer = worker->wheel_.advance(Duration::max());
        }
        while (timer != nullptr) {
            auto* const next = static_cast<TimerNode*>(timer->next);
            timer->ops->drop(timer, Error(Errc::closed));
            timer = next;
        }
    }
}

EngineStats ThreadedEngine::stats() const noexcept {
    EngineStats stats;
    for (const auto& worker : workers_)
        worker->add_stats(stats);
    return stats;
}

void ThreadedEngine::inject(Cell& cell) noexcept {
    Cell* top = injected_.load(std::memory_order_relaxed);
    do {
        cell.next_runnable_ = top;
        // seq_cst: published before the mask of sleepers is read; also releases the cell.
    } while (!injected_.compare_exchange_weak(top, &cell, std::memory_order_seq_cst,
                                              std::memory_order_relaxed));
    // seq_cst: see spin_then_park.
    if (asleep_.load(std::memory_order_seq_cst) != 0) wake_one();
}

void ThreadedEngine::wake_one() noexcept {
    // seq_cst: see spin_then_park.
    std::uint64_t mask = asleep_.load(std::memory_order_seq_cst);
    while (mask != 0) {
        const std::uint64_t bit = mask & (~mask + 1);
        // acq_rel: one waker per sleeper.
        if ((asleep_.fetch_and(~bit, std::memory_order_acq_rel) & bit) != 0) {
            Worker& worker = *workers_[static_cast<std::size_t>(__builtin_ctzll(bit))];
            worker.wakes_.fetch_add(1, std::memory_order_relaxed);
            worker.reactor_.wake();
            return;
        }
        mask &= ~bit;
    }
}

/// Sees to it that a sleeper looks after those who are awake, the caller among them.
void ThreadedEngine::appoint_sentinel() noexcept {
    // seq_cst, throughout: we write the post and then read the mask, a worker that wakes up writes
    // the mask and then reads the post. Each round ends it, or finds one sleeper less.
    while (sentinel_.load(std::memory_order_seq_cst) == kNoSentinel) {
        const std::uint64_t mask = asleep_.load(std::memory_order_seq_cst);
        if (mask == 0) return;  // whoever goes to sleep next takes the post
        // The last of them: those who are woken for work are the first.
        const auto index = static_cast<std::uint32_t>(std::bit_width(mask) - 1);
        std::uint32_t holder = kNoSentinel;
        // seq_cst, both: see above.
        if (!sentinel_.compare_exchange_strong(holder, index + 1, std::memory_order_seq_cst))
            return;
        if ((asleep_.load(std::memory_order_seq_cst) >> index & 1) != 0) {
            // It stays asleep, only less deeply: its bit is left for those who have work.
            workers_[index]->reactor_.wake();
            return;
        }
        holder = index + 1;
        // seq_cst: it woke up before it could see the post. If it is free, the worker has seen it.
        sentinel_.compare_exchange_strong(holder, kNoSentinel, std::memory_order_seq_cst);
    }
}

bool ThreadedEngine::any_busy_but(std::uint32_t index) const noexcept {
    const std::uint64_t all =
        workers_.size() == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << workers_.size()) - 1;
    const std::uint64_t others = all & ~(std::uint64_t{1} << index);
    // seq_cst: see Worker::holds_post.
    return (asleep_.load(std::memory_order_seq_cst) & others) != others;
}

}  // namespace troupe::scheduler_internal

namespace troupe {

std::unique_ptr<Engine> make_threaded_engine(const ThreadedOptions& options) {
    return std::make_unique<scheduler_internal::ThreadedEngine>(options);
}

}  // namespace troupe
