#include <troupe/actor/own_message.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/sim/probe.hpp>
#include <troupe/sim/sim.hpp>

#include <string>

namespace troupe::sim_internal {

namespace {

std::string quoted(std::string_view method) {
    return std::string(method);
}

/// Puts mail that is no call back to where the turn finds it, in order.
void put_back(Cell& cell, MailNode* node) noexcept {
    if (cell.batch_ == nullptr) {
        node->next = node;
    } else {
        node->next = cell.batch_->next;
        cell.batch_->next = node;
    }
    cell.batch_ = node;
}

}  // namespace

/// Takes the calls out of the mailbox and keeps them; whatever else there is, signals and what the
/// runtime sends, is left to an actor's turn.
TurnEnd run_probe(Cell& cell) {
    const auto& type = *static_cast<const actor_internal::ActorType*>(cell.type());
    auto& probe = *static_cast<ProbeActor*>(actor_internal::object_of(cell, type));
    // acquire: as in an actor's turn.
    static_cast<void>(cell.word_.load(std::memory_order_acquire));
    if (MailNode* const signals = cell.take_mail(nullptr, 0)) handle_signals(cell, signals);
    MailNode* others = nullptr;  // newest first
    std::uint32_t calls = 0;
    while (MailNode* const node = cell.pop_batch()) {
        if (node->generation == cell.generation() &&
            actor_internal::ops_of(node).deliver != nullptr) {
            cell.engine().note_handling(actor_internal::ops_of(node).method, node);
            probe.core().keep(node);
            ++calls;
        } else {
            node->next = others;
            others = node;
        }
    }
    MailNode* in_order = nullptr;
    while (others != nullptr) {
        MailNode* const node = others;
        others = node->next;
        node->next = in_order;
        in_order = node;
    }
    while (in_order != nullptr) {
        MailNode* const node = in_order;
        in_order = node->next;
        put_back(cell, node);
    }
    if (calls != 0) {
        cell.handled_.store(cell.handled() + calls, std::memory_order_relaxed);
        cell.release(calls);
    }
    return actor_internal::run_actor(cell);
}

MailNode* ProbeCore::take(const void* method, std::string_view name, Duration patience,
                          bool skip_others) {
    const Duration end = sim_.later(patience);
    for (;;) {
        if (!sim_.run_until([this] { return !kept_.empty(); }, end - sim_.now())) {
            sim_.give_up("the probe expected " + quoted(name) + " within " +
                         sim_internal::shown(patience) + ", and nothing came." + sim_.who_waits());
        }
        MailNode* const message = kept_.front();
        kept_.pop_front();
        const actor_internal::MessageOps& ops = actor_internal::ops_of(message);
        if (ops.id == method) return message;
        const std::string_view came = ops.method;
        message->ops->drop(message, Error(Errc::no_reply));
        if (!skip_others) {
            sim_.give_up("the probe expected " + quoted(name) + ", and " + quoted(came) + " came");
        }
    }
}

bool ProbeCore::quiet(Duration duration) {
    return !sim_.run_until([this] { return !kept_.empty(); }, duration);
}

void ProbeCore::drop_all() noexcept {
    while (!kept_.empty()) {
        MailNode* const message = kept_.front();
        kept_.pop_front();
        message->ops->drop(message, Error(Errc::no_reply));
    }
}

}  // namespace troupe::sim_internal
