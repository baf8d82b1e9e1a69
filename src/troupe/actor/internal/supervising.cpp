#include <troupe/actor/accounting.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/supervising.hpp>
#include <troupe/base/log.hpp>
#include <troupe/scheduler/engine.hpp>

#include <atomic>
#include <utility>

namespace troupe {

namespace {
constinit std::atomic<std::uint64_t> supervisors_seen{0};                            // any thread
constinit std::atomic<void (*)(const RestartNews&) noexcept> restart_hook{nullptr};  // any thread
}  // namespace

void watch_restarts(void (*hook)(const RestartNews& news) noexcept) noexcept {
    restart_hook.store(hook, std::memory_order_relaxed);
}

void tell_of_restart(const RestartNews& news) noexcept {
    // relaxed: whoever watches has said so before there was a supervisor.
    if (const auto hook = restart_hook.load(std::memory_order_relaxed)) hook(news);
}

}  // namespace troupe

namespace troupe::actor_internal {

const MailOps ChildTimer::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<ChildTimer*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const timer = static_cast<ChildTimer*>(node);
        if (Keeper* const keeper = keeper_at(cell)) {
            static_cast<Supervising*>(keeper)->time_is_up(*timer);
        }
        free_node(timer);
        return false;
    }};

const MailOps EndWaiter::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { static_cast<EndWaiter*>(node)->go_back(); },
    [](MailNode* node, Cell& cell) {
        auto* const waiter = static_cast<EndWaiter*>(node);
        auto* const supervisor = static_cast<Supervising*>(keeper_at(cell));
        if (supervisor == nullptr) {
            waiter->go_back();
        } else {
            waiter->next_waiter = supervisor->end_waiters_;
            supervisor->end_waiters_ = waiter;
        }
        return false;
    }};

const MailOps EndWaiter::kBackOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<EndWaiter*>(node)); },
    &arrive_as_answer};

void EndWaiter::go_back() noexcept {
    ops = &kBackOps;
    tag = await_number;
    post_signal(*waits, waits_generation, this);
}

const NewsOps AttendNews::kOps{
    {MailKind::signal,
     [](MailNode* node, const Error&) noexcept { free_node(static_cast<AttendNews*>(node)); },
     nullptr},
    [](News* news, Cell& hearer) -> MailNode* {
        auto* const mine = static_cast<AttendNews*>(news);
        MailNode* const message = make_call<&Supervising::attend, false>(mine->offset);
        message->generation = hearer.generation();
        free_node(mine);
        return message;
    }};

Supervising::Supervising(std::string_view path, RestartLimit limit)
    : path_(path),
      limit_(std::move(limit)),
      number_(supervisors_seen.fetch_add(1, std::memory_order_relaxed)) {}

Supervising::~Supervising() {
    while (end_waiters_ != nullptr)
        std::exchange(end_waiters_, end_waiters_->next_waiter)->go_back();
}

// ---- orders -------------------------------------------------------------------------------------

void Supervising::start(std::uint64_t child, ChildRecord& record) {
    forget_timer(record);
    record.state = ChildRecord::State::starting;
    record.order = post_start_order(*record.at.cell, record.at.generation, child);
}

void Supervising::stop(std::uint64_t child, ChildRecord& record, Stop strength, After after) {
    forget_timer(record);
    using State = ChildRecord::State;
    const bool lives = record.state == State::starting || record.state == State::running ||
                       record.state == State::stopping;
    const bool has_address = record.at.cell != nullptr && !record.address_ended;
    if (!lives && (after == After::keep || !has_address)) {
        record.state = State::down;  // there is nobody to stop
        return;
    }
    post_stop(record.at.cell, record.at.generation, strength,
              ExitReason(ExitReason::Kind::shutdown), after);
    record.state = State::stopping;
    // A vacant address has no actor whose end would be news; but an order that it does not carry
    // out any more comes back as well.
    if (!lives) record.order = post_start_order(*record.at.cell, record.at.generation, child);
}

void Supervising::stop_and_kill_late(std::uint64_t child, ChildRecord& record) {
    const Duration patience = record.policy->shutdown;
    stop(child, record, patience == kBrutal ? Stop::kill : Stop::stop, After::end);
    if (record.state == ChildRecord::State::stopping && patience != kBrutal &&
        patience != kForever) {
        set_timer(child, record, patience);
    }
}

Task<void> Supervising::stop_in_time(std::uint64_t child, ChildRecord& record, After after) {
    const Duration patience = record.policy->shutdown;
    stop(child, record, patience == kBrutal ? Stop::kill : Stop::stop, after);
    const bool for_ever = patience == kForever || patience == kBrutal;
    Duration deadline = for_ever ? kForever : now() + patience;
    while (record.state == ChildRecord::State::stopping) {
        const Change::Came came = co_await change_until(deadline);
        if (came != Change::Came::deadline) continue;
        log_warn("a child has not ended in time and is killed",
                 {{"supervisor", path_}, {"child", record.name}});
        stop(child, record, Stop::kill, after);
        deadline = kForever;
    }
}

void Supervising::end_itself(ExitReason reason) {
    ending_ = true;
    self(this).stop(Stop::stop, std::move(reason));
}

// ---- news ---------------------------------------------------------------------------------------

bool Supervising::child_started(const StartedNews& news) {
    ChildRecord* const record = find(news.child);
    if (record == nullptr || record->order != news.number) return false;
    record->started_at = now();
    if (record->state == ChildRecord::State::starting) {
        record->state = ChildRecord::State::running;
        has_started(news.child, *record);
    }
    return waiting_;
}

bool Supervising::child_ended(const StartOrder& news) {
    ChildRecord* const record = find(news.child);
    if (record == nullptr || record->order != news.number) return false;
    const bool expected = record->state == ChildRecord::State::stopping;
    record->state = ChildRecord::State::down;
    record->was_started = news.was_started;
    record->address_ended = news.address_ended;
    record->has_ended = true;
    // That nobody was there to be stopped is no reason of anybody's.
    if (!expected || news.was_started) record->reason = news.reason;
    if (news.was_started &&
        backoff_resets(*record->policy, now() - record->started_at, news.was_healthy)) {
        record->failures = 0;
    }
    if (expected) {
        has_stopped(news.child, *record);
    } else {
        note(news.child, news.number);
    }
    return waiting_;
}

void Supervising::time_is_up(const ChildTimer& timer) {
    ChildRecord* const record = find(timer.child);
    if (record == nullptr || record->timer != &timer) return;
    record->timer = nullptr;
    if (record->state == ChildRecord::State::stopping) {
        stop(timer.child, *record, Stop::kill, After::end);
    } else {
        note(timer.child, timer.order);
    }
}

/// Has something done about the child, when it is its turn.
void Supervising::note(std::uint64_t child, std::uint64_t order) {
    events_.push_back({child, order});
    if (std::exchange(attending_, true)) return;
    const Ref<Supervising> me = self(this);
    auto* const news = make_node<AttendNews>();
    news->ops = &AttendNews::kOps;
    news->offset = RefAccess::offset(me);
    hear(*RefAccess::cell(me), news);
}

Task<void> Supervising::attend() {
    while (!events_.empty() && !ending_) {
        const Event event = events_.front();
        events_.pop_front();
        ChildRecord* const record = find(event.child);
        // Meanwhile it may have been stopped or started again, with its siblings.
        if (record == nullptr || record->order != event.order) continue;
        if (record->state == ChildRecord::State::down) {
            if (!wants_restart(event.child, *record)) continue;
        } else if (record->state != ChildRecord::State::waiting) {
            continue;
        }
        if (!count_restart(*record)) break;
        Task<void> restarting = restart(event.child, *record);
        if (!restarting.empty()) co_await std::move(restarting);
    }
    attending_ = false;
}

/// Whether a child that has ended is to be started again now.
bool Supervising::wants_restart(std::uint64_t child, ChildRecord& record) {
    if (!record.was_started && was_refused(child, record)) return false;
    if (record.address_ended) {
        finished(child, record);
        return false;
    }
    ++record.failures;
    const bool waits = record.policy->backoff_first > Duration::zero();
    const Duration delay =
        waits ? backoff_delay(*record.policy, record.failures, system().engine().random())
              : Duration::zero();
    if (delay <= Duration::zero()) return true;
    record.state = ChildRecord::State::waiting;
    set_timer(child, record, delay);
    return false;
}

/// A restart counts when it happens, not when it is planned. False when it is one too many.
bool Supervising::count_restart(ChildRecord& record) {
    if (limit_.allow(now())) {
        ++record.restarts;
        tell_of_restart({number_, now(), limit_.max(), limit_.window()});
        log_info("a child is started again",
                 {{"supervisor", path_},
                  {"child", record.name},
                  {"reason", record.reason.text()},
                  {"restarts_left", static_cast<std::int64_t>(limit_.left(now()))}});
        return true;
    }
    const std::string seconds = std::to_string(
        std::chrono::duration_cast<std::chrono::milliseconds>(limit_.window()).count());
    std::string chain = "supervisor \"" + path_ + "\" has given up: more than " +
                        std::to_string(limit_.max()) + " restarts within " + seconds +
                        " ms; child \"" + std::string(record.name) +
                        "\" ended last: " + record.reason.text();
    log_error("a supervisor gives up",
              {{"supervisor", path_}, {"child", record.name}, {"reason", record.reason.text()}});
    end_itself(ExitReason(ExitReason::Kind::shutdown_with, chain));
    return false;
}

// ---- waiting ------------------------------------------------------------------------------------

void Supervising::set_timer(std::uint64_t child, ChildRecord& record, Duration delay) {
    Cell& cell = *RefAccess::cell(self(this));
    auto* const timer = make_node<ChildTimer>();
    timer->ops = &ChildTimer::kOps;
    timer->target = &cell;
    timer->generation = cell.generation();
    timer->deadline = now() + delay;
    timer->child = child;
    timer->order = record.order;
    record.timer = timer;
    cell.engine().start_timer(timer);
}

void Supervising::forget_timer(ChildRecord& record) noexcept {
    ChildTimer* const timer = std::exchange(record.timer, nullptr);
    // One that is on its way already finds that nobody waits for it.
    if (timer != nullptr && timer->target->engine().cancel_timer(timer)) free_node(timer);
}

void Supervising::Change::suspend(std::coroutine_handle<> self) {
    Cell& cell = begin_await(awaiting_, self);
    if (deadline_ != kForever) arm_deadline(cell, deadline_);
    supervisor_.waiting_ = true;
}

Supervising::Change::Came Supervising::Change::await_resume() noexcept {
    supervisor_.waiting_ = false;
    if (awaiting_.cancelled) {
        supervisor_.ending_ = true;
        return Came::stop;
    }
    return awaiting_.timed_out ? Came::deadline : Came::news;
}

void Supervising::fill(ChildInfo& info, const ChildRecord& record) const {
    info.path = path_ + "/" + std::string(record.name);
    if (record.at.cell != nullptr) info.pid = pid_of(record.at.cell, record.at.generation);
    info.state = record.state;
    info.restart = record.policy->restart;
    info.restarts = record.restarts;
    if (record.has_ended) info.last_end = record.reason.text();
    info.restarts_left = limit_.left(now());
}

}  // namespace troupe::actor_internal
