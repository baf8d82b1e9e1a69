#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/actor/internal/own_mail.hpp>
#include <troupe/actor/internal/timers.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/scheduler/engine.hpp>

#include <algorithm>
#include <utility>

namespace troupe::actor_internal {

namespace {

// Shorter periods than a timer wheel's tick would only make the actor spin.
constexpr Duration kPeriodMin = std::chrono::microseconds(1);

void free_timer(ActorTimer* timer) noexcept {
    if (timer->call != nullptr) timer->call->ops->drop(timer->call, Error(Errc::cancelled));
    free_node(timer);
}

bool timer_arrived(MailNode* node, Cell& cell) {
    auto* const timer = static_cast<ActorTimer*>(node);
    if (timer->cancelled) {
        free_timer(timer);
    } else {
        timer->ops = &ActorTimer::kTickOps;
        put_last(cell, timer);
    }
    return false;
}

void drop_timer(MailNode* node, const Error&) noexcept {
    free_timer(static_cast<ActorTimer*>(node));
}

TimerBook* book_of(Cell& cell) noexcept {
    Extension* const extension = existing_extension(cell);
    return extension != nullptr ? extension->timers : nullptr;
}

Duration later(Duration now, Duration delay) noexcept {
    return delay < Duration::max() - now ? now + delay : Duration::max();
}

void put_on_clock(ActorTimer* timer, Duration deadline) {
    timer->ops = &ActorTimer::kOps;
    timer->generation = timer->target->generation();
    timer->deadline = deadline;
    timer->target->engine().start_timer(timer);
}

/// The timer leaves its place, which the handle then finds empty or used by another.
void leave_place(TimerBook& book, ActorTimer* timer) noexcept {
    TimerBook::Place& place = book.places[timer->index];
    place.timer = nullptr;
    if (++place.use == 0) place.use = 1;
    book.free.push_back(timer->index);
    if (timer->kind == TimerKind::idle) --book.idle_timers;
}

void cancel(TimerBook& book, ActorTimer* timer) noexcept {
    leave_place(book, timer);
    if (book.resting == timer) {
        book.resting = nullptr;
    } else if (!timer->target->engine().cancel_timer(timer)) {
        timer->cancelled = true;  // on its way, or among the mail
        MailNode* const call = std::exchange(timer->call, nullptr);
        call->ops->drop(call, Error(Errc::cancelled));
        return;
    }
    free_timer(timer);
}

ActorTimer* find(const TimerBook& book, TimerPlace place) noexcept {
    if (place.use == 0 || place.index >= book.places.size()) return nullptr;
    const TimerBook::Place& at = book.places[place.index];
    return at.use == place.use ? at.timer : nullptr;
}

/// The next time of a fixed rate; times that have passed meanwhile are left out.
Duration next_of_rate(const ActorTimer& timer, Duration now) noexcept {
    const Duration next = later(timer.deadline, timer.period);
    if (next > now) return next;
    const auto missed = (now - timer.deadline) / timer.period;
    return later(timer.deadline, timer.period * (missed + 1));
}

}  // namespace

const MailOps ActorTimer::kOps{MailKind::signal, &drop_timer, &timer_arrived};

const MessageOps ActorTimer::kTickOps{
    {MailKind::message, &drop_timer, nullptr}, "timer", nullptr, nullptr, nullptr, nullptr};

TimerPlace set_timer(Cell& cell, const TimerSetting& setting, const TimerKey* key) {
    Extension& extension = extension_of(cell);
    if (extension.timers == nullptr) extension.timers = new TimerBook;
    TimerBook& book = *extension.timers;
    if (key != nullptr) cancel_timer(cell, *key);

    if (book.free.empty()) {
        book.free.push_back(static_cast<std::uint32_t>(book.places.size()));
        book.places.emplace_back();
        // So that cancelling a timer never needs memory.
        book.free.reserve(book.places.capacity());
    }
    auto* const timer = make_node<ActorTimer>();
    timer->index = book.free.back();
    book.free.pop_back();
    timer->kind = setting.kind;
    timer->target = &cell;
    timer->period = std::max(setting.delay, kPeriodMin);
    timer->call = setting.call;
    timer->copy = setting.copy;

    TimerBook::Place& place = book.places[timer->index];
    place.timer = timer;
    const Duration now = cell.engine().now();
    if (setting.kind == TimerKind::idle) {
        ++book.idle_timers;
        book.last_message = now;
        cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kUncounted);
    }
    const TimerPlace at{timer->index, place.use};
    if (key != nullptr) book.by_key[key->text()] = at;
    put_on_clock(timer, later(now, std::max(setting.delay, Duration::zero())));
    return at;
}

void cancel_timer(Cell& cell, std::uint32_t generation, TimerPlace place) noexcept {
    if (cell.generation() != generation) return;
    TROUPE_ASSERT(current_cell() == &cell || cell.state() == CellState::starting,
                  "a Timer is cancelled by the actor that set it, in its own turn");
    TimerBook* const book = book_of(cell);
    if (book == nullptr) return;
    if (ActorTimer* const timer = find(*book, place)) cancel(*book, timer);
}

void cancel_timer(Cell& cell, const TimerKey& key) noexcept {
    TimerBook* const book = book_of(cell);
    if (book == nullptr) return;
    const auto at = book->by_key.find(key.text());
    if (at == book->by_key.end()) return;
    if (ActorTimer* const timer = find(*book, at->second)) cancel(*book, timer);
    book->by_key.erase(at);
}

void cancel_with_next_message(Cell& cell, TimerPlace place) {
    TimerBook& book = *extension_of(cell).timers;
    book.until_next_message = place;
    // The message being handled is not the next one; while the actor starts there is none.
    book.set_in_this_handler = cell.state() == CellState::running;
    cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kUncounted);
}

MailNode* take_tick(Cell& cell, MailNode* tick) {
    auto* const timer = static_cast<ActorTimer*>(tick);
    if (timer->cancelled) {
        free_timer(timer);
        return nullptr;
    }
    TimerBook& book = *book_of(cell);
    if (timer->kind == TimerKind::once) {
        MailNode* const call = std::exchange(timer->call, nullptr);
        leave_place(book, timer);
        free_timer(timer);
        return call;
    }
    if (timer->kind == TimerKind::idle) {
        const Duration due = later(book.last_message, timer->period);
        if (due > cell.engine().now()) {
            put_on_clock(timer, due);
            return nullptr;
        }
    }
    // It goes back to the clock when the handler has ended: so times that pass meanwhile are left
    // out, and the mail has its turn between two ticks.
    book.resting = timer;
    return timer->copy(timer->call);
}

bool note_handled(Cell& cell, bool own) noexcept {
    TimerBook* const book = book_of(cell);
    if (book == nullptr) return false;
    if (own && book->resting != nullptr) {
        ActorTimer* const timer = std::exchange(book->resting, nullptr);
        const Duration now = cell.engine().now();
        put_on_clock(timer, timer->kind == TimerKind::fixed_rate ? next_of_rate(*timer, now)
                                                                 : later(now, timer->period));
    }
    if (!own && book->idle_timers != 0) book->last_message = cell.engine().now();
    if (!std::exchange(book->set_in_this_handler, false) && book->until_next_message.use != 0) {
        ActorTimer* const timer = find(*book, std::exchange(book->until_next_message, {}));
        if (timer != nullptr) cancel(*book, timer);
    }
    return book->idle_timers != 0 || book->until_next_message.use != 0;
}

void end_timers(Cell& cell) noexcept {
    Extension* const extension = existing_extension(cell);
    if (extension == nullptr) return;
    extension->own_message = false;
    extension->put_off = false;
    if (extension->ties != nullptr) extension->ties->last_event = nullptr;
    TimerBook* const book = std::exchange(extension->timers, nullptr);
    if (book == nullptr) return;
    for (std::size_t i = 0; i < book->places.size(); ++i) {
        if (ActorTimer* const timer = book->places[i].timer) cancel(*book, timer);
    }
    delete book;
}

}  // namespace troupe::actor_internal
