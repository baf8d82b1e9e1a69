#include <troupe/actor/accounting.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/look.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/own_mail.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/internal/whereabouts.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/log.hpp>
#include <troupe/scheduler/mail_mark.hpp>
#include <troupe/scheduler/mail_stats.hpp>
#include <troupe/scheduler/scope.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

namespace troupe {

namespace actor_internal {

void tell_hooks_of_stalls(Engine& engine);
void post_stop(Cell* cell, std::uint32_t generation, Stop strength, ExitReason reason,
               bool top_level_only) noexcept;

using namespace std::chrono_literals;

namespace {

// Between two looks at whether all have ended: short, since most systems end in an instant.
constexpr Duration kPauseMin = 100us;
constexpr Duration kPauseMax = 5ms;

void free_waiter(MailNode* node) noexcept {
    free_block(node, sizeof(MailNode));
}

const MailOps kStopRequestedOps{MailKind::signal,
                                [](MailNode* node, const Error&) noexcept { free_waiter(node); },
                                &arrive_as_answer};

}  // namespace

bool SystemCore::is_alive(const Cell& cell) noexcept {
    const CellState state = cell.state();
    return is_actor(cell) && state != CellState::free && state != CellState::ended;
}

SystemCore::SystemCore(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {
    engine_->set_host(this);
    if (!engine_->deterministic()) tell_hooks_of_stalls(*engine_);
}

SystemCore* SystemCore::find(const Cell* cell) noexcept {
    // An address may outlive its system.
    Engine* const engine = cell != nullptr ? cell->find_engine() : current_engine();
    return engine != nullptr ? static_cast<SystemCore*>(engine->host()) : nullptr;
}

DeadLetters SystemCore::dead_letters() const noexcept {
    DeadLetters letters;
    for (std::size_t i = 0; i < kDeadLetterReasons; ++i) {
        letters.by_reason[i] = dead_letters_[i].value();
    }
    return letters;
}

namespace {

const MailNode* inner_message(const MailNode* message) noexcept {
    if (message->ops == &WaitingSend::kOps)
        return static_cast<const WaitingSend*>(message)->message;
    if (message->ops == &OwnMail::kOps) return static_cast<const OwnMail*>(message)->message;
    return message;
}

/// The empty Pid for a task, which is no actor.
Pid actor_pid(const Cell* cell, std::uint32_t generation) noexcept {
    return cell != nullptr && is_actor(*cell) ? pid_of(cell, generation) : Pid();
}

/// The class of the actor that a message was for. A slot remembers its last owner's until it has a
/// new one.
const CellType* type_of_target(const Cell* target, std::uint32_t generation) noexcept {
    if (target == nullptr) return nullptr;
    const bool same = target->generation() == generation;
    const bool last = target->generation() == generation + 1 && target->state() == CellState::free;
    return same || last ? target->type() : nullptr;
}

}  // namespace

Pid sending_actor() noexcept {
    const Cell* const sender = current_cell();
    return sender != nullptr ? actor_pid(sender, sender->generation()) : Pid();
}

Pid sender_of(const MailNode* message) noexcept {
    if (message->ops == &WaitingSend::kOps) {
        const auto* const waiting = static_cast<const WaitingSend*>(message);
        return actor_pid(waiting->sender, waiting->sender_generation);
    }
    const MailNode* const call = inner_message(message);
    if (!ops_of(call).asked) return Pid();
    const auto* const request = static_cast<const AskHeader*>(call);
    return actor_pid(request->asker, request->asker_generation);
}

void SystemCore::note_refused(const Cell* target, DeadLetterReason reason,
                              const MailNode* message) noexcept {
    note_dead_letter(target, reason, message, sending_actor());
}

void SystemCore::note_lost(Cell* target, DeadLetterReason reason, const MailNode* message,
                           Pid sender) noexcept {
    if (counting_messages()) lost_.add(1);
    if (target != nullptr) forget_mail_mark(*target);
    note_dead_letter(target, reason, message, sender != Pid() ? sender : sender_of(message));
}

void SystemCore::note_dead_letter(const Cell* target, DeadLetterReason reason,
                                  const MailNode* message, Pid sender) noexcept {
    dead_letters_[static_cast<std::size_t>(reason)].add(1);
    DeadLetter letter;
    letter.target = pid_of(target, message->generation);
    letter.method = ops_of(inner_message(message)).method;
    letter.reason = reason;
    letter.sender = sender;
    dead_letters_by_type_.add(type_of_target(target, message->generation), reason);
    log_dead_letter(letter);
    if (dead_letters_heard_.load(std::memory_order_relaxed)) tell_dead_letter(letter);
}

std::vector<DeadLettersOfType> SystemCore::dead_letters_by_type() const {
    return dead_letters_by_type_.read();
}

namespace {

/// Of those who have something to log in this second, one writes for all: whether this is it.
bool writes_for_all(std::atomic<Duration::rep>& next_log, Duration now) noexcept {
    Duration::rep next = next_log.load(std::memory_order_relaxed);
    return now.count() >= next &&
           next_log.compare_exchange_strong(next, (now + 1s).count(), std::memory_order_relaxed,
                                            std::memory_order_relaxed);
}

}  // namespace

void SystemCore::log_dead_letter(const DeadLetter& letter) noexcept {
    // A system that stops leaves mail behind: that is no news.
    if (stop_requested()) return;
    unlogged_dead_letters_.fetch_add(1, std::memory_order_relaxed);
    if (!writes_for_all(next_dead_letter_log_, engine_->coarse_now())) return;
    const std::uint64_t count = unlogged_dead_letters_.exchange(0, std::memory_order_relaxed);
    log_warn("messages were not handled", {{"count", static_cast<std::int64_t>(count)},
                                           {"last", letter.method},
                                           {"to", to_string(letter.target)},
                                           {"because", name(letter.reason)}});
}

void SystemCore::note_slow_handler(const Cell& cell, const SlowHandler& slow) noexcept {
    slow_handlers_.add(1);
    unlogged_slow_handlers_.fetch_add(1, std::memory_order_relaxed);
    if (!writes_for_all(next_slow_log_, engine_->coarse_now())) return;
    const std::uint64_t count = unlogged_slow_handlers_.exchange(0, std::memory_order_relaxed);
    log_warn("handlers take longer than they may",
             {{"count", static_cast<std::int64_t>(count)},
              {"last", slow.method},
              {"of", to_string(pid_of(&cell, cell.generation()))},
              {"lasted", slow.lasted},
              {"limit", slow.limit},
              {"at", slow.where},
              {"action", name(slow.action)}});
}

void SystemCore::tell_dead_letter(const DeadLetter& letter) noexcept {
    std::vector<DeadLetterListener> listeners;
    {
        LockGuard lock(mutex_);
        std::erase_if(dead_letter_listeners_, [](const DeadLetterListener& listener) {
            return listener.cell->generation() != listener.generation;
        });
        listeners = dead_letter_listeners_;
    }
    for (const DeadLetterListener& listener : listeners) {
        // What a listener itself loses is not told again: that would never end.
        if (letter.target == pid_of(listener.cell, listener.generation)) continue;
        tell_listener(listener.cell, listener.generation,
                      listener.make_call(listener.offset, letter));
    }
}

void SystemCore::add_dead_letter_listener(const DeadLetterListener& listener) {
    if (listener.cell == nullptr) return;
    LockGuard lock(mutex_);
    dead_letter_listeners_.push_back(listener);
    dead_letters_heard_.store(true, std::memory_order_relaxed);
}

void listen_to_dead_letters(SystemCore& core, Cell* cell, std::uint32_t generation,
                            std::ptrdiff_t offset,
                            MailNode* (*make_call)(std::ptrdiff_t offset, DeadLetter letter)) {
    core.add_dead_letter_listener({cell, generation, offset, make_call});
}

void listen_to_crashes(SystemCore& core, Cell* cell, std::uint32_t generation,
                       std::ptrdiff_t offset,
                       MailNode* (*make_call)(std::ptrdiff_t offset, CrashReport report)) {
    core.crashes().add({cell, generation, offset, make_call});
}

void SystemCore::request_stop() noexcept {
    std::vector<Waiter> waiters;
    {
        LockGuard lock(mutex_);
        // release: what led to the request is seen by whoever sees it; pairs with stop_requested.
        stop_requested_.store(true, std::memory_order_release);
        waiters.swap(stop_waiters_);
    }
    for (const Waiter& waiter : waiters) {
        post_signal(*waiter.cell, waiter.generation, waiter.node);
    }
}

bool SystemCore::add_stop_waiter(Cell& cell, MailNode* node) {
    LockGuard lock(mutex_);
    if (stop_requested()) return false;
    stop_waiters_.push_back({&cell, cell.generation(), node});
    return true;
}

bool SystemCore::remove_stop_waiter(const MailNode* node) noexcept {
    LockGuard lock(mutex_);
    return std::erase_if(stop_waiters_,
                         [&](const Waiter& waiter) { return waiter.node == node; }) != 0;
}

std::size_t SystemCore::alive() const {
    std::size_t count = 0;
    for_each_living([&](Cell&) { ++count; });
    return count;
}

bool SystemCore::all_have_ended() const {
    // acquire: sees the cells that were taken meanwhile; pairs with ~SpawnLeave.
    if (spawning_outside_.load(std::memory_order_acquire) != 0) return false;
    // Twice: a walk over the table may pass a slot just before its owner is spawned by somebody who
    // has ended when it comes to him. Nobody spawns any more, so a second walk finds the child.
    return alive() == 0 && alive() == 0;
}

SpawnLeave::SpawnLeave(SystemCore& core) noexcept
    : core_(core), outside_(current_engine() != &core.engine()) {
    if (outside_) {
        // seq_cst, both: either stop() sees that we are here, or we see that it has begun.
        core_.spawning_outside_.fetch_add(1, std::memory_order_seq_cst);
        refused_ = core_.closed_.load(std::memory_order_seq_cst);
    } else {
        refused_ = core_.closed_.load(std::memory_order_relaxed);
    }
}

SpawnLeave::~SpawnLeave() {
    // release: the cell we have taken is seen by stop(); pairs with all_have_ended.
    if (outside_) core_.spawning_outside_.fetch_sub(1, std::memory_order_release);
}

std::size_t SystemCore::tasks_waited_for() const {
    std::size_t count = 0;
    engine_->for_each_cell(
        [](Cell& cell, void* data) {
            if (!is_actor(cell)) ++*static_cast<std::size_t*>(data);
        },
        &count);
    return count;
}

void SystemCore::ask_all_to_stop(Stop strength) {
    for_each_living([&](Cell& cell) {
        // Children end with their parents; a kill spares nobody.
        post_stop(&cell, cell.generation(), strength, ExitReason(ExitReason::Kind::shutdown),
                  strength != Stop::kill);
    });
}

/// Lets the others run for a moment, and longer each time.
void SystemCore::pause(Duration& length) {
    if (engine_->deterministic()) {
        engine_->run_for(length);
    } else {
        LockGuard lock(mutex_);
        pause_.wait_for(mutex_, length);  // nobody notifies: an end costs the actor nothing
    }
    length = std::min<Duration>(length * 2, kPauseMax);
}

bool SystemCore::wait_until_none(Duration longest, Stop strength) {
    Duration length = kPauseMin;
    Duration asked{};
    bool somebody_came = true;
    for (Duration waited{}; !all_have_ended();) {
        if (waited >= longest) return false;
        waited += length;
        pause(length);
        // Whoever was just being spawned when all were asked has not heard of it. The machine may
        // keep the spawning thread from its core for long. After the last from outside all are
        // asked once more; of a worker's turn nothing is known, so ask again, more and more rarely.
        // seq_cst: pairs with SpawnLeave.
        const bool somebody_comes = spawning_outside_.load(std::memory_order_seq_cst) != 0;
        if (somebody_comes || somebody_came || waited >= 2 * asked) {
            ask_all_to_stop(strength);
            asked = waited;
        }
        somebody_came = somebody_comes;
    }
    return true;
}

/// Says of those who have not ended where they are, each in its own words.
void SystemCore::log_remaining() {
    constexpr std::size_t kLinesMax = 20;  // a million actors may remain
    const auto whereabouts = ask_all_where(*this);
    Duration length = kPauseMin;
    for (Duration waited{}; !all_have_said(*whereabouts) && waited < 100ms;) {
        waited += length;
        pause(length);
    }
    const auto remaining = said(*whereabouts);
    log_warn("actors have not ended in time and are killed",
             {{"count", static_cast<std::int64_t>(remaining.size())}});
    for (std::size_t i = 0; i < std::min(remaining.size(), kLinesMax); ++i) {
        const std::string& where = remaining[i].where;
        log_warn("an actor is killed", {{"pid", to_string(remaining[i].pid)},
                                        {"type", remaining[i].type},
                                        {"where", where.empty() ? "its handler runs" : where}});
    }
}

bool SystemCore::stop(Duration grace) {
    if (std::exchange(stopped_, true)) return stopped_in_time_;
    request_stop();
    // seq_cst: pairs with SpawnLeave.
    closed_.store(true, std::memory_order_seq_cst);
    ask_all_to_stop(Stop::stop);
    if (!wait_until_none(grace, Stop::stop)) {
        stopped_in_time_ = false;
        log_remaining();
        ask_all_to_stop(Stop::kill);
        // A handler that never suspends cannot be ended from outside: say who, and wait for it.
        while (!wait_until_none(5s, Stop::kill)) {
            for_each_living([&](Cell& cell) {
                log_error("an actor's handler does not return, the system cannot stop",
                          {{"pid", to_string(pid_of(&cell, cell.generation()))},
                           {"type", cell.type()->name}});
            });
        }
    }
    // Threads in block_on have had their answers by now, unless they wait for something else. The
    // deterministic engine has no other threads.
    Duration length = kPauseMin;
    for (Duration waited{}; !engine_->deterministic() && tasks_waited_for() != 0;) {
        waited += length;
        pause(length);
        if (waited < 5s) continue;
        log_error("a thread waits in block_on, the system cannot stop",
                  {{"count", static_cast<std::int64_t>(tasks_waited_for())}});
        waited = Duration::zero();
    }
    engine_->stop();
    crashes_.log_the_rest();
    return stopped_in_time_;
}

StopRequested::~StopRequested() {
    if (node_ == nullptr) return;
    if (awaiting_.arrived == node_ || core_.remove_stop_waiter(node_)) free_waiter(node_);
}

bool StopRequested::await_ready() const noexcept {
    return core_.stop_requested();
}

bool StopRequested::suspend(std::coroutine_handle<> self) {
    awaiting_.what = "stop_requested";
    if (!begin_wait(awaiting_, self)) return awaiting_.yielding;
    Cell& cell = *current_cell();
    node_ = ::new (allocate_block(sizeof(MailNode))) MailNode;
    node_->ops = &kStopRequestedOps;
    node_->tag = cell.await_number_;
    if (core_.add_stop_waiter(cell, node_)) return true;
    free_waiter(std::exchange(node_, nullptr));
    cell.awaiting_ = nullptr;
    return false;
}

}  // namespace actor_internal

const char* name(DeadLetterReason reason) noexcept {
    switch (reason) {
        case DeadLetterReason::overflow:
            return "overflow";
        case DeadLetterReason::gone:
            return "gone";
        case DeadLetterReason::stopped:
            return "stopped";
        case DeadLetterReason::stale:
            return "stale";
        case DeadLetterReason::conflated:
            return "conflated";
        case DeadLetterReason::expired:
            return "expired";
        case DeadLetterReason::poison:
            return "poison";
        case DeadLetterReason::unrouted:
            return "unrouted";
        case DeadLetterReason::too_many:
            return "too_many";
    }
    return "unknown";
}

Engine& System::engine() const noexcept {
    return core_->engine();
}
void System::request_stop() const noexcept {
    core_->request_stop();
}
Shutdown System::shutdown() const noexcept {
    return Shutdown(*core_);
}
bool System::stopping() const noexcept {
    return core_->stop_requested();
}
std::uint64_t System::crashes() const noexcept {
    return core_->crashes().count();
}
std::uint64_t System::slow_handlers() const noexcept {
    return core_->slow_handlers();
}
DeadLetters System::dead_letters() const noexcept {
    return core_->dead_letters();
}
std::vector<DeadLettersOfType> System::dead_letters_by_type() const {
    return core_->dead_letters_by_type();
}

namespace {

/// The value that this share of the waits does not exceed; `at_once` of them are shorter than all
/// that the histogram has.
Duration percentile(const Histogram& waits, std::uint64_t at_once, double share) noexcept {
    const auto longer = static_cast<double>(waits.count());
    const double rank =
        share * (longer + static_cast<double>(at_once)) - static_cast<double>(at_once);
    if (rank <= 0) return Duration::zero();
    return Duration(static_cast<Duration::rep>(waits.percentile(rank / longer)));
}

/// What is known of the mailboxes of several types of cells that go by one name.
struct SeenMailboxes {
    std::size_t most = 0;
    std::uint64_t at_once = 0;
    Histogram waits;
};

}  // namespace

std::vector<MailboxesOfType> System::mailboxes_by_type() const {
    std::map<std::string_view, SeenMailboxes> seen;
    engine().mail_stats().for_each([&](const MailStats::OfType& type) {
        SeenMailboxes& mailboxes = seen[type.type.name];
        mailboxes.most = std::max(mailboxes.most, type.most.load(std::memory_order_relaxed));
        mailboxes.at_once += type.at_once.load(std::memory_order_relaxed);
        // acquire: sees the histogram as it was made; pairs with note_wait.
        const Histogram* const waits = type.waits.load(std::memory_order_acquire);
        if (waits != nullptr) mailboxes.waits.merge(*waits);
    });
    std::vector<MailboxesOfType> all;
    for (const auto& [name, mailboxes] : seen) {
        MailboxesOfType one;
        one.type = std::string(name);
        one.most = mailboxes.most;
        one.measured = mailboxes.at_once + mailboxes.waits.count();
        one.median = percentile(mailboxes.waits, mailboxes.at_once, 0.5);
        one.p95 = percentile(mailboxes.waits, mailboxes.at_once, 0.95);
        one.p99 = percentile(mailboxes.waits, mailboxes.at_once, 0.99);
        one.longest = Duration(static_cast<Duration::rep>(mailboxes.waits.max()));
        all.push_back(std::move(one));
    }
    std::ranges::sort(all, [](const MailboxesOfType& a, const MailboxesOfType& b) {
        return std::tie(b.longest, a.type) < std::tie(a.longest, b.type);
    });
    return all;
}

namespace actor_internal {

namespace {

/// Those who could not be looked into have their names from the registry. `all` is sorted.
void name_the_incomplete(const Registry& registry, std::span<ActorInfo> all) {
    if (std::ranges::all_of(all, &ActorInfo::complete)) return;
    for (auto& [text, address] : registry.all()) {
        const Pid pid = pid_of(address.cell, address.generation);
        const auto at = std::ranges::lower_bound(all, pid, {}, &ActorInfo::pid);
        if (at != all.end() && at->pid == pid) at->name = std::move(text);
    }
}

}  // namespace

}  // namespace actor_internal

std::vector<ActorInfo> System::actors() const {
    std::vector<ActorInfo> all;
    core_->for_each_living([&](Cell& cell) {
        auto info = actor_internal::look_at(cell, cell.generation());
        if (info) all.push_back(*std::move(info));
    });
    std::ranges::sort(all, {}, &ActorInfo::pid);
    actor_internal::name_the_incomplete(core_->registry(), all);
    return all;
}

std::vector<RegisteredName> System::names() const {
    std::vector<RegisteredName> all;
    for (auto& [text, address] : core_->registry().all()) {
        all.push_back({std::move(text), actor_internal::pid_of(address.cell, address.generation),
                       std::string(*address.type)});
    }
    std::sort(all.begin(), all.end(),
              [](const RegisteredName& a, const RegisteredName& b) { return a.name < b.name; });
    return all;
}

Result<ActorInfo> System::info(Pid pid) const {
    Cell* const cell = core_->engine().find_cell(pid.slot);
    auto info = cell != nullptr ? actor_internal::look_at(*cell, pid.generation) : std::nullopt;
    if (!info) return error(Errc::not_found, "there is no actor " + to_string(pid) + " any more");
    actor_internal::name_the_incomplete(core_->registry(), {&*info, 1});
    return *std::move(info);
}

std::vector<TaskInfo> System::tasks() const {
    std::vector<TaskInfo> tasks;
    core_->engine().for_each_cell(
        [](Cell& cell, void* data) {
            auto info = actor_internal::look_at_task(cell, cell.generation());
            if (info) static_cast<std::vector<TaskInfo>*>(data)->push_back(*std::move(info));
        },
        &tasks);
    return tasks;
}

std::vector<std::string> System::backtrace(Pid pid) const {
    constexpr std::size_t kLinesMax = 64;  // those who wait in a circle would go on
    std::vector<std::string> lines;
    Cell* cell = core_->engine().find_cell(pid.slot);
    std::uint32_t generation = pid.generation;
    while (cell != nullptr && lines.size() < kLinesMax) {
        auto step = actor_internal::look_at_wait(*cell, generation);
        if (!step) break;
        lines.push_back(std::move(step->line));
        cell = step->waited_by;
        generation = step->generation;
    }
    return lines;
}

void count_messages() noexcept {
    actor_internal::SystemCore::count_messages_for_test();
}

MessageAccounts message_accounts(const System& system) noexcept {
    const auto& core = *static_cast<actor_internal::SystemCore*>(system.engine().host());
    const actor_internal::SystemCore::MessageCounts counts = core.message_counts();
    const std::uint64_t dead = core.dead_letters().total();
    return {counts.accepted, counts.handled, counts.lost,
            dead < counts.lost ? 0 : dead - counts.lost};
}

OwnedSystem::OwnedSystem(std::unique_ptr<Engine> engine)
    : core_(std::make_unique<actor_internal::SystemCore>(std::move(engine))), system_(*core_) {}

OwnedSystem::~OwnedSystem() {
    stop();
}

bool OwnedSystem::stop(Duration grace) {
    bool clean = true;
    if (core_->shutdown_plan().has_tasks() && !core_->stopped()) {
        clean = system_.block_on(system_.shutdown().run()).clean();
    }
    return core_->stop(grace) && clean;
}

}  // namespace troupe
