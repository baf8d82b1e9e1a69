#include <troupe/actor/arena.hpp>
#include <troupe/actor/internal/call_cycle.hpp>
#include <troupe/actor/internal/crash_reports.hpp>
#include <troupe/actor/internal/ending.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/links.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/pipes.hpp>
#include <troupe/actor/internal/schedule.hpp>
#include <troupe/actor/internal/supervised.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/own_message.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/log.hpp>
#include <troupe/scheduler/mail_mark.hpp>

#include <type_traits>
#include <utility>

namespace troupe::actor_internal {

namespace {

template <class Part>
Part& made(Part*& part) {
    if (part == nullptr) part = make_node<Part>();
    return *part;
}

template <class Part>
void free_part(Part*& part) noexcept {
    if (part != nullptr) free_node(std::exchange(part, nullptr));
}

}  // namespace

Standing::Standing() = default;
Standing::~Standing() = default;

Ties::Ties() = default;
Ties::~Ties() {
    free_part(links);
    free_part(pipes);
}

Extension::~Extension() {
    free_part(hooks);
    free_part(standing);
    free_part(ties);
}

Extension& extension_of(Cell& cell) {
    if (cell.extension_ == nullptr) cell.extension_ = make_node<Extension>();
    return *static_cast<Extension*>(cell.extension_);
}

Hooks& hooks_of(Cell& cell) {
    return made(extension_of(cell).hooks);
}

Standing& standing_of(Cell& cell) {
    return made(extension_of(cell).standing);
}

Ties& ties_of(Cell& cell) {
    return made(extension_of(cell).ties);
}

Pid parent_of(const Cell& cell) noexcept {
    const auto* const extension = static_cast<const Extension*>(cell.extension_);
    const ChildEnded* const news = extension != nullptr ? extension->to_parent : nullptr;
    return news != nullptr ? pid_of(news->parent, news->parent_generation) : Pid();
}

void forget_start(Cell& cell) noexcept {
    const Hooks* const hooks = existing_hooks(cell);
    if (hooks == nullptr || hooks->start_outcome != nullptr || hooks->reason.has_text()) return;
    free_part(existing_extension(cell)->hooks);
}

MailNode* close_all_mail(Cell& cell, const MailNode* handled_in_place) noexcept {
    const bool managed = cell.capacity_.load(std::memory_order_relaxed) == Cell::kManaged;
    MailNode* mail = cell.close_mailbox(handled_in_place);
    if (!managed) return mail;
    // The word had signals only. The queue's messages come after them, oldest first.
    MailNode** end = &mail;
    while (*end != nullptr)
        end = &(*end)->next;
    for (MailNode* message : ManagedMailbox::find(cell)->close()) {
        message->next = nullptr;
        *end = message;
        end = &message->next;
    }
    return mail;
}

void free_extension(Cell& cell) noexcept {
    if (cell.extension_ == nullptr) return;
    free_node(static_cast<Extension*>(std::exchange(cell.extension_, nullptr)));
}

void push_outer(Cell& cell) {
    Ties& ties = ties_of(cell);
    auto* const outer = make_node<OuterWait>();
    outer->record = cell.awaiting_;
    outer->edge = cell.awaiting_->edge->get();
    outer->request = cell.awaiting_->edge->request();
    outer->below = std::exchange(ties.outer, outer);
    cell.nested_ = true;
    cell.awaiting_ = nullptr;
}

bool pop_outer(Cell& cell) noexcept {
    Ties* const ties = existing_ties(cell);
    OuterWait* const outer = ties != nullptr ? ties->outer : nullptr;
    if (outer == nullptr) return false;
    ties->outer = outer->below;
    cell.nested_ = ties->outer != nullptr;
    cell.awaiting_ = outer->record;
    if (outer->edge != 0) outer->record->edge->set(outer->edge, outer->request);
    free_node(outer);
    return true;
}

const ExitReason& stop_reason(const Cell& cell) noexcept {
    static const ExitReason plain[] = {
        ExitReason(ExitReason::Kind::normal),        ExitReason(ExitReason::Kind::shutdown),
        ExitReason(ExitReason::Kind::shutdown_with), ExitReason(ExitReason::Kind::failed),
        ExitReason(ExitReason::Kind::killed),        ExitReason(ExitReason::Kind::noproc),
        ExitReason(ExitReason::Kind::timeout),       ExitReason(ExitReason::Kind::node_down)};
    const Hooks* const hooks = existing_hooks(cell);
    if (hooks != nullptr && hooks->reason.has_text()) return hooks->reason;
    return plain[cell.stop_kind_];
}

void set_stop_reason(Cell& cell, ExitReason reason) {
    cell.stop_kind_ = static_cast<std::uint8_t>(reason.kind());
    if (reason.has_text()) {
        hooks_of(cell).reason = std::move(reason);
    } else if (Hooks* const hooks = existing_hooks(cell)) {
        hooks->reason = ExitReason();
    }
}

DeadlineSlot& actor_deadline(Cell& cell) {
    return extension_of(cell).deadline;
}

// ---- stopping -----------------------------------------------------------------------------------

const MailOps StopSignal::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<StopSignal*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const signal = static_cast<StopSignal*>(node);
        Supervised* const supervised = supervised_of(cell);
        bool can_go_on = false;
        if (ManagedMailbox* const mailbox = ManagedMailbox::find(cell);
            mailbox != nullptr && signal->strength == Stop::kill) {
            mailbox->kill_heard();
        }
        if ((cell.flags_ & kVacant) != 0) {
            const bool leave = signal->top_level_only;
            if (!leave && supervised->stop_nobody(signal->after, signal->reason)) {
                set_stop_reason(cell, std::move(signal->reason));
                cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kStopAsked);
            }
            free_node(signal);
            return false;
        }
        if (supervised != nullptr) supervised->decide(signal->after);
        const Extension* const known = existing_extension(cell);
        if (!signal->top_level_only || known == nullptr || known->to_parent == nullptr) {
            const bool kill = signal->strength == Stop::kill;
            // A second stop changes nothing, a kill overrules.
            if (kill || (cell.flags_ & (kStopAsked | kInStopHook)) == 0) {
                set_stop_reason(cell, std::move(signal->reason));
            }
            if (kill) {
                cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kKillAsked);
            } else if ((cell.flags_ & kInStopHook) == 0) {
                cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kStopAsked);
                Awaiting* const record = cell.awaiting_;
                // Of several handlers at work the turn ends the waits of all.
                const Schedule* const schedule = existing_schedule(cell);
                const bool alone = schedule == nullptr || !schedule->interleaves();
                // One whose outcome is there already would not look: the next one is told.
                if (alone && record != nullptr && record->interruptible &&
                    record->arrived == nullptr && !record->yielding) {
                    record->cancelled = true;
                    cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kStopHeard);
                    can_go_on = true;
                }
            }
        }
        free_node(signal);
        return can_go_on;
    }};

const MessageOps StopSignal::kDrainOps{
    {MailKind::message,
     [](MailNode* node, const Error&) noexcept { free_node(static_cast<StopSignal*>(node)); },
     nullptr},
    "drain",
    nullptr,
    nullptr,
    nullptr,
    nullptr};

namespace {

/// An actor that stops itself in its own turn needs no signal. False: it is not that.
bool stop_oneself(Cell* cell, std::uint32_t generation, Stop strength,
                  ExitReason& reason) noexcept {
    if (cell == nullptr || strength != Stop::stop || cell != current_cell() ||
        cell->generation() != generation) {
        return false;
    }
    if ((cell->flags_ & (kStopAsked | kInStopHook)) == 0) {
        set_stop_reason(*cell, std::move(reason));
        cell->flags_ = static_cast<std::uint8_t>(cell->flags_ | kStopAsked);
    }
    return true;
}

void post_stop(Cell* cell, std::uint32_t generation, Stop strength, ExitReason&& reason,
               bool top_level_only, After after) noexcept {
    if (cell == nullptr || stop_oneself(cell, generation, strength, reason)) return;
    auto* const signal = make_node<StopSignal>();
    signal->strength = strength;
    signal->top_level_only = top_level_only;
    signal->after = after;
    signal->reason = strength == Stop::kill && reason.kind() == ExitReason::Kind::shutdown
                         ? ExitReason(ExitReason::Kind::killed)
                         : std::move(reason);
    if (strength != Stop::drain) {
        signal->ops = &StopSignal::kOps;
        post_signal(*cell, generation, signal);
        return;
    }
    signal->ops = &StopSignal::kDrainOps;
    if (!force(*cell, generation, signal)) free_node(signal);
}

}  // namespace

void post_stop(Cell* cell, std::uint32_t generation, Stop strength, ExitReason reason,
               bool top_level_only) noexcept {
    post_stop(cell, generation, strength, std::move(reason), top_level_only, After::policy);
}

void post_stop(Cell* cell, std::uint32_t generation, Stop strength, ExitReason reason,
               After after) noexcept {
    post_stop(cell, generation, strength, std::move(reason), false, after);
}

void post_stop(Cell* cell, std::uint32_t generation, Stop strength, ExitReason reason) noexcept {
    post_stop(cell, generation, strength, std::move(reason), false, After::policy);
}

// ---- children -----------------------------------------------------------------------------------

const MailOps ChildEnded::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<ChildEnded*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const news = static_cast<ChildEnded*>(node);
        Ties& ties = ties_of(cell);
        const auto at = ties.children.find(news->slot);
        // The slot may belong to a younger child by now.
        if (at != ties.children.end() && at->second.second == news->child_generation) {
            ties.children.erase(at);
        }
        Pid child;
        child.slot = news->slot;
        child.generation = news->child_generation;
        const bool abnormal = news->abnormal;
        free_node(news);
        if (ties.child_ended != nullptr) ties.child_ended(actor_in(cell), child, abnormal);
        return false;
    }};

// ---- waiting for room ---------------------------------------------------------------------------

const MessageOps WaitingSend::kOps{{MailKind::message,
                                    [](MailNode* node, const Error& why) noexcept {
                                        auto* const waiting = static_cast<WaitingSend*>(node);
                                        MailNode* const message =
                                            std::exchange(waiting->message, nullptr);
                                        message->ops->drop(message, why);
                                        waiting->gone = true;
                                        WaitingSend::report_room(waiting);
                                    },
                                    nullptr},
                                   "send",
                                   nullptr,
                                   nullptr,
                                   nullptr,
                                   nullptr};

const MailOps WaitingSend::kRoomOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<WaitingSend*>(node)); },
    &arrive_as_answer};

void WaitingSend::report_room(WaitingSend* waiting) noexcept {
    waiting->ops = &WaitingSend::kRoomOps;
    waiting->tag = waiting->await_number;
    post_answer(*waiting->sender, waiting->sender_generation, waiting);
}

namespace {

DeadLetterReason reason_of(AskStatus refused) noexcept {
    if (refused == AskStatus::gone) return DeadLetterReason::gone;
    return refused == AskStatus::too_many ? DeadLetterReason::too_many : DeadLetterReason::overflow;
}

}  // namespace

namespace {

[[gnu::noinline]] Sent ask_about_sends(RunningTurn& running) noexcept {
    return running.asks_about_sends(running) ? Sent::others_first : Sent::sent;
}

[[gnu::noinline]] Sent schedule_receiver(Cell& target, RunningTurn& running) noexcept {
    schedule(target);
    return sent_enough(running) ? Sent::others_first : Sent::sent;
}

}  // namespace

// What is rare is left to others, so that this needs no stack frame.
Sent send_plainly(Cell* target, std::uint32_t generation, MailNode* message) noexcept {
    RunningTurn* const running = scheduler_internal::running_turn_of_thread;
    if (running == nullptr || !may_go_plainly(target, generation)) [[unlikely]]
        return Sent::not_yet;
    message->generation = generation;
    stamp(*message, running->mail_stamp);
    std::uint64_t before = 0;
    if (!link_plainly(*target, message, before)) [[unlikely]]
        return Sent::not_yet;
    if ((before & Cell::kIdle) != 0) [[unlikely]]
        return schedule_receiver(*target, *running);
    if (--running->sends_left == 0) [[unlikely]]
        return ask_about_sends(*running);
    return Sent::sent;
}

bool Send::ready_otherwise(Sent so_far) noexcept {
    std::construct_at(&awaiting_);
    stage_ = Stage::otherwise;
    failure_ = AskStatus::unsent;
    if (so_far == Sent::others_first) {
        message_ = nullptr;
        return false;
    }
    awaiting_.subject = ops_of(message_).method;
    switch (admit(target_, generation_, message_, Sender::tells)) {
        case Admission::admitted:
        case Admission::redirected:
            message_ = nullptr;
            return !sent_enough();
        case Admission::dropped:
            message_ = nullptr;
            return true;
        case Admission::gone:
            failure_ = AskStatus::gone;
            dead_letter(target_, DeadLetterReason::gone, std::exchange(message_, nullptr));
            return true;
        case Admission::too_many:
            failure_ = AskStatus::too_many;
            dead_letter(target_, DeadLetterReason::too_many, std::exchange(message_, nullptr));
            return true;
        case Admission::failing:
        case Admission::full:
            break;
    }
    return false;
}

static_assert(std::is_trivially_destructible_v<Awaiting>, "Send leaves its record as it is");

bool Send::suspend(std::coroutine_handle<> self, const std::source_location& where) {
    awaiting_.where = where;
    if (message_ == nullptr) {
        // It lies in the mailbox; this turn has sent so much that the receivers should run.
        begin_await(awaiting_, self);
        awaiting_.what = "send (others first)";
        awaiting_.subject = {};
        awaiting_.yielding = true;
        return true;
    }
    awaiting_.what = "send (waits for room)";
    if (!begin_wait(awaiting_, self)) {
        dead_letter(target_, DeadLetterReason::overflow, std::exchange(message_, nullptr));
        return awaiting_.yielding;
    }
    Cell& cell = *current_cell();
    if (target_ == &cell) {
        cell.awaiting_ = nullptr;
        failure_ = AskStatus::asks_itself;
        dead_letter(target_, DeadLetterReason::overflow, std::exchange(message_, nullptr));
        return false;
    }
    if (begin_waiting(cell, *target_, message_->ops) == WaitOutcome::cycle) {
        cell.awaiting_ = nullptr;
        failure_ = AskStatus::cycle;
        dead_letter(target_, DeadLetterReason::overflow, std::exchange(message_, nullptr));
        return false;
    }
    auto* const waiting = make_node<WaitingSend>();
    waiting->ops = &WaitingSend::kOps;
    waiting->message = message_;
    waiting->sender = &cell;
    waiting->sender_generation = cell.generation();
    waiting->await_number = cell.await_number_;
    message_->generation = generation_;
    const Admission admission = admit(target_, generation_, waiting, Sender::sends);
    if (admission == Admission::admitted) {
        message_ = nullptr;
        return true;
    }
    free_node(waiting);
    forget_waiting(cell);
    failure_ = why_refused(admission);
    dead_letter(target_, reason_of(failure_), std::exchange(message_, nullptr));
    return false;
}

Result<void> Send::outcome() {
    if (awaiting_.arrived != nullptr) {
        auto* const waiting = static_cast<WaitingSend*>(std::exchange(awaiting_.arrived, nullptr));
        if (waiting->gone) failure_ = AskStatus::gone;
        free_node(waiting);
    }
    if (awaiting_.in_cycle && failure_ == AskStatus::unsent) failure_ = AskStatus::cycle;
    if (awaiting_.cancelled) return std::unexpected(cancelled_error(awaiting_));
    if (failure_ != AskStatus::unsent) {
        return std::unexpected(
            unsent_error(failure_, target_, generation_, awaiting_.subject, awaiting_.where));
    }
    return {};
}

void Send::give_up() noexcept {
    if (stage_ == Stage::otherwise && awaiting_.arrived != nullptr)
        free_node(static_cast<WaitingSend*>(awaiting_.arrived));
    if (message_ != nullptr) message_->ops->drop(message_, Error(Errc::cancelled));
}

// ---- names --------------------------------------------------------------------------------------

namespace {

constexpr std::string_view kBelongsTo = " belongs to ";

/// `holder` may have given the name back by now; the text says whose it was.
Error name_taken(std::string_view name, const NamedAddress& holder) {
    return Error(Errc::already_registered, "the name " + std::string(name) +
                                               std::string(kBelongsTo) +
                                               to_string(pid_of(holder.cell, holder.generation)) +
                                               ", a " + std::string(*holder.type));
}

}  // namespace

Result<void> register_name(Cell& cell, const SpawnSettings& settings, SeenAs seen_as) {
    const std::string& name = settings.name;
    if (name.empty() || name.size() > kNameBytesMax) {
        return error(Errc::failed, "a name has 1 to " + std::to_string(kNameBytesMax) +
                                       " bytes, this one has " + std::to_string(name.size()));
    }
    NamedAddress holder;
    NameEntry* const entry = SystemCore::of(cell).registry().add(
        name, settings.name_hash, {&cell, cell.generation(), seen_as.offset, seen_as.type}, holder);
    if (entry == nullptr) return std::unexpected(name_taken(name, holder));
    standing_of(cell).name = entry;
    return {};
}

void unregister_name(Cell& cell) noexcept {
    Standing* const standing = existing_standing(cell);
    if (standing == nullptr || standing->name == nullptr) return;
    SystemCore::of(cell).registry().remove(std::exchange(standing->name, nullptr));
}

Result<FoundName> find_name(SystemCore& core, std::string_view name, std::uint64_t hash,
                            const std::string_view& type) {
    NamedAddress found;
    // The generation says whether its owner has ended since.
    if (!core.registry().find(name, hash, found) || found.cell->generation() != found.generation) {
        return error(Errc::not_found, "nobody has the name " + std::string(name));
    }
    if (found.type != &type) {
        return error(Errc::wrong_type, "the name " + std::string(name) + " is that of a " +
                                           std::string(*found.type) + ", not of a " +
                                           std::string(type));
    }
    return FoundName{found.cell, found.generation, found.offset};
}

// ---- spawning -----------------------------------------------------------------------------------

namespace {
constinit thread_local BuildingScope* building_on_this_thread = nullptr;

void refuse_start(AskEnvelope<void>* outcome, std::string why) noexcept {
    if (outcome == nullptr) return;
    outcome->reply.emplace(std::unexpect, Errc::start_failed, std::move(why));
    outcome->post_reply();
}

}  // namespace

void refuse_spawn(Cell& cell, Error why) noexcept {
    const ExitReason reason(ExitReason::Kind::failed, why.text());
    const Hooks* const hooks = existing_hooks(cell);
    if (hooks != nullptr && hooks->start_outcome != nullptr) {
        hooks->start_outcome->reply.emplace(std::unexpect, std::move(why));
    }
    cell.state_.store(CellState::ended, std::memory_order_relaxed);
    finish_end(cell, nullptr, reason);
}

BuildingScope::BuildingScope(Cell& the_cell, void* object, std::size_t bytes) noexcept
    : cell(the_cell),
      begin(static_cast<const std::byte*>(object)),
      end(begin + bytes),
      outer(std::exchange(building_on_this_thread, this)) {}

BuildingScope::~BuildingScope() {
    building_on_this_thread = outer;
}

Cell* cell_being_built(const void* actor) noexcept {
    const BuildingScope* const scope = building_on_this_thread;
    const auto* const at = static_cast<const std::byte*>(actor);
    return scope != nullptr && at >= scope->begin && at < scope->end ? &scope->cell : nullptr;
}

Cell* take_cell(const SpawnLeave& leave, Engine& engine, Cell* parent, const ActorType& type,
                const SpawnSettings* settings) {
    AskEnvelope<void>* const outcome = settings != nullptr ? settings->start_outcome : nullptr;
    if (leave.refused()) {
        refuse_start(outcome, "the system is stopping");
        return nullptr;
    }
    Cell& cell = engine.acquire_cell();
    if (settings != nullptr) {
        if (Result<void> placed = engine.place(cell, settings->placement); !placed) {
            engine.release_cell(cell);
            const std::string why(placed.error().text());
            log_error("an actor finds no place", {{"type", type.name}, {"reason", why}});
            refuse_start(outcome, why);
            return nullptr;
        }
    }
    cell.type_.store(&type, std::memory_order_relaxed);
    if (settings != nullptr && settings->mailbox.managed()) {
        ManagedMailbox::open(cell, settings->mailbox.settings());
        cell.capacity_.store(Cell::kManaged, std::memory_order_relaxed);
    } else {
        const std::size_t capacity =
            settings != nullptr ? settings->mailbox.capacity() : kMailboxDefault;
        cell.capacity_.store(
            capacity != 0 ? static_cast<std::uint16_t>(capacity) : Cell::kUnbounded,
            std::memory_order_relaxed);
    }
    cell.handled_.store(0, std::memory_order_relaxed);
    forget_mail_mark(cell);
    cell.incarnation_.store(1, std::memory_order_relaxed);
    cell.flags_ = 0;
    cell.set_priority(settings != nullptr ? settings->priority : Priority::normal);
    cell.state_.store(CellState::starting, std::memory_order_relaxed);
    if (outcome != nullptr) hooks_of(cell).start_outcome = outcome;
    if (Facts* const facts = Facts::carried()) hooks_of(cell).handling.context = facts;
    if (settings != nullptr && settings->reentrant_calls) extension_of(cell).reentrant = true;
    if (settings != nullptr && settings->arena_bytes_max != 0) {
        standing_of(cell).arena = std::make_unique<Arena>(settings->arena_bytes_max);
    }
    if (settings != nullptr && settings->scheduling.special()) {
        standing_of(cell).schedule = std::make_unique<Schedule>(settings->scheduling);
        cell.flags_ = kUncounted;
    }
    if (parent != nullptr) {
        auto* const news = make_node<ChildEnded>();
        news->ops = &ChildEnded::kOps;
        news->parent = parent;
        news->parent_generation = parent->generation();
        extension_of(cell).to_parent = news;
        ties_of(*parent).children[cell.slot()] = {&cell, cell.generation()};
    }
    return &cell;
}

Cell* begin_spawn(Engine& engine, Cell* parent, const ActorType& type,
                  const SpawnSettings* settings, SeenAs seen_as) {
    const SpawnLeave leave(*static_cast<SystemCore*>(engine.host()));
    Cell* const cell = take_cell(leave, engine, parent, type, settings);
    // Open, and neither idle nor queued: the constructor may give the address away, and what is
    // sent to it waits for finish_spawn.
    if (cell == nullptr) return nullptr;
    cell->open_mailbox(0);
    if (settings != nullptr && settings->has_name) {
        Result<void> registered = register_name(*cell, *settings, seen_as);
        if (!registered) {
            refuse_spawn(*cell, std::move(registered).error());
            return nullptr;
        }
    }
    if (settings != nullptr && settings->tie != nullptr) {
        settings->tie->bind(*settings->tie, *parent, *cell);
    }
    return cell;
}

void finish_spawn(Cell& cell, bool scheduled) noexcept {
    if (scheduled || cell.extension_ != nullptr || !cell.try_idle(nullptr)) schedule(cell);
}

void fail_spawn(Cell& cell) noexcept {
    const ExitReason reason(ExitReason::Kind::failed, text_of_current_exception());
    report_crash(cell, "constructor", reason);
    cell.state_.store(CellState::ended, std::memory_order_relaxed);
    finish_end(cell, nullptr, reason);
}

}  // namespace troupe::actor_internal

namespace troupe {

std::optional<Pid> name_holder(const Error& error) noexcept {
    if (error != Errc::already_registered) return std::nullopt;
    const std::string_view text = error.text();
    // A name may hold anything, these words too; the last ones are ours.
    const std::size_t at = text.rfind(actor_internal::kBelongsTo);
    return at != std::string_view::npos ? pid_in(text.substr(at)) : std::nullopt;
}

}  // namespace troupe
