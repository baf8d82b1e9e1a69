#include <troupe/base/assert.hpp>
#include <troupe/base/log.hpp>
#include <troupe/scheduler/internal/threaded_engine.hpp>
#include <troupe/scheduler/internal/watchdog.hpp>
#include <troupe/scheduler/internal/worker.hpp>

#include <algorithm>
#include <bit>
#include <memory>
#include <string>
#include <utility>

namespace troupe::scheduler_internal {

using namespace std::chrono_literals;

namespace {

constexpr Duration kAnswerTime = 20ms;  // for a thread to say where it stands

/// A report on its way to the log and the listeners: names are looked up on the blocking pool,
/// because reading debug information takes longer than workers may wait for the watchdog.
struct ReportJob : Job {
    ReportJob(Engine& its_engine, StallReport its_report, std::vector<std::uintptr_t> its_frames)
        : engine(its_engine), report(std::move(its_report)), frames(std::move(its_frames)) {
        run = [](Job* job) noexcept {
            const std::unique_ptr<ReportJob> self(static_cast<ReportJob*>(job));
            self->report.backtrace = symbolise(self->frames);
            self->tell();
        };
        drop = [](Job* job) noexcept { delete static_cast<ReportJob*>(job); };
    }

    void tell() const {
        std::string at;
        for (const std::string& frame : report.backtrace) {
            if (!at.empty()) at += " < ";
            at += frame;
        }
        log_warn("a turn keeps its worker", {{"pid", "<0." + std::to_string(report.slot) + "." +
                                                         std::to_string(report.generation) + ">"},
                                             {"type", report.type},
                                             {"method", report.method},
                                             {"lasted", report.lasted},
                                             {"on_core", report.on_core},
                                             {"worker", report.worker},
                                             {"unreported", report.unreported},
                                             {"at", at}});
        engine.tell_stall_listeners(report);
    }

    Engine& engine;
    StallReport report;
    std::vector<std::uintptr_t> frames;
};

}  // namespace

Watchdog::Watchdog(ThreadedEngine& engine, Duration stall_after, bool backtraces)
    : engine_(engine),
      stall_after_(std::max(stall_after, kLook)),
      lone_look_(std::clamp(stall_after_ / 2, kLook, kLoneLook)),
      backtraces_(backtraces && StackCapture::prepare()),
      watched_(engine.workers_max()) {
    for (Watched& seen : watched_)
        begin_watching(seen, 0, engine.clock());
}

void Watchdog::start() {
    started_ = ::pthread_create(&thread_, nullptr, &thread_main, this) == 0;
    TROUPE_ASSERT(started_, "the machine has no thread left for the scheduler's watchdog");
}

void Watchdog::stop() noexcept {
    if (!std::exchange(started_, false)) return;
    stopping_.store(true, std::memory_order_relaxed);
    reactor_.wake();
    ::pthread_join(thread_, nullptr);
}

void* Watchdog::thread_main(void* watchdog) noexcept {
    ::pthread_setname_np(::pthread_self(), "troupe-watchdog");
    static_cast<Watchdog*>(watchdog)->run();
    return nullptr;
}

void Watchdog::run() {
    while (!stopping_.load(std::memory_order_relaxed)) {
        const Duration pause = look();
        if (pause <= kLoneLook) {
            reactor_.poll(pause);
        } else {
            park(pause);
        }
    }
}

void Watchdog::park(Duration longest) noexcept {
    // seq_cst: see the top of the header.
    watching_.store(false, std::memory_order_seq_cst);
    if (all_asleep()) reactor_.poll(longest);
    watching_.store(true, std::memory_order_relaxed);
}

std::uint64_t Watchdog::everybody() const noexcept {
    return engine_.regular_workers() | (running_spares_ & ~leaving_spares_);
}

bool Watchdog::all_asleep() const noexcept {
    const std::uint64_t all = engine_.regular_workers() | running_spares_;
    return (engine_.asleep() & all) == all;
}

/// Looks at everybody once. Returns how long to wait for the next look; longer than kLoneLook means
/// until somebody wakes up.
Duration Watchdog::look() {
    const Duration now = engine_.clock();
    const std::uint64_t asleep = engine_.asleep();
    const bool help_sleeps = (asleep & everybody()) != 0;
    const std::size_t regular = engine_.workers();
    bool all_slow = true;
    bool all_stuck = true;
    bool spare_free = false;
    bool report_is_due = false;  // of a turn that may have ended just when its thread was asked
    Duration pause = help_sleeps ? kLook : kBusyLook;
    if (regular == 1 && running_spares_ == 0) pause = lone_look_;
    for (std::size_t i = 0; i < engine_.workers_made(); ++i) {
        const bool spare = i >= regular;
        if (spare && !spare_is_running(i)) continue;
        Worker& worker = engine_.worker_at(i);
        const Duration stuck_for = observe(worker, watched_[i], (asleep & worker.bit()) != 0, now);
        if (stuck_for != Duration::zero()) {
            pause = kLook;
            stand_in(worker, stuck_for, now, help_sleeps);
            look_closer(worker, watched_[i], stuck_for, now);
            report_is_due = report_is_due || watched_[i].asked;
            // Its timers must not wait for the next look.
            pause = std::min(pause, std::max(Duration::zero(), worker.next_timer() - now));
        }
        if (spare) {
            spare_free = spare_free || stuck_for < stall_after_;
        } else {
            all_slow = all_slow && stuck_for != Duration::zero();
            all_stuck = all_stuck && stuck_for >= stall_after_;
        }
    }
    manage_spares(all_slow, all_stuck, spare_free, now);
    if (report_is_due || !all_asleep()) return pause;
    return running_spares_ != 0 ? std::max(kLoneLook * 2, spares_needed_ + kSpareLinger - now)
                                : Duration::max();
}

/// For how long the worker has been in the turn it runs, by what looks have shown; 0 when it sleeps
/// or has had another since the last look.
Duration Watchdog::observe(Worker& worker, Watched& seen, bool asleep, Duration now) {
    if (const std::uint64_t step = worker.step(); step != seen.step) {
        seen.step = step;
        worker.note_step(step, now);
    }
    const std::uint64_t turns = worker.turns();
    if (!asleep && turns == seen.turns) {
        // What woke us may have come sooner than the next look was due.
        const Duration stuck_for = now - seen.since;
        return stuck_for >= kLook ? stuck_for : Duration::zero();
    }
    if (seen.slow) reactor_.leave(worker.reactor());
    if (seen.asked) report(worker, seen, now - seen.since, false);
    begin_watching(seen, turns, now);
    return Duration::zero();
}

void Watchdog::begin_watching(Watched& seen, std::uint64_t turns, Duration now) noexcept {
    const std::uint64_t step = seen.step;
    seen = Watched();
    seen.step = step;
    seen.turns = turns;
    seen.since = now;
    seen.next_report = stall_after_;
}

/// Serves what the worker cannot.
void Watchdog::stand_in(Worker& worker, Duration stuck_for, Duration now, bool help_sleeps) {
    if (stuck_for >= stall_after_) {
        hand_over(worker.queue().steal_all());
    } else if (help_sleeps) {
        hand_over(worker.queue().steal_half());
    }
    if (worker.has_mail()) hand_over(worker.take_near());
    if (worker.reactor().watches() != 0) worker.reactor().poll_for_owner();
    if (now >= worker.next_timer()) worker.fire_timers(now);
}

void Watchdog::hand_over(const CellChain& cells) noexcept {
    if (cells.first == nullptr) return;
    handed_over_.fetch_add(cells.count, std::memory_order_relaxed);
    engine_.inject(cells);
}

// ---- reports ------------------------------------------------------------------------------------

void Watchdog::look_closer(Worker& worker, Watched& seen, Duration stuck_for, Duration now) {
    if (!std::exchange(seen.slow, true)) {
        reactor_.join(worker.reactor());
        seen.core_time = worker.core_time();
    }
    if (seen.asked) {
        // Still in the turn it was asked in, so it answered in that turn.
        if (worker.stack().answered() && worker.turns() == seen.turns) {
            report(worker, seen, stuck_for, true);
        } else if (now - seen.asked_at > kAnswerTime) {
            report(worker, seen, stuck_for, false);
        }
    } else if (stuck_for >= seen.next_report) {
        ask(worker, seen, stuck_for, now);
    }
}

void Watchdog::ask(Worker& worker, Watched& seen, Duration stuck_for, Duration now) {
    const Cell* const cell = worker.cell.load(std::memory_order_relaxed);
    if (cell == nullptr) return;
    // A thread that wants a core and gets none is not to blame; it is when it has had one for so
    // long, or blocks.
    if (worker.core_time() - seen.core_time < stall_after_ && worker.wants_core()) return;
    seen.slot = cell->slot();
    seen.generation = cell->generation();
    seen.type = cell->type();
    seen.doing = worker.doing.load(std::memory_order_relaxed);
    if (worker.turns() != seen.turns) return;  // it has just ended
    if (!std::exchange(seen.counted, true)) stalls_.fetch_add(1, std::memory_order_relaxed);
    seen.next_report *= 10;
    const StallLog::Verdict verdict = log_.note({seen.type, seen.doing}, stuck_for, now);
    if (!verdict.report) return;
    seen.unreported = verdict.unreported;
    if (!backtraces_) return report(worker, seen, stuck_for, false);
    seen.asked = true;
    seen.asked_at = now;
    worker.ask_where();
}

void Watchdog::report(Worker& worker, Watched& seen, Duration lasted, bool with_backtrace) {
    seen.asked = false;
    StallReport report;
    report.slot = seen.slot;
    report.generation = seen.generation;
    report.type = std::string(seen.type->name);
    if (seen.doing != nullptr) report.method = std::string(*seen.doing);
    report.worker = worker.index();
    report.lasted = lasted;
    report.on_core = worker.core_time() - seen.core_time;
    report.unreported = seen.unreported;
    std::vector<std::uintptr_t> frames;
    if (with_backtrace) frames = worker.stack().take();
    auto job = std::make_unique<ReportJob>(engine_, std::move(report), std::move(frames));
    ReportJob* const taken_over = job.release();
    // A pool with ten thousand jobs waiting takes no more; the stall is counted anyway.
    if (!engine_.offload(taken_over)) job.reset(taken_over);
}

// ---- spare workers ------------------------------------------------------------------------------

void Watchdog::manage_spares(bool all_slow, bool all_stuck, bool spare_free, Duration now) {
    join_left();
    if (all_stuck) spares_needed_ = now;
    engine_.let_spares_serve(all_slow ? running_spares_ & ~leaving_spares_ : 0);
    if (all_slow && engine_.anything_injected()) {
        engine_.wake_one_if_asleep();
        if (all_stuck && !spare_free) start_spare();
    }
    if (all_slow || now - spares_needed_ < kSpareLinger) return;
    for (std::uint64_t left = running_spares_ & ~leaving_spares_; left != 0; left &= left - 1) {
        engine_.worker_at(static_cast<std::size_t>(std::countr_zero(left))).ask_to_leave();
    }
    leaving_spares_ = running_spares_;
}

void Watchdog::start_spare() {
    for (std::size_t i = engine_.workers(); i < engine_.workers_max(); ++i) {
        if (spare_is_running(i)) continue;
        Worker& spare = engine_.make_spare(i);
        if (!spare.start()) return;  // no thread to be had: another look, another try
        begin_watching(watched_[i], spare.turns(), engine_.clock());
        running_spares_ |= spare.bit();
        engine_.let_spares_serve(running_spares_ & ~leaving_spares_);
        spares_started_.fetch_add(1, std::memory_order_relaxed);
        spares_now_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
}

void Watchdog::join_left() {
    for (std::uint64_t leaving = leaving_spares_; leaving != 0; leaving &= leaving - 1) {
        Worker& spare = engine_.worker_at(static_cast<std::size_t>(std::countr_zero(leaving)));
        if (!spare.has_left()) continue;
        spare.join();
        running_spares_ &= ~spare.bit();
        leaving_spares_ &= ~spare.bit();
        spares_now_.fetch_sub(1, std::memory_order_relaxed);
    }
}

void Watchdog::add_stats(EngineStats& stats) const noexcept {
    stats.stalls += stalls_.load(std::memory_order_relaxed);
    stats.handed_over += handed_over_.load(std::memory_order_relaxed);
    stats.spares_started += spares_started_.load(std::memory_order_relaxed);
    stats.spares += static_cast<std::size_t>(spares_now_.load(std::memory_order_relaxed));
}

}  // namespace troupe::scheduler_internal
