#include <troupe/base/error.hpp>
#include <troupe/scheduler/internal/cpu_relax.hpp>
#include <troupe/scheduler/internal/threaded_engine.hpp>
#include <troupe/scheduler/internal/worker.hpp>
#include <troupe/scheduler/mail_mark.hpp>
#include <troupe/scheduler/mail_stats.hpp>

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace troupe::scheduler_internal {

using namespace std::chrono_literals;

namespace {

// The numbers of docs/design/0004-run-queue.md.
constexpr std::uint32_t kIntervalUs = 100;   // at most one wake-up and one theft in each
constexpr std::uint32_t kStandingUs = 20;    // least age of a queue worth sharing
constexpr std::uint32_t kFairAfterUs = 200;  // from this age on, oldest first
constexpr unsigned kTurnsPerLook = 16;       // between looks at the clock, when turns are short
constexpr unsigned kLooksPerMeasure = 16;    // of how long a message has waited; the same
constexpr unsigned kSendsPerTurn = 1024;     // of sends that wait for room
constexpr unsigned kSendsPerLook = 16;       // at the queue
constexpr std::size_t kCrowd = 128;          // cells in it: others run first
constexpr Duration kShortTurn = 1us;         // longer ones on average: look after each
constexpr Duration kPollEvery = 50us;        // sockets and timers, while there is other work
constexpr Duration kSpin = 20us;             // before sleeping, while others are busy

}  // namespace

Worker::Worker(ThreadedEngine& threads, std::uint32_t index, bool spare, std::uint64_t seed)
    : threads_(threads),
      index_(index),
      spare_(spare),
      starving_us_(queue_stamp(threads.starvation().warns_after())),
      random_(seed) {
    engine = &threads;
    worker = this;
    messages = slice_.first();
    more_messages = &Worker::give_more_messages;
    goes_straight_on = may_go_straight_on = true;
    asks_about_sends = &Worker::others_should_run;
}

// ---- its thread ---------------------------------------------------------------------------------

bool Worker::start() noexcept {
    leaving_.store(false, std::memory_order_relaxed);
    left_.store(false, std::memory_order_relaxed);
    unwatched_ = true;
    started_ = ::pthread_create(&thread_, nullptr, &thread_main, this) == 0;
    return started_;
}

void Worker::join() noexcept {
    if (std::exchange(started_, false)) ::pthread_join(thread_, nullptr);
}

void* Worker::thread_main(void* worker) noexcept {
    auto& self = *static_cast<Worker*>(worker);
    char name[16];  // the kernel's limit
    std::snprintf(name, sizeof name, "troupe-%s-%u", self.spare_ ? "spare" : "work", self.index_);
    ::pthread_setname_np(::pthread_self(), name);
    self.run();
    return nullptr;
}

void Worker::ask_to_leave() noexcept {
    // seq_cst: a spare about to sleep sees it, or is woken.
    leaving_.store(true, std::memory_order_seq_cst);
    reactor_.wake();
}

bool Worker::ends() const noexcept {
    return threads_.stopping() || leaving_.load(std::memory_order_relaxed);
}

void Worker::run() {
    set_current_context(this);
    thread_id_.store(static_cast<int>(::gettid()), std::memory_order_relaxed);
    stack_.enter(__builtin_frame_address(0));
    read_clock();
    for (;;) {
        Cell* const runnable = next_cell();
        if (runnable == nullptr) [[unlikely]] {
            if (!find_more()) break;
            continue;
        }
        run_one(*runnable);
        if (--turns_to_look_ != 0) [[likely]]
            continue;
        look_around();
        if (ends()) break;
    }
    cell.store(nullptr, std::memory_order_relaxed);
    if (!threads_.stopping()) hand_over();
    locals.destroy_all();
    StackCapture::leave();
    set_current_context(nullptr);
    // release: pairs with has_left.
    left_.store(true, std::memory_order_release);
}

/// Waits until there is something to run. False: the worker ends instead.
bool Worker::find_more() noexcept {
    cell.store(nullptr, std::memory_order_relaxed);
    while (!ends()) {
        if (find_work()) {
            if (std::exchange(unwatched_, false)) {
                // The next turn may never end, and what waits behind it must be found by somebody.
                threads_.watchdog().watch();
            }
            return true;
        }
        spin_then_park();
    }
    return false;
}

/// Leaves what is still queued to the others.
void Worker::hand_over() noexcept {
    CellChain cells;
    while (Cell* const left = queue_.pop())
        cells.append(*left);
    if (cells.first != nullptr) threads_.inject(cells);
}

Cell* Worker::next_cell() noexcept {
    if (pinned_.empty()) [[likely]]
        return queue_.pop();
    pinned_is_next_ = !pinned_is_next_;
    Cell* const other = pinned_is_next_ ? nullptr : queue_.pop();
    return other != nullptr ? other : pinned_.pop_front();
}

void Worker::run_one(Cell& runnable) noexcept {
    if (now_us_ - runnable.queued_at_us_ > starving_us_) [[unlikely]]
        note_starved(runnable);
    // release: the watchdog may look into a cell that has just been made; pairs with step.
    cell.store(&runnable, std::memory_order_release);
    sends_left = kSendsPerLook;
    const TurnEnd end = runnable.type()->run(runnable);
    if (end == TurnEnd::yielded) [[unlikely]] {
        mark_mail_left_behind(runnable);
        if (runnable.placed() == Placement::Kind::pinned) {
            keep_pinned(runnable);
        } else {
            queue_.push_back(runnable, now_us_);
        }
    }
    turns_.store(turns() + 1, std::memory_order_relaxed);
}

/// It has waited for long to be run.
void Worker::note_starved(const Cell& waited) noexcept {
    const Duration lasted = queued_for(waited, now);
    if (lasted == Duration::zero()) return;  // queued by a clock that is ahead of ours
    threads_.starvation().note(waited, lasted, now, index_, queue_.size());
}

void Worker::keep_pinned(Cell& placed) noexcept {
    placed.queued_at_us_ = now_us_;
    pinned_.push_back(placed);
}

void Worker::keep(Cell& placed) noexcept {
    if (placed.placed() == Placement::Kind::pinned) {
        keep_pinned(placed);
    } else {
        queue_.push_next(placed, now_us_);
    }
}

void Worker::receive(Cell& placed) noexcept {
    (placed.placed() == Placement::Kind::pinned ? pinned_inbox_ : near_inbox_).push(placed);
}

void Worker::take_inbox() noexcept {
    if (!has_mail()) return;
    const CellChain near = near_inbox_.take_all();
    if (near.first != nullptr) queue_.push_back(near, now_us_);
    for (Cell* placed = pinned_inbox_.take_all().first; placed != nullptr;) {
        Cell* const next = placed->next_runnable_;
        keep_pinned(*placed);
        placed = next;
    }
}

unsigned Worker::give_more_messages(RunningTurn& self, unsigned given) noexcept {
    auto& worker = static_cast<Worker&>(self);
    const Duration spent = worker.threads_.clock() - worker.now;
    const unsigned more = worker.slice_.more(given, spent);
    worker.messages = worker.slice_.first();
    if (more != 0 || spent >= TurnSlice::kTimeMax || !worker.runs_alone()) return more;
    // It would go behind the others, and there are none: its next turn begins here.
    --worker.turns_to_look_;
    worker.turns_.store(worker.turns() + 1, std::memory_order_relaxed);
    return worker.slice_.again();
}

/// Whether the cell that has had its turn would have the next one, with nothing in between.
bool Worker::runs_alone() const noexcept {
    return turns_to_look_ > 1 && !has_work() && !has_mail();
}

bool Worker::others_should_run(RunningTurn& self) noexcept {
    auto& worker = static_cast<Worker&>(self);
    if (std::exchange(worker.sending_turn_, worker.turns()) != worker.turns()) worker.sends_ = 0;
    worker.sends_ += kSendsPerLook;
    const bool enough = worker.sends_ >= kSendsPerTurn || worker.queue_.size() >= kCrowd;
    worker.sends_left = enough ? 1 : kSendsPerLook;
    return enough;
}

void Worker::read_clock() noexcept {
    now = threads_.clock();
    now_us_ = queue_stamp(now);
    mail_stamp = troupe::mail_stamp(now);
}

/// Every few turns: the clock, outsiders' cells, due timers, sockets, and the age of the queue.
void Worker::look_around() noexcept {
    cell.store(nullptr, std::memory_order_relaxed);
    const Duration before = now;
    read_clock();
    turns_per_look_ = now - before > kShortTurn * turns_per_look_ ? 1 : kTurnsPerLook;
    turns_to_look_ = turns_per_look_;
    // The next message says how long it has waited: of short turns one in 256, which is not felt.
    if (turns_per_look_ == 1 || ++looks_ % kLooksPerMeasure == 0) goes_straight_on = false;

    take_inbox();
    take_injected();
    if (now >= next_timer()) fire_timers(now);
    if (now - last_poll_ >= kPollEvery && reactor_.watches() != 0) {
        last_poll_ = now;
        reactor_.poll(Duration::zero());
    }

    const std::uint32_t age = queue_.age_us(now_us_, kFairAfterUs);
    if (queue_.take_was_empty()) least_age_us_ = 0;
    least_age_us_ = std::min(least_age_us_, age);
    if (now_us_ - interval_began_us_ < kIntervalUs) return;
    const bool standing = least_age_us_ > kStandingUs && queue_.size() > 1;
    standing_.store(standing, std::memory_order_relaxed);
    if (standing) threads_.wake_one_if_asleep();
    interval_began_us_ = now_us_;
    least_age_us_ = age;
}

// ---- timers -------------------------------------------------------------------------------------

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

void Worker::fire_timers(Duration due_by) noexcept {
    TimerNode* due = nullptr;
    {
        LockGuard lock(timer_mutex_);
        due = wheel_.advance(due_by);
        next_timer_.store(wheel_.next_due().count(), std::memory_order_relaxed);
    }
    while (due != nullptr) {
        auto* const next = static_cast<TimerNode*>(due->next);
        post_signal(*due->target, due->generation, due);
        due = next;
    }
}

void Worker::drop_timers() noexcept {
    TimerNode* timer = nullptr;
    {
        LockGuard lock(timer_mutex_);
        timer = wheel_.advance(Duration::max());
    }
    while (timer != nullptr) {
        auto* const next = static_cast<TimerNode*>(timer->next);
        timer->ops->drop(timer, Error(Errc::closed));
        timer = next;
    }
}

// ---- work from elsewhere ------------------------------------------------------------------------

/// A spare worker looks for work only while all others are stuck.
bool Worker::may_take() const noexcept {
    return !spare_ || threads_.spares_serve();
}

bool Worker::outsiders_wait() const noexcept {
    return threads_.anything_injected() && may_take();
}

bool Worker::take_injected() noexcept {
    if (!outsiders_wait()) return false;
    const CellChain chain = threads_.take_injected();
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
    if (now >= next_timer()) fire_timers(now);
    take_inbox();
    take_injected();
    if (!has_work() && reactor_.watches() != 0) {
        last_poll_ = now;
        reactor_.poll(Duration::zero());
    }
    return has_work() || (may_take() && steal_from_standing());
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
    const std::size_t count = threads_.workers_made();
    for (std::size_t step = 1; step < count; ++step) {
        Worker& victim = threads_.worker_at((index_ + step) % count);
        // The flag is good for one theft: the victim measures anew before it gives more.
        if (&victim != this && victim.standing_.load(std::memory_order_relaxed) &&
            victim.standing_.exchange(false, std::memory_order_relaxed) && take_from(victim)) {
            return true;
        }
    }
    return false;
}

// ---- sleeping -----------------------------------------------------------------------------------

Duration Worker::time_to_sleep() noexcept {
    const Duration next = next_timer();
    if (next == Duration::max()) return next;
    return std::max(Duration::zero(), next - threads_.clock());
}

void Worker::spin_then_park() noexcept {
    // Spinning pays when another worker is about to produce work, and only then.
    if (threads_.any_busy_but(*this)) {
        const Duration until = now + kSpin;
        do {
            if (outsiders_wait() || has_mail() || ends()) return;
            for (int i = 0; i < 32; ++i)
                cpu_relax();
        } while (threads_.clock() < until);
    }

    // First say that we sleep, then look once more; a publisher publishes first and then looks for
    // sleepers, so one of the two notices.
    threads_.note_asleep(*this);
    while (!outsiders_wait() && !has_mail() && !ends() && !has_work()) {
        const Duration longest = time_to_sleep();
        if (longest > Duration::zero()) {
            parks_.store(parks_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            reactor_.poll(
                longest, [](void* self) noexcept { static_cast<Worker*>(self)->read_clock(); },
                this);
        } else {
            read_clock();
        }
        if (now >= next_timer()) fire_timers(now);
        if (has_work()) break;
        // A waker takes the bit away, so that the next one picks somebody else.
        if (!threads_.is_asleep(*this)) break;
    }
    const bool was_woken = threads_.note_awake(*this);
    unwatched_ = true;
    last_poll_ = now;
    // Woken for a cell of an outsider just when we found work of our own, which may take long.
    if (was_woken && has_work() && threads_.anything_injected()) {
        threads_.wake_one_if_asleep();
    }
}

// ---- what others ask ----------------------------------------------------------------------------

void Worker::note_step(std::uint64_t step, Duration since) noexcept {
    seen_step_.store(kNoStep, std::memory_order_relaxed);
    // release, twice: whoever sees the new time sees no longer the old step, and whoever sees the
    // new step sees the new time; pair with step_lasts.
    seen_since_.store(since.count(), std::memory_order_release);
    seen_step_.store(step, std::memory_order_release);
}

Duration Worker::step_lasts(Duration at) const noexcept {
    // acquire, twice: see note_step.
    const std::uint64_t seen = seen_step_.load(std::memory_order_acquire);
    const Duration since(seen_since_.load(std::memory_order_acquire));
    const bool whole = seen_step_.load(std::memory_order_relaxed) == seen;
    return whole && seen == step() ? std::max(at - since, Duration::zero()) : Duration::zero();
}

Duration Worker::core_time() const noexcept {
    // The clock of a thread, as the kernel numbers them: what pthread_getcpuclockid makes.
    const auto clock = static_cast<clockid_t>(
        (~static_cast<unsigned>(thread_id_.load(std::memory_order_relaxed))) << 3 | 6);
    timespec time{};
    if (::clock_gettime(clock, &time) != 0) return Duration::zero();
    return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

bool Worker::wants_core() const noexcept {
    char path[48];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/stat",
                  thread_id_.load(std::memory_order_relaxed));
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    char text[256];
    const ssize_t size = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    if (size <= 0) return false;
    text[size] = '\0';
    // "17 (name) R ...": the name may hold anything, so from the back.
    const char* const after_name = std::strrchr(text, ')');
    return after_name != nullptr && after_name[1] == ' ' && after_name[2] == 'R';
}

void Worker::add_stats(EngineStats& stats) const noexcept {
    stats.turns += turns();
    stats.steals += steals_.load(std::memory_order_relaxed);
    stats.parks += parks_.load(std::memory_order_relaxed);
    stats.wakes += wakes_.load(std::memory_order_relaxed);
}

}  // namespace troupe::scheduler_internal
