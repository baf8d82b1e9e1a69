#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/assert.hpp>
#include <troupe/base/block_pool.hpp>

#include <new>
#include <utility>

namespace troupe::actor_internal {

namespace {

template <class Node>
Node* make_node() {
    return ::new (allocate_block(sizeof(Node))) Node;
}

template <class Node>
void free_node(Node* node) noexcept {
    node->~Node();
    free_block(node, sizeof(Node));
}

}  // namespace

Extension& extension_of(Cell& cell) {
    if (cell.extension_ == nullptr) cell.extension_ = make_node<Extension>();
    return *static_cast<Extension*>(cell.extension_);
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

const ExitReason& stop_reason(const Cell& cell) noexcept {
    static const ExitReason plain[] = {
        ExitReason(ExitReason::Kind::normal),        ExitReason(ExitReason::Kind::shutdown),
        ExitReason(ExitReason::Kind::shutdown_with), ExitReason(ExitReason::Kind::failed),
        ExitReason(ExitReason::Kind::killed),        ExitReason(ExitReason::Kind::noproc),
        ExitReason(ExitReason::Kind::timeout),       ExitReason(ExitReason::Kind::node_down)};
    const auto* const extension = static_cast<const Extension*>(cell.extension_);
    if (extension != nullptr && extension->reason.has_text()) return extension->reason;
    return plain[cell.stop_kind_];
}

void set_stop_reason(Cell& cell, ExitReason reason) {
    cell.stop_kind_ = static_cast<std::uint8_t>(reason.kind());
    if (reason.has_text()) {
        extension_of(cell).reason = std::move(reason);
    } else if (Extension* const extension = existing_extension(cell)) {
        extension->reason = ExitReason();
    }
}

DeadlineSlot& actor_deadline(Cell& cell) {
    return extension_of(cell).deadline;
}

// ---- monitors -----------------------------------------------------------------------------------

const MailOps MonitorSignal::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept {
        static_cast<MonitorSignal*>(node)->tell(ExitReason(ExitReason::Kind::noproc));
    },
    [](MailNode* node, Cell& cell) {
        auto* const monitor = static_cast<MonitorSignal*>(node);
        Extension& extension = extension_of(cell);
        monitor->next_monitor = extension.monitors;
        extension.monitors = monitor;
        return false;
    }};

const MailOps MonitorSignal::kNewsOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { discard(static_cast<MonitorSignal*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const news = static_cast<MonitorSignal*>(node);
        Extension& extension = extension_of(cell);
        if (extension.watched.erase(news->number) == 0) {
            discard(news);  // cancelled meanwhile
            return false;
        }
        news->next_monitor = nullptr;
        (extension.news_last == nullptr ? extension.news_first
                                        : extension.news_last->next_monitor) = news;
        extension.news_last = news;
        cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kHasNews);
        return false;
    }};

const MailOps DemonitorSignal::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<DemonitorSignal*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const signal = static_cast<DemonitorSignal*>(node);
        for (MonitorSignal** at = &extension_of(cell).monitors; *at != nullptr;
             at = &(*at)->next_monitor) {
            MonitorSignal* const monitor = *at;
            if (monitor->number != signal->number || monitor->watcher != signal->watcher ||
                monitor->watcher_generation != signal->watcher_generation) {
                continue;
            }
            *at = monitor->next_monitor;
            MonitorSignal::discard(monitor);
            break;
        }
        free_node(signal);
        return false;
    }};

void MonitorSignal::tell(ExitReason why) noexcept {
    reason = std::move(why);
    ops = &kNewsOps;
    post_signal(*watcher, watcher_generation, this);
}

MailNode* MonitorSignal::take_down(MonitorSignal* news) noexcept {
    MailNode* const message = std::exchange(news->down, nullptr);
    news->set_down(message, Down{news->target, std::move(news->reason)});
    message->generation = news->watcher_generation;
    free_node(news);
    return message;
}

void MonitorSignal::discard(MonitorSignal* monitor) noexcept {
    monitor->down->ops->drop(monitor->down, Error(Errc::cancelled));
    free_node(monitor);
}

MailNode* pop_news(Cell& cell) noexcept {
    Extension& extension = extension_of(cell);
    MonitorSignal* const news = extension.news_first;
    if (news == nullptr) return nullptr;
    extension.news_first = news->next_monitor;
    if (extension.news_first == nullptr) {
        extension.news_last = nullptr;
        cell.flags_ = static_cast<std::uint8_t>(cell.flags_ & ~kHasNews);
    }
    return MonitorSignal::take_down(news);
}

namespace {

void post_demonitor(const Cell& watcher, Cell* target, std::uint32_t generation,
                    std::uint64_t number) noexcept {
    auto* const signal = make_node<DemonitorSignal>();
    signal->ops = &DemonitorSignal::kOps;
    signal->watcher = const_cast<Cell*>(&watcher);
    signal->watcher_generation = watcher.generation();
    signal->number = number;
    post_signal(*target, generation, signal);
}

}  // namespace

void end_watching(Cell& cell) noexcept {
    Extension* const extension = existing_extension(cell);
    if (extension == nullptr) return;
    for (const auto& [number, target] : extension->watched) {
        post_demonitor(cell, target.first, target.second, number);
    }
    extension->watched.clear();
    while (MonitorSignal* const news = extension->news_first) {
        extension->news_first = news->next_monitor;
        MonitorSignal::discard(news);
    }
}

std::uint64_t post_monitor(Cell& watcher, Cell* target, std::uint32_t generation, MailNode* down,
                           void (*set_down)(MailNode* message, Down down)) {
    Extension& extension = extension_of(watcher);
    auto* const monitor = make_node<MonitorSignal>();
    monitor->ops = &MonitorSignal::kOps;
    monitor->watcher = &watcher;
    monitor->watcher_generation = watcher.generation();
    monitor->number = ++extension.monitors_made;
    monitor->target = pid_of(target, generation);
    monitor->down = down;
    monitor->set_down = set_down;
    const std::uint64_t number = monitor->number;
    extension.watched[number] = {target, generation};
    if (target == nullptr) {
        monitor->tell(ExitReason(ExitReason::Kind::noproc));
    } else {
        post_signal(*target, generation, monitor);
    }
    return number;
}

void cancel_monitor(Cell& watcher, std::uint32_t watcher_generation,
                    std::uint64_t number) noexcept {
    if (watcher.generation() != watcher_generation) return;
    TROUPE_ASSERT(current_cell() == &watcher,
                  "a Monitor is cancelled by the actor that made it, in its own turn");
    Extension& extension = extension_of(watcher);
    const auto at = extension.watched.find(number);
    if (at != extension.watched.end()) {
        const auto [target, generation] = at->second;
        extension.watched.erase(at);
        if (target != nullptr) post_demonitor(watcher, target, generation, number);
        return;
    }
    // The news may have arrived and not been handled.
    MonitorSignal* before = nullptr;
    for (MonitorSignal* news = extension.news_first; news != nullptr; news = news->next_monitor) {
        if (news->number != number) {
            before = news;
            continue;
        }
        (before == nullptr ? extension.news_first : before->next_monitor) = news->next_monitor;
        if (extension.news_last == news) extension.news_last = before;
        if (extension.news_first == nullptr) {
            watcher.flags_ = static_cast<std::uint8_t>(watcher.flags_ & ~kHasNews);
        }
        MonitorSignal::discard(news);
        return;
    }
}

// ---- stopping -----------------------------------------------------------------------------------

const MailOps StopSignal::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<StopSignal*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const signal = static_cast<StopSignal*>(node);
        const Extension* const known = existing_extension(cell);
        bool can_go_on = false;
        if (!signal->top_level_only || known == nullptr || known->parent == nullptr) {
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
                if (record != nullptr && record->interruptible && record->arrived == nullptr) {
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

void post_stop(Cell* cell, std::uint32_t generation, Stop strength, ExitReason reason,
               bool top_level_only) noexcept {
    if (cell == nullptr) return;
    if (strength == Stop::stop && cell == current_cell() && cell->generation() == generation) {
        // An actor that stops itself in its own turn needs no signal.
        if ((cell->flags_ & (kStopAsked | kInStopHook)) == 0) {
            set_stop_reason(*cell, std::move(reason));
            cell->flags_ = static_cast<std::uint8_t>(cell->flags_ | kStopAsked);
        }
        return;
    }
    auto* const signal = make_node<StopSignal>();
    signal->strength = strength;
    signal->top_level_only = top_level_only;
    signal->reason = strength == Stop::kill && reason.kind() == ExitReason::Kind::shutdown
                         ? ExitReason(ExitReason::Kind::killed)
                         : std::move(reason);
    if (strength != Stop::drain) {
        signal->ops = &StopSignal::kOps;
        post_signal(*cell, generation, signal);
        return;
    }
    signal->ops = &StopSignal::kDrainOps;
    signal->generation = generation;
    if (cell->generation() != generation || push_past_bound(*cell, signal) != PushResult::pushed) {
        free_node(signal);
    }
}

void post_stop(Cell* cell, std::uint32_t generation, Stop strength, ExitReason reason) noexcept {
    post_stop(cell, generation, strength, std::move(reason), false);
}

// ---- children -----------------------------------------------------------------------------------

const MailOps ChildEnded::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<ChildEnded*>(node)); },
    [](MailNode* node, Cell& cell) {
        auto* const news = static_cast<ChildEnded*>(node);
        auto& children = extension_of(cell).children;
        const auto at = children.find(news->slot);
        // The slot may belong to a younger child by now.
        if (at != children.end() && at->second.second == news->child_generation) {
            children.erase(at);
        }
        free_node(news);
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
    post_signal(*waiting->sender, waiting->sender_generation, waiting);
}

bool Send::try_send() noexcept {
    switch (admit(target_, generation_, message_, Sender::tells)) {
        case Admission::admitted:
        case Admission::redirected:
            message_ = nullptr;
            return !Engine::sent_enough();
        case Admission::dropped:
            message_ = nullptr;
            return true;
        case Admission::gone:
            failure_ = AskStatus::gone;
            dead_letter(target_, DeadLetterReason::gone, std::exchange(message_, nullptr));
            return true;
        case Admission::failing:
        case Admission::full:
            break;
    }
    return false;
}

bool Send::suspend(std::coroutine_handle<> self) {
    Cell& cell = begin_await(awaiting_, self);
    if (message_ == nullptr) {
        // It lies in the mailbox; this turn has sent so much that the receivers should run.
        awaiting_.what = "send (others first)";
        awaiting_.yielding = true;
        return true;
    }
    if (target_ == &cell) {
        cell.awaiting_ = nullptr;
        failure_ = AskStatus::asks_itself;
        dead_letter(target_, DeadLetterReason::overflow, std::exchange(message_, nullptr));
        return false;
    }
    awaiting_.what = "send (waits for room)";
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
    cell.awaiting_ = nullptr;
    const bool gone = admission == Admission::gone;
    failure_ = gone ? AskStatus::gone : AskStatus::refused;
    dead_letter(target_, gone ? DeadLetterReason::gone : DeadLetterReason::overflow,
                std::exchange(message_, nullptr));
    return false;
}

Result<void> Send::await_resume() {
    if (awaiting_.arrived != nullptr) {
        auto* const waiting = static_cast<WaitingSend*>(std::exchange(awaiting_.arrived, nullptr));
        if (waiting->gone) failure_ = AskStatus::gone;
        free_node(waiting);
    }
    if (failure_ != AskStatus::unsent) {
        return std::unexpected(
            unsent_error(failure_, target_, generation_, method_, awaiting_.where));
    }
    return {};
}

Send::~Send() {
    if (awaiting_.arrived != nullptr) free_node(static_cast<WaitingSend*>(awaiting_.arrived));
    if (message_ != nullptr) message_->ops->drop(message_, Error(Errc::cancelled));
}

// ---- spawning -----------------------------------------------------------------------------------

namespace {
constinit thread_local BuildingScope* building_on_this_thread = nullptr;

void refuse_start(AskEnvelope<void>* outcome, std::string text) noexcept {
    if (outcome != nullptr) {
        outcome->reply.emplace(std::unexpect, Errc::start_failed, std::move(text));
        outcome->post_reply();
    }
}
}  // namespace

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

Cell* begin_spawn(Engine& engine, Cell* parent, const ActorType& type,
                  const SpawnOptions* options) {
    AskEnvelope<void>* const outcome = options != nullptr ? options->start_outcome() : nullptr;
    auto& core = *static_cast<SystemCore*>(engine.host());
    const SystemCore::SpawnLeave leave(core);
    if (leave.refused()) {
        refuse_start(outcome, "the system is stopping");
        return nullptr;
    }
    Cell& cell = engine.acquire_cell();
    cell.type_.store(&type, std::memory_order_relaxed);
    if (options != nullptr && options->mailbox().managed()) {
        ManagedMailbox::open(cell, options->mailbox().settings());
        cell.capacity_.store(Cell::kManaged, std::memory_order_relaxed);
    } else {
        const std::size_t capacity =
            options != nullptr ? options->mailbox().capacity() : kMailboxDefault;
        cell.capacity_.store(static_cast<std::uint16_t>(capacity), std::memory_order_relaxed);
    }
    cell.handled_.store(0, std::memory_order_relaxed);
    cell.flags_ = 0;
    cell.state_.store(CellState::starting, std::memory_order_relaxed);
    if (outcome != nullptr) extension_of(cell).start_outcome = outcome;
    if (parent != nullptr) {
        Extension& extension = extension_of(cell);
        extension.parent = parent;
        extension.parent_generation = parent->generation();
        extension.ended_news = make_node<ChildEnded>();
        extension.ended_news->ops = &ChildEnded::kOps;
        extension_of(*parent).children[cell.slot()] = {&cell, cell.generation()};
    }
    // Open, and neither idle nor queued: the constructor may give the address away, and what is
    // sent to it waits for finish_spawn.
    cell.open_mailbox(0);
    return &cell;
}

void finish_spawn(Cell& cell, bool scheduled) noexcept {
    if (scheduled || cell.extension_ != nullptr || !cell.try_idle(nullptr)) schedule(cell);
}

void fail_spawn(Cell& cell) noexcept {
    std::string text;
    try {
        throw;
    } catch (const std::exception& exception) {
        text = exception.what();
    } catch (...) {
        text = "an exception that is no std::exception";
    }
    const ExitReason reason(ExitReason::Kind::failed, text);
    cell.state_.store(CellState::ended, std::memory_order_relaxed);
    for (MailNode* mail = close_all_mail(cell, nullptr); mail != nullptr;) {
        MailNode* const next = mail->next;
        if (mail->ops == &MonitorSignal::kOps) {
            static_cast<MonitorSignal*>(mail)->tell(reason);
        } else {
            if (mail->ops->kind == MailKind::message) {
                SystemCore::of(cell).note_dead_letter(&cell, DeadLetterReason::stopped, mail);
            }
            mail->ops->drop(mail, Error(Errc::actor_gone, text));
        }
        mail = next;
    }
    if (Extension* const extension = existing_extension(cell)) {
        if (AskEnvelope<void>* const outcome = std::exchange(extension->start_outcome, nullptr)) {
            outcome->reply.emplace(std::unexpect, Errc::start_failed, text);
            outcome->post_reply();
        }
        for (const auto& [slot, child] : extension->children) {
            post_stop(child.first, child.second, Stop::stop,
                      ExitReason(ExitReason::Kind::shutdown));
        }
        if (extension->ended_news != nullptr) {
            extension_of(*extension->parent).children.erase(cell.slot());
            free_node(std::exchange(extension->ended_news, nullptr));
        }
        end_watching(cell);
        free_extension(cell);
    }
    cell.engine().release_cell(cell);
}

}  // namespace troupe::actor_internal
