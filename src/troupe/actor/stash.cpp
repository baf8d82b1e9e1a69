#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/managed_mailbox.hpp>
#include <troupe/actor/internal/own_mail.hpp>
#include <troupe/actor/internal/system_core.hpp>
#include <troupe/actor/stash.hpp>
#include <troupe/base/assert.hpp>

namespace troupe {

namespace actor_internal {

void keep_in_stash(Stash& stash, MailNode* call) {
    stash.add(call);
}

}  // namespace actor_internal

Stash::~Stash() {
    // Whoever ends the actor finds them among its mail.
    if (actor_internal::ActorAccess::cell(*owner_) != nullptr) release();
}

void Stash::add(MailNode* call) {
    TROUPE_ASSERT(actor_internal::ActorAccess::cell(*owner_) != nullptr,
                  "this actor was not spawned, it is a plain object: nobody would handle what it "
                  "keeps");
    Cell& cell = *actor_internal::ActorAccess::cell(*owner_);
    call->generation = cell.generation();
    if (kept_.size() >= capacity_ && overflow_ != Overflow::drop_oldest) {
        if (overflow_ == Overflow::fail_actor) {
            actor_internal::post_stop(&cell, cell.generation(), Stop::kill,
                                      ExitReason(ExitReason::Kind::failed, "its stash is full"));
        }
        return actor_internal::dead_letter(&cell, DeadLetterReason::overflow, call);
    }
    kept_.push_back(call);
    actor_internal::Extension& extension = actor_internal::extension_of(cell);
    if (cell.state() == CellState::running && !extension.put_off) {
        extension.put_off = true;
        cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | actor_internal::kUncounted);
    } else if (actor_internal::SystemCore::counting_messages()) {
        // Not the message that is being handled: one more.
        actor_internal::SystemCore::of(cell).count_accepted();
    }
    if (kept_.size() <= capacity_) return;
    MailNode* const oldest = kept_.front();
    kept_.pop_front();
    actor_internal::lose_accepted(&cell, DeadLetterReason::overflow, oldest);
}

void Stash::release() {
    while (!kept_.empty()) {
        actor_internal::put_first(*actor_internal::ActorAccess::cell(*owner_), kept_.back());
        kept_.pop_back();
    }
}

}  // namespace troupe
