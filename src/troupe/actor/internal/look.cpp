#include <troupe/actor/arena.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/links.hpp>
#include <troupe/actor/internal/look.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/registry.hpp>
#include <troupe/actor/internal/schedule.hpp>
#include <troupe/actor/load.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/scheduler/cell_hold.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/scheduler/mail_mark.hpp>
#include <troupe/scheduler/waiting_report.hpp>
#include <troupe/task/task_cell.hpp>

#include <algorithm>
#include <cstdio>

namespace troupe {

const char* name(ActorState state) noexcept {
    switch (state) {
        case ActorState::starting:
            return "starting";
        case ActorState::idle:
            return "idle";
        case ActorState::queued:
            return "queued";
        case ActorState::running:
            return "running";
        case ActorState::suspended:
            return "suspended";
        case ActorState::stopping:
            return "stopping";
        case ActorState::restarting:
            return "restarting";
    }
    return "unknown";
}

namespace actor_internal {

std::string shown(std::string_view name) {
    // Names of templates can be long; an error's text is not.
    constexpr std::size_t kNameShownMax = 200;
    return name.size() <= kNameShownMax ? std::string(name)
                                        : std::string(name.substr(0, kNameShownMax - 3)) + "...";
}

namespace {

std::string seconds(Duration duration) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.1f s",
                  std::chrono::duration<double>(std::max(duration, Duration::zero())).count());
    return text;
}

bool is_actor(const Cell& cell, std::uint32_t generation) noexcept {
    const CellState state = cell.state();
    return cell.generation() == generation && actor_internal::is_actor(cell) &&
           state != CellState::free && state != CellState::ended;
}

/// How many messages are being handled, by handlers that wait: they count as mail until they are
/// done. Whoever holds the cell.
std::uint32_t messages_in_hand(const Cell& cell) noexcept {
    std::uint32_t count = 0;
    for (const Awaiting* wait = cell.awaiting_; wait != nullptr; wait = wait->outer)
        count += wait->message != nullptr ? 1 : 0;
    return count;
}

void look_at_mailbox(Cell& cell, bool at_rest, bool running, ActorInfo& info) {
    info.mailbox_depth = mailbox_depth(cell);
    info.mailbox_capacity = cell.capacity_.load(std::memory_order_relaxed);
    if (info.mailbox_capacity == Cell::kManaged) {
        const ManagedMailbox* const mailbox = ManagedMailbox::find(cell);
        info.mailbox_capacity = mailbox != nullptr ? mailbox->settings().capacity : 0;
        if (mailbox != nullptr) info.mailbox_age = mailbox->age();
        return;
    }
    if (info.mailbox_capacity == Cell::kUnbounded) info.mailbox_capacity = 0;
    // Where several are handled at the same time they have left the mailbox.
    const Schedule* const schedule = at_rest ? existing_schedule(cell) : nullptr;
    std::uint32_t in_hand = running ? 1 : 0;
    if (at_rest) in_hand = messages_in_hand(cell);
    if (schedule != nullptr && schedule->interleaves()) in_hand = 0;
    if (info.mailbox_depth <= in_hand) return;
    // Only at rest is the count exact: a turn gives back in one go what it has handled.
    if (at_rest) mark_mail(cell, info.mailbox_depth);
    info.mailbox_age = marked_mail_age(cell, in_hand);
}

/// What lies outside the turn's own: any thread may read it at any time.
void look_from_outside(const Cell& cell, ActorInfo& info) {
    const Duration now = cell.engine().now();
    info.handled = cell.handled();
    info.incarnation = cell.incarnation_.load(std::memory_order_relaxed);
    info.uptime = std::max(now - cell.started(), Duration::zero());
}

std::string_view method_in_which_it_waits(const Cell& cell) noexcept {
    if (const MailNode* const message = cell.awaiting_->message) return ops_of(message).method;
    return (cell.flags_ & kInStopHook) != 0 ? "on_stop" : "on_start";
}

std::string what_it_awaits(const Awaiting& awaiting) {
    std::string text = awaiting.what;
    if (!awaiting.subject.empty()) text += " " + shown(awaiting.subject);
    return text;
}

void look_at_the_wait(const Cell& cell, ActorInfo& info) {
    const Awaiting& awaiting = *cell.awaiting_;
    info.method = shown(method_in_which_it_waits(cell));
    info.awaits = what_it_awaits(awaiting);
    info.where = place_of(awaiting.where);
    info.waiting = std::max(cell.engine().now() - awaiting.since, Duration::zero());
}

void look_at_relations(const Cell& cell, const Extension& extension, ActorInfo& info) {
    info.parent = parent_of(cell);
    info.monitors = extension.monitor_count;
    if (const Standing* const standing = extension.standing) {
        if (standing->name != nullptr) info.name = Registry::text_of(*standing->name);
    }
    if (const Ties* const ties = extension.ties) {
        info.children = ties->children.size();
        info.links = ties->links != nullptr ? ties->links->by_pid.size() : 0;
        info.watched = ties->watched.size();
    }
}

std::size_t bytes_of(Cell& cell) noexcept {
    const ActorType& type = *static_cast<const ActorType*>(cell.type());
    std::size_t bytes = sizeof(Cell);
    if (!type.inline_state) bytes += type.bytes;
    const Extension* const extension = existing_extension(cell);
    if (extension == nullptr) return bytes;
    bytes += sizeof(Extension);
    if (extension->hooks != nullptr) bytes += sizeof(Hooks);
    if (extension->ties != nullptr) bytes += sizeof(Ties);
    const Standing* const standing = extension->standing;
    if (standing == nullptr) return bytes;
    bytes += sizeof(Standing);
    return standing->arena != nullptr ? bytes + standing->arena->bytes_held() : bytes;
}

/// What only its own turn, or whoever holds it, may read.
void look_inside(Cell& cell, ActorInfo& info) {
    info.complete = true;
    if (cell.awaiting_ != nullptr) look_at_the_wait(cell, info);
    info.in_hand = messages_in_hand(cell);
    if (const Extension* const extension = existing_extension(cell)) {
        look_at_relations(cell, *extension, info);
    }
    info.bytes = bytes_of(cell);
}

ActorState state_of(const Cell& cell, const CellHold* hold, bool running) noexcept {
    switch (cell.state()) {
        case CellState::starting:
            return ActorState::starting;
        case CellState::stopping:
            return ActorState::stopping;
        case CellState::restarting:
            return ActorState::restarting;
        case CellState::running:
        case CellState::free:
        case CellState::ended:
            break;
    }
    if (running) return ActorState::running;
    if (hold == nullptr || !hold->held()) return ActorState::queued;
    return hold->blocked() ? ActorState::suspended : ActorState::idle;
}

}  // namespace

Load load_of(const Cell* cell, std::uint32_t generation) noexcept {
    Load load;
    if (cell == nullptr || !is_actor(*cell, generation)) return load;
    load.up = cell->state() != CellState::restarting;
    load.waiting = mailbox_depth(*cell);
    // Again: a slot may have a new owner by now.
    load.there = is_actor(*cell, generation);
    return load.there ? load : Load();
}

std::uint64_t draw_below(const Cell* cell, std::uint64_t n) noexcept {
    Engine* const engine = cell != nullptr ? cell->find_engine() : nullptr;
    return engine != nullptr ? engine->random() % n : 0;
}

std::optional<ActorInfo> look_at(Cell& cell, std::uint32_t generation) {
    if (!is_actor(cell, generation)) return std::nullopt;
    ActorInfo info;
    info.pid = pid_of(&cell, generation);
    // The turn that asks for itself holds its cell anyway.
    const bool own = current_cell() == &cell;
    std::optional<CellHold> hold;
    if (!own) hold.emplace(cell);
    const bool held = own || hold->held();
    info.type = std::string(cell.type()->name);
    // A worker that has just let go may still say that it runs the cell.
    const bool at_rest = held && !own;
    const Engine::Running running = at_rest ? Engine::Running() : cell.engine().running(cell);
    info.state = state_of(cell, hold ? &*hold : nullptr, running.now);
    if (running.now && running.doing != nullptr) info.method = shown(*running.doing);
    if (running.now) info.running = running.lasted;
    look_at_mailbox(cell, at_rest, running.now, info);
    look_from_outside(cell, info);
    if (held) look_inside(cell, info);
    // One whose handlers interleave takes messages while they wait.
    if (info.in_hand != 0 && info.state == ActorState::idle) info.state = ActorState::suspended;
    // Again: what was read of a cell that is not held may be its next owner's.
    if (!is_actor(cell, generation)) return std::nullopt;
    return info;
}

namespace {

/// Who waits for what the cell does now.
task_internal::TaskCell::Owner waited_by(Cell& cell) {
    if (const auto* const task = task_internal::task_in(cell)) return task->owner();
    const MailNode* const message = cell.awaiting_->message;
    if (message == nullptr || !ops_of(message).asked) return {};
    const auto* const request = static_cast<const AskHeader*>(message);
    if (request->piped) return {};  // it goes on meanwhile
    return {request->asker, request->asker_generation};
}

/// Calls `look` on a cell that is known to stay what it is meanwhile.
template <class Look>
void look_held(Cell& cell, std::uint32_t generation, Look look) {
    if (current_cell() == &cell) return;
    const CellHold hold(cell);
    if (hold.held() && cell.generation() == generation && cell.awaiting_ != nullptr) look();
}

}  // namespace

std::optional<TaskInfo> look_at_task(Cell& cell, std::uint32_t generation) {
    if (!task_internal::is_task(cell) || cell.generation() != generation) return std::nullopt;
    TaskInfo info;
    info.pid = pid_of(&cell, generation);
    info.name = shown(cell.type()->name);
    info.state = cell.engine().running(cell).now       ? ActorState::running
                 : cell.state() == CellState::starting ? ActorState::starting
                                                       : ActorState::queued;
    look_held(cell, generation, [&] {
        const task_internal::TaskCell::Owner owner = waited_by(cell);
        info.state = ActorState::suspended;
        info.complete = true;
        info.owner = pid_of(owner.cell, owner.generation);
        info.awaits = what_it_awaits(*cell.awaiting_);
        info.where = place_of(cell.awaiting_->where);
        info.waiting = std::max(cell.engine().now() - cell.awaiting_->since, Duration::zero());
    });
    if (!task_internal::is_task(cell) || cell.generation() != generation) return std::nullopt;
    return info;
}

std::optional<WaitStep> look_at_wait(Cell& cell, std::uint32_t generation) {
    std::optional<WaitStep> step;
    look_held(cell, generation, [&] {
        const Awaiting& awaiting = *cell.awaiting_;
        step.emplace();
        step->line = to_string(pid_of(&cell, generation)) + " ";
        const bool task = task_internal::is_task(cell);
        if (!task) step->line += shown(method_in_which_it_waits(cell)) + " (";
        step->line += shown(cell.type()->name);
        if (!task) step->line += ")";
        step->line += " waits in " + what_it_awaits(awaiting);
        const std::string where = place_of(awaiting.where);
        if (!where.empty()) step->line += " at " + where;
        const task_internal::TaskCell::Owner next = waited_by(cell);
        step->waited_by = next.cell;
        step->generation = next.generation;
    });
    return step;
}

namespace {

std::string handler_of(const ActorInfo& info) {
    std::string text = " in " + info.method;
    if (info.state == ActorState::running) {
        return info.running > Duration::zero() ? text + ", for " + seconds(info.running) : text;
    }
    if (!info.where.empty()) text += " at " + info.where;
    if (!info.awaits.empty()) text += ", " + info.awaits;
    return text + ", for " + seconds(info.waiting);
}

}  // namespace

}  // namespace actor_internal

std::string to_string(const TaskInfo& info) {
    std::string text = to_string(info.pid) + " " + info.name + ": " + name(info.state);
    if (!info.complete) return text;
    if (!info.where.empty()) text += " at " + info.where;
    text += ", " + info.awaits + ", for " + actor_internal::seconds(info.waiting);
    return info.owner == Pid() ? text : text + "; for " + to_string(info.owner);
}

std::string to_string(const ActorInfo& info) {
    std::string text = to_string(info.pid) + " " + actor_internal::shown(info.type);
    if (!info.name.empty()) text += " \"" + info.name + "\"";
    text += std::string(": ") + name(info.state);
    if (!info.method.empty()) text += actor_internal::handler_of(info);
    text += "; mailbox " + std::to_string(info.mailbox_depth);
    text += info.mailbox_capacity == 0 ? " of any number"
                                       : " of " + std::to_string(info.mailbox_capacity);
    if (info.mailbox_age > Duration::zero()) {
        text += ", the oldest for " + actor_internal::seconds(info.mailbox_age);
    }
    text += ", " + std::to_string(info.handled) + " handled";
    if (info.incarnation > 1) text += ", life " + std::to_string(info.incarnation);
    return text + ", up " + actor_internal::seconds(info.uptime);
}

}  // namespace troupe
