/// The turn of an actor: which mail is handled when, and what happens when a handler suspends,
/// throws, or the actor is asked to end. The heart of the component; read it top down.
///
/// A message that lies alone in the mailbox is handled where it lies: the compare-and-swap that
/// would take it out is saved, because the one that lets go of the cell takes it out as well. Such
/// a message is freed, or sent back as a reply, only after it has left the mailbox word: a sender
/// who meets the same address there again must not take it for the old one.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/call_cycle.hpp>
#include <troupe/actor/internal/crash_reports.hpp>
#include <troupe/actor/internal/ending.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/own_mail.hpp>
#include <troupe/actor/internal/schedule.hpp>
#include <troupe/actor/internal/supervised.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/internal/timers.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/scheduler/mail_mark.hpp>
#include <troupe/scheduler/mail_stats.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace troupe::actor_internal {

namespace {

// What reports of a stall call the hooks.
constexpr std::string_view kStartHook = "on_start";
constexpr std::string_view kStopHook = "on_stop";

class Turn {
public:
    explicit Turn(Cell& cell) noexcept
        : cell_(cell),
          running_(running_turn()),
          type_(*static_cast<const ActorType*>(cell.type())),
          deterministic_(running_.deterministic),
          managed_(cell.capacity_.load(std::memory_order_relaxed) == Cell::kManaged
                       ? ManagedMailbox::find(cell)
                       : nullptr),
          schedule_((cell.flags_ & (kUncounted | kVacant)) != 0 ? existing_schedule(cell)
                                                                : nullptr),
          budget_(running_.messages),
          given_(budget_) {
        if (schedule_ != nullptr && schedule_->slices()) begin_slice();
    }

    TurnEnd run();
    // Goes on after a message that lay alone in the mailbox, and still does.
    TurnEnd run_after(MailNode* message, Handled handled);
    TurnEnd run_after_throw(MailNode* message, const std::string& text);
    TurnEnd run_after_counted(MailNode* message);
    // Goes on after a handler that had waited has ended, or waits again.
    TurnEnd run_after_resumed(MailNode* message);
    // Goes on after on_start has returned, or thrown.
    TurnEnd run_after_start(Task<Result<void>> hook);
    TurnEnd run_after_start_threw(const std::string& text);
    // The same of on_stop, by an actor that has nothing but its object.
    TurnEnd run_after_stop(Task<void> hook);
    TurnEnd run_after_stop_threw(const std::string& text);

private:
    enum class Next : std::uint8_t { go_on, released, yielded };

    TurnEnd run_on(Next next);
    Next attend();
    Next handle_one();
    bool goes_straight_on() const noexcept;
    [[gnu::noinline]] Next handle_batch();
    Next handle(MailNode* message);
    [[gnu::always_inline]] Next call_handler(MailNode* message);
    void begin_scheduled(MailNode* message);
    [[gnu::always_inline]] void count_handled(const MailNode* message) noexcept;
    void count_more(const MailNode* message) noexcept;
    bool took_no_room(const MailNode* message) const noexcept;
    MailNode* next_message();
    [[gnu::always_inline]] Next handler_done(MailNode* message, Handled handled);
    Next consumed();
    Next handler_threw(MailNode* message, const std::string& text);
    void give_up(MailNode* message, const Error& why) noexcept;
    bool is_call(const MailNode* message) const noexcept;
    bool unwrap(MailNode*& message);
    bool expired(const MailNode* message) const noexcept;
    Error too_late(const MailNode* message) const;
    bool unwrap_own(MailNode*& message);
    void note_own_message(bool accepted);
    void suspended_in(MailNode* message);
    Next go_on_awaiting();
    Next go_on_interleaving();
    Next begin_another();
    bool take_next();
    bool interrupt_all() noexcept;
    void step_aside() noexcept;
    Next block();
    Next handle_nested();
    void nested_done();
    Next resume();
    Next resumed(MailNode* message);
    Next begin_start();
    Next begin_start_hook(Task<Result<void>> hook);
    Next begin_work();
    Next start_hook_done();
    Next start_failed(Error why);
    Next begin_stop();
    Next begin_stop_hook(Task<void> hook);
    Next stop_hook_done();
    Next killed();
    Next fail(std::string_view method, std::string_view why);
    Next end(ExitReason reason);  // by value: the extension it may lie in goes
    Next end_plainly();
    Next actor_gone(const ExitReason& reason);
    Next end_address(const ExitReason& reason);
    Next vacate(const ExitReason& reason);
    Next vacant();
    Next build();

    void report_started() noexcept;
    bool abandon_handlers(const ExitReason& reason) noexcept;
    bool abandon_interleaved(const Error& why) noexcept;
    void abandon_held(const ExitReason& reason, bool address_stays) noexcept;
    void abandon_handler(const Error& why) noexcept;
    void lose(MailNode* message, DeadLetterReason reason, const Error& why) noexcept;
    void abandon_hooks() noexcept;
    void measure_wait(const MailNode* message) noexcept;
    void take_mail();
    void take_out(const MailNode* message);
    bool has_no_mail() const noexcept;
    bool has_had_its_share() noexcept;
    void begin_slice() noexcept;
    unsigned more_of_slice() const noexcept;
    Next yield();
    void mark_what_waits() noexcept;

    void* object() noexcept { return object_of(cell_, type_); }
    Actor* actor() noexcept {
        return type_.as_actor != nullptr ? type_.as_actor(object()) : nullptr;
    }
    Supervised* supervised() noexcept { return supervised_of(cell_); }
    /// What the turn is at from here on, for reports of a stall.
    void say(const std::string_view& hook, MailNode* handling) noexcept {
        running_.doing.store(&hook, std::memory_order_relaxed);
        running_.handling = handling;
    }
    void say(MailNode* handling) noexcept {
        running_.doing.store(&ops_of(handling).method, std::memory_order_relaxed);
        running_.handling = handling;
    }
    bool has(std::uint8_t flag) const noexcept { return (cell_.flags_ & flag) != 0; }
    static constexpr std::uint8_t kSpecial = kStopAsked | kKillAsked | kHasNews | kVacant;
    /// Several handlers may be at work; in a hook there is only that.
    bool interleaves() const noexcept {
        return schedule_ != nullptr && schedule_->interleaves() && !has(kInStartHook | kInStopHook);
    }
    /// One has been taken out of the mailbox and waited until the others had ended.
    bool holds_a_call() const noexcept {
        return schedule_ != nullptr && schedule_->held != nullptr;
    }
    void set(std::uint8_t flag) noexcept {
        cell_.flags_ = static_cast<std::uint8_t>(cell_.flags_ | flag);
    }
    void clear(std::uint8_t flag) noexcept {
        cell_.flags_ = static_cast<std::uint8_t>(cell_.flags_ & ~flag);
    }

    Cell& cell_;
    RunningTurn& running_;
    const ActorType& type_;
    const bool deterministic_;
    ManagedMailbox* const managed_;  // null for a plain mailbox
    Schedule* const schedule_;       // null for an actor without such options
    Duration began_{};               // only where it has a slice of its own
    unsigned budget_;
    unsigned given_;                        // budget this turn has had in all
    std::uint32_t released_ = 0;            // handled messages whose room is not given back yet
    MailNode* handled_in_place_ = nullptr;  // handled, but still linked in the mailbox word
    bool in_place_ = false;                 // so is the message being handled
    bool can_resume_ = false;               // what the suspended handler waits for has come
    bool others_went_ = false;              // since the last turn, which ended to let them
    bool queued_for_mail_ = false;          // the cell was, and none of it has been handled since
};

TurnEnd Turn::run() {
    // acquire: sees what the last turn, perhaps on another worker, left behind; pairs with try_idle
    // and try_block.
    static_cast<void>(cell_.word_.load(std::memory_order_acquire));
    running_.doing.store(nullptr, std::memory_order_relaxed);
    running_.handling = nullptr;
    Next next = Next::go_on;
    queued_for_mail_ = cell_.awaiting_ == nullptr;
    if (cell_.state() == CellState::starting && !has(kInStartHook)) {
        next = begin_start();
    } else if (cell_.awaiting_ != nullptr) {
        // Its answer may have come without a signal: post_answer.
        can_resume_ = cell_.awaiting_->yielding || cell_.awaiting_->arrived != nullptr;
    }
    others_went_ = true;
    return run_on(next);
}

TurnEnd Turn::run_on(Next next) {
    while (next == Next::go_on) {
        if (cell_.urgent()) take_mail();
        if (cell_.awaiting_ != nullptr || (cell_.flags_ & kSpecial) != 0 || holds_a_call()) {
            next = attend();
        } else if (cell_.batch_ != nullptr && goes_straight_on()) {
            next = handle_batch();
        } else {
            next = handle_one();
        }
    }
    return next == Next::yielded ? TurnEnd::yielded : TurnEnd::released;
}

TurnEnd Turn::run_after(MailNode* message, Handled handled) {
    --budget_;
    in_place_ = true;
    if (handled != Handled::suspended) return run_on(handler_done(message, handled));
    suspended_in(message);
    return run_on(Next::go_on);
}

TurnEnd Turn::run_after_throw(MailNode* message, const std::string& text) {
    --budget_;
    in_place_ = true;
    return run_on(handler_threw(message, text));
}

TurnEnd Turn::run_after_counted(MailNode* message) {
    --budget_;
    handled_in_place_ = message;
    released_ = 1;
    return run_on(Next::go_on);
}

TurnEnd Turn::run_after_resumed(MailNode* message) {
    if (cell_.awaiting_ != nullptr) {
        suspended_in(message);
        return run_on(Next::go_on);
    }
    return run_on(resumed(message));
}

TurnEnd Turn::run_after_start(Task<Result<void>> hook) {
    queued_for_mail_ = others_went_ = true;
    return run_on(hook.empty() ? begin_work() : begin_start_hook(std::move(hook)));
}

TurnEnd Turn::run_after_start_threw(const std::string& text) {
    return run_on(start_failed(Error(Errc::start_failed, text)));
}

TurnEnd Turn::run_after_stop(Task<void> hook) {
    return run_on(hook.empty() ? end_plainly() : begin_stop_hook(std::move(hook)));
}

TurnEnd Turn::run_after_stop_threw(const std::string& text) {
    return run_on(fail("on_stop", text));
}

/// A turn with something special about it: a handler that waits, an end that is asked for, news of
/// somebody else's end, which goes before all other messages, or no actor at all.
Turn::Next Turn::attend() {
    if (has(kVacant)) return vacant();
    if (has(kKillAsked)) return killed();
    if (cell_.awaiting_ != nullptr) return go_on_awaiting();
    if (has(kStopAsked)) return begin_stop();
    if (holds_a_call()) return begin_another();
    if (has_had_its_share()) return yield();
    in_place_ = false;
    note_own_message(false);
    return handle(pop_news(cell_));
}

// ---- one message --------------------------------------------------------------------------------

/// Handles the oldest message, or lets go of the cell when there is none or the turn is used up.
Turn::Next Turn::handle_one() {
    // A turn with nothing to do would be one more step to be put in every order.
    if (has_had_its_share() && !(deterministic_ && has_no_mail())) return yield();
    MailNode* message = next_message();
    if (message == nullptr) {
        // What was just taken may be more mail, or a signal that asks for something.
        if (cell_.batch_ != nullptr || (cell_.flags_ & kSpecial) != 0) return Next::go_on;
        MailNode* const handled = handled_in_place_;
        if (!cell_.try_idle(handled)) {
            take_mail();
            return Next::go_on;
        }
        // The cell is not ours any more; the envelope still is.
        if (handled != nullptr) ops_of(handled).finish(handled);
        return Next::released;
    }
    if (!running_.goes_straight_on) measure_wait(message);
    if (!is_call(message) && !unwrap(message)) return Next::go_on;
    return call_handler(message);
}

/// Writes down for how long the message, the oldest one, has waited, as a worker wants it of some.
void Turn::measure_wait(const MailNode* message) noexcept {
    running_.goes_straight_on = running_.may_go_straight_on;
    const bool first = std::exchange(queued_for_mail_, false);
    // A managed mailbox says it of every message, and knows better.
    if (managed_ != nullptr || ops_of(message).deliver == nullptr) return;
    Duration waited = waited_since(message->tag, running_.now);
    if (first)
        waited = std::max({waited, queued_for(cell_, running_.now), marked_mail_age(cell_, 0)});
    MailStats::OfType* const stats = cell_.engine().mail_stats().of(type_);
    if (stats == nullptr) return;
    stats->note_wait(waited);
    stats->note_depth(mailbox_depth(cell_));
}

bool Turn::goes_straight_on() const noexcept {
    return running_.goes_straight_on && managed_ == nullptr && cell_.flags_ == 0 &&
           !cell_.nested_ && handled_in_place_ == nullptr;
}

/// Handles calls of the batch, as handle_one would, as long as there is nothing else to it. Written
/// out as run_actor is, and for the same reason.
Turn::Next Turn::handle_batch() {
    in_place_ = false;
    // The compiler cannot know that handlers leave these alone.
    Cell& cell = cell_;
    RunningTurn& running = running_;
    void* const target = object();
    MailNode* message = nullptr;
    try {
        for (;;) {
            if (budget_ == 0) return handle_one();
            if (cell.urgent()) return Next::go_on;
            message = cell.pop_batch();
            if (message == nullptr) return Next::go_on;
            const MessageOps& ops = ops_of(message);
            if (ops.consume != nullptr && message->generation == cell.generation()) [[likely]] {
                --budget_;
                running.doing.store(&ops.method, std::memory_order_relaxed);
                running.handling = message;
                ops.consume(target, message, running);
                running.handling = nullptr;
                if (cell.flags_ != 0) [[unlikely]]
                    return consumed();
                cell.handled_.store(cell.handled() + 1, std::memory_order_relaxed);
                ++released_;
                continue;
            }
            if (!is_call(message)) break;
            --budget_;
            say(message);
            const Handled handled = ops.deliver(target, message);
            if (handled == Handled::suspended) {
                suspended_in(message);
                return Next::go_on;
            }
            if (handled != Handled::done || cell.flags_ != 0) {
                return handler_done(message, handled);
            }
            cell.handled_.store(cell.handled() + 1, std::memory_order_relaxed);
            ++released_;
            running.handling = nullptr;
            ops.finish(message);
        }
    } catch (...) {
        return handler_threw(message, text_of_current_exception());
    }
    MailNode* call = message;  // the address of that one would keep it out of a register
    return unwrap(call) ? call_handler(call) : Next::go_on;
}

Turn::Next Turn::handle(MailNode* message) {
    return call_handler(message);
}

inline Turn::Next Turn::call_handler(MailNode* message) {
    --budget_;
    say(message);
    if (deterministic_) cell_.engine().note_handling(ops_of(message).method, message);
    if (schedule_ != nullptr) [[unlikely]]
        begin_scheduled(message);
    try {
        const Handled handled = ops_of(message).deliver(object(), message);
        if (handled != Handled::suspended) return handler_done(message, handled);
    } catch (...) {
        return handler_threw(message, text_of_current_exception());
    }
    suspended_in(message);
    return Next::go_on;
}

/// The message stays until its coroutine has finished; null stands for a hook.
void Turn::suspended_in(MailNode* message) {
    TROUPE_ASSERT(cell_.awaiting_ != nullptr,
                  "a handler awaited something that is not Troupe's: it would never be resumed");
    running_.handling = nullptr;  // its next turn may be anywhere
    cell_.awaiting_->message = message;
    if (schedule_ != nullptr && schedule_->interleaves()) [[unlikely]] {
        cell_.awaiting_->outer = std::exchange(schedule_->parked, nullptr);
        cell_.nested_ = false;
    } else {
        cell_.awaiting_->outer = cell_.nested_ ? existing_ties(cell_)->outer->record : nullptr;
    }
    if (schedule_ != nullptr) [[unlikely]]
        schedule_->suspended(cell_, message != nullptr ? message : &hooks_of(cell_).handling);
}

void Turn::begin_scheduled(MailNode* message) {
    schedule_->begin(cell_, message);
    // Of several it has left the mailbox when it begins, of one alone when it ends.
    if (interleaves() && !schedule_->is_own(message)) ++released_;
}

MailNode* Turn::next_message() {
    in_place_ = false;
    if (cell_.batch_ != nullptr) {
        if (handled_in_place_ == nullptr) [[likely]]
            return cell_.pop_batch();
        // Its asker shall not wait for what the handler has put into the batch.
        take_mail();
        return nullptr;
    }
    if (managed_ != nullptr) [[unlikely]]
        return managed_->pop();
    // acquire: sees the message its sender published; pairs with push.
    const std::uint64_t word = cell_.word_.load(std::memory_order_acquire);
    MailNode* const youngest = Cell::node_of(word);
    if (youngest == handled_in_place_) return nullptr;  // or both null
    if (youngest->next == nullptr && (word & Cell::kUrgent) == 0) {
        in_place_ = true;
        return youngest;
    }
    take_mail();
    return nullptr;  // a signal among it goes first: handle_one looks again
}

/// Whether it is simply a call, for this actor, and somebody may still want its reply.
bool Turn::is_call(const MailNode* message) const noexcept {
    const MessageOps& ops = ops_of(message);
    return message->generation == cell_.generation() && ops.deliver != nullptr &&
           !(ops.asked && expired(message));
}

/// Deals with mail that is no call. False when there is nothing left to handle.
bool Turn::unwrap(MailNode*& message) {
    const bool stale = message->generation != cell_.generation();
    const bool late = !stale && ops_of(message).asked && expired(message);
    if (message->ops == &ActorTimer::kTickOps || message->ops == &OwnMail::kOps) {
        return unwrap_own(message);
    }
    if (in_place_) take_out(message);
    ++released_;
    if (stale) {
        // Sent to an earlier owner of the slot, by somebody who looked just before it ended.
        if (message->ops == &StopSignal::kDrainOps) {
            message->ops->drop(message, Error(Errc::actor_gone));
        } else {
            lose_accepted(&cell_, DeadLetterReason::stale, message);
        }
        return false;
    }
    if (late) {
        lose(message, DeadLetterReason::expired, too_late(message));
        return false;
    }
    if (message->ops == &StopSignal::kDrainOps) {
        auto* const signal = static_cast<StopSignal*>(message);
        set_stop_reason(cell_, std::move(signal->reason));
        set(kStopAsked);
        message->ops->drop(message, Error(Errc::cancelled));
        return false;
    }
    auto* const waiting = static_cast<WaitingSend*>(message);
    --released_;  // counted when the message inside has been handled
    message = std::exchange(waiting->message, nullptr);
    message->next = nullptr;
    WaitingSend::report_room(waiting);
    return true;
}

/// Whether the asker has given up by now. A message that lies alone has hardly waited for others,
/// only for a worker, so the worker's own clock will do, which costs nothing to read.
bool Turn::expired(const MailNode* message) const noexcept {
    const Duration deadline = static_cast<const AskHeader*>(message)->deadline;
    if (in_place_) return deadline <= running_.now;
    return deadline != Duration::max() && cell_.engine().coarse_now() >= deadline;
}

Error Turn::too_late(const MailNode* message) const {
    return Error(Errc::timed_out, std::string(ops_of(message).method) + " of " +
                                      to_string(pid_of(&cell_, cell_.generation())) + " (" +
                                      std::string(type_.name) +
                                      ") was not begun: its time was up while it waited its turn");
}

/// What the actor has for itself: it took no room in the mailbox.
bool Turn::unwrap_own(MailNode*& message) {
    bool accepted = false;
    if (message->ops == &OwnMail::kOps) {
        auto* const mail = static_cast<OwnMail*>(message);
        accepted = mail->counted;
        if (Ties* const ties = existing_ties(cell_)) ties->last_event = nullptr;
        message = OwnMail::unwrap(mail);
        message->generation = cell_.generation();
        message->next = nullptr;
        if (ops_of(message).asked && expired(message)) {
            lose(message, DeadLetterReason::expired, too_late(message));
            return false;
        }
    } else {
        try {
            message = take_tick(cell_, message);
        } catch (...) {
            // The copy of a timer's argument.
            set_stop_reason(cell_,
                            ExitReason(ExitReason::Kind::failed, text_of_current_exception()));
            set(kKillAsked);
            return false;
        }
    }
    if (message == nullptr) return false;
    message->generation = cell_.generation();
    message->next = nullptr;
    note_own_message(accepted);
    return true;
}

/// The message to be handled took no room. `accepted`: it was counted when it came.
void Turn::note_own_message(bool accepted) {
    if (!accepted && SystemCore::counting_messages()) SystemCore::of(cell_).count_accepted();
    extension_of(cell_).own_message = true;
    set(kUncounted);
}

inline void Turn::count_handled(const MailNode* message) noexcept {
    cell_.handled_.store(cell_.handled() + 1, std::memory_order_relaxed);
    if (has(kUncounted)) [[unlikely]]
        return count_more(message);
    ++released_;
}

/// Whether the message being handled took no room in the mailbox.
bool Turn::took_no_room(const MailNode* message) const noexcept {
    if (!has(kUncounted)) return false;
    return schedule_ != nullptr ? schedule_->is_own(message)
                                : existing_extension(cell_)->own_message;
}

/// A message that took no room, or that somebody else takes note of.
void Turn::count_more(const MailNode* message) noexcept {
    Extension& extension = *existing_extension(cell_);
    const bool own = schedule_ != nullptr ? schedule_->end(cell_, message)
                                          : std::exchange(extension.own_message, false);
    if (!own && !interleaves()) ++released_;
    if (std::exchange(extension.put_off, false)) {
        // It is not handled yet, although its handler has run.
        cell_.handled_.store(cell_.handled() - 1, std::memory_order_relaxed);
    }
    if (!note_handled(cell_, own) && schedule_ == nullptr) clear(kUncounted);
}

inline Turn::Next Turn::handler_done(MailNode* message, Handled handled) {
    running_.handling = nullptr;  // before it is freed: what its end does is done for nobody
    count_handled(message);
    if (handled == Handled::parked) {
        // It is a ReplyTo's now, which may be used as soon as the next message is handled.
        if (in_place_) take_out(message);
    } else if (in_place_) {
        handled_in_place_ = message;
        in_place_ = false;
    } else {
        ops_of(message).finish(message);
    }
    if (cell_.nested_) [[unlikely]]
        nested_done();
    return Next::go_on;
}

/// The same where the message is freed already. It came out of the batch, of an actor whose
/// handlers come one after the other.
Turn::Next Turn::consumed() {
    count_handled(nullptr);
    if (cell_.nested_) [[unlikely]]
        nested_done();
    return Next::go_on;
}

/// What was thrown is what the asker hears and why the actor ends.
Turn::Next Turn::handler_threw(MailNode* message, const std::string& text) {
    const std::string_view method = ops_of(message).method;
    running_.handling = nullptr;
    if (in_place_) take_out(message);
    give_up(message, Error(Errc::failed, std::string(method) + ": " + text));
    return fail(method, text);
}

Turn::Next Turn::fail(std::string_view method, std::string_view why) {
    running_.handling = nullptr;
    const ExitReason reason(ExitReason::Kind::failed, why);
    report_crash(cell_, method, reason);
    return end(reason);
}

/// Somebody, or an end it was linked to, has asked for its own at once.
Turn::Next Turn::killed() {
    const ExitReason& reason = stop_reason(cell_);
    const Extension* const extension = existing_extension(cell_);
    const bool reported = extension != nullptr && extension->ending;
    if (reason.kind() == ExitReason::Kind::failed && !reported) {
        const MailNode* const waits =
            cell_.awaiting_ != nullptr ? cell_.awaiting_->message : nullptr;
        report_crash(cell_, waits != nullptr ? ops_of(waits).method : std::string_view(), reason);
    }
    return end(reason);
}

/// A message whose handler has thrown counts as handled, unless the next incarnation may try it
/// again, or has.
void Turn::give_up(MailNode* message, const Error& why) noexcept {
    Supervised* const known = supervised();
    const Supervised::Fate fate = known != nullptr && !took_no_room(message)
                                      ? known->judge(message, cell_.handled())
                                      : Supervised::Fate::fails;
    if (fate == Supervised::Fate::is_tried_again) return;
    if (fate == Supervised::Fate::fails) {
        count_handled(message);
    } else {
        if (!interleaves()) ++released_;
        SystemCore::of(cell_).note_lost(&cell_, DeadLetterReason::poison, message);
    }
    message->ops->drop(message, why);
}

// ---- a handler that waits -----------------------------------------------------------------------

/// Resumes the handler if it can go on, else lets go of the cell.
Turn::Next Turn::go_on_awaiting() {
    if (interleaves()) [[unlikely]]
        return go_on_interleaving();
    if (cell_.awaiting_->call_waits) return handle_nested();
    if (can_resume_) return resume();
    if (cell_.awaiting_->yielding) return yield();
    if (has(kStopAsked) && !has(kStopHeard) && cell_.awaiting_->interruptible) {
        // The stop came while something else was awaited, and must not wait for this. Told once: a
        // handler that sleeps on regardless is not made to spin.
        if (in_place_) take_mail();
        set(kStopHeard);
        cell_.awaiting_->cancelled = cell_.awaiting_->arrived == nullptr;
        can_resume_ = true;
        return Next::go_on;
    }
    return block();
}

/// Lets go of the cell until an answer comes. One that waits for another actor looks once more
/// whether that one, meanwhile, waits for it.
Turn::Next Turn::block() {
    MailNode* const message = in_place_ ? cell_.awaiting_->message : nullptr;
    WaitsFor* const edge = cell_.awaiting_->edge;
    const BlockedCell blocked{&cell_, cell_.generation(), cell_.awaiting_->number};
    if (cell_.batch_ != nullptr) [[unlikely]]
        mark_what_waits();
    if (handled_in_place_ == nullptr && cell_.try_block(message, released_)) {
        // The cell is not ours any more.
        if (edge != nullptr) look_after_blocking(blocked, *edge);
        return Next::released;
    }
    take_mail();
    return Next::go_on;
}

// ---- several handlers at work -------------------------------------------------------------------

/// Resumes a handler whose wait is over, else begins the next message if it may.
Turn::Next Turn::go_on_interleaving() {
    can_resume_ = false;  // of those that can, one is picked here
    Awaiting* const ready = Schedule::ready_one(cell_, others_went_);
    if (in_place_ && ready != cell_.awaiting_) {
        // Others are linked above it from now on, or handled before it is.
        take_out(cell_.awaiting_->message);
        return Next::go_on;
    }
    if (ready != nullptr) {
        if (has_had_its_share()) return yield();
        --budget_;
        others_went_ = false;
        Schedule::bring_to_front(cell_, *ready);
        schedule_->parked = ready->outer;
        cell_.nested_ = schedule_->parked != nullptr;
        return resume();
    }
    if (handled_in_place_ != nullptr) {
        take_mail();
        return Next::go_on;
    }
    if (has(kStopAsked)) {
        if (interrupt_all()) return Next::go_on;
        return Schedule::anybody_yields(cell_) ? yield() : block();
    }
    return begin_another();
}

/// A stop ends the waits that it may, once. True when it has ended one.
bool Turn::interrupt_all() noexcept {
    if (has(kStopHeard)) return false;
    for (const Awaiting* record = cell_.awaiting_; record != nullptr; record = record->outer) {
        // Its outcome is there, so it would not look. It goes on first; its next wait is told.
        if (record->interruptible && record->yielding && !record->cancelled) return false;
    }
    set(kStopHeard);
    bool any = false;
    for (Awaiting* record = cell_.awaiting_; record != nullptr; record = record->outer) {
        if (!record->interruptible || record->arrived != nullptr) continue;
        record->cancelled = true;
        any = true;
    }
    return any;
}

Turn::Next Turn::begin_another() {
    if (schedule_->held == nullptr && !take_next()) {
        if (cell_.urgent() || cell_.batch_ != nullptr || schedule_->held != nullptr) {
            return Next::go_on;
        }
        if (Schedule::anybody_yields(cell_)) return yield();
        if (cell_.try_idle(nullptr)) return Next::released;
        take_mail();
        return Next::go_on;
    }
    MailNode* const message = schedule_->held;
    if (!schedule_->may_begin(cell_, message)) {
        return Schedule::anybody_yields(cell_) ? yield() : block();
    }
    if (has_had_its_share()) return yield();
    schedule_->held = nullptr;
    if (ops_of(message).asked && expired(message)) {
        ++released_;
        lose(message, DeadLetterReason::expired, too_late(message));
        return Next::go_on;
    }
    step_aside();
    return handle(message);
}

/// Takes the next call out of the mailbox. False when there is none yet.
bool Turn::take_next() {
    MailNode* message = nullptr;
    if (has(kHasNews)) {
        note_own_message(false);
        message = pop_news(cell_);
    } else {
        if (managed_ == nullptr && cell_.batch_ == nullptr &&
            Cell::node_of(cell_.word()) != nullptr) {
            take_mail();
        }
        if (cell_.batch_ != nullptr) {
            message = cell_.pop_batch();
        } else if (managed_ != nullptr) {
            message = managed_->pop();
        }
        if (message == nullptr || (!is_call(message) && !unwrap(message))) return false;
    }
    schedule_->held = message;
    return true;
}

/// Those that wait make room for another.
void Turn::step_aside() noexcept {
    schedule_->parked = std::exchange(cell_.awaiting_, nullptr);
    cell_.nested_ = true;
    others_went_ = false;
}

// ---- calls that come back -----------------------------------------------------------------------

/// The handler waits for somebody who, perhaps through others, waits for this call.
Turn::Next Turn::handle_nested() {
    if (in_place_) take_out(cell_.awaiting_->message);
    MailNode* const call = pop_nested(cell_);
    if (call == nullptr) {
        cell_.awaiting_->call_waits = false;
        return Next::go_on;
    }
    push_outer(cell_);
    can_resume_ = false;
    budget_ = std::max(budget_, 1U);  // those who wait for it cannot wait for another turn
    return handle(call);
}

/// Unless the nested call waits itself, the handler below is the one that waits again.
void Turn::nested_done() {
    if (interleaves()) {
        if (cell_.awaiting_ != nullptr) return;
        cell_.awaiting_ = std::exchange(schedule_->parked, nullptr);
        cell_.nested_ = false;
        return;
    }
    if (cell_.awaiting_ != nullptr || !pop_outer(cell_)) return;
    Awaiting& record = *cell_.awaiting_;
    if (record.arrived == nullptr && record.deadline != Duration::max()) {
        // Its deadline was not looked at meanwhile.
        record.timed_out = cell_.engine().now() >= record.deadline;
        if (!record.timed_out) arm_deadline(cell_, record.deadline);
    }
    can_resume_ = record.arrived != nullptr || record.timed_out || record.in_cycle ||
                  record.cancelled || look_at_scope_again(cell_, &record, record.message);
}

Turn::Next Turn::resume() {
    can_resume_ = false;
    // What others do between the end of a wait and the next message must be seen, too.
    if (deterministic_) budget_ = 0;
    Awaiting& awaiting = end_await(cell_);
    MailNode* const message = awaiting.message;
    if (in_place_) take_out(message);
    if (message != nullptr) {
        say(message);
    } else {
        say(has(kInStartHook) ? kStartHook : kStopHook, &hooks_of(cell_).handling);
    }
    task_internal::resume_chain(awaiting.leaf);  // what is thrown is kept in the root's promise
    if (cell_.awaiting_ != nullptr) {
        suspended_in(message);
        return Next::go_on;
    }
    if (message == nullptr) {
        running_.handling = nullptr;
        return has(kInStartHook) ? start_hook_done() : stop_hook_done();
    }
    return resumed(message);
}

/// The handler of the message has waited and has come to its end.
Turn::Next Turn::resumed(MailNode* message) {
    Handled handled = Handled::done;
    try {
        handled = ops_of(message).complete(message);
    } catch (...) {
        return handler_threw(message, text_of_current_exception());
    }
    return handler_done(message, handled);
}

bool Turn::has_no_mail() const noexcept {
    return cell_.batch_ == nullptr && managed_ == nullptr && !cell_.urgent() &&
           Cell::node_of(cell_.word()) == handled_in_place_;
}

/// Whether others should run first. The worker decides: after so many messages, or so long.
bool Turn::has_had_its_share() noexcept {
    if (budget_ == 0) [[unlikely]] {
        budget_ = schedule_ != nullptr && schedule_->slices()
                      ? more_of_slice()
                      : running_.more_messages(running_, given_);
        given_ += budget_;
        // The turn may go on and on when nobody else waits for the worker.
        if (budget_ != 0 && released_ != 0) cell_.release(std::exchange(released_, 0));
    }
    return budget_ == 0;
}

// As many messages between two looks at the clock.
constexpr unsigned kSliceInstalment = 16;

void Turn::begin_slice() noexcept {
    if (deterministic_) return;  // a turn is one message there
    budget_ = given_ = std::min(schedule_->settings().slice_messages, kSliceInstalment);
    began_ = cell_.engine().now();
}

unsigned Turn::more_of_slice() const noexcept {
    const Scheduling& settings = schedule_->settings();
    if (deterministic_ || given_ >= settings.slice_messages ||
        cell_.engine().now() - began_ >= settings.slice_time) {
        return 0;
    }
    return std::min(settings.slice_messages - given_, kSliceInstalment);
}

Turn::Next Turn::yield() {
    if (in_place_ || handled_in_place_ != nullptr) take_mail();
    if (cell_.awaiting_ != nullptr && (can_resume_ || has(kKillAsked))) return Next::go_on;
    if (released_ != 0) cell_.release(std::exchange(released_, 0));
    return Next::yielded;
}

/// The handler waits with mail behind it: whoever asks how old that is, is told (mail_mark.hpp).
void Turn::mark_what_waits() noexcept {
    const std::uint64_t count = Cell::count_of(cell_.word());
    if (managed_ == nullptr && count > released_) mark_mail(cell_, count - released_);
}

/// Takes what has come out of the mailbox word and acts on the signals.
void Turn::take_mail() {
    if (in_place_) return take_out(cell_.awaiting_->message);
    MailNode* const handled = std::exchange(handled_in_place_, nullptr);
    MailNode* const signals = cell_.take_mail(handled, std::exchange(released_, 0));
    if (handled != nullptr) ops_of(handled).finish(handled);
    if (handle_signals(cell_, signals)) can_resume_ = true;
}

/// The same, and the message being handled in place is out of the mailbox and ours.
void Turn::take_out(const MailNode* message) {
    in_place_ = false;
    MailNode* const signals = cell_.take_mail(message, std::exchange(released_, 0));
    if (handle_signals(cell_, signals)) can_resume_ = true;
}

// ---- the beginning and the end ------------------------------------------------------------------

Turn::Next Turn::begin_start() {
    cell_.state_.store(CellState::starting, std::memory_order_relaxed);
    Actor* const self = actor();
    if (self != nullptr) {
        // A hook that is no coroutine may throw here; one that is keeps it in its promise.
        try {
            Hooks* const known = existing_hooks(cell_);
            say(kStartHook, known != nullptr ? &known->handling : nullptr);
            Task<Result<void>> hook = ActorAccess::on_start(*self);
            if (!hook.empty()) return begin_start_hook(std::move(hook));
        } catch (...) {
            return start_failed(Error(Errc::start_failed, text_of_current_exception()));
        }
    }
    return begin_work();
}

Turn::Next Turn::begin_start_hook(Task<Result<void>> hook) {
    try {
        Hooks& hooks = hooks_of(cell_);
        hooks.on_start = std::move(hook);
        set(kInStartHook);
        running_.handling = &hooks.handling;
        if (schedule_ != nullptr) {
            schedule_->begin_hook(cell_, hooks.handling, schedule_->settings().on_start);
        }
        hooks.on_start.start();
        if (hooks.on_start.finished()) return start_hook_done();
        suspended_in(nullptr);
        return Next::go_on;
    } catch (...) {
        return start_failed(Error(Errc::start_failed, text_of_current_exception()));
    }
}

/// The actor has started. Its first message may be one that has ended the incarnation before.
Turn::Next Turn::begin_work() {
    report_started();
    Supervised* const known = supervised();
    if (known == nullptr || known->suspect == nullptr) return Next::go_on;
    if (budget_ == 0) ++budget_;
    return handle(std::exchange(known->suspect, nullptr));
}

Turn::Next Turn::start_hook_done() {
    Hooks& hooks = hooks_of(cell_);
    if (schedule_ != nullptr) schedule_->end(cell_, &hooks.handling);
    clear(kInStartHook);
    Result<void> started;
    try {
        started = hooks.on_start.take();
    } catch (...) {
        return start_failed(Error(Errc::start_failed, text_of_current_exception()));
    }
    hooks.on_start.reset();
    release_context(hooks.handling);
    if (!started) {
        Error why(Errc::start_failed, started.error().text());
        if (has(kStopAsked) && started.error() == Errc::cancelled) {
            // Not a failure: it was asked to stop while it started.
            return end(stop_reason(cell_));
        }
        return start_failed(why.with_cause(std::move(started).error()));
    }
    return begin_work();
}

Turn::Next Turn::start_failed(Error why) {
    running_.handling = nullptr;
    const std::string text = why.text();
    const Hooks* const hooks = existing_hooks(cell_);
    if (hooks != nullptr && hooks->start_outcome != nullptr) {
        hooks->start_outcome->reply.emplace(std::unexpect, std::move(why));
    }
    return fail("on_start", text);
}

void Turn::report_started() noexcept {
    running_.handling = nullptr;
    cell_.state_.store(CellState::running, std::memory_order_relaxed);
    if (Supervised* const known = supervised()) known->current->report_started();
    Hooks* const hooks = existing_hooks(cell_);
    if (hooks == nullptr) return;
    if (AskEnvelope<void>* const envelope = std::exchange(hooks->start_outcome, nullptr)) {
        envelope->reply.emplace();
        envelope->post_reply();
    }
    forget_start(cell_);
}

Turn::Next Turn::begin_stop() {
    clear(kStopAsked);
    if (handled_in_place_ != nullptr) take_mail();
    cell_.state_.store(CellState::stopping, std::memory_order_relaxed);
    Actor* const self = actor();
    if (self == nullptr) return end(stop_reason(cell_));
    try {
        // The reason outlives the hook: it is the extension's, or one of the constants.
        set(kInStopHook);  // from here on a second stop changes nothing
        say(kStopHook, nullptr);
        Task<void> hook = ActorAccess::on_stop(*self, stop_reason(cell_));
        if (!hook.empty()) return begin_stop_hook(std::move(hook));
    } catch (...) {
        return fail("on_stop", text_of_current_exception());
    }
    return end_plainly();
}

Turn::Next Turn::begin_stop_hook(Task<void> hook) {
    try {
        Hooks& hooks = hooks_of(cell_);
        hooks.on_stop = std::move(hook);
        running_.handling = &hooks.handling;
        if (schedule_ != nullptr) {
            schedule_->begin_hook(cell_, hooks.handling, schedule_->settings().on_stop);
        }
        hooks.on_stop.start();
        if (hooks.on_stop.finished()) return stop_hook_done();
        suspended_in(nullptr);
        return Next::go_on;
    } catch (...) {
        return fail("on_stop", text_of_current_exception());
    }
}

Turn::Next Turn::stop_hook_done() {
    if (schedule_ != nullptr) schedule_->end(cell_, &hooks_of(cell_).handling);
    try {
        hooks_of(cell_).on_stop.take();
    } catch (...) {
        return fail("on_stop", text_of_current_exception());
    }
    return end(stop_reason(cell_));
}

/// Ends the actor. The order matters: the suspended coroutine goes first, while what it refers to
/// is still there; then the hooks and the object; and only when nothing of it is left does anybody
/// hear.
Turn::Next Turn::end(ExitReason reason) {
    running_.handling = nullptr;
    if (!abandon_handlers(reason)) {
        // Others still use what lies in a frame: they are ending, and their end wakes this cell.
        extension_of(cell_).ending = true;
        set_stop_reason(cell_, std::move(reason));
        set(kKillAsked);
        can_resume_ = false;
        return block();
    }
    abandon_hooks();
    if (schedule_ != nullptr) schedule_->forget_all(cell_);
    type_.destroy(object());
    return actor_gone(reason);
}

/// The same, for one that mostly has nothing but its object and a reason without a text.
Turn::Next Turn::end_plainly() {
    if (cell_.extension_ != nullptr) return end(stop_reason(cell_));
    running_.handling = nullptr;
    type_.destroy(object());
    // Its destructor may have been at something that makes one.
    if (cell_.extension_ != nullptr) [[unlikely]]
        return actor_gone(ExitReason(stop_reason(cell_)));
    return end_address(stop_reason(cell_));
}

/// Nothing is left of the actor. Its address may stay for the next one.
Turn::Next Turn::actor_gone(const ExitReason& reason) {
    const Supervised* const known = supervised();
    const bool stays = known != nullptr && known->address_stays(reason);
    if (schedule_ != nullptr) abandon_held(reason, stays);
    return stays ? vacate(reason) : end_address(reason);
}

/// A call that was taken out of the mailbox and not begun: as those that lie in it.
void Turn::abandon_held(const ExitReason& reason, bool address_stays) noexcept {
    MailNode* const held = schedule_->held;
    if (held == nullptr) return;
    Extension& extension = *existing_extension(cell_);
    const bool own = std::exchange(extension.own_message, false);
    if (address_stays && !own) return;
    schedule_->held = nullptr;
    lose(held, DeadLetterReason::stopped, gone(cell_, reason));
}

Turn::Next Turn::end_address(const ExitReason& reason) {
    cell_.state_.store(CellState::ended, std::memory_order_relaxed);
    finish_end(cell_, std::exchange(handled_in_place_, nullptr), reason);
    return Next::released;
}

/// A killed handler is never resumed: its coroutine is destroyed where it waits. False when one has
/// lent something to tasks of its own, which must end before it: they have been asked to.
bool Turn::abandon_handlers(const ExitReason& reason) noexcept {
    if (!cell_.nested_ && cell_.awaiting_ == nullptr) return true;
    const Error why = gone(cell_, reason);
    if (interleaves()) return abandon_interleaved(why);
    while (MailNode* const call = pop_nested(cell_))
        lose(call, DeadLetterReason::stopped, why);
    do {
        Awaiting* const record = cell_.awaiting_;
        if (record == nullptr) continue;  // the handler that has failed waits no more
        if (record->let_go != nullptr && !record->let_go(*record)) return false;
        abandon_handler(why);
    } while (pop_outer(cell_));
    return true;
}

bool Turn::abandon_interleaved(const Error& why) noexcept {
    if (cell_.nested_) {
        cell_.awaiting_ = std::exchange(schedule_->parked, nullptr);
        cell_.nested_ = false;
    }
    while (Awaiting* const record = cell_.awaiting_) {
        if (record->let_go != nullptr && !record->let_go(*record)) return false;
        Awaiting* const outer = record->outer;
        abandon_handler(why);
        cell_.awaiting_ = outer;
    }
    return true;
}

void Turn::abandon_handler(const Error& why) noexcept {
    if (in_place_) take_mail();
    MailNode* const message = end_await(cell_).message;
    // A hook, which has no message, is destroyed by the caller.
    if (message != nullptr) lose(message, DeadLetterReason::stopped, why);
}

void Turn::lose(MailNode* message, DeadLetterReason reason, const Error& why) noexcept {
    SystemCore::of(cell_).note_lost(&cell_, reason, message);
    message->ops->drop(message, why);
}

void Turn::abandon_hooks() noexcept {
    Extension* const extension = existing_extension(cell_);
    if (extension == nullptr) return;
    if (Hooks* const hooks = extension->hooks) {
        hooks->on_start.reset();
        hooks->on_stop.reset();
        release_context(hooks->handling);
    }
    disarm_deadline(extension->deadline);
}

// ---- an address without an actor ----------------------------------------------------------------

/// The actor is gone and its address stays: mail waits there for the next incarnation.
Turn::Next Turn::vacate(const ExitReason& reason) {
    cell_.flags_ = kVacant;
    cell_.state_.store(CellState::restarting, std::memory_order_relaxed);
    set_stop_reason(cell_, ExitReason());
    supervised()->after = After::policy;
    if (handled_in_place_ != nullptr) take_mail();
    finish_incarnation(cell_, reason);
    return Next::go_on;
}

/// Waits for the order to build the next incarnation.
Turn::Next Turn::vacant() {
    Supervised& known = *supervised();
    if (has(kStopAsked | kKillAsked)) {
        const ExitReason reason = stop_reason(cell_);
        if (!known.address_stays(reason)) return end_address(reason);
        cell_.flags_ = kVacant;  // a link's end, and nobody to end with it
        set_stop_reason(cell_, ExitReason());
    }
    if (known.next != nullptr) return build();
    if (cell_.try_block(nullptr, released_)) return Next::released;
    take_mail();
    return Next::go_on;
}

Turn::Next Turn::build() {
    running_.handling = nullptr;
    Supervised& known = *supervised();
    known.current = std::exchange(known.next, nullptr);
    ++known.incarnation;
    constexpr std::uint32_t kShownMax = 0xFFFF;
    cell_.incarnation_.store(static_cast<std::uint16_t>(std::min(known.incarnation, kShownMax)),
                             std::memory_order_relaxed);
    cell_.flags_ = schedule_ != nullptr ? kUncounted : std::uint8_t{0};
    void* object = cell_.inline_state();
    if (!type_.inline_state) {
        object = allocate_block(type_.bytes);
        *static_cast<void**>(cell_.inline_state()) = object;
    }
    try {
        const BuildingScope building(cell_, object, type_.bytes);
        known.blueprint->build(object);
    } catch (...) {
        if (!type_.inline_state) free_block(object, type_.bytes);
        const ExitReason reason(ExitReason::Kind::failed, text_of_current_exception());
        report_crash(cell_, "constructor", reason);
        return actor_gone(reason);
    }
    return begin_start();
}

/// Whether this turn is like most: one call, alone in a plain mailbox, whose reply somebody may
/// still want, and nothing special about the actor. A handler below, which `nested_` would tell,
/// waits, and so `awaiting_` tells it as well.
bool is_usual(Cell& cell, std::uint64_t word, const RunningTurn& running) noexcept {
    const MailNode* const message = Cell::node_of(word);
    if (message == nullptr || message->next != nullptr || (word & Cell::kUrgent) != 0) return false;
    if (cell.flags_ != 0 || cell.awaiting_ != nullptr || cell.batch_ != nullptr) return false;
    const MessageOps& ops = ops_of(message);
    if (ops.asked && static_cast<const AskHeader*>(message)->deadline <= running.now) return false;
    return cell.state() == CellState::running && message->generation == cell.generation() &&
           ops.deliver != nullptr && running.goes_straight_on;
}

/// Whether it is the other turn that is like most: the answer that the only handler at work waits
/// for has come, and nothing else that goes before it. On the deterministic engine there are
/// marks to be made.
bool is_usual_answer(const Cell& cell, std::uint64_t word, const RunningTurn& running) noexcept {
    const Awaiting* const record = cell.awaiting_;
    return record != nullptr && record->arrived != nullptr && record->message != nullptr &&
           record->outer == nullptr && (word & Cell::kUrgent) == 0 && cell.flags_ == 0 &&
           !cell.nested_ && !record->call_waits && !running.deterministic;
}

// Each out of line, so that the usual turn has neither a Turn nor its registers to keep.

[[gnu::noinline]] TurnEnd run_otherwise(Cell& cell) {
    return Turn(cell).run();
}

[[gnu::noinline]] TurnEnd run_on_after(Cell& cell, MailNode* message, Handled handled) {
    return Turn(cell).run_after(message, handled);
}

[[gnu::noinline]] TurnEnd run_on_after_throw(Cell& cell, MailNode* message,
                                             const std::string* thrown) {
    const std::unique_ptr<const std::string> text(thrown);
    return Turn(cell).run_after_throw(message, *text);
}

[[gnu::noinline]] TurnEnd run_on_after_counted(Cell& cell, MailNode* message) {
    return Turn(cell).run_after_counted(message);
}

[[gnu::noinline]] TurnEnd run_on_after_resumed(Cell& cell, MailNode* message) {
    return Turn(cell).run_after_resumed(message);
}

/// Resumes the handler, which most often waits again: what Turn would do.
[[gnu::noinline]] TurnEnd run_answered(Cell& cell, RunningTurn& running) {
    const Awaiting& answered = end_await(cell);
    MailNode* const message = answered.message;
    running.doing.store(&ops_of(message).method, std::memory_order_relaxed);
    running.handling = message;
    task_internal::resume_chain(answered.leaf);  // what is thrown is kept in the root's promise
    Awaiting* const next = cell.awaiting_;
    if (next == nullptr || next->yielding || cell.flags_ != 0 || cell.batch_ != nullptr)
        return run_on_after_resumed(cell, message);
    running.handling = nullptr;
    next->message = message;
    next->outer = nullptr;
    WaitsFor* const edge = next->edge;
    const BlockedCell blocked{&cell, cell.generation(), next->number};
    // As Cell::try_block, without mail to give back. seq_cst: as there.
    std::uint64_t word = cell.word_.load(std::memory_order_relaxed);
    if ((word & Cell::kUrgent) != 0 ||
        !cell.word_.compare_exchange_strong(word, word | Cell::kBlocked, std::memory_order_seq_cst,
                                            std::memory_order_relaxed)) {
        return run_on_after_resumed(cell, message);
    }
    // The cell is not ours any more.
    if (edge != nullptr) look_after_blocking(blocked, *edge);
    return TurnEnd::released;
}

[[gnu::noinline]] TurnEnd run_on_after_stop(Cell& cell, Task<void> hook) {
    return Turn(cell).run_after_stop(std::move(hook));
}

[[gnu::noinline]] TurnEnd run_on_after_stop_threw(Cell& cell, const std::string& text) {
    return Turn(cell).run_after_stop_threw(text);
}

/// Whether its handler has asked for the actor's end, and it has nothing but its object.
bool ends_plainly(const Cell& cell) noexcept {
    return cell.flags_ == kStopAsked && cell.extension_ == nullptr && cell.batch_ == nullptr;
}

/// The last turn of such an actor, in which it has handled the message that lay alone in its
/// mailbox: what Turn would do.
[[gnu::noinline]] TurnEnd run_last(Cell& cell, std::uint64_t word, RunningTurn& running) {
    MailNode* const message = Cell::node_of(word);
    // Whatever has come meanwhile may go before the end. acquire: as Cell::take_mail.
    if (!cell.word_.compare_exchange_strong(word, 0, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
        return run_on_after(cell, message, Handled::done);
    }
    cell.handled_.store(cell.handled() + 1, std::memory_order_relaxed);
    running.handling = nullptr;
    ops_of(message).finish(message);
    const auto& type = *static_cast<const ActorType*>(cell.type());
    const ExitReason& reason = stop_reason(cell);  // a constant, as long as there is no extension
    cell.state_.store(CellState::stopping, std::memory_order_relaxed);
    if (type.as_actor != nullptr) {
        cell.flags_ = kInStopHook;  // from here on a second stop changes nothing
        running.doing.store(&kStopHook, std::memory_order_relaxed);
        Task<void> hook;
        std::unique_ptr<const std::string> thrown;
        try {
            hook = ActorAccess::on_stop(*type.as_actor(object_of(cell, type)), reason);
        } catch (...) {
            thrown = std::make_unique<const std::string>(text_of_current_exception());
        }
        if (thrown != nullptr) [[unlikely]]
            return run_on_after_stop_threw(cell, *thrown);
        if (!hook.empty()) [[unlikely]]
            return run_on_after_stop(cell, std::move(hook));
    } else {
        cell.flags_ = 0;
    }
    // What on_stop has made is left to Turn, as is what the destructor makes.
    if (cell.extension_ != nullptr) [[unlikely]]
        return run_on_after_stop(cell, Task<void>());
    type.destroy(object_of(cell, type));
    cell.state_.store(CellState::ended, std::memory_order_relaxed);
    finish_end(cell, nullptr, reason);
    return TurnEnd::released;
}

// The usual turn is written out, because most messages of most programs are handled in one: the
// same as Turn would do, without a Turn. Whatever is not usual afterwards is left to it. A managed
// mailbox has its messages elsewhere: in the word there are only signals.
[[gnu::always_inline]] inline TurnEnd run_usual(Cell& cell, std::uint64_t word,
                                                RunningTurn& running) {
    MailNode* const message = Cell::node_of(word);
    running.doing.store(&ops_of(message).method, std::memory_order_relaxed);
    running.handling = message;
    Handled handled = Handled::done;
    const std::string* thrown = nullptr;  // looked at when a handler was not done
    try {
        handled = ops_of(message).deliver(
            object_of(cell, *static_cast<const ActorType*>(cell.type())), message);
    } catch (...) {
        // Out of here first: the handlers that follow are not to run inside of this clause.
        handled = Handled::parked;
        thrown = new std::string(text_of_current_exception());
    }
    // A handler may have put something into its own batch, or asked for the actor's end.
    if (handled != Handled::done || cell.flags_ != 0 || cell.batch_ != nullptr) [[unlikely]] {
        if (handled == Handled::done && ends_plainly(cell)) return run_last(cell, word, running);
        return thrown == nullptr ? run_on_after(cell, message, handled)
                                 : run_on_after_throw(cell, message, thrown);
    }
    cell.handled_.store(cell.handled() + 1, std::memory_order_relaxed);
    if (!cell.try_idle_from(word)) return run_on_after_counted(cell, message);
    // The cell is not ours any more; the envelope still is.
    running.handling = nullptr;
    ops_of(message).finish(message);
    return TurnEnd::released;
}

[[gnu::noinline]] TurnEnd run_on_after_start(Cell& cell, Task<Result<void>> hook) {
    return Turn(cell).run_after_start(std::move(hook));
}

[[gnu::noinline]] TurnEnd run_on_after_start_threw(Cell& cell, const std::string& text) {
    return Turn(cell).run_after_start_threw(text);
}

/// The first turn of an actor that has nothing but its object: its start, and most often the
/// message that it was made for.
[[gnu::noinline]] TurnEnd run_first(Cell& cell, std::uint64_t word, RunningTurn& running) {
    const auto& type = *static_cast<const ActorType*>(cell.type());
    Task<Result<void>> hook;
    if (type.as_actor != nullptr) {
        running.doing.store(&kStartHook, std::memory_order_relaxed);
        running.handling = nullptr;
        std::unique_ptr<const std::string> thrown;
        try {
            hook = ActorAccess::on_start(*type.as_actor(object_of(cell, type)));
        } catch (...) {
            thrown = std::make_unique<const std::string>(text_of_current_exception());
        }
        if (thrown != nullptr) [[unlikely]]
            return run_on_after_start_threw(cell, *thrown);
        // acquire: as in run_actor. A signal that has come meanwhile goes before the message.
        word = cell.word_.load(std::memory_order_acquire);
    }
    if (!hook.empty() || cell.extension_ != nullptr) [[unlikely]]
        return run_on_after_start(cell, std::move(hook));
    cell.state_.store(CellState::running, std::memory_order_relaxed);
    return is_usual(cell, word, running) ? run_usual(cell, word, running)
                                         : run_on_after_start(cell, std::move(hook));
}

/// What is not usual from its beginning.
[[gnu::noinline]] TurnEnd run_unusual(Cell& cell, std::uint64_t word, RunningTurn& running) {
    if (is_usual_answer(cell, word, running)) return run_answered(cell, running);
    if (cell.state() == CellState::starting && cell.flags_ == 0 && cell.extension_ == nullptr &&
        running.goes_straight_on) {
        return run_first(cell, word, running);
    }
    return run_otherwise(cell);
}

}  // namespace

TurnEnd run_actor(Cell& cell) {
    RunningTurn& running = running_turn();
    // acquire: sees the message its sender published, pairs with push; and what the last turn,
    // perhaps on another worker, left behind, pairs with try_idle and try_block.
    const std::uint64_t word = cell.word_.load(std::memory_order_acquire);
    return is_usual(cell, word, running) ? run_usual(cell, word, running)
                                         : run_unusual(cell, word, running);
}

}  // namespace troupe::actor_internal

namespace troupe {

Duration asker_deadline() noexcept {
    const MailNode* const handled = handled_now();
    if (handled == nullptr) return Duration::max();
    const Duration deadline =
        handled->ops->timed ? static_cast<const TimedNode*>(handled)->deadline : Duration::max();
    return handled->context != nullptr ? std::min(deadline, scope_now().deadline) : deadline;
}

}  // namespace troupe
