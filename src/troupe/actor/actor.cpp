#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/own_mail.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/own_message.hpp>
#include <troupe/actor/system.hpp>
#include <troupe/base/assert.hpp>

namespace troupe {

namespace actor_internal {

Cell* cell_being_built(const void* actor) noexcept;

Cell* ActorAccess::cell(const Actor& actor) noexcept {
    return actor.cell_;
}
void post_event(const Actor& actor, MailNode* message) {
    put_event(*ActorAccess::cell(actor), message);
}

void post_chore(Cell& cell, MailNode* message, bool before_all) {
    put_chore(cell, message, before_all);
}
void watch_children(Cell& parent,
                    void (*told)(Actor& parent, const Pid& child, bool abnormal) noexcept) {
    ties_of(parent).child_ended = told;
}
Cell* cell_of(const Actor& actor) noexcept {
    return ActorAccess::cell(actor);
}
Actor& actor_in(Cell& cell) noexcept {
    const auto& type = static_cast<const ActorType&>(*cell.type());
    return *type.as_actor(object_of(cell, type));
}

Task<Result<void>> ActorAccess::on_start(Actor& actor) {
    return actor.on_start();
}
Task<void> ActorAccess::on_stop(Actor& actor, const ExitReason& reason) {
    return actor.on_stop(reason);
}
void ActorAccess::on_slow_handler(Actor& actor, const SlowHandler& slow) {
    actor.on_slow_handler(slow);
}
MailNode* ActorAccess::slow_handler_message(std::ptrdiff_t offset, SlowHandler slow) {
    return make_call<&Actor::on_slow_handler, false>(offset, std::move(slow));
}
MailNode* ActorAccess::starvation_message(std::ptrdiff_t offset, StarvationReport report) {
    return make_call<&Actor::on_starvation, false>(offset, std::move(report));
}

}  // namespace actor_internal

const char* name(OnTimeout action) noexcept {
    switch (action) {
        case OnTimeout::warn:
            return "warn";
        case OnTimeout::cancel:
            return "cancel";
        case OnTimeout::stop:
            return "stop";
    }
    return "unknown";
}

Actor::Actor() noexcept : cell_(actor_internal::cell_being_built(this)) {}

Cell& Actor::own_cell() const noexcept {
    TROUPE_ASSERT(cell_ != nullptr,
                  "this actor was not spawned, it is a plain object: it has no address, system or "
                  "children");
    return *cell_;
}

actor_internal::OwnAddress Actor::own_address() const noexcept {
    Cell& cell = own_cell();
    const void* const object = actor_internal::object_of(
        cell, *static_cast<const actor_internal::ActorType*>(cell.type()));
    return {&cell, static_cast<const std::byte*>(object), cell.generation()};
}

System Actor::system() const noexcept {
    return System(actor_internal::SystemCore::of(own_cell()));
}

MailboxOptions bounded(std::size_t messages) {
    TROUPE_ASSERT(messages >= 1 && messages <= 60'000,
                  "bounded(n): a mailbox holds 1 to 60000 messages; beyond that say unbounded()");
    return MailboxOptions(messages);
}

MailboxOptions unbounded() {
    return MailboxOptions(0);
}

}  // namespace troupe
